/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `memory_max`: workers that are replaced after a task, and tasks that are ended with their
 * workers. Limits stand above what a new worker has. With a sanitizer, a worker's memory grows by
 * more than what its tasks take.
 */
#include "fl_in_loop.h"
#include "fl_process_pool.h"

#include "process/pool/process_pool.h"
#include <sys/mman.h>

enum { MIB = 1 << 20 };

static const char too_large[] = "was killed: its task had passed twice the limit memory_max";

static void take_memory(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	FL_CHECK(memory != MAP_FAILED);
	memset(memory, 1, size);
}

/* A worker looks at its memory after a task, but not twice in 2 ms. */
static void outlast_a_look(fl_time began)
{
	while (fl_now().ns < began.ns + FL_MS(2))
		sched_yield();
}

FL_TASK(process_pool_memory, void, uint64_t)
{
	*result = fl__process_memory(getpid());
	return 0;
}

static void needs_memory_of_tasks_alone(void)
{
	if (FL_TEST_SANITIZED || !fl_test_memory_is_limited())
		FL_SKIP("the memory of the sanitizer or emulator counts, too");
}

/* Returns what a new worker has. */
static size_t own_memory(void)
{
	FL_SCOPED(fl_executor) *e = process_pool_with(1);
	uint64_t own = 0;
	process_pool_call(e, &process_pool_memory, NULL, &own);
	FL_CHECK(own > 0);
	return (size_t)own;
}

static fl_executor *limited(unsigned workers, size_t above_own)
{
	return FL_TEST_EXECUTOR(process, .workers = workers, .memory_max = own_memory() + above_own);
}

struct leak {
	int *runs;
	size_t bytes;
};

struct leaked {
	int pid;
	uint64_t memory;
};

FL_TASK(process_pool_leaks, struct leak, struct leaked)
{
	const fl_time began = fl_now();
	process_pool_count(arg->runs);
	take_memory(arg->bytes);
	if (arg->bytes > MIB)
		outlast_a_look(began);
	*result = (struct leaked){getpid(), fl__process_memory(getpid())};
	return 0;
}

/* Of the worker before it, only the replacement and the end overlap. */
FL_TEST(process_pool_memory_of_leaking_tasks_is_bounded)
{
	needs_memory_of_tasks_alone();
	enum { TASKS = 1000, LIMIT = 64 * MIB };
	PROCESS_POOL_LEAVES_NOTHING();
	const size_t limit = own_memory() + LIMIT;
	FL_SCOPED(fl_executor) *e = FL_TEST_EXECUTOR(process, .workers = 1, .memory_max = limit);
	int *runs = process_pool_counters(1), workers = 0, last = 0;
	static fl_future *f[TASKS];
	FL_EACH (i, f)
		FL_OK(process_pool_leaks_submit(e, (struct leak){runs, MIB}, &f[i]));
	FL_EACH (i, f) {
		struct leaked had;
		FL_OK(process_pool_leaks_get(f[i], &had));
		assert_true(had.memory < 2 * limit);
		workers += had.pid != last;
		last = had.pid;
		fl_future_free(f[i]);
	}
	assert_int_equal(process_pool_counted(runs), TASKS);
	assert_true(workers > TASKS / (2 * LIMIT / MIB));
}

/* The library would choose larger chunks, and so does the caller. */
FL_TEST(process_pool_memory_in_maps)
{
	needs_memory_of_tasks_alone();
	enum { TASKS = 300 };
	FL_SCOPED(fl_executor) *e = limited(1, 40 * MIB);
	int *runs = process_pool_counters(1);
	static struct leak leaks[TASKS];
	static struct leaked had[TASKS];
	FL_EACH (i, leaks)
		leaks[i] = (struct leak){runs, MIB};
	FL_OK(process_pool_leaks_map(e, leaks, TASKS, had, NULL));
	FL_OK(process_pool_leaks_map(e, leaks, TASKS, had, &(fl_map_config){.chunk = TASKS}));
	assert_int_equal(process_pool_counted(runs), 2 * TASKS);
	assert_int_not_equal(had[0].pid, had[TASKS - 1].pid);
}

