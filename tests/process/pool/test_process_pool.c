/* SPDX-License-Identifier: BSD-2-Clause */
/* The process executor: making one, its workers, what a task finds there. */
#include "fl_process_pool.h"
#include "fl_seam.h"

#include "core/future/future.h"

/* Making one. */

static int run_nothing(fl_task_ctx *ctx, const void *arg, void *result)
{
	return 0;
}

/* Not registered. */
static const fl_task_type unknown = {.size = sizeof unknown, .name = "process_pool_unknown", .run = run_nothing};

FL_TEST(process_pool_create_refuses_what_makes_no_sense)
{
	static const fl_executor_config senseless[] = {
	    {.workers = FL_WORKERS_MAX + 1},
	    {.max_tasks = -1},
	    {.idle_timeout = -1},
	    {.task_timeout = -1},
	    {.grace_period = -1},
	    {.n_regions = FL_REGIONS_MAX + 1},
	    {.initialize = &process_pool_getpid}, /* has a result */
	};
	fl_executor *e = NULL;
	FL_EACH (i, senseless)
		FL_RC(fl_process_executor_create(&e, &senseless[i]), -EINVAL);
	FL_RC(fl_process_executor_create(&e, &(fl_executor_config){.initialize = &unknown}), -ENOENT);
	assert_null(e);
}

FL_TASK(process_pool_takes_a_number, int, void)
{
	return *arg == 7 ? 0 : -EINVAL;
}

/* The name of another type stands for neither: the initializer travels by its name, as tasks do. */
FL_TEST(process_pool_refuses_what_has_the_name_of_another)
{
	static fl_task_type other;
	static fl_task_entry entry = {&other, NULL};
	const fl_executor_config with_initializer = {.initialize = &process_pool_takes_a_number,
	                                             .initialize_arg = &(int){7}};
	fl_executor *e = NULL;
	fl_future *f = NULL;
	other = process_pool_takes_a_number;
	other.run = run_nothing;
	fl_task_register(&entry);
	FL_RC(fl_process_executor_create(&e, &with_initializer), -EEXIST);
	assert_null(e);
	e = fl_test_executor(fl_process_executor_create, NULL);
	/* fl_process_executor_create() documents this result of a submit. */
	FL_RC(fl_executor_submit(e, &process_pool_takes_a_number, &(int){7}, &f), -EEXIST);
	assert_null(f);
	process_pool_works(e);
	fl_task_unregister(&entry);
	FL_OK(fl_executor_submit(e, &process_pool_takes_a_number, &(int){7}, &f));
	FL_OK(fl_future_wait(f));
	fl_future_free(f);
	fl_executor_free(e);
	e = NULL;
	e = fl_test_executor(fl_process_executor_create, &with_initializer);
	process_pool_works(e);
	fl_executor_free(e);
}

/* A name that stands for two tasks only in the worker: the worker runs neither. */
static void submit_what_a_worker_has_twice(void *unused)
{
	static fl_task_type other;
	static fl_task_entry entry = {&other, NULL};
	int nine = 0, pid = 0;
	other = process_pool_square;
	other.run = run_nothing;
	fl_task_register(&entry);
	FL_OK(fl_process_preload());
	fl_task_unregister(&entry);
	fl_executor *e = fl_test_executor(fl_process_executor_create, NULL);
	fl_future *f = FL_SUBMITTED(process_pool_square, e, 3);
	FL_CHECK(process_pool_square_get(f, &nine) == FL_ETASK && fl_future_error(f) == -ENOENT && nine == 0);
	fl_test_contains(fl_future_message(f), "another has its name");
	fl_future_free(f);
	FL_OK(process_pool_getpid_submit(e, &f));
	FL_CHECK(process_pool_getpid_get(f, &pid) == 0 && pid > 0);
	fl_future_free(f);
	fl_executor_free(e);
}

