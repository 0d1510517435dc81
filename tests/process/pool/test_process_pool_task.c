/* SPDX-License-Identifier: BSD-2-Clause */
/* The environment of a task in a worker, and the context of its callbacks and hooks. */
#include "fl_process_pool.h"

/* The process. */

struct found {
	int parent, fds, fd, workers, nested;
	char kind[16];
};

FL_TASK(process_pool_looks_around, void, struct found)
{
	fl_executor *e = fl_executor_current();
	FL_CHECK(e != NULL && strcmp(fl_process_current_name(), fl_thread_current_name()) == 0);
	result->parent = getppid();
	result->fds = (int)fl_process_fd_count();
	result->fd = fl_process_fd(0);
	result->workers = (int)fl_executor_workers(e);
	FL_TEXT(result->kind, "%s", fl_executor_kind(e));
	int pid = 0;
	fl_future *f = FL_SUBMITTED(process_pool_getpid, e);
	FL_CHECK(fl_future_state(f) == FL_DONE); /* it ran at once */
	FL_OK(process_pool_getpid_get(f, &pid));
	fl_future_free(f);
	result->nested = pid;
	return pid == getpid() ? 0 : -EIO;
}

PROCESS_POOL_TEST(process_pool_task_finds_a_process_of_its_own, 1)
{
	struct found found;
	process_pool_call(e, &process_pool_looks_around, NULL, &found);
	assert_int_equal(found.parent, fl__fork_server_pid());
	assert_int_equal(found.fds, 0);
	FL_RC(found.fd, -EBADF);
	assert_int_equal(found.workers, 1);
	assert_string_equal(found.kind, "sequential");
	assert_int_equal(found.nested, process_pool_pid(e));
}

/* As Ctrl-C and the like, which the parent decides about. */
FL_TASK(process_pool_is_signalled, void, int)
{
	const int signals[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGALRM, SIGPIPE, SIGTSTP, SIGRTMIN};
	FL_EACH (i, signals)
		FL_OK(raise(signals[i]));
	*result = getpid();
	return 0;
}

PROCESS_POOL_TEST(process_pool_workers_survive_signals_to_the_group, 1)
{
	int pid;
	process_pool_call(e, &process_pool_is_signalled, NULL, &pid);
	assert_int_equal(pid, process_pool_pid(e));
}

static int calls_here;

FL_TASK(process_pool_counts_calls, void, int)
{
	*result = ++calls_here;
	return 0;
}

FL_TEST(process_pool_globals_are_the_workers)
{
	FL_SCOPED(fl_executor) *e = FL_TEST_EXECUTOR(process, .workers = 1, .max_tasks = 5);
	for (int i = 0; i < 15; i++) {
		int calls;
		process_pool_call(e, &process_pool_counts_calls, NULL, &calls);
		assert_int_equal(calls, i % 5 + 1);
	}
	assert_int_equal(calls_here, 0);
}

FL_TASK_DECLARE(process_pool_goes_deep, int, int)

FL_TASK_DEFINE(process_pool_goes_deep, int, int)
{
	fl_future *f = NULL;
	int rc = process_pool_goes_deep_submit(fl_executor_current(), *arg + 1, &f);
	if (rc != 0) {
		*result = *arg;
		return rc == -EOVERFLOW ? 0 : rc;
	}
	FL_OK(process_pool_goes_deep_get(f, result));
	fl_future_free(f);
	return 0;
}

FL_TEST(process_pool_nested_submits_end_before_the_stack)
{
#ifdef FL__TSAN
	skip(); /* its own record of calls has room for 65,536 of them, and a task takes several */
#endif
	FL_SCOPED(fl_executor) *e = process_pool_with(1);
	for (int i = 0; i < 2; i++) {
		int depth = 0;
		process_pool_call(e, &process_pool_goes_deep, &depth, &depth); /* the innermost has -EOVERFLOW */
		assert_true(depth > 100);
	}
	process_pool_works(e);
}

/* The initializer. */

struct init {
	int calls, fails, pid[8];
};

static struct init *initialized_by;

