/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tasks that wait for the effect of another task of their own thread executor with one worker:
 * another worker stands in. See fairlead/blocking.h.
 */
#include "fl_pool.h"

FL_TASK_STATIC(one, void, int)
{
	*result = 1;
	return 0;
}

/* Waits for a task of another executor, which waits for one of this. */

struct pools {
	fl_executor *e, *other;
};

FL_TASK_STATIC(there, struct pools *, int)
{
	FL_SCOPED(fl_future) *f = NULL;
	int rc = one_submit((*arg)->e, &f);
	return rc == 0 ? one_get(f, result) : rc;
}

FL_TASK_STATIC(here, struct pools *, int)
{
	FL_SCOPED(fl_future) *f = NULL;
	int rc = there_submit((*arg)->other, *arg, &f);
	return rc == 0 ? there_get(f, result) : rc;
}

FL_TEST(nested_pools_wait_for_each_other)
{
	FL_SCOPED(fl_executor) *e = pool_with(1), *other = pool_with(1);
	struct pools pools = {e, other}, *arg = &pools;
	assert_int_equal(fl_test_result_of(e, &here, &arg), 1);
}

/* Many at once: each of them blocks a worker of both; so they need as many stacks. */
FL_TEST(nested_pools_many)
{
	enum { N = UINTPTR_MAX > 0xffffffff ? 300 : 40 };
	FL_SCOPED(fl_executor) *e = pool_with(2), *other = pool_with(2);
	struct pools pools = {e, other};
	fl_future *f[N];
	FL_EACH (i, f)
		FL_OK(here_submit(e, &pools, &f[i]));
	FL_EACH (i, f)
		assert_int_equal(fl_test_result(f[i]), 1);
	fl_test_futures_free(f, N);
}

/*
 * A submit to the full backlog of the other executor runs its task here, as a call. That task waits
 * for a task which waits for one of this executor: the worker is in a wait for another executor's
 * task.
 */
struct called {
	struct pools pools;
	fl_event begun, called;
	fl_future *waits;
};

FL_TASK_STATIC(wait_there, struct called *, int)
{
	struct pools *const pools = &(*arg)->pools;
	FL_SCOPED(fl_future) *f = NULL;
	fl_event_set(&(*arg)->begun);
	FL_OK(fl_event_wait(&(*arg)->called)); /* no blocking section: the backlog stays full */
	FL_OK(one_submit(pools->e, &f));
	return one_get(f, result);
}

FL_TASK_STATIC(called_here, struct called *, int)
{
	FL_CHECK(fl_executor_current() == (*arg)->pools.other);
	fl_event_set(&(*arg)->called);
	return wait_there_get((*arg)->waits, result);
}

FL_TASK_STATIC(call_here, struct called *, int)
{
	struct pools *const pools = &(*arg)->pools;
	FL_SCOPED(fl_future) *f = NULL;
	FL_OK(wait_there_submit(pools->other, *arg, &(*arg)->waits));
	FL_OK(fl_event_wait(&(*arg)->begun));
	FL_OK(one_submit(pools->other, NULL)); /* fills the backlog */
	FL_OK(called_here_submit(pools->other, *arg, &f));
	FL_STATE_IS(f, FL_DONE);
	fl_future_free((*arg)->waits);
	return called_here_get(f, result);
}

FL_TEST(nested_pools_wait_in_a_call_of_the_other)
{
	FL_SCOPED(fl_executor) *e = pool_with(1), *other = bounded(1, 1, FL_FULL_RUN);
	struct called called = {.pools = {e, other}}, *arg = &called;
	assert_int_equal(fl_test_result_of(e, &call_here, &arg), 1);
}

/*
 * Each way to wait, in a task of an executor with one worker, for the effect of a pending task of
 * it: `wait` is the first task, `act` the second.
 */

struct wait;

struct way {
	const char *name;
	int (*wait)(struct wait *w);
	void (*act)(struct wait *w);
};

