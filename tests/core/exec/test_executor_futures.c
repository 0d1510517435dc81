/* SPDX-License-Identifier: BSD-2-Clause */
/* Several futures at once, on every kind of executor: see conformance.h. */
#include "conformance.h"

static void submit_squares(fl_executor *e, fl_future **f, int n)
{
	for (int i = 0; i < n; i++)
		FL_OK(square_submit(e, i, &f[i]));
}

CONFORMANCE_ON(futures_wait_for_all, 2)
{
	enum { N = 20 };
	fl_future *f[N];
	submit_squares(e, f, N);
	FL_EACH (i, f)
		FL_OK(fl_future_wait(f[i]));
	FL_EACH (i, f)
		assert_int_equal(fl_test_result(f[i]), i * i);
	fl_test_futures_free(f, N);
}

CONFORMANCE_ON(futures_wait_for_the_first, 2)
{
	if (kind->serial)
		return; /* two tasks meet */
	struct gate *gate = new_gate();
	FL_SCOPED(fl_as_completed) *c = NULL;
	size_t index;
	fl_future *both[2];
	if (!is_concurrent(e))
		set_event(&gate->open);
	FL_OK(hold_submit(e, gate, &both[0]));
	FL_OK(square_submit(e, 3, &both[1]));
	FL_OK(fl_as_completed_create(&c, both, 2));
	FL_OK(fl_as_completed_next(c, &index));
	assert_int_equal(index, is_concurrent(e) ? 1 : 0);
	FL_RC(fl_as_completed_next_until(c, &index, FL_NO_WAIT, NULL), is_concurrent(e) ? -ETIMEDOUT : 0);
	set_event(&gate->open);
	fl_test_futures_free(both, 2);
}

CONFORMANCE_ABLE(futures_wait_with_cancelled_ones, 1, FL_CAP_CONCURRENT)
{
	struct held held = hold_worker(e);
	fl_future *f[2];
	FL_OK(square_submit(e, 1, &f[0]));
	FL_OK(fail_with_submit(e, -EIO, &f[1]));
	FL_OK(fl_future_cancel(f[0]));
	FL_SCOPED(fl_as_completed) *c = NULL;
	size_t index;
	FL_OK(fl_as_completed_create(&c, f, 2));
	FL_OK(fl_as_completed_next(c, &index));
	assert_int_equal(index, 0);
	FL_RC(fl_as_completed_next_until(c, &index, FL_NO_WAIT, NULL), -ETIMEDOUT);
	FL_OK(fl_future_cancel(f[1]));
	FL_OK(fl_as_completed_next(c, &index));
	assert_int_equal(index, 1);
	let_go(&held);
	fl_test_futures_free(f, 2);
}

/* Says that it runs, waits under its token for what never comes, and passes on what ends that. */
FL_TASK_STATIC(wait_for_a_stop, struct gate *, int)
{
	fl_event never = FL_EVENT_INIT;
	set_event(&(*arg)->entered);
	return fl_event_wait(&never);
}

/*
 * A task that ran, and answered a request to stop, has the error -ECANCELED, and so has a chain that
 * ends with it. One that a deadline has ended has -ETIMEDOUT, whether it ran or not.
 */
CONFORMANCE_ABLE(futures_have_the_error_of_a_stop, 2, FL_CAP_CONCURRENT)
{
	if (kind->serial)
		return; /* two tasks meet */
	struct held held = hold_worker(e);
	struct gate *gate = new_gate();
	fl_future *f[2] = {NULL, NULL};
	FL_OK(wait_for_a_stop_submit(e, gate, &f[0]));
	await_event(&gate->entered);
	FL_OK(fl_future_then(f[0], e, &square, &f[1]));
	FL_RC(fl_future_cancel(f[0]), -EINPROGRESS);
	FL_OK(fl_future_wait(f[1]));
	for (int i = 0; i < 2; i++) {
		FL_STATE_IS(f[i], FL_DONE);
		FL_RC(fl_future_error(f[i]), -ECANCELED);
	}
	let_go(&held);
	fl_test_futures_free(f, 2);
}

CONFORMANCE_ABLE(futures_have_the_error_of_a_deadline, 2, FL_CAP_CONCURRENT)
{
	if (kind->serial)
		return; /* two tasks meet */
	struct held held = hold_worker(e);
	FL_BOTH (starts) {
		const fl_submit_config config = {.deadline = starts ? fl_after(FL_MS(20)) : FL_NO_WAIT};
		FL_SCOPED(fl_future) *f = NULL;
		FL_OK(wait_for_a_stop_submit_with(e, new_gate(), &f, &config));
		FL_OK(fl_future_wait(f));
		FL_RC(fl_future_error(f), -ETIMEDOUT);
	}
	let_go(&held);
}

/* A task that submits others to its own executor, and waits for them; the executor has one worker. */
FL_TASK_STATIC(fan_out, void, int)
{
	enum { N = 5 };
	fl_future *f[N];
	submit_squares(fl_executor_current(), f, N);
	FL_EACH (i, f)
		*result += fl_future_wait(f[i]) == 0;
	fl_test_futures_free(f, N);
	return 0;
}

CONFORMANCE_ABLE(futures_wait_by_the_only_worker, 1, FL_CAP_NESTED)
{
	assert_int_equal(fl_test_result_of(e, &fan_out, NULL), 5);
}

