/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The backlog of the thread executor when its ring is full, and when other contexts have claimed
 * its tasks.
 */
#include "core/thread_pool/backlog.h"
#include "fl_pool.h"

enum { RING = 16384, MANY = 2 * RING };

static int order[MANY];
static unsigned ran, dropped;

static void drop(void *arg)
{
	COUNT(&dropped);
}

FL_TASK(backlog_note, int, void, .drop_arg = drop)
{
	order[__atomic_fetch_add(&ran, 1, __ATOMIC_RELAXED)] = *arg;
	return 0;
}

static void begin(void)
{
	SET(&ran, 0);
	SET(&dropped, 0);
}

/* What the ring has no room for comes behind it, and is moved there in turn. */
POOL_TEST(backlog_keeps_the_order_of_submission, 1)
{
	begin();
	struct held held = hold_worker(e);
	for (int i = 0; i < MANY; i++)
		FL_OK(backlog_note_submit(e, i, NULL));
	let_go(&held);
	FL_OK(fl_executor_join(e));
	assert_int_equal(LOOK(&ran), MANY);
	FL_EACH (i, order)
		assert_int_equal(order[i], i);
}

/*
 * The only worker runs the tasks that it waits for, and leaves them in its queue. Their results are
 * dropped with the last reference, and not when the worker comes to the queue.
 */

static unsigned results_dropped;

static void drop_result(void *result)
{
	COUNT(&results_dropped);
}

FL_TASK(backlog_make, int, int, .drop_result = drop_result)
{
	*result = *arg;
	return 0;
}

FL_TASK_STATIC(run_what_it_awaits, void, void)
{
	for (unsigned i = 1; i <= 100; i++) {
		fl_future *f = FL_SUBMITTED(backlog_make, fl_executor_current(), 1);
		FL_CHECK(fl_future_wait(f) == 0);
		fl_future_free(f);
		FL_CHECK(LOOK(&results_dropped) == i);
	}
	return 0;
}

POOL_TEST(backlog_delays_no_drop_of_a_result, 1)
{
	SET(&results_dropped, 0);
	FL_OK(fl_test_run_task(e, &run_what_it_awaits, NULL, NULL));
	assert_int_equal(LOOK(&results_dropped), 100);
}

/* Closed while the list is not empty: its tasks run, or are cancelled. */
FL_TEST(backlog_closed_with_a_list)
{
	FL_BOTH (cancel) {
		fl_executor *e = pool_with(2);
		struct held held[2];
		begin();
		hold_workers(e, held, 2);
		for (int i = 0; i < MANY; i++)
			FL_OK(backlog_note_submit(e, i, NULL));
		if (cancel)
			assert_int_equal(fl_executor_cancel(e), MANY);
		else
			fl_executor_close(e);
		FL_RC(backlog_note_submit(e, 0, NULL), -EPIPE);
		let_all_go(held, 2);
		FL_OK(fl_executor_join(e));
		assert_int_equal(LOOK(&ran), cancel ? 0 : MANY);
		assert_int_equal(LOOK(&dropped), MANY);
		fl_executor_free(e);
	}
}

/* Cancelled tasks are skipped, wherever they are; the others keep their order. */
POOL_TEST(backlog_of_cancelled_tasks, 1)
{
	static fl_future *f[MANY];
	begin();
	struct held held = hold_worker(e);
	FL_EACH (i, f)
		FL_OK(backlog_note_submit(e, i, &f[i]));
	FL_EACH (i, f)
		if (i % 3 != 0)
			FL_OK(fl_future_cancel(f[i]));
	assert_int_equal(LOOK(&dropped), MANY - (MANY + 2) / 3);
	FL_EACH (i, f) {
		fl_future_free(f[i]);
		/* Searches the list in the meantime. */
		FL_OK(backlog_note_submit(e, MANY + i, NULL));
		if (i % 2 == 0)
			break;
	}
	let_go(&held);
	FL_OK(fl_executor_join(e));
	for (int i = 1; i < MANY; i++)
		fl_future_free(f[i]);
	assert_int_equal(LOOK(&ran), (MANY + 2) / 3 + 1);
	for (int i = 0; i < (MANY + 2) / 3; i++)
		assert_int_equal(order[i], 3 * i);
	assert_int_equal(order[(MANY + 2) / 3], MANY);
}

