/* SPDX-License-Identifier: BSD-2-Clause */
/* fl_map: order, chunks, the first failure, what ends it early, and maps inside of tasks. */
#include "fl_pool.h"
#include <sched.h>

enum { N = 500 };

static int inputs[N], outputs[N];
static unsigned runs;

FL_TASK(map_square, int, int)
{
	COUNT(&runs);
	*result += *arg * *arg; /* results start zeroed */
	return 0;
}

/* Fails where the argument is negative. */
FL_TASK(map_check, int, int)
{
	COUNT(&runs);
	*result = *arg;
	return *arg < 0 ? fl_task_fail(ctx, *arg, "element %d", *arg) : 0;
}

FL_TASK(map_nothing, int, void)
{
	FL_CHECK(result == NULL);
	COUNT(&runs);
	return *arg < 0 ? *arg : 0;
}

static void begin_map(void)
{
	SET(&runs, 0);
	for (int i = 0; i < N; i++) {
		inputs[i] = i;
		outputs[i] = -77;
	}
}

/* An executor of each kind that matters here. */
static fl_executor *executor_of(int kind)
{
	return kind == 0 ? sequential() : pool_with((unsigned)kind);
}

FL_TEST(map_keeps_the_order_whatever_the_chunk)
{
	const size_t chunks[] = {0, 1, 2, 3, 7, 64, 499, 500, 501, 100000, SIZE_MAX};
	for (int kind = 0; kind <= 3; kind++) {
		FL_SCOPED(fl_executor) *e = executor_of(kind);
		for (size_t c = 0; c < sizeof chunks / sizeof *chunks; c++)
			for (size_t n = N - 3; n <= N; n++) {
				begin_map();
				FL_OK(map_square_map(e, inputs, n, outputs, &(fl_map_config){.chunk = chunks[c]}));
				assert_int_equal(LOOK(&runs), n);
				for (int i = 0; i < N; i++)
					assert_int_equal(outputs[i], (size_t)i < n ? i * i : -77);
			}
	}
}

FL_TEST(map_of_nothing_is_nothing)
{
	FL_SCOPED(fl_executor) *e = pool_with(2);
	begin_map();
	fl_map_error error = {.index = 77};
	FL_OK(fl_map(e, &map_square, NULL, 0, NULL, NULL));
	FL_OK(map_square_map(e, inputs, 0, outputs, &(fl_map_config){.deadline = -1, .error = &error}));
	assert_int_equal(LOOK(&runs), 0);
	assert_int_equal(outputs[0], -77);
	assert_int_equal(error.index, 77);
}

FL_TEST(map_without_result)
{
	FL_SCOPED(fl_executor) *e = pool_with(2);
	begin_map();
	FL_OK(map_nothing_map(e, inputs, N, NULL));
	assert_int_equal(LOOK(&runs), N);
	inputs[3] = -EIO;
	fl_map_error error = {.index = 77};
	FL_RC(map_nothing_map(e, inputs, N, &(fl_map_config){.error = &error}), FL_ETASK);
	assert_int_equal(error.index, 3);
	assert_int_equal(error.error, -EIO);
	assert_string_equal(error.message, "");
}

FL_TEST(map_large)
{
	enum { LARGE = 300000 };
	FL_SCOPED(fl_executor) *e = pool_with(3);
	int *in = malloc(LARGE * sizeof *in), *out = calloc(LARGE, sizeof *out);
	assert_non_null(in);
	assert_non_null(out);
	for (int i = 0; i < LARGE; i++)
		in[i] = i % 1000;
	FL_OK(map_square_map(e, in, LARGE, out, NULL));
	/* Results are set, not added to. */
	FL_OK(map_square_map(e, in, LARGE / 10, out, &(fl_map_config){.chunk = 1}));
	for (int i = 0; i < LARGE; i++)
		assert_int_equal(out[i], in[i] * in[i]);
	free(in);
	free(out);
}

/* Which thread ran an element. */
FL_TASK(map_who, int, uint64_t)
{
	*result = fl_thread_current_id();
	return 0;
}

