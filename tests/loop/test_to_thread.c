/* SPDX-License-Identifier: BSD-2-Clause */
/* Functions that fibers have run on threads of their loop. */
#include "fl_in_loop.h"
#include "fl_queued.h"

enum { MOST = 32, MORE = 4 }; /* lib/loop/to_thread.c */

static unsigned threads_of_a_loop(void)
{
	return fl_cpu_count() + MORE < MOST ? fl_cpu_count() + MORE : MOST;
}

/* A fiber that runs in the meantime. */
typedef struct ticker {
	fl_fiber *fiber;
	uint32_t ticks;
	bool stop;
} ticker;

static int tick(void *arg)
{
	ticker *t = arg;
	while (!t->stop) {
		fl__add_relaxed(&t->ticks, 1);
		FL_OK(fl_sleep(0));
	}
	return 0;
}

static void ticker_begin(ticker *t)
{
	*t = (ticker){.fiber = fl_test_start(tick, t)};
}

static void ticker_end(ticker *t)
{
	t->stop = true;
	FL_OK(fl_test_join(t->fiber));
}

typedef struct visit {
	ticker ticker;
	uint64_t id;
	char name[32];
	bool signals_blocked, in_fiber;
} visit;

static int look_around(void *arg)
{
	visit *v = arg;
	sigset_t mask;
	v->id = fl_thread_current_id();
	FL_TEXT(v->name, "%s", fl_thread_current_name());
	(void)pthread_sigmask(SIG_SETMASK, NULL, &mask);
	v->signals_blocked = sigismember(&mask, SIGTERM) == 1;
	v->in_fiber = fl_fiber_current() != NULL || fl_loop_current() != NULL;
	FL_CHECK(fl_cancel_scope_current() != NULL && !fl_cancel_token_is_requested(NULL));
	const uint32_t before = fl__load_relaxed(&v->ticker.ticks);
	FL_WAIT_FOR(fl__load_relaxed(&v->ticker.ticks) > before + 3);
	return 42;
}

static int goes_to_a_thread(void *unused)
{
	visit v = {.id = 0};
	int result = 77;
	ticker_begin(&v.ticker);
	errno = EDOM;
	const int rc = fl_blocking_call(look_around, &v, &result);
	FL_CHECK(rc == 0 && errno == EDOM && result == 42);
	FL_CHECK(v.id != 0 && v.id != fl_thread_current_id() && !v.signals_blocked && !v.in_fiber);
	FL_CHECK(strcmp(v.name, "to-thread-0") == 0);
	fl_test_threads_rest();
	FL_OK(fl_blocking_call(look_around, &v, NULL));
	fl_test_threads_rest();
	FL_OK(fl_blocking_call_until(look_around, &v, &result, fl_after(FL_S(3600)), FL_SHIELDED));
	FL_CHECK(strcmp(v.name, "to-thread-0") == 0); /* it has waited for work */
	ticker_end(&v.ticker);
	return 0;
}

FL_TEST(to_thread_runs_beside_the_loop)
{
	size_t before = fl_thread_enumerate(NULL, NULL);
	fl_test_in_loop(goes_to_a_thread, NULL);
	assert_int_equal(fl_thread_enumerate(NULL, NULL), before); /* they are joined */
}

FL_LOOP_TEST(to_thread_result_is_apart_from_its_own)
{
	static const int results[] = {-EIO, -ETIMEDOUT, -ECANCELED, -ENOMEM, 7};
	FL_EACH (i, results) {
		int rc = results[i], result = 77;
		FL_CHECK(fl_blocking_call(fl_test_return_int, &rc, &result) == 0 && result == rc);
	}
}

/* Many fibers, more than threads: each is served, and no more than there may be at once. */
enum { FIBERS = 200 };

typedef struct crowd {
	uint32_t inside, most, calls;
	int numbers[FIBERS];
} crowd;
static crowd all;

static int count_in(void *arg)
{
	const int *number = arg;
	uint32_t inside = fl__add_relaxed(&all.inside, 1) + 1, most = fl__load_relaxed(&all.most);
	while (inside > most && !fl__cas_weak_relaxed(&all.most, &most, inside))
		;
	/* The first ones wait for each other: so many do run at once. */
	if (fl__add_relaxed(&all.calls, 1) < threads_of_a_loop())
		FL_WAIT_FOR(fl__load_relaxed(&all.calls) >= threads_of_a_loop());
	(void)fl__sub_release(&all.inside, 1);
	return *number;
}

