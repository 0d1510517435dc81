/* SPDX-License-Identifier: BSD-2-Clause */
/* The contract of map, and of tasks that submit and wait, for every kind of executor. */
#include "conformance.h"

enum { N = 1000 };

static void expect_squares(const int *results, int n)
{
	for (int i = 0; i < n; i++)
		assert_int_equal(results[i], i * i);
}

static void number(int *args, int n)
{
	for (int i = 0; i < n; i++)
		args[i] = i;
}

CONFORMANCE(map_keeps_the_order)
{
	FL_SCOPED(fl_executor) *e = make(kind, 3);
	static int args[N], results[N];
	static const size_t chunks[] = {0, 1, 2, 7, 24, N - 1, N, N + 1, SIZE_MAX};
	static const size_t lengths[] = {1, 2, 23, 24, 25, 48, N};
	number(args, N);
	for (size_t c = 0; c < sizeof chunks / sizeof chunks[0]; c++)
		for (size_t l = 0; l < sizeof lengths / sizeof lengths[0]; l++) {
			memset(results, 0xff, sizeof results);
			FL_OK(square_map(e, args, lengths[l], results, &(fl_map_config){.chunk = chunks[c]}));
			expect_squares(results, (int)lengths[l]);
			if (lengths[l] < N)
				assert_int_equal(results[lengths[l]], -1); /* and nothing beyond */
		}
	FL_OK(square_map(e, args, N, results, NULL));
	expect_squares(results, N);
}

CONFORMANCE(map_of_nothing)
{
	FL_SCOPED(fl_executor) *e = make(kind, 2);
	FL_OK(square_map(e, NULL, 0, NULL, NULL));
	fl_executor_close(e);
	FL_OK(square_map(e, NULL, 0, NULL, NULL));
	FL_RC(square_map(e, &(int){1}, 1, &(int){1}, NULL), -EPIPE);
}

struct place {
	int *counter;
	uint64_t *worker;
	int wanted; /* what the counter is to be, within a chunk; -1: anything */
};

FL_TASK_STATIC(visit, struct place, void)
{
	int before = fl__add_release(arg->counter, 1); /* pairs with counted() */
	*arg->worker = fl_thread_current_id();
	return arg->wanted < 0 || before == arg->wanted ? 0 : -EILSEQ;
}

/* A chunk is one task: its elements run one after the other, in order, on one worker. */
CONFORMANCE(map_runs_a_chunk_as_one)
{
	FL_SCOPED(fl_executor) *e = make(kind, 3);
	enum { CHUNK = 10, CHUNKS = 20 };
	static struct place places[CHUNK * CHUNKS];
	static uint64_t workers[CHUNK * CHUNKS];
	int counters[CHUNKS] = {0};
	for (int i = 0; i < CHUNK * CHUNKS; i++)
		places[i] = (struct place){&counters[i / CHUNK], &workers[i], i % CHUNK};
	FL_OK(visit_map(e, places, CHUNK * CHUNKS, &(fl_map_config){.chunk = CHUNK}));
	for (int i = 0; i < CHUNK * CHUNKS; i++)
		assert_int_equal(workers[i], workers[i / CHUNK * CHUNK]);
	for (int i = 0; i < CHUNKS; i++)
		assert_int_equal(counters[i], CHUNK);
}

FL_TASK_STATIC(fail_if_negative, int, int)
{
	*result = *arg;
	return *arg < 0 ? fail_with.run(ctx, arg, NULL) : 0;
}

CONFORMANCE(map_reports_the_lowest_failure)
{
	FL_SCOPED(fl_executor) *e = make(kind, 3);
	static int args[N], results[N];
	for (int turn = 0; turn < 50; turn++) {
		fl_map_error error = {0};
		number(args, N);
		args[300 + turn] = -EIO;
		args[301 + turn] = -EBADF;
		args[700] = -EPERM;
		args[N - 1] = -EPERM;
		fl_map_config config = {.chunk = (size_t)turn, .error = &error};
		FL_RC(fail_if_negative_map(e, args, N, results, &config), FL_ETASK);
		assert_int_equal(error.index, 300 + turn);
		FL_RC(error.error, -EIO);
		assert_string_equal(error.message, "error -5");
		for (int i = 0; i < 300 + turn; i++)
			assert_int_equal(results[i], i); /* those before it were run */
	}
	FL_RC(fail_if_negative_map(e, args, N, results, NULL), FL_ETASK);
}

