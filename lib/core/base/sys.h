/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include <errno.h>
#include <fairlead/error.h>
#include <fairlead/time.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/select.h> /* sigset_t; <signal.h> also declares <unistd.h> */

/* As in Linux's futex_waitv: a word and the value that keeps its waiter asleep. */
struct fl__futex {
	uint64_t expected;
	uint64_t word; /* its address */
	uint32_t flags, reserved;
};

enum { FL__FUTEXES = 128 };
#define FL__FUTEX_PRIVATE 0x82u /* 32 bits, private to the process */
#define FL__FUTEX_SHARED 0x02u  /* 32 bits, in shared memory */

/* Linux's struct robust_list_head: what the kernel reads when a thread ends. */
struct fl__robust_list {
	/* A ring through the locks' nodes, back to this struct. Bit 0 of a pointer is a flag. */
	void *first;
	long offset; /* from a node to the word of its lock */
	/* A lock that the thread is taking, freeing or waiting for. */
	void *pending;
};

/*
 * All calls to the system. Tests inject faults here; the laboratory's model replaces time, threads
 * and waits. Entries change only while no other thread is inside the library. Results: 0, a count,
 * or a negative errno.
 */
struct fl__sys {
	/*
	 * Sleeps while *word == expected, until a wake or the absolute monotonic deadline. 0 (also
	 * spurious), -EAGAIN (another value), -EINTR, -ETIMEDOUT. The caller checks the word.
	 */
	int (*futex_wait)(const uint32_t *word, uint32_t expected, int64_t deadline);
	/* Wakes up to n sleepers. The address may be of memory that is freed, or used anew. */
	int (*futex_wake)(const uint32_t *word, int n);
	int64_t (*now)(void);
	/* For a time slice, if another program computes on this CPU. */
	void (*yield)(void);
	/* A yield, or pauses if yields are barred (yield.c). Takes and returns the time. */
	int64_t (*give_way)(int64_t now);
	void (*nap)(void);           /* sleeps for some 50 us */
	void (*relax)(void);         /* one turn of a spin */
	void *(*alloc)(size_t size); /* NULL: out of memory */
	void (*free)(void *memory);
	int (*thread_create)(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *), void *arg);
	int (*thread_join)(pthread_t thread);
	int (*thread_detach)(pthread_t thread);
	/* Zeroed pages, never huge, resident once touched; or NULL. */
	void *(*map)(size_t size);
	void (*unmap)(void *memory, size_t size);
	/* Each access to these pages faults: 0. -ENOMEM: too many mappings. */
	int (*guard)(void *memory, size_t size);
	/* The next access finds zeros. Guards stay. */
	void (*discard)(void *memory, size_t size);
	/* As futex_wait and futex_wake, in memory that processes share. */
	int (*shared_wait)(const uint32_t *word, uint32_t expected, int64_t deadline);
	int (*shared_wake)(const uint32_t *word, int n);
	/*
	 * Stores `value`, 0 or bit 31, in such a word, and wakes up to n sleepers. A kill comes
	 * before both or after both. Releases.
	 */
	void (*shared_store_and_wake)(uint32_t *word, uint32_t value, int n);
	/*
	 * Sleeps while each of up to FL__FUTEXES words has its expected value. Results of
	 * futex_wait, and -ENOSYS. One sleep may consume several wakes. The deadline is the
	 * kernel's clock, from which a tool such as faketime moves now() away.
	 */
	int (*wait_many)(struct fl__futex *words, unsigned n, int64_t deadline);
	/* The calling thread's, from the C library. NULL: the system has none. */
	struct fl__robust_list *(*robust_list)(void);
	/* The TID in robust locks: 1 to 2^30 - 1. */
	uint32_t (*thread_id)(void);
	int (*cpu)(void); /* of the calling thread; negative: unknown */
	/* In any process. NULL: the system reports the death of every owner of a robust lock. */
	bool (*thread_exists)(uint32_t thread);
	/*
	 * A full fence in every thread of the process: 0. A process's first call may take ten
	 * milliseconds, later calls some microseconds.
	 */
	int (*membarrier)(void);
	/* Writes the whole text: 0, or the error that stops it. Async-signal-safe. */
	int (*print)(int fd, const char *text, size_t size);
};

extern struct fl__sys fl__sys;

/* A declaration: errno is at the end of the block what it was here. */
#define FL__KEEPS_ERRNO() __attribute__((cleanup(fl__errno_restore), unused)) const int FL__UNIQUE(fl__errno_) = errno

static inline void fl__errno_restore(const int *before)
{
	errno = *before;
}

/*
 * A declaration. pthread_cancel() does not act on the thread before the end of the block, which
 * also keeps errno. No function of the library is a cancellation point (fairlead/defs.h). So each
 * call of a function of the C library that may be one, as fopen(), stands in such a block, or in
 * FL__SYS_RESULT(). The block must not suspend the fiber, since the setting is the thread's: the
 * next fiber would inherit it, and two such fibers would restore it in the wrong order. So within
 * the block no fl_mutex is locked, nothing is logged, and no function of the program is called.
 * tests/check_cancel.py checks both for all that the tests execute. A block in which only threads
 * run, or a process that is about to exit, may wait.
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

/* The negative errno for -1. Leaves errno as it was. pthread_cancel() does not act in the call. */
#define FL__SYS_RESULT(call) FL__RESULT_UNDER(FL__UNCANCELLED, call)

