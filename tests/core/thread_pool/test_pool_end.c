/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The end of an executor: close, cancel, join, free, from outside, from its own tasks, from several
 * threads.
 */
#include "core/thread_pool/thread_pool.h"
#include "fl_pool.h"

static unsigned joins;

static fl_executor *executor_of(int kind)
{
	return kind == 0 ? sequential() : pool_with((unsigned)kind);
}

static void join_in_callback(fl_future *f, void *arg)
{
	FL_RC(fl_executor_join(arg), -EDEADLK);
	FL_RC(fl_executor_try_join(arg), -EDEADLK);
	COUNT(&joins);
}

POOL_TEST(pool_join_in_a_callback_on_its_worker_is_a_deadlock, 1)
{
	SET(&joins, 0);
	struct held held = hold_worker(e);
	FL_OK(fl_future_on_end(held.f, join_in_callback, e));
	let_go(&held);
	FL_WAIT_FOR(LOOK(&joins) == 1);
	FL_OK(pool_double_submit(e, 1, NULL)); /* it was not even closed */
}

/* ... and on the canceller, while the task has not ended. */
FL_TEST(pool_join_in_a_callback_of_a_cancel_is_a_deadlock)
{
	FL_BOTH (all) {
		FL_SCOPED(fl_executor) *e = pool_with(1);
		FL_SCOPED(fl_future) *f = NULL;
		SET(&joins, 0);
		struct held held = hold_worker(e);
		FL_OK(pool_double_submit(e, 1, &f));
		FL_OK(fl_future_on_end(f, join_in_callback, e));
		if (all)
			assert_int_equal(fl_executor_cancel(e), 1);
		else
			FL_OK(fl_future_cancel(f));
		assert_int_equal(LOOK(&joins), 1);
		let_go(&held);
	}
}

/* A callback of one cancelled task waits for another one that the same call cancels. */

static void wait_for_other(fl_future *f, void *other)
{
	FL_OK(fl_future_wait(other));
	COUNT(&joins);
}

POOL_TEST(pool_callbacks_of_a_cancel_wait_for_its_other_tasks, 1)
{
	fl_future *f[2];
	SET(&joins, 0);
	struct held held = hold_worker(e);
	FL_EACH (i, f)
		FL_OK(pool_double_submit(e, 1, &f[i]));
	FL_EACH (i, f)
		FL_OK(fl_future_on_end(f[i], wait_for_other, f[1 - i]));
	assert_int_equal(fl_executor_cancel(e), 2);
	assert_int_equal(LOOK(&joins), 2);
	FL_EACH (i, f)
		FL_STATE_IS(f[i], FL_CANCELLED);
	let_go(&held);
	fl_test_futures_free(f, 2);
}

/*
 * A task that its own worker had taken, and not begun, when the executor was halted: it does not
 * begin within the one that the worker runs.
 */

enum halt { CANCEL, CANCEL_PENDING, BREAK, HALTS };

struct taken {
	enum halt halt;
	struct gate gate;
	fl_future *f;
};

FL_TASK_STATIC(run_what_was_taken, struct taken *, void)
{
	struct fl__thread_worker *w = (struct fl__thread_worker *)(void *)fl__ctx_current->worker;
	fl_executor *e = fl_executor_current();
	FL_OK(pool_double_submit(e, 1, &(*arg)->f));
	struct fl__task_block *block = fl__local_take_newest(&w->local);
	FL_CHECK(block && &block->future == (*arg)->f);
	fl_event_set(&(*arg)->gate.entered);
	FL_OK(fl_event_wait_until(&(*arg)->gate.open, FL_FOREVER, FL_SHIELDED));
	if ((*arg)->halt == BREAK)
		fl__run_taken(e, block);
	else
		FL_OK(fl_future_wait_until((*arg)->f, FL_FOREVER, FL_SHIELDED)); /* a waiter runs it */
	if ((*arg)->halt != BREAK)
		fl__run_taken(e, block); /* its block alone is left */
	return 0;
}

FL_TEST(pool_runs_no_taken_task_after_a_halt)
{
	for (enum halt halt = 0; halt < HALTS; halt++) {
		FL_SCOPED(fl_executor) *e = pool_with(2);
		FL_SCOPED(fl_future) *f = NULL;
		struct taken taken = {.halt = halt};
		struct held held = hold_worker(e); /* a thief */
		FL_OK(run_what_was_taken_submit(e, &taken, &f));
		FL_OK(fl_event_wait(&taken.gate.entered));
		if (halt == CANCEL)
			assert_int_equal(fl_executor_cancel(e), 0);
		else if (halt == CANCEL_PENDING)
			assert_int_equal(fl_executor_cancel_pending(e), 0);
		else
			fl__executor_break(e, "of a test");
		fl_event_set(&taken.gate.open);
		FL_OK(fl_future_wait(f));
		FL_STATE_IS(taken.f, halt == BREAK ? FL_DONE : FL_CANCELLED);
		if (halt == BREAK)
			fl_test_future_ends(taken.f, -ENOTRECOVERABLE, "of a test");
		fl_future_free(taken.f);
		let_go(&held);
	}
}

