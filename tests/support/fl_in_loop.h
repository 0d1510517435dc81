/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_IN_LOOP_H
#define FL_IN_LOOP_H

/*
 * Cases that run in the fibers of a loop. In a fiber use FL_CHECK, never cmocka's assertions,
 * because these would leave by longjmp to another stack.
 *
 *     FL_LOOP_TEST(loop_does_it) { ... FL_OK(fl_test_join(f)); }
 */
#include "fl_test.h"

#include "loop/fiber/scheduler.h"
#include "loop/poller.h"
#include "loop/to_thread.h"
#include <sys/eventfd.h>

static inline fl_loop *fl_test_loop(void)
{
	fl_loop *l = NULL;
	FL_OK(fl_loop_create(&l, NULL));
	return l;
}

/* Runs `function(arg)` as the first fiber of a loop. The function must return 0. */
static inline void fl_test_in_loop(fl_fiber_function *function, void *arg)
{
	FL_OK(fl_loop_run(function, arg));
}

/* Runs a function without arguments as a fiber; `arg` points to the function. */
static inline int fl_test_run_body(void *arg)
{
	(*(void (**)(void))arg)();
	return 0;
}

static inline void fl_test_body_in_loop(void (*body)(void))
{
	fl_test_in_loop(fl_test_run_body, &body);
}

#define FL_LOOP_TEST(name) FL_TEST_WITH(name, fl_test_body_in_loop, void)

/* What fibers, threads and callbacks often do. */
static inline int fl_test_return_int(void *number)
{
	return *(const int *)number;
}

static inline int fl_test_sleep_long(void *unused)
{
	return fl_sleep(FL_S(3600));
}

static inline int fl_test_wait_event(void *event)
{
	return fl_event_wait(event);
}

static inline int fl_test_cancel_fiber(void *fiber)
{
	fl_fiber_cancel(fiber);
	return 0;
}

static inline void fl_test_set_flag(void *flag)
{
	*(bool *)flag = true;
}

static inline fl_fiber *fl_test_start(fl_fiber_function *function, void *arg)
{
	fl_fiber *f = NULL;
	FL_OK(fl_fiber_start(&f, function, arg, NULL));
	return f;
}

/* Joins the fiber, and returns what it returned. */
static inline int fl_test_join(fl_fiber *f)
{
	int result = 0;
	FL_OK(fl_fiber_join_until(f, &result, FL_FOREVER, FL_SHIELDED));
	return result;
}

/* Cancels the fiber, which then returns -ECANCELED. */
static inline void fl_test_cancel(fl_fiber *f)
{
	fl_fiber_cancel(f);
	FL_RC(fl_test_join(f), -ECANCELED);
}

/* Runs `function(arg)` as a callback of the loop, and waits until it has returned. */
typedef struct fl_test_callback {
	void (*function)(void *arg);
	void *arg;
	fl_event returned;
} fl_test_callback;

static inline void fl_test_call_back(void *arg)
{
	fl_test_callback *c = arg;
	c->function(c->arg);
	fl_event_set(&c->returned);
}

static inline void fl_test_in_callback(void (*function)(void *arg), void *arg)
{
	fl_test_callback c = {function, arg, FL_EVENT_INIT};
	FL_OK(fl_loop_post(fl_loop_current(), fl_test_call_back, &c));
	FL_OK(fl_event_wait(&c.returned));
}

/* Lets every runnable fiber run several times, so that the effects of one can reach the others. */
static inline void fl_test_settle(void)
{
	for (int i = 0; i < 8; i++)
		fl_fiber_yield();
}

/*
 * Makes the loop check for events and timers a few times, by waiting for an event that has already
 * come. Yields would not do, because all of them may run between two checks, and a short sleep may
 * be over before the fiber has slept.
 */
static inline void fl_test_look(void)
{
	const int ready = eventfd(1, EFD_CLOEXEC);
	FL_CHECK(ready >= 0);
	for (int i = 0; i < 4; i++)
		FL_OK(fl_fd_wait_until(ready, FL_FD_IN, FL_FOREVER, FL_SHIELDED));
	FL_OK(close(ready));
}

/*
 * Waits until the loop's own threads sleep, so that the next fl_blocking_call() uses one of them.
 */