struct wait {
	fl_executor *e, *other;
	const struct way *way;
	fl_promise *promise;
	fl_future *answer;
	fl_event event;
	fl_queue *queue;
	int ends[2]; /* of a pipe */
};

FL_TASK_STATIC(act, struct wait *, void)
{
	(*arg)->way->act(*arg);
	return 0;
}

/* The waiting task itself submits the pending task. */
FL_TASK_STATIC(wait_nested, struct wait *, void)
{
	int rc = act_submit((*arg)->e, *arg, NULL);
	return rc == 0 ? (*arg)->way->wait(*arg) : rc;
}

static void set_promise(struct wait *w)
{
	FL_OK(fl_promise_set(w->promise, NULL));
}

static void set_event(struct wait *w)
{
	fl_event_set(&w->event);
}

static int wait_for_promise(struct wait *w)
{
	return fl_future_wait(w->answer);
}

static int wait_for_completed(struct wait *w)
{
	fl_as_completed *c = NULL;
	size_t index = 77;
	int rc = fl_as_completed_create(&c, &w->answer, 1);
	if (rc == 0)
		rc = fl_as_completed_next(c, &index);
	fl_as_completed_free(c);
	return rc == 0 && index != 0 ? -ERANGE : rc;
}

static int wait_for_any(struct wait *w)
{
	fl_event never = FL_EVENT_INIT;
	fl_on on[] = {FL_ON_EVENT(&never), FL_ON_FUTURE(w->answer)};
	int rc = fl_wait_any_until(on, 2, FL_FOREVER, NULL);
	return rc == 1 ? 0 : rc;
}

static int wait_for_event(void *event)
{
	return fl_event_wait(event);
}

static int join_thread(struct wait *w)
{
	fl_thread *thread;
	int result = 77;
	int rc = fl_thread_start(&thread, wait_for_event, &w->event, NULL);
	if (rc == 0)
		rc = fl_thread_join(thread, &result);
	return rc == 0 ? result : rc;
}

static int join_executor(struct wait *w)
{
	FL_SCOPED(fl_executor) *e = NULL;
	FL_SCOPED(fl_future) *f = NULL;
	int rc = fl_thread_executor_create(&e, &(fl_executor_config){.workers = 1});
	if (rc == 0)
		rc = pool_await_submit(e, &w->event, &f);
	return rc == 0 ? fl_executor_join(e) : rc;
}

static int join_group(struct wait *w)
{
	fl_group g = FL_GROUP_INIT(w->other);
	int rc = pool_await_group_submit(&g, &w->event);
	return rc == 0 ? fl_group_join(&g) : rc;
}

static void take_item(struct wait *w)
{
	int item;
	FL_CHECK(fl_queue_get(w->queue, &item) == 0 && item == 5);
	fl_queue_task_done(w->queue);
}

static int join_queue(struct wait *w)
{
	int rc = fl_queue_put(w->queue, &(int){5});
	return rc == 0 ? fl_queue_join(w->queue) : rc;
}

static int wait_in_fiber(void *arg)
{
	return fl_future_wait(((struct wait *)arg)->answer);
}

static int run_loop(struct wait *w)
{
	return fl_loop_run(wait_in_fiber, w);
}

static void close_end(struct wait *w)
{
	FL_OK(close(w->ends[1]));
}

/* Reads until the pending task closes the pipe. */
static int join_process(struct wait *w)
{
	fl_process *p = NULL;
	fl_process_status status = {77, 77};
	int rc = fl_process_start(
	    &p, &(fl_process_config){.program = "cat", .in = FL_PROCESS_FD(w->ends[0]), .out = FL_PROCESS_NULL});
	if (rc == 0)
		rc = fl_process_join(p, &status);
	fl_process_free(p);
	return rc == 0 ? status.code : rc;
}

