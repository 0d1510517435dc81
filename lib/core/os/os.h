/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#ifdef _WIN32
#include "windows.h"
#else
#include <sys/select.h> /* sigset_t; <signal.h> also declares <unistd.h> */
#define FL__HIDDEN __attribute__((visibility("hidden")))
#ifdef __APPLE__
#include "macos.h"
#endif
#endif
#ifdef __ELF__
/*
 * A function of a part that only some programs link. It is weak, and so NULL in a program without
 * the part. It is hidden, and so never the function of another copy of the library.
 */
#define FL__IF_LINKED __attribute__((weak)) FL__HIDDEN
#define FL__IS_LINKED(function) ((function) != NULL)
#define FL__UNLOADS true /* dlclose() */
#else
/* Every program links these functions: a weak reference does not reach into an archive here. */
#define FL__IF_LINKED FL__HIDDEN
#define FL__IS_LINKED(function) true
#define FL__UNLOADS false
#endif

/*
 * This header says what a system must provide. Each system has a file of this folder with its
 * calls: linux.c for Linux, windows.c for Windows, and posix.c for systems whose wait on an address
 * is not public. For tests, Linux uses posix.c, too, if FL__OS_POSIX is defined (meson:
 * -Dos=posix). unix.c has what linux.c and posix.c share. Outside of this folder, no file of the
 * core names a system in an #if, or includes a header that only some systems have.
 * tests/check_layers.py checks that.
 */
enum { FL__THREAD_IDS = 0x3fffffff }; /* FUTEX_TID_MASK of Linux */

#if !defined __linux__ && !defined _WIN32 && !defined FL__OS_POSIX
#define FL__OS_POSIX
#endif

/* A word, and the value that keeps its waiter asleep, for Linux's futex_waitv. */
struct fl__futex {
	uint64_t expected;
	uint64_t word; /* its address */
	uint32_t flags, reserved;
};

enum { FL__FUTEXES = 128 };
#define FL__FUTEX_PRIVATE 0x82u /* 32 bits, private to the process */
#define FL__FUTEX_SHARED 0x02u  /* 32 bits, in shared memory */

/* The kernel reads this list when a thread ends. It is the struct robust_list_head of Linux. */
struct fl__robust_list {
	/* A ring through the locks' nodes, back to this struct. Bit 0 of a pointer is a flag. */
	void *first;
	long offset; /* from a node to the word of its lock */
	/* A lock that the thread is taking, freeing or waiting for. */
	void *pending;
};

/*
 * The table of the calls to the system that differ between systems, that tests make fail, or that
 * the laboratory's model replaces (time, threads and waits). Entries change only while no other
 * thread is inside the library. A call that returns an int returns 0, a count, or a negative errno.
 */
