/* SPDX-License-Identifier: BSD-2-Clause */
/* Context variables in tasks: inherited at the submit, on every kind of executor but processes. */
#include "conformance.h"
#include "fl_context_vars.h"

/* The number of the task's own value, which it then replaces. */
FL_TASK_STATIC(number_of, void, int)
{
	*result = fl_test_owned_number();
	fl_test_own(99);
	return 0;
}

/* As number_of, with the argument in place of a result that is dropped. */
FL_TASK_STATIC(number_for, int, int)
{
	*result = fl_test_owned_number();
	fl_test_own(99);
	return 0;
}

FL_TASK_STATIC(fails_with_values, void, void)
{
	fl_test_own(99);
	return fl_task_fail(ctx, -EDOM, "it has %d", fl_test_owned_number());
}

/* Gives up what a case has set. */
static void none_left(fl_context_token *token)
{
	fl_context_var_reset(token);
	FL_WAIT_FOR(fl_test_values_alive() == 0); /* a worker may still release its own */
}

/*
 * A case with a thread executor `e` of that many workers, and that number as the context's value.
 * All values are released at its end.
 */
#define VALUES_TEST(name, workers, number)                                                                             \
	static void name##_in(fl_executor *e);                                                                         \
	FL_TEST(name)                                                                                                  \
	{                                                                                                              \
		FL_SCOPED(fl_executor) *e = make(&conformance_threads, workers);                                       \
		fl_context_token token = FL_CONTEXT_TOKEN_INIT;                                                        \
		fl_test_own_scoped(number, &token);                                                                    \
		name##_in(e);                                                                                          \
		none_left(&token);                                                                                     \
	}                                                                                                              \
	static void name##_in(fl_executor *e)

CONFORMANCE_ON(context_var_in_tasks, 1)
{
	fl_context_token token = FL_CONTEXT_TOKEN_INIT;
	fl_future *first = NULL, *second = NULL, *without = NULL, *failed = NULL;
	const int inherited = is_by_reference(e) ? 1 : 0;
	int n = -1;
	fl_test_own_scoped(1, &token);
	FL_OK(number_of_submit(e, &first));
	FL_OK(number_of_submit(e, &second));
	FL_OK(fails_with_values_submit(e, &failed));
	fl_test_own(2); /* not seen by them */
	assert_int_equal(fl_test_owned_number(), 2);
	assert_int_equal(fl_test_result(first), inherited);
	FL_OK(number_of_get(second, &n)); /* not 99, also on the same worker */
	assert_int_equal(n, inherited);
	FL_RC(fails_with_values_get(failed), FL_ETASK);
	assert_string_equal(fl_future_message(failed), "it has 99");
	fl_context_var_reset(&token);
	FL_OK(number_of_submit(e, &without));
	assert_int_equal(fl_test_result(without), 0);
	assert_int_equal(fl_test_owned_number(), 0);
	FL_WAIT_FOR(fl_test_values_alive() == 0); /* though the futures are kept */
	fl_future_free(first);
	fl_future_free(second);
	fl_future_free(without);
	fl_future_free(failed);
}

FL_TEST(context_var_not_in_processes)
{
	FL_SCOPED(fl_executor) *e = make(&conformance_processes, 1);
	fl_context_token token = FL_CONTEXT_TOKEN_INIT;
	int args[4] = {0}, results[4] = {-1, -1, -1, -1};
	fl_test_own_scoped(5, &token);
	FL_OK(number_for_map(e, args, 4, results, NULL)); /* nor from one element to the next */
	FL_EACH (i, results)
		assert_int_equal(results[i], 0);
	assert_int_equal(fl_test_values_alive(), 1);
	none_left(&token);
}

/* A task that did not run releases its copy when it ends, not when its future is freed. */
FL_TEST(context_var_of_cancelled_tasks)
{
	static const struct conformance_kind *const kinds[] = {&conformance_threads, &conformance_loop};
	FL_EACH (k, kinds) {
		FL_SCOPED(fl_executor) *e = make(kinds[k], 1);
		struct held held = {NULL, NULL};
		fl_future *f[4] = {NULL};
		fl_context_token token = FL_CONTEXT_TOKEN_INIT;
		fl_cancel_token stop = FL_CANCEL_TOKEN_INIT;
		if (k == 0)
			held = hold_worker(e);
		fl_test_own_scoped(1, &token);
		FL_OK(number_of_submit(e, &f[0]));
		FL_OK(number_of_submit_with(e, &f[1], &(fl_submit_config){.cancel = &stop}));
		FL_OK(number_of_submit(e, &f[2]));
		FL_OK(number_of_submit(e, &f[3]));
		fl_context_var_reset(&token);
		FL_IGNORE(fl_future_cancel(f[0]));
		fl_cancel_token_request(&stop);
		let_go(&held);
		FL_OK(fl_future_wait(f[1]));
		(void)fl_executor_cancel(e);
		FL_OK(fl_executor_join(e));
		assert_int_equal(fl_test_values_alive(), 0);
		fl_test_futures_free(f, 4);
		fl_cancel_token_destroy(&stop);
	}
}

