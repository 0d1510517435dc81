/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The end of an executor: close, cancel, join, free, from outside, from its own tasks, from several
 * threads.
 */
#include "fl_pool.h"

static unsigned drops, runs;
static uint64_t drop_thread;

static void count_drop(void *arg)
{
	(void)arg;
	SET(&drop_thread, fl_thread_current_id());
	COUNT(&drops);
}

FL_TASK(end_count, int, int, .drop_arg = count_drop)
{
	COUNT(&runs);
	*result = *arg;
	return 0;
}

static void begin_counts(void)
{
	SET(&drops, 0);
	SET(&runs, 0);
}

static fl_executor *executor_of(int kind)
{
	return kind == 0 ? sequential() : pool_with((unsigned)kind);
}

FL_TEST(pool_close_refuses_and_runs_what_is_queued)
{
	FL_SCOPED(fl_executor) *e = pool_with(1);
	struct gate gate = {0};
	begin_counts();
	fl_future *held = hold_worker(e, &gate);
	for (int i = 0; i < 5; i++)
		FL_OK(end_count_submit(e, i, NULL));
	fl_executor_close(e);
	fl_executor_close(e); /* again: nothing */
	FL_RC(fl_submit(e, &end_count, &(int){1}, NULL), -EPIPE);
	FL_RC(fl_submit_with(e, &end_count, &(int){1}, NULL, NULL), -EPIPE);
	assert_int_equal(LOOK(&runs), 0);
	let_go(&gate, held);
	FL_OK(fl_executor_join(e));
	assert_int_equal(LOOK(&runs), 5);
	assert_int_equal(LOOK(&drops), 5);
	FL_RC(fl_submit(e, &end_count, &(int){1}, NULL), -EPIPE); /* joined is closed too */
	FL_SCOPED(fl_executor) *s = sequential();
	fl_executor_close(s);
	FL_RC(fl_submit(s, &end_count, &(int){1}, NULL), -EPIPE);
	assert_int_equal(LOOK(&drops), 5);
}

static fl_event closed;

FL_TASK(end_submits_after_close, void, void)
{
	FL_CHECK(fl_event_wait(&closed) == 0);
	fl_executor *e = fl_executor_current();
	FL_CHECK(end_count_submit(e, 1, NULL) == -EPIPE);
	FL_CHECK(end_count_map(e, &(int){1}, 1, &(int){0}, NULL) == -EPIPE);
	return 0;
}

FL_TEST(pool_close_refuses_tasks_too)
{
	FL_SCOPED(fl_executor) *e = pool_with(1);
	FL_SCOPED(fl_future) *f = NULL;
	fl_event_reset(&closed);
	begin_counts();
	FL_OK(end_submits_after_close_submit(e, &f));
	fl_executor_close(e);
	fl_event_set(&closed);
	FL_OK(end_submits_after_close_get(f));
	assert_int_equal(LOOK(&runs) + LOOK(&drops), 0);
}

static void note_thread(fl_future *f, void *arg)
{
	FL_CHECK(fl_future_get_state(f) == FL_CANCELLED);
	*(uint64_t *)arg = fl_thread_current_id();
}

FL_TEST(pool_cancel_cancels_what_has_not_started)
{
	FL_SCOPED(fl_executor) *e = pool_with(1);
	struct gate gate = {0};
	begin_counts();
	fl_future *held = hold_worker(e, &gate), *f = NULL;
	uint64_t canceller = 0;
	for (int i = 0; i < 4; i++)
		FL_OK(end_count_submit(e, i, NULL));
	FL_OK(end_count_submit(e, 4, &f));
	FL_OK(fl_future_on_end(f, note_thread, &canceller));
	assert_int_equal(fl_executor_cancel(e), 5);
	assert_true(canceller == fl_thread_current_id());
	assert_true(LOOK(&drop_thread) == fl_thread_current_id());
	assert_int_equal(LOOK(&drops), 5);
	FL_RC(fl_future_error(f), -ECANCELED);
	FL_RC(fl_submit(e, &end_count, &(int){1}, NULL), -EPIPE);
	assert_int_equal(fl_executor_cancel(e), 0);
	assert_int_equal(fl_future_get_state(held), FL_RUNNING);
	let_go(&gate, held);
	FL_OK(fl_executor_join(e));
	assert_int_equal(LOOK(&runs), 0);
	assert_int_equal(fl_executor_cancel(e), 0);
	fl_future_free(f);
}

