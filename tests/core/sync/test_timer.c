/* SPDX-License-Identifier: BSD-2-Clause */
/* Timers: when they are called, in what order, and the results of starts, cancels and joins. */
#include "fl_timers.h"

/* The first case: the thread is not there yet. */
FL_TEST(timer_without_a_thread_is_not_started)
{
	fl_timer t = FL_TIMER_INIT, other;
	uint32_t calls = 0;
	fl_timer_init(&other);
	fl__sys.thread_create = fl_test_no_threads;
	FL_RC(fl_timer_start(&t, FL_NO_WAIT, fl_test_count, &calls), -EAGAIN);
	FL_RC(fl_timer_start_every(&t, FL_NO_WAIT, 1, fl_test_count, &calls), -EAGAIN);
	fl__sys.thread_create = fl_test_real_sys.thread_create;
	fl__sys.alloc = fl_test_no_memory;
	FL_RC(fl_timer_start(&t, FL_NO_WAIT, fl_test_count, &calls), -ENOMEM);
	fl__sys.alloc = fl_test_real_sys.alloc;
	FL_OK(fl_timer_try_join(&t));
	FL_RC(fl_timer_cancel(&t), -EALREADY);

	FL_OK(fl_timer_start(&other, FL_NO_WAIT, fl_test_count, &calls));
	FL_OK(fl_timer_join(&other));
	assert_int_equal(fl__load_relaxed(&calls), 1); /* only the other one */
	FL_OK(fl_timer_try_join(&t));
}

static void look_around(void *arg)
{
	uint32_t *calls = arg;
	sigset_t mask;
	FL_CHECK(strcmp(fl_thread_current_name(), "timers") == 0);
	FL_CHECK(pthread_sigmask(SIG_SETMASK, NULL, &mask) == 0 && sigismember(&mask, SIGTERM) == 0);
	++*calls; /* plainly: the join orders it */
}

FL_TEST(timer_calls_once_and_not_before_its_time)
{
	fl_timer t = FL_TIMER_INIT;
	uint32_t calls = 0;
	FL_OK(fl_timer_start(&t, fl_after(HOUR), look_around, &calls));
	fl_test_all_due();
	fl_test_pass(HOUR / 2);
	fl_test_all_due();
	FL_RC(fl_timer_try_join(&t), -EAGAIN);
	fl_test_pass(HOUR);
	FL_OK(fl_timer_join(&t));
	assert_int_equal(fl__load_relaxed(&calls), 1);
	FL_OK(fl_timer_try_join(&t));
	FL_RC(fl_timer_cancel(&t), -EALREADY);
	fl_test_pass(10 * HOUR);
	fl_test_called(&calls, 1);
}

enum { MANY = 50 };
static unsigned called[MANY + 1], n_called;

static void note(void *number)
{
	FL_CHECK(n_called <= MANY);
	called[n_called++] = *(unsigned *)number;
}

/*
 * By deadline, and those with one deadline in the order of their starts, in whatever way they were
 * started.
 */
FL_TEST(timer_order_is_by_deadline_and_start)
{
	static fl_timer t[MANY];
	static unsigned numbers[MANY];
	const fl_time begin = fl_after(HOUR);
	n_called = 0;
	FL_EACH (i, numbers) {
		numbers[i] = i;
		FL_OK(fl_timer_start(&t[i], fl_time_add(begin, 7 - i % 7), note, &numbers[i]));
	}
	for (unsigned i = 0; i < MANY; i += 10) { /* restarted, each is the last of its deadline */
		FL_OK(fl_timer_cancel(&t[i]));
		FL_OK(fl_timer_start(&t[i], fl_time_add(begin, 7 - i % 7), note, &numbers[i]));
	}
	fl_test_pass(2 * HOUR);
	fl_test_all_due();
	assert_int_equal(n_called, MANY);
	bool seen[MANY] = {false};
	for (unsigned i = 0; i < MANY; i++) {
		assert_false(seen[called[i]]);
		seen[called[i]] = true;
		if (i == 0)
			continue;
		const unsigned a = called[i - 1], b = called[i];
		assert_true(a % 7 >= b % 7);
		if (a % 7 == b % 7)
			assert_true((a % 10 == 0) == (b % 10 == 0) ? a < b : b % 10 == 0);
	}
}

