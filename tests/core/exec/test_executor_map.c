/* SPDX-License-Identifier: BSD-2-Clause */
/* The contract of map, for every kind of executor. */
#include "conformance.h"

enum { N = 1000 };

CONFORMANCE_ON(map_keeps_the_order, 3)
{
	static int args[N], results[N];
	static const size_t chunks[] = {0, 1, 2, 7, 24, N - 1, N, N + 1, SIZE_MAX};
	static const size_t lengths[] = {1, 2, 23, 24, 25, 48, N};
	fl_test_number(args, N);
	FL_EACH (c, chunks)
		FL_EACH (l, lengths) {
			memset(results, 0xff, sizeof results);
			FL_OK(square_map(e, args, lengths[l], results, &(fl_map_config){.chunk = chunks[c]}));
			expect_squares(results, (int)lengths[l]);
			if (lengths[l] < N)
				assert_int_equal(results[lengths[l]], -1); /* and nothing beyond */
		}
	FL_OK(square_map(e, args, N, results, NULL));
	expect_squares(results, N);
}

CONFORMANCE_ON(map_of_nothing, 2)
{
	fl_map_error error = {.index = 77};
	FL_OK(square_map(e, NULL, 0, NULL, NULL));
	FL_OK(square_map(e, NULL, 0, NULL, &(fl_map_config){.deadline = FL_NO_WAIT, .error = &error}));
	assert_int_equal(error.index, 77);
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
	*arg->worker = worker_id();
	return arg->wanted < 0 || before == arg->wanted ? 0 : -EILSEQ;
}