FL_TEST(map_chunk_is_run_by_one_worker)
{
	FL_SCOPED(fl_executor) *e = pool_with(3);
	uint64_t ran_on[N];
	begin_map();
	FL_OK(map_who_map(e, inputs, N, ran_on, &(fl_map_config){.chunk = 20}));
	for (int i = 0; i < N; i++) {
		assert_true(ran_on[i] == ran_on[i / 20 * 20]);
		assert_true(ran_on[i] != fl_thread_current_id());
	}
	FL_SCOPED(fl_executor) *s = sequential();
	FL_OK(map_who_map(s, inputs, N, ran_on, NULL));
	for (int i = 0; i < N; i++)
		assert_true(ran_on[i] == fl_thread_current_id());
}

/* Elements that wait for each other: they run at the same time, or never end. */
static fl_latch together;

FL_TASK(map_meet, int, int)
{
	fl_latch_count_down(&together, 1);
	return fl_latch_wait(&together);
}

FL_TEST(map_uses_all_workers_at_once)
{
	FL_SCOPED(fl_executor) *e = pool_with(4);
	begin_map();
	FL_OK(fl_latch_init(&together, 4));
	FL_OK(map_meet_map(e, inputs, 4, outputs, NULL));
	FL_OK(fl_latch_init(&together, 4));
	FL_OK(map_meet_map(e, inputs, 4, outputs, &(fl_map_config){.chunk = 1}));
}

FL_TEST(map_tells_the_lowest_index_that_failed)
{
	for (int kind = 0; kind <= 3; kind++) {
		FL_SCOPED(fl_executor) *e = executor_of(kind);
		for (unsigned round = 0; round < 40; round++) {
			begin_map();
			int first = (int)(round * 37 % N);
			for (int i = first; i < N; i += 1 + (int)round)
				inputs[i] = -1 - i;
			fl_map_error error = {.index = 9999};
			const fl_map_config config = {.chunk = 1 + round % 9, .error = &error};
			FL_RC(map_check_map(e, inputs, N, outputs, &config), FL_ETASK);
			assert_int_equal(error.index, first);
			assert_int_equal(error.error, -1 - first);
			char expected[64];
			(void)snprintf(expected, sizeof expected, "element %d", -1 - first);
			assert_string_equal(error.message, expected);
			assert_int_equal(outputs[first], -1 - first); /* what it left there */
			/* The elements before the failure have results. */
			for (int i = 0; i < first; i++)
				assert_int_equal(outputs[i], i);
		}
	}
}

/*
 * Both elements fail, the one with the argument `later` probably later: the result must not depend
 * on it.
 */
static int later;

FL_TASK(map_fail_both, int, int)
{
	fl_latch_count_down(&together, 1);
	FL_CHECK(fl_latch_wait(&together) == 0);
	for (int i = 0; i < 100 && *arg == LOOK(&later); i++)
		sched_yield();
	return *arg;
}

FL_TEST(map_tells_the_lowest_index_whatever_failed_first)
{
	FL_SCOPED(fl_executor) *e = pool_with(2);
	for (int round = 0; round < 30; round++) {
		fl_map_error error = {.index = 77};
		FL_OK(fl_latch_init(&together, 2));
		SET(&later, round % 2 ? -1 : -2);
		const fl_map_config config = {.chunk = 1, .error = &error};
		FL_RC(map_fail_both_map(e, (int[]){-1, -2}, 2, outputs, &config), FL_ETASK);
		assert_int_equal(error.index, 0);
		assert_int_equal(error.error, -1);
	}
}

FL_TEST(map_begins_nothing_after_a_failure)
{
	FL_SCOPED(fl_executor) *s = sequential();
	begin_map();
	inputs[10] = -EIO;
	/* Also without a place for the error. */
	FL_RC(map_check_map(s, inputs, N, outputs, NULL), FL_ETASK);
	assert_int_equal(LOOK(&runs), 11);
	assert_int_equal(outputs[11], -77);
	FL_SCOPED(fl_executor) *e = pool_with(1);
	begin_map();
	inputs[10] = -EIO;
	FL_RC(map_check_map(e, inputs, N, outputs, &(fl_map_config){.chunk = 3}), FL_ETASK);
	assert_int_equal(LOOK(&runs), 11);
	/* And no task is left. */
	FL_OK(fl_executor_try_join(e) == -EBUSY ? fl_executor_join(e) : 0);
}

/*
 * The message is truncated like any other; the task's -ETIMEDOUT and -ECANCELED are failures like
 * any other.
 */
