/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_PROCESS_POOL_FAULTS_H
#define FL_PROCESS_POOL_FAULTS_H

/*
 * Faults in all system calls of the process executor, in each of its processes. The calls below are
 * wrapped before main(), so also in the fork server and the workers, and check the arena for
 * faults.
 *
 *     // the third fork of the fork server from now on fails
 *     process_pool_fail(PROCESS_POOL_FORK, PROCESS_POOL_IN_FORK_SERVER, 2, 1, -EAGAIN);
 *     ...
 *     process_pool_heal();                                    // returns the number of faults
 */
#include "fl_process_pool.h"

#include "core/base/sys.h"
#include "process/process_sys.h"
#include "process/shm/shm_sys.h"

enum process_pool_call {
	PROCESS_POOL_MEMORY,
	PROCESS_POOL_RESIZE,
	PROCESS_POOL_FILL,
	PROCESS_POOL_SEALS,
	PROCESS_POOL_SIZE,
	PROCESS_POOL_MAP,
	PROCESS_POOL_KEEP,
	PROCESS_POOL_PAIR,
	PROCESS_POOL_SEND,
	PROCESS_POOL_RECEIVE,
	PROCESS_POOL_MESSAGE_MEMORY,
	PROCESS_POOL_WRITE_AT,
	PROCESS_POOL_SEAL,
	PROCESS_POOL_SEALED_SIZE,
	PROCESS_POOL_WATCH_CREATE,
	PROCESS_POOL_WATCH,
	PROCESS_POOL_EVENT,
	PROCESS_POOL_FORK,
	PROCESS_POOL_PIDFD,
	PROCESS_POOL_SIGNALS,
	PROCESS_POOL_ALLOC,
	PROCESS_POOL_THREAD,
	PROCESS_POOL_CALLS
};

static const char *const process_pool_call_names[PROCESS_POOL_CALLS] = {
    "memory", "resize",  "fill",      "seals",   "size",  "map",         "keep",         "pair",
    "send",   "receive", "memory_of", "write",   "seal",  "sealed_size", "watch_create", "watch",
    "event",  "fork",    "pidfd",     "signals", "alloc", "thread"};

enum process_pool_role { PROCESS_POOL_HERE, PROCESS_POOL_IN_FORK_SERVER, PROCESS_POOL_IN_WORKER };

struct process_pool_fault {
	int call, role, error, skip, count;
	int struck;
};

static struct process_pool_fault *process_pool_fault; /* in the arena: at its very beginning */
static int process_pool_first_pid;                    /* of this program, or of the fork server */
static bool process_pool_is_maker;

/* 0, or the error with which this call is to fail. */
PROCESS_POOL_FN int process_pool_strike(int call)
{
	struct process_pool_fault *f = process_pool_fault;
	if (fl__load_acquire(&f->call) != call) /* pairs with the release in process_pool_fail() */
		return 0;
	const int pid = getpid();
	if (f->role != (pid != process_pool_first_pid ? PROCESS_POOL_IN_WORKER
	                : process_pool_is_maker       ? PROCESS_POOL_HERE
	                                              : PROCESS_POOL_IN_FORK_SERVER))
		return 0;
	/* Relaxed: numbers. */
	if (fl__add_relaxed(&f->skip, -1) > 0 || fl__add_relaxed(&f->count, -1) <= 0)
		return 0;
	fl__add_relaxed(&f->struck, 1); /* relaxed: a number */
	return f->error;
}

PROCESS_POOL_FN void process_pool_fail(int call, int role, int skip, int count, int error)
{
	struct process_pool_fault *f = process_pool_fault;
	fl__store_release(&f->call, -1);
	f->role = role;
	f->error = error;
	f->skip = skip;
	f->count = count;
	f->struck = 0;
	fl__store_release(&f->call, call); /* pairs with the acquire in process_pool_strike() */
}

PROCESS_POOL_FN int process_pool_heal(void)
{
	fl__store_release(&process_pool_fault->call, -1);
	return fl__load_relaxed(&process_pool_fault->struck); /* relaxed: a number */
}

/* The wrappers. */
static struct fl__sys process_pool_real_sys;
static struct fl__shm_sys process_pool_real_shm;
static struct fl__fd_sys process_pool_real_fd;
static struct fl__net_sys process_pool_real_net;
static struct fl__process_sys process_pool_real_os;

#define PROCESS_POOL_WRAP(name, call, result, real, params, args)                                                      \
	static result process_pool_wrapped_##name params                                                               \
	{                                                                                                              \
		int error = process_pool_strike(call);                                                                 \
		return error != 0 ? error : real args;                                                                 \
	}

PROCESS_POOL_WRAP(memory, PROCESS_POOL_MEMORY, int, process_pool_real_shm.memory, (void), ())
PROCESS_POOL_WRAP(resize, PROCESS_POOL_RESIZE, int, process_pool_real_shm.resize, (int fd, uint64_t size), (fd, size))
PROCESS_POOL_WRAP(fill, PROCESS_POOL_FILL, int, process_pool_real_shm.fill, (int fd, uint64_t at, uint64_t size),
                  (fd, at, size))
PROCESS_POOL_WRAP(seals, PROCESS_POOL_SEALS, int, process_pool_real_shm.add_seals, (int fd, int seals), (fd, seals))
PROCESS_POOL_WRAP(size, PROCESS_POOL_SIZE, int, process_pool_real_shm.size, (int fd, uint64_t *size), (fd, size))
PROCESS_POOL_WRAP(map, PROCESS_POOL_MAP, int, process_pool_real_shm.map,
                  (int fd, size_t size, bool writable, void **memory), (fd, size, writable, memory))