FL_TASK(process_pool_leaks_at_a_gate, struct process_pool_gate *, int)
{
	process_pool_enter(*arg);
	FL_OK(fl_shm_event_wait_until(&(*arg)->open, FL_FOREVER, FL_SHIELDED));
	const fl_time began = fl_now();
	take_memory(20 * MIB);
	outlast_a_look(began);
	*result = getpid();
	return 0;
}

/* Each task behind it was posted to the worker, and runs in the next one. */
static void worker_is_replaced_before_the_next_task(void)
{
	FL_SCOPED(fl_executor) *e = limited(1, 16 * MIB);
	for (int round = 0; round < 3; round++) {
		struct process_pool_gate *gate = process_pool_gate();
		int *runs = process_pool_counters(20), pid = 0, first = 0;
		fl_future *f[20], *leaks = FL_SUBMITTED(process_pool_leaks_at_a_gate, e, gate);
		const int old = process_pool_await(gate);
		PROCESS_POOL_COUNT_ALL(e, runs, f);
		process_pool_open(gate);
		FL_EACH (i, f) {
			FL_OK(process_pool_counts_get(f[i], &pid));
			FL_CHECK(process_pool_counted(&runs[i]) == 1);
			first = i == 0 ? pid : first;
			FL_CHECK(pid != old && pid == first);
			fl_future_free(f[i]);
		}
		FL_OK(process_pool_leaks_at_a_gate_get(leaks, &pid));
		FL_CHECK(pid == old);
		fl_future_free(leaks);
	}
}

FL_TEST(process_pool_memory_worker_is_replaced_before_the_next_task)
{
	needs_memory_of_tasks_alone();
	worker_is_replaced_before_the_next_task();
}

/* No thread fetches completions: the manager hears of it. */
FL_TEST(process_pool_memory_worker_is_replaced_while_a_fiber_waits)
{
	needs_memory_of_tasks_alone();
	fl_test_body_in_loop(worker_is_replaced_before_the_next_task);
}

/* Takes memory without end; but if it is not ended, it stops before it harms the machine. */
FL_TASK(process_pool_devours, struct process_pool_gate *, int, .max_attempts = 3)
{
	const uint64_t harmful = fl__process_memory(getpid()) * 2 + (uint64_t)128 * MIB;
	process_pool_enter(*arg);
	while (fl__process_memory(getpid()) < harmful)
		take_memory(MIB / 4);
	fl_test_rest();
}

/* Not before it has twice the limit, and alone: a task of another worker runs on. */
FL_TEST(process_pool_memory_ends_a_task_alone)
{
	needs_memory_of_tasks_alone();
	PROCESS_POOL_LEAVES_NOTHING();
	FL_SCOPED(fl_executor) *e = limited(2, 16 * MIB);
	struct process_pool_gate *other = process_pool_gate(), *gate = process_pool_gate();
	int *runs = process_pool_counters(24);
	fl_future *held = process_pool_hold(e, other), *f[24];
	fl_future *devours = FL_SUBMITTED(process_pool_devours, e, gate);
	PROCESS_POOL_COUNT_ALL(e, runs, f);
	/* fl_executor_config documents this error of a task. */
	process_pool_fails(devours, -ENOMEM, too_large);
	assert_int_equal(process_pool_counted(&gate->runs), 1);
	fl_test_futures_end(f, 24);
	FL_EACH (i, f)
		assert_int_equal(process_pool_counted(&runs[i]), 1);
	assert_false(process_pool_ended(held));
	process_pool_let_go(other, held);
	assert_int_equal(process_pool_counted(&other->runs), 1);
}

