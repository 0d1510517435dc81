/* SPDX-License-Identifier: BSD-2-Clause */
/* The loop executor where the system refuses: nothing is lost, and nothing leaks. */
#include "fl_seam.h"

#include "loop/poller.h"

/*
 * The number of further stacks with memory: each new one gets its guard. Wrapped before main(), as
 * in fl_seam.h, so that it is not replaced while a loop runs.
 */
enum { PLENTY = 1 << 30 };
static int stacks_left = PLENTY;
static bool no_maps;
static struct fl__sys real_sys;

static int guard(void *memory, size_t size)
{
	/* relaxed, both: numbers by themselves */
	if (fl__add_relaxed(&stacks_left, -1) > 0)
		return real_sys.guard(memory, size);
	fl__add_relaxed(&stacks_left, 1);
	return -ENOMEM;
}

static void *map(size_t size)
{
	return fl__load_relaxed(&no_maps) ? NULL : real_sys.map(size); /* relaxed: as above */
}

__attribute__((constructor)) static void wrap(void)
{
	real_sys = fl__sys;
	fl__sys.guard = guard;
	fl__sys.map = map;
}

static void allow_stacks(int n)
{
	fl__store_relaxed(&stacks_left, n); /* relaxed: as above */
}

FL_TASK_STATIC(square, int, int)
{
	*result = *arg * *arg;
	return 0;
}

static void expect_square(fl_executor *e)
{
	int result = 0;
	FL_OK(fl_test_run_task(e, &square, &(int){7}, &result));
	assert_int_equal(result, 49);
}

/* Making one. */

FL_TEST(loop_executor_create_refuses_what_is_senseless)
{
	fl_executor *e = NULL;
	FL_RC(fl_loop_executor_create(&e, &(fl_executor_config){.workers = FL_LOOP_EXECUTOR_MAX + 1}), -EINVAL);
	FL_RC(fl_loop_executor_create(&e, &(fl_executor_config){.workers = UINT32_MAX}), -EINVAL);
	FL_RC(fl_loop_executor_create(&e, &(fl_executor_config){.initialize = &square}), -EINVAL);
	FL_RC(fl_loop_executor_create(&e, &(fl_executor_config){.n_regions = FL_REGIONS_MAX + 1}), -EINVAL);
	assert_null(e);
}

static fl_loop *somewhere;

static int create_on(fl_executor **e, const fl_executor_config *config)
{
	return fl_loop_executor_create_on(e, somewhere, config);
}

static void run_out_of_memory(fl_test_create *create)
{
	fl_executor *e = NULL;
	for (unsigned step = 0; e == NULL; step++) {
		assert_true(step < 20);
		long before = seam_live_allocs();
		seam_fail_allocs(step, 1);
		int rc = create(&e, &(fl_executor_config){.workers = 3});
		bool struck = seam_heal() == 0;
		FL_RC(rc, struck ? -ENOMEM : 0);
		assert_true(!struck || (e == NULL && seam_live_allocs() == before));
	}
	fl_executor_free(e);
}

FL_TEST(loop_executor_create_without_memory)
{
	long before = seam_live_allocs();
	run_out_of_memory(fl_loop_executor_create);
	fl_executor *e = fl_test_executor(fl_loop_executor_create, NULL); /* the results of the others do not matter */
	fl_executor_free(e);
	assert_int_equal(seam_live_allocs(), before);
	e = NULL;
	allow_stacks(0);
	FL_RC(fl_loop_executor_create(&e, NULL), -ENOMEM);
	allow_stacks(PLENTY);
	assert_null(e);
	assert_int_equal(seam_live_allocs(), before);
}

FL_TEST(loop_executor_create_on_without_memory)
{
	long before = seam_live_allocs();
	fl_executor *e = NULL;
	FL_OK(fl_loop_create(&somewhere, NULL));
	allow_stacks(0); /* for the executor's main fiber */
	FL_RC(fl_loop_executor_create_on(&e, somewhere, NULL), -ENOMEM);
	allow_stacks(PLENTY);
	assert_null(e);
	run_out_of_memory(create_on);
	fl_loop_free(somewhere);
	assert_int_equal(seam_live_allocs(), before);
}

