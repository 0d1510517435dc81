/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Large arguments and results when the system refuses: that task fails with the reason, others do
 * not, and nothing is left behind.
 */
#include "fl_process_pool_faults.h"
#include "fl_process_pool_sizes.h"

enum { K64 = 64 << 10, MIB = 1 << 20 };

PROCESS_POOL_SIZED(large, 2 * MIB, 8, 2 * MIB, 8);
PROCESS_POOL_SIZED(large_in, 2 * MIB, 8, 8, 8);
PROCESS_POOL_SIZED(large_out, 8, 8, 2 * MIB, 8);
PROCESS_POOL_SIZED(middle, K64, 8, K64, 8);

/*
 * Waits; returns whether the task failed. A failure must have that error (0: any), and no other
 * task was affected.
 */
static bool failed(fl_future *f, const fl_task_type *type, uint64_t seed, int error)
{
	FL_OK(fl_future_wait(f));
	if (fl_future_error(f) == 0) {
		process_pool_receive(f, type, seed);
		return false;
	}
	if (error != 0)
		FL_RC(fl_future_error(f), error);
	assert_true(strlen(fl_future_message(f)) > 0);
	assert_null(fl_future_result(f));
	fl_future_free(f);
	return true;
}

/* The same, but the submit may fail for want of memory: NULL. */
static fl_future *try_send(fl_executor *e, const fl_task_type *type, uint64_t seed)
{
	fl_future *f = NULL;
	void *arg = process_pool_bytes(type->arg_size, seed);
	int rc = fl_executor_submit(e, type, arg, &f);
	FL_RC(rc, rc == 0 ? 0 : -ENOMEM);
	free(arg);
	return f;
}

/*
 * One fault at each call for a large task: other tasks, before and behind it, succeed; the task
 * succeeds, or fails with the reason.
 */
static int fault_under_way(int call, int role, int skip)
{
	FL_SCOPED(fl_executor) *e = process_pool_with(1);
	process_pool_works(e);
	process_pool_fail(call, role, skip, 1, call == PROCESS_POOL_FILL ? -ENOSPC : -ENOMEM);
	fl_future *before_it = try_send(e, &middle, 1), *it = try_send(e, &large, 2);
	fl_future *behind_it = try_send(e, &middle, 3);
	if (before_it)
		process_pool_receive(before_it, &middle, 1);
	if (behind_it)
		process_pool_receive(behind_it, &middle, 3);
	if (!it || failed(it, &large, 2, 0))
		print_message("%s, %d: cost the task\n", process_pool_call_names[call], skip);
	const int struck = process_pool_heal();
	assert_true(struck > 0 || (before_it && it && behind_it));
	process_pool_receive(process_pool_send(e, &large, 4), &large, 4);
	return struck;
}

FL_TEST(process_pool_large_with_a_fault_here)
{
	process_pool_sweep(PROCESS_POOL_HERE, fault_under_way);
}

FL_TEST(process_pool_large_with_a_fault_in_the_worker)
{
	process_pool_sweep(PROCESS_POOL_IN_WORKER, fault_under_way);
}

/* No more descriptors, where a large result arrives, and where a large argument is sent. */
PROCESS_POOL_TEST(process_pool_large_without_descriptors, 1)
{
	process_pool_works(e);
	for (int i = 0; i < 3; i++) {
		rlim_t limit = fl_test_limit_fds(0);
		fl_future *out = process_pool_send(e, &large_out, 5), *small = NULL;
		int nine = 0;
		FL_OK(process_pool_square_submit(e, 3, &small));
		bool out_failed = failed(out, &large_out, 5, -EMFILE);
		fl_future *in = process_pool_send(e, &large_in, 6);
		bool in_failed = failed(in, &large_in, 6, -EMFILE);
		FL_OK(process_pool_square_get(small, &nine));
		fl_test_unlimit_fds(limit);
		assert_true(out_failed && in_failed);
		assert_int_equal(nine, 9);
		fl_future_free(small);
		process_pool_receive(process_pool_send(e, &large, 7), &large, 7);
	}
}