/* Runs until it is asked to stop. */
FL_TASK(end_obeys, struct gate *, void)
{
	fl_event_set(&(*arg)->entered);
	FL_CHECK(fl_event_wait(&(*arg)->open) == -ECANCELED);
	return fl_task_is_cancelled(ctx) ? 0 : -EIO;
}

FL_TEST(pool_cancel_asks_what_runs_to_stop)
{
	enum { N = 3 };
	FL_SCOPED(fl_executor) *e = pool_with(N);
	struct gate gates[N] = {{{0}, {0}}};
	fl_future *f[N];
	for (int i = 0; i < N; i++) {
		FL_OK(end_obeys_submit(e, &gates[i], &f[i]));
		FL_OK(fl_event_wait(&gates[i].entered));
	}
	assert_int_equal(fl_executor_cancel(e), 0);
	for (int i = 0; i < N; i++) {
		FL_OK(end_obeys_get(f[i]));
		fl_future_free(f[i]);
	}
	FL_OK(fl_executor_join(e));
}

FL_TEST(pool_join_in_three_forms)
{
	FL_SCOPED(fl_executor) *e = pool_with(1);
	FL_SCOPED(fl_cancel_token) stop = FL_CANCEL_TOKEN_INIT;
	fl_cancel_token_request(&stop);
	struct gate gate = {0};
	begin_counts();
	fl_future *held = hold_worker(e, &gate);
	FL_OK(end_count_submit(e, 1, NULL));
	FL_RC(fl_executor_try_join(e), -EBUSY);
	FL_RC(fl_submit(e, &end_count, &(int){1}, NULL), -EPIPE); /* it closes all the same */
	FL_RC(fl_executor_join_until(e, 0, NULL), -ETIMEDOUT);
	int64_t deadline = fl_after(FL_MS(3));
	FL_RC(fl_executor_join_until(e, deadline, NULL), -ETIMEDOUT);
	assert_true(fl_now() >= deadline);
	FL_RC(fl_executor_join_until(e, FL_FOREVER, &stop), -ECANCELED);
	{
		FL_CANCEL_SCOPE(&stop);
		FL_RC(fl_executor_join(e), -ECANCELED);
		FL_RC(fl_executor_join_until(e, 0, FL_SHIELDED), -ETIMEDOUT);
	}
	assert_int_equal(fl_future_get_state(held), FL_RUNNING);
	let_go(&gate, held);
	FL_OK(fl_executor_join(e));
	assert_int_equal(LOOK(&runs), 1);
	FL_OK(fl_executor_join(e)); /* again too */
	FL_OK(fl_executor_try_join(e));
	FL_OK(fl_executor_join_until(e, 0, &stop));
}

FL_TASK(end_joins_itself, void, int)
{
	fl_executor *e = fl_executor_current();
	FL_CHECK(fl_executor_join(e) == -EDEADLK);
	FL_CHECK(fl_executor_try_join(e) == -EDEADLK);
	FL_CHECK(fl_executor_join_until(e, FL_FOREVER, NULL) == -EDEADLK);
	*result = 1;
	return 0;
}

FL_TEST(pool_join_from_its_own_task_is_a_deadlock)
{
	for (int kind = 0; kind <= 2; kind++) {
		FL_SCOPED(fl_executor) *e = executor_of(kind);
		FL_SCOPED(fl_future) *f = NULL;
		FL_OK(end_joins_itself_submit(e, &f));
		int told = 0;
		FL_OK(end_joins_itself_get(f, &told));
		assert_int_equal(told, 1);
	}
}

static void join_in_callback(fl_future *f, void *arg)
{
	(void)f;
	FL_CHECK(fl_executor_join(arg) == -EDEADLK);
	FL_CHECK(fl_executor_try_join(arg) == -EDEADLK);
	COUNT(&runs);
}

FL_TEST(pool_join_in_a_callback_on_its_worker_is_a_deadlock)
{
	FL_SCOPED(fl_executor) *e = pool_with(1);
	struct gate gate = {0};
	begin_counts();
	fl_future *held = hold_worker(e, &gate);
	FL_OK(fl_future_on_end(held, join_in_callback, e));
	let_go(&gate, held);
	FL_WAIT_FOR(LOOK(&runs) == 1);
	FL_OK(end_count_submit(e, 1, NULL)); /* it was not even closed */
}

