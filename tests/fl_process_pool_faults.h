/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_CREW_FAULTS_H
#define FL_CREW_FAULTS_H

/*
 * Faults on every way of the process executor, in each of its processes: the calls below are wrapped before main(), so also in the
 * zygote and the workers, and ask the arena whether to fail.
 *
 *     crew_fail(CREW_FORK, CREW_IN_ZYGOTE, 2, 1, -EAGAIN);    // the third fork of the zygote from now on fails
 *     ...
 *     crew_heal();                                    // how often it struck
 */
#include "fl_process_pool.h"

#include "base/sys.h"
#include "process/fd_sys.h"
#include "shm/shm_os.h"

enum crew_call {
	CREW_MEMORY,
	CREW_RESIZE,
	CREW_FILL,
	CREW_SEALS,
	CREW_SIZE,
	CREW_MAP,
	CREW_KEEP,
	CREW_PAIR,
	CREW_SEND,
	CREW_RECEIVE,
	CREW_MESSAGE_MEMORY,
	CREW_WRITE_AT,
	CREW_SEAL,
	CREW_SEALED_SIZE,
	CREW_WATCH_CREATE,
	CREW_WATCH,
	CREW_EVENT,
	CREW_FORK,
	CREW_PIDFD,
	CREW_ALLOC,
	CREW_THREAD,
	CREW_CALLS
};

static const char *const crew_call_names[CREW_CALLS] = {
    "memory",       "resize", "fill",    "seals",     "size",  "map",   "keep",
    "pair",         "send",   "receive", "memory_of", "write", "seal",  "sealed_size",
    "watch_create", "watch",  "event",   "fork",      "pidfd", "alloc", "thread"};

enum crew_role { CREW_HERE, CREW_IN_ZYGOTE, CREW_IN_WORKER };

struct crew_fault {
	int call, role, error, skip, count;
	int struck;
};

static struct crew_fault *crew_fault; /* in the arena: at its very beginning */
static int crew_first_pid;            /* of this program: the maker, or the zygote */
static bool crew_is_maker;

/* 0, or the error with which this call is to fail. */
CREW_FN int crew_strike(int call)
{
	struct crew_fault *f = crew_fault;
	if (fl__load_acquire(&f->call) != call) /* pairs with the release in crew_fail() */
		return 0;
	const int pid = getpid();
	if (f->role != (pid != crew_first_pid ? CREW_IN_WORKER : crew_is_maker ? CREW_HERE : CREW_IN_ZYGOTE))
		return 0;
	if (fl__add_relaxed(&f->skip, -1) > 0 || fl__add_relaxed(&f->count, -1) <= 0) /* relaxed: numbers */
		return 0;
	fl__add_relaxed(&f->struck, 1); /* relaxed: a number */
	return f->error;
}

CREW_FN void crew_fail(int call, int role, int skip, int count, int error)
{
	struct crew_fault *f = crew_fault;
	fl__store_release(&f->call, -1);
	f->role = role;
	f->error = error;
	f->skip = skip;
	f->count = count;
	f->struck = 0;
	fl__store_release(&f->call, call); /* pairs with the acquire in crew_strike() */
}

CREW_FN int crew_heal(void)
{
	fl__store_release(&crew_fault->call, -1);
	return fl__load_relaxed(&crew_fault->struck); /* relaxed: a number */
}

/* The wrappers. */
static struct fl__sys crew_real_sys;
static struct fl__shm_os crew_real_shm;
static struct fl__fd_sys crew_real_fd;
static struct fl__os crew_real_os;

#define CREW_WRAP(name, call, result, real, params, args)                                                              \
	static result crew_wrapped_##name params                                                                       \
	{                                                                                                              \
		int error = crew_strike(call);                                                                         \
		return error != 0 ? error : real args;                                                                 \
	}

CREW_WRAP(memory, CREW_MEMORY, int, crew_real_shm.memory, (void), ())
CREW_WRAP(resize, CREW_RESIZE, int, crew_real_shm.resize, (int fd, uint64_t size), (fd, size))
CREW_WRAP(fill, CREW_FILL, int, crew_real_shm.fill, (int fd, uint64_t at, uint64_t size), (fd, at, size))
CREW_WRAP(seals, CREW_SEALS, int, crew_real_shm.add_seals, (int fd, int seals), (fd, seals))
CREW_WRAP(size, CREW_SIZE, int, crew_real_shm.size, (int fd, uint64_t *size), (fd, size))
CREW_WRAP(map, CREW_MAP, int, crew_real_shm.map, (int fd, size_t size, bool writable, void **memory),
          (fd, size, writable, memory))
