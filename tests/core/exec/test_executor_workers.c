/* SPDX-License-Identifier: BSD-2-Clause */
/* The contract of an executor's workers, and its edge cases, for every kind. */
#include "conformance.h"
#include "core/exec/registry.h"
#include "fl_child.h"
#include <spawn.h>

static int lazy_workers(void)
{
	struct roll roll = workers_called("lazy");
	assert_true(roll.highest < 3);
	return roll.all;
}

/* Of `n` tasks that hold their worker, how many have started. */
static int holding(struct gate *gates, int n)
{
	int started = 0;
	for (int i = 0; i < n; i++)
		started += fl_shm_event_is_set(&gates[i].entered);
	return started;
}

/* One of them may be queued behind another: so all at once. */
static void open_all(struct gate *gates, int n)
{
	for (int i = 0; i < n; i++)
		set_event(&gates[i].open);
}

CONFORMANCE(workers_start_when_needed_and_are_named)
{
	FL_SCOPED(fl_executor) *e = make_of(kind, &(fl_executor_config){.workers = 3, .name = "lazy"});
	assert_int_equal(lazy_workers(), 0);
	FL_OK(square_submit(e, 1, NULL));
	if (!is_concurrent(e) || kind->over_ranks)
		return;
	FL_WAIT_FOR(lazy_workers() > 0); /* a submit does not wait for a process to start */
	assert_int_equal(lazy_workers(), 1);
	struct gate *gate = FL_IN_ARENA(struct gate, 5);
	for (int i = 0; i < 5; i++)
		FL_OK(hold_submit(e, &gate[i], NULL));
	FL_WAIT_FOR(holding(gate, 5) == (int)at_once(kind, 3)); /* which, a kind may choose */
	/* A drain of a serial executor may come before the last one's worker looks for a task. */
	const int least = kind->one_thread ? 1 : 3, most = kind->one_thread && !kind->serial ? 1 : 3;
	assert_in_range(lazy_workers(), least, most);
	open_all(gate, 5);
	FL_OK(fl_executor_join(e));
	assert_in_range(lazy_workers(), kind->serial, kind->serial ? most : 0);
}

static char last_log[256];

FL_TEST_LOG_HANDLER(keep_last_log)
{
	(void)snprintf(last_log, sizeof last_log, "%s", message);
}

CONFORMANCE(workers_above_the_limit_are_logged)
{
	fl_executor *e = NULL;
	char expected[64];
	if (kind->workers_at_most == 0)
		return;
	FL_NEEDS(kind->needs);
	(void)snprintf(expected, sizeof expected, ": 4294967295 workers (-1 as an int) are above the limit of %u",
	               kind->workers_at_most);
	last_log[0] = '\0';
	fl_log_handler *before = fl_log_set_handler(keep_last_log);
	const int rc = kind->create(&e, &(fl_executor_config){.workers = (unsigned)-1});
	(void)fl_log_set_handler(before);
	FL_RC(rc, -EINVAL);
	assert_null(e);
	assert_memory_equal(last_log, "fl_", 3);
	fl_test_contains(last_log, expected);
}

/* Also when all were submitted before there was more than one worker. */
CONFORMANCE_ABLE(workers_are_all_busy_while_there_are_tasks, 5, FL_CAP_CONCURRENT)
{
	enum { WORKERS = 5, TASKS = 24 };
	struct gate *gate = FL_IN_ARENA(struct gate, TASKS);
	for (int i = 0; i < TASKS; i++)
		FL_OK(hold_submit(e, &gate[i], NULL));
	FL_WAIT_FOR(holding(gate, TASKS) == (int)at_once(kind, WORKERS));
	open_all(gate, TASKS);
	FL_OK(fl_executor_join(e));
	assert_int_equal(holding(gate, TASKS), TASKS);
}

FL_TASK_STATIC(thread_name_is, char, void)
{
	char expected[32];
	(void)snprintf(expected, sizeof expected, "n-%c", *arg);
	return strcmp(fl_thread_current_name(), expected);
}