static int refused;

static int refuse(void)
{
	return refused;
}

FL_TEST(loop_executor_create_without_descriptors)
{
	static const int errors[] = {-EMFILE, -ENFILE, -ENOMEM};
	const struct fl__poller_sys real = fl__poller_sys;
	fl_executor *e = NULL;
	long before = seam_live_allocs();
	FL_EACH (i, errors) {
		refused = errors[i];
		fl__poller_sys.create = refuse;
		int rc = fl_loop_executor_create(&e, NULL);
		fl__poller_sys = real;
		FL_RC(rc, errors[i]);
		fl__poller_sys.bell = refuse;
		rc = fl_loop_executor_create(&e, NULL);
		fl__poller_sys = real;
		FL_RC(rc, errors[i]);
	}
	assert_null(e);
	assert_int_equal(seam_live_allocs(), before);
}

/* The first submit starts the thread. */
FL_TEST(loop_executor_submit_without_a_thread)
{
	fl_future *f = NULL;
	fl_executor *e = fl_test_executor(fl_loop_executor_create, NULL);
	seam_fail_threads(0, 1);
	FL_RC(square_submit(e, 1, &f), -EAGAIN);
	FL_OK(seam_heal());
	seam_fail_allocs(0, 1); /* what a thread needs */
	FL_RC(square_submit(e, 1, &f), -ENOMEM);
	FL_OK(seam_heal());
	assert_null(f);
	expect_square(e);
	fl_executor_free(e);

	e = fl_test_executor(fl_loop_executor_create, NULL);
	seam_fail_threads(0, 1);
	FL_RC(square_submit(e, 1, &f), -EAGAIN);
	FL_OK(seam_heal());
	fl_executor_free(e); /* it has never had one */
}

static void expect_no_memory(fl_executor *e)
{
	for (int round = 0; round < 3; round++) {
		FL_SCOPED(fl_future) *f = FL_SUBMITTED(square, e, 1);
		FL_RC(square_get(f, &(int){0}), FL_ETASK);
		FL_RC(fl_future_error(f), -ENOMEM);
		fl_test_contains(fl_future_message(f), "memory");
	}
	assert_false(fl_executor_is_broken(e));
}

FL_TEST(loop_executor_thread_without_memory_for_its_loop)
{
	FL_SCOPED(fl_executor) *e = NULL, *closed = NULL, *other = NULL;
	e = fl_test_executor(fl_loop_executor_create, NULL);
	closed = fl_test_executor(fl_loop_executor_create, NULL);
	allow_stacks(0);
	expect_no_memory(e);
	expect_no_memory(closed);
	FL_OK(fl_executor_join(closed));
	allow_stacks(PLENTY);
	expect_square(e);
#if !FL_TEST_SANITIZED /* which give each thread a stack for signals */
	other = fl_test_executor(fl_loop_executor_create, NULL);
	fl__store_relaxed(&no_maps, true); /* relaxed: as above */
	expect_no_memory(other);
	fl__store_relaxed(&no_maps, false); /* relaxed: as above */
	expect_square(other);
#endif
}

/* Tasks without a stack. */

FL_TASK_STATIC(who_runs, void, uint64_t)
{
	*result = fl_thread_current_id();
	return fl_sleep(FL_US(10));
}

