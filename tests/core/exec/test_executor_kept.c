/* SPDX-License-Identifier: BSD-2-Clause */
/* Tasks that fail and keep their result, for every kind of executor. */
#include "conformance.h"

struct request {
	struct tally *tally;
	int error; /* 0: it succeeds */
	bool keeps;
};

struct payload {
	struct tally *tally;
	int line;
};

static void drop_payload(void *result)
{
	count(&((struct payload *)result)->tally->result_drops);
}

FL_TASK_STATIC(read_line, struct request, struct payload, .drop_result = drop_payload)
{
	*result = (struct payload){arg->tally, 7};
	count(&arg->tally->runs);
	if (arg->keeps)
		fl_task_keep_result(ctx);
	return arg->error ? fl_task_fail(ctx, -EBADMSG, "line %d cannot be read", result->line) : 0;
}

static struct request failing(struct tally *tally, bool keeps)
{
	return (struct request){tally, -EBADMSG, keeps};
}

static void is_kept(fl_future *f, const struct tally *tally)
{
	struct payload got = {0}, again = {0};
	FL_RC(read_line_get(f, &got), FL_ETASK);
	assert_ptr_equal(got.tally, tally);
	assert_int_equal(got.line, 7);
	FL_RC(read_line_try_get(f, &again), FL_ETASK);
	assert_int_equal(again.line, 7);
	FL_RC(read_line_get_until(f, &again, FL_NO_WAIT, NULL), FL_ETASK);
	assert_int_equal(((const struct payload *)fl_future_result(f))->line, 7);
	FL_STATE_IS(f, FL_DONE);
	fl_test_future_ended(f, -EBADMSG, "line 7 cannot be read");
}

CONFORMANCE_ON(failed_task_keeps_its_result, 1)
{
	struct tally *tally = new_tally();
	fl_future *f = FL_SUBMITTED(read_line, e, failing(tally, true));
	is_kept(f, tally);
	expect_result_drops(tally, 0);
	fl_future_free(f);
	FL_OK(fl_executor_join(e)); /* no other reference exists */
	expect_result_drops(tally, 1);
}

CONFORMANCE_ON(failed_task_keeps_nothing_by_itself, 1)
{
	struct tally *tally = new_tally();
	const struct request request = failing(tally, false);
	struct payload got = {.line = 3};
	FL_RC(fl_test_run_task(e, &read_line, &request, &got), -EBADMSG);
	assert_int_equal(got.line, 3);
	FL_OK(fl_executor_join(e));
	expect_result_drops(tally, 0);
}

CONFORMANCE_ON(kept_result_of_a_task_that_succeeds, 1)
{
	struct tally *tally = new_tally();
	struct payload got = {0};
	FL_OK(fl_test_run_task(e, &read_line, &(struct request){tally, 0, true}, &got));
	assert_int_equal(got.line, 7);
	FL_OK(fl_executor_join(e));
	expect_result_drops(tally, 1);
}

/* The hook runs once, also without a waiter. */
CONFORMANCE_ON(kept_result_without_a_waiter, 2)
{
	struct tally *tally = new_tally();
	for (int i = 0; i < 50; i++)
		FL_OK(read_line_submit(e, failing(tally, true), NULL));
	FL_OK(fl_executor_join(e));
	expect_result_drops(tally, 50);
}

FL_TASK_STATIC(keep_and_fail, void, void)
{
	fl_task_keep_result(ctx);
	return -EIO;
}

CONFORMANCE_ON(kept_result_of_no_size, 1)
{
	FL_SCOPED(fl_future) *f = FL_SUBMITTED(keep_and_fail, e);
	fl_test_future_ends(f, -EIO, NULL);
	assert_null(fl_future_result(f));
}

/* Results that a process executor has in a slot, in the arena, and in memory of their own. */
struct medium {
	unsigned char bytes[1000];
};

struct large {
	unsigned char bytes[100000];
};

