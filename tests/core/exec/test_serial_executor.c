/* SPDX-License-Identifier: BSD-2-Clause */
/* What is special about a serial executor; test_executor_*.c have what holds for every kind. */
#include "fl_child.h"
#include "fl_faults.h"

static fl_executor *over(fl_executor *target)
{
	fl_executor *e = NULL;
	FL_OK(fl_serial_executor_create(&e, target, NULL));
	return e;
}

static fl_executor *threads(unsigned workers)
{
	return fl_test_executor(fl_thread_executor_create, &(fl_executor_config){.workers = workers});
}

/* Tasks that see each other, and their order for each submitter. */
enum { SUBMITTERS = 3, EACH = 2000 };

struct line {
	int inside;
	int next[SUBMITTERS];
};

struct step {
	struct line *line;
	int submitter, number;
};

FL_TASK_STATIC(take_step, struct step, void)
{
	struct line *l = arg->line;
	if (fl__add_relaxed(&l->inside, 1) != 0)
		return fl_task_fail(ctx, -EBUSY, "two tasks run at once");
	const int expected = l->next[arg->submitter]++; /* plain: a race is an error of the executor */
	if (arg->number % 100 == 0)
		sched_yield();
	fl__sub_relaxed(&l->inside, 1);
	return arg->number == expected ? 0 : fl_task_fail(ctx, -EILSEQ, "%d ran as %d", arg->number, expected);
}

struct submitter {
	fl_executor *e;
	struct line *line;
	int number;
};

static int submit_steps(void *arg)
{
	const struct submitter *s = arg;
	FL_SCOPED(fl_group) g = FL_GROUP_INIT(s->e);
	for (int i = 0; i < EACH; i++)
		FL_OK(take_step_group_submit(&g, (struct step){s->line, s->number, i}));
	return fl_group_join(&g);
}

static void submit_from_threads(fl_executor *e)
{
	struct line line = {0};
	struct submitter s[SUBMITTERS];
	fl_thread *t[SUBMITTERS];
	FL_EACH (i, s) {
		s[i] = (struct submitter){e, &line, (int)i};
		fl_test_go(&t[i], submit_steps, &s[i]);
	}
	FL_EACH (i, s)
		fl_test_end(t[i]);
	FL_EACH (i, s)
		assert_int_equal(line.next[i], EACH);
	fl_executor_free(e);
}

FL_TEST(serial_runs_one_task_at_a_time_in_order)
{
	FL_SCOPED(fl_executor) *pool = threads(3), *calls = fl_test_executor(fl_sequential_executor_create, NULL);
	submit_from_threads(over(pool));
	submit_from_threads(over(calls));
}

FL_TEST(serial_over_a_loop_runs_one_task_at_a_time_in_order)
{
	FL_NEEDS(FL_TEST_EVENTFD);
	FL_SCOPED(fl_executor) *loop = fl_test_executor(fl_loop_executor_create, NULL);
	submit_from_threads(over(loop));
}

/* The tasks of both exclude each other. */
FL_TEST(serial_over_a_serial_executor)
{
	FL_SCOPED(fl_executor) *pool = threads(3);
	fl_executor *outer = over(pool), *inner = over(outer);
	struct line line = {0};
	fl_thread *t[2];
	struct submitter s[2] = {{outer, &line, 0}, {inner, &line, 1}};
	FL_EACH (i, s)
		fl_test_go(&t[i], submit_steps, &s[i]);
	FL_EACH (i, s)
		fl_test_end(t[i]);
	assert_int_equal(line.next[0], EACH);
	assert_int_equal(line.next[1], EACH);
	fl_executor_free(inner);
	fl_executor_free(outer);
}

FL_TASK_STATIC(set_it, fl_event *, void)
{
	fl_event_set(*arg);
	return 0;
}

FL_TASK_STATIC(wait_for_it, fl_event *, void)
{
	return fl_event_wait(*arg);
}