/* Not a single one beyond the executor's first: that one runs them, one after another. */
FL_TEST(loop_executor_runs_tasks_without_a_stack_for_them)
{
	enum { TASKS = 20 };
	fl_future *f[TASKS];
	uint64_t ran_on[TASKS];
	FL_SCOPED(fl_executor) *e = fl_test_executor(fl_loop_executor_create, NULL);
	allow_stacks(1);
	FL_EACH (i, f)
		FL_OK(who_runs_submit(e, &f[i]));
	FL_EACH (i, f) {
		FL_OK(who_runs_get(f[i], &ran_on[i]));
		assert_true(ran_on[i] == ran_on[0]);
		fl_future_free(f[i]);
	}
	allow_stacks(PLENTY);
	FL_OK(who_runs_submit(e, &f[0]));
	FL_OK(who_runs_get(f[0], &ran_on[1]));
	assert_true(ran_on[1] != ran_on[0]); /* it has one now */
	fl_future_free(f[0]);
}

FL_TASK_STATIC(note_who_initializes, uint64_t *, void)
{
	FL_CHECK(**arg == 0);
	**arg = fl_thread_current_id();
	return fl_sleep(FL_US(10));
}

FL_TEST(loop_executor_runs_its_initializer_without_a_stack_for_it)
{
	uint64_t initialized_on = 0, *place = &initialized_on, ran_on = 0;
	FL_SCOPED(fl_executor) *e =
	    FL_TEST_EXECUTOR(loop, .initialize = &note_who_initializes, .initialize_arg = &place);
	allow_stacks(1);
	FL_OK(fl_test_run_task(e, &who_runs, NULL, &ran_on));
	allow_stacks(PLENTY);
	assert_true(ran_on != 0 && initialized_on == ran_on);
}

struct gauge {
	int now, most;
};

FL_TASK_STATIC(pass_gauge, struct gauge *, void)
{
	struct gauge *gauge = *arg;
	if (++gauge->now > gauge->most)
		gauge->most = gauge->now;
	for (int i = 0; i < 5; i++)
		fl_fiber_yield();
	gauge->now--;
	return 0;
}

FL_TEST(loop_executor_runs_as_many_as_there_are_stacks)
{
	enum { STACKS = 3 };
	struct gauge gauge = {0, 0};
	fl_executor *e = fl_test_executor(fl_loop_executor_create, NULL);
	allow_stacks(1 + STACKS);
	for (int i = 0; i < 50; i++)
		FL_OK(pass_gauge_submit(e, &gauge, NULL));
	fl_executor_free(e);
	allow_stacks(PLENTY);
	assert_int_equal(gauge.now, 0);
	/* The first may have gone to the executor's own. */
	FL_IN_RANGE(gauge.most, 1, STACKS + 1);
}

FL_TASK_STATIC(descend, int, int)
{
	FL_SCOPED(fl_future) *f = NULL;
	if (*arg == 0)
		return 0;
	int rc = descend_submit(fl_executor_current(), *arg - 1, &f);
	if (rc == 0)
		rc = descend_get(f, result);
	++*result;
	return rc;
}

FL_TASK_STATIC(descend_by_groups, int, int)
{
	FL_SCOPED(fl_group) g = FL_GROUP_INIT(fl_executor_current());
	int below[2] = {0, 0};
	if (*arg == 0)
		return 0;
	FL_OK(descend_by_groups_group_submit(&g, *arg - 1, &below[0]));
	FL_OK(descend_by_groups_group_submit(&g, 0, &below[1]));
	FL_OK(descend_submit(fl_executor_current(), 0, NULL)); /* no member */
	FL_OK(fl_group_join(&g));
	*result = below[0] + 1;
	return 0;
}

/* The waiter runs it, as workers of other kinds do. */
FL_TEST(loop_executor_nests_without_stacks)
{
	const fl_task_type *const types[] = {&descend, &descend_by_groups};
	for (int stacks = 1; stacks < 4; stacks++)
		FL_EACH (i, types) {
			FL_SCOPED(fl_executor) *e = NULL;
			int depth = 0;
			e = FL_TEST_EXECUTOR(loop, .workers = 1);
			allow_stacks(stacks);
			FL_OK(fl_test_run_task(e, types[i], &(int){10}, &depth));
			allow_stacks(PLENTY);
			assert_int_equal(depth, 10);
		}
}