static const struct way ways[] = {
    {"a promise", wait_for_promise, set_promise},
    {"the next as they complete", wait_for_completed, set_promise},
    {"any of several things", wait_for_any, set_promise},
    {"a thread", join_thread, set_event},
    {"an executor", join_executor, set_event},
    {"a group of another executor", join_group, set_event},
    {"a queue", join_queue, take_item},
    {"a process", join_process, close_end},
    {"a loop", run_loop, set_promise},
};

FL_TEST(nested_wait_in_every_way)
{
	FL_NEEDS(FL_TEST_PROCESSES); /* a loop and a process are among them */
	for (unsigned workers = 1; workers <= 3; workers += 2)
		FL_EACH (i, ways) {
			print_message("# %s, %u\n", ways[i].name, workers);
			FL_SCOPED(fl_executor) *e = pool_with(workers), *other = pool_with(1);
			struct wait w = {.e = e, .other = other, .way = &ways[i]}, *arg = &w;
			FL_OK(fl_promise_create(&w.promise, 0, NULL, &w.answer));
			FL_OK(fl_queue_create(&w.queue, sizeof(int), NULL));
			FL_OK(pipe2(w.ends, O_CLOEXEC));
			FL_OK(fl_test_run_task(e, &wait_nested, &arg, NULL));
			if (ways[i].act != close_end)
				close_end(&w);
			FL_OK(close(w.ends[0]));
			fl_queue_free(w.queue);
			fl_promise_free(w.promise);
			fl_future_free(w.answer);
		}
}

/* Nothing of an executor's own. */

struct own {
	fl_future *held;
	fl_event waits;
};

FL_TASK_STATIC(wait_for_own, struct own *, void)
{
	fl_event_set(&(*arg)->waits);
	return fl_future_wait((*arg)->held);
}

/* A task of the same executor is none that a worker is replaced for: another runs it. */
POOL_TEST(nested_wait_for_a_task_that_runs, 2)
{
	FL_SCOPED(fl_future) *f = NULL, *more = NULL;
	struct held held = hold_worker(e);
	struct own own = {.held = held.f};
	FL_OK(wait_for_own_submit(e, &own, &f));
	FL_OK(fl_event_wait(&own.waits));
	FL_WAIT_FOR(seam_sleepers() == 1);
	FL_OK(one_submit(e, &more));
	const fl_stats_executor stats = stats_of(e);
	assert_int_equal(stats.blocked, 0);
	assert_int_equal(stats.threads, 2);
	fl_event_set(&held.gate->open);
	FL_OK(fl_future_wait(f)); /* before let_go() frees what it waits for */
	FL_OK(fl_future_wait(more));
	let_go(&held);
}

/* Calls that do not wait need no other worker. */
FL_TASK_STATIC(wait_for_no_time, struct wait *, void)
{
	FL_SCOPED(fl_as_completed) *c = NULL;
	size_t index;
	FL_RC(fl_future_wait_until((*arg)->answer, FL_NO_WAIT, NULL), -ETIMEDOUT);
	FL_OK(fl_as_completed_create(&c, &(*arg)->answer, 1));
	FL_RC(fl_as_completed_next_until(c, &index, FL_NO_WAIT, NULL), -ETIMEDOUT);
	fl_executor_close((*arg)->other);
	FL_OK(fl_executor_try_join((*arg)->other));
	return stats_of((*arg)->e).threads == 1 ? 0 : -ERANGE;
}

FL_TEST(nested_wait_for_no_time)
{
	FL_SCOPED(fl_executor) *e = pool_with(1), *other = pool_with(1);
	FL_SCOPED(fl_future) *f = NULL, *more = NULL;
	struct wait w = {.e = e, .other = other};
	FL_OK(fl_promise_create(&w.promise, 0, NULL, &w.answer));
	struct held held = hold_worker(e);
	FL_OK(wait_for_no_time_submit(e, &w, &f));
	FL_OK(one_submit(e, &more)); /* pending in the meantime */
	let_go(&held);
	FL_OK(fl_future_get(f, NULL, 0));
	fl_promise_free(w.promise);
	fl_future_free(w.answer);
}
