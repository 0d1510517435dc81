/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A result says by itself what has happened: that of a function of the program (a thread, a fiber,
 * a task, a member) is never taken for a result of the call that waits for it. Each of these
 * functions returns each of the errors that the calls have of their own. check_api.py holds the
 * calls against the headers: each function that ends in _join_until is here.
 */
#include "fl_in_loop.h"

FL_ALL_NEED(FL_TEST_PROCESSES | FL_TEST_MEMFD)

static const int ends[] = {0,        -ETIMEDOUT,  -ECANCELED, -EBUSY, -EAGAIN,
                           -EDEADLK, -EOWNERDEAD, -ENODATA,   -EPIPE, FL_ETASK};

/* The calls do not wait. */
static const fl_time at_once = {-1};

FL_TASK_STATIC(apart_returns, int, int)
{
	*result = 1;
	return *arg;
}

static int body_returns(void *end, size_t from, size_t to)
{
	return *(int *)end;
}

/* ---- Threads, fibers ---- */

static void join_thread(int end)
{
	fl_thread *t;
	int result = 1;
	fl_test_go(&t, fl_test_return_int, &end);
	FL_WAIT_FOR(!fl_thread_is_alive(t));
	FL_OK(fl_thread_join_until(t, &result, at_once, FL_SHIELDED));
	FL_CHECK(result == end);
}

static void join_fiber(int end)
{
	int result = 1;
	fl_fiber *f = fl_test_start(fl_test_return_int, &end);
	FL_RC(fl_fiber_join_until(f, &result, at_once, FL_SHIELDED), -ETIMEDOUT);
	fl_test_settle();
	FL_OK(fl_fiber_join_until(f, &result, at_once, FL_SHIELDED));
	FL_CHECK(result == end);
}

/* What was not called leaves the result alone; a function that was cancelled stores it. */
static void call_to_thread(int end)
{
	int result = 1;
	FL_RC(fl_blocking_call_until(fl_test_return_int, &end, &result, at_once, FL_SHIELDED), -ETIMEDOUT);
	FL_RC(fl_blocking_call_until(fl_test_return_int, &end, &result, FL_FOREVER, fl_test_requested), -ECANCELED);
	FL_CHECK(result == 1);
	FL_OK(fl_blocking_call_until(fl_test_return_int, &end, &result, FL_FOREVER, FL_SHIELDED));
	FL_CHECK(result == end);
}

/* ---- Groups ---- */

static void join_group_of_fibers(int end)
{
	fl_group g = FL_GROUP_INIT(NULL);
	for (int way = 0; way < 3; way++) {
		FL_OK(fl_group_start(&g, fl_test_return_int, &end));
		FL_RC(fl_group_try_join(&g), -EAGAIN);
		FL_RC(fl_group_join_until(&g, at_once, FL_SHIELDED), -ETIMEDOUT);
		FL_RC(fl_group_join_until(&g, FL_FOREVER, fl_test_requested), -ECANCELED);
		fl_test_settle();
		FL_CHECK(fl_group_count(&g) == 0);
		if (way == 0)
			FL_JOINED(fl_group_join(&g), &g, end);
		else if (way == 1)
			FL_JOINED(fl_group_join_until(&g, at_once, FL_SHIELDED), &g, end);
		else
			FL_JOINED(fl_group_try_join(&g), &g, end);
	}
}

/* ---- Tasks ---- */

static void join_tasks(int end)
{
	fl_imap *it = NULL;
	fl_group g = FL_GROUP_INIT(NULL);
	const int failed = end == 0 ? 0 : FL_ETASK;
	int result = 0, error = 0;
	size_t i;
	fl_executor *e = fl_test_executor(fl_sequential_executor_create, NULL);
	g.executor_ = e;
	fl_future *f = FL_SUBMITTED(apart_returns, e, end);
	FL_OK(fl_future_wait_until(f, at_once, FL_SHIELDED));
	FL_RC(fl_future_get_until(f, &result, sizeof result, at_once, FL_SHIELDED), failed);
	FL_CHECK(fl_future_error(f) == end);
	fl_future_free(f);
	FL_OK(apart_returns_group_submit(&g, end, &result));
	FL_JOINED(fl_group_join_until(&g, at_once, FL_SHIELDED), &g, end);
	FL_RC(apart_returns_map(e, &end, 1, &result, NULL), failed);
	FL_RC(fl_parallel_for(e, 0, 1, body_returns, &end, &(fl_parallel_config){.error = &error}), failed);
	FL_CHECK(error == end);
	FL_OK(fl_imap_create(&it, e, &apart_returns, &end, 1, NULL));
	FL_RC(fl_imap_next_until(it, &i, &result, at_once, FL_SHIELDED), failed);
	FL_CHECK(fl_imap_error(it) == end);
	fl_imap_free(it);
	FL_OK(fl_executor_join_until(e, at_once, FL_SHIELDED));
	fl_executor_free(e);
}