CONFORMANCE(task_sees_its_workers_name)
{
	FL_SCOPED(fl_executor) *e = make_of(kind, &(fl_executor_config){.workers = 1, .name = "n"});
	/* Without its own threads: the caller's. */
	assert_int_equal(fl_test_run_task(e, &thread_name_is, "0", NULL) == 0, is_concurrent(e));
}

FL_TASK_STATIC(which_are_blocked, void, uint32_t)
{
	sigset_t set;
	FL_OK(pthread_sigmask(SIG_SETMASK, NULL, &set));
	for (int s = 1; s < 32; s++)
		*result |= sigismember(&set, s) == 1 ? 1u << s : 0;
	return 0;
}

CONFORMANCE(workers_block_what_the_creator_blocks)
{
	sigset_t mine, before;
	sigemptyset(&mine);
	sigaddset(&mine, SIGUSR2);
	sigaddset(&mine, SIGSEGV);
	sigaddset(&mine, SIGSYS);
	FL_OK(pthread_sigmask(SIG_SETMASK, &mine, &before));
	FL_SCOPED(fl_executor) *e = make(kind, 1);
	FL_OK(pthread_sigmask(SIG_SETMASK, &before, NULL));
	uint32_t blocked;
	FL_OK(fl_test_run_task(e, &which_are_blocked, NULL, &blocked));
	if (!kind->over_ranks)
		assert_int_equal(blocked, is_concurrent(e) ? 1u << SIGUSR2 : 0);
}

FL_TASK_STATIC(ends_a_program, void, int)
{
	char name[] = "sleep", time[] = "60", *const argv[] = {name, time, NULL};
	int pid, status;
	FL_OK(posix_spawnp(&pid, name, NULL, NULL, argv, environ));
	FL_CHECK(kill(pid, SIGTERM) == 0 && waitpid(pid, &status, 0) == pid);
	*result = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	return 0;
}

/* swift-corelibs-foundation #4772, poco #3398, dramatiq #465 */
CONFORMANCE_ON(child_of_a_task_ends_by_sigterm, 1)
{
	if (kind->over_ranks)
		return;
	assert_int_equal(fl_test_result_of(e, &ends_a_program, NULL), SIGTERM);
}

struct init {
	int calls, error;
	uint64_t creator; /* the worker_id() of the executor's creator */
	fl_shm_event entered, open;
};

FL_TASK_STATIC(initialize, struct init *, void)
{
	struct init *init = *arg;
	count(&init->calls);
	set_event(&init->entered);
	if (init->error != 0 && worker_id() != init->creator)
		await_event(&init->open);
	return init->error ? fl_task_fail(ctx, init->error, "no brushes") : 0;
}

FL_TASK_STATIC(initializer_calls, struct init *, int)
{
	*result = counted(&(*arg)->calls);
	return 0;
}

CONFORMANCE(initializer_runs_before_the_first_task)
{
	struct init *init = FL_IN_ARENA(struct init, 1);
	fl_executor_config config = {.workers = 1, .initialize = &initialize, .initialize_arg = &init};
	FL_SCOPED(fl_executor) *e = make_of(kind, &config);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(fl_test_result_of(e, &initializer_calls, &init), 1);
	}
}

FL_TASK_STATIC(initialize_until_stopped, struct init *, void)
{
	struct init *init = *arg;
	count(&init->calls);
	set_event(&init->entered);
	if (worker_id() == init->creator)
		return 0; /* of a create that runs it */
	const int rc = fl_shm_event_wait(&init->open);
	FL_CHECK(rc == 0 || (rc == -ECANCELED && fl_task_is_cancelled(ctx)));
	return rc;
}

/*
 * livekit/agents #5868, wool #319: a cancel did not reach an initializer that waited, and so the
 * join waited for it.
 */
