/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a system must provide. Each system has a file in this folder with its calls: linux.c,
 * windows.c, and posix.c for systems that have no public wait on an address. For tests, Linux uses
 * posix.c as well if FL__OS_POSIX is defined (meson: -Dos=posix). unix.c contains what linux.c and
 * posix.c share. Outside of this folder, no file of the core names a system in an #if, or includes
 * a header that only some systems have. tests/check_layers.py checks that.
 */
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
 * Declares a function of a part that only some programs link. It is weak, so that it is NULL in a
 * program without the part, and hidden, so that it is never the function of another copy of the
 * library.
 */
#define FL__IF_LINKED __attribute__((weak)) FL__HIDDEN
#define FL__IS_LINKED(function) ((function) != NULL)
#define FL__UNLOADS true /* dlclose() */
#else
/* Every program links these functions, because here a weak reference does not search an archive. */
#define FL__IF_LINKED FL__HIDDEN
#define FL__IS_LINKED(function) true
#define FL__UNLOADS false
#endif

enum { FL__THREAD_IDS = 0x3fffffff }; /* FUTEX_TID_MASK of Linux */

#if !defined __linux__ && !defined _WIN32 && !defined FL__OS_POSIX
#define FL__OS_POSIX
#endif

/* A word, and the value for which its waiter stays asleep, for Linux's futex_waitv. */
struct fl__futex {
	uint64_t expected;
	uint64_t word; /* its address */
	uint32_t flags, reserved;
};

enum { FL__FUTEXES = 128 };
#define FL__FUTEX_PRIVATE 0x82u /* 32 bits, private to the process */
#define FL__FUTEX_SHARED 0x02u  /* 32 bits, in shared memory */

/* The list that the kernel reads when a thread ends: Linux's struct robust_list_head. */
struct fl__robust_list {
	/*
	 * A ring through the nodes of the locks, back to this struct. Bit 0 of a pointer is a flag.
	 */
	void *first;
	long offset; /* from a node to the word of its lock */
	/* A lock that the thread is acquiring, releasing or waiting for. */
	void *pending;
};