/* A chunk is one task: its elements run one after another, in order, on one worker. */
CONFORMANCE_ON(map_runs_a_chunk_as_one, 3)
{
	enum { CHUNK = 10, CHUNKS = 20 };
	static struct place places[CHUNK * CHUNKS];
	uint64_t *workers = FL_IN_ARENA(uint64_t, CHUNK * CHUNKS);
	int *counters = FL_IN_ARENA(int, CHUNKS);
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

CONFORMANCE_ON(map_reports_the_lowest_failure, 3)
{
	static int args[N], results[N];
	for (int turn = 0; turn < 50; turn++) {
		fl_map_error error = {0};
		fl_test_number(args, N);
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

/* A thread that acts for a task which runs in another process and cannot act itself. */
struct aide {
	fl_executor *e;
	fl_shm_event *asked;
	int (*help)(struct aide *aide);
	void *arg;
	fl_thread *thread;
};

static int run_aide(void *arg)
{
	struct aide *aide = arg;
	await_event(aide->asked);
	return aide->help(aide);
}

static void aide_begin(struct aide *aide)
{
	fl_test_go(&aide->thread, run_aide, aide);
}

/* If there was no request yet, it is made now. */
static void aide_end(struct aide *aide)
{
	set_event(aide->asked);
	fl_test_end(aide->thread);
}

/*
 * Elements that fail in a chosen order: a failure is known when its worker has begun the next task.
 */
struct stage {
	fl_shm_event started, failing, known;
};

struct act {
	struct stage *stage;
	fl_shm_event *wait_for, *start; /* NULL: none */
	bool tell;                      /* that its failure is known, once it is */
	int error;
};

FL_TASK_STATIC(set_known, struct stage *, void)
{
	set_event(&(*arg)->known);
	return 0;
}

static int submit_set_known(struct aide *aide)
{
	return set_known_submit(aide->e, aide->arg, NULL);
}

FL_TASK_STATIC(play, struct act, void)
{
	if (arg->start)
		set_event(arg->start);
	if (arg->wait_for)
		await_event(arg->wait_for);
	if (arg->tell)
		set_event(&arg->stage->failing);
	return arg->error;
}

/*
 * All workers are busy with elements: the worker that reports an element runs what the aide has
 * submitted. The map reports the element `failed`, which fails with -EIO.
 */
static void play_and_fail(fl_executor *e, const struct act *acts, size_t n, size_t chunk, size_t failed)
{
	struct stage *stage = acts->stage;
	struct aide aide = {.e = e, .asked = &stage->failing, .help = submit_set_known, .arg = stage};
	fl_map_error error = {0};
	aide_begin(&aide);
	FL_RC(play_map(e, acts, n, &(fl_map_config){.chunk = chunk, .error = &error}), FL_ETASK);
	aide_end(&aide);
	assert_int_equal(error.index, failed);
	FL_RC(error.error, -EIO);
}

CONFORMANCE_ON(map_reports_the_lowest_failure_if_it_comes_first, 2)
{
	if (kind->serial)
		return; /* two tasks meet */
	struct stage *s = FL_IN_ARENA(struct stage, 1);
	const struct act acts[] = {
	    {.stage = s, .wait_for = is_concurrent(e) ? &s->started : NULL, .tell = true, .error = -EIO},
	    {.stage = s, .start = &s->started, .wait_for = &s->known, .error = -EBADF},
	};
	play_and_fail(e, acts, 2, 1, 0);
}

CONFORMANCE_ON(map_reports_the_lowest_failure_if_it_comes_last, 2)
{
	if (kind->serial)
		return; /* two tasks meet */
	struct stage *s = FL_IN_ARENA(struct stage, 1);
	const struct act acts[] = {
	    {.stage = s, .wait_for = is_concurrent(e) ? &s->known : NULL},
	    {.stage = s, .error = -EIO}, /* is run, though another has failed */
	    {.stage = s, .tell = true, .error = -EBADF},
	    {.stage = s, .error = -EBADF},
	};
	play_and_fail(e, acts, 4, 2, 1);
}

/* Fails with its argument, and a message that is cut like any other. */
FL_TASK_STATIC(fail_at_length, int, int)
{
	return fl_task_fail(ctx, *arg, "%400d", *arg);
}

/* CPython #155852: a task's own timeout was taken for the map's. */
CONFORMANCE_ON(map_tells_a_tasks_timeout_from_its_own, 2)
{
	static const int errors[] = {-ETIMEDOUT, -ECANCELED, -ENOMEM, -EPIPE, -ENOTRECOVERABLE, 5};
	FL_EACH (i, errors) {
		fl_map_error error = {0};
		fl_map_config config = {.deadline = fl_after(FL_S(60)), .error = &error};
		FL_RC(fail_at_length_map(e, &errors[i], 1, (int[1]){0}, &config), FL_ETASK);
		FL_RC(error.error, errors[i]);
		assert_int_equal(error.index, 0);
		assert_int_equal(strlen(error.message), FL_MESSAGE_MAX - 1);
	}
}

/* Counts; and, if told to, waits until the task is asked to stop. */
struct step {
	int *runs;
	bool wait;
};

static bool wait_to_be_asked(const fl_task_ctx *ctx)
{
	while (!fl_task_is_cancelled(ctx))
		if (fl_sleep(FL_S(100)) != 0)
			return true;
	return false;
}

FL_TASK_STATIC(take_step, struct step, int)
{
	count(arg->runs);
	if (arg->wait && wait_to_be_asked(ctx))
		return -ECANCELED;
	*result = 5;
	return 0;
}

static void make_steps(struct step steps[10], int *runs)
{
	for (int i = 0; i < 10; i++)
		steps[i] = (struct step){.runs = runs};
}

CONFORMANCE_ON(map_deadline_in_the_past_runs_nothing, 1)
{
	int *runs = new_counter(), results[10] = {0};
	struct step steps[10];
	make_steps(steps, runs);
	FL_RC(take_step_map(e, steps, 10, results, &(fl_map_config){.deadline = FL_NO_WAIT}), -ETIMEDOUT);
	assert_int_equal(counted(runs), 0);
	FL_RC(take_step_map(e, steps, 10, results, &(fl_map_config){.cancel = fl_test_requested}), -ECANCELED);
	FL_CANCELS_IN_SCOPE(take_step_map(e, steps, 10, results, NULL));
	assert_int_equal(counted(runs), 0);
	{
		FL_CANCEL_SCOPE(fl_test_requested);
		FL_OK(take_step_map(e, steps, 10, results, &(fl_map_config){.cancel = FL_SHIELDED}));
	}
	assert_int_equal(counted(runs), 10);
}

/* What has not started is not waited for, however busy the workers are. */
CONFORMANCE_ON(map_that_never_began_ends_in_time, 1)
{
	FL_SCOPED(fl_cancel_token) timer = FL_CANCEL_TOKEN_INIT;
	int *runs = new_counter(), results[10];
	struct step steps[10];
	if (!is_concurrent(e) || kind->over_ranks) /* there, what was sent has started */
		return;
	fl_cancel_token_init(&timer, FL_SHIELDED, fl_after(FL_MS(3)));
	make_steps(steps, runs);
	struct held held = hold_worker(e);
	FL_RC(take_step_map(e, steps, 10, results, &(fl_map_config){.deadline = fl_after(FL_MS(3))}), -ETIMEDOUT);
	FL_RC(take_step_map(e, steps, 10, results, &(fl_map_config){.cancel = &timer}), -ECANCELED);
	FL_STATE_IS(held.f, FL_RUNNING);
	let_go(&held);
	FL_OK(fl_executor_join(e));
	assert_int_equal(counted(runs), 0);
}

CONFORMANCE_ON(map_deadline_stops_what_is_left, 1)
{
	int *runs = new_counter(), results[10] = {0};
	struct step steps[10];
	make_steps(steps, runs);
	steps[4].wait = true;
	fl_map_config config = {.chunk = 3, .deadline = fl_after(FL_MS(300))};
	FL_RC(take_step_map(e, steps, 10, results, &config), -ETIMEDOUT);
	assert_true(counted(runs) <= 5); /* 5, on a machine that is not slow */
	for (int i = 0; i < counted(runs) - 1; i++)
		assert_int_equal(results[i], 5); /* the results of those that ended are there */
}

static int request_it(struct aide *aide)
{
	fl_cancel_token_request(aide->arg);
	return 0;
}

/* How the element that runs at a cancel ends. */
struct ending {
	int *runs;
	fl_shm_event *ask; /* NULL: another element */
	int error;
};

/* With a process executor: results in a slot, in the arena, and in memory of their own. */
struct medium {
	unsigned char bytes[1000];
};

struct large {
	unsigned char bytes[100000];
};

static int end_as(fl_task_ctx *ctx, const struct ending *how, unsigned char *bytes, size_t size)
{
	count(how->runs);
	memset(bytes, 7, size);
	if (how->ask) {
		set_event(how->ask);
		(void)wait_to_be_asked(ctx);
	}
	return how->error;
}

FL_TASK_STATIC(end_small, struct ending, unsigned char)
{
	return end_as(ctx, arg, result, 1);
}

FL_TASK_STATIC(end_medium, struct ending, struct medium)
{
	return end_as(ctx, arg, result->bytes, sizeof result->bytes);
}

FL_TASK_STATIC(end_large, struct ending, struct large)
{
	fl_task_keep_result(ctx); /* else a process executor does not send what a task that fails has left */
	return end_as(ctx, arg, result->bytes, sizeof result->bytes);
}

/* The element 2 of 4 runs at the cancel. */
static void cancel_map_at_its_third(fl_executor *e, const fl_task_type *type, int error, size_t chunk)
{
	static unsigned char results[4 * sizeof(struct large)];
	fl_cancel_token stop = FL_CANCEL_TOKEN_INIT;
	struct aide aide = {.asked = FL_IN_ARENA(fl_shm_event, 1), .help = request_it, .arg = &stop};
	int *runs = new_counter();
	const struct ending endings[4] = {{runs}, {runs}, {runs, aide.asked, error}, {runs}};
	memset(results, 9, sizeof results);
	aide_begin(&aide);
	const int rc = fl_executor_map(e, type, endings, 4, results, &(fl_map_config){.chunk = chunk, .cancel = &stop});
	if (rc != FL_ETASK || error == 0 || error == -ECANCELED) /* its failure may come first */
		FL_RC(rc, -ECANCELED);
	aide_end(&aide);
	fl_cancel_token_destroy(&stop); /* nothing refers to it any more */
	assert_int_equal(counted(runs), 3);
	for (size_t i = 0; i < 4 * type->result_size; i++)
		assert_int_equal(results[i], i < 3 * type->result_size ? 7 : 9);
}

CONFORMANCE_ON(map_cancelled_keeps_the_result_of_what_ran, 1)
{
	const fl_task_type *const types[] = {&end_small, &end_medium, &end_large};
	static const int errors[] = {0, -ECANCELED, -EIO};
	FL_EACH (t, types)
		FL_EACH (i, errors)
			for (size_t chunk = 1; chunk <= 4; chunk += 3) {
				print_message("%s, %d, chunk %zu\n", types[t]->name, errors[i], chunk);
				cancel_map_at_its_third(e, types[t], errors[i], chunk);
			}
}

/* Cancels its executor; or lets an aide do it, if its own executor is not the one of the submit. */
struct canceller {
	bool cancels;
	fl_shm_event *ask;
};

FL_TASK_STATIC(cancel_executor, struct canceller, int)
{
	if (!arg->cancels)
		return 0;
	if (!arg->ask) {
		*result = (int)fl_executor_cancel(fl_executor_current());
		return 0;
	}
	set_event(arg->ask);
	(void)wait_to_be_asked(ctx);
	return -ECANCELED; /* it may be the only running element: no other would end the map */
}

static int cancel_it(struct aide *aide)
{
	(void)fl_executor_cancel(aide->e);
	return 0;
}

CONFORMANCE_ON(map_on_a_cancelled_executor, 1)
{
	struct aide aide = {.e = e, .asked = FL_IN_ARENA(fl_shm_event, 1), .help = cancel_it};
	struct canceller args[10] = {0};
	int results[10];
	args[4] = (struct canceller){true, is_by_reference(e) ? NULL : aide.asked};
	if (args[4].ask)
		aide_begin(&aide);
	FL_RC(cancel_executor_map(e, args, 10, results, &(fl_map_config){.chunk = 1}), -ECANCELED);
	FL_RC(cancel_executor_map(e, args, 10, results, NULL), -EPIPE);
	if (args[4].ask)
		aide_end(&aide);
}

CONFORMANCE(map_on_a_broken_executor)
{
	FL_SCOPED(fl_executor) *e = NULL;
	int args[10], results[10];
	fl_test_number(args, 10);
	if (kind->create(&e, &(fl_executor_config){.workers = 2, .initialize = &fail_to_start}) != 0)
		return; /* breaks at once */
	FL_RC(square_map(e, args, 10, results, NULL), -ENOTRECOVERABLE);
	FL_RC(square_map(e, args, 10, results, NULL), -ENOTRECOVERABLE);
}

CONFORMANCE_ON(map_leaves_the_arguments_to_the_caller, 2)
{
	struct tally *tally = new_tally(), *args[20], *results[20];
	FL_EACH (i, args)
		args[i] = tally;
	FL_OK(tallied_map(e, args, 20, results, NULL));
	expect_tally(tally, 20, 0);
	expect_result_drops(tally, 0);
}

/* A map that is done does not wait for workers that others keep busy. */
CONFORMANCE_ON(map_needs_one_worker, 2)
{
	if (kind->serial)
		return; /* two tasks meet */
	static int args[N], results[N];
	struct held held = hold_worker(e);
	fl_test_number(args, N);
	FL_OK(square_map(e, args, N, results, NULL));
	expect_squares(results, N);
	let_go(&held);
}
