/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Thread executors whose tasks wait in functions of the library. With `workers_max` another worker
 * runs a task meanwhile. Without it, `workers` is a limit, and the log says that all workers wait.
 */
#include "fl_kinds.h"
#include "fl_pool.h"
#include <fairlead/parallel.h>

static fl_executor *growing(unsigned workers, unsigned most)
{
	return pool_of(&(fl_executor_config){.workers = workers, .workers_max = most, .name = "few"});
}

/* A case with such an executor `e`. */
#define GROWING_TEST(name, workers, most)                                                                              \
	static void name##_in(fl_executor *e);                                                                         \
	FL_TEST(name)                                                                                                  \
	{                                                                                                              \
		FL_SCOPED(fl_executor) *e = growing(workers, most);                                                    \
		name##_in(e);                                                                                          \
	}                                                                                                              \
	static void name##_in(fl_executor *e)

/* A pipeline of three stages, each of which is a task. */

enum { PASSED = 1000 };

FL_QUEUE_OF(int, numbers)

struct stage {
	numbers *in, *out;
};

FL_TASK_STATIC(produce, struct stage, void)
{
	int rc = 0;
	for (int i = 0; i < PASSED && rc == 0; i++)
		rc = numbers_put(arg->out, i);
	numbers_close(arg->out);
	return rc;
}

FL_TASK_STATIC(add_one, struct stage, void)
{
	int number, rc;
	while ((rc = numbers_get(arg->in, &number)) == 0 && (rc = numbers_put(arg->out, number + 1)) == 0)
		;
	numbers_close(arg->out);
	return rc == -EPIPE ? 0 : rc;
}

FL_TASK_STATIC(add_up, struct stage, long)
{
	int number, rc;
	*result = 0;
	while ((rc = numbers_get(arg->in, &number)) == 0)
		*result += number;
	return rc == -EPIPE ? 0 : rc;
}

FL_TEST(pool_waits_pipeline_on_few_workers)
{
	for (unsigned workers = 1; workers <= 3; workers++) {
		for (uint32_t backlog = 0; backlog <= 1; backlog++) {
			FL_SCOPED(fl_executor) *e =
			    pool_of(&(fl_executor_config){.workers = workers, .workers_max = 4, .backlog = backlog});
			FL_SCOPED(numbers) *a = NULL, *b = NULL;
			fl_future *f[3];
			long sum;
			FL_OK(numbers_create(&a, &(fl_queue_config){.capacity = 8}));
			FL_OK(numbers_create(&b, &(fl_queue_config){.capacity = 8}));
			FL_OK(produce_submit(e, (struct stage){.out = a}, &f[0]));
			FL_OK(add_one_submit(e, (struct stage){a, b}, &f[1]));
			FL_OK(add_up_submit(e, (struct stage){.in = b}, &f[2]));
			FL_OK(add_up_get(f[2], &sum));
			assert_int_equal(sum, (long)PASSED * (PASSED + 1) / 2);
			fl_test_futures_free(f, 3);
		}
	}
}

/* Whatever the only worker waits for, the next task runs. */

FL_TASK_STATIC(wait_for_kind, const fl_kind *, int)
{
	*result = (*arg)->wait(NULL, FL_FOREVER, FL_SHIELDED);
	return 0;
}

FL_TEST(pool_waits_by_each_kind_of_wait)
{
	FL_EACH (i, fl_kinds) {
		const fl_kind *kind = &fl_kinds[i];
		FL_SCOPED(fl_executor) *e = growing(1, 2);
		FL_SCOPED(fl_future) *f = NULL;
		fl_event ran = FL_EVENT_INIT;
		int result;
		kind->make();
		FL_OK(wait_for_kind_submit(e, kind, &f));
		FL_OK(pool_set_submit(e, &ran, NULL));
		FL_OK(fl_event_wait(&ran));
		FL_WAIT_FOR(fl_future_state(f) == FL_RUNNING && seam_sleepers() > 0);
		kind->finish();
		FL_OK(wait_for_kind_get(f, &result));
		assert_int_equal(result, kind->done);
		kind->clear();
	}
}

/* The further workers step back: after the waits, no more tasks run at a time than there are workers. */

static unsigned waits_running, waits_most;

FL_TASK_STATIC(count_running, void, void)
{
	const unsigned now = fl__add_relaxed(&waits_running, 1) + 1;
	if (now > fl__load_relaxed(&waits_most))
		fl__store_relaxed(&waits_most, now);
	for (int i = 0; i < 100; i++)
		sched_yield();
	(void)fl__sub_relaxed(&waits_running, 1);
	return 0;
}