static int fill(fl_task_ctx *ctx, int with, unsigned char *bytes, size_t size)
{
	memset(bytes, with, size);
	fl_task_keep_result(ctx);
	return fl_task_fail(ctx, -EIO, "filled with %d", with);
}

FL_TASK_STATIC(fill_medium, int, struct medium)
{
	return fill(ctx, *arg, result->bytes, sizeof result->bytes);
}

FL_TASK_STATIC(fill_large, int, struct large)
{
	return fill(ctx, *arg, result->bytes, sizeof result->bytes);
}

CONFORMANCE_ON(kept_results_of_any_size, 2)
{
	static struct medium medium;
	static struct large large;
	for (int i = 1; i < 20; i++) {
		FL_SCOPED(fl_future) *f = NULL, *g = NULL;
		FL_OK(fill_medium_submit(e, i, &f));
		FL_OK(fill_large_submit(e, i + 1, &g));
		FL_RC(fill_medium_get(f, &medium), FL_ETASK);
		FL_RC(fill_large_get(g, &large), FL_ETASK);
		FL_EACH (k, medium.bytes)
			assert_int_equal(medium.bytes[k], i);
		FL_EACH (k, large.bytes)
			assert_int_equal(large.bytes[k], i + 1);
		assert_memory_equal(fl_future_result(g), &large, sizeof large);
		FL_RC(fl_future_error(g), -EIO);
	}
}

FL_TASK_STATIC(make_request, struct request, struct request)
{
	*result = *arg;
	return 0;
}

FL_TASK_STATIC(take_payload, struct payload, void)
{
	return 0;
}

/* A chain has the kept result of its last task, not that of one before, which has another type. */
CONFORMANCE_ON(kept_result_of_a_chain, 1)
{
	struct tally *tally = new_tally();
	fl_future *first = NULL, *second = NULL, *third = NULL;
	FL_OK(make_request_submit(e, failing(tally, true), &first));
	FL_OK(fl_future_then(first, e, &read_line, &second));
	FL_OK(fl_future_then(second, e, &take_payload, &third));
	FL_RC(take_payload_get(third), FL_ETASK);
	fl_test_future_ended(third, -EBADMSG, "line 7 cannot be read");
	assert_null(fl_future_result(third));
	is_kept(second, tally);
	FL_OK(fl_executor_join(e));
	expect_result_drops(tally, 0);
	fl_future_free(third);
	fl_future_free(second);
	fl_future_free(first);
	expect_result_drops(tally, 1);
}

/* The result is where the submit said, and is the caller's; without such a place it is dropped. */
CONFORMANCE_ON(kept_result_of_a_group, 1)
{
	struct tally *tally = new_tally();
	struct payload got = {0}, untouched = {.line = 3};
	fl_group g = FL_GROUP_INIT(e);
	FL_OK(read_line_group_submit(&g, failing(tally, true), &got));
	FL_GROUP_FAILED(&g, -EBADMSG);
	assert_int_equal(got.line, 7);
	FL_OK(read_line_group_submit(&g, failing(tally, false), &untouched));
	FL_GROUP_FAILED(&g, -EBADMSG);
	assert_int_equal(untouched.line, 3);
	FL_OK(read_line_group_submit(&g, (struct request){tally, -EBADMSG, true}, NULL));
	FL_GROUP_FAILED(&g, -EBADMSG);
	fl_group_destroy(&g);
	FL_OK(fl_executor_join(e));
	assert_int_equal(counted(&tally->runs), 3);
	expect_result_drops(tally, 1);
}

enum { N = 60 };

/* Every third task fails, and every sixth of all keeps its result. */
static void ask(struct request *requests, struct tally *tally)
{
	for (int i = 0; i < N; i++)
		requests[i] = (struct request){tally, i % 3 == 0 ? -EBADMSG : 0, i % 6 == 0};
}

/* The first of a chunk up to `index` that fails, or N. */
static size_t failure_of(size_t index, size_t chunk)
{
	for (size_t i = index - index % chunk; i <= index; i++)
		if (i % 3 == 0)
			return i;
	return N;
}