FL_TEST(pool_join_that_is_given_up_has_closed)
{
	for (int way = 0; way < 2; way++) {
		FL_SCOPED(fl_executor) *e = pool_with(1);
		struct held held = hold_worker(e);
		if (way == 0)
			FL_RC(fl_executor_join_until(e, FL_NO_WAIT, NULL), -ETIMEDOUT);
		else
			FL_RC(fl_executor_join_until(e, FL_FOREVER, fl_test_requested), -ECANCELED);
		FL_RC(pool_double_submit(e, 1, NULL), -EPIPE);
		let_go(&held);
	}
}

/* One executor joined, and freed, in the task of another. */
FL_TASK(end_uses_another, fl_executor *, int)
{
	fl_executor *mine = fl_executor_current();
	FL_CHECK(mine && mine != *arg);
	FL_OK(fl_test_run_task(*arg, &pool_double, &(int){5}, result));
	FL_OK(fl_executor_join(*arg));
	fl_executor_free(*arg);
	FL_CHECK(fl_executor_current() == mine);
	return 0;
}

FL_TEST(pool_join_from_a_task_of_another_executor)
{
	FL_BOTH (outer)
		FL_BOTH (inner) {
			FL_SCOPED(fl_executor) *e = executor_of(outer);
			fl_executor *other = executor_of(inner);
			assert_int_equal(fl_test_result_of(e, &end_uses_another, &other), 10);
		}
	assert_null(fl_executor_current());
}

FL_TEST(pool_detach_without_a_thread_changes_nothing)
{
	fl_executor *all[] = {pool_with(1), sequential()};
	FL_EACH (i, all) {
		FL_SCOPED(fl_future) *f = NULL;
		struct gate gate = {0};
		fl_event_set(&gate.open);
		SEAM_NO_THREAD(fl_executor_detach(all[i]), -EAGAIN);
		SEAM_NO_MEMORY(fl_executor_detach(all[i]), -ENOMEM);
		FL_OK(hold_submit(all[i], &gate, &f)); /* it is not closed */
		FL_OK(fl_executor_detach(all[i]));
		FL_OK(fl_future_wait(f));
	}
	FL_WAIT_FOR(fl_thread_enumerate(NULL, NULL) == 0);
}

/* Nested waits. */

/*
 * A callback of a running task's token, on the task's waiter, uses the executor while that is
 * cancelled.
 */
struct inner {
	fl_executor *e;
	struct gate *gate;
	int refused;
	fl_event asked;
};

static void submit_another(void *arg)
{
	struct inner *inner = arg;
	inner->refused = hold_submit(inner->e, NULL, NULL);
	fl_event_set(&inner->asked);
}

FL_TASK_STATIC(wait_to_be_asked, struct inner *, void)
{
	fl_cancel_callback callback;
	FL_CHECK(fl_cancel_token_on_request(fl_cancel_scope_current(), &callback, submit_another, *arg));
	fl_event_set(&(*arg)->gate->entered);
	const int rc = fl_event_wait(&(*arg)->gate->open);
	/* not removed before: it might be the next to be called, and then would not be */
	FL_OK(fl_event_wait_until(&(*arg)->asked, FL_FOREVER, FL_SHIELDED));
	FL_CHECK(!fl_cancel_callback_remove(&callback));
	return rc;
}

FL_TASK_STATIC(wait_for_inner, struct inner *, void)
{
	FL_SCOPED(fl_future) *f = FL_SUBMITTED(wait_to_be_asked, (*arg)->e, *arg);
	/* Runs it here: there is one worker. */
	return fl_future_wait_until(f, FL_FOREVER, FL_SHIELDED);
}

POOL_TEST(pool_cancel_asks_what_is_helped_without_its_lock, 1)
{
	FL_SCOPED(fl_future) *f = NULL;
	struct gate gate = {0};
	struct inner inner = {.e = e, .gate = &gate};
	FL_OK(wait_for_inner_submit(e, &inner, &f));
	FL_OK(fl_event_wait(&gate.entered));
	assert_int_equal(fl_executor_cancel(e), 0);
	FL_OK(fl_future_wait(f));
	FL_RC(inner.refused, -EPIPE);
}
