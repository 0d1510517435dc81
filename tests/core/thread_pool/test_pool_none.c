/* SPDX-License-Identifier: BSD-2-Clause */
/* The thread executor without a backlog accepts a task while a worker is free for it. */
#include "core/exec/executor.h"
#include "fl_pool.h"

static fl_executor *none(unsigned workers, fl_when_full when_full)
{
	return bounded(workers, FL_BACKLOG_NONE, when_full);
}

/* A case with an executor `e` of that many workers, which refuses what would wait. */
#define NONE_TEST(name, workers)                                                                                       \
	static void name##_in(fl_executor *e);                                                                         \
	FL_TEST(name)                                                                                                  \
	{                                                                                                              \
		FL_SCOPED(fl_executor) *e = none(workers, FL_FULL_REFUSE);                                             \
		name##_in(e);                                                                                          \
	}                                                                                                              \
	static void name##_in(fl_executor *e)

static unsigned runs;

FL_TASK_STATIC(none_count, void, uint64_t)
{
	COUNT(&runs);
	*result = fl_thread_current_id();
	return 0;
}

static int try_one(fl_executor *e)
{
	return none_count_submit(e, NULL);
}

/* `n` workers are free: `n` tasks are accepted and begin, and no further task is accepted. */
static void expect_free(fl_executor *e, unsigned n)
{
	struct held held[8];
	assert_true(n <= 8);
	hold_workers(e, held, n);
	FL_RC(try_one(e), -ENOBUFS);
	let_all_go(held, n);
}

NONE_TEST(none_refuses_what_would_wait, 3)
{
	SET(&runs, 0);
	expect_free(e, 3); /* workers are started for them */
	expect_free(e, 3);
	assert_int_equal(LOOK(&runs), 0);
	FL_OK(try_one(e));
	FL_OK(fl_executor_join(e));
	assert_int_equal(LOOK(&runs), 1);
	FL_RC(try_one(e), -EPIPE);
}

/* After a wait for a task its worker is free. */
NONE_TEST(none_accepts_after_each_end, 1)
{
	for (int i = 0; i < 2000; i++)
		FL_OK(fl_test_run_task(e, &none_count, NULL, NULL));
}

struct submitter {
	fl_executor *e;
	fl_future *f;
	int rc;
};

static int submit_one(void *arg)
{
	struct submitter *s = arg;
	s->rc = none_count_submit(s->e, &s->f);
	return 0;
}

FL_TEST(none_waits_for_a_worker)
{
	for (int closes = 0; closes <= 1; closes++) {
		fl_executor *e = none(1, FL_FULL_WAIT);
		struct submitter s = {.e = e, .rc = 1};
		fl_thread t;
		struct held held = hold_worker(e);
		FL_RC(none_count_submit_with(e, NULL, &(fl_submit_config){.backlog_deadline = FL_NO_WAIT}), -ETIMEDOUT);
		fl_test_go(&t, submit_one, &s);
		FL_WAIT_FOR(seam_sleepers() == 1);
		if (closes)
			fl_executor_close(e);
		else
			fl_event_set(&held.gate->open);
		fl_test_end(&t);
		FL_RC(s.rc, closes ? -EPIPE : 0);
		let_go(&held);
		fl_future_free(s.f);
		fl_executor_free(e);
	}
}

FL_TEST(none_runs_what_would_wait_on_the_submitter)
{
	FL_SCOPED(fl_executor) *e = none(1, FL_FULL_RUN);
	struct held held = hold_worker(e);
	for (int i = 0; i < 3; i++) {
		FL_SCOPED(fl_future) *f = NULL;
		uint64_t thread = 0;
		FL_OK(none_count_submit(e, &f));
		FL_OK(none_count_try_get(f, &thread));
		assert_true(thread == fl_thread_current_id());
	}
	let_go(&held);
	uint64_t thread = 0;
	FL_OK(fl_test_run_task(e, &none_count, NULL, &thread));
	assert_true(thread != fl_thread_current_id());
}