FL_TEST(process_pool_worker_refuses_what_has_the_name_of_another)
{
	process_needs_fork();
	FL_IN_CHILD(submit_what_a_worker_has_twice, NULL);
}

FL_TEST(process_pool_create_without_memory)
{
	fl_shm *region = NULL;
	fl_executor *e = NULL;
	FL_OK(fl_shm_create(&region, 4096));
	(void)process_pool_begin();
	const int seven = 7;
	const fl_executor_config config = {
	    .initialize = &process_pool_takes_a_number, .initialize_arg = &seven, .regions = &region, .n_regions = 1};
	const long before = seam_live_allocs();
	unsigned skip = 0;
	for (int rc = -ENOMEM; rc != 0; skip++) {
		seam_fail_allocs(skip, 1);
		rc = fl_process_executor_create(&e, &config);
		(void)seam_heal();
		FL_RC(rc, rc == 0 ? 0 : -ENOMEM);
		assert_true(rc == 0 || seam_live_allocs() == before);
	}
	assert_true(skip > 3);
	process_pool_works(e);
	fl_executor_free(e);
	FL_WAIT_FOR(seam_live_allocs() == before);
	fl_shm_free(region);
}

PROCESS_POOL_TEST(process_pool_submit_refuses, 1)
{
	fl_future *f = NULL;
	/* fl_process_executor_create() documents these two results of a submit. */
	FL_RC(fl_executor_submit(e, &unknown, NULL, &f), -ENOENT);
	seam_fail_threads(0, 1);
	FL_RC(fl_executor_submit(e, &process_pool_getpid, NULL, &f), -EAGAIN);
	FL_OK(seam_heal());
	assert_null(f);
	process_pool_works(e);
	/* Known by its address once, that address is another task now: it is looked up anew. */
	static fl_task_type changing;
	changing = process_pool_square;
	int nine = 0;
	FL_OK(fl_executor_submit(e, &changing, &(int){3}, &f));
	FL_OK(fl_future_get(f, &nine, sizeof nine));
	assert_int_equal(nine, 9);
	/* The manager thread has freed its reference, and looks at the type no more. */
	FL_WAIT_FOR(fl__load_acquire(&f->state) / FL__FUTURE_REF == 1);
	fl_future_free(f);
	changing.name = "process_pool_unknown";
	f = NULL;
	FL_RC(fl_executor_submit(e, &changing, &(int){3}, &f), -ENOENT);
	changing = process_pool_square;
	changing.run = run_nothing; /* another task of that name */
	FL_RC(fl_executor_submit(e, &changing, &(int){3}, &f), -ENOENT);
	assert_null(f);
}

/* Workers. */

FL_TEST(process_pool_starts_workers_when_they_are_needed)
{
	enum { WORKERS = 64 };
	PROCESS_POOL_LEAVES_NOTHING();
	FL_SCOPED(fl_executor) *e = process_pool_with(WORKERS);
	fl_future *held[WORKERS];
	struct process_pool_gate *gates = FL_IN_ARENA(struct process_pool_gate, WORKERS);
	int pids[WORKERS + 1] = {0};
	assert_int_equal(fl_process_executor_pids(e, pids, WORKERS), 0);
	const int first = process_pool_pid(e);
	for (int i = 0; i < 20; i++)
		assert_int_equal(process_pool_pid(e), first); /* an idle one is used again */
	assert_int_equal(fl_process_executor_pids(e, pids, 1), 1);
	assert_int_equal(pids[0], first);
	assert_int_not_equal(first, getpid());
	FL_EACH (i, held)
		FL_OK(process_pool_held_submit(e, &gates[i], &held[i]));
	for (int i = 0; i < WORKERS; i++) { /* all at once */
		const int pid = process_pool_await(&gates[i]);
		for (int j = 0; j < i; j++)
			assert_int_not_equal(pid, gates[j].pid);
	}
	assert_int_equal(fl_process_executor_pids(e, pids, WORKERS + 1), WORKERS);
	pids[1] = -1;
	/* More than there is room for. */
	assert_int_equal(fl_process_executor_pids(e, pids, 1), WORKERS);
	assert_int_equal(pids[1], -1);
	FL_SCOPED(fl_future) *more = FL_SUBMITTED(process_pool_square, e, 5);
	FL_EACH (i, held)
		process_pool_let_go(&gates[i], held[i]);
	FL_OK(fl_future_wait(more));
	assert_int_equal(process_pool_size(e), WORKERS);
	FL_OK(fl_executor_join(e));
	assert_int_equal(process_pool_size(e), 0);
	FL_SCOPED(fl_executor) *threads = fl_test_executor(fl_thread_executor_create, NULL);
	assert_int_equal(fl_process_executor_pids(threads, pids, 1), 0); /* of another kind */
}

