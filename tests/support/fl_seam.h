/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_TEST_SEAM_H
#define FL_TEST_SEAM_H

/*
 * For tests through the table of system calls (lib/core/base/sys.h): lists sleepers, injects
 * faults. The table is wrapped once, before main(), so that no case replaces it while other threads
 * are inside the library. The wrappers read thread-locals and atomics. Only one source file of a
 * program may include this header, because everything here is static.
 *
 *     fl_test_go(&t, getter, q);
 *     FL_WAIT_FOR(seam_sleepers() == 1);             // the getter sleeps
 *
 *     seam_fail_allocs(1, 1);                        // the second allocation of this thread fails
 *     FL_RC(fl_queue_create(&q, 8, NULL), -ENOMEM);
 *     seam_heal();
 */
#include "fl_test.h"

#define SEAM_FN __attribute__((unused)) static

/* Of the next calls on this thread, `skip` succeed and then `count` fail. */
struct seam_fault {
	unsigned skip, count;
};

struct seam_sleeper {
	const uint32_t *word;
	uint32_t expected;
	struct seam_sleeper *next, *prev;
};

static struct fl__sys seam_real;
static _Thread_local struct seam_fault seam_alloc_fault, seam_thread_fault;
static long seam_live;        /* allocations that are not freed; atomic */
static unsigned seam_threads; /* threads that were started; atomic */
static pthread_mutex_t seam_lock = PTHREAD_MUTEX_INITIALIZER;
static struct seam_sleeper *seam_first; /* guarded by seam_lock */

/* Called once, before this thread's next futex wake; NULL: no function. */
static _Thread_local void (*seam_on_wake)(void);

static bool seam_strikes(struct seam_fault *fault)
{
	if (fault->count == 0)
		return false;
	if (fault->skip > 0) {
		fault->skip--;
		return false;
	}
	fault->count--;
	return true;
}

static void *seam_alloc(size_t size)
{
	if (seam_strikes(&seam_alloc_fault) ||
	    size >> 20 >> 20 != 0) /* 1 TiB: the sanitizers abort on what malloc refuses */
		return NULL;
	void *memory = seam_real.alloc(size);
	if (memory)
		__atomic_fetch_add(&seam_live, 1, __ATOMIC_RELAXED);
	return memory;
}

static void seam_free(void *memory)
{
	__atomic_fetch_sub(&seam_live, 1, __ATOMIC_RELAXED);
	seam_real.free(memory);
}

FL_TEST_THREAD_CREATE(seam_thread_create)
{
	if (seam_strikes(&seam_thread_fault))
		return -EAGAIN;
	__atomic_fetch_add(&seam_threads, 1, __ATOMIC_RELAXED);
	return seam_real.thread_create(thread, attr, routine, arg);
}

FL_TEST_FUTEX_WAIT(seam_futex_wait)
{
	/* Of lib/core/wait/thread_parker.c; other words are locks of the library, not waits. */
	enum { ASLEEP = 3 };
	if (expected != ASLEEP)
		return seam_real.futex_wait(word, expected, deadline);
	struct seam_sleeper me = {word, expected, NULL, NULL};
	pthread_mutex_lock(&seam_lock);
	me.next = seam_first;
	if (me.next)
		me.next->prev = &me;
	seam_first = &me;
	pthread_mutex_unlock(&seam_lock);
	int rc = seam_real.futex_wait(word, expected, deadline);
	pthread_mutex_lock(&seam_lock);
	*(me.prev ? &me.prev->next : &seam_first) = me.next;
	if (me.next)
		me.next->prev = me.prev;
	pthread_mutex_unlock(&seam_lock);
	return rc;
}

static int seam_futex_wake(const uint32_t *word, int n)
{
	void (*hook)(void) = seam_on_wake;
	seam_on_wake = NULL;
	if (hook)
		hook();
	return seam_real.futex_wake(word, n);
}

#ifndef _WIN32
/* The parent's sleepers do not exist in the child, and one of them may have held the lock. */
static void seam_in_child(void)
{
	seam_first = NULL;
	pthread_mutex_init(&seam_lock, NULL);
}
#endif

__attribute__((constructor(1000))) static void seam_begin(void)
{
#ifndef _WIN32
	pthread_atfork(NULL, NULL, seam_in_child);
#endif
	seam_real = fl__sys;
	fl__sys.alloc = seam_alloc;
	fl__sys.free = seam_free;
	fl__sys.thread_create = seam_thread_create;
	fl__sys.futex_wait = seam_futex_wait;
	fl__sys.futex_wake = seam_futex_wake;
}

/* Returns how many threads sleep in a wait of the library and have not been woken. */
SEAM_FN unsigned seam_sleepers(void)
{
	unsigned n = 0;
	pthread_mutex_lock(&seam_lock);
	for (const struct seam_sleeper *s = seam_first; s; s = s->next)
		n += __atomic_load_n(s->word, __ATOMIC_ACQUIRE) == s->expected;
	pthread_mutex_unlock(&seam_lock);
	return n;
}

SEAM_FN void seam_fail_allocs(unsigned skip, unsigned count)
{
	seam_alloc_fault = (struct seam_fault){skip, count};
}

SEAM_FN void seam_fail_threads(unsigned skip, unsigned count)
{
	seam_thread_fault = (struct seam_fault){skip, count};
}

/* Ends the faults on this thread. Returns how many of them did not happen. */
SEAM_FN unsigned seam_heal(void)
{
	unsigned left = seam_alloc_fault.count + seam_thread_fault.count;
	seam_alloc_fault = seam_thread_fault = (struct seam_fault){0, 0};
	return left;
}

/*
 * Checks that the expression has that value although its first allocation, or its first start of a
 * thread, fails.
 */
#define SEAM_NO_MEMORY(expr, expected)                                                                                 \
	do {                                                                                                           \
		seam_fail_allocs(0, 1);                                                                                \
		FL_RC(expr, expected);                                                                                 \
		FL_OK(seam_heal());                                                                                    \
	} while (0)
#define SEAM_NO_THREAD(expr, expected)                                                                                 \
	do {                                                                                                           \
		seam_fail_threads(0, 1);                                                                               \
		FL_RC(expr, expected);                                                                                 \
		FL_OK(seam_heal());                                                                                    \
	} while (0)

SEAM_FN long seam_live_allocs(void)
{
	return __atomic_load_n(&seam_live, __ATOMIC_RELAXED);
}

SEAM_FN unsigned seam_threads_started(void)
{
	return __atomic_load_n(&seam_threads, __ATOMIC_RELAXED);
}

/*
 * Starts `n` threads on `function`: each gets its own element, of `size` bytes, of the array
 * `args`.
 */
SEAM_FN void seam_start(fl_thread **threads, unsigned n, fl_thread_function *function, void *args, size_t size)
{
	for (unsigned i = 0; i < n; i++)
		fl_test_go(&threads[i], function, (char *)args + i * size);
}

/* Joins the threads, which must have returned 0. */
SEAM_FN void seam_join(fl_thread **threads, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		int rc = 77;
		FL_OK(fl_thread_join_until(threads[i], &rc, FL_FOREVER, FL_SHIELDED));
		FL_OK(rc);
	}
}

/* Plain counters that several threads of a test share. */
#define COUNT(counter) ((void)__atomic_fetch_add((counter), 1, __ATOMIC_RELAXED))
#define LOOK(counter) __atomic_load_n((counter), __ATOMIC_ACQUIRE)
#define SET(flag, value) __atomic_store_n((flag), (value), __ATOMIC_RELEASE)

#endif