FL_TASK_STATIC(submit_inside, void, void)
{
	fl_future *f = NULL;
	int rc = none_count_submit(fl_executor_current(), &f);
	if (rc == 0)
		rc = fl_future_try_wait(f); /* there is no other worker: it was a call */
	fl_future_free(f);
	return rc;
}

FL_TEST(none_submit_of_the_only_worker_is_a_call)
{
	const fl_when_full all[] = {FL_FULL_WAIT, FL_FULL_RUN};
	FL_EACH (i, all) {
		FL_SCOPED(fl_executor) *e = none(1, all[i]);
		FL_OK(fl_test_run_task(e, &submit_inside, NULL, NULL));
	}
}

static fl_event initializes, may_go_on;

FL_TASK_STATIC(wait_to_begin, void, void)
{
	fl_event_set(&initializes);
	return fl_event_wait_until(&may_go_on, FL_FOREVER, FL_SHIELDED);
}

/* A cancelled task holds no worker, also before a worker has found it in the backlog. */
FL_TEST(none_cancelled_task_holds_no_worker)
{
	const fl_executor_config config = {
	    .workers = 1, .backlog = FL_BACKLOG_NONE, .when_full = FL_FULL_REFUSE, .initialize = &wait_to_begin};
	fl_event_init(&initializes);
	fl_event_init(&may_go_on);
	SET(&runs, 0);
	FL_SCOPED(fl_executor) *e = pool_of(&config);
	for (int i = 0; i < 100; i++) {
		FL_SCOPED(fl_future) *f = NULL;
		FL_OK(none_count_submit(e, &f));
		FL_RC(try_one(e), -ENOBUFS);
		FL_OK(fl_future_cancel(f));
	}
	FL_OK(fl_event_wait(&initializes));
	FL_OK(try_one(e));
	FL_RC(try_one(e), -ENOBUFS);
	fl_event_set(&may_go_on);
	FL_OK(fl_executor_join(e));
	assert_int_equal(LOOK(&runs), 1);
}

/* A pending task that a waiting worker runs itself holds no other worker. */
FL_TASK_STATIC(none_inner, fl_executor *, int)
{
	*result = try_one(*arg);
	if (*result == 0)
		*result = try_one(*arg) == -ENOBUFS ? 0 : -EFAULT;
	return 0;
}

FL_TASK_STATIC(none_outer, fl_executor *, int)
{
	FL_SCOPED(fl_future) *f = NULL;
	seam_fail_threads(0, 1000); /* so that it stays pending */
	int rc = none_inner_submit(*arg, *arg, &f);
	if (rc == 0)
		rc = none_inner_get(f, result);
	(void)seam_heal();
	return rc;
}

NONE_TEST(none_task_that_a_waiter_runs_holds_no_worker, 2)
{
	int rc = 1;
	FL_OK(fl_test_run_task(e, &none_outer, &e, &rc));
	FL_OK(rc);
}

/* While a task blocks another is accepted. After its section both count. */
NONE_TEST(none_task_that_blocks_holds_no_worker, 1)
{
	for (int round = 0; round < 20; round++) {
		FL_SCOPED(fl_future) *f = NULL;
		struct gate b = {.open = FL_EVENT_INIT};
		FL_OK(pool_block_submit(e, &b, &f));
		FL_OK(fl_event_wait(&b.entered));
		expect_free(e, 1);
		struct held held = hold_worker(e);
		FL_RC(try_one(e), -ENOBUFS);
		fl_event_set(&b.open);
		FL_OK(fl_future_wait(f));
		FL_RC(try_one(e), -ENOBUFS); /* the other still runs */
		let_go(&held);
		expect_free(e, 1);
	}
}

FL_TASK_STATIC(none_await, fl_future *, void)
{
	return fl_future_wait(*arg);
}