GROWING_TEST(pool_waits_no_more_runs_with_as_many_workers_as_before, 1, 5)
{
	fl_event open = FL_EVENT_INIT, ran = FL_EVENT_INIT;
	fl_future *waits[3], *f[50];
	FL_EACH (i, waits)
		FL_OK(pool_await_submit(e, &open, &waits[i]));
	FL_OK(pool_set_submit(e, &ran, NULL));
	FL_OK(fl_event_wait(&ran)); /* in the fourth worker */
	fl_event_set(&open);
	fl_test_futures_end(waits, 3);
	FL_EACH (i, f)
		FL_OK(count_running_submit(e, &f[i]));
	fl_test_futures_end(f, 50);
	assert_int_equal(waits_most, 1);
}

/* A resize to fewer workers, all of which wait, leaves one for the pending task. */
GROWING_TEST(pool_waits_during_a_resize, 3, 4)
{
	fl_event open = FL_EVENT_INIT, ran = FL_EVENT_INIT;
	for (int i = 0; i < 3; i++)
		FL_OK(pool_await_submit(e, &open, NULL));
	FL_OK(fl_executor_resize(e, 1));
	FL_OK(pool_set_submit(e, &ran, NULL));
	FL_OK(fl_event_wait(&ran));
	fl_event_set(&open);
}

/* A worker that cannot step back when its wait ends does so while it runs further tasks. */

static fl_event waits_over;

FL_TASK_DECLARE(waits_endless, void, void)
FL_TASK_DEFINE(waits_endless, void, void)
{
	if (!fl_event_is_set(&waits_over))
		FL_OK(waits_endless_submit(fl_executor_current(), NULL));
	return 0;
}

GROWING_TEST(pool_waits_end_beside_a_holder_of_the_lock, 1, 2)
{
	fl_event open = FL_EVENT_INIT;
	fl_future *f;
	fl_event_reset(&waits_over);
	FL_OK(pool_await_submit(e, &open, &f));
	struct held held = hold_worker(e); /* the other one */
	FL_OK(waits_endless_submit(e, NULL));
	{
		FL_LOCKED(&e->lock);
		fl_event_set(&open);
		FL_OK(fl_future_wait(f));
	}
	FL_WAIT_FOR(stats_of(e).blocked == 0);
	fl_event_set(&waits_over);
	let_go(&held);
	fl_future_free(f);
}

/* `workers` is a limit, whatever the tasks wait for. */

static unsigned limited_running, limited_most;

FL_TASK_STATIC(sleep_in_turn, void, void)
{
	const unsigned now = fl__add_relaxed(&limited_running, 1) + 1;
	if (now > fl__load_relaxed(&limited_most))
		fl__store_relaxed(&limited_most, now);
	const int rc = fl_sleep(FL_MS(12)); /* a wait in which a worker looks more than once */
	(void)fl__sub_relaxed(&limited_running, 1);
	return rc;
}

FL_TEST(pool_waits_workers_is_a_limit)
{
	for (unsigned workers = 1; workers <= 2; workers++) {
		FL_SCOPED(fl_executor) *e = pool_with(workers);
		fl_future *f[8];
		limited_most = 0;
		FL_EACH (i, f)
			FL_OK(sleep_in_turn_submit(e, &f[i]));
		fl_test_futures_end(f, 8);
		FL_IN_RANGE(limited_most, 1, workers);
	}
}

/* All workers wait, and no further one may be started: one line. */

static char waits_said[300];
static unsigned waits_lines;

FL_TEST_LOG_HANDLER(waits_hear)
{
	(void)snprintf(waits_said, sizeof waits_said, "%s", message);
	COUNT(&waits_lines);
}

static void expect_line(unsigned workers, unsigned most, const char *line)
{
	enum { PENDING = 3 };
	const unsigned all = most ? most : workers, n = all + PENDING;
	fl_executor *e = growing(workers, most);
	fl_event open = FL_EVENT_INIT;
	fl_future *f[8];
	fl_log_handler *before = fl_log_set_handler(waits_hear);
	SET(&waits_lines, 0);
	for (unsigned i = 0; i < n; i++)
		FL_OK(pool_await_submit(e, &open, &f[i]));
	FL_WAIT_FOR(LOOK(&waits_lines) > 0);
	const fl_stats_executor stats = stats_of(e);
	assert_int_equal(stats.threads, all);
	assert_int_equal(stats.pending, PENDING);
	fl_event_set(&open);
	fl_test_futures_end(f, n);
	fl_executor_free(e);
	(void)fl_log_set_handler(before);
	assert_int_equal(waits_lines, 1);
	assert_string_equal(waits_said, line);
}