static void iterate(fl_executor *e, const fl_imap_config *config)
{
	FL_SCOPED(fl_imap) *it = NULL;
	struct tally *tally = new_tally();
	struct request requests[N];
	ask(requests, tally);
	FL_OK(read_line_imap(e, requests, N, &it, config));
	for (int i = 0; i < N; i++) {
		struct payload got = {.line = 3};
		size_t index = N;
		const int rc = read_line_imap_next(it, &index, &got);
		assert_true(index < N);
		const size_t failure = failure_of(index, FL__MAX(config->chunk, 1));
		FL_RC(rc, failure < N ? FL_ETASK : 0);
		assert_int_equal(got.line, failure == N || (index == failure && index % 6 == 0) ? 7 : 3);
	}
	struct payload none;
	FL_RC(read_line_imap_next(it, NULL, &none), -ENODATA);
	expect_result_drops(tally, 0); /* they are the caller's */
}

CONFORMANCE_ON(kept_results_of_an_iteration, 2)
{
	FL_BOTH (unordered) {
		iterate(e, &(fl_imap_config){.unordered = unordered});
		iterate(e, &(fl_imap_config){.unordered = unordered, .chunk = 7});
	}
}

/* The results that were not given out are dropped, whenever the iteration is freed. */
CONFORMANCE(kept_results_of_an_iteration_that_is_freed)
{
	for (int given = 0; given < N; given += 29) {
		for (size_t chunk = 1; chunk <= 4; chunk += 3) {
			fl_executor *e = make(kind, 2);
			fl_imap *it = NULL;
			struct tally *tally = new_tally();
			struct request requests[N];
			int mine = 0, expected = 0;
			ask(requests, tally);
			FL_EACH (i, requests)
				requests[i].keeps = true;
			FL_OK(read_line_imap(e, requests, N, &it, &(fl_imap_config){.chunk = chunk}));
			for (int i = 0; i < given; i++) {
				struct payload got = {0};
				const int rc = read_line_imap_next(it, NULL, &got);
				FL_OK_OR(rc, FL_ETASK);
				mine += got.line == 7;
				const size_t failure = failure_of((size_t)i, chunk);
				expected += failure == N || failure == (size_t)i;
			}
			fl_imap_free(it);
			fl_executor_free(e);
			assert_int_equal(mine, expected);
			expect_result_drops(tally, counted(&tally->runs) - mine);
		}
	}
}

/* A map has what its elements have left, kept or not, and no hook runs. */
CONFORMANCE_ON(kept_results_of_a_map, 2)
{
	struct tally *tally = new_tally();
	for (size_t chunk = 1; chunk <= 4; chunk += 3) {
		struct request requests[N];
		static struct payload results[N];
		fl_map_error error = {0};
		FL_EACH (i, requests)
			requests[i] = (struct request){tally, i == 30 ? -EBADMSG : 0, i == 30};
		FL_RC(read_line_map(e, requests, N, results, &(fl_map_config){.chunk = chunk, .error = &error}),
		      FL_ETASK);
		assert_int_equal(error.index, 30);
		for (int i = 0; i <= 30; i++)
			assert_int_equal(results[i].line, 7);
	}
	FL_OK(fl_executor_join(e));
	expect_result_drops(tally, 0);
}

/* There is no result of a task that did not run. */
CONFORMANCE_ON(kept_result_of_a_cancelled_task, 1)
{
	FL_SCOPED(fl_future) *f = NULL;
	struct tally *tally = new_tally();
	FL_OK(read_line_submit_with(e, failing(tally, true), &f, &(fl_submit_config){.deadline = FL_NO_WAIT}));
	FL_OK(fl_future_wait(f));
	FL_STATE_IS(f, FL_CANCELLED);
	assert_null(fl_future_result(f));
	expect_result_drops(tally, 0);
}
