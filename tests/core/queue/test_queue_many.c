/* SPDX-License-Identifier: BSD-2-Clause */
/* The bulk forms of the queue: partial results, order, blocking, and the waiters that they wake. */
#include "fl_queue_kinds.h"

#include "fl_blocked.h"

QUEUE_TEST_ON(queue_many_of_nothing_does_nothing, 2, 1)
{
	size_t count = 77;
	FL_MANY(0, 0, fl_queue_put_many, q, NULL, 0);
	FL_MANY(0, 0, fl_queue_try_put_many, q, NULL, 0);
	FL_OK(fl_queue_put_many_until(q, NULL, 0, &count, FL_FOREVER, NULL));
	assert_int_equal(count, 0);
	count = 77;
	FL_MANY(0, 0, fl_queue_get_many, q, NULL, 0);
	FL_MANY(0, 0, fl_queue_try_get_many, q, NULL, 0);
	FL_OK(fl_queue_get_many_until(q, NULL, 0, &count, FL_FOREVER, NULL));
	assert_int_equal(count, 0);
	GETS(q, 1);
	FL_MANY(0, 0, fl_queue_get_many, q, NULL, 0); /* empty: it does not wait either */
	FL_OK(fl_queue_get_many_until(q, NULL, 0, &count, FL_FOREVER, NULL));
	assert_int_equal(fl_queue_length(q), 0);
}

QUEUE_TEST_ON(queue_put_many_until_says_how_many_went_in, 3, 1)
{
	const int items[] = {2, 3, 4, 5};
	size_t count = 77;
	FL_RC(fl_queue_put_many_until(q, items, 4, &count, FL_NO_WAIT, NULL), -ETIMEDOUT);
	assert_int_equal(count, 2);
	FL_RC(fl_queue_put_many_until(q, items + count, 2, &count, fl_after(FL_MS(2)), NULL), -ETIMEDOUT);
	assert_int_equal(count, 0);
	GETS(q, 1);
	FL_RC(fl_queue_put_many_until(q, items + 2, 2, &count, FL_FOREVER, fl_test_requested), -ECANCELED);
	assert_int_equal(count, 1);
	GETS(q, 2);
	FL_OK(fl_queue_put_many_until(q, items + 3, 1, &count, FL_FOREVER, fl_test_requested));
	assert_int_equal(count, 1);
	fl_queue_close(q);
	FL_RC(fl_queue_put_many_until(q, items, 4, &count, FL_FOREVER, NULL), -EPIPE);
	assert_int_equal(count, 0);
	FL_MANY(-EPIPE, 0, fl_queue_put_many, q, items, 4);
	FL_MANY(-EPIPE, 0, fl_queue_try_put_many, q, items, 4);
	for (int i = 3; i <= 5; i++)
		GETS(q, i);
}

QUEUE_TEST_ON(queue_get_many_until_says_how_many_came_out, 8, 5)
{
	int items[8] = {0};
	size_t count = 77;
	FL_OK(fl_queue_get_many_until(q, items, 3, &count, FL_NO_WAIT, NULL));
	assert_int_equal(count, 3);
	assert_int_equal(items[2], 3);
	/* The available ones. */
	FL_OK(fl_queue_get_many_until(q, items, 8, &count, FL_FOREVER, NULL));
	assert_int_equal(count, 2);
	assert_int_equal(items[1], 5);
	FL_RC(fl_queue_get_many_until(q, items, 8, &count, FL_NO_WAIT, NULL), -ETIMEDOUT);
	assert_int_equal(count, 0);
	count = 77;
	FL_RC(fl_queue_get_many_until(q, items, 8, &count, FL_FOREVER, fl_test_requested), -ECANCELED);
	assert_int_equal(count, 0);
	PUTS(q, 6);
	fl_queue_close(q);
	FL_OK(fl_queue_get_many_until(q, items, 8, &count, FL_FOREVER, NULL));
	assert_int_equal(count, 1);
	count = 77;
	FL_RC(fl_queue_get_many_until(q, items, 8, &count, FL_FOREVER, NULL), -EPIPE);
	assert_int_equal(count, 0);
	FL_MANY(-EPIPE, 0, fl_queue_get_many, q, items, 8);
	FL_MANY(-EPIPE, 0, fl_queue_try_get_many, q, items, 8);
	assert_int_equal(items[0], 6);
}