/* The same for calls on fast paths that are no cancellation points: syscall(), sched_getcpu(). */
#define FL__QUICK_RESULT(call) FL__RESULT_UNDER(FL__KEEPS_ERRNO, call)

/* Calls again after -EINTR. */
#define FL__RETRY(call)                                                                                                \
	__extension__({                                                                                                \
		__typeof__((call) + 0) _got;                                                                           \
		do                                                                                                     \
			_got = (call);                                                                                 \
		while (_got == -EINTR);                                                                                \
		_got;                                                                                                  \
	})

/* `config`, or for NULL one that is all-zero. */
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

int64_t fl__give_way(int64_t now); /* the default of the table */
bool fl__yields_are_barred(int64_t now);
extern _Thread_local int64_t fl__yield_ration FL__INITIAL_EXEC; /* their state; for tests */
extern int64_t fl__yield_newest;

/*
 * One round of a loop that waits for a few instructions of another thread: spins, then lets other
 * threads run, at last sleeps some 50 us. `round`: 0, 1, 2, ... The caller may hold locks: fibers
 * of the thread do not run.
 */
void fl__back_off(unsigned round);
enum { FL__BACK_OFF_YIELDS = 6, FL__BACK_OFF_NAPS = FL__BACK_OFF_YIELDS + 32 }; /* the first such rounds */

/* A statement: such a loop, until `condition` is true. */
#define FL__BACK_OFF_UNTIL(condition)                                                                                  \
	for (unsigned _round = 0; !(condition); _round++)                                                              \
	fl__back_off(_round)

/* Used without guard markers. Adds two mappings; Linux allows 65,530. */
int fl__portable_guard(void *memory, size_t size);

size_t fl__page_size(void);

/*
 * As mmap() from `at` on, at any address. Stores the address. Returns 0 or a negative errno. It is
 * -ENOMEM, too, where the program has called mlockall() and the mapping would exceed the limit of
 * locked memory, which mmap() calls EAGAIN.
 */
int fl__map_file(int fd, uint64_t at, size_t size, int protection, int flags, void **memory);

/* Before a file grows to `size` bytes: 0; -EFBIG: above RLIMIT_FSIZE, writes raise SIGXFSZ. */
int fl__check_file_size(uint64_t size);

/*
 * A constructor of the library. Those of FL_TASK and of the program run later, and may turn the
 * process into a worker process, and never return (FL_PROCESS_HOOK).
 */
#define FL__AT_START __attribute__((constructor(200)))

/*
 * Runs before all FL__AT_START. So at a fork its handlers lock last and unlock first: the other
 * handlers may use that lock.
 */
#define FL__AT_START_FIRST __attribute__((constructor(199)))

/* Runs after them. At a fork its handler comes first, and finds their locks free. */
#define FL__AT_START_LAST __attribute__((constructor(201)))

/*
 * From the begin of the library's unload, or of the program's exit, on, handlers of forks do nothing
 * in the parent (unload.c). Changes only while no fork is going on.
 */
extern bool fl__forks_pass __attribute__((visibility("hidden")));

/*
 * Registers handlers of pthread_atfork() in a constructor: `when` is one of the three above. Fails
 * only for lack of memory. Then a forked child keeps its parent's waiters and held locks.
 */
#define FL__AT_FORK_IN_CHILD(when, in_child) FL__AT_FORK_RAW(when, NULL, NULL, in_child)
#define FL__AT_FORK_RAW(when, before, in_parent, in_child)                                                             \
	when static void in_child##_registered(void)                                                                   \
	{                                                                                                              \
		(void)pthread_atfork(before, in_parent, in_child);                                                     \
	}