/* More than the limit and less than twice as much is no reason to end a task. */
FL_TEST(process_pool_memory_between_the_limits)
{
	needs_memory_of_tasks_alone();
	FL_SCOPED(fl_executor) *e = limited(1, 16 * MIB);
	int *runs = process_pool_counters(1);
	struct leaked had[2];
	for (int i = 0; i < 2; i++)
		process_pool_call(e, &process_pool_leaks, &(struct leak){runs, 20 * MIB}, &had[i]);
	assert_int_equal(process_pool_counted(runs), 2);
	assert_int_not_equal(had[0].pid, had[1].pid);
}

/* Failed starts, which the executor gives up. */
FL_TEST(process_pool_memory_below_a_workers_own)
{
	PROCESS_POOL_LEAVES_NOTHING();
	FL_SCOPED(fl_executor) *e = FL_TEST_EXECUTOR(process, .workers = 1, .memory_max = 1);
	fl_stats_executor stats;
	process_pool_fails(FL_SUBMITTED(process_pool_square, e, 3), -EOWNERDEAD,
	                   "it has more than memory_max before its first task");
	FL_OK(fl_executor_stats(e, &stats));
	assert_int_equal(stats.workers_started, 10);
}

FL_TASK(process_pool_takes_memory_first, size_t, void)
{
	take_memory(*arg);
	return 0;
}

FL_TEST(process_pool_memory_below_that_of_an_initializer)
{
	needs_memory_of_tasks_alone();
	PROCESS_POOL_LEAVES_NOTHING();
	FL_SCOPED(fl_executor) *e =
	    FL_TEST_EXECUTOR(process, .workers = 1, .memory_max = own_memory() + (size_t)8 * MIB,
	                     .initialize = &process_pool_takes_memory_first, .initialize_arg = &(size_t){12 * MIB});
	process_pool_fails(FL_SUBMITTED(process_pool_square, e, 3), -ENOTRECOVERABLE,
	                   "the worker then has more than memory_max");
}

/* An initializer may take as much as the limit; and a limit may be as large as it likes. */
FL_TEST(process_pool_memory_limits_that_bind_nobody)
{
	needs_memory_of_tasks_alone();
	FL_SCOPED(fl_executor) *prepared =
	    FL_TEST_EXECUTOR(process, .workers = 1, .memory_max = own_memory() + (size_t)24 * MIB,
	                     .initialize = &process_pool_takes_memory_first, .initialize_arg = &(size_t){8 * MIB});
	FL_SCOPED(fl_executor) *e = FL_TEST_EXECUTOR(process, .workers = 1, .memory_max = SIZE_MAX);
	for (int i = 0; i < 3; i++) {
		process_pool_works(prepared);
		process_pool_works(e);
	}
}

static uint64_t memory_is_unknown(int pid)
{
	return 0;
}

FL_TEST(process_pool_memory_needs_proc)
{
	fl_executor *e = NULL;
	PROCESS_LOG();
	uint64_t (*const real)(int pid) = fl__process_pool_sys.memory;
	fl__process_pool_sys.memory = memory_is_unknown;
	FL_RC(fl_process_executor_create(&e, &(fl_executor_config){.memory_max = 64 * MIB}), -ENOTSUP);
	fl__process_pool_sys.memory = real;
	assert_null(e);
	process_log_has("memory_max needs /proc");
}

FL_TEST(process_pool_memory_is_refused_by_other_kinds)
{
	static const fl_executor_config config = {.memory_max = 64 * MIB};
	FL_SCOPED(fl_executor) *threads = FL_TEST_EXECUTOR(thread, .workers = 1);
	fl_executor *e = NULL;
	FL_RC(fl_sequential_executor_create(&e, &config), -EINVAL);
	FL_RC(fl_thread_executor_create(&e, &config), -EINVAL);
	FL_RC(fl_loop_executor_create(&e, &config), -EINVAL);
	FL_RC(fl_serial_executor_create(&e, threads, &config), -EINVAL);
	assert_null(e);
}