CONFORMANCE(initializer_is_stopped_by_a_cancel)
{
	size_t (*const stops[])(fl_executor *) = {fl_executor_cancel, fl_executor_cancel_pending};
	FL_EACH (i, stops) {
		struct init *init = FL_IN_ARENA(struct init, 1);
		struct tally *tally = new_tally();
		const fl_executor_config config = {
		    .workers = 1, .initialize = &initialize_until_stopped, .initialize_arg = &init};
		init->creator = worker_id();
		fl_executor *e = make_of(kind, &config);
		fl_future *f = NULL;
		if (is_concurrent(e)) {
			FL_OK(tallied_submit(e, tally, &f));
			await_event(&init->entered);
		}
		(void)stops[i](e);
		if (i > 0)
			set_event(&init->open); /* it was left alone */
		FL_OK(fl_executor_join(e));
		assert_false(fl_executor_is_broken(e));
		FL_RC(tallied_submit(e, tally, NULL), -EPIPE);
		/* what was sent to a rank counts as started */
		const bool runs = f && i > 0 && kind->over_ranks;
		if (f) {
			fl_test_future_ends(f, runs ? 0 : -ECANCELED, NULL);
			FL_STATE_IS(f, runs ? FL_DONE : FL_CANCELLED);
			fl_future_free(f);
		}
		assert_int_equal(counted(&init->calls), 1);
		expect_tally(tally, runs, f != NULL);
		fl_executor_free(e);
	}
}

/* No other call could stop it: nobody has the executor yet. */
FL_TEST(executor_sequential_initializer_is_stopped_by_the_scope_of_the_create)
{
	fl_executor *e = NULL;
	fl_timeout t = FL_TIMEOUT_INIT;
	fl_cancel_token stop = FL_CANCEL_TOKEN_INIT;
	struct init *init = FL_IN_ARENA(struct init, 1);
	const fl_executor_config config = {.initialize = &initialize_until_stopped, .initialize_arg = &init};
	fl_timeout_begin(&t, fl_after(FL_MS(1)));
	FL_RC(fl_timeout_end(&t, fl_sequential_executor_create(&e, &config)), -ETIMEDOUT);
	fl_cancel_token_request(&stop);
	fl_cancel_token *before = fl_cancel_scope_set(&stop);
	FL_RC(fl_sequential_executor_create(&e, &config), -ECANCELED);
	(void)fl_cancel_scope_set(before);
	assert_int_equal(counted(&init->calls), 2);
	assert_null(e);
}

struct given {
	int initialized, dropped, error;
};

static void give_back(void *arg)
{
	struct given *given = *(struct given **)arg;
	FL_CHECK(!fl_cancel_scope_current());
	count(&given->dropped);
}

FL_TASK_STATIC(begin_with, struct given *, void, .drop_arg = give_back)
{
	count(&(*arg)->initialized);
	return (*arg)->error;
}

/* Once, whether its workers have run it, had no task, or were replaced. */
CONFORMANCE(initializer_argument_is_dropped_once_by_the_free)
{
	for (int tasks = 0; tasks < 3; tasks++) {
		struct given *given = FL_IN_ARENA(struct given, 1);
		const fl_executor_config config = {
		    .workers = 2, .initialize = &begin_with, .initialize_arg = &given, .max_tasks = 1};
		fl_executor *e = make_of(kind, &config);
		for (int i = 0; i < tasks; i++)
			FL_OK(square_submit(e, i, NULL));
		FL_OK(fl_executor_join(e));
		assert_int_equal(counted(&given->dropped), 0);
		assert_true(counted(&given->initialized) > 0 || (is_concurrent(e) && tasks == 0));
		fl_cancel_token token = FL_CANCEL_TOKEN_INIT;
		FL_CANCEL_SCOPE(&token);
		fl_executor_free(e);
		assert_int_equal(counted(&given->dropped), 1);
	}
}

CONFORMANCE(initializer_argument_is_the_callers_if_the_create_fails)
{
	fl_executor *e = NULL;
	struct given *given = FL_IN_ARENA(struct given, 1);
	fl_executor_config config = {.initialize = &begin_with, .initialize_arg = &given, .workers = UINT32_MAX};
	given->error = -EIO; /* fails a create that runs it */
	FL_RC(kind->create(&e, &config), kind->workers_at_most > 0 ? -EINVAL : -EIO);
	assert_null(e);
	assert_int_equal(counted(&given->dropped), 0);
}