/* Elements that fail in an order of our choice: a failure is known when its worker has gone on to the next task. */
struct stage {
	fl_event started, known;
};

struct act {
	struct stage *stage;
	fl_event *wait_for, *start; /* NULL: none */
	bool tell;                  /* that its failure is known, once it is */
	int error;
};

FL_TASK_STATIC(set_known, struct stage *, void)
{
	fl_event_set(&(*arg)->known);
	return 0;
}

FL_TASK_STATIC(play, struct act, void)
{
	if (arg->start)
		fl_event_set(arg->start);
	if (arg->wait_for)
		FL_CHECK(fl_event_wait_until(arg->wait_for, FL_FOREVER, FL_SHIELDED) == 0);
	if (arg->tell)
		FL_CHECK(set_known_submit(fl_executor_current(), arg->stage, NULL) == 0);
	return arg->error;
}

CONFORMANCE(map_reports_the_lowest_failure_if_it_comes_first)
{
	FL_SCOPED(fl_executor) *e = make(kind, 2);
	struct stage s = {FL_EVENT_INIT, FL_EVENT_INIT};
	const struct act acts[] = {
	    {.stage = &s, .wait_for = is_concurrent(e) ? &s.started : NULL, .tell = true, .error = -EIO},
	    {.stage = &s, .start = &s.started, .wait_for = &s.known, .error = -EBADF},
	};
	fl_map_error error = {0};
	FL_RC(play_map(e, acts, 2, &(fl_map_config){.chunk = 1, .error = &error}), FL_ETASK);
	assert_int_equal(error.index, 0);
	FL_RC(error.error, -EIO);
}

CONFORMANCE(map_reports_the_lowest_failure_if_it_comes_last)
{
	FL_SCOPED(fl_executor) *e = make(kind, 2);
	struct stage s = {FL_EVENT_INIT, FL_EVENT_INIT};
	const struct act acts[] = {
	    {.stage = &s, .wait_for = is_concurrent(e) ? &s.known : NULL},
	    {.stage = &s, .error = -EIO}, /* is run, though another has failed */
	    {.stage = &s, .tell = true, .error = -EBADF},
	    {.stage = &s, .error = -EBADF},
	};
	fl_map_error error = {0};
	FL_RC(play_map(e, acts, 4, &(fl_map_config){.chunk = 2, .error = &error}), FL_ETASK);
	assert_int_equal(error.index, 1);
	FL_RC(error.error, -EIO);
}

/* CPython #155852: a task's own timeout was taken for the map's. */
CONFORMANCE(map_tells_a_tasks_timeout_from_its_own)
{
	FL_SCOPED(fl_executor) *e = make(kind, 2);
	static const int errors[] = {-ETIMEDOUT, -ECANCELED, -EPIPE, -ENOTRECOVERABLE};
	for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
		fl_map_error error = {0};
		fl_map_config config = {.deadline = fl_after(FL_S(60)), .error = &error};
		FL_RC(fail_with_map(e, (int[]){errors[i]}, 1, (int[1]){0}, &config), FL_ETASK);
		FL_RC(error.error, errors[i]);
	}
}

/* Counts; and, where told so, requests a token, or waits until the task is asked to stop. */
struct step {
	int *runs;
	fl_cancel *request;
	bool wait;
};

FL_TASK_STATIC(take_step, struct step, int)
{
	count(arg->runs);
	if (arg->request)
		fl_cancel_request(arg->request);
	while (arg->wait && !fl_task_cancelled(ctx))
		if (fl_sleep(FL_S(100)) != 0)
			return -ECANCELED;
	*result = 5;
	return 0;
}

CONFORMANCE(map_deadline_in_the_past_runs_nothing)
{
	FL_SCOPED(fl_executor) *e = make(kind, 1);
	int runs = 0, results[10] = {0};
	struct step steps[10];
	for (int i = 0; i < 10; i++)
		steps[i] = (struct step){.runs = &runs};
	FL_RC(take_step_map(e, steps, 10, results, &(fl_map_config){.deadline = 1}), -ETIMEDOUT);
	assert_int_equal(counted(&runs), 0);
	fl_cancel requested = FL_CANCEL_INIT;
	fl_cancel_request(&requested);
	FL_RC(take_step_map(e, steps, 10, results, &(fl_map_config){.cancel = &requested}), -ECANCELED);
	{
		FL_CANCEL_SCOPE(&requested);
		FL_RC(take_step_map(e, steps, 10, results, NULL), -ECANCELED);
	}
	assert_int_equal(counted(&runs), 0);
	FL_OK(take_step_map(e, steps, 10, results, NULL));
	assert_int_equal(counted(&runs), 10);
}