/* The same, with handlers in the parent, which do nothing while `fl__forks_pass`. */
#define FL__AT_FORK(when, before, in_parent, in_child)                                                                 \
	static void in_child##_first(void)                                                                             \
	{                                                                                                              \
		if (!fl__forks_pass)                                                                                   \
			before();                                                                                      \
	}                                                                                                              \
	static void in_child##_then(void)                                                                              \
	{                                                                                                              \
		if (!fl__forks_pass)                                                                                   \
			in_parent();                                                                                   \
	}                                                                                                              \
	FL__AT_FORK_RAW(when, in_child##_first, in_child##_then, in_child)

/*
 * A declaration: until the end of the block a wait of the caller blocks its thread, also in a
 * fiber, whose loop then runs no other fiber. It is for what runs while a lock of the library is
 * held (sync/mutex.h): a fiber that is suspended would keep the lock until its loop runs it again.
 */
#define FL__BLOCKS_THREAD()                                                                                            \
	__attribute__((cleanup(fl__blocks_thread_end), unused)) const unsigned FL__UNIQUE(fl__blocks_thread_) =        \
	    fl__blocks_thread++
/* How many such blocks the calling thread is in. */
extern _Thread_local unsigned fl__blocks_thread FL__INITIAL_EXEC;

/*
 * Whether the calling thread is in a log handler. A message about what the handler does is not for
 * the handler, which may hold a lock.
 */
extern _Thread_local bool fl__panic_logs FL__INITIAL_EXEC;

static inline void fl__blocks_thread_end(const unsigned *before)
{
	(void)before;
	fl__blocks_thread--;
}

/* The same. Holds `lock`, an fl_mutex, over the fork; `in_child` initializes it. */
#define FL__AT_FORK_LOCKED(when, lock, in_child)                                                                       \
	static void in_child##_before(void)                                                                            \
	{                                                                                                              \
		fl__mutex_hold(&(lock));                                                                               \
	}                                                                                                              \
	static void in_child##_in_parent(void)                                                                         \
	{                                                                                                              \
		fl_mutex_unlock(&(lock));                                                                              \
	}                                                                                                              \
	FL__AT_FORK(when, in_child##_before, in_child##_in_parent, in_child)

/* Adds one to an eventfd. Fails only if that is readable. */
void fl__ring(int eventfd);

bool fl__is_main_thread(void);

/*
 * Whether the main thread has ended by pthread_exit() while other threads run. The process then
 * has no /proc/self/exe, /proc/self/fd and /proc/self/maps any more; /proc/thread-self has them.
 * False without /proc.
 */
bool fl__main_thread_has_ended(void);

/* Zeroed memory. NULL: out of memory, or n * size overflows. */
void *fl__alloc(size_t n, size_t size);
void fl__free(void *memory); /* NULL does nothing */

/*
 * Removes the signals of faults, which no thread of the library blocks: a blocked one ends the
 * process without its handler.
 */
void fl__signals_unblock_faults(sigset_t *signals);

/* Blocks all signals; `faults`: those of faults, too. Returns what the thread blocked before. */
sigset_t fl__signals_block(bool faults);
void fl__signals_restore(const sigset_t *before);
/* A declaration: blocks to the end of the block. */
#define FL__SIGNALS_BLOCKED(faults)                                                                                    \
	__attribute__((cleanup(fl__signals_restore), unused)) const sigset_t _mask = fl__signals_block(faults)

/* What the calling thread blocks, without the signals of faults. */
void fl__signals_of_thread(sigset_t *signals);

/*
 * As fl__sys.thread_create(). The thread begins with all signals blocked, but those of faults. A
 * thread that runs the user's code then blocks what its starter names.
 */
int fl__thread_create_blocked(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *), void *arg);

/*
 * For system calls that are younger than some kernels and than the filters of some sandboxes, which
 * answer -EPERM to calls that they do not know (container engines before 2021). None of these calls
 * needs a permission, so -EPERM means -ENOSYS:
 *
 *   call                since Linux   without it
 *   preadv2, pwritev2   4.6           poll(), then a call without flags (fd/try_io.c)
 *   memfd_create        3.17          -ENOSYS
 *   eventfd2            2.6.27        -ENOSYS
 *   pidfd_open          5.3           -ENOSYS
 *   epoll_pwait2        5.11          epoll_wait(), in milliseconds (loop/poller.c)
 *   futex_waitv         5.16          a look at each word every millisecond (process/shm/shm_bridge.c)
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

/* Calls that manage memory use EAGAIN for a lack of it: mmap() beside mlockall(), and madvise(). */
static inline int fl__eagain_to_enomem(int result)
{
	return result == -EAGAIN ? -ENOMEM : result;
}

/* They evaluate an argument twice. */
#define FL__MIN(a, b) ((a) < (b) ? (a) : (b))
#define FL__MAX(a, b) ((a) > (b) ? (a) : (b))

/* The number of elements of an array. */
#define FL__COUNT(array) (sizeof(array) / sizeof *(array))

/*
 * What a getter changes in the object that it reads: its lock, or what it finds out only now. No
 * object is defined const.
 */
#define FL__MUTABLE(place) ((void *)(uintptr_t)(place))

/* To a multiple of `to`, a power of two. */
#define FL__ROUND_UP(n, to) (((n) + (to)-1) & ~((__typeof__(n))(to)-1))
static inline void *fl__align(void *memory, size_t to)
{
	return (char *)memory + -(uintptr_t)memory % to;
}

/*
 * Where times are compared and added, a time is a number of the clock, and FL__NEVER is the number
 * of FL_FOREVER, so that it is the largest.
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

/* Saturates at FL__NEVER. */
static inline int64_t fl__later(int64_t deadline, int64_t ns)
{
	return deadline > FL__NEVER - ns ? FL__NEVER : deadline + ns;
}

static inline bool fl__is_expired(fl_time t)
{
	return t.ns != 0 && t.ns <= fl__sys.now();
}
