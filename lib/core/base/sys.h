/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * What all files of the library use of the system. A file that includes this header may also use
 * the following headers, and those of os.h, without including them.
 */
#include "../os/os.h"
#include <fairlead/error.h>
#include <fairlead/time.h>

/* A declaration. When the block ends, restores the value that errno has here. */
#define FL__KEEPS_ERRNO() __attribute__((cleanup(fl__errno_restore), unused)) const int FL__UNIQUE(fl__errno_) = errno

static inline void fl__errno_restore(const int *before)
{
	errno = *before;
}

/*
 * A declaration. Until the end of the block pthread_cancel() does not act on the thread. When the
 * block ends, errno gets back the value that it has here.
 *
 * No function of the library is a cancellation point (fairlead/defs.h). So if a function of the C
 * library may be one, such as fopen(), each call of it is in such a block, or in FL__SYS_RESULT().
 *
 * The block must not suspend a fiber, because the setting belongs to the thread: the next fiber
 * would inherit it, and two such fibers would restore it in the wrong order. So code within the
 * block does not lock an fl_mutex, does not log, and does not call functions of the program.
 * However, fl__log() calls the log handler of the program, and therefore also declares
 * FL__BLOCKS_THREAD(). A block may wait if it is never executed by a fiber, or only when the
 * process is about to exit.
 *
 * tests/check_cancel.py checks both rules for all code that the tests execute.
 */
#define FL__UNCANCELLED()                                                                                              \
	__attribute__((cleanup(fl__uncancelled_end), unused)) const struct fl__uncancelled FL__UNIQUE(                 \
	    fl__uncancelled_) = fl__uncancelled_begin()

struct fl__uncancelled {
	int error, state;
};

static inline struct fl__uncancelled fl__uncancelled_begin(void)
{
	struct fl__uncancelled before = {.error = errno};
	(void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before.state);
	return before;
}

static inline void fl__uncancelled_end(const struct fl__uncancelled *before)
{
	int disabled;
	(void)pthread_setcancelstate(before->state, &disabled);
	errno = before->error;
}

#define FL__RESULT_UNDER(guard, call)                                                                                  \
	__extension__({                                                                                                \
		guard();                                                                                               \
		const __typeof__(call) _rc = (call);                                                                   \
		_rc < 0 ? -errno : _rc;                                                                                \
	})

/*
 * Evaluates the call. Returns its result, or the negative errno if the result is negative, and
 * leaves errno unchanged. pthread_cancel() does not act on the thread during the call.
 */
#define FL__SYS_RESULT(call) FL__RESULT_UNDER(FL__UNCANCELLED, call)

/*
 * Does what FL__SYS_RESULT() does, for the calls on fast paths that are not cancellation points:
 * syscall() and sched_getcpu().
 */
#define FL__QUICK_RESULT(call) FL__RESULT_UNDER(FL__KEEPS_ERRNO, call)

/* Repeats the call until its result is not -EINTR. */
#define FL__RETRY(call)                                                                                                \
	__extension__({                                                                                                \
		__typeof__((call) + 0) _got;                                                                           \
		do                                                                                                     \
			_got = (call);                                                                                 \
		while (_got == -EINTR);                                                                                \
		_got;                                                                                                  \
	})

/* Returns `config`, or an all-zero config if `config` is NULL. */
#define FL__OR_DEFAULTS(config)                                                                                        \
	__extension__({                                                                                                \
		static const __typeof__(*(config)) _defaults;                                                          \
		(config) ? (config) : &_defaults;                                                                      \
	})

/* Spins for `turns` turns. */
static inline void fl__pause(unsigned turns)
{
	while (turns-- > 0)
		fl__sys.relax();
}

/* Returns whether a wait may poll before it sleeps (core/sync/polling.c). */
bool fl__may_poll(void);

/* Returns whether the calling thread must pause instead of yielding (yield.c). */
bool fl__yields_are_barred(int64_t now);
/* Two words of yield.c that tests set. The table at the top of yield.c explains them. */
extern _Thread_local int64_t fl__yield_ration FL__INITIAL_EXEC;
extern int64_t fl__yield_newest;

/*
 * One round of a loop that waits for a few instructions of another thread. `round` counts the
 * rounds from 0. The first rounds spin. From round FL__BACK_OFF_YIELDS on, they let other threads
 * run, and from round FL__BACK_OFF_NAPS on, they sleep for about 50 us. The caller may hold locks,
 * because no other fiber of the thread runs meanwhile.
 */
void fl__back_off(unsigned round);
enum { FL__BACK_OFF_YIELDS = 6, FL__BACK_OFF_NAPS = FL__BACK_OFF_YIELDS + 32 };

/* A statement that calls fl__back_off() in a loop until `condition` is true. */
#define FL__BACK_OFF_UNTIL(condition)                                                                                  \
	for (unsigned _round = 0; !(condition); _round++)                                                              \
	fl__back_off(_round)

/*
 * Makes a function a constructor of the library. The constructors of FL_TASK run later, and so do
 * those of the program, unless their priority is below 200. They may turn the process into a worker
 * process, and then never return (FL_PROCESS_HOOK).
 */