PROCESS_POOL_WRAP(keep, PROCESS_POOL_KEEP, int, process_pool_real_shm.keep, (void *memory, size_t size), (memory, size))
PROCESS_POOL_WRAP(pair, PROCESS_POOL_PAIR, int, process_pool_real_fd.pair, (int sockets[2]), (sockets))
PROCESS_POOL_WRAP(send, PROCESS_POOL_SEND, ssize_t, process_pool_real_net.sendmsg, (int fd, const struct msghdr *m),
                  (fd, m))
PROCESS_POOL_WRAP(receive, PROCESS_POOL_RECEIVE, ssize_t, process_pool_real_net.recvmsg,
                  (int fd, struct msghdr *m, int flags), (fd, m, flags))
PROCESS_POOL_WRAP(memory_of, PROCESS_POOL_MESSAGE_MEMORY, int, process_pool_real_fd.memfd, (void), ())
PROCESS_POOL_WRAP(write_at, PROCESS_POOL_WRITE_AT, ssize_t, process_pool_real_fd.write_at,
                  (int fd, const void *data, size_t size, off_t at), (fd, data, size, at))
PROCESS_POOL_WRAP(seal, PROCESS_POOL_SEAL, int, process_pool_real_fd.seal, (int fd), (fd))
PROCESS_POOL_WRAP(sealed_size, PROCESS_POOL_SEALED_SIZE, int, process_pool_real_fd.sealed_size, (int fd, int64_t *size),
                  (fd, size))
PROCESS_POOL_WRAP(watch_create, PROCESS_POOL_WATCH_CREATE, int, process_pool_real_fd.epoll_create, (void), ())
PROCESS_POOL_WRAP(watch, PROCESS_POOL_WATCH, int, process_pool_real_fd.epoll_control,
                  (int epoll, int op, int fd, uint32_t events), (epoll, op, fd, events))
PROCESS_POOL_WRAP(event, PROCESS_POOL_EVENT, int, process_pool_real_os.eventfd, (void), ())
PROCESS_POOL_WRAP(fork, PROCESS_POOL_FORK, int, process_pool_real_os.fork, (void), ())
PROCESS_POOL_WRAP(pidfd, PROCESS_POOL_PIDFD, int, process_pool_real_os.pidfd, (int pid), (pid))
PROCESS_POOL_WRAP(signals, PROCESS_POOL_SIGNALS, int, process_pool_real_os.signalfd, (const sigset_t *set), (set))
PROCESS_POOL_WRAP(thread, PROCESS_POOL_THREAD, int, process_pool_real_sys.thread_create,
                  (pthread_t * thread, const pthread_attr_t *attr, void *(*start)(void *), void *arg),
                  (thread, attr, start, arg))

static void *process_pool_wrapped_alloc(size_t size)
{
	return process_pool_strike(PROCESS_POOL_ALLOC) != 0 ? NULL : process_pool_real_sys.alloc(size);
}

__attribute__((constructor)) static void process_pool_faults_begin(void)
{
	process_pool_first_pid = getpid();
	process_pool_is_maker = fl_test_arena_used == 0;
	/* Cast: its first object. */
	process_pool_fault = (struct process_pool_fault *)(void *)fl_test_arena;
	if (process_pool_is_maker) {
		FL_CHECK(FL_IN_ARENA(struct process_pool_fault, 1) == process_pool_fault);
		process_pool_fault->call = -1;
	}
	process_pool_real_sys = fl__sys;
	process_pool_real_shm = fl__shm_sys;
	process_pool_real_fd = fl__fd_sys;
	process_pool_real_net = fl__net_sys;
	process_pool_real_os = fl__process_sys;
	fl__sys.alloc = process_pool_wrapped_alloc;
	fl__sys.thread_create = process_pool_wrapped_thread;
	fl__shm_sys.memory = process_pool_wrapped_memory;
	fl__shm_sys.resize = process_pool_wrapped_resize;
	fl__shm_sys.fill = process_pool_wrapped_fill;
	fl__shm_sys.add_seals = process_pool_wrapped_seals;
	fl__shm_sys.size = process_pool_wrapped_size;
	fl__shm_sys.map = process_pool_wrapped_map;
	fl__shm_sys.keep = process_pool_wrapped_keep;
	fl__fd_sys.pair = process_pool_wrapped_pair;
	fl__net_sys.sendmsg = process_pool_wrapped_send;
	fl__net_sys.recvmsg = process_pool_wrapped_receive;
	fl__fd_sys.memfd = process_pool_wrapped_memory_of;
	fl__fd_sys.write_at = process_pool_wrapped_write_at;
	fl__fd_sys.seal = process_pool_wrapped_seal;
	fl__fd_sys.sealed_size = process_pool_wrapped_sealed_size;
	fl__fd_sys.epoll_create = process_pool_wrapped_watch_create;
	fl__fd_sys.epoll_control = process_pool_wrapped_watch;
	fl__process_sys.eventfd = process_pool_wrapped_event;
	fl__process_sys.fork = process_pool_wrapped_fork;
	fl__process_sys.pidfd = process_pool_wrapped_pidfd;
	fl__process_sys.signalfd = process_pool_wrapped_signals;
}

#endif
