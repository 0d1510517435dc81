/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_IN_LOOP_H
#define FL_IN_LOOP_H

/*
 * Cases that run in the fibers of a loop. In a fiber use FL_CHECK, never cmocka's assertions: they
 * would leave by longjmp to another stack.
 *
 *     FL_TEST_WITH(loop_does_it, fl_test_body_in_loop, void) { ... FL_OK(fl_test_join(f)); }
 */
#include "fl_test.h"

#include "core/base/atomic.h"
#include "loop/to_thread.h"
#include <sys/eventfd.h>

static inline fl_loop *fl_test_loop(void)
{
	fl_loop *l = NULL;
	FL_OK(fl_loop_create(&l, NULL));
	return l;
}

/* Runs `function(arg)` as the first fiber of a loop; it returns 0. */
static inline void fl_test_in_loop(fl_fiber_function *function, void *arg)
{
	FL_OK(fl_loop_run(function, arg));
}

/* A function without argument as a fiber: `arg` points to it. */
static inline int fl_test_run_body(void *arg)
{
	(*(void (**)(void))arg)();
	return 0;
}

static inline void fl_test_body_in_loop(void (*body)(void))
{
	fl_test_in_loop(fl_test_run_body, &body);
}

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

/* What it returned. */
static inline int fl_test_join(fl_fiber *f)
{
	int result = 0;
	FL_OK(fl_fiber_join_until(f, &result, FL_FOREVER, FL_SHIELDED));
	return result;
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
 * Makes the loop check for events and timers a few times, by waits for an event that is there.
 * Yields may all run between two checks, and a short sleep may be over before the fiber has slept.
 */
static inline void fl_test_look(void)
{
	const int ready = eventfd(1, EFD_CLOEXEC);
	FL_CHECK(ready >= 0);
	for (int i = 0; i < 4; i++)
		FL_OK(fl_fd_wait_until(ready, FL_FD_IN, FL_FOREVER, FL_SHIELDED));
	FL_OK(close(ready));
}

/* Waits until the loop's own threads sleep: the next fl_to_thread() takes one of them. */
static inline void fl_test_threads_rest(void)
{
	fl_executor *threads = NULL;
	fl_executor_stats stats = {.idle = 0};
	FL_CHECK(fl__loop_threads(fl_loop_current(), &threads) == 0);
	do {
		fl_fiber_yield();
		FL_OK(fl_executor_get_stats(threads, &stats));
	} while (stats.idle < stats.threads);
}

#endif