FL_TASK(process_pool_init, struct init *, void)
{
	const int n = fl__add_relaxed(&(*arg)->calls, 1); /* relaxed: the executor orders it */
	if (n < 8)
		(*arg)->pid[n] = getpid();
	if ((*arg)->fails != 0)
		return fl_task_fail(ctx, (*arg)->fails, "no brushes for %d", 7);
	initialized_by = *arg;
	return 0;
}

FL_TASK(process_pool_is_initialized, struct init *, int)
{
	*result = getpid();
	return initialized_by == *arg ? 0 : -EIO;
}

FL_TEST(process_pool_initializes_each_worker_before_its_first_task)
{
	struct init *init = FL_IN_ARENA(struct init, 1), *copied = init;
	FL_SCOPED(fl_executor) *e = FL_TEST_EXECUTOR(process, .workers = 1, .initialize = &process_pool_init,
	                                             .initialize_arg = &copied, .max_tasks = 2);
	copied = NULL; /* the executor has a copy */
	for (int i = 0; i < 6; i++) {
		int pid;
		process_pool_call(e, &process_pool_is_initialized, &init, &pid);
		assert_int_equal(process_pool_counted(&init->calls), i / 2 + 1);
		assert_int_equal(init->pid[i / 2], pid);
	}
	FL_OK(fl_executor_join(e));
	assert_int_equal(process_pool_counted(&init->calls), 3);
}

/* It fails in a later worker: what runs elsewhere ends well. */
FL_TEST(process_pool_initializer_that_fails_later)
{
	struct init *init = FL_IN_ARENA(struct init, 1);
	FL_SCOPED(fl_executor) *e = FL_TEST_EXECUTOR(process, .workers = 2, .initialize = &process_pool_init,
	                                             .initialize_arg = &(struct init *){init});
	struct process_pool_gate *gate = process_pool_gate();
	fl_future *held = process_pool_hold(e, gate), *f = NULL;
	fl__store_release(&init->fails, -ENOLINK);
	FL_OK(process_pool_square_submit(e, 1, &f));
	FL_OK(fl_future_wait(f));
	FL_RC(fl_future_error(f), -ENOTRECOVERABLE);
	FL_RC(process_pool_square_submit(e, 1, NULL), -ENOTRECOVERABLE);
	process_pool_let_go(gate, held);
	fl_future_free(f);
}

/* Regions. */

/* Descriptors, in a worker. */
FL_TASK(process_pool_frees_own_objects, void, int)
{
	unsigned fds[3];
	FL_EACH (i, fds) { /* the first round also makes what stays */
		fl_executor *e = process_pool_with(1);
		FL_CHECK(process_pool_pid(e) != getpid());
		FL_OK(fl_executor_join(e));
		fl_executor_free(e);
		fds[i] = fl_test_fds();
	}
	*result = (int)fds[2] - (int)fds[0];
	return 0;
}

PROCESS_POOL_TEST(process_pool_task_frees_the_descriptors_of_its_objects, 1)
{
	int more = -1;
	process_pool_call(e, &process_pool_frees_own_objects, NULL, &more);
	assert_int_equal(more, 0);
}

FL_TEST(process_pool_with_as_many_regions_as_can_be)
{
	fl_shm *regions[FL_REGIONS_MAX];
	FL_EACH (i, regions)
		FL_OK(fl_shm_create(&regions[i], 4096));
	fl_executor *e = FL_TEST_EXECUTOR(process, .workers = 2, .regions = regions, .n_regions = FL_REGIONS_MAX);
	process_pool_works(e);
	fl_executor_free(e);
	FL_EACH (i, regions)
		fl_shm_free(regions[i]);
}

/* Callbacks and hooks. */

static uint64_t called_on, dropped_on;
static int calls, drops, result_drops;

static void note_call(fl_future *f, void *arg)
{
	FL_OK(fl_future_try_wait(f));
	fl__store_relaxed(&called_on, fl_thread_current_id()); /* relaxed: the count publishes it */
	process_pool_count(arg);
}

static void note_drop(void *arg)
{
	/* Relaxed: the count publishes it. */
	fl__store_relaxed(&dropped_on, fl_thread_current_id());
	process_pool_count(&drops);
}

