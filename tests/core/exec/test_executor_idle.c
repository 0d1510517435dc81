/* SPDX-License-Identifier: BSD-2-Clause */
/* fl_executor_wait_idle(), for every kind of executor. */
#include "conformance.h"

CONFORMANCE_ON(idle_waits_for_all_tasks, 2)
{
	enum { N = 20 };
	struct tally *tally = new_tally();
	/* With workers that are new, idle, being woken, or going to sleep. */
	for (int round = 1; round <= 50; round++) {
		submit_tallied(e, tally, N);
		FL_OK(fl_executor_wait_idle(e));
		expect_tally(tally, round * N, round * N);
	}
	FL_OK(fl_executor_wait_idle_until(e, FL_NO_WAIT, NULL));
	FL_OK(fl_executor_join(e));
	FL_OK(fl_executor_wait_idle(e));
}

CONFORMANCE_ON(idle_of_an_unused_executor, 1)
{
	FL_OK(fl_executor_wait_idle(e));
	FL_OK(fl_executor_wait_idle_until(e, FL_NO_WAIT, FL_SHIELDED));
}

CONFORMANCE_ABLE(idle_wait_gives_up, 1, FL_CAP_CONCURRENT)
{
	struct tally *tally = new_tally();
	struct held held = hold_worker(e);
	FL_OK(tallied_submit(e, tally, NULL));
	FL_RC(fl_executor_wait_idle_until(e, FL_NO_WAIT, NULL), -ETIMEDOUT);
	FL_RC(fl_executor_wait_idle_until(e, fl_after(FL_MS(1)), NULL), -ETIMEDOUT);
	FL_RC(fl_executor_wait_idle_until(e, FL_FOREVER, fl_test_requested), -ECANCELED);
	FL_CANCELS_IN_SCOPE(fl_executor_wait_idle(e));
	FL_OK(tallied_submit(e, tally, NULL)); /* it is open */
	assert_int_equal(counted(&tally->runs), 0);
	let_go(&held);
	FL_OK(fl_executor_wait_idle(e));
	assert_int_equal(counted(&tally->runs), 2);
	FL_CANCEL_SCOPE(fl_test_requested); /* an idle executor needs no wait */
	FL_OK(fl_executor_wait_idle(e));
	FL_OK(fl_executor_wait_idle_until(e, FL_NO_WAIT, fl_test_requested));
}

static int wait_idle(void *e)
{
	return fl_executor_wait_idle(e);
}

/* C-Thread-Pool: only one of two waiters for the join was woken. */
CONFORMANCE_ON(idle_and_join_wake_all_waiters, 1)
{
	enum { N = 4 };
	struct held held = hold_worker(e);
	fl_thread *waiters[N];
	FL_EACH (i, waiters)
		fl_test_go(&waiters[i], i % 2 ? join_it : wait_idle, e);
	let_go(&held);
	FL_EACH (i, waiters)
		fl_test_end(waiters[i]);
}

/* A callback of a task, which runs on the thread that cancels it. */
static void wait_in_callback(fl_future *f, void *arg)
{
	fl_executor *e = *(fl_executor **)arg;
	FL_RC(fl_executor_wait_idle_until(e, FL_NO_WAIT, NULL), -EDEADLK);
}

CONFORMANCE_ABLE(idle_waits_for_cancellers, 1, FL_CAP_CONCURRENT)
{
	FL_SCOPED(fl_future) *f = NULL, *g = NULL;
	struct gate *callback = new_gate();
	struct held held = hold_worker(e);
	fl_thread *canceller;
	FL_OK(square_submit(e, 1, &f));
	FL_OK(fl_future_on_end(f, hold_in_callback, callback));
	FL_OK(square_submit(e, 1, &g));
	FL_OK(fl_future_on_end(g, wait_in_callback, &e));
	FL_OK(fl_future_cancel(g));
	fl_test_go(&canceller, cancel_future, f);
	await_event(&callback->entered);
	let_go(&held);
	FL_RC(fl_executor_wait_idle_until(e, fl_after(FL_MS(1)), NULL), -ETIMEDOUT);
	set_event(&callback->open);
	FL_OK(fl_executor_wait_idle(e));
	fl_test_end(canceller);
}

FL_TASK_STATIC(wait_for_itself, void, void)
{
	fl_executor *e = fl_executor_current();
	if (fl_executor_wait_idle_until(e, FL_NO_WAIT, NULL) != -EDEADLK)
		return -EFAULT;
	return fl_executor_wait_idle(e);
}

CONFORMANCE_ON(idle_wait_from_its_own_task_is_edeadlk, 1)
{
	FL_RC(fl_test_run_task(e, &wait_for_itself, NULL, NULL), -EDEADLK);
	FL_OK(fl_executor_wait_idle(e));
}

struct further {
	struct tally *tally;
	int left;
};

/* Its last act is to submit the next one. */
FL_TASK_STATIC(count_down, struct further, void)
{
	const struct further next = {arg->tally, arg->left - 1};
	count(&arg->tally->runs);
	return arg->left > 0 ? count_down_submit(fl_executor_current(), next, NULL) : 0;
}

CONFORMANCE_ON(idle_includes_what_tasks_submit, 2)
{
	enum { N = 100 };
	struct further first = {new_tally(), N - 1};
	if (!is_by_reference(e))
		return; /* there such tasks go to the worker's own executor */
	FL_OK(count_down_submit(e, first, NULL));
	FL_OK(fl_executor_wait_idle(e));
	assert_int_equal(counted(&first.tally->runs), N);
}