/*
 * The table of calls to the system that differ between systems, that tests make fail, or that the
 * laboratory's model replaces (time, threads and waits). Entries change only while no other thread
 * is inside the library. A call that returns an int returns 0, a count, or a negative errno.
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
	 * or another error if the system forbids the call; then it has yielded instead. So the
	 * caller checks the word after each result. The call is not a cancellation point. Signal
	 * handlers run during the sleep, and may wake the sleeper.
	 */
	int (*futex_wait)(const uint32_t *word, uint32_t expected, int64_t deadline);
	/*
	 * Wakes up to n sleepers; on Windows all of them if n > 1. The memory at the address may
	 * have been freed or reused. The call is async-signal-safe.
	 */
	int (*futex_wake)(const uint32_t *word, int n);
	int64_t (*now)(void);
	/*
	 * Returns the number of the clock that now() reads, or 0 if it is not known. Processes of
	 * one machine with the same number read the same clock. NULL on a system without the part
	 * process.
	 */
	uint64_t (*clock_number)(void);
	/*
	 * Lets other threads run on this CPU. If a thread of another program computes there, it
	 * runs for a time slice.
	 */
	void (*yield)(void);
	/*
	 * Yields, or pauses if yields are barred (yield.c). `now` is the time before; returns the
	 * time after.
	 */
	int64_t (*give_way)(int64_t now);
	void (*nap)(void);           /* sleeps for about 50 us; on Windows a few ms */
	void (*relax)(void);         /* one turn of a spin */
	void *(*alloc)(size_t size); /* NULL if there is no memory */
	void (*free)(void *memory);
	int (*thread_create)(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *), void *arg);
	int (*thread_join)(pthread_t thread);
	int (*thread_detach)(pthread_t thread);
	/*
	 * Returns zeroed pages, or NULL. They are not huge pages, so each becomes resident when it
	 * is touched.
	 */
	void *(*map)(size_t size);
	void (*unmap)(void *memory, size_t size);
	/* Returns the CPU of the calling thread, or a negative number if it is not known. */
	int (*cpu)(void);
	/*
	 * Makes every thread of the process execute a full fence, and returns 0. The first call of
	 * a process may take ten milliseconds, later calls a few microseconds. If the system has no
	 * such call, every call, including the first, returns a negative errno, and the fast paths
	 * use their own fences.
	 */
	int (*membarrier)(void);
	/* Writes the whole text. Returns 0, or the error that stopped it. Async-signal-safe. */
	int (*print)(int fd, const char *text, size_t size);
	/* Returns an id of the calling thread, from 1 to FL__THREAD_IDS. */
	uint32_t (*thread_id)(void);
	/*
	 * Returns whether a thread with that id exists in any process, or true if that is not
	 * known. The entry may be NULL on a system that reports the death of every owner of a
	 * robust lock.
	 */
	bool (*thread_exists)(uint32_t thread);

	/*
	 * The other entries are only for the parts process and loop, and NULL on a system without
	 * them.
	 */

	/*
	 * Makes each access to these pages fault. Returns 0, or -ENOMEM if there are too many
	 * mappings.
	 */
	int (*guard)(void *memory, size_t size);
	/*
	 * Makes the next access to these pages find zeros. Locked pages (mlockall()), however, keep
	 * their contents. Guards stay.
	 */
	void (*discard)(void *memory, size_t size);
	/* These do what futex_wait and futex_wake do, for memory that processes share. */
	int (*shared_wait)(const uint32_t *word, uint32_t expected, int64_t deadline);
	int (*shared_wake)(const uint32_t *word, int n);
	/*
	 * Stores `value`, which is 0 or bit 31, in a word that processes share, and wakes up to n
	 * sleepers. If the thread is killed, it has done both steps or neither, except on an
	 * emulator that lacks the kernel's operation, where the kill may come between them. The
	 * store is a release.
	 */
	void (*shared_store_and_wake)(uint32_t *word, uint32_t value, int n);
	/*
	 * Sleeps while each of up to FL__FUTEXES words has its expected value. Returns what
	 * futex_wait returns, or -ENOSYS. One sleep may consume several wakes. If a tool such as
	 * faketime moves the C library's clock away from the kernel's, the sleep ends too early or
	 * too late.
	 */
	int (*wait_many)(struct fl__futex *words, unsigned n, int64_t deadline);
	/*
	 * Returns the calling thread's list, which the C library has made, or NULL if there is
	 * none.
	 */
	struct fl__robust_list *(*robust_list)(void);
};

extern struct fl__sys fl__sys;

/*
 * Returns how long a sleep may last: the time until the deadline, from 0 to `most`. A sleep that
 * ends before the deadline counts as a spurious wakeup.
 */
static inline int64_t fl__time_left(int64_t deadline, int64_t most)
{
	const int64_t now = fl__sys.now();
	return deadline <= now ? 0 : deadline - now < most ? deadline - now : most;
}

/* Entries that are the same in the tables of all systems. */
#define FL__SHARED_ENTRIES                                                                                             \
	.give_way = fl__give_way, .relax = fl__relax, .alloc = fl__sys_alloc, .free = fl__sys_free,                    \
	.thread_join = fl__sys_thread_join, .thread_detach = fl__sys_thread_detach
void *fl__sys_alloc(size_t size);
void fl__sys_free(void *memory);
int fl__sys_thread_join(pthread_t thread);
int fl__sys_thread_detach(pthread_t thread);
void fl__relax(void);
int64_t fl__give_way(int64_t now); /* the default of the table */

/* Calls write() until everything is written. Returns 0, or the error that stopped it. */
int fl__write_all(int fd, const char *text, size_t size);