FL_TEST(pool_waits_of_all_workers_are_reported)
{
	expect_line(2, 0,
	            "executor few: all workers wait (2 for event), and 3 tasks are pending: tasks that wait for each "
	            "other need more workers, or workers_max");
	expect_line(1, 4,
	            "executor few: all workers wait (4 for event), and 3 tasks are pending: tasks that wait for each "
	            "other need more workers, or workers_max");
}

FL_TEST(pool_waits_need_a_limit_that_makes_sense)
{
	fl_executor *e;
	FL_RC(fl_thread_executor_create(&e, &(fl_executor_config){.workers = 2, .workers_max = 1}), -EINVAL);
	FL_RC(fl_thread_executor_create(&e, &(fl_executor_config){.workers = 2, .workers_max = FL_WORKERS_MAX + 1}),
	      -EINVAL);
	FL_RC(fl_sequential_executor_create(&e, &(fl_executor_config){.workers_max = 2}), -EINVAL);
}

/* A worker that waits in a callback, or in a fork that it has stolen, waits as in a task. */

static void waits_await(fl_future *f, void *event)
{
	FL_OK(fl_event_wait(event));
}

GROWING_TEST(pool_waits_in_a_callback, 1, 2)
{
	fl_event open = FL_EVENT_INIT;
	struct held held = hold_worker(e);
	FL_OK(fl_future_on_end(held.f, waits_await, &open));
	FL_OK(pool_set_submit(e, &open, NULL));
	let_go(&held);
	FL_OK(fl_event_wait(&open));
}

struct stolen {
	fl_event taken, open, forked;
};

static int stolen_await(void *arg)
{
	struct stolen *stolen = arg;
	fl_event_set(&stolen->taken);
	return fl_event_wait(&stolen->open);
}

static int stolen_await_taken(void *arg)
{
	return fl_event_wait(&((struct stolen *)arg)->taken);
}

FL_TASK_STATIC(fork_to_thief, struct stolen *, void)
{
	return fl_parallel_invoke(stolen_await_taken, *arg, stolen_await, *arg);
}

GROWING_TEST(pool_waits_in_a_stolen_call, 2, 3)
{
	struct stolen stolen = {FL_EVENT_INIT, FL_EVENT_INIT};
	FL_OK(fork_to_thief_submit(e, &stolen, NULL));
	FL_OK(fl_event_wait(&stolen.taken));
	FL_OK(pool_set_submit(e, &stolen.open, NULL));
	FL_OK(fl_event_wait(&stolen.open));
}

/* A fork gets the worker that stands in for one that blocks later. */

FL_TASK_STATIC(block_once_forked, struct stolen *, void)
{
	fl_test_hold_until(&(*arg)->forked);
	FL_BLOCKING();
	return fl_event_wait(&(*arg)->taken);
}

static int stolen_await_taken_later(void *arg)
{
	fl_event_set(&((struct stolen *)arg)->forked);
	fl_test_hold_until(&((struct stolen *)arg)->taken);
	return 0;
}

FL_TASK_STATIC(fork_to_late_thief, struct stolen *, void)
{
	return fl_parallel_invoke(stolen_await_taken_later, *arg, stolen_await, *arg);
}

POOL_TEST(pool_fork_beside_a_worker_that_blocks_later, 2)
{
	struct stolen stolen = {FL_EVENT_INIT, FL_EVENT_INIT, FL_EVENT_INIT};
	FL_OK(block_once_forked_submit(e, &stolen, NULL));
	FL_OK(fork_to_late_thief_submit(e, &stolen, NULL));
	FL_OK(fl_event_wait(&stolen.taken));
	fl_event_set(&stolen.open);
	FL_OK(fl_executor_join(e));
}

/* One fork starts one thief, however many workers there may be. */
POOL_TEST(pool_fork_starts_one_worker, 16)
{
	struct stolen stolen = {FL_EVENT_INIT, FL_EVENT_INIT, FL_EVENT_INIT};
	FL_OK(fork_to_thief_submit(e, &stolen, NULL));
	FL_OK(fl_event_wait(&stolen.taken));
	fl_event_set(&stolen.open);
	FL_OK(fl_executor_wait_idle(e));
	assert_int_equal(stats_of(e).threads, 2);
}