/* Above the limit on files the system would send SIGXFSZ, by which a process dies. */
PROCESS_POOL_TEST(process_pool_large_above_the_limit_on_files, 1)
{
	process_pool_works(e);
	fl_future *f = NULL;
	const rlim_t before = fl_test_limit(RLIMIT_FSIZE, MIB);
	void *arg = process_pool_bytes(2 * MIB, 8);
	int rc = fl_executor_submit(e, &large_in, arg, &f);
	bool has_failed = rc == 0 && failed(f, &large_in, 8, -EFBIG);
	(void)fl_test_limit(RLIMIT_FSIZE, before);
	FL_OK(rc);
	assert_true(has_failed);
	free(arg);
	process_pool_receive(process_pool_send(e, &large_in, 9), &large_in, 9);
}

/* The limit forbids the memory of a worker. */
FL_TEST(process_pool_workers_above_the_limit_on_files)
{
	static const rlim_t limits[] = {0, 4096};
	FL_EACH (i, limits) {
		FL_SCOPED(fl_executor) *e = process_pool_with(1);
		fl_future *f = NULL;
		int error = 0;
		const rlim_t before = fl_test_limit(RLIMIT_FSIZE, limits[i]);
		int rc = process_pool_square_submit(e, 3, &f);
		if (rc == 0)
			error = fl_future_wait(f);
		(void)fl_test_limit(RLIMIT_FSIZE, before);
		FL_OK(error);
		FL_CHECK(rc < 0 || fl_future_error(f) < 0);
		fl_future_free(f);
	}
}

/* In the worker: a task has set a limit of its process. */
struct lower {
	int resource;
	rlim_t to;
};

FL_TASK(process_pool_lowers_a_limit, struct lower, void)
{
	(void)fl_test_limit(arg->resource, arg->to);
	return 0;
}

FL_TEST(process_pool_large_with_limits_in_the_worker)
{
	static const struct {
		struct lower lower;
		int error;
	} ways[] = {{{RLIMIT_FSIZE, MIB}, -EFBIG}, {{RLIMIT_NOFILE, 3}, -EMFILE}, {{RLIMIT_AS, MIB}, -ENOMEM}};
	for (size_t i = 0; i < (FL_TEST_SANITIZED || !fl_test_memory_is_limited() ? 2 : 3);
	     i++) { /* sanitizers need far more memory */
		FL_SCOPED(fl_executor) *e = FL_TEST_EXECUTOR(process, .workers = 1, .max_tasks = 5);
		process_pool_call(e, &process_pool_lowers_a_limit, &ways[i].lower, NULL);
		assert_true(failed(process_pool_send(e, &large_out, 1), &large_out, 1, ways[i].error));
		for (int j = 0; j < 3; j++)
			process_pool_works(e); /* the same worker */
		/* The next. */
		process_pool_receive(process_pool_send(e, &large_out, 1), &large_out, 1);
	}
}

/* Addresses run out here. */
FL_TEST(process_pool_large_result_without_room)
{
	if (FL_TEST_SANITIZED || !fl_test_memory_is_limited())
		FL_SKIP(FL_TEST_MEMORY_REASON);
	FL_SCOPED(fl_executor) *e = process_pool_with(1);
	struct process_pool_gate *gate = process_pool_gate();
	fl_future *held = process_pool_hold(e, gate), *f = process_pool_send(e, &large_out, 3);
	const rlim_t before = fl_test_limit(RLIMIT_AS, MIB);
	process_pool_open(gate);
	bool has_failed = failed(f, &large_out, 3, -ENOMEM);
	(void)fl_test_limit(RLIMIT_AS, before);
	assert_true(has_failed);
	process_pool_let_go(gate, held);
	process_pool_receive(process_pool_send(e, &large_out, 4), &large_out, 4);
}