FL_TASK(map_odd_errors, int, int)
{
	char text[400];
	memset(text, 'x', sizeof text);
	text[399] = '\0';
	return *arg ? fl_task_fail(ctx, *arg, "%s", text) : 0;
}

FL_TEST(map_tells_its_own_errors_from_the_tasks)
{
	FL_SCOPED(fl_executor) *e = pool_with(2);
	const int codes[] = {-ETIMEDOUT, -ECANCELED, -ENOMEM, 5};
	for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
		fl_map_error error = {0};
		FL_RC(map_odd_errors_map(e, &codes[i], 1, outputs, &(fl_map_config){.error = &error}), FL_ETASK);
		assert_int_equal(error.error, codes[i]);
		assert_int_equal(error.index, 0);
		assert_int_equal(strlen(error.message), FL_MESSAGE_MAX - 1);
	}
}

FL_TEST(map_that_cannot_begin)
{
	FL_SCOPED(fl_cancel_token) stop = FL_CANCEL_TOKEN_INIT;
	fl_cancel_token_request(&stop);
	for (int kind = 0; kind <= 2; kind++) {
		FL_SCOPED(fl_executor) *e = executor_of(kind);
		begin_map();
		FL_RC(map_square_map(e, inputs, N, outputs, &(fl_map_config){.deadline = fl_now()}), -ETIMEDOUT);
		FL_RC(map_square_map(e, inputs, N, outputs, &(fl_map_config){.deadline = -1}), -ETIMEDOUT);
		FL_RC(map_square_map(e, inputs, N, outputs, &(fl_map_config){.cancel = &stop}), -ECANCELED);
		{
			FL_CANCEL_SCOPE(&stop);
			FL_RC(map_square_map(e, inputs, N, outputs, NULL), -ECANCELED);
			assert_int_equal(LOOK(&runs), 0);
			FL_OK(map_square_map(e, inputs, 1, outputs, &(fl_map_config){.cancel = FL_SHIELDED}));
		}
		assert_int_equal(LOOK(&runs), 1);
		assert_int_equal(outputs[1], -77);
		fl_executor_close(e);
		FL_RC(map_square_map(e, inputs, N, outputs, NULL), -EPIPE);
		assert_int_equal(LOOK(&runs), 1);
	}
}

/* What has not started is not waited for, however busy the workers are. */
FL_TEST(map_that_never_began_ends_in_time)
{
	FL_SCOPED(fl_executor) *e = pool_with(1);
	FL_SCOPED(fl_cancel_token) timer = FL_CANCEL_TOKEN_INIT;
	fl_cancel_token_init(&timer, FL_SHIELDED, fl_after(FL_MS(3)));
	struct gate gate = {0};
	fl_future *held = hold_worker(e, &gate);
	begin_map();
	FL_RC(map_square_map(e, inputs, N, outputs, &(fl_map_config){.deadline = fl_after(FL_MS(3))}), -ETIMEDOUT);
	FL_RC(map_square_map(e, inputs, N, outputs, &(fl_map_config){.cancel = &timer}), -ECANCELED);
	assert_int_equal(fl_future_get_state(held), FL_RUNNING);
	let_go(&gate, held);
	FL_OK(fl_executor_join(e));
	assert_int_equal(LOOK(&runs), 0);
}

/* Element 5 runs until it is asked to stop; it then succeeds or gives up, as `obeys` says. */
static fl_event fifth_runs;
static unsigned obeys;

FL_TASK(map_stops, int, int)
{
	COUNT(&runs);
	*result = *arg;
	if (*arg != 5)
		return 0;
	fl_event_set(&fifth_runs);
	fl_event never = FL_EVENT_INIT;
	FL_CHECK(fl_event_wait(&never) == -ECANCELED);
	FL_CHECK(fl_task_is_cancelled(ctx));
	return LOOK(&obeys) ? -ECANCELED : 0;
}

static int request_when_fifth_runs(void *stop)
{
	FL_CHECK(fl_event_wait_until(&fifth_runs, FL_FOREVER, FL_SHIELDED) == 0);
	fl_cancel_token_request(stop);
	return 0;
}

