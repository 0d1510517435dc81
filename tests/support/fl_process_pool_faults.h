/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_PROCESS_POOL_FAULTS_H
#define FL_PROCESS_POOL_FAULTS_H

/*
 * Faults in all system calls of the process executor, in each of its processes. The calls below are
 * wrapped before main(), and therefore also in the fork server and the workers. The wrappers check
 * the arena for faults.
 *
 *     // the third fork of the fork server from now on fails
 *     process_pool_fail(PROCESS_POOL_FORK, PROCESS_POOL_IN_FORK_SERVER, 2, 1, -EAGAIN);
 *     ...
 *     process_pool_heal();                                    // returns the number of faults
 */
#include "fl_process_pool.h"

#include "process/shm/shm_sys.h"

/* CALL, the system's table and the entry in it, and the entry's type; alloc has no error. */
#define PROCESS_POOL_EACH_CALL(F)                                                                                      \
	F(MEMORY, shm_sys, memory, int, (void), ())                                                                    \
	F(RESIZE, shm_sys, resize, int, (int fd, uint64_t size), (fd, size))                                           \
	F(FILL, shm_sys, fill, int, (int fd, uint64_t at, uint64_t size), (fd, at, size))                              \
	F(SEALS, shm_sys, add_seals, int, (int fd, int seals), (fd, seals))                                            \
	F(SIZE, shm_sys, size, int, (int fd, uint64_t *size), (fd, size))                                              \
	F(MAP, shm_sys, map, int, (int fd, size_t size, bool writable, void **memory), (fd, size, writable, memory))   \
	F(KEEP, shm_sys, keep, int, (void *memory, size_t size), (memory, size))                                       \
	F(PAIR, fd_sys, pair, int, (int sockets[2]), (sockets))                                                        \
	F(SEND, net_sys, sendmsg, ssize_t, (int fd, const struct msghdr *m), (fd, m))                                  \
	F(RECEIVE, net_sys, recvmsg, ssize_t, (int fd, struct msghdr *m, int flags), (fd, m, flags))                   \
	F(MESSAGE_MEMORY, fd_sys, memfd, int, (void), ())                                                              \
	F(WRITE_AT, fd_sys, write_at, ssize_t, (int fd, const void *data, size_t size, off_t at),                      \
	  (fd, data, size, at))                                                                                        \
	F(SEAL, fd_sys, seal, int, (int fd), (fd))                                                                     \
	F(SEALED_SIZE, fd_sys, sealed_size, int, (int fd, int64_t *size), (fd, size))                                  \
	F(WATCH_CREATE, fd_sys, epoll_create, int, (void), ())                                                         \
	F(WATCH, fd_sys, epoll_control, int, (int epoll, int op, int fd, uint32_t events), (epoll, op, fd, events))    \
	F(EVENT, process_sys, eventfd, int, (void), ())                                                                \
	F(FORK, process_sys, fork, int, (void), ())                                                                    \
	F(PIDFD, process_sys, pidfd, int, (int pid), (pid))                                                            \
	F(SIGNALS, process_sys, signalfd, int, (const sigset_t *set), (set))                                           \
	F(THREAD, sys, thread_create, int,                                                                             \
	  (pthread_t * thread, const pthread_attr_t *attr, void *(*start)(void *), void *arg),                         \
	  (thread, attr, start, arg))

#define PROCESS_POOL_CALL(call, ...) PROCESS_POOL_##call,
enum process_pool_call { PROCESS_POOL_EACH_CALL(PROCESS_POOL_CALL) PROCESS_POOL_ALLOC, PROCESS_POOL_CALLS };

#define PROCESS_POOL_NAME(call, ...) #call,
static const char *const process_pool_call_names[PROCESS_POOL_CALLS] = {
    PROCESS_POOL_EACH_CALL(PROCESS_POOL_NAME) "ALLOC"};

enum process_pool_role { PROCESS_POOL_HERE, PROCESS_POOL_IN_FORK_SERVER, PROCESS_POOL_IN_WORKER };

struct process_pool_fault {
	int call, role, error, skip, count;
	int struck;
};

static struct process_pool_fault *process_pool_fault; /* in the arena: at its very beginning */
static int process_pool_first_pid;                    /* of this program, or of the fork server */
static bool process_pool_is_maker;

/* Returns 0, or the error with which this call must fail. */
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

/*
 * For each system call of processes in that role, runs `body` with a fault at the first call, then
 * at the second, and so on until `body` meets no fault. `body` begins the fault with
 * process_pool_fail(), and returns what process_pool_heal() returns.
 */
PROCESS_POOL_FN void process_pool_sweep(int role, int (*body)(int call, int role, int skip))
{
	const struct process_pool_census before = process_pool_begin();
	int struck_in_all = 0;
	PROCESS_LOG();
	for (int call = 0; call < PROCESS_POOL_CALLS; call++) {
		int struck = 1, skip = 0;
		for (; struck > 0 && skip < 80; skip++) {
			struck = body(call, role, skip);
			struck_in_all += struck;
			process_pool_same(&before);
		}
		assert_true(skip < 80);
		if (skip > 1)
			print_message("%s: %d\n", process_pool_call_names[call], skip - 1);
	}
	assert_true(struck_in_all > 0);
}

/* The wrappers. */
static struct fl__sys process_pool_real_sys;
static struct fl__shm_sys process_pool_real_shm_sys;
static struct fl__fd_sys process_pool_real_fd_sys;
static struct fl__net_sys process_pool_real_net_sys;
static struct fl__process_sys process_pool_real_process_sys;

#define PROCESS_POOL_WRAP(call, table, entry, result, params, args)                                                    \
	static result process_pool_wrapped_##entry params                                                              \
	{                                                                                                              \
		const int error = process_pool_strike(PROCESS_POOL_##call);                                            \
		return error != 0 ? error : process_pool_real_##table.entry args;                                      \
	}
PROCESS_POOL_EACH_CALL(PROCESS_POOL_WRAP)

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
	process_pool_real_shm_sys = fl__shm_sys;
	process_pool_real_fd_sys = fl__fd_sys;
	process_pool_real_net_sys = fl__net_sys;
	process_pool_real_process_sys = fl__process_sys;
#define PROCESS_POOL_INSTALL(call, table, entry, ...) fl__##table.entry = process_pool_wrapped_##entry;
	PROCESS_POOL_EACH_CALL(PROCESS_POOL_INSTALL)
	fl__sys.alloc = process_pool_wrapped_alloc;
}

#endif
