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

/* Closed while the list is not empty: its tasks run, or are cancelled. */
FL_TEST(backlog_closed_with_a_list)
{
	for (int cancel = 0; cancel <= 1; cancel++) {
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
		FL_SCOPED(fl_future) *f = NULL;
		FL_OK(pool_double_submit(*arg, i, &f));
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