CONFORMANCE(failing_initializer_breaks)
{
	FL_SCOPED(fl_executor) *e = NULL;
	struct init *init = FL_IN_ARENA(struct init, 1);
	struct tally *tally = new_tally();
	fl_executor_config config = {.workers = 1, .initialize = &initialize, .initialize_arg = &init};
	init->error = -ENOENT;
	init->creator = worker_id();
	int rc = kind->create(&e, &config);
	if (rc != 0) { /* an executor without workers runs it at once */
		FL_RC(rc, -ENOENT);
		assert_null(e);
		return;
	}
	fl_future *f[3];
	FL_EACH (i, f)
		FL_OK(tallied_submit(e, tally, &f[i]));
	await_event(&init->entered);
	/* Over ranks, what was sent counts as started. */
	FL_STATE_IS(f[0], kind->over_ranks ? FL_RUNNING : FL_PENDING);
	assert_false(fl_executor_is_broken(e));
	set_event(&init->open);
	FL_EACH (i, f) {
		fl_test_future_ends(f[i], -ENOTRECOVERABLE, NULL);
		FL_STATE_IS(f[i], FL_DONE);
		fl_test_contains(fl_future_message(f[i]), "ENOENT");
		fl_test_contains(fl_future_message(f[i]), "no brushes");
		fl_future_free(f[i]);
	}
	assert_true(fl_executor_is_broken(e));
	FL_RC(tallied_submit(e, tally, NULL), -ENOTRECOVERABLE);
	fl_executor_close(e);
	FL_RC(tallied_submit(e, tally, NULL), -ENOTRECOVERABLE);
	FL_OK(fl_executor_join(e));
	assert_true(fl_executor_is_broken(e));
	expect_tally(tally, 0, 3);
	expect_result_drops(tally, 0);
	assert_int_equal(counted(&init->calls), 1);
}

/* Edges. */

/*
 * Two plugins have static tasks of one name, in source files of one name. An executor that passes
 * tasks by name refuses these two tasks, whether it is older than the second plugin or not, and
 * whether it has run the task before or not. All else works.
 */
CONFORMANCE(one_name_for_two_tasks)
{
	static fl_task_type other;
	static fl_task_entry entry = {&other, NULL};
	const fl_task_type *found = NULL;
	FL_SCOPED(fl_executor) *older = make(kind, 2), *younger = NULL;
	assert_int_equal(nine_of(older), 9);
	other = square;
	other.run = fail_with.run;
	fl_task_register(&entry);
	FL_RC(fl__registry_find(square.name, &found), -EEXIST);
	FL_OK(kind->create(&younger, NULL));
	for (int i = 0; i < 2; i++) {
		fl_executor *e = i == 0 ? older : younger;
		fl_future *f = NULL;
		FL_RC(fl_test_run_task(e, &fail_with, &(int){-EIO}, NULL), -EIO);
		if (is_by_reference(e)) {
			assert_int_equal(nine_of(e), 9);
			FL_RC(fl_test_run_task(e, &other, &(int){-EIO}, NULL), -EIO);
		} else {
			FL_RC(square_submit(e, 3, &f), -EEXIST);
			FL_RC(fl_executor_submit(e, &other, &(int){3}, &f), -EEXIST);
			assert_null(f);
		}
	}
	fl_task_unregister(&entry);
	FL_OK(fl__registry_find(square.name, &found));
	assert_ptr_equal(found, &square);
	assert_int_equal(nine_of(older), 9);
	assert_int_equal(nine_of(younger), 9);
}

static const struct conformance_kind *kind_in_child;

struct forked {
	fl_executor *e;
	bool threads; /* the child may have some */
};

static int call_nothing(void *state, size_t from, size_t to)
{
	return from < to && state ? 0 : -EIO;
}

/* Calls that submit nothing in the child: at once, or ever. */
static void submit_nothing_in_child(fl_executor *e)
{
	fl_promise *p = NULL;
	fl_imap *it = NULL;
	fl_future *f = NULL, *next = NULL;
	int value = 0;
	const fl_reduction sum = {.size = sizeof value, .identity = &value};
	FL_OK(fl_promise_create(&p, sizeof(int), NULL, &f));
	FL_RC(fl_future_then(f, e, &square, &next), -EOWNERDEAD);
	FL_RC(fl_executor_map(e, &square, &value, 0, &value, NULL), -EOWNERDEAD);
	FL_RC(fl_imap_create(&it, e, &square, &value, 0, NULL), -EOWNERDEAD);
	FL_RC(fl_parallel_for(e, 1, 1, call_nothing, NULL, NULL), -EOWNERDEAD);
	FL_RC(fl_parallel_reduce(e, 1, 1, &sum, NULL, &value, NULL), -EOWNERDEAD);
	FL_CHECK(!next && !it);
	fl_promise_free(p);
	fl_future_free(f);
}