FL_TASK_STATIC(never_initializes, void, void)
{
	return -EDOM;
}

FL_TEST(context_var_of_refused_and_broken_tasks)
{
	fl_executor *e = NULL;
	fl_context_token token = FL_CONTEXT_TOKEN_INIT;
	fl_future *f = NULL;
	const fl_executor_config config = {.workers = 1, .initialize = &never_initializes};
	fl_test_own_scoped(1, &token);
	FL_OK(fl_thread_executor_create(&e, &config));
	const int rc = number_of_submit(e, &f);
	if (rc == 0) { /* the initializer has not failed yet: the task ends with -ENOTRECOVERABLE */
		FL_RC(fl_future_get_until(f, NULL, 0, 0, NULL), -EINVAL);
		FL_OK(fl_future_wait(f));
	} else {
		assert_int_equal(rc, -ENOTRECOVERABLE);
	}
	fl_executor_free(e);
	FL_OK(fl_thread_executor_create(&e, NULL));
	fl_executor_close(e);
	const fl_submit_config with = {.on_end = (fl_future_callback *)(void (*)(void))abort};
	FL_RC(number_of_submit_with(e, NULL, &with), -EPIPE);
	fl_executor_free(e);
	none_left(&token);
	fl_future_free(f);
}

VALUES_TEST(context_var_in_groups, 2, 1)
{
	FL_SCOPED(fl_group) g = FL_GROUP_INIT(e);
	int n[2] = {-1, -1};
	FL_OK(number_of_group_submit(&g, &n[0]));
	fl_test_own(2);
	FL_OK(number_of_group_submit(&g, &n[1]));
	FL_OK(fl_group_join(&g));
	assert_int_equal(n[0], 1);
	assert_int_equal(n[1], 2);
}

VALUES_TEST(context_var_in_maps, 2, 4)
{
	enum { N = 200 };
	static int args[N], results[N];
	FL_SCOPED(fl_imap) *it = NULL;
	FL_OK(number_for_map(e, args, N, results, &(fl_map_config){.chunk = 10}));
	FL_EACH (i, results)
		assert_int_equal(results[i], 4); /* 99: an element has seen what another has set */
	FL_OK(number_for_imap(e, args, N, &it, &(fl_imap_config){.chunk = 10}));
	FL_EACH (i, results) {
		FL_OK(fl_imap_next(it, NULL, &results[i]));
		assert_int_equal(results[i], 4);
	}
}

/* The task of a chain has the values of the context that made the chain. */
VALUES_TEST(context_var_in_chains, 1, 1)
{
	FL_SCOPED(fl_promise) *p = NULL;
	FL_SCOPED(fl_future) *f = NULL, *next = NULL, *last = NULL, *cancelled = NULL;
	const int zero = 0;
	int n = -1;
	FL_OK(fl_promise_create(&p, sizeof n, NULL, &f));
	FL_OK(fl_future_then(f, e, &number_for, &next));
	fl_test_own(2);
	FL_OK(fl_future_then(next, e, &number_for, &last));
	FL_OK(fl_future_then(next, e, &number_for, &cancelled));
	FL_OK(fl_future_cancel(cancelled));
	fl_test_own(3);
	FL_OK(fl_promise_set(p, &zero));
	assert_int_equal(fl_test_result(next), 1);
	assert_int_equal(fl_test_result(last), 2);
	assert_int_equal(fl_test_owned_number(), 3);
}

static void see_at_the_end(fl_future *f, void *seen)
{
	(void)fl_test_see(seen);
}

CONFORMANCE_ON(context_var_in_callbacks, 1)
{
	fl_test_seen at_submit = {.number = -1}, added = {.number = -1}, late = {.number = -1},
		     of_cancel = {.number = -1};
	fl_context_token token = FL_CONTEXT_TOKEN_INIT;
	fl_future *f = NULL;
	FL_SCOPED(fl_promise) *p = NULL;
	FL_SCOPED(fl_future) *promised = NULL;
	fl_test_own_scoped(1, &token);
	FL_OK(number_of_submit_with(e, &f, &(fl_submit_config){.on_end = see_at_the_end, .on_end_arg = &at_submit}));
	fl_test_own(2);
	FL_OK(fl_future_on_end(f, see_at_the_end, &added));
	fl_test_own(3);
	FL_OK(fl_future_wait(f));
	FL_OK(fl_future_on_end(f, see_at_the_end, &late));
	FL_OK(fl_promise_create(&p, 0, NULL, &promised));
	FL_OK(fl_future_on_end(promised, see_at_the_end, &of_cancel));
	fl_test_own(4);
	FL_OK(fl_future_cancel(promised));
	assert_int_equal(fl_test_owned_number(), 4); /* no callback has changed it */
	FL_OK(fl_executor_join(e));
	assert_int_equal(at_submit.number, 1);
	assert_int_equal(added.number, 2);
	assert_int_equal(late.number, 3);
	assert_int_equal(of_cancel.number, 3);
	fl_future_free(f);
	none_left(&token);
}