QUEUE_TEST_ON(queue_get_many_blocks_until_there_is_one, 4, 0)
{
	struct blocked get = {.op = op_get_many, .q = q, .n = 8};
	blocked_begin(&get);
	PUTS(q, 1);
	FL_OK(blocked_end(&get));
	assert_int_equal(get.count, 1);
	assert_int_equal(get.items[0], 1);
	struct blocked until = {.op = op_get_many_until, .q = q, .n = 8, .deadline = fl_after(FL_S(3600))};
	blocked_begin(&until);
	FL_MANY(0, 3, fl_queue_try_put_many, q, (int[]){2, 3, 4}, 3);
	FL_OK(blocked_end(&until));
	assert_int_equal(until.count, 3); /* they came at once, so they are got at once */
	assert_int_equal(until.items[2], 4);
}

/* What went in before the end is in; the rest is the caller's. */
QUEUE_TEST_ON(queue_put_many_is_partial_when_it_ends_early, 3, 0)
{
	FL_SCOPED(fl_cancel_token) stop = FL_CANCEL_TOKEN_INIT;
	struct blocked put = {.op = op_put_many_until, .q = q, .cancel = &stop, .items = {1, 2, 3, 4, 5}, .n = 5};
	blocked_begin(&put);
	GETS(q, 1);
	FL_WAIT_FOR(fl_queue_length(q) == 3 && seam_sleepers() == 1);
	fl_cancel_token_request(&stop);
	FL_RC(blocked_end(&put), -ECANCELED);
	assert_int_equal(put.count, 4);

	struct blocked plain = {.op = op_put_many, .q = q, .items = {6, 7, 8}, .n = 3};
	GETS(q, 2);
	blocked_begin(&plain);
	fl_queue_close(q);
	FL_RC(blocked_end(&plain), -EPIPE);
	assert_int_equal(plain.count, 1);
	GETS(q, 3);
	GETS(q, 4);
	GETS(q, 6);
	FL_RC(fl_queue_try_get(q, &(int){0}), -EPIPE);
}

QUEUE_TEST_ON(queue_get_many_of_a_cancelled_scope_is_none, 3, 0)
{
	FL_SCOPED(fl_cancel_token) stop = FL_CANCEL_TOKEN_INIT;
	struct blocked get = {.op = op_get_many, .q = q, .n = 3, .count = 77, .scope = &stop};
	blocked_begin(&get);
	fl_cancel_token_request(&stop);
	FL_RC(blocked_end(&get), -ECANCELED);
	assert_int_equal(get.count, 0);
	struct blocked closed = {.op = op_get_many, .q = q, .n = 3, .count = 77};
	blocked_begin(&closed);
	fl_queue_close(q);
	FL_RC(blocked_end(&closed), -EPIPE);
	assert_int_equal(closed.count, 0);
}

/*
 * One bulk get makes space for several puts: each of them goes on. test_queue_wakes.c has the gets.
 */
QUEUE_TEST_MANY(queue_many_wakes_a_waiter_for_each_item)
{
	enum { N = 4 };
	FL_SCOPED(fl_queue) *q = queue_with(N, N);
	struct blocked put[N];
	int items[N];
	FL_EACH (i, put) {
		put[i] = (struct blocked){.op = op_put, .q = q, .items = {10 + i}};
		blocked_begin(&put[i]);
	}
	FL_MANY(0, N, fl_queue_try_get_many, q, items, N);
	FL_EACH (i, put)
		FL_OK(blocked_end(&put[i]));
	FL_MANY(0, N, fl_queue_try_get_many, q, items, N);
	assert_int_equal(items[0] + items[1] + items[2] + items[3], 10 + 11 + 12 + 13);
}

QUEUE_TEST_ON(queue_many_counts_each_item_for_join, 4, 0)
{
	int items[4] = {1, 2, 3, 4};
	FL_MANY(0, 3, fl_queue_put_many, q, items, 3);
	FL_MANY(0, 3, fl_queue_get_many, q, items, 4);
	for (int i = 0; i < 3; i++) {
		FL_RC(fl_queue_join_until(q, FL_NO_WAIT, FL_SHIELDED), -ETIMEDOUT);
		fl_queue_task_done(q);
	}
	FL_OK(fl_queue_join_until(q, FL_NO_WAIT, FL_SHIELDED));
	FL_PANICS(fl_queue_task_done(q));
}