CONFORMANCE_ON(futures_as_completed, 2)
{
	enum { N = 20 };
	FL_SCOPED(fl_as_completed) *c = NULL;
	fl_future *f[N];
	bool seen[N] = {false};
	size_t index;
	submit_squares(e, f, N);
	FL_OK(fl_as_completed_create(&c, f, N));
	for (int i = 0, n; i < N; i++) {
		FL_OK(fl_as_completed_next(c, &index));
		assert_true(index < N && !seen[index]);
		seen[index] = true;
		FL_OK(fl_future_try_get(f[index], &n, sizeof n));
		assert_int_equal(n, index * index);
	}
	FL_RC(fl_as_completed_next(c, &index), -ENODATA);
	fl_test_futures_free(f, N);
}

FL_TASK_STATIC(fan_out_one_by_one, void, int)
{
	enum { N = 5 };
	FL_SCOPED(fl_as_completed) *c = NULL;
	fl_future *f[N];
	size_t index;
	submit_squares(fl_executor_current(), f, N);
	FL_OK(fl_as_completed_create(&c, f, N));
	while (fl_as_completed_next(c, &index) == 0)
		*result += 1;
	fl_test_futures_free(f, N);
	return 0;
}

CONFORMANCE_ABLE(futures_as_completed_by_the_only_worker, 1, FL_CAP_NESTED)
{
	assert_int_equal(fl_test_result_of(e, &fan_out_one_by_one, NULL), 5);
}

/* A chain of two, which the task waits for, in one way or the other. */
FL_TASK_STATIC(square_thrice, int, int)
{
	fl_executor *e = fl_executor_current();
	FL_SCOPED(fl_future) *f = NULL, *next = NULL, *last = NULL;
	FL_OK(square_submit(e, 3, &f));
	FL_OK(fl_future_then(f, e, &square, &next));
	FL_OK(fl_future_then(next, e, &square, &last));
	if (*arg) {
		FL_SCOPED(fl_as_completed) *c = NULL;
		size_t index = 77;
		FL_OK(fl_as_completed_create(&c, &last, 1));
		FL_CHECK(fl_as_completed_next(c, &index) == 0 && index == 0);
	}
	return square_get(last, result);
}

CONFORMANCE_ABLE(futures_then_by_the_only_worker, 1, FL_CAP_NESTED)
{
	if (kind->serial)
		return; /* a waiter does not run what is chained, and no other worker may */
	FL_BOTH (first)
		assert_int_equal(fl_test_result_of(e, &square_thrice, &first), 6561);
}

/* A chain across all kinds: on this executor, then on another, and the reverse. */
CONFORMANCE_ON(futures_then, 2)
{
	for (size_t i = 0; i < CONFORMANCE_KINDS_N; i++) {
		FL_SCOPED(fl_executor) *other = make(conformance_kinds[i], 1);
		FL_SCOPED(fl_future) *f = NULL, *next = NULL, *last = NULL;
		FL_OK(square_submit(e, 3, &f));
		FL_OK(fl_future_then(f, other, &square, &next));
		FL_OK(fl_future_then(next, e, &square, &last));
		assert_int_equal(fl_test_result(last), 6561);
	}
}

CONFORMANCE_ON(futures_then_passes_errors_on, 1)
{
	FL_SCOPED(fl_future) *f = NULL, *next = NULL;
	int n;
	FL_OK(fail_with_submit(e, -EDOM, &f));
	FL_OK(fl_future_then(f, e, &square, &next));
	FL_RC(square_get(next, &n), FL_ETASK);
	fl_test_future_ended(next, -EDOM, "error -33");
}

/*
 * The first future owns its result, which the next one references; the type's hook for arguments
 * does not run for it.
 */
CONFORMANCE_ON(futures_then_drops_each_result_once, 1)
{
	struct tally *t = new_tally();
	fl_future *f = NULL, *next = NULL;
	FL_OK(tallied_submit(e, t, &f));
	FL_OK(fl_future_then(f, e, &tallied, &next));
	fl_future_free(f);
	FL_OK(fl_future_wait(next));
	FL_OK(fl_executor_join(e));
	expect_tally(t, 2, 1);
	expect_result_drops(t, 0);
	fl_future_free(next);
	expect_result_drops(t, 2);
}

/*
 * A chain submits while the executor is joined, which has had no task so far. The argument is too
 * large for a task block, so the submit allocates.
 */

struct wide {
	char bytes[4096];
};

FL_TASK_STATIC(take_wide, struct wide, void)
{
	return 0;
}

FL_PROMISE_OF(struct wide, wide_promise)

static _Thread_local fl_executor *joined_meanwhile;
static int rc_of_join;

static void *alloc_and_join(size_t size, void *unused)
{
	fl_executor *e = joined_meanwhile;
	(void)unused;
	joined_meanwhile = NULL;
	if (e)
		rc_of_join = fl_executor_join_until(e, FL_NO_WAIT, FL_SHIELDED);
	return malloc(size);
}

static void free_memory(void *memory, void *unused)
{
	(void)unused;
	free(memory);
}

__attribute__((constructor)) static void set_allocator(void)
{
	static const fl_allocator allocator = {alloc_and_join, free_memory, NULL};
	fl_allocator_set(&allocator);
}

CONFORMANCE_ON(futures_then_submits_before_the_end_of_a_join, 1)
{
	static const struct wide wide;
	FL_SCOPED(fl_promise) *p = NULL;
	FL_SCOPED(fl_future) *f = NULL, *next = NULL;
	FL_OK(wide_promise_create(&p, NULL, &f));
	FL_OK(fl_future_then(f, e, &take_wide, &next));
	joined_meanwhile = e;
	FL_OK(wide_promise_set(p, wide));
	assert_null(joined_meanwhile);
	FL_RC(rc_of_join, -ETIMEDOUT);
	FL_OK(fl_executor_join(e));
	fl_test_future_ended(next, -EPIPE, NULL);
}