/*
 * Deadlines that have passed all count as now, so that a timer that restarts itself lets the others
 * run.
 */
typedef struct again {
	fl_timer t;
	uint32_t left, calls;
} again;

static void start_again(void *arg)
{
	again *a = arg;
	a->calls++;
	if (a->left-- > 0) {
		const int rc = fl_timer_start(&a->t, FL_NO_WAIT, start_again, a);
		FL_OK_OR(rc, -ECANCELED); /* -ECANCELED if the timer is being stopped */
	}
}

FL_TEST(timer_that_is_always_due_starves_no_other)
{
	again hog = {FL_TIMER_INIT, UINT32_MAX, 0};
	FL_OK(fl_timer_start(&hog.t, FL_NO_WAIT, start_again, &hog));
	for (int i = 0; i < 10; i++)
		fl_test_all_due();
	FL_OK(fl_test_timer_end(&hog.t));
	FL_OK(fl_timer_try_join(&hog.t));
	assert_true(hog.calls > 0);
}

FL_TEST(timer_restarts_in_its_function)
{
	again a = {FL_TIMER_INIT, 5, 0};
	FL_OK(fl_timer_start(&a.t, FL_NO_WAIT, start_again, &a));
	FL_OK(fl_timer_join(&a.t));
	assert_int_equal(a.calls, 6);
}

/* The thread that sleeps for a late deadline is woken for an early one. */
FL_TEST(timer_of_an_earlier_deadline_is_in_time)
{
	fl_timer late = FL_TIMER_INIT, never = FL_TIMER_INIT;
	uint32_t calls = 0;
	FL_OK(fl_timer_start(&never, FL_FOREVER, fl_test_count, &calls));
	FL_OK(fl_timer_start(&late, fl_after(2 * HOUR), fl_test_count, &calls));
	for (int i = 0; i < 20; i++)
		fl_test_all_due();
	FL_RC(fl_timer_try_join(&late), -EAGAIN);
	fl_test_pass(3 * HOUR);
	FL_OK(fl_timer_join(&late));
	assert_int_equal(fl__load_relaxed(&calls), 1);
	FL_OK(fl_timer_cancel(&never));
	assert_int_equal(fl__load_relaxed(&calls), 1);
}

FL_TEST(timer_cancelled_is_not_called)
{
	fl_timer t = FL_TIMER_INIT;
	uint32_t calls = 0;
	FL_RC(fl_timer_cancel(&t), -EALREADY);
	FL_OK(fl_timer_start(&t, fl_after(HOUR), fl_test_count, &calls));
	FL_RC(fl_timer_start(&t, FL_NO_WAIT, fl_test_count, &calls), -EBUSY);
	FL_RC(fl_timer_start_every(&t, FL_NO_WAIT, 1, fl_test_count, &calls), -EBUSY);
	FL_OK(fl_timer_cancel(&t));
	FL_RC(fl_timer_cancel(&t), -EALREADY);
	FL_OK(fl_timer_try_join(&t));
	FL_OK(fl_timer_start(&t, fl_after(HOUR), fl_test_count, &calls));
	FL_OK(fl_test_timer_end(&t));
	fl_test_pass(2 * HOUR);
	fl_test_called(&calls, 0);
	FL_OK(fl_test_timer_end(&t));
}

FL_TEST(timer_is_stopped_at_the_end_of_its_scope)
{
	uint32_t calls = 0;
	{
		FL_SCOPED(fl_timer) t = FL_TIMER_INIT;
		FL_OK(fl_timer_start_every(&t, fl_after(HOUR), HOUR, fl_test_count, &calls));
	}
	fl_test_pass(2 * HOUR);
	fl_test_called(&calls, 0);
}