static int go_and_check(void *arg)
{
	const int *number = arg;
	int result = -1;
	FL_OK(fl_blocking_call(count_in, arg, &result));
	FL_CHECK(result == *number);
	return 0;
}

FL_LOOP_TEST(to_thread_of_many_fibers)
{
	fl_fiber *f[FIBERS];
	all = (crowd){.inside = 0};
	FL_EACH (i, f) {
		all.numbers[i] = i;
		f[i] = fl_test_start(go_and_check, &all.numbers[i]);
	}
	FL_EACH (i, f)
		FL_OK(fl_test_join(f[i]));
	FL_CHECK(all.most == threads_of_a_loop() && all.calls == FIBERS);
}

/* Cancel and deadlines. */
typedef struct errand {
	fl_event never, begun, go;
	int rc, result;         /* of the call */
	fl_fiber_function *run; /* on the thread */
	fl_time deadline;
	fl_cancel_token *cancel;
	uint32_t called, over;
} errand;

static int wait_for_ever(void *arg)
{
	errand *e = arg;
	fl__store_relaxed(&e->called, 1);
	fl_event_set(&e->begun);
	int rc = fl_event_wait(&e->never);
	FL_CHECK(rc == -ECANCELED && fl_cancel_token_is_requested(NULL));
	/* Takes its time to give up. */
	FL_OK(fl_sleep_until(fl_test_soon(), FL_SHIELDED));
	fl__store_relaxed(&e->over, 1);
	return rc;
}

/* Checks whether it should end, but has done its work. */
static int finish_all_the_same(void *arg)
{
	errand *e = arg;
	fl__store_relaxed(&e->called, 1);
	fl_event_set(&e->begun);
	FL_WAIT_FOR(fl_cancel_token_is_requested(NULL));
	fl__store_relaxed(&e->over, 1);
	return 11;
}

static int do_errand(void *arg)
{
	errand *e = arg;
	e->result = 77;
	e->rc = fl_blocking_call_until(e->run, e, &e->result, e->deadline, e->cancel);
	FL_CHECK(fl__load_relaxed(&e->called) == fl__load_relaxed(&e->over));
	return 0;
}

/* Does it, and cancels it when the function has begun. */
static errand cancelled_errand(fl_fiber_function *run)
{
	errand e = {.run = run, .deadline = FL_FOREVER};
	fl_fiber *f = fl_test_start(do_errand, &e);
	FL_OK(fl_event_wait(&e.begun));
	fl_fiber_cancel(f);
	FL_CHECK(fl_test_join(f) == 0 && e.over);
	return e;
}

FL_LOOP_TEST(to_thread_cancelled_waits_for_its_end)
{
	errand e = cancelled_errand(wait_for_ever);
	FL_CHECK(e.rc == -ECANCELED && e.result == -ECANCELED);
	e = cancelled_errand(finish_all_the_same);
	FL_CHECK(e.rc == 0 && e.result == 11); /* what was done is not lost */
					       /* fl_blocking_call_until(): -ECANCELED */
}

FL_LOOP_TEST(to_thread_too_late_is_not_called)
{
	errand e = {.run = wait_for_ever};
	int result = 77;
	const size_t threads = fl_thread_enumerate(NULL, NULL);
	fl_cancel_token stop;
	fl_cancel_token_init(&stop, NULL, FL_FOREVER);
	fl_cancel_token_request(&stop);
	{
		FL_CANCEL_SCOPE(&stop);
		FL_RC(fl_blocking_call_until(wait_for_ever, &e, &result, FL_NO_WAIT, NULL), -ECANCELED);
	}
	FL_RC(fl_blocking_call_until(wait_for_ever, &e, &result, FL_FOREVER, &stop), -ECANCELED);
	FL_RC(fl_blocking_call_until(wait_for_ever, &e, &result, FL_NO_WAIT, NULL), -ETIMEDOUT);
	FL_RC(fl_blocking_call_until(wait_for_ever, &e, &result, FL_NO_WAIT, FL_SHIELDED), -ETIMEDOUT);
	FL_CHECK(!e.called && result == 77);
	FL_CHECK(fl_thread_enumerate(NULL, NULL) == threads); /* no thread was started */
	fl_cancel_token_destroy(&stop);
}