static inline void fl_test_threads_rest(void)
{
	fl_executor *threads = NULL;
	fl_stats_executor stats = {.idle = 0};
	FL_CHECK(fl__loop_threads(fl_loop_current(), FL__LOOP_CALLS, &threads) == 0);
	do {
		fl_fiber_yield();
		FL_OK(fl_executor_stats(threads, &stats));
	} while (stats.idle < stats.threads);
}

/*
 * Faults and counts of a loop's system calls (lib/loop/poller.h). FL_POLLER_FAULTS() restores the
 * table at the end of the block. A case replaces entries while no loop runs.
 */

static struct fl__poller_sys fl_test_real_poller;

__attribute__((constructor)) static void fl_test_keep_poller(void)
{
	fl_test_real_poller = fl__poller_sys;
}

static inline int fl_test_poller_end(void)
{
	fl_test_put_back(&fl__poller_sys, &fl_test_real_poller, sizeof fl__poller_sys);
	return 0;
}

#define FL_POLLER_FAULTS() FL_RESTORES(fl_test_poller_end)

/* How often each call was made, counted after fl_test_poller_count(). Any thread may ring. */
typedef struct fl_test_poller_calls {
	uint32_t waits, controls, rings;
} fl_test_poller_calls;

static fl_test_poller_calls fl_test_polled;

/* Defines a test's replacement of the poller's wait. */
#define FL_TEST_POLLER_WAIT(name)                                                                                      \
	static inline int name(int poller, struct epoll_event *events, int n, int64_t deadline)

FL_TEST_POLLER_WAIT(fl_test_poller_wait)
{
	/* Relaxed, here and below: counts that are polled. */
	fl__add_relaxed(&fl_test_polled.waits, 1);
	/* a process that was stopped continues with -EINTR */
	return FL__RETRY(fl_test_real_poller.wait(poller, events, n, deadline));
}

FL_TEST_POLLER_CONTROL(fl_test_poller_control)
{
	fl__add_relaxed(&fl_test_polled.controls, 1);
	return fl_test_real_poller.control(poller, op, fd, events, owner);
}

static inline void fl_test_poller_ring(int bell)
{
	fl__add_relaxed(&fl_test_polled.rings, 1);
	fl_test_real_poller.ring(bell);
}

static inline void fl_test_poller_count(void)
{
	fl_test_polled = (fl_test_poller_calls){0, 0, 0};
	fl__poller_sys.wait = fl_test_poller_wait;
	fl__poller_sys.control = fl_test_poller_control;
	fl__poller_sys.ring = fl_test_poller_ring;
}

/*
 * One context waits, and another context wakes it: a fiber waits for a thread, a thread for a
 * fiber, and a fiber for a fiber of the same loop. A third context proves that a fiber's wait does
 * not block its thread: this context must have ticked before the wake.
 *
 *     static int acquire(void *sem) { return fl_sem_acquire(sem); }
 *     static void release(void *sem) { fl_sem_release(sem); }
 *
 *     FL_MEET(.object = &sem, .wait = acquire, .wake = release);
 */

typedef struct fl_test_meeting {
	void *object;
	void (*begin)(void *object); /* called first; NULL: nothing */
	void (*end)(void *object);   /* called last, by a fiber; NULL: nothing */
	void (*hold)(void *object);  /* by the waker, before the waiter comes; or NULL */
	int (*wait)(void *object);   /* waits until it is woken, and returns 0 */
	void (*wake)(void *object);
	/* The state of one meeting. */
	int64_t pace; /* of the ticker: 0, or so short that the loop sleeps again and again */
	uint32_t ticks, held, waiting, returned, stop;
} fl_test_meeting;

#define FL_MEET(...) fl_test_meet(&(fl_test_meeting){__VA_ARGS__})

static inline int fl_test_meet_tick(void *arg)
{
	fl_test_meeting *m = arg;
	while (!fl__load_relaxed(&m->stop)) {
		fl__add_relaxed(&m->ticks, 1);
		FL_OK(fl_sleep(m->pace));
	}
	return 0;
}