/* A task that runs others by waiting for them: these do not stay in the backlog for ever. */
static unsigned most;

FL_TASK(backlog_root, fl_executor *, void)
{
	unsigned freed = 0;
	static const void *seen[4 * RING];
	for (int i = 0; i < 8 * RING; i++) {
		FL_SCOPED(fl_future) *f = FL_SUBMITTED(pool_double, *arg, i);
		FL_CHECK(fl_test_result(f) == 2 * i);
		/* Its memory is reused, except for a bounded number of blocks. */
		const size_t place = ((uintptr_t)f / 64) % (4 * RING);
		freed += seen[place] == f;
		seen[place] = f;
	}
	SET(&most, 8 * RING - freed);
	return 0;
}

POOL_TEST(backlog_of_tasks_that_were_helped, 1)
{
	FL_OK(fl_test_run_task(e, &backlog_root, &e, NULL));
	FL_IN_RANGE(LOOK(&most), 1, 4 * RING);
}

/* Queues of workers. */

enum { BATCH = 16, LOCAL_FIRST = 40, LOCAL_TASKS = 400 };

struct local_note {
	fl_executor *e;
	int number;
};

/* Each submits the one that is LOCAL_FIRST further. */
FL_TASK_DECLARE(backlog_local, struct local_note, void)
FL_TASK_DEFINE(backlog_local, struct local_note, void)
{
	order[__atomic_fetch_add(&ran, 1, __ATOMIC_RELAXED)] = arg->number;
	if (arg->number + LOCAL_FIRST < LOCAL_TASKS)
		FL_OK(backlog_local_submit(arg->e, (struct local_note){arg->e, arg->number + LOCAL_FIRST}, NULL));
	return 0;
}

FL_TASK(backlog_local_begin, fl_executor *, void)
{
	for (int i = 0; i < LOCAL_FIRST; i++)
		FL_OK(backlog_local_submit(*arg, (struct local_note){*arg, i}, NULL));
	return 0;
}

/* One worker submits and runs all, first beyond what its queue has room for. */
POOL_TEST(backlog_local_is_overtaken_by_a_batch, 2)
{
	begin();
	struct held held = hold_worker(e);
	FL_OK(fl_test_run_task(e, &backlog_local_begin, &e, NULL));
	FL_WAIT_FOR(LOOK(&ran) == LOCAL_TASKS);
	let_go(&held);
	FL_OK(fl_executor_wait_idle(e)); /* the last task has noted its number */
	for (int at = 0; at < LOCAL_TASKS; at++)
		FL_CHECK(at <= order[at] + 2 * BATCH);
}

static fl_event local_reached;

FL_TASK_DECLARE(backlog_endless, fl_executor *, void)
FL_TASK_DEFINE(backlog_endless, fl_executor *, void)
{
	/* -EPIPE: the case is over */
	if (!fl_event_is_set(&local_reached))
		FL_IGNORE(backlog_endless_submit(*arg, *arg, NULL));
	return 0;
}

FL_TASK(backlog_submit_and_hold, fl_executor *, void)
{
	FL_OK(pool_set_submit(*arg, &local_reached, NULL));
	fl_test_hold_until(&local_reached);
	return 0;
}

/*
 * Both workers always have tasks in their queues: so each task, in an injector and in the queue of
 * a worker that is held, is reached only in its turn.
 */
POOL_TEST(backlog_reaches_each_queue, 2)
{
	fl_event_reset(&local_reached);
	for (int i = 0; i < 4; i++)
		FL_OK(backlog_endless_submit(e, e, NULL));
	FL_OK(backlog_submit_and_hold_submit(e, e, NULL));
	FL_OK(fl_event_wait(&local_reached));
}

/*
 * The ring of the injector is full, and the event's task in the list behind it. The worker that
 * gets there has a task in its queue at each take, and so never searches.
 */