FL_TEST(process_pool_replaces_a_worker_after_max_tasks)
{
	enum { TASKS = 20, EACH = 3 };
	FL_SCOPED(fl_executor) *e = FL_TEST_EXECUTOR(process, .workers = 1, .max_tasks = EACH);
	int pids[TASKS], seen = 1;
	for (int i = 0; i < TASKS; i++) {
		pids[i] = process_pool_pid(e);
		seen = i > 0 && pids[i] == pids[i - 1] ? seen + 1 : 1;
		assert_true(seen <= EACH);
		if (i > 0 && pids[i] != pids[i - 1])
			assert_int_equal(i % EACH, 0);
	}
}

/* Many at once; those that are cancelled before they start do not count. */
FL_TEST(process_pool_max_tasks_counts_what_has_started)
{
	enum { TASKS = 60, EACH = 4 };
	FL_SCOPED(fl_executor) *e = FL_TEST_EXECUTOR(process, .workers = 1, .max_tasks = EACH);
	struct process_pool_gate *gate = process_pool_gate();
	fl_future *f[TASKS], *held = process_pool_hold(e, gate);
	int *runs = process_pool_counters(1), pid, last = 0, of_it = 1, workers = 0;
	FL_EACH (i, f)
		FL_OK(process_pool_counts_submit(e, runs, &f[i]));
	for (int i = 0; i < TASKS; i += 2)
		FL_OK(fl_future_cancel(f[i]));
	process_pool_let_go(gate, held);
	FL_EACH (i, f) {
		if (i % 2 == 0) {
			process_pool_is_cancelled(f[i]);
			continue;
		}
		FL_OK(process_pool_counts_get(f[i], &pid));
		fl_future_free(f[i]);
		of_it = pid == last ? of_it + 1 : 1;
		workers += pid != last;
		last = pid;
		assert_true(of_it <= EACH);
	}
	assert_int_equal(process_pool_counted(runs), TASKS / 2);
	/* The first worker served the gate, and three; the others four each. */
	assert_int_equal(workers, (TASKS / 2 + 1 + EACH - 1) / EACH);
}

FL_TEST(process_pool_ends_workers_that_are_idle)
{
	FL_SCOPED(fl_executor) *e = FL_TEST_EXECUTOR(process, .workers = 2, .idle_timeout = FL_MS(1));
	struct process_pool_gate *gate = process_pool_gate();
	fl_future *held = process_pool_hold(e, gate);
	const int other = process_pool_pid(e);
	assert_int_not_equal(other, gate->pid);
	FL_WAIT_FOR(process_pool_size(e) == 1); /* not the held one */
	FL_WAIT_FOR(process_pool_is_gone(other));
	assert_false(process_pool_is_gone(gate->pid));
	process_pool_let_go(gate, held);
	FL_WAIT_FOR(process_pool_size(e) == 0);
	for (int i = 0; i < 50; i++)
		process_pool_works(e); /* they come and go under its feet */
	FL_WAIT_FOR(process_pool_size(e) == 0);
	process_pool_works(e);
}