struct fl__sys {
	/*
	 * Sleeps while *word == expected, until a wake or the absolute monotonic deadline. Returns
	 *
	 *   0           after a wake, or spuriously
	 *   -EAGAIN     if the word has another value
	 *   -EINTR      after a signal
	 *   -ETIMEDOUT  after the deadline
	 *
	 * or another error, if the system forbids the call: then it has yielded instead. The caller
	 * checks the word after each result. The call is no cancellation point. Signal handlers run
	 * during the sleep, and may wake the sleeper.
	 */
	int (*futex_wait)(const uint32_t *word, uint32_t expected, int64_t deadline);
	/*
	 * Wakes up to n sleepers, or on Windows all of them if n > 1. The address may be of memory
	 * that is freed, or used anew. The call is async-signal-safe.
	 */
	int (*futex_wake)(const uint32_t *word, int n);
	int64_t (*now)(void);
	/*
	 * Returns the number of the clock that now() reads. Processes of one machine that have the
	 * same number read the same clock. 0 means that the number is not known. NULL on a system
	 * without the part process.
	 */
	uint64_t (*clock_number)(void);
	/*
	 * Lets other threads run on this CPU. If one of another program computes there, it runs for
	 * a time slice.
	 */
	void (*yield)(void);
	/*
	 * Yields, or pauses if yields are barred (yield.c). `now` is the time before, and the
	 * result the time after.
	 */
	int64_t (*give_way)(int64_t now);
	void (*nap)(void);           /* sleeps for some 50 us, or on Windows some ms */
	void (*relax)(void);         /* one turn of a spin */
	void *(*alloc)(size_t size); /* NULL if there is no memory */
	void (*free)(void *memory);
	int (*thread_create)(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *), void *arg);
	int (*thread_join)(pthread_t thread);
	int (*thread_detach)(pthread_t thread);
	/*
	 * Returns zeroed pages, or NULL. They are not huge pages, and each becomes resident when it
	 * is touched.
	 */
	void *(*map)(size_t size);
	void (*unmap)(void *memory, size_t size);
	/* Returns the CPU of the calling thread, or a negative number if that is not known. */
	int (*cpu)(void);
	/*
	 * Makes every thread of the process pass a full fence, and returns 0. The first call of a
	 * process may take ten milliseconds, later calls some microseconds. If the system has no
	 * such call, each call, from the first one on, returns a negative errno. Then the fast
	 * paths have fences of their own.
	 */
	int (*membarrier)(void);
	/*
	 * Writes the whole text. Returns 0, or the error that has stopped it. It is
	 * async-signal-safe.
	 */
	int (*print)(int fd, const char *text, size_t size);
	/* Returns an id of the calling thread, from 1 to FL__THREAD_IDS. */
	uint32_t (*thread_id)(void);
	/*
	 * Returns whether the thread with that id runs, in any process. Returns true if that is not
	 * known. The entry may be NULL on a system that reports the death of every owner of a
	 * robust lock.
	 */
	bool (*thread_exists)(uint32_t thread);

	/*
	 * The other entries are for the parts process and loop alone. They are NULL on a system
	 * without these parts.
	 */

	/*
	 * Makes each access to these pages fault. Returns 0, or -ENOMEM if there are too many
	 * mappings.
	 */
	int (*guard)(void *memory, size_t size);
	/*
	 * Makes the next access to these pages find zeros, except where memory is locked
	 * (mlockall()): locked pages keep their contents. Guards stay.
	 */
	void (*discard)(void *memory, size_t size);
	/* These do what futex_wait and futex_wake do, in memory that processes share. */
	int (*shared_wait)(const uint32_t *word, uint32_t expected, int64_t deadline);
	int (*shared_wake)(const uint32_t *word, int n);
	/*
	 * Stores `value`, which is 0 or bit 31, in a word that processes share, and wakes up to n
	 * sleepers. A kill comes before both steps or after both, except on an emulator that lacks
	 * the kernel's operation: there it may come between them. The store is a release.
	 */
	void (*shared_store_and_wake)(uint32_t *word, uint32_t value, int n);
	/*
	 * Sleeps while each of up to FL__FUTEXES words has its expected value. Returns what
	 * futex_wait returns, or -ENOSYS. One sleep may consume several wakes. The sleep ends too
	 * early or too late if a tool such as faketime moves the C library's clock away from the
	 * kernel's.
	 */
	int (*wait_many)(struct fl__futex *words, unsigned n, int64_t deadline);
	/*
	 * Returns the list of the calling thread, which the C library has made, or NULL if there is
	 * none.
	 */
	struct fl__robust_list *(*robust_list)(void);
};

extern struct fl__sys fl__sys;

/*
 * Returns how long a sleep may last: the time that is left until the deadline, from 0 to `most`. A
 * sleep that ends before the deadline counts as a spurious wakeup.
 */
static inline int64_t fl__time_left(int64_t deadline, int64_t most)
{
	const int64_t now = fl__sys.now();
	return deadline <= now ? 0 : deadline - now < most ? deadline - now : most;
}

/* These entries are the same in the table of each system. */
#define FL__SHARED_ENTRIES                                                                                             \
	.give_way = fl__give_way, .relax = fl__relax, .alloc = fl__sys_alloc, .free = fl__sys_free,                    \
	.thread_join = fl__sys_thread_join, .thread_detach = fl__sys_thread_detach
void *fl__sys_alloc(size_t size);
void fl__sys_free(void *memory);
int fl__sys_thread_join(pthread_t thread);
int fl__sys_thread_detach(pthread_t thread);
void fl__relax(void);
int64_t fl__give_way(int64_t now); /* the default of the table */

