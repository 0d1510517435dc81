/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A worker that meets another at the ring pauses before its next take. The other is a hook in the
 * pause of a worker that has found no task after several.
 */
#include "core/thread_pool/thread_pool.h"
#include "fl_faults.h"
#include "fl_test.h"

static struct fl__thread_pool *pool;
static fl_event begin, last_ended;
static unsigned pauses[2], turns;
static bool is_armed, met;

FL_TASK_STATIC(wait_to_begin, void, void)
{
	return fl_event_wait(&begin);
}

FL_TASK_STATIC(nothing, void, void)
{
	return 0;
}

FL_TASK_STATIC(arm, void, void)
{
	is_armed = true;
	return 0;
}

/* Nobody meets its take. */
FL_TASK_STATIC(after_pause, void, void)
{
	pauses[1] = pool->workers->pause;
	FL_CHECK(turns == pauses[0]);
	fl_event_set(&last_ended);
	return 0;
}

FL_TASK_STATIC(after_meeting, void, void)
{
	pauses[0] = pool->workers->pause;
	turns = 0;
	return after_pause_submit(&pool->base, NULL);
}

/* In the worker's pause: submits two tasks, and takes the first, which was cancelled. */
static void meet(void)
{
	fl_future *f;
	met = true;
	FL_CHECK(nothing_submit(&pool->base, &f) == 0);
	FL_CHECK(fl_future_cancel(f) == 0);
	fl_future_free(f);
	FL_CHECK(after_meeting_submit(&pool->base, NULL) == 0);
	struct fl__task_block *block = fl__backlog_take(&pool->backlog);
	FL_CHECK(block && fl__future_claim(&block->future) == FL__CLAIM_LOST);
	fl_future_free(&block->future);
}

static void count_relax(void)
{
	if (!fl__ctx_current || !fl__ctx_current->worker || !is_armed)
		return;
	turns++;
	if (!met)
		meet();
}

FL_TEST(pool_worker_pauses_after_it_met_another)
{
	FL_FAULTS();
	fl_executor *e;
	fl__sys.relax = count_relax;
	begin = last_ended = (fl_event)FL_EVENT_INIT;
	FL_OK(fl_thread_executor_create(&e, &(fl_executor_config){.workers = 1}));
	pool = (struct fl__thread_pool *)(void *)e;
	FL_OK(wait_to_begin_submit(e, NULL));
	FL_OK(nothing_submit(e, NULL));
	FL_OK(nothing_submit(e, NULL));
	FL_OK(arm_submit(e, NULL));
	fl_event_set(&begin);
	FL_OK(fl_event_wait(&last_ended));
	fl_executor_free(e);
	assert_true(pauses[0] > 0);
	assert_int_equal(pauses[1], 0);
}