/*
 * The second call on another worker, or on this one, begins with the caller's value:
 * fl__fork_with_values().
 */
struct stolen {
	fl_event taken;
	int number;
};

static int nothing(void *unused)
{
	return 0;
}

static int until_taken(void *arg)
{
	struct stolen *s = arg;
	FL_SCOPED(fl_context_token) token = FL_CONTEXT_TOKEN_INIT;
	fl_test_own_scoped(50, &token); /* not seen by the other call, if that is stolen */
	/* again: one wake may be missed where the system has no membarrier() */
	while (!fl_event_is_set(&s->taken))
		FL_OK(fl_parallel_invoke(nothing, NULL, nothing, NULL));
	return 0;
}

static int be_taken(void *arg)
{
	struct stolen *s = arg;
	FL_SCOPED(fl_context_token) token = FL_CONTEXT_TOKEN_INIT;
	s->number = fl_test_owned_number();
	fl_test_own_scoped(60, &token);
	fl_event_set(&s->taken);
	return 0;
}

FL_TASK_STATIC(fork_with_value, void, void)
{
	for (int i = 0; i < 20; i++) {
		struct stolen s = {.number = -1};
		int rc = fl_parallel_invoke(until_taken, &s, be_taken, &s);
		if (rc != 0 || s.number != 1 || fl_test_owned_number() != 1)
			return fl_task_fail(ctx, -EDOM, "%d, %d", s.number, fl_test_owned_number());
	}
	return 0;
}

static int all_have_it(void *bad, size_t from, size_t to)
{
	if (fl_test_owned_number() != 1)
		fl__add_relaxed((uint32_t *)bad, 1);
	for (size_t i = from; i < to; i++)
		fl_fiber_yield();
	return 0;
}

VALUES_TEST(context_var_in_stolen_calls, 2, 1)
{
	uint32_t bad = 0;
	FL_OK(fl_test_run_task(e, &fork_with_value, NULL, NULL));
	FL_OK(fl_parallel_for(e, 0, 20000, all_have_it, &bad, &(fl_parallel_config){.grain = 1}));
	assert_int_equal(fl__load_relaxed(&bad), 0);
}

/* A task that a waiting worker runs as a call has its own values, too. */
FL_TASK_STATIC(waits_for_another, void, int)
{
	fl_future *f = NULL;
	int n = -1;
	FL_SCOPED(fl_context_token) token = FL_CONTEXT_TOKEN_INIT;
	fl_test_own_scoped(20, &token);
	FL_SCOPED(fl_context_values) none = FL_CONTEXT_VALUES_INIT;
	int rc = number_of_submit(fl_executor_current(), &f);
	if (rc == 0)
		rc = number_of_get(f, &n);
	fl_future_free(f);
	*result = n * 1000 + fl_test_owned_number();
	return rc;
}

FL_TEST(context_var_in_nested_tasks)
{
	FL_SCOPED(fl_executor) *e = make(&conformance_threads, 1);
	assert_int_equal(fl_test_result_of(e, &waits_for_another, NULL), 20 * 1000 + 20);
	FL_WAIT_FOR(fl_test_values_alive() == 0);
}

static int submit_within(void *arg)
{
	fl_future **f = arg;
	return number_of_submit(fl_executor_current(), f);
}

FL_TASK_STATIC(submits_without_values, void, int)
{
	FL_SCOPED(fl_context_values) none = FL_CONTEXT_VALUES_INIT;
	FL_SCOPED(fl_future) *f = NULL;
	int rc = fl_context_values_run(&none, submit_within, &f);
	return rc == 0 ? number_of_get(f, result) : rc;
}

VALUES_TEST(context_values_choose_what_a_task_inherits, 1, 1)
{
	assert_int_equal(fl_test_result_of(e, &submits_without_values, NULL),
	                 0); /* the waiting worker, which has 1, ran it */
}

/* A worker that a submit starts has no values of the submit: all are released while it exists. */
VALUES_TEST(context_var_not_in_workers, 3, 1)
{
	FL_OK(fl_test_run_task(e, &number_of, NULL, NULL));
}