#define FL__AT_START __attribute__((constructor(200)))

/* Makes a function a constructor that runs before all FL__AT_START. */
#define FL__AT_START_FIRST __attribute__((constructor(199)))

/*
 * A declaration. Until the end of the block, a wait of the caller blocks its thread; if the caller
 * is a fiber, its loop does not run another fiber meanwhile. This is for code that runs while a
 * lock of the library is held (sync/mutex.h), because a suspended fiber would keep the lock until
 * its loop runs it again.
 */
#define FL__BLOCKS_THREAD()                                                                                            \
	__attribute__((cleanup(fl__blocks_thread_end), unused)) const unsigned FL__UNIQUE(fl__blocks_thread_) =        \
	    fl__blocks_thread++
/* How many blocks with FL__BLOCKS_THREAD() the calling thread is in. */
extern _Thread_local unsigned fl__blocks_thread FL__INITIAL_EXEC;

/*
 * Whether the calling thread is in a log handler. If so, further messages do not go to the handler,
 * because it may hold a lock.
 */
extern _Thread_local bool fl__panic_logs FL__INITIAL_EXEC;

static inline void fl__blocks_thread_end(const unsigned *before)
{
	(void)before;
	fl__blocks_thread--;
}

/* Returns zeroed memory, or NULL if there is not enough memory or n * size overflows. */
void *fl__alloc(size_t n, size_t size);
void fl__free(void *memory); /* does nothing if `memory` is NULL */

/*
 * For system calls that are newer than some kernels and than the filters of some sandboxes. Such
 * filters (container engines before 2021) answer -EPERM to calls that they do not know. Since none
 * of these calls needs a permission, -EPERM means -ENOSYS:
 *
 *   call                since Linux   without it
 *   preadv2, pwritev2   4.6           poll(), then a call without flags (fd/try_io.c)
 *   memfd_create        3.17          -ENOSYS
 *   eventfd2            2.6.27        -ENOSYS
 *   pidfd_open          5.3           -ENOSYS
 *   epoll_pwait2        5.11          epoll_wait(), in milliseconds (loop/poller.c)
 *   futex_waitv         5.16          a look at each word every millisecond
 *                                     (process/shm/shm_bridge.c)
 *
 * The same holds for some older calls that strict filters deny: epoll_create1, fallocate, signalfd4
 * (-ENOSYS), waitid (the join returns -ENOSYS), MADV_DONTFORK (forked children inherit the memory).
 * A fork server is not started where it would lack a call that it needs (start/fork_server.c).
 *
 * Other calls are replaced after any error: membarrier (by a fence in each fast path), close_range
 * (by one close() each), MADV_GUARD_INSTALL (by mprotect()), and calls that read attributes of a
 * process (start/attributes.c), which then count as equal.
 */
static inline int fl__eperm_to_enosys(int result)
{
	return result == -EPERM ? -ENOSYS : result;
}

/* For calls that report a lack of memory as EAGAIN: mmap() after mlockall(), and madvise(). */
static inline int fl__eagain_to_enomem(int result)
{
	return result == -EAGAIN ? -ENOMEM : result;
}

/* FL__MIN() and FL__MAX() evaluate an argument twice. */
#define FL__MIN(a, b) ((a) < (b) ? (a) : (b))
#define FL__MAX(a, b) ((a) > (b) ? (a) : (b))

/* The number of elements of an array. */
#define FL__COUNT(array) (sizeof(array) / sizeof *(array))

/*
 * Returns the address of a member without its const. This is for getters whose object is const,
 * although they change a lock in it, or a value that the first call computes. The write is allowed,
 * because no object is defined const. It is also for calls of functions that do not write, but
 * whose parameter is not const.
 */
#define FL__MUTABLE(place) ((void *)(uintptr_t)(place))

/* Rounds a number, or an address, up to a multiple of `to`, which is a power of two. */
#define FL__ROUND_UP(n, to) (((n) + (to)-1) & ~((__typeof__(n))(to)-1))
static inline void *fl__align(void *memory, size_t to)
{
	return (char *)memory + -(uintptr_t)memory % to;
}

/*
 * Code that compares or adds times uses numbers of the clock, in ns, instead of fl_time. Such a
 * number is FL__NEVER for FL_FOREVER, so that FL_FOREVER is the latest time.
 */
#define FL__NEVER INT64_MAX

static inline int64_t fl__expiry(fl_time t)
{
	return t.ns ? t.ns : FL__NEVER;
}

static inline bool fl__is_forever(fl_time t)
{
	return t.ns == 0;
}

static inline bool fl__is_try(fl_time t)
{
	return t.ns == INT64_MIN;
}

static inline int64_t fl__min_deadline(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static inline fl_time fl__earlier(fl_time a, fl_time b)
{
	return fl__expiry(a) < fl__expiry(b) ? a : b;
}

/* Returns the sum, or FL__NEVER if it would be later. */
static inline int64_t fl__later(int64_t deadline, int64_t ns)
{
	return deadline > FL__NEVER - ns ? FL__NEVER : deadline + ns;
}

static inline bool fl__is_expired(fl_time t)
{
	return t.ns != 0 && t.ns <= fl__sys.now();
}
