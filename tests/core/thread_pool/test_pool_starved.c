/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Starved thread executors: tasks are pending, and all workers sleep in waits of the library. A
 * worker stands in.
 */
#include "fl_kinds.h"
#include "fl_pool.h"
#include <fairlead/parallel.h>

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

FL_TEST(pool_starved_pipeline_on_few_workers)
{
	for (unsigned workers = 1; workers <= 3; workers++) {
		for (uint32_t backlog = 0; backlog <= 1; backlog++) {
			FL_SCOPED(fl_executor) *e = bounded(workers, backlog, FL_FULL_WAIT);
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

FL_TEST(pool_starved_by_each_kind_of_wait)
{
	FL_EACH (i, fl_kinds) {
		const fl_kind *kind = &fl_kinds[i];
		FL_SCOPED(fl_executor) *e = pool_with(1);
		FL_SCOPED(fl_future) *f = NULL;
		fl_event ran = FL_EVENT_INIT;
		int result;
		kind->make();
		FL_OK(wait_for_kind_submit(e, kind, &f));
		FL_OK(pool_set_submit(e, &ran, NULL));
		FL_OK(fl_event_wait(&ran));
		FL_WAIT_FOR(fl_future_get_state(f) == FL_RUNNING && seam_sleepers() > 0);
		kind->finish();
		FL_OK(wait_for_kind_get(f, &result));
		assert_int_equal(result, kind->done);
		kind->clear();
	}
}

/* The stand-ins step back: after the waits, no more tasks run at a time than there are workers. */

static unsigned starved_running, starved_most;

FL_TASK_STATIC(count_running, void, void)
{
	const unsigned now = fl__add_relaxed(&starved_running, 1) + 1;
	if (now > fl__load_relaxed(&starved_most))
		fl__store_relaxed(&starved_most, now);
	for (int i = 0; i < 100; i++)
		sched_yield();
	(void)fl__sub_relaxed(&starved_running, 1);
	return 0;
}

POOL_TEST(pool_starved_no_more_runs_with_as_many_workers_as_before, 1)
{
	fl_event open = FL_EVENT_INIT, ran = FL_EVENT_INIT;
	fl_future *waits[3], *f[50];
	FL_EACH (i, waits)
		FL_OK(pool_await_submit(e, &open, &waits[i]));
	FL_OK(pool_set_submit(e, &ran, NULL));
	FL_OK(fl_event_wait(&ran)); /* four workers */
	fl_event_set(&open);
	fl_test_futures_end(waits, 3);
	FL_EACH (i, f)
		FL_OK(count_running_submit(e, &f[i]));
	fl_test_futures_end(f, 50);
	assert_int_equal(starved_most, 1);
}

/* A resize to fewer workers, all of which wait, leaves one for the pending task. */
POOL_TEST(pool_starved_during_a_resize, 3)
{
	fl_event open = FL_EVENT_INIT, ran = FL_EVENT_INIT;
	for (int i = 0; i < 3; i++)
		FL_OK(pool_await_submit(e, &open, NULL));
	FL_OK(fl_executor_resize(e, 1));
	FL_OK(pool_set_submit(e, &ran, NULL));
	FL_OK(fl_event_wait(&ran));
	fl_event_set(&open);
}

/* At the most stand-ins, and without another thread: one line. */

static char starved_said[200];
static unsigned starved_lines;

FL_TEST_LOG_HANDLER(starved_hear)
{
	(void)snprintf(starved_said, sizeof starved_said, "%s", message);
	COUNT(&starved_lines);
}

FL_TEST(pool_starved_with_all_stand_ins_says_so)
{
	enum { WORKERS = 2, MOST = 64, PENDING = 3, N = WORKERS + MOST + PENDING };
	fl_executor *e = pool_of(&(fl_executor_config){.workers = WORKERS, .name = "few"});
	fl_event open = FL_EVENT_INIT;
	fl_future *f[N];
	fl_log_handler *before = fl_log_set_handler(starved_hear);
	FL_EACH (i, f)
		FL_OK(pool_await_submit(e, &open, &f[i]));
	FL_WAIT_FOR(LOOK(&starved_lines) > 0);
	const fl_executor_stats stats = stats_of(e);
	assert_int_equal(stats.threads, WORKERS + MOST);
	assert_int_equal(stats.pending, PENDING);
	fl_event_set(&open);
	fl_test_futures_end(f, N);
	fl_executor_free(e); /* with the thread that wrote the line */
	(void)fl_log_set_handler(before);
	assert_int_equal(starved_lines, 1);
	assert_string_equal(
	    starved_said,
	    "executor few: all workers wait (66 for event), 3 tasks are pending, and no more workers stand in");
}

/* All workers have begun to wait between two looks of the agent, which it is held for: no line. */

static fl_executor *starved_held; /* the pool of that agent; NULL: none */

static int starved_wake(const uint32_t *word, int n)
{
	const int woken = seam_futex_wake(word, n);
	fl_executor *e = strcmp(fl_thread_current_name(), "agent") == 0 ? starved_held : NULL;
	if (e) {
		starved_held = NULL;
		FL_WAIT_FOR(stats_of(e).waiting == 2);
	}
	return woken;
}

struct late {
	struct gate gate;
	fl_event end;
};

FL_TASK_STATIC(await_late, struct late *, void)
{
	fl_event_set(&(*arg)->gate.entered);
	fl_test_hold_until(&(*arg)->gate.open);
	return fl_event_wait(&(*arg)->end);
}

FL_TEST(pool_starved_anew_during_a_look_says_nothing)
{
	struct gate blocks = {0};
	struct late late = {0};
	fl_event ran = FL_EVENT_INIT;
	fl_executor *e = starved_held = pool_with(1);
	fl_log_handler *before = fl_log_set_handler(starved_hear);
	SET(&starved_lines, 0);
	fl__sys.futex_wake = starved_wake;
	FL_OK(pool_block_submit(e, &blocks, NULL));
	FL_OK(fl_event_wait(&blocks.entered));
	FL_OK(await_late_submit(e, &late, NULL));
	FL_OK(fl_event_wait(&late.gate.entered));
	fl_event_set(&blocks.open);
	FL_WAIT_FOR(stats_of(e).idle == 1); /* the worker for the agent to wake */
	FL_OK(pool_await_submit(e, &late.end, NULL));
	FL_OK(pool_set_submit(e, &ran, NULL));
	fl_event_set(&late.gate.open);
	FL_OK(fl_event_wait(&ran));
	fl_event_set(&late.end);
	fl_executor_free(e);
	fl__sys.futex_wake = seam_futex_wake;
	(void)fl_log_set_handler(before);
	assert_int_equal(starved_lines, 0);
}

/* A worker that waits in a callback, or in a fork that it has stolen, waits as in a task. */

static void starved_await(fl_future *f, void *event)
{
	FL_OK(fl_event_wait(event));
}

POOL_TEST(pool_starved_in_a_callback, 1)
{
	fl_event open = FL_EVENT_INIT;
	struct held held = hold_worker(e);
	FL_OK(fl_future_on_end(held.f, starved_await, &open));
	FL_OK(pool_set_submit(e, &open, NULL));
	let_go(&held);
	FL_OK(fl_event_wait(&open));
}

struct stolen {
	fl_event taken, open;
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

POOL_TEST(pool_starved_in_a_stolen_call, 2)
{
	struct stolen stolen = {FL_EVENT_INIT, FL_EVENT_INIT};
	FL_OK(fork_to_thief_submit(e, &stolen, NULL));
	FL_OK(fl_event_wait(&stolen.taken));
	FL_OK(pool_set_submit(e, &stolen.open, NULL));
	FL_OK(fl_event_wait(&stolen.open));
}