/* A running function is waited for; then its memory may be freed. */
FL_TEST(timer_that_runs_is_busy)
{
	fl_timer *t = calloc(1, sizeof *t);
	fl_test_long l = FL_TEST_LONG;
	uint32_t calls = 0;
	fl_test_caller c;
	assert_non_null(t);
	fl_test_run_long(t, &l);
	FL_RC(fl_timer_cancel(t), -EINPROGRESS);
	FL_RC(fl_timer_try_join(t), -EAGAIN);
	FL_OK(fl_timer_start(t, FL_NO_WAIT, fl_test_count, &calls)); /* once more, after this call */
	FL_RC(fl_timer_cancel(t), -EINPROGRESS);
	fl_test_call_start(&c, fl_test_join_call, t, FL_FOREVER, FL_SHIELDED);
	assert_int_equal(l.ended, 0);
	fl_event_set(&l.go);
	FL_OK(fl_test_call_end(&c));
	assert_int_equal(l.ended, 1);
	free(t);
	fl_test_called(&calls, 0);
}

typedef struct restarting {
	fl_timer t;
	fl_test_long l;
	int once, every;
} restarting;

static void restart(void *arg)
{
	restarting *r = arg;
	fl_test_take_long(&r->l);
	r->once = fl_timer_start(&r->t, FL_NO_WAIT, restart, r);
	r->every = fl_timer_start_every(&r->t, FL_NO_WAIT, 1, restart, r);
}

/* The call during which another thread cancels the timer is the last. */
FL_TEST(timer_cancelled_is_not_started_by_its_function)
{
	restarting r = {FL_TIMER_INIT, FL_TEST_LONG, 0, 0};
	FL_OK(fl_timer_start(&r.t, FL_NO_WAIT, restart, &r));
	FL_OK(fl_event_wait(&r.l.begun));
	FL_RC(fl_timer_cancel(&r.t), -EINPROGRESS);
	FL_RC(fl_timer_join_until(&r.t, FL_NO_WAIT, NULL), -ETIMEDOUT);
	FL_RC(fl_timer_join_until(&r.t, FL_FOREVER, fl_test_requested), -ECANCELED);
	fl_event_set(&r.l.go);
	{
		FL_CANCEL_SCOPE(fl_test_requested);
		FL_OK(fl_test_timer_end(&r.t));
	}
	assert_int_equal(r.l.ended, 1);
	assert_int_equal(r.once, -ECANCELED);
	assert_int_equal(r.every, -ECANCELED);
	FL_OK(fl_timer_start(&r.t, FL_NO_WAIT, fl_test_take_long, &r.l));
	FL_OK(fl_timer_join(&r.t));
	assert_int_equal(r.l.ended, 2);
}

FL_TEST(timer_join_waits_for_the_call_or_the_cancel)
{
	fl_timer t = FL_TIMER_INIT;
	uint32_t calls = 0;
	fl_test_caller c;
	FL_OK(fl_timer_join(&t));
	FL_OK(fl_timer_start(&t, fl_after(HOUR), fl_test_count, &calls));
	FL_RC(fl_timer_join_until(&t, FL_NO_WAIT, NULL), -ETIMEDOUT);
	FL_RC(fl_timer_join_until(&t, fl_after(FL_US(100)), NULL), -ETIMEDOUT);
	FL_RC(fl_timer_join_until(&t, FL_FOREVER, fl_test_requested), -ECANCELED);
	FL_CANCELS_IN_SCOPE(fl_timer_join(&t));
	fl_test_call_start(&c, fl_test_join_call, &t, FL_FOREVER, NULL);
	fl_test_pass(2 * HOUR);
	FL_OK(fl_test_call_end(&c));
	assert_int_equal(fl__load_relaxed(&calls), 1);

	FL_OK(fl_timer_start(&t, fl_after(HOUR), fl_test_count, &calls));
	fl_test_call_start(&c, fl_test_join_call, &t, FL_FOREVER, NULL);
	FL_OK(fl_timer_cancel(&t));
	FL_OK(fl_test_call_end(&c));
	assert_int_equal(fl__load_relaxed(&calls), 1);
}

/* Of its own function. */
typedef struct own {
	fl_timer t, other;
	bool periodic;
	uint32_t calls;
} own;