static inline int fl_test_meet_wait(void *arg)
{
	fl_test_meeting *m = arg;
	while (!fl__load_acquire(&m->held)) {
		fl_fiber_yield();
		fl__sys.yield();
	}
	fl__store_release(&m->waiting, 1);
	FL_CHECK(m->wait(m->object) == 0);
	fl__store_release(&m->returned, 1);
	return 0;
}

/*
 * Waits until the ticker has ticked since the wait began. Then the waiter, if it is a fiber of the
 * same loop, is suspended.
 */
static inline int fl_test_meet_wake(void *arg)
{
	fl_test_meeting *m = arg;
	int64_t end = fl_test_wait_begin();
	if (m->hold)
		m->hold(m->object);
	fl__store_release(&m->held, 1);
	uint32_t before = 0;
	for (bool seen = false; !seen || fl__load_relaxed(&m->ticks) - before < 3;) {
		if (!seen && fl__load_acquire(&m->waiting)) {
			seen = true;
			before = fl__load_relaxed(&m->ticks);
		}
		fl_fiber_yield();
		fl_test_wait_on(end, "the ticker has ticked", __FILE__, __LINE__);
	}
	FL_CHECK(!fl__load_acquire(&m->returned));
	m->wake(m->object);
	return 0;
}

static inline void fl_test_meet_once(fl_test_meeting *m, bool wait_on_thread, bool wake_on_thread)
{
	fl_thread *thread = NULL;
	fl_fiber *waiter = NULL, *waker = NULL;
	int rc = 0;
	m->ticks = m->held = m->waiting = m->returned = m->stop = 0;
	if (m->begin)
		m->begin(m->object);
	fl_fiber *ticker = fl_test_start(fl_test_meet_tick, m);
	if (wait_on_thread || wake_on_thread)
		fl_test_go(&thread, wait_on_thread ? fl_test_meet_wait : fl_test_meet_wake, m);
	if (!wait_on_thread)
		waiter = fl_test_start(fl_test_meet_wait, m);
	if (!wake_on_thread)
		waker = fl_test_start(fl_test_meet_wake, m);
	FL_CHECK(!waiter || fl_test_join(waiter) == 0);
	FL_CHECK(!waker || fl_test_join(waker) == 0);
	if (wait_on_thread || wake_on_thread)
		FL_CHECK(fl_thread_join(thread, &rc) == 0 && rc == 0); /* also a fiber's wait */
	fl__store_relaxed(&m->stop, 1);
	FL_OK(fl_test_join(ticker));
	if (m->end)
		m->end(m->object);
}

static inline int fl_test_meet_all(void *arg)
{
	static const int64_t paces[] = {0, FL_US(20)};
	fl_test_meeting *m = arg;
	FL_EACH (i, paces) {
		m->pace = paces[i];
		fl_test_meet_once(m, false, true);
		fl_test_meet_once(m, true, false);
		fl_test_meet_once(m, false, false);
	}
	return 0;
}

/* All three ways, in a separate loop. */
static inline void fl_test_meet(fl_test_meeting *m)
{
	fl_test_in_loop(fl_test_meet_all, m);
}

/*
 * What the tests of fibers need besides fl_in_loop.h: the rounding mode, stacks, and many fibers.
 *
 *     fl_test_fibers fibers;
 *     fl_test_fibers_begin(&fibers, wait_for_word, words, sizeof *words, 100);   // on a thread
 *     ...
 *     fl_test_fibers_end(&fibers);                                               // each returned 0
 */

/*
 * The rounding mode of this thread, in the machine's own numbers, where 0 is "to nearest".
 * fesetround() is not used because it is in another library.
 */
#if defined(__x86_64__)
#define HAS_ROUNDING 1
static inline unsigned fl_test_rounding(void)
{
	uint32_t control;
	uint16_t x87;
	__asm__ volatile("stmxcsr %0\n\tfnstcw %1" : "=m"(control), "=m"(x87));
	FL_CHECK((control >> 13 & 3) == (x87 >> 10 & 3u));
	return control >> 13 & 3;
}