POOL_TEST(backlog_reaches_what_is_late, 2)
{
	begin();
	fl_event_reset(&local_reached);
	struct held held[2];
	hold_workers(e, held, 2);
	for (int i = 1; i < RING; i++)
		FL_OK(backlog_note_submit(e, i, NULL));
	FL_OK(backlog_endless_submit(e, e, NULL));
	FL_OK(pool_set_submit(e, &local_reached, NULL));
	let_go(&held[0]);
	FL_OK(fl_event_wait(&local_reached));
	let_go(&held[1]);
}

static int local_refused;

FL_TASK(backlog_submit_late, fl_executor *, void)
{
	SET(&local_refused, backlog_note_submit(*arg, 0, NULL));
	return 0;
}

/* A worker that exists only since the close submits no task into its queue. */
POOL_TEST(backlog_local_after_the_close, 2)
{
	struct held held[2];
	struct gate gate = {FL_EVENT_INIT, FL_EVENT_INIT};
	hold_workers(e, held, 2);
	FL_OK(pool_block_submit(e, &gate, NULL));
	FL_OK(backlog_submit_late_submit(e, e, NULL));
	fl_executor_close(e);
	let_go(&held[0]); /* its worker blocks, and another one is made */
	FL_WAIT_FOR(LOOK(&local_refused) != 0);
	assert_int_equal(LOOK(&local_refused), -EPIPE);
	fl_event_set(&gate.open);
	let_go(&held[1]);
	FL_OK(fl_executor_join(e));
}

/* Puts a task as the worker of the queue does, but does not fill its slot. */
static struct fl__mpmc_claim claim_local(struct fl__task_queue *local)
{
	struct fl__mpmc_claim claim;
	FL_OK(fl__mpmc_claim_slots(&local->ring, &local->ring.tail, 0, sizeof(void *), 1, false, &claim));
	if (claim.owes_wake)
		fl__task_queue_list(local);
	return claim;
}

static void put_local(struct fl__task_queue *local, int n)
{
	for (; n > 0; n--) {
		const struct fl__mpmc_claim claim = claim_local(local);
		fl__task_queue_fill(claim.slot, claim.at, (void *)&ran); /* no task: only its address is used */
	}
}

/* How many local queues a search visits. */
static int listed(const struct fl__backlog *b)
{
	int n = -FL__BACKLOG_INJECTORS;
	FL_EACH (i, b->listed)
		n += __builtin_popcountll(b->listed[i]);
	return n;
}

/*
 * A search visits a local queue from its first task on, until it was found empty and marked. So
 * what a worker has left when it ended is soon taken, by a worker that always has newer tasks.
 */
FL_TEST(backlog_visits_queues_with_tasks)
{
	enum { QUEUES = 200, TAKES = BATCH * BATCH * (FL__BACKLOG_INJECTORS + 2) };
	static struct fl__backlog b;
	static struct fl__task_queue queues[QUEUES];
	struct fl__task_queue *own = &queues[0], *left = &queues[QUEUES - 1];
	unsigned owes = 0;
	FL_OK(fl__backlog_init(&b, QUEUES));
	FL_EACH (i, queues)
		FL_OK(fl__local_init(&queues[i], &b));
	put_local(left, BATCH);
	for (int takes = 0; takes < TAKES; takes++) {
		if (fl__task_queue_is_empty(own))
			put_local(own, BATCH);
		assert_non_null(fl__backlog_take(&b, own, false, &owes));
	}
	assert_true(fl__task_queue_is_empty(left));
	put_local(left, BATCH);
	while (fl__backlog_take(&b, &queues[QUEUES / 2], true, &owes))
		;
	assert_null(fl__backlog_take_locked(&b));
	assert_int_equal(listed(&b), 3);
	assert_true(fl__backlog_mark(&b));
	assert_null(fl__backlog_take_locked(&b));
	assert_int_equal(listed(&b), 0);
	(void)claim_local(left);
	fl__backlog_watch(&b); /* marks it, though it is not empty */
	assert_null(fl__backlog_take_locked(&b));
	assert_int_equal(listed(&b), 1);
	assert_false(fl__backlog_mark(&b));
	FL_EACH (i, queues)
		fl__mpmc_fini(&queues[i].ring);
	fl__backlog_fini(&b);
}