static void ask_for_itself(void *arg)
{
	own *o = arg;
	FL_RC(fl_timer_try_join(&o->t), -EAGAIN);
	FL_RC(fl_timer_join_until(&o->t, FL_NO_WAIT, NULL), -EDEADLK);
	FL_CHECK(fl_timer_cancel(&o->t) == (o->periodic ? 0 : -EALREADY));
	FL_OK(fl_timer_start(&o->t, FL_FOREVER, ask_for_itself, o));
	FL_OK(fl_timer_cancel(&o->t));
	FL_OK(fl_timer_start(&o->t, FL_FOREVER, ask_for_itself, o));
	FL_RC(fl_test_timer_end(&o->t), -EDEADLK);
	FL_RC(fl_timer_cancel(&o->t), -EALREADY);

	/*
	 * Another timer could not run in the meantime, so the wait is only for the end of this
	 * call.
	 */
	FL_OK(fl_timer_join(&o->other));
	FL_OK(fl_timer_start(&o->other, FL_NO_WAIT, fl_test_count, &o->calls));
	FL_RC(fl_timer_join(&o->other), -EDEADLK);
	FL_OK(fl_test_timer_end(&o->other));
	FL_OK(fl_timer_start(&o->other, FL_NO_WAIT, fl_test_count, &o->calls));
}

FL_TEST(timer_in_its_own_function)
{
	FL_BOTH (periodic) {
		own o = {FL_TIMER_INIT, FL_TIMER_INIT, periodic, 0};
		FL_OK(periodic ? fl_timer_start_every(&o.t, FL_NO_WAIT, HOUR, ask_for_itself, &o)
		               : fl_timer_start(&o.t, FL_NO_WAIT, ask_for_itself, &o));
		FL_OK(fl_timer_join(&o.t));
		FL_OK(fl_timer_join(&o.other));
		assert_int_equal(o.calls, 1);
	}
}

static fl_event freed = FL_EVENT_AUTO_INIT;

static void free_itself(void *arg)
{
	own *o = arg;
	if (o->periodic)
		FL_OK(fl_timer_cancel(&o->t));
	memset(o, 0xff, sizeof *o);
	free(o);
	fl_event_set(&freed);
}

FL_TEST(timer_is_freed_by_its_function)
{
	FL_BOTH (periodic) {
		own *o = calloc(1, sizeof *o);
		assert_non_null(o);
		o->periodic = periodic;
		FL_OK(periodic ? fl_timer_start_every(&o->t, FL_NO_WAIT, 1, free_itself, o)
		               : fl_timer_start(&o->t, FL_NO_WAIT, free_itself, o));
		FL_OK(fl_event_wait(&freed));
		fl_test_all_due();
	}
}

/*
 * A timer in the memory of a timer that is gone is a different timer, even if the old function
 * runs.
 */
static fl_event gone = FL_EVENT_AUTO_INIT, may_end = FL_EVENT_AUTO_INIT;

static void leave_its_memory(void *t)
{
	memset(t, 0xff, sizeof(fl_timer));
	fl_event_set(&gone);
	FL_OK(fl_event_wait(&may_end));
}

FL_TEST(timer_in_the_place_of_one_that_runs)
{
	fl_timer t = FL_TIMER_INIT;
	unsigned calls = 0;
	FL_OK(fl_timer_start(&t, FL_NO_WAIT, leave_its_memory, &t));
	FL_OK(fl_event_wait(&gone));
	fl_timer_init(&t);
	FL_OK(fl_timer_try_join(&t));
	FL_RC(fl_timer_cancel(&t), -EALREADY);
	FL_OK(fl_test_timer_end(&t)); /* it would wait for the function */
	FL_OK(fl_timer_start(&t, FL_FOREVER, fl_test_count, &calls));
	FL_OK(fl_timer_cancel(&t));
	FL_OK(fl_timer_start(&t, FL_NO_WAIT, fl_test_count, &calls));
	FL_RC(fl_timer_try_join(&t), -EAGAIN);
	fl_event_set(&may_end);
	FL_OK(fl_timer_join(&t));
	assert_int_equal(calls, 1);
}