static void run_stopped_map(fl_executor *e, bool by_token)
{
	FL_SCOPED(fl_cancel_token) stop = FL_CANCEL_TOKEN_INIT;
	fl_thread other;
	fl_event_reset(&fifth_runs);
	begin_map();
	fl_map_config config = {.chunk = 4, .cancel = by_token ? &stop : NULL};
	if (!by_token)
		config.deadline = fl_after(FL_MS(50));
	FL_OK(fl_thread_start(&other, request_when_fifth_runs, &stop, NULL));
	int rc = map_stops_map(e, inputs, N, outputs, &config);
	FL_RC(rc, by_token ? -ECANCELED : -ETIMEDOUT);
	fl_event_set(&fifth_runs); /* should the deadline have come before */
	seam_join(&other, 1);
	/* The elements that ran have results, the others were not touched. */
	for (int i = 0; i < N; i++)
		assert_true(outputs[i] == i || outputs[i] == -77 || (i == 5 && outputs[i] == 5));
	if (by_token && fl_executor_workers(e) == 1) {
		assert_int_equal(LOOK(&runs), 6);
		assert_int_equal(outputs[4], 4);
	}
}

FL_TEST(map_ends_early_by_token_and_deadline)
{
	for (int kind = 0; kind <= 2; kind++) {
		FL_SCOPED(fl_executor) *e = executor_of(kind);
		for (unsigned obey = 0; obey <= 1; obey++) {
			SET(&obeys, obey);
			run_stopped_map(e, true);
			run_stopped_map(e, false);
		}
	}
}

static int cancel_when_fifth_runs(void *e)
{
	FL_CHECK(fl_event_wait_until(&fifth_runs, FL_FOREVER, FL_SHIELDED) == 0);
	(void)fl_executor_cancel(e);
	return 0;
}

FL_TEST(map_ends_early_when_its_executor_is_cancelled)
{
	for (int kind = 0; kind <= 3; kind++) {
		FL_SCOPED(fl_executor) *e = executor_of(kind);
		fl_thread other;
		fl_event_reset(&fifth_runs);
		begin_map();
		SET(&obeys, 1);
		FL_OK(fl_thread_start(&other, cancel_when_fifth_runs, e, NULL));
		FL_RC(map_stops_map(e, inputs, N, outputs, &(fl_map_config){.chunk = 4}), -ECANCELED);
		seam_join(&other, 1);
		assert_true(LOOK(&runs) < N || kind > 1);
		FL_RC(map_stops_map(e, inputs, 1, outputs, NULL), -EPIPE);
	}
}

/* Maps in tasks: they need no free worker, whatever the depth. */
FL_TASK(map_nested, int, int)
{
	int in[3] = {*arg - 1, *arg - 1, *arg - 1}, out[3] = {0};
	fl_executor *e = fl_executor_current();
	if (*arg == 0 || !e) {
		*result = 1;
		return e ? 0 : -EINVAL;
	}
	const fl_map_config config = {.chunk = 1};
	int rc = fl_map(e, fl_task_find("map_nested"), in, 3, out, &config);
	*result = out[0] + out[1] + out[2];
	return rc;
}

FL_TEST(map_nested_needs_no_free_worker)
{
	for (int kind = 0; kind <= 3; kind++) {
		FL_SCOPED(fl_executor) *e = executor_of(kind);
		FL_SCOPED(fl_future) *f = NULL;
		int leaves = 0;
		FL_OK(map_nested_submit(e, 5, &f));
		FL_OK(map_nested_get(f, &leaves));
		assert_int_equal(leaves, 243);
		const int depths[] = {0, 1, 2, 3};
		int out[4];
		FL_OK(map_nested_map(e, depths, 4, out, NULL));
		assert_int_equal(out[0] + out[1] + out[2] + out[3], 40);
	}
}

static unsigned elements_dropped;

static void count_element(void *arg)
{
	(void)arg;
	COUNT(&elements_dropped);
}

FL_TASK(map_dropping, int, int, .drop_arg = count_element)
{
	*result = *arg;
	return 0;
}

FL_TEST(map_drops_no_argument)
{
	FL_SCOPED(fl_executor) *e = pool_with(2);
	begin_map();
	FL_OK(map_dropping_map(e, inputs, N, outputs, NULL));
	fl_executor_close(e);
	FL_RC(map_dropping_map(e, inputs, N, outputs, NULL), -EPIPE);
	FL_OK(fl_executor_join(e));
	assert_int_equal(LOOK(&elements_dropped), 0);
}
