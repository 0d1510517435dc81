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
 * What a system must provide. One file of this folder has all that stands here: linux.c, with the
 * calls of Linux, or posix.c, for systems whose wait on an address is not public, or windows.c.
 * Linux has posix.c where FL__OS_POSIX is defined, for tests (meson: -Dos=posix). unix.c is what
 * linux.c and posix.c share. No other file of the core names a system in an #if, or includes a
 * header that only some systems have: tests/check_layers.py checks it.
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
	 * spurious), -EAGAIN (another value), -EINTR, -ETIMEDOUT. The caller checks the word. No
	 * cancellation point. Signal handlers run during the sleep, and may wake the sleeper.
	 */
	int (*futex_wait)(const uint32_t *word, uint32_t expected, int64_t deadline);
	/*
	 * Wakes up to n sleepers. The address may be of memory that is freed, or used anew.
	 * Async-signal-safe.
	 */
	int (*futex_wake)(const uint32_t *word, int n);
	int64_t (*now)(void);
	/* Lets another program that computes on this CPU run for a time slice. */
	void (*yield)(void);
	/* A yield, or pauses if yields are barred (yield.c). Takes and returns the time. */
	int64_t (*give_way)(int64_t now);
	void (*nap)(void);           /* sleeps for some 50 us */
	void (*relax)(void);         /* one turn of a spin */
	void *(*alloc)(size_t size); /* NULL if there is no memory */
	void (*free)(void *memory);
	int (*thread_create)(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *), void *arg);
	int (*thread_join)(pthread_t thread);
	int (*thread_detach)(pthread_t thread);
	/* Zeroed pages, never huge, resident once touched; or NULL. */
	void *(*map)(size_t size);
	void (*unmap)(void *memory, size_t size);
	int (*cpu)(void); /* of the calling thread; negative: unknown */
	/*
	 * A full fence in every thread of the process: 0. A process's first call may take ten
	 * milliseconds, later calls some microseconds. A negative errno, from the first call on:
	 * the system has no such call. Then the fast paths have fences of their own.
	 */
	int (*membarrier)(void);
	/* Writes the whole text: 0, or the error that stops it. Async-signal-safe. */
	int (*print)(int fd, const char *text, size_t size);
	/* An id of the calling thread: 1 to FL__THREAD_IDS. */
	uint32_t (*thread_id)(void);
	/*
	 * Whether the thread with that id runs, in any process; true if that is not known. NULL:
	 * the system reports the death of every owner of a robust lock.
	 */
	bool (*thread_exists)(uint32_t thread);

	/*
	 * The rest is for the parts process and loop alone. A system without these parts has NULL.
	 */

	/* Each access to these pages faults: 0. -ENOMEM: too many mappings. */
	int (*guard)(void *memory, size_t size);
	/* The next access finds zeros. Guards stay. */
	void (*discard)(void *memory, size_t size);
	/* These do what futex_wait and futex_wake do, in memory that processes share. */
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
	/* Returns the calling thread's list, from the C library. NULL on a system without one. */
	struct fl__robust_list *(*robust_list)(void);
};

extern struct fl__sys fl__sys;

/*
 * How long a sleep lasts at most: the time to the deadline, 0 to `most`. One that ends before is
 * spurious.
 */
static inline int64_t fl__time_left(int64_t deadline, int64_t most)
{
	const int64_t now = fl__sys.now();
	return deadline <= now ? 0 : deadline - now < most ? deadline - now : most;
}

/* What each system's table has. */
#define FL__SHARED_ENTRIES                                                                                             \
	.give_way = fl__give_way, .relax = fl__relax, .alloc = fl__sys_alloc, .free = fl__sys_free,                    \
	.thread_join = fl__sys_thread_join, .thread_detach = fl__sys_thread_detach
void *fl__sys_alloc(size_t size);
void fl__sys_free(void *memory);
int fl__sys_thread_join(pthread_t thread);
int fl__sys_thread_detach(pthread_t thread);
void fl__relax(void);
int64_t fl__give_way(int64_t now); /* the default of the table */

/* write() until all is written: 0, or the error that stops it. */
int fl__write_all(int fd, const char *text, size_t size);

#if defined FL__OS_POSIX || defined _WIN32
#define fl__cpu_count fl__cpu_affinity_count /* no limits stand in files */
#else
unsigned fl__cpu_count(void); /* fl_cpu_count() */
#endif

/* The number of CPUs of fl__cpu_count(), without the limits that stand in files. Opens no file. */
unsigned fl__cpu_affinity_count(void);

/* Names the calling thread for debuggers. The system may cut the name. */
void fl__name_thread(const char *name);

/*
 * Calls change(arg) while no other copy of the library in this process is in such a call. The
 * caller holds a lock of this copy.
 */
void fl__with_loader_locked(void (*change)(void *arg), void *arg);

/* guard() by mprotect(). Adds two mappings; Linux allows 65,530. */
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

/* Adds one to an eventfd. Fails only if that is readable. */
void fl__ring(int eventfd);

bool fl__is_main_thread(void);

/*
 * Whether the main thread has ended by pthread_exit() while other threads run. The process then
 * has no /proc/self/exe, /proc/self/fd and /proc/self/maps any more; /proc/thread-self has them.
 * False without /proc.
 */
bool fl__main_thread_has_ended(void);

/*
 * Removes the signals of faults, which no thread of the library blocks: a blocked one ends the
 * process without its handler.
 */
void fl__signals_unblock_faults(sigset_t *signals);

/* Blocks all signals; `faults`: those of faults, too. Returns what the thread blocked before. */
sigset_t fl__signals_block(bool faults);
void fl__signals_restore(const sigset_t *before);
/* This declaration blocks the signals to the end of the block. */
#define FL__SIGNALS_BLOCKED(faults)                                                                                    \
	__attribute__((cleanup(fl__signals_restore), unused)) const sigset_t _mask = fl__signals_block(faults)

/* What the calling thread blocks, without the signals of faults. */
void fl__signals_of_thread(sigset_t *signals);

/*
 * As fl__sys.thread_create(). The thread begins with all signals blocked, but those of faults. A
 * thread that runs the user's code then blocks what its starter names.
 */
int fl__thread_create_blocked(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *), void *arg);
