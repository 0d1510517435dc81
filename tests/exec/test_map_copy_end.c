/* SPDX-License-Identifier: BSD-2-Clause */
/* fl_map on executors that copy: an early end, maps in tasks, and failures of memory or threads. */
#include "fl_copying.h"
#include <sched.h>

FL_TEST(map_copy_that_cannot_begin)
{
	FL_SCOPED(fl_cancel_token) stop = FL_CANCEL_TOKEN_INIT;
	fl_cancel_token_request(&stop);
	for (int kind = 0; kind <= 2; kind++) {
		FL_SCOPED(fl_executor) *e = executor_of(kind, &copy_square);
		begin_map();
		FL_RC(copy_square_map(e, inputs, N, outputs, &(fl_map_config){.deadline = fl_now()}), -ETIMEDOUT);
		FL_RC(copy_square_map(e, inputs, N, outputs, &(fl_map_config){.deadline = -1}), -ETIMEDOUT);
		FL_RC(copy_square_map(e, inputs, N, outputs, &(fl_map_config){.cancel = &stop}), -ECANCELED);
		{
			FL_CANCEL_SCOPE(&stop);
			FL_RC(copy_square_map(e, inputs, N, outputs, NULL), -ECANCELED);
			assert_int_equal(LOOK(&runs), 0);
			FL_OK(copy_square_map(e, inputs, 1, outputs, &(fl_map_config){.cancel = FL_SHIELDED}));
		}
		assert_int_equal(LOOK(&runs), 1);
		assert_int_equal(outputs[1], -77);
		fl_executor_close(e);
		FL_RC(copy_square_map(e, inputs, N, outputs, NULL), -EPIPE);
		assert_int_equal(LOOK(&runs), 1);
	}
}

FL_TEST(map_copy_that_never_began_ends_in_time)
{
	FL_SCOPED(fl_executor) *e = executor_of(1, &copy_square);
	FL_SCOPED(fl_cancel_token) timer = FL_CANCEL_TOKEN_INIT;
	fl_cancel_token_init(&timer, FL_SHIELDED, fl_after(FL_MS(3)));
	struct gate gate = {0};
	fl_future *held = hold_worker(e, &gate);
	begin_map();
	FL_RC(copy_square_map(e, inputs, N, outputs, &(fl_map_config){.deadline = fl_after(FL_MS(3))}), -ETIMEDOUT);
	FL_RC(copy_square_map(e, inputs, N, outputs, &(fl_map_config){.cancel = &timer}), -ECANCELED);
	assert_int_equal(fl_future_get_state(held), FL_RUNNING);
	let_go(&gate, held);
	FL_OK(fl_executor_join(e));
	assert_int_equal(LOOK(&runs), 0);
}

/* Element 5 runs until it is asked to stop; it then succeeds or gives up, as `obeys` says. */
static fl_event fifth_runs;
static unsigned obeys;

