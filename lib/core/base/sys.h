/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * A file that includes this header may use the following headers, and those of os.h, without more.
 */
#include "../os/os.h"
#include <fairlead/error.h>
#include <fairlead/time.h>

/* A declaration. At the end of the block errno gets the value again that it has here. */
#define FL__KEEPS_ERRNO() __attribute__((cleanup(fl__errno_restore), unused)) const int FL__UNIQUE(fl__errno_) = errno

static inline void fl__errno_restore(const int *before)
{
	errno = *before;
}

/*
 * A declaration. Until the end of the block pthread_cancel() does not act on the thread. At the end
 * of the block errno gets the value again that it has here.
 *
 * No function of the library is a cancellation point (fairlead/defs.h). So each call of a function
 * of the C library that may be one, such as fopen(), stands in such a block, or in
 * FL__SYS_RESULT().
 *
 * The block must not suspend a fiber. The setting belongs to the thread, so the next fiber would
 * inherit it, and two such fibers would restore it in the wrong order. So within the block no
 * fl_mutex is locked, nothing is logged, and no function of the program is called. There is one
 * exception: fl__log() calls the log handler of the program, and also declares FL__BLOCKS_THREAD().
 * A block that is never executed by a fiber, or only by a process that is about to exit, may wait.
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
 * Makes the call. Returns its result, or the negative errno if the result is negative, and leaves
 * errno as it was. pthread_cancel() does not act on the thread in the call.
 */
#define FL__SYS_RESULT(call) FL__RESULT_UNDER(FL__UNCANCELLED, call)

/*
 * Does what FL__SYS_RESULT() does, for calls on fast paths that are not cancellation points:
 * syscall() and sched_getcpu().
 */
#define FL__QUICK_RESULT(call) FL__RESULT_UNDER(FL__KEEPS_ERRNO, call)

/* Makes the call until its result is not -EINTR. */
#define FL__RETRY(call)                                                                                                \
	__extension__({                                                                                                \
		__typeof__((call) + 0) _got;                                                                           \
		do                                                                                                     \
			_got = (call);                                                                                 \
		while (_got == -EINTR);                                                                                \
		_got;                                                                                                  \
	})

/* Returns `config`, or a config that is all-zero if `config` is NULL. */
#define FL__OR_DEFAULTS(config)                                                                                        \
	__extension__({                                                                                                \
		static const __typeof__(*(config)) _defaults;                                                          \
		(config) ? (config) : &_defaults;                                                                      \
	})

/* Spins for this many turns. */
static inline void fl__pause(unsigned turns)
{
	while (turns-- > 0)
		fl__sys.relax();
}

/* Returns whether a wait may poll before it sleeps (core/sync/polling.c). */
bool fl__may_poll(void);

/* Returns whether the calling thread pauses where it would otherwise yield (yield.c). */
bool fl__yields_are_barred(int64_t now);
/* The two words of yield.c that tests set. The head of yield.c has their table. */
extern _Thread_local int64_t fl__yield_ration FL__INITIAL_EXEC;
extern int64_t fl__yield_newest;

/*
 * Waits for one round of a loop that waits for a few instructions of another thread. `round` counts
 * the rounds from 0. The first rounds spin. From round FL__BACK_OFF_YIELDS on they let other
 * threads run, and from round FL__BACK_OFF_NAPS on they sleep for some 50 us. The caller may hold
 * locks, because other fibers of the thread do not run.
 */
void fl__back_off(unsigned round);
enum { FL__BACK_OFF_YIELDS = 6, FL__BACK_OFF_NAPS = FL__BACK_OFF_YIELDS + 32 };

/* A statement. It calls fl__back_off() in a loop until `condition` is true. */
#define FL__BACK_OFF_UNTIL(condition)                                                                                  \
	for (unsigned _round = 0; !(condition); _round++)                                                              \
	fl__back_off(_round)

/*
 * Makes a function a constructor of the library. The constructors of FL_TASK run later, and so do
 * those of the program, unless it has given them a priority below 200. They may turn the process
 * into a worker process, and then never return (FL_PROCESS_HOOK).
 */
#define FL__AT_START __attribute__((constructor(200)))

/* Makes a function a constructor that runs before all FL__AT_START. */
#define FL__AT_START_FIRST __attribute__((constructor(199)))

/*
 * A declaration. Until the end of the block a wait of the caller blocks its thread. If the caller
 * is a fiber, its loop runs no other fiber in the meantime. It is for code that runs while a lock
 * of the library is held (sync/mutex.h): a fiber that is suspended would keep the lock until its
 * loop runs it again.
 */
#define FL__BLOCKS_THREAD()                                                                                            \
	__attribute__((cleanup(fl__blocks_thread_end), unused)) const unsigned FL__UNIQUE(fl__blocks_thread_) =        \
	    fl__blocks_thread++
/* How many blocks with FL__BLOCKS_THREAD() the calling thread is in. */
extern _Thread_local unsigned fl__blocks_thread FL__INITIAL_EXEC;

/*
 * Whether the calling thread is in a log handler. Then further messages do not go to the handler,
 * which may hold a lock.
 */
extern _Thread_local bool fl__panic_logs FL__INITIAL_EXEC;

static inline void fl__blocks_thread_end(const unsigned *before)
{
	(void)before;
	fl__blocks_thread--;
}

/* Returns zeroed memory, or NULL if there is not enough or n * size overflows. */
void *fl__alloc(size_t n, size_t size);
void fl__free(void *memory); /* does nothing if `memory` is NULL */

/*
 * For system calls that are younger than some kernels, and younger than the filters of some
 * sandboxes. Such filters answer -EPERM to calls that they do not know (container engines before
 * 2021). None of these calls needs a permission, so -EPERM means -ENOSYS:
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
 * (-ENOSYS), waitid (the join returns -ENOSYS), MADV_DONTFORK (forked children have the memory,
 * too). A fork server is not made where it would lack a call that it needs (start/fork_server.c).
 *
 * Other calls are replaced after any error: membarrier (a fence in each fast path), close_range
 * (one close() each), MADV_GUARD_INSTALL (mprotect()), and calls that read attributes of a process
 * (start/attributes.c), which then count as equal.
 */
static inline int fl__eperm_to_enosys(int result)
{
	return result == -EPERM ? -ENOSYS : result;
}

/* For calls that use EAGAIN for a lack of memory: mmap() after mlockall(), and madvise(). */
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
 * Returns the address of a member without its const. It is for a getter, which gets the object as
 * const, but changes a lock in it, or a value that is found out only at the first call. No object
 * is defined const, so the write is allowed. It is also for a call of a function that has a
 * parameter without const, but does not write.
 */
#define FL__MUTABLE(place) ((void *)(uintptr_t)(place))

/* Rounds a number, or an address, up to a multiple of `to`, which is a power of two. */
#define FL__ROUND_UP(n, to) (((n) + (to)-1) & ~((__typeof__(n))(to)-1))
static inline void *fl__align(void *memory, size_t to)
{
	return (char *)memory + -(uintptr_t)memory % to;
}

/*
 * Code that compares or adds times uses numbers of the clock in ns in place of fl_time. There
 * FL__NEVER stands for FL_FOREVER, so that FL_FOREVER is the largest time.
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

/* Returns the sum, which saturates at FL__NEVER. */
static inline int64_t fl__later(int64_t deadline, int64_t ns)
{
	return deadline > FL__NEVER - ns ? FL__NEVER : deadline + ns;
}

static inline bool fl__is_expired(fl_time t)
{
	return t.ns != 0 && t.ns <= fl__sys.now();
}