FL_LOOP_TEST(to_thread_times_out)
{
	errand e = {.run = wait_for_ever, .deadline = fl_test_soon()};
	FL_OK(do_errand(&e));
	FL_CHECK(e.rc == -ETIMEDOUT && e.result == (e.called ? -ECANCELED : 77));
	e = (errand){.run = finish_all_the_same, .deadline = fl_after(FL_MS(20))};
	FL_OK(do_errand(&e));
	FL_CHECK(e.called ? e.rc == 0 && e.result == 11 : e.rc == -ETIMEDOUT);
	fl_timeout t = FL_TIMEOUT_INIT;
	fl_timeout_begin(&t, fl_test_soon());
	e = (errand){.run = wait_for_ever, .deadline = FL_FOREVER};
	FL_OK(do_errand(&e));
	FL_CHECK(e.rc == -ECANCELED && fl_timeout_end(&t, e.rc) == -ETIMEDOUT);
	/* fl_blocking_call_until(): -ETIMEDOUT */
}

/* All threads are busy: a pending call is given up at once, and never made. */
static int keep_busy(void *arg)
{
	errand *e = arg;
	fl__store_relaxed(&e->called, 1);
	fl__store_relaxed(&e->over, 1);
	fl_event_set(&e->begun);
	fl_test_hold_until(&e->go);
	return 0;
}

FL_LOOP_TEST(to_thread_given_up_while_queued_is_not_called)
{
	static errand busy[MOST];
	fl_fiber *f[MOST] = {NULL};
	const unsigned n = threads_of_a_loop();
	for (unsigned i = 0; i < n; i++) {
		busy[i] = (errand){.run = keep_busy, .deadline = FL_FOREVER};
		f[i] = fl_test_start(do_errand, &busy[i]);
		FL_OK(fl_event_wait(&busy[i].begun));
	}
	errand e = {.run = wait_for_ever, .deadline = fl_test_soon()};
	FL_OK(do_errand(&e));
	FL_CHECK(e.rc == -ETIMEDOUT && e.result == 77 && !e.called);
	e.deadline = FL_FOREVER;
	fl_fiber *late = fl_test_start(do_errand, &e);
	fl_test_settle();
	fl_fiber_cancel(late);
	FL_OK(fl_test_join(late));
	FL_CHECK(e.rc == -ECANCELED && e.result == 77 && !e.called);
	for (unsigned i = 0; i < n; i++) {
		fl_event_set(&busy[i].go);
		FL_CHECK(fl_test_join(f[i]) == 0 && busy[i].rc == 0 && busy[i].result == 0);
	}
}

/* The loop ends while a fiber is at it: that is cancelled, and waited for. */
static errand left;

static int leaves_one(void *unused)
{
	left = (errand){.run = wait_for_ever, .deadline = FL_FOREVER};
	fl_fiber_detach(fl_test_start(do_errand, &left));
	return fl_event_wait(&left.begun);
}

FL_TEST(to_thread_is_waited_for_by_the_loop)
{
	fl_test_in_loop(leaves_one, NULL);
	assert_int_equal(left.over, 1);
	assert_int_equal(left.rc, -ECANCELED);
}

/* Where it cannot be. */
static int outside(void *unused)
{
	int zero = 0, result = 77;
	FL_RC(fl_blocking_call(fl_test_return_int, &zero, &result), -ENOTSUP);
	FL_CHECK(fl_blocking_call_until(fl_test_return_int, &zero, &result, FL_NO_WAIT, FL_SHIELDED) == -ENOTSUP &&
	         result == 77);
	return 5;
}

static void outside_in_callback(void *called)
{
	FL_CHECK(outside(NULL) == 5);
	fl_event_set(called);
}

static int from_callbacks_and_threads(void *unused)
{
	int result = 0;
	fl_event called = FL_EVENT_INIT;
	fl_loop_timer timer = {.function_ = NULL};
	fl_test_in_callback(outside_in_callback, &called);
	fl_event_reset(&called);
	fl_loop_timer_start(fl_loop_current(), &timer, FL_NO_WAIT, outside_in_callback, &called);
	FL_OK(fl_event_wait(&called));
	FL_CHECK(fl_blocking_call(outside, NULL, &result) == 0 && result == 5);
	return 0;
}

FL_TEST(to_thread_outside_of_fibers)
{
	assert_int_equal(outside(NULL), 5);
	fl_test_in_loop(from_callbacks_and_threads, NULL);
}