FL_TASK(copy_stops, int, int)
{
	COUNT(&runs);
	*result = *arg;
	if (*arg != 5)
		return 0;
	fl_event_set(&fifth_runs);
	while (!fl_task_is_cancelled(ctx)) /* no worker stands in for one that runs */
		sched_yield();
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

/*
 * The elements that ran have results, the others were not touched. Only time can stop the
 * sequential kind inside of a submit.
 */
static void run_stopped_map(fl_executor *e, bool by_token, size_t chunk)
{
	FL_SCOPED(fl_cancel_token) stop = FL_CANCEL_TOKEN_INIT;
	fl_thread other;
	fl_event_reset(&fifth_runs);
	begin_map();
	fl_map_config config = {.chunk = chunk, .cancel = by_token ? &stop : NULL};
	if (!by_token)
		config.deadline = fl_after(FL_MS(50));
	FL_OK(fl_thread_start(&other, request_when_fifth_runs, &stop, NULL));
	int rc = copy_stops_map(e, inputs, N, outputs, &config);
	FL_RC(rc, by_token ? -ECANCELED : -ETIMEDOUT);
	fl_event_set(&fifth_runs); /* should the deadline have come before */
	seam_join(&other, 1);
	for (int i = 0; i < N; i++)
		assert_true(outputs[i] == i || outputs[i] == -77);
	if (by_token && fl_executor_workers(e) == 1) {
		assert_int_equal(LOOK(&runs), 6);
		assert_int_equal(outputs[4], 4);
	}
}

FL_TEST(map_copy_ends_early_by_token_and_deadline)
{
	for (int kind = 0; kind <= 2; kind++)
		for (unsigned obey = 0; obey <= 1; obey++)
			for (size_t chunk = 1; chunk <= 4; chunk += 3) {
				FL_SCOPED(fl_executor) *e = executor_of(kind, &copy_stops);
				SET(&obeys, obey);
				if (kind > 0)
					run_stopped_map(e, true, chunk);
				run_stopped_map(e, false, chunk);
			}
}

/* Element 5 does something to its executor. */
static void (*fifth_act)(fl_executor *e);

FL_TASK(copy_acts, int, int)
{
	COUNT(&runs);
	*result = *arg;
	if (*arg == 5)
		fifth_act(fl_executor_current());
	return 0;
}

static void cancel_executor(fl_executor *e)
{
	(void)fl_executor_cancel(e);
}

FL_TEST(map_copy_ends_early_when_its_executor_is_cancelled)
{
	fifth_act = cancel_executor;
	for (int kind = 0; kind <= 3; kind++) {
		FL_SCOPED(fl_executor) *e = executor_of(kind, &copy_acts);
		begin_map();
		int rc = copy_acts_map(e, inputs, N, outputs, &(fl_map_config){.chunk = 4});
		if (kind == 0) /* nothing was queued: it is closed for what comes next */
			FL_RC(rc == -EPIPE ? -ECANCELED : rc, -ECANCELED);
		else
			FL_RC(rc, -ECANCELED);
		assert_true(LOOK(&runs) < N);
		/* With others, they may have done all else before the fifth ran. */
		if (fl_executor_workers(e) == 1)
			assert_int_equal(outputs[N - 1], -77);
		FL_RC(copy_acts_map(e, inputs, 1, outputs, NULL), -EPIPE);
	}
}

/* What was under way runs, as on any closed executor; what comes after it is refused. */
FL_TEST(map_copy_ends_early_when_its_executor_is_closed)
{
	fifth_act = fl_executor_close;
	for (int kind = 0; kind <= 3; kind++) {
		FL_SCOPED(fl_executor) *e = executor_of(kind, &copy_acts);
		begin_map();
		FL_RC(copy_acts_map(e, inputs, N, outputs, &(fl_map_config){.chunk = 1}), -EPIPE);
		const int ran = (int)LOOK(&runs);
		assert_true(ran >= 6 && ran < N);
		for (int i = 0; i < N; i++)
			assert_int_equal(outputs[i], i < ran ? i : -77);
	}
}

FL_TASK_STATIC(initialize_badly, void, void)
{
	return -EIO;
}

FL_TEST(map_copy_on_a_broken_executor)
{
	FL_SCOPED(fl_executor) *e = NULL;
	begin_map();
	FL_OK(fl_thread_executor_create(&e, &(fl_executor_config){.workers = 2, .initialize = &initialize_badly}));
	(void)copying(e, &copy_square);
	for (int i = 0; i < 3; i++) /* the one that breaks it, and later ones */
		FL_RC(copy_square_map(e, inputs, N, outputs, NULL), -ENOTRECOVERABLE);
	assert_int_equal(LOOK(&runs), 0);
}

/* Maps in tasks: they need no free worker, whatever the depth. */
FL_TASK(copy_nested, int, int)
{
	int in[3] = {*arg - 1, *arg - 1, *arg - 1}, out[3] = {0};
	fl_executor *e = fl_executor_current();
	if (*arg == 0 || !e) {
		*result = 1;
		return e ? 0 : -EINVAL;
	}
	int rc = fl_map(e, fl_task_find("copy_nested"), in, 3, out, &(fl_map_config){.chunk = 1});
	*result = out[0] + out[1] + out[2];
	return rc;
}

FL_TEST(map_copy_nested_needs_no_free_worker)
{
	for (int kind = 0; kind <= 3; kind++) {
		FL_SCOPED(fl_executor) *e = executor_of(kind, &copy_nested);
		const int depths[] = {0, 1, 2, 3, 5};
		int out[5];
		FL_OK(copy_nested_map(e, depths, 5, out, &(fl_map_config){.chunk = 1}));
		assert_int_equal(out[0] + out[1] + out[2] + out[3] + out[4], 40 + 243);
	}
}

/* Without memory. */

/* From the first to the last that were run; nothing else was touched. */
static int count_prefix(void)
{
	int n = 0;
	while (n < N && outputs[n] == n * n)
		n++;
	for (int i = n; i < N; i++)
		assert_int_equal(outputs[i], -77);
	return n;
}

/*
 * Elements run while the map sleeps: with one worker no chunk ends before the map has submitted all
 * that fits. So a chunk is under way whenever a submit other than the first fails.
 */
FL_TASK_STATIC(copy_while_it_sleeps, int, int)
{
	FL_WAIT_FOR(seam_sleepers() == 1);
	*result = *arg * *arg;
	return 0;
}

/* Chunks of more than a block's room have memory of their own: each submit asks for some. */
FL_TEST(map_copy_without_memory_goes_on_with_less)
{
	enum { CHUNK = 600 };
	for (unsigned step = 0; step < 20; step++) {
		FL_SCOPED(fl_executor) *e = executor_of(1, &copy_while_it_sleeps);
		const fl_map_config config = {.chunk = CHUNK};
		long before = seam_live_allocs();
		begin_map();
		seam_fail_allocs(step, 1);
		int rc = copy_while_it_sleeps_map(e, inputs, N, outputs, &config);
		bool struck = seam_heal() == 0;
		assert_true(rc == 0 || rc == -ENOMEM);
		assert_int_equal(count_prefix(), rc == 0 ? N : 0); /* only the first can do that */
		if (!struck) {
			assert_int_equal(rc, 0);
			assert_true(seam_live_allocs() >= before);
			return;
		}
	}
	fail_msg("more allocations than chunks");
}

FL_TEST(map_copy_without_memory_for_the_rest)
{
	enum { CHUNK = 600 };
	unsigned partial = 0;
	for (unsigned step = 0; step < 20; step++) {
		FL_SCOPED(fl_executor) *e = executor_of(2, &copy_square);
		begin_map();
		seam_fail_allocs(step, 1000);
		int rc = copy_square_map(e, inputs, N, outputs, &(fl_map_config){.chunk = CHUNK});
		bool struck = seam_heal() < 1000;
		const int done = count_prefix();
		assert_int_equal(done, LOOK(&runs));
		FL_RC(rc, done < N ? -ENOMEM : 0);
		/* Both: it was for a second worker, and one can do all. */
		assert_true(struck || done == N);
		partial += struck && done > 0;
		if (!struck)
			break;
	}
	assert_true(partial > 3);
}

FL_TEST(map_copy_without_threads)
{
	FL_SCOPED(fl_executor) *e = executor_of(3, &copy_square);
	begin_map();
	seam_fail_threads(0, 1000);
	FL_RC(copy_square_map(e, inputs, N, outputs, NULL), -EAGAIN);
	assert_int_equal(LOOK(&runs), 0);
	seam_heal();
	FL_OK(copy_square_map(e, inputs, N, outputs, NULL));
	assert_int_equal(count_prefix(), N);
}