static void use_in_child(void *arg)
{
	const struct forked *forked = arg;
	submit_nothing_in_child(forked->e);
	FL_RC(square_submit(forked->e, 1, NULL), -EOWNERDEAD);
	FL_RC(fl_executor_join_until(forked->e, FL_NO_WAIT, NULL), -EOWNERDEAD);
	FL_RC(fl_executor_wait_idle_until(forked->e, FL_NO_WAIT, NULL), -EOWNERDEAD);
	FL_RC(square_map(forked->e, &(int){1}, 1, &(int){1}, NULL), -EOWNERDEAD);
	FL_RC(fl_executor_resize(forked->e, 2), -EOWNERDEAD);
	FL_RC(fl_executor_detach(forked->e), -EOWNERDEAD);
	FL_RC(fl_executor_stats(forked->e, &(fl_stats_executor){0}), -EOWNERDEAD);
	FL_RC(fl_executor_type_stats(forked->e, 0, &(fl_stats_type){0}), -EOWNERDEAD);
	FL_PANICS_OF("fl_executor_close", forked->e, fl_executor_close(forked->e));
	FL_PANICS_OF("fl_executor_cancel", forked->e, (void)fl_executor_cancel(forked->e));
	FL_PANICS_OF("fl_executor_cancel_pending", forked->e, (void)fl_executor_cancel_pending(forked->e));
	FL_PANICS_OF("fl_executor_terminate", forked->e, (void)fl_executor_terminate(forked->e));
	FL_PANICS_OF("fl_executor_is_broken", forked->e, (void)fl_executor_is_broken(forked->e));
	fl_executor_free(forked->e); /* does nothing */
	if (!forked->threads)
		return;
	fl_executor *own = NULL;
	if (kind_in_child->over_ranks) {
		FL_CHECK(kind_in_child->create(&own, NULL) == -ENOTSUP);
		return;
	}
	FL_OK(kind_in_child->create(&own, NULL));
	FL_CHECK(nine_of(own) == 9);
	fl_executor_free(own);
}

/*
 * The child would continue in its parent's place: with the next tasks, the next elements, or as a
 * second worker process.
 */
FL_TASK_STATIC(fork_and_return, int, int)
{
	*result = *arg == 0 ? fl_test_fork_in_call() : *arg;
	return 0;
}

CONFORMANCE_ON(forked_child_must_not_return, 1)
{
	assert_int_equal(fl_test_result_of(e, &fork_and_return, &(int){0}), SIGABRT);
	const int args[] = {3, 0, 4, 5};
	int results[4];
	FL_OK(fork_and_return_map(e, args, 4, results, &(fl_map_config){.chunk = 4}));
	assert_int_equal(results[0] + results[2] + results[3], 12);
	assert_int_equal(results[1], SIGABRT);
}

CONFORMANCE(forked_child_is_told)
{
	FL_SCOPED(fl_future) *f = NULL;
	struct given *given = FL_IN_ARENA(struct given, 1);
	const fl_executor_config config = {.workers = 1, .initialize = &begin_with, .initialize_arg = &given};
	FL_SCOPED(fl_executor) *e = make_of(kind, &config);
	struct held held = hold_worker(e);
	if (held.f)
		FL_OK(square_submit(e, 3, &f));
	const bool threads = fl_test_children_have_threads();
	kind_in_child = kind;
	FL_IN_CHILD(use_in_child, &(struct forked){e, threads});
	let_go(&held);
	assert_int_equal(counted(&given->dropped), 0);
	FL_OK(fl_executor_join(e)); /* the parent's is as it was */
	if (f)
		FL_OK(fl_future_get(f, &(int){0}, sizeof(int)));
}