/* Calls write() until all is written. Returns 0, or the error that has stopped it. */
int fl__write_all(int fd, const char *text, size_t size);

#if defined FL__OS_POSIX || defined _WIN32
#define fl__cpu_count fl__cpu_affinity_count /* no control groups */
#else
unsigned fl__cpu_count(void); /* fl_cpu_count() */
#endif

/*
 * Returns the number of CPUs, without regard to the quotas of control groups, which stand in files.
 * On Linux and Windows these are the CPUs of the affinity mask, and no file is opened.
 */
unsigned fl__cpu_affinity_count(void);

/* Names the calling thread for debuggers. The system may cut the name. */
void fl__name_thread(const char *name);

/*
 * Calls change(arg) while no other copy of the library in this process is in such a call. posix.c
 * cannot keep other copies out. The caller holds a lock of this copy.
 */
void fl__with_loader_locked(void (*change)(void *arg), void *arg);

/*
 * Does what guard() does, by mprotect(). That adds two mappings, of which Linux allows 65,530 by
 * default.
 */
int fl__portable_guard(void *memory, size_t size);

size_t fl__page_size(void);

/*
 * Maps `size` bytes of a file, from its byte `at` on, at any address, and stores that address.
 * Returns 0 or a negative errno. If the program has called mlockall(), and the mapping would exceed
 * the limit of locked memory, the result is -ENOMEM, and not the EAGAIN of mmap().
 */
int fl__map_file(int fd, uint64_t at, size_t size, int protection, int flags, void **memory);

/*
 * Called before a file grows to `size` bytes. Returns 0, or -EFBIG if that exceeds RLIMIT_FSIZE:
 * then a write would raise SIGXFSZ.
 */
int fl__check_file_size(uint64_t size);

/*
 * Adds one to an eventfd. If the descriptor is valid, that fails only while the eventfd is readable
 * already.
 */
void fl__ring(int eventfd);

/*
 * Deadlines and other times go from one process to another as times of the monotonic clock. But a
 * process in another time namespace (a container, unshare(CLONE_NEWTIME)) has another clock, which
 * is ahead or behind. So a process that the library starts follows the clock of the process that
 * has started it. Then all times that the two exchange mean the same to both, those of the program,
 * too.
 */
struct fl__clock {
	int64_t now, wall; /* fl__sys.now() and CLOCK_REALTIME, read at one time */
	uint64_t number;   /* fl__sys.clock_number() */
};

void fl__clock_read(struct fl__clock *clock);

/*
 * If the numbers of both clocks are known and differ, fl__sys.now() from now on reads the clock of
 * the process in which `theirs` was read, a moment before. CLOCK_REALTIME, which has no namespaces,
 * tells the difference of the clocks. The process has one thread.
 */
void fl__clock_follow(const struct fl__clock *theirs);

bool fl__is_main_thread(void);

/*
 * Returns whether the main thread has ended by pthread_exit() while other threads run. Then the
 * process no longer has /proc/self/exe, /proc/self/fd and /proc/self/maps, but /proc/thread-self
 * has these files. Without /proc the result is false.
 */
bool fl__main_thread_has_ended(void);

/*
 * Removes the signals of faults from the set. No thread of the library blocks them, except for the
 * moment in which it starts a process, because a fault whose signal is blocked ends the process
 * without a call of its handler.
 */
void fl__signals_unblock_faults(sigset_t *signals);

/*
 * Blocks all signals, but those of faults only if `faults` is true. Returns what the thread blocked
 * before.
 */
sigset_t fl__signals_block(bool faults);
void fl__signals_restore(const sigset_t *before);
/* This declaration blocks the signals to the end of the block. */
#define FL__SIGNALS_BLOCKED(faults)                                                                                    \
	__attribute__((cleanup(fl__signals_restore), unused)) const sigset_t _mask = fl__signals_block(faults)

/* Stores the set of signals that the calling thread blocks, without those of faults. */
void fl__signals_of_thread(sigset_t *signals);

/*
 * Does what fl__sys.thread_create() does. The thread begins with all signals blocked, except those
 * of faults. A thread that runs the user's code later blocks the signals that its starter has
 * named.
 */
int fl__thread_create_blocked(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *), void *arg);