CONFORMANCE(map_deadline_stops_what_is_left)
{
	FL_SCOPED(fl_executor) *e = make(kind, 1);
	int runs = 0, results[10] = {0};
	struct step steps[10];
	for (int i = 0; i < 10; i++)
		steps[i] = (struct step){.runs = &runs, .wait = i == 4};
	fl_map_config config = {.chunk = 3, .deadline = fl_after(FL_MS(300))};
	FL_RC(take_step_map(e, steps, 10, results, &config), -ETIMEDOUT);
	assert_true(counted(&runs) <= 5); /* 5, on a machine that is not slow */
	for (int i = 0; i < counted(&runs) - 1; i++)
		assert_int_equal(results[i], 5); /* the results of those that ended are there */
}

CONFORMANCE(map_cancel_stops_what_is_left)
{
	FL_SCOPED(fl_executor) *e = make(kind, 1);
	int runs = 0, results[10] = {0};
	struct step steps[10];
	fl_cancel stop = FL_CANCEL_INIT;
	for (int i = 0; i < 10; i++)
		steps[i] = (struct step){.runs = &runs, .request = i == 4 ? &stop : NULL};
	FL_RC(take_step_map(e, steps, 10, results, &(fl_map_config){.chunk = 3, .cancel = &stop}), -ECANCELED);
	fl_cancel_destroy(&stop); /* nothing refers to it any more */
	assert_int_equal(counted(&runs), 5);
	for (int i = 0; i < 10; i++)
		assert_int_equal(results[i], i < 5 ? 5 : 0);
}

FL_TASK_STATIC(cancel_executor, int, int)
{
	if (*arg == 4)
		*result = (int)fl_executor_cancel(fl_executor_current());
	return 0;
}

CONFORMANCE(map_on_a_cancelled_executor)
{
	FL_SCOPED(fl_executor) *e = make(kind, 1);
	int args[10], results[10];
	number(args, 10);
	FL_RC(cancel_executor_map(e, args, 10, results, &(fl_map_config){.chunk = 1}), -ECANCELED);
	FL_RC(cancel_executor_map(e, args, 10, results, NULL), -EPIPE);
}

FL_TASK_STATIC(fail_to_start, void, void)
{
	return -ENOENT;
}

CONFORMANCE(map_on_a_broken_executor)
{
	FL_SCOPED(fl_executor) *e = NULL;
	int args[10], results[10];
	number(args, 10);
	if (kind->create(&e, &(fl_executor_config){.workers = 2, .initialize = &fail_to_start}) != 0)
		return; /* breaks at once */
	FL_RC(square_map(e, args, 10, results, NULL), -ENOTRECOVERABLE);
	FL_RC(square_map(e, args, 10, results, NULL), -ENOTRECOVERABLE);
}

CONFORMANCE(map_leaves_the_arguments_to_the_caller)
{
	FL_SCOPED(fl_executor) *e = make(kind, 2);
	struct tally tally = {0}, *args[20], *results[20];
	for (int i = 0; i < 20; i++)
		args[i] = &tally;
	FL_OK(tallied_map(e, args, 20, results, NULL));
	assert_int_equal(counted(&tally.runs), 20);
	assert_int_equal(counted(&tally.drops), 0);
	assert_int_equal(counted(&tally.result_drops), 0);
}

/* A map that is done does not wait for workers that others keep busy. */
CONFORMANCE(map_needs_one_worker)
{
	FL_SCOPED(fl_executor) *e = make(kind, 2);
	static int args[N], results[N];
	struct gate gate = GATE_INIT;
	fl_future *held = is_concurrent(e) ? close_gate(e, &gate) : NULL;
	number(args, N);
	FL_OK(square_map(e, args, N, results, NULL));
	expect_squares(results, N);
	if (held)
		open_gate(&gate, held);
}

