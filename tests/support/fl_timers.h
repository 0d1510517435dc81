/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_TIMERS_H
#define FL_TIMERS_H

/*
 * Timers by a clock that the test moves, even for threads that already sleep:
 *
 *     fl_timer_start(&t, fl_after(HOUR), fl_test_count, &calls);
 *     fl_test_pass(HOUR);
 *     fl_timer_join(&t);
 *
 * It is the clock of the whole program: the timer thread lives from case to case, so no case may
 * replace the table of system calls while it exists.
 */
#include "fl_faults.h"
#include "fl_queued.h"

#define HOUR FL_S(3600)

static int64_t fl_test_stopped_at; /* when the clock was stopped, by the real clock; 0: it runs */

static int64_t fl_test_timers_now(void)
{
	const int64_t at = fl__load_relaxed(&fl_test_stopped_at);
	return at != 0 ? at + fl__load_relaxed(&fl_test_ahead) : fl_test_clock_now();
}

/* The real function, which also checks the test's clock now and then. */
FL_TEST_FUTEX_WAIT(fl_test_sliced_wait)
{
	if (deadline <= fl_test_timers_now())
		return -ETIMEDOUT;
	const int rc = fl_test_real_sys.futex_wait(word, expected, fl_test_real_sys.now() + FL_MS(1));
	return rc == -ETIMEDOUT ? 0 : rc;
}

__attribute__((constructor)) static void fl_test_clock_for_all(void)
{
	fl__sys.now = fl_test_timers_now;
	fl__sys.futex_wait = fl_test_sliced_wait;
}

static inline void fl_test_pass(int64_t ns)
{
	fl__add_relaxed(&fl_test_ahead, ns);
}

/*
 * From now on time passes only by fl_test_pass(), so that a case that checks the effects of a
 * deadline cannot be too late.
 */
static inline void fl_test_clock_stop(void)
{
	fl__store_relaxed(&fl_test_stopped_at, fl_test_real_sys.now());
}

static inline void fl_test_clock_go(void)
{
	fl__store_relaxed(&fl_test_stopped_at, 0);
}

/* A function that counts; the argument is the count. */
static inline void fl_test_count(void *calls)
{
	fl__add_relaxed((uint32_t *)calls, 1);
}

/* Returns when all functions that were due have been called. */
static inline void fl_test_all_due(void)
{
	fl_timer last = FL_TIMER_INIT;
	uint32_t calls = 0;
	FL_OK(fl_timer_start(&last, FL_NO_WAIT, fl_test_count, &calls));
	FL_OK(fl_timer_join(&last));
	assert_int_equal(fl__load_relaxed(&calls), 1);
}

/* A function that waits until it is released. */
typedef struct fl_test_long {
	fl_event begun, go;
	uint32_t ended;
} fl_test_long;
#define FL_TEST_LONG                                                                                                   \
	{                                                                                                              \
		FL_EVENT_INIT, FL_EVENT_INIT, 0                                                                        \
	}

static inline void fl_test_take_long(void *arg)
{
	fl_test_long *l = arg;
	fl_event_set(&l->begun);
	FL_OK(fl_event_wait(&l->go));
	l->ended++;
}

/* Starts the timer, and returns when its function runs. */
static inline void fl_test_run_long(fl_timer *t, fl_test_long *l)
{
	FL_OK(fl_timer_start(t, FL_NO_WAIT, fl_test_take_long, l));
	FL_OK(fl_event_wait(&l->begun));
}

/* Cancels the timer, and waits until its function does not run. */
static inline int fl_test_timer_end(fl_timer *t)
{
	const int rc = fl_timer_cancel(t);
	FL_CHECK(rc == 0 || rc == -EINPROGRESS || rc == -EALREADY);
	return fl_timer_join_until(t, FL_FOREVER, FL_SHIELDED);
}

FL_CALL(fl_test_join_call)
{
	return fl_timer_join_until(object, deadline, cancel);
}

/*
 * Waits until the calls that were due have been made, and checks that the function was called that
 * often.
 */
static inline void fl_test_called(const uint32_t *calls, uint32_t times)
{
	fl_test_all_due();
	assert_int_equal(fl__load_relaxed(calls), times);
}

#endif