/* Of 1,000 serial executors that have no task, none has the only worker. */
FL_TEST(serial_holds_no_thread_while_nothing_is_pending)
{
	FL_SCOPED(fl_executor) *pool = threads(1);
	fl_executor *all[1000];
	fl_stats_executor stats;
	FL_EACH (i, all)
		all[i] = over(pool);
	FL_OK(fl_executor_stats(pool, &stats));
	assert_int_equal(stats.threads, 0);
	FL_EACH (i, all) {
		fl_event done = FL_EVENT_INIT;
		FL_OK(set_it_submit(all[i], &done, NULL));
		FL_OK(fl_event_wait(&done));
	}
	FL_OK(fl_executor_wait_idle(pool));
	FL_EACH (i, all)
		fl_executor_free(all[i]);
}

struct count {
	int runs, seen;
};

FL_TASK_STATIC(count_run, struct count *, void)
{
	(*arg)->runs++;
	return 0;
}

FL_TASK_STATIC(look_at_runs, struct count *, void)
{
	(*arg)->seen = (*arg)->runs;
	return 0;
}

/* With one worker, a task of the target gets its turn among those of a serial executor. */
FL_TEST(serial_lets_other_tasks_run)
{
	FL_SCOPED(fl_executor) *pool = threads(1), *e = over(pool);
	fl_event go = FL_EVENT_INIT;
	struct count count = {0, -1};
	FL_OK(wait_for_it_submit(e, &go, NULL));
	for (int i = 0; i < 1000; i++)
		FL_OK(count_run_submit(e, &count, NULL));
	FL_OK(look_at_runs_submit(pool, &count, NULL));
	fl_event_set(&go);
	FL_OK(fl_executor_wait_idle(e));
	FL_OK(fl_executor_wait_idle(pool));
	assert_int_equal(count.runs, 1000);
	FL_IN_RANGE(count.seen, 0, 999);
}

struct wait_for {
	fl_executor *e;
	fl_event *done;
};

/* A task of the target waits for one of the serial executor. */
FL_TASK_STATIC(wait_in_target, struct wait_for, void)
{
	FL_SCOPED(fl_future) *f = NULL;
	int rc = set_it_submit(arg->e, arg->done, &f);
	return rc ? rc : fl_future_wait(f);
}

static void wait_in_the_only_worker(fl_executor *target)
{
	FL_SCOPED(fl_executor) *e = over(target), *second = over(e);
	fl_event done = FL_EVENT_INIT;
	FL_OK(fl_test_run_task(target, &wait_in_target, &(struct wait_for){e, &done}, NULL));
	FL_OK(fl_test_run_task(target, &wait_in_target, &(struct wait_for){second, &done}, NULL));
	FL_OK(fl_test_run_task(e, &wait_in_target, &(struct wait_for){e, &done}, NULL));
}

FL_TEST(serial_runs_while_the_only_worker_waits_for_it)
{
	FL_SCOPED(fl_executor) *pool = threads(1);
	wait_in_the_only_worker(pool);
}

/* The wait of a fiber counted as one for another executor, of which no task had to run. */
FL_TEST(serial_runs_while_the_only_fiber_waits_for_it)
{
	FL_NEEDS(FL_TEST_EVENTFD);
	FL_SCOPED(fl_executor) *loop = fl_test_executor(fl_loop_executor_create, &(fl_executor_config){.workers = 1});
	wait_in_the_only_worker(loop);
}

FL_TASK_STATIC(tell_current, void, fl_executor *)
{
	*result = fl_executor_current();
	return 0;
}

static void note_current(fl_future *f, void *arg)
{
	*(fl_executor **)arg = fl_executor_current();
}

FL_TEST(serial_is_the_current_executor_of_its_tasks)
{
	FL_SCOPED(fl_executor) *pool = threads(1);
	fl_executor *e = over(pool), *current = NULL, *in_callback = pool;
	FL_OK(fl_test_run_task(e, &tell_current, NULL, &current));
	assert_ptr_equal(current, e);
	FL_OK(
	    tell_current_submit_with(e, NULL, &(fl_submit_config){.on_end = note_current, .on_end_arg = &in_callback}));
	fl_executor_free(e);
	assert_null(in_callback);
}