#if defined FL__OS_POSIX || defined _WIN32
#define fl__cpu_count fl__cpu_affinity_count /* no control groups */
#else
unsigned fl__cpu_count(void); /* see fl_cpu_count() */
#endif

/*
 * Returns the number of CPUs, ignoring the quotas of control groups, which are in files. On Linux
 * and Windows this counts the CPUs of the affinity mask, and opens no file.
 */
unsigned fl__cpu_affinity_count(void);

/* Names the calling thread for debuggers. The system may cut the name. */
void fl__name_thread(const char *name);

/*
 * Calls change(arg) while no other copy of the library in this process is in such a call. However,
 * posix.c cannot keep other copies out. The caller holds a lock of this copy.
 */
void fl__with_loader_locked(void (*change)(void *arg), void *arg);

/*
 * Does what guard() does, by mprotect(), which adds two mappings. Linux allows 65,530 by default.
 */
int fl__portable_guard(void *memory, size_t size);

size_t fl__page_size(void);

/*
 * Maps `size` bytes of a file, starting at byte `at`, at any address, and stores that address.
 * Returns 0 or a negative errno. If the mapping would exceed the limit of locked memory after
 * mlockall(), the error is -ENOMEM, although mmap() reports EAGAIN.
 */
int fl__map_file(int fd, uint64_t at, size_t size, int protection, int flags, void **memory);

/*
 * Called before a file grows to `size` bytes. Returns 0, or -EFBIG if that exceeds RLIMIT_FSIZE,
 * because then a write would raise SIGXFSZ.
 */
int fl__check_file_size(uint64_t size);

/*
 * Adds one to an eventfd. If the descriptor is valid, this fails only while the eventfd is already
 * readable.
 */
void fl__ring(int eventfd);

/*
 * Processes send each other deadlines and other times as times of the monotonic clock. But in
 * another time namespace (a container, unshare(CLONE_NEWTIME)), this clock is ahead or behind. So a
 * process that the library starts follows the clock of the process that started it. Then all times
 * that the two exchange mean the same to both, including those of the program.
 */
struct fl__clock {
	int64_t now, wall; /* fl__sys.now() and CLOCK_REALTIME, read at the same moment */
	uint64_t number;   /* fl__sys.clock_number() */
};

void fl__clock_read(struct fl__clock *clock);

/*
 * If the numbers of both clocks are known and differ, fl__sys.now() from now on reads the clock of
 * the process in which `theirs` was read, a moment ago. The difference is computed by
 * CLOCK_REALTIME, which has no namespaces. The process must have one thread.
 */
void fl__clock_follow(const struct fl__clock *theirs);

bool fl__is_main_thread(void);

/*
 * Returns whether the main thread has ended by pthread_exit() while other threads run. Then
 * /proc/self/exe, /proc/self/fd and /proc/self/maps no longer exist, but the same files in
 * /proc/thread-self do. Without /proc, returns false.
 */
bool fl__main_thread_has_ended(void);

/*
 * Removes the signals of faults from the set. No thread of the library blocks them, except for a
 * moment when it starts a process, because a fault whose signal is blocked ends the process without
 * calling its handler.
 */
void fl__signals_unblock_faults(sigset_t *signals);

/*
 * Blocks all signals, but those of faults only if `faults` is true. Returns what was blocked
 * before.
 */
sigset_t fl__signals_block(bool faults);
void fl__signals_restore(const sigset_t *before);
/* A declaration that blocks the signals until the end of the block. */
#define FL__SIGNALS_BLOCKED(faults)                                                                                    \
	__attribute__((cleanup(fl__signals_restore), unused)) const sigset_t _mask = fl__signals_block(faults)

/* Stores the set of signals that the calling thread blocks, except those of faults. */
void fl__signals_of_thread(sigset_t *signals);

/*
 * Does what fl__sys.thread_create() does, but the thread starts with all signals blocked, except
 * those of faults. A thread that will run the user's code later blocks the signals that its starter
 * named.
 */
int fl__thread_create_blocked(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *), void *arg);