NONE_TEST(none_task_that_waits_for_another_executor_holds_no_worker, 1)
{
	FL_SCOPED(fl_promise) *p = NULL;
	FL_SCOPED(fl_future) *answer = NULL, *f = NULL;
	FL_OK(fl_promise_create(&p, 0, NULL, &answer));
	FL_OK(none_await_submit(e, answer, &f));
	FL_WAIT_FOR(stats_of(e).blocked == 1);
	expect_free(e, 1);
	FL_OK(fl_promise_set(p, NULL));
	FL_OK(fl_future_wait(f));
	expect_free(e, 1);
}

NONE_TEST(none_resized, 1)
{
	struct held held[3] = {hold_worker(e)};
	FL_RC(try_one(e), -ENOBUFS);
	FL_OK(fl_executor_resize(e, 3));
	hold_workers(e, held + 1, 2);
	FL_RC(try_one(e), -ENOBUFS);
	FL_OK(fl_executor_resize(e, 1));
	for (int i = 0; i < 2; i++) { /* until no more run than there may be */
		let_go(&held[i]);
		FL_RC(try_one(e), -ENOBUFS);
	}
	let_go(&held[2]);
	expect_free(e, 1);
	FL_OK(fl_executor_resize(e, 4));
	expect_free(e, 4);
	FL_OK(fl_executor_resize(e, 2));
	expect_free(e, 2);
}

/* A chained task goes in beyond the bound, and counts. */
NONE_TEST(none_chained_task_holds_a_worker, 1)
{
	FL_SCOPED(fl_promise) *p = NULL;
	FL_SCOPED(fl_future) *first = NULL, *next = NULL;
	struct gate chained = {.open = FL_EVENT_INIT};
	FL_OK(fl_promise_create(&p, sizeof(struct gate *), NULL, &first));
	FL_OK(fl_future_then(first, e, &hold, &next));
	struct held held = hold_worker(e);
	FL_OK(fl_promise_set(p, &(struct gate *){&chained}));
	let_go(&held);
	FL_RC(try_one(e), -ENOBUFS); /* before it has begun, too */
	FL_OK(fl_event_wait(&chained.entered));
	FL_RC(try_one(e), -ENOBUFS);
	fl_event_set(&chained.open);
	FL_OK(fl_future_wait(next));
	expect_free(e, 1);
}

/* A submit that fails holds no worker. */
NONE_TEST(none_submit_without_memory_holds_no_worker, 1)
{
	SEAM_NO_THREAD(try_one(e), -EAGAIN);
	expect_free(e, 1);
}

/* When all tasks have ended, in whatever way, all workers are free. */

static int be_busy(void *e)
{
	for (unsigned i = fl_test_scaled(300); i > 0; i--) {
		FL_SCOPED(fl_future) *f = NULL, *next = NULL;
		const bool blocks = i % 3 == 0;
		const int rc = blocks ? pool_block_a_little_submit(e, &f) : none_count_submit(e, &f);
		FL_CHECK(rc == 0 || rc == -ENOBUFS);
		if (rc != 0)
			continue;
		if (i % 5 == 0)
			FL_CHECK(fl_future_cancel(f) <= 0);
		if (blocks) /* without a result: it may be chained to */
			FL_OK(fl_future_then(f, e, &pool_block_a_little, &next));
		FL_CHECK(fl_future_wait(f) == 0 && (!next || fl_future_wait(next) == 0));
	}
	return 0;
}

NONE_TEST(none_is_even_in_the_end, 2)
{
	enum { THREADS = 4, WORKERS = 2 };
	fl_thread t[THREADS];
	FL_EACH (i, t)
		fl_test_go(&t[i], be_busy, e);
	for (unsigned i = 0; i < 200; i++)
		FL_OK(fl_executor_resize(e, 1 + i % 4));
	FL_OK(fl_executor_resize(e, WORKERS));
	FL_EACH (i, t)
		fl_test_end(&t[i]);
	/* a worker that stood in counts until the next look for a task */
	FL_WAIT_FOR(fl_sem_value(&e->permits.free) == WORKERS);
	assert_int_equal(e->permits.owed, 0);
	expect_free(e, WORKERS);
}