/* ---- Others: no function returns a result through these joins ---- */

static void join_others(int end)
{
	fl_timer timer = FL_TIMER_INIT;
	fl_shm *region = NULL;
	fl_shm_queue *shared = NULL;
	fl_process *p = NULL;
	fl_process_status status;
	FL_OK(fl_timer_join_until(&timer, at_once, FL_SHIELDED));
	fl_queue *q = FL_TEST_QUEUE_OF(sizeof(int), NULL);
	FL_OK(fl_queue_join_until(q, at_once, FL_SHIELDED));
	fl_queue_free(q);
	FL_OK(fl_shm_create(&region, (size_t)1 << 20));
	FL_OK(fl_shm_queue_create(&shared, region, &(fl_shm_queue_config){.item_size = sizeof(int)}));
	FL_OK(fl_shm_queue_join_until(shared, at_once, FL_SHIELDED));
	fl_shm_queue_destroy(shared);
	fl_shm_free(region);
	if (end != 0)
		return;
	FL_OK(fl_process_start(&p, &(fl_process_config){.program = "false"}));
	FL_WAIT_FOR(!fl_process_is_alive(p));
	FL_OK(fl_process_join_until(p, &status, at_once, FL_SHIELDED));
	FL_CHECK(status.signal == 0 && status.code == 1);
	fl_process_free(p);
}

FL_LOOP_TEST(results_of_functions_are_apart_from_those_of_calls)
{
	void (*const calls[])(int) = {join_thread,          join_fiber, call_to_thread,
	                              join_group_of_fibers, join_tasks, join_others};
	FL_EACH (i, calls)
		FL_EACH (k, ends)
			calls[i](ends[k]);
}

/*
 * fl_once_call() returns what the function returned: after any error it has not succeeded in this
 * call. The argument tells whether it has run.
 */
struct run {
	int end, runs;
};

static int counts_and_returns(void *arg)
{
	struct run *r = arg;
	r->runs++;
	return r->end;
}

FL_TEST(results_of_once_mean_that_it_is_not_done)
{
	FL_EACH (k, ends) {
		fl_once o = FL_ONCE_INIT;
		struct run r = {ends[k], 0};
		FL_RC(fl_once_call_until(&o, counts_and_returns, &r, FL_NO_WAIT, fl_test_requested), ends[k]);
		FL_CHECK(r.runs == 1 && fl_once_is_done(&o) == (ends[k] == 0));
	}
}

/* fl_timeout_call(): the result of the function is elsewhere. */
FL_TEST(results_of_wait_for_are_apart)
{
	FL_EACH (k, ends) {
		int result = 1, end = ends[k];
		FL_OK(fl_timeout_call(fl_test_return_int, &end, FL_FOREVER, &result));
		FL_CHECK(result == end);
	}
}

/* An end of the wait, or of the iteration: fl_imap_try_next() tells, as often as it is asked. */
FL_TEST(results_of_imap_tell_what_has_ended)
{
	static const int args[] = {0, 0};
	fl_imap *it = NULL;
	int result = 0;
	size_t i;
	fl_executor *e = fl_test_executor(fl_loop_executor_create, NULL);
	FL_BOTH (early) {
		fl_cancel_token stop = FL_CANCEL_TOKEN_INIT;
		fl_imap_config config = {.window = 1, .cancel = &stop};
		FL_OK(apart_returns_imap(e, args, 2, &it, &config));
		if (early)
			fl_cancel_token_request(&stop);
		int rc;
		while ((rc = fl_imap_next_until(it, &i, &result, FL_FOREVER,
		                                early ? FL_SHIELDED : fl_test_requested)) == 0 ||
		       rc == FL_ETASK)
			;
		if (early) {
			FL_RC(rc, -ECANCELED);
			for (int again = 0; again < 3; again++)
				FL_RC(fl_imap_try_next(it, &i, &result), -ECANCELED);
		} else {
			FL_CHECK(rc == -ECANCELED || rc == -ENODATA);
			FL_WAIT_FOR((rc = fl_imap_try_next(it, &i, &result)) != -EAGAIN);
			FL_OK_OR(rc, -ENODATA);
		}
		fl_imap_free(it);
		fl_cancel_token_destroy(&stop);
	}
	fl_executor_free(e);
}