/* ... and on the canceller, while the task has not ended. */
FL_TEST(pool_join_in_a_callback_of_a_cancel_is_a_deadlock)
{
	for (int all = 0; all <= 1; all++) {
		FL_SCOPED(fl_executor) *e = pool_with(1);
		FL_SCOPED(fl_future) *f = NULL;
		struct gate gate = {0};
		begin_counts();
		fl_future *held = hold_worker(e, &gate);
		FL_OK(end_count_submit(e, 1, &f));
		FL_OK(fl_future_on_end(f, join_in_callback, e));
		if (all)
			assert_int_equal(fl_executor_cancel(e), 1);
		else
			FL_OK(fl_future_cancel(f));
		assert_int_equal(LOOK(&runs), 1);
		let_go(&gate, held);
	}
}

FL_TEST(pool_join_that_is_given_up_has_closed)
{
	FL_SCOPED(fl_cancel_token) stop = FL_CANCEL_TOKEN_INIT;
	fl_cancel_token_request(&stop);
	for (int way = 0; way < 2; way++) {
		FL_SCOPED(fl_executor) *e = pool_with(1);
		struct gate gate = {0};
		fl_future *held = hold_worker(e, &gate);
		if (way == 0)
			FL_RC(fl_executor_join_until(e, 0, NULL), -ETIMEDOUT);
		else
			FL_RC(fl_executor_join_until(e, FL_FOREVER, &stop), -ECANCELED);
		FL_RC(end_count_submit(e, 1, NULL), -EPIPE);
		let_go(&gate, held);
	}
}

/* One executor joined, and freed, in the task of another. */
FL_TASK(end_uses_another, fl_executor *, int)
{
	fl_executor *mine = fl_executor_current();
	FL_CHECK(mine && mine != *arg);
	FL_SCOPED(fl_future) *f = NULL;
	FL_CHECK(end_count_submit(*arg, 5, &f) == 0);
	FL_CHECK(end_count_get(f, result) == 0);
	FL_CHECK(fl_executor_join(*arg) == 0);
	fl_executor_free(*arg);
	FL_CHECK(fl_executor_current() == mine);
	return 0;
}

FL_TEST(pool_join_from_a_task_of_another_executor)
{
	for (int outer = 0; outer <= 1; outer++)
		for (int inner = 0; inner <= 1; inner++) {
			FL_SCOPED(fl_executor) *e = executor_of(outer);
			FL_SCOPED(fl_future) *f = NULL;
			int n = 0;
			FL_OK(end_uses_another_submit(e, executor_of(inner), &f));
			FL_OK(end_uses_another_get(f, &n));
			assert_int_equal(n, 5);
		}
	assert_null(fl_executor_current());
}

FL_TEST(pool_free_runs_what_is_left)
{
	begin_counts();
	fl_executor *e = pool_with(2);
	for (int i = 0; i < 100; i++)
		FL_OK(end_count_submit(e, i, NULL));
	fl_executor_free(e);
	assert_int_equal(LOOK(&runs), 100);
	assert_int_equal(LOOK(&drops), 100);
	fl_executor_free(NULL);
	{
		FL_SCOPED(fl_executor) *scoped = pool_with(2);
		FL_OK(end_count_submit(scoped, 1, NULL));
	}
	assert_int_equal(LOOK(&runs), 101);
}

FL_TEST(pool_free_gives_everything_back)
{
	long before = seam_live_allocs();
	for (int kind = 0; kind <= 2; kind++) {
		fl_executor *e = executor_of(kind);
		fl_future *kept = NULL;
		for (int i = 0; i < 1000; i++)
			FL_OK(end_count_submit(e, i, i == 500 ? &kept : NULL));
		fl_executor_free(e);
		assert_int_equal(*(const int *)fl_future_result(kept), 500);
		fl_future_free(kept);
		assert_int_equal(seam_live_allocs(), before);
	}
}

/* A panic on a worker: FL_PANICS is for the case's thread alone. */
static _Thread_local sigjmp_buf worker_jump;
static fl_panic_info worker_panic;