CREW_WRAP(keep, CREW_KEEP, int, crew_real_shm.keep, (void *memory, size_t size), (memory, size))
CREW_WRAP(pair, CREW_PAIR, int, crew_real_fd.pair, (int sockets[2]), (sockets))
CREW_WRAP(send, CREW_SEND, ssize_t, crew_real_fd.send, (int fd, const struct msghdr *m, int flags), (fd, m, flags))
CREW_WRAP(receive, CREW_RECEIVE, ssize_t, crew_real_fd.receive, (int fd, struct msghdr *m, int flags), (fd, m, flags))
CREW_WRAP(memory_of, CREW_MESSAGE_MEMORY, int, crew_real_fd.memory, (void), ())
CREW_WRAP(write_at, CREW_WRITE_AT, ssize_t, crew_real_fd.write_at, (int fd, const void *data, size_t size, off_t at),
          (fd, data, size, at))
CREW_WRAP(seal, CREW_SEAL, int, crew_real_fd.seal, (int fd), (fd))
CREW_WRAP(sealed_size, CREW_SEALED_SIZE, int, crew_real_fd.sealed_size, (int fd, int64_t *size), (fd, size))
CREW_WRAP(watch_create, CREW_WATCH_CREATE, int, crew_real_fd.watch_create, (void), ())
CREW_WRAP(watch, CREW_WATCH, int, crew_real_fd.watch, (int epoll, int op, int fd, uint32_t events),
          (epoll, op, fd, events))
CREW_WRAP(event, CREW_EVENT, int, crew_real_os.event, (void), ())
CREW_WRAP(fork, CREW_FORK, int, crew_real_os.fork, (void), ())
CREW_WRAP(pidfd, CREW_PIDFD, int, crew_real_os.pidfd, (int pid), (pid))
CREW_WRAP(thread, CREW_THREAD, int, crew_real_sys.thread_create,
          (pthread_t * thread, const pthread_attr_t *attr, void *(*start)(void *), void *arg),
          (thread, attr, start, arg))

static void *crew_wrapped_alloc(size_t size)
{
	return crew_strike(CREW_ALLOC) != 0 ? NULL : crew_real_sys.alloc(size);
}

__attribute__((constructor)) static void crew_faults_begin(void)
{
	crew_first_pid = getpid();
	crew_is_maker = fl_test_arena_used == 0;
	crew_fault = (struct crew_fault *)(void *)fl_test_arena; /* cast: the first thing in it */
	if (crew_is_maker) {
		FL_CHECK(FL_IN_ARENA(struct crew_fault, 1) == crew_fault);
		crew_fault->call = -1;
	}
	crew_real_sys = fl__sys;
	crew_real_shm = fl__shm_os;
	crew_real_fd = fl__fd_sys;
	crew_real_os = fl__os;
	fl__sys.alloc = crew_wrapped_alloc;
	fl__sys.thread_create = crew_wrapped_thread;
	fl__shm_os.memory = crew_wrapped_memory;
	fl__shm_os.resize = crew_wrapped_resize;
	fl__shm_os.fill = crew_wrapped_fill;
	fl__shm_os.add_seals = crew_wrapped_seals;
	fl__shm_os.size = crew_wrapped_size;
	fl__shm_os.map = crew_wrapped_map;
	fl__shm_os.keep = crew_wrapped_keep;
	fl__fd_sys.pair = crew_wrapped_pair;
	fl__fd_sys.send = crew_wrapped_send;
	fl__fd_sys.receive = crew_wrapped_receive;
	fl__fd_sys.memory = crew_wrapped_memory_of;
	fl__fd_sys.write_at = crew_wrapped_write_at;
	fl__fd_sys.seal = crew_wrapped_seal;
	fl__fd_sys.sealed_size = crew_wrapped_sealed_size;
	fl__fd_sys.watch_create = crew_wrapped_watch_create;
	fl__fd_sys.watch = crew_wrapped_watch;
	fl__os.event = crew_wrapped_event;
	fl__os.fork = crew_wrapped_fork;
	fl__os.pidfd = crew_wrapped_pidfd;
}

#endif
