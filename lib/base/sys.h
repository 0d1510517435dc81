/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_BASE_SYS_H
#define FL_BASE_SYS_H

#include <errno.h>
#include <fairlead/time.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A word that somebody waits on, and the value that keeps it asleep; as in Linux's futex_waitv. */
struct fl__futex {
	uint64_t expected;
	uint64_t word; /* its address */
	uint32_t flags, reserved;
};

enum { FL__FUTEXES = 128 };
#define FL__FUTEX_PRIVATE 0x82u /* its flags: 32 bits, private to the process */
#define FL__FUTEX_SHARED 0x02u  /* or in memory that processes share */

/* What the kernel reads when a thread ends: the robust locks that it holds. Linux's struct robust_list_head. */
struct fl__robust_list {
	void *first;   /* a ring through the locks' nodes, back to this struct; bit 0 of a pointer is no part of it */
	long offset;   /* from a node to the word of its lock */
	void *pending; /* the node of a lock that is being taken or freed, or waited for */
};

/*
 * The table of everything that the library asks of the system: the one place where a test injects a fault, and where the
 * laboratory takes over time, threads and waiting. Replaced only while no other thread is inside the library.
 *
 * Results are 0 (or a count) or a negative errno, also where the system call has another convention.
 */
struct fl__sys {
	/*
	 * Sleeps while *word == expected, until a wake or the absolute monotonic deadline. 0 (also without reason), -EAGAIN
	 * (another value), -EINTR, -ETIMEDOUT; anything may be followed by a new look at the word.
	 */
	int (*futex_wait)(const uint32_t *word, uint32_t expected, int64_t deadline);
	/* Wakes up to n sleepers. The address may be stale: memory that is gone, or that has another use by now. */
	int (*futex_wake)(const uint32_t *word, int n);
	int64_t (*now)(void);
	void (*yield)(void); /* gives the CPU to another thread, for a time slice if a program computes there */
	/*
	 * Lets other threads run for a moment, at a bounded cost: a yield, or some turns of a spin where
	 * yields take long (yield.c). `now`: the time; returns the time afterwards.
	 */
	int64_t (*give_way)(int64_t now);
	void (*nap)(void);           /* sleeps for some 50 us */
	void (*relax)(void);         /* one turn of a spin */
	void *(*alloc)(size_t size); /* NULL: out of memory */
	void (*free)(void *memory);
	int (*thread_create)(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *), void *arg);
	int (*thread_join)(pthread_t thread);
	int (*thread_detach)(pthread_t thread);
	/* Whole pages of zeroed memory, never huge ones, charged as they are touched; NULL: out of memory. */
	void *(*map)(size_t size);
	void (*unmap)(void *memory, size_t size);
	/* Makes pages of it fault at each access, until the unmap: 0, -ENOMEM (the system keeps no more pieces). */
	int (*guard)(void *memory, size_t size);
	/* Gives pages back; whoever touches them next finds zeros. Guards stay. */
	void (*discard)(void *memory, size_t size);
	/* As futex_wait and futex_wake, for words in memory that processes share. */
	int (*shared_wait)(const uint32_t *word, uint32_t expected, int64_t deadline);
	int (*shared_wake)(const uint32_t *word, int n);
	/*
	 * Stores `value`, which is 0 or bit 31, in such a word, and wakes up to n who sleep on it: one step, which a kill finds
	 * done or not begun. Releases what was written before.
	 */
	void (*shared_store_and_wake)(uint32_t *word, uint32_t value, int n);
	/*
	 * Sleeps while each of up to FL__FUTEXES words holds what is expected of it. Results as of futex_wait; also -ENOSYS (a
	 * kernel without it). Several may have been woken at once, and all their wakes count as delivered.
	 */
	int (*wait_many)(struct fl__futex *words, unsigned n, int64_t deadline);
	/* The calling thread's robust list, the one that the C library has registered; NULL: the system has none. */
	struct fl__robust_list *(*robust_list)(void);
	/* The calling thread's number in the kernel, as robust locks hold it: 1 to 2^30 - 1. */
	uint32_t (*thread_id)(void);
	int (*cpu)(void); /* the CPU on which the calling thread runs; negative: unknown */
	/* Whether a thread of that number is there, of whatever process. NULL: nobody need ask, since all deaths are told. */
	bool (*thread_exists)(uint32_t thread);
	/*
	 * A full fence in the program order of every thread of the process, somewhere between the begin and the end of the call:
	 * 0; else a negative errno, and nothing has happened. The first call of a process may take ten milliseconds, the others
	 * some microseconds.
	 */
	int (*membarrier)(void);
	/* Writes all of it to a descriptor, as far as that works. May be called from a signal handler. */
	void (*print)(int fd, const char *text, size_t size);
};

extern struct fl__sys fl__sys;

/* So many turns of a spin, between two looks. */
static inline void fl__pause(unsigned turns)
{
	while (turns-- > 0)
		fl__sys.relax();
}

int64_t fl__give_way(int64_t now); /* of the table */
bool fl__yields_are_barred(int64_t now);
extern int64_t fl__yield_ration; /* its state; for tests */

/*
 * Between two looks for what another thread brings about in a few instructions: spins, lets others
 * run, and at last sleeps some 50 us, since that thread may have lost its CPU. `round`: 0, 1, 2, ...
 * May be called with locks held; fibers of the same thread do not run meanwhile.
 */
void fl__back_off(unsigned round);

/* The same two over pthread mutexes and conditions, for systems without futexes; any word, any number of sleepers. */
int fl__portable_futex_wait(const uint32_t *word, uint32_t expected, int64_t deadline);
int fl__portable_futex_wake(const uint32_t *word, int n);

/* The guard for systems without guard markers: each one cuts the mapping in two more pieces, of which there are 65,530. */
int fl__portable_guard(void *memory, size_t size);

size_t fl__page_size(void);

/*
 * A constructor of the library: before those of FL_TASK and of the program, one of which may turn this process into one that
 * serves, and never return (FL_PROCESS_HOOK).
 */
#define FL__AT_START __attribute__((constructor(200)))

/* Whether the calling thread is the one that main() runs on. */
bool fl__is_main_thread(void);

/* Zeroed memory through the table; NULL when there is none or when n * size overflows. */
void *fl__alloc(size_t n, size_t size);
void fl__free(void *memory); /* NULL does nothing */

/*
 * The result of a system call that asks for no permission. -EPERM is then the answer of a sandbox
 * that does not know the call, and means what -ENOSYS of an old kernel means.
 */
static inline int fl__known(int result)
{
	return result == -EPERM ? -ENOSYS : result;
}

/* Deadline arithmetic: saturates at FL_FOREVER. */
static inline int64_t fl__min_deadline(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static inline int64_t fl__later(int64_t deadline, int64_t ns)
{
	return deadline > FL_FOREVER - ns ? FL_FOREVER : deadline + ns;
}

static inline bool fl__is_past(int64_t deadline)
{
	return deadline != FL_FOREVER && deadline <= fl__sys.now();
}

#endif