static void leave_worker(const fl_panic_info *info)
{
	worker_panic = *info;
	siglongjmp(worker_jump, 1);
}

FL_TASK(end_frees_its_own, void, int)
{
	if (sigsetjmp(worker_jump, 0) == 0) {
		fl_executor_free(fl_executor_current());
		return -EIO;
	}
	FL_CHECK(strcmp(worker_panic.function, "fl_executor_free") == 0);
	FL_CHECK(worker_panic.object == fl_executor_current());
	*result = 1;
	return 0;
}

FL_TEST(pool_detach_without_a_thread_changes_nothing)
{
	fl_executor *all[] = {pool_with(1), sequential()};
	for (int i = 0; i < 2; i++) {
		FL_SCOPED(fl_future) *f = NULL;
		struct gate gate = {0};
		fl_event_set(&gate.open);
		seam_fail_threads(0, 1);
		FL_RC(fl_executor_detach(all[i]), -EAGAIN);
		(void)seam_heal();
		seam_fail_allocs(0, 1);
		FL_RC(fl_executor_detach(all[i]), -ENOMEM);
		(void)seam_heal();
		FL_OK(hold_submit(all[i], &gate, &f)); /* it is not closed */
		FL_OK(fl_executor_detach(all[i]));
		FL_OK(fl_future_wait(f));
	}
	FL_WAIT_FOR(fl_thread_enumerate(NULL, NULL) == 0);
}

FL_TEST(pool_free_in_its_own_task_panics)
{
	for (int kind = 0; kind <= 1; kind++) {
		FL_SCOPED(fl_executor) *e = executor_of(kind);
		FL_SCOPED(fl_future) *f = NULL;
		fl_panic_handler *before = fl_set_panic_handler(leave_worker);
		int told = 0;
		FL_OK(end_frees_its_own_submit(e, &f));
		FL_OK(end_frees_its_own_get(f, &told));
		fl_set_panic_handler(before);
		assert_int_equal(told, 1);
		assert_ptr_equal(worker_panic.object, e);
		FL_OK(end_count_submit(e, 1, NULL)); /* it is as it was */
	}
}

/* Nested waits. */

FL_TASK(end_nests, int, int)
{
	int below = 0;
	if (*arg > 0) {
		FL_SCOPED(fl_future) *f = NULL;
		int rc = fl_submit(fl_executor_current(), fl_task_find("end_nests"), &(int){*arg - 1}, &f);
		rc = rc ? rc : fl_future_get(f, &below, sizeof below);
		if (rc)
			return rc;
	}
	*result = below + 1;
	return 0;
}

FL_TEST(pool_nested_waits_need_one_worker)
{
	for (int kind = 0; kind <= 2; kind++) {
		FL_SCOPED(fl_executor) *e = executor_of(kind);
		FL_SCOPED(fl_future) *f = NULL;
		int depth = 0;
		FL_OK(end_nests_submit(e, 1000, &f));
		FL_OK(end_nests_get(f, &depth));
		assert_int_equal(depth, 1001);
	}
}

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
	FL_CHECK(fl_event_wait_until(&(*arg)->asked, FL_FOREVER, FL_SHIELDED) == 0);
	FL_CHECK(!fl_cancel_callback_remove(&callback));
	return rc;
}

FL_TASK_STATIC(wait_for_inner, struct inner *, void)
{
	FL_SCOPED(fl_future) *f = NULL;
	FL_CHECK(wait_to_be_asked_submit((*arg)->e, *arg, &f) == 0);
	/* Runs it here: there is one worker. */
	return fl_future_wait_until(f, FL_FOREVER, FL_SHIELDED);
}

FL_TEST(pool_cancel_asks_what_is_helped_without_its_lock)
{
	FL_SCOPED(fl_executor) *e = pool_with(1);
	FL_SCOPED(fl_future) *f = NULL;
	struct gate gate = {0};
	struct inner inner = {.e = e, .gate = &gate};
	FL_OK(wait_for_inner_submit(e, &inner, &f));
	FL_OK(fl_event_wait(&gate.entered));
	assert_int_equal(fl_executor_cancel(e), 0);
	FL_OK(fl_future_wait(f));
	FL_RC(inner.refused, -EPIPE);
}