/* FL_CAP_NESTED */

struct depth {
	fl_executor *e;
	int left;
};

FL_TASK_STATIC(descend, struct depth, int)
{
	FL_SCOPED(fl_future) *f = NULL;
	if (fl_executor_current() != arg->e)
		return -EXDEV;
	if (arg->left == 0)
		return 0;
	int rc = descend_submit(arg->e, (struct depth){arg->e, arg->left - 1}, &f);
	if (rc == 0)
		rc = descend_get_until(f, result, fl_after(FL_S(60)), NULL);
	*result += 1;
	return rc;
}

CONFORMANCE(nested_submit_and_wait_needs_no_free_worker)
{
	FL_SCOPED(fl_executor) *e = make(kind, 1);
	FL_SCOPED(fl_future) *f = NULL;
	int depth = 0;
	assert_null(fl_executor_current());
	FL_OK(descend_submit(e, (struct depth){e, 200}, &f));
	FL_OK(descend_get(f, &depth));
	assert_int_equal(depth, 200);
	assert_null(fl_executor_current());
}

FL_TASK_STATIC(fibonacci, struct depth, int)
{
	if (arg->left < 2) {
		*result = arg->left;
		return 0;
	}
	FL_SCOPED(fl_future) *f = NULL, *g = NULL;
	int one = 0, other = 0;
	int rc = fibonacci_submit(arg->e, (struct depth){arg->e, arg->left - 1}, &f);
	if (rc == 0)
		rc = fibonacci_submit(arg->e, (struct depth){arg->e, arg->left - 2}, &g);
	if (rc == 0)
		rc = fibonacci_get(f, &one);
	if (rc == 0)
		rc = fibonacci_get(g, &other);
	*result = one + other;
	return rc;
}

CONFORMANCE(nested_tree)
{
	for (unsigned workers = 1; workers <= 4; workers++) {
		FL_SCOPED(fl_executor) *e = make(kind, workers);
		FL_SCOPED(fl_future) *f = NULL;
		int result = 0;
		FL_OK(fibonacci_submit(e, (struct depth){e, 15}, &f));
		FL_OK(fibonacci_get(f, &result));
		assert_int_equal(result, 610);
	}
}

FL_TASK_STATIC(map_squares, fl_executor *, int)
{
	int args[100], results[100];
	number(args, 100);
	int rc = square_map(*arg, args, 100, results, NULL);
	for (int i = 0; i < 100; i++)
		*result += results[i];
	return rc;
}

CONFORMANCE(nested_map)
{
	for (unsigned workers = 1; workers <= 3; workers++) {
		FL_SCOPED(fl_executor) *e = make(kind, workers);
		fl_executor *args[10];
		int results[10];
		for (int i = 0; i < 10; i++)
			args[i] = e;
		FL_OK(map_squares_map(e, args, 10, results, &(fl_map_config){.chunk = 1}));
		for (int i = 0; i < 10; i++)
			assert_int_equal(results[i], 328350);
	}
}

/* A wait that would not block must not run a task either. */
FL_TASK_STATIC(poll_nested, struct tally *, void)
{
	fl_executor *e = fl_executor_current();
	FL_SCOPED(fl_future) *f = NULL;
	fl_cancel requested = FL_CANCEL_INIT;
	fl_cancel_request(&requested);
	int rc = tallied_submit(e, *arg, &f);
	if (rc != 0 || !is_concurrent(e))
		return rc;
	FL_CHECK(fl_future_try_wait(f) == -EAGAIN);
	FL_CHECK(fl_future_wait_until(f, 0, NULL) == -ETIMEDOUT);
	FL_CHECK(fl_future_wait_until(f, FL_FOREVER, &requested) == -ECANCELED);
	FL_CHECK(counted(&(*arg)->runs) == 0);
	return fl_future_wait(f);
}

CONFORMANCE(nested_poll_runs_nothing)
{
	FL_SCOPED(fl_executor) *e = make(kind, 1);
	FL_SCOPED(fl_future) *f = NULL;
	struct tally tally = {0};
	FL_OK(poll_nested_submit(e, &tally, &f));
	FL_OK(poll_nested_get(f));
	assert_int_equal(counted(&tally.runs), 1);
	assert_int_equal(counted(&tally.drops), 1);
}