static inline void fl_test_round(unsigned mode)
{
	uint32_t control;
	uint16_t x87;
	__asm__ volatile("stmxcsr %0\n\tfnstcw %1" : "=m"(control), "=m"(x87));
	control = (control & ~(UINT32_C(3) << 13)) | mode << 13;
	x87 = (uint16_t)((x87 & ~(3u << 10)) | mode << 10);
	__asm__ volatile("ldmxcsr %0\n\tfldcw %1" : : "m"(control), "m"(x87));
}
#elif defined(__aarch64__)
#define HAS_ROUNDING 1
static inline unsigned fl_test_rounding(void)
{
	uint64_t control;
	__asm__ volatile("mrs %0, fpcr" : "=r"(control));
	return (unsigned)(control >> 22 & 3);
}

static inline void fl_test_round(unsigned mode)
{
	uint64_t control;
	__asm__ volatile("mrs %0, fpcr" : "=r"(control));
	control = (control & ~(UINT64_C(3) << 22)) | (uint64_t)mode << 22;
	__asm__ volatile("msr fpcr, %0" : : "r"(control));
}
#endif

/* Returns the memory of a fiber that has begun. */
enum { FL_TEST_BLOCK = 500 };
struct fl_test_memory {
	struct fl__stack stack;
	void *block;
	struct fl__slab *slab;
};

static inline int fl_test_get_memory(struct fl__stack_pool *pool, struct fl_test_memory *m)
{
	int rc = fl__stack_reserve(pool, &m->block, &m->slab);
	if (rc == 0)
		m->stack = fl__stack_get(pool);
	return rc;
}

static inline void fl_test_put_memory(struct fl__stack_pool *pool, struct fl_test_memory m)
{
	fl__stack_put(pool, m.stack);
	fl__stack_release(pool, m.block, m.slab);
}

/* A thread with a loop: `count` fibers that run function(arg + i * size). Each returns 0. */
typedef struct fl_test_fibers {
	int (*function)(void *arg);
	char *args;
	size_t size, count;
	fl_thread *thread;
} fl_test_fibers;

static inline int fl_test_fibers_in_loop(void *arg)
{
	const fl_test_fibers *t = arg;
	fl_fiber **f = calloc(t->count, sizeof(fl_fiber *));
	FL_CHECK(f != NULL);
	for (size_t i = 0; i < t->count; i++)
		f[i] = fl_test_start(t->function, t->args + i * t->size);
	for (size_t i = 0; i < t->count; i++)
		FL_OK(fl_test_join(f[i]));
	free(f);
	return 0;
}

static inline int fl_test_fibers_run(void *arg)
{
	return fl_loop_run(fl_test_fibers_in_loop, arg);
}

/* Runs the fibers on this thread. */
static inline void fl_test_fibers_here(int (*function)(void *), void *args, size_t size, size_t count)
{
	fl_test_fibers t = {function, args, size, count, NULL};
	FL_OK(fl_test_fibers_run(&t));
}

static inline void fl_test_fibers_begin(fl_test_fibers *t, int (*function)(void *), void *args, size_t size,
                                        size_t count)
{
	FL_NEEDS(FL_TEST_EVENTFD); /* the thread's loop does */
	*t = (fl_test_fibers){function, args, size, count, NULL};
	fl_test_go(&t->thread, fl_test_fibers_run, t);
}

static inline void fl_test_fibers_end(fl_test_fibers *t)
{
	int result = -1;
	FL_OK(fl_thread_join_until(t->thread, &result, FL_FOREVER, FL_SHIELDED));
	FL_CHECK(result == 0);
}

/* backtrace(), which glibc has but musl lacks. */

#ifdef __GLIBC__
#include <execinfo.h>
#else
#include <unwind.h>

struct fl_backtrace {
	void **frames;
	int most, n;
};

static inline _Unwind_Reason_Code fl_backtrace_frame(struct _Unwind_Context *context, void *arg)
{
	struct fl_backtrace *b = arg;
	if (b->n == b->most)
		return _URC_END_OF_STACK;
	if (!_Unwind_GetIP(context)) /* behind the last frame */
		return _URC_END_OF_STACK;
	b->frames[b->n++] = (void *)_Unwind_GetIP(context);
	return _URC_NO_REASON;
}

static inline int backtrace(void **frames, int most)
{
	struct fl_backtrace b = {frames, most, 0};
	(void)_Unwind_Backtrace(fl_backtrace_frame, &b);
	return b.n;
}
#endif

#endif
