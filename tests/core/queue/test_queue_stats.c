/* SPDX-License-Identifier: BSD-2-Clause */
/* The statistics of queues. */
#include "fl_queue_kinds.h"

#include "core/queue/queue.h"
#include "fl_blocked.h"
#include "fl_queued.h"

static const int item = 7;

static void has_counted(fl_queue *q, size_t to_put, size_t to_get, size_t refusals)
{
	fl_stats_queue stats;
	fl_queue_stats(q, &stats);
	assert_int_equal(stats.length, fl_queue_length(q));
	assert_int_equal(stats.capacity, fl_queue_capacity(q));
	assert_int_equal(stats.waits_to_put, to_put);
	assert_int_equal(stats.waits_to_get, to_get);
	assert_int_equal(stats.refusals, refusals);
}

QUEUE_TEST_ON(queue_stats_count_waits_and_refusals, 1, 1)
{
	struct blocked b = {.op = NULL};
	has_counted(q, 0, 0, 0);
	FL_RC(fl_queue_try_put(q, &item), -EAGAIN);
	FL_MANY(-EAGAIN, 0, fl_queue_try_put_many, q, &item, 1);
	has_counted(q, 0, 0, 2);
	FL_RC(fl_queue_put_until(q, &item, fl_test_soon(), NULL), -ETIMEDOUT);
	has_counted(q, 1, 0, 3);
	FL_RC(fl_queue_put_until(q, &item, FL_FOREVER, fl_test_requested), -ECANCELED);
	blocked_on(q, op_put, &b);
	has_counted(q, 3, 0, 3);
	GETS(q, 1);
	FL_OK(blocked_end(&b));
	GETS(q, 0);
	has_counted(q, 3, 0, 3);
	int got;
	FL_RC(fl_queue_try_get(q, &got), -EAGAIN);
	blocked_on(q, op_observe, &b);
	has_counted(q, 3, 0, 3);
	FL_OK(fl_queue_put(q, &item));
	FL_OK(blocked_end(&b));
	GETS(q, item);
	blocked_on(q, op_get, &b);
	has_counted(q, 3, 1, 3);
	fl_queue_close(q);
	FL_RC(blocked_end(&b), -EPIPE);
	FL_RC(fl_queue_try_put(q, &item), -EPIPE);
	has_counted(q, 3, 1, 3);
}

static fl_queue *stolen_from;

static void steal(void)
{
	GETS(stolen_from, item);
}

/* A consumer that was woken for an item and has not got it waits on. */
QUEUE_TEST_WITH(QUEUE_TEST_MANY, queue_stats_count_a_wait_once, 1, 0)
{
	struct blocked get;
	blocked_on(q, op_get, &get);
	const unsigned sleepers = seam_sleepers();
	stolen_from = q;
	seam_on_wake = steal;
	FL_OK(fl_queue_put(q, &item));
	FL_WAIT_FOR(seam_sleepers() == sleepers && fl_test_queued(fl__queue_wait_key(q, FL__CONSUMERS)) == 1);
	has_counted(q, 0, 1, 0);
	FL_OK(fl_queue_put(q, &item));
	FL_OK(blocked_end(&get));
	has_counted(q, 0, 1, 0);
}

FL_TEST(queue_stats_of_a_rendezvous)
{
	struct blocked b;
	queue_kind = A_RING;
	FL_SCOPED(fl_queue) *q = queue_with(FL_RENDEZVOUS, 0);
	FL_RC(fl_queue_try_put(q, &item), -EAGAIN);
	blocked_on(q, op_put, &b);
	has_counted(q, 1, 0, 1);
	GETS(q, 0);
	FL_OK(blocked_end(&b));
	blocked_on(q, op_get, &b);
	FL_OK(fl_queue_put(q, &item));
	FL_OK(blocked_end(&b));
	blocked_on(q, op_observe, &b);
	fl_queue_close(q);
	FL_OK(blocked_end(&b));
	has_counted(q, 1, 1, 1);
}

FL_TEST(queue_stats_where_nothing_is_refused)
{
	const fl_queue_config kinds[] = {{.capacity = 1, .when_full = FL_OVERWRITE}, {.capacity = FL_UNBOUNDED}};
	queue_kind = A_RING;
	FL_EACH (i, kinds) {
		struct blocked get;
		FL_SCOPED(fl_queue) *q = FL_TEST_QUEUE_OF(sizeof item, &kinds[i]);
		blocked_on(q, op_get, &get);
		for (int n = 0; n < 3; n++)
			FL_OK(fl_queue_put(q, &item));
		FL_OK(blocked_end(&get));
		has_counted(q, 0, 1, 0);
	}
}