FL_TASK_STATIC(join_both, fl_executor *, void)
{
	FL_RC(fl_executor_join(*arg), -EDEADLK);
	FL_RC(fl_executor_join(fl_executor_current()), -EDEADLK);
	return 0;
}

FL_TEST(serial_task_cannot_join_the_target)
{
	FL_SCOPED(fl_executor) *pool = threads(2), *e = over(pool);
	FL_OK(fl_test_run_task(e, &join_both, &pool, NULL));
}

/* The end of the target. */

FL_TEST(serial_over_a_closed_executor_runs_what_it_has_accepted)
{
	FL_SCOPED(fl_executor) *pool = threads(1), *e = over(pool);
	fl_event go = FL_EVENT_INIT;
	struct count count = {0, 0};
	FL_OK(wait_for_it_submit(e, &go, NULL));
	for (int i = 0; i < 100; i++)
		FL_OK(count_run_submit(e, &count, NULL));
	fl_executor_close(pool);
	fl_event_set(&go);
	FL_OK(fl_executor_join(pool));
	assert_int_equal(count.runs, 100);
	FL_RC(count_run_submit(e, &count, NULL), -EPIPE);
	fl_executor *other = over(pool);
	FL_RC(count_run_submit(other, &count, NULL), -EPIPE);
	fl_executor_free(other);
}

FL_TASK_STATIC(count_and_submit, struct count *, void)
{
	(*arg)->runs++;
	FL_IGNORE(count_and_submit_submit(fl_executor_current(), *arg, NULL));
	return 0;
}

/* Tasks that submit the next one: the close of the target comes to them. */
FL_TEST(serial_over_a_closed_executor_comes_to_an_end)
{
	FL_SCOPED(fl_executor) *pool = threads(1), *e = over(pool);
	struct count count = {0, 0};
	FL_OK(count_and_submit_submit(e, &count, NULL));
	FL_OK(fl_executor_join(pool));
	FL_OK(fl_executor_join(e));
	assert_true(count.runs > 0);
}

FL_TEST(serial_may_outlive_its_target)
{
	fl_executor *pool = threads(1), *e = over(pool);
	fl_event done = FL_EVENT_INIT;
	FL_OK(set_it_submit(e, &done, NULL));
	fl_executor_free(pool);
	assert_true(fl_event_is_set(&done));
	FL_RC(set_it_submit(e, &done, NULL), -EPIPE);
	FL_OK(fl_executor_join(e));
	fl_executor_free(e);
}

/* A cancel of the target reaches the task that runs, and those that are pending. */
FL_TEST(serial_is_cancelled_with_its_target)
{
	FL_BOTH (begun) {
		FL_SCOPED(fl_executor) *pool = threads(1), *e = over(pool);
		FL_SCOPED(fl_future) *held = NULL, *first = NULL, *next = NULL;
		fl_event never = FL_EVENT_INIT;
		struct count count = {0, 0};
		if (!begun) {
			FL_OK(wait_for_it_submit(pool, &never, &held));
			FL_WAIT_FOR(fl_future_state(held) == FL_RUNNING);
		}
		FL_OK(wait_for_it_submit(e, &never, &first));
		FL_OK(count_run_submit(e, &count, &next));
		if (begun)
			FL_WAIT_FOR(fl_future_state(first) == FL_RUNNING);
		(void)fl_executor_cancel(pool);
		FL_OK(fl_future_wait(first));
		FL_RC(fl_future_error(first), -ECANCELED);
		FL_STATE_IS(first, begun ? FL_DONE : FL_CANCELLED);
		FL_OK(fl_future_wait(next));
		FL_STATE_IS(next, FL_CANCELLED);
		FL_RC(count_run_submit(e, &count, NULL), -EPIPE);
		FL_OK(fl_executor_join(e));
		assert_int_equal(count.runs, 0);
	}
}