static void note_result_drop(void *result)
{
	process_pool_count(&result_drops);
}

FL_TASK(process_pool_drops, int, int, .drop_arg = note_drop, .drop_result = note_result_drop)
{
	*result = *arg;
	return *arg < 0 ? *arg : 0;
}

PROCESS_POOL_TEST(process_pool_callbacks_run_on_a_thread_of_the_executor, 1)
{
	struct process_pool_gate *gate = process_pool_gate();
	fl_future *f = NULL, *held = process_pool_hold(e, gate);
	const fl_submit_config config = {.on_end = note_call, .on_end_arg = &calls};
	calls = drops = result_drops = 0;
	FL_OK(process_pool_drops_submit_with(e, 1, &f, &config));
	FL_OK(fl_future_on_end(f, note_call, &calls));
	process_pool_let_go(gate, held);
	FL_OK(fl_future_wait(f)); /* fetches it, and leaves the callbacks to others */
	FL_WAIT_FOR(process_pool_counted(&calls) == 2);
	assert_int_not_equal(fl__load_relaxed(&called_on), fl_thread_current_id());
	assert_int_not_equal(fl__load_relaxed(&dropped_on), fl_thread_current_id());
	assert_int_equal(process_pool_counted(&drops), 1);
	FL_OK(fl_future_on_end(f, note_call, &calls)); /* it has ended: here */
	assert_int_equal(fl__load_relaxed(&called_on), fl_thread_current_id());
	assert_int_equal(process_pool_counted(&result_drops), 0); /* there is ours */
	fl_future_free(f);
	FL_WAIT_FOR(process_pool_counted(&result_drops) ==
	            1); /* the executor's reference may be later than its callbacks */
	/* The canceller runs them. */
	gate = process_pool_gate();
	held = process_pool_hold(e, gate);
	calls = drops = 0;
	FL_OK(process_pool_drops_submit_with(e, 1, &f, &config));
	FL_OK(fl_future_cancel(f));
	assert_int_equal(process_pool_counted(&calls), 1);
	assert_int_equal(process_pool_counted(&drops), 1);
	assert_int_equal(fl__load_relaxed(&called_on), fl_thread_current_id());
	assert_int_equal(fl__load_relaxed(&dropped_on), fl_thread_current_id());
	fl_future_free(f);
	process_pool_let_go(gate, held);
}

/* Registers or unregisters the type that a plugin has, in the process that calls it. */
static const fl_task_type *process_pool_have_plugin(bool loaded)
{
	static fl_task_type type;
	static fl_task_entry entry = {&type, NULL};
	if (loaded) {
		type = process_pool_square;
		type.name = "process_pool_plugin";
		fl_task_register(&entry);
	} else {
		fl_task_unregister(&entry);
	}
	return &type;
}

FL_TASK(process_pool_loads, bool, void)
{
	(void)process_pool_have_plugin(*arg);
	return 0;
}

static int process_pool_in_worker(fl_executor *e, bool loaded)
{
	FL_SCOPED(fl_future) *f = FL_SUBMITTED(process_pool_loads, e, loaded);
	return process_pool_loads_get(f);
}

FL_TEST(process_pool_worker_forgets_types_of_an_unloaded_plugin)
{
	fl_executor *e = process_pool_with(1);
	const fl_task_type *type = process_pool_have_plugin(true);
	for (int i = 0; i < 6; i++) {
		const bool loaded = i % 2;
		FL_SCOPED(fl_future) *f = NULL;
		int nine = 0;
		FL_OK(process_pool_in_worker(e, loaded));
		FL_OK(fl_executor_submit(e, type, &(int){3}, &f));
		FL_RC(fl_future_get(f, &nine, sizeof nine), loaded ? 0 : FL_ETASK);
		FL_RC(fl_future_error(f), loaded ? 0 : -ENOENT);
		assert_int_equal(nine, loaded ? 9 : 0);
	}
	fl_executor_free(e); /* no task of the type is under way behind it */
	(void)process_pool_have_plugin(false);
}