FL_TASK_STATIC(fail_late, fl_event *, void)
{
	FL_OK(fl_event_wait_until(*arg, FL_FOREVER, FL_SHIELDED));
	return fl_task_fail(ctx, -ENOENT, "no brushes");
}

FL_TEST(serial_over_an_executor_that_breaks)
{
	FL_SCOPED(fl_executor) *pool = NULL, *e = NULL;
	FL_SCOPED(fl_future) *f = NULL;
	fl_event go = FL_EVENT_INIT, *go_at = &go;
	struct count count = {0, 0};
	FL_OK(fl_thread_executor_create(
	    &pool, &(fl_executor_config){.workers = 1, .initialize = &fail_late, .initialize_arg = &go_at}));
	e = over(pool);
	FL_OK(count_run_submit(e, &count, &f));
	fl_event_set(&go);
	fl_test_future_ends(f, -ENOTRECOVERABLE, NULL);
	fl_test_contains(fl_future_message(f), "no brushes");
	FL_RC(count_run_submit(e, &count, NULL), -ENOTRECOVERABLE);
	assert_int_equal(count.runs, 0);
}

/* The bound of the target's backlog is not for the task of a serial executor. */
FL_TEST(serial_over_a_full_backlog)
{
	FL_SCOPED(fl_executor) *pool = fl_test_executor(
	    fl_thread_executor_create, &(fl_executor_config){.workers = 1, .backlog = 1, .when_full = FL_FULL_REFUSE});
	FL_SCOPED(fl_executor) *e = over(pool);
	FL_SCOPED(fl_future) *held = NULL;
	fl_event go = FL_EVENT_INIT;
	struct count count = {0, 0};
	FL_OK(wait_for_it_submit(pool, &go, &held));
	FL_WAIT_FOR(count_run_submit(pool, &count, NULL) == 0); /* `held` has left the backlog */
	FL_RC(count_run_submit(pool, &count, NULL), -ENOBUFS);
	FL_OK(count_run_submit(e, &count, NULL));
	fl_event_set(&go);
	FL_OK(fl_executor_wait_idle(e));
	FL_OK(fl_executor_wait_idle(pool));
	assert_int_equal(count.runs, 2);
}

/* Bad input. */

static void create_in_child(void *target)
{
	fl_executor *e = NULL;
	FL_RC(fl_serial_executor_create(&e, target, NULL), -EOWNERDEAD);
	FL_CHECK(!e);
}

FL_TEST(serial_without_memory)
{
	FL_FAULTS();
	FL_SCOPED(fl_executor) *pool = threads(1), *e = NULL;
	fl__sys.alloc = fl_test_no_memory;
	FL_RC(fl_serial_executor_create(&e, pool, NULL), -ENOMEM);
	assert_null(e);
	fl__sys.alloc = fl_test_real_sys.alloc;
}

FL_TEST(serial_refuses_what_cannot_be)
{
	FL_SCOPED(fl_executor) *pool = threads(1), *processes = NULL;
	fl_executor *e = NULL;
	FL_PANICS_OF("fl_serial_executor_create", NULL, FL_IGNORE(fl_serial_executor_create(&e, NULL, NULL)));
	FL_RC(fl_serial_executor_create(&e, pool, &(fl_executor_config){.workers_max = 1}), -EINVAL);
	FL_RC(fl_serial_executor_create(&e, pool, &(fl_executor_config){.n_regions = FL_REGIONS_MAX + 1}), -EINVAL);
	FL_IN_CHILD(create_in_child, pool);
	FL_NEEDS(FL_TEST_PROCESS_POOLS);
	FL_OK(fl_process_executor_create(&processes, NULL));
	FL_RC(fl_serial_executor_create(&e, processes, NULL), -ENOTSUP);
	assert_null(e);
}
