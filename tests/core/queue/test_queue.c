/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The queue in one thread: create and free, order, sizes, the three forms, operations that succeed
 * at once.
 */
#include "fl_queue_kinds.h"

#include "core/queue/queue.h"
#include "fl_blocked.h"

QUEUE_TEST_RINGS(queue_create_refuses_a_bad_config)
{
	char somewhere;
	fl_queue *const untouched = (fl_queue *)(void *)&somewhere, *q = untouched;
	FL_RC(fl_queue_create(&q, 0, NULL), -EINVAL);
	FL_RC(fl_queue_create(&q, 0, &(fl_queue_config){.capacity = 3}), -EINVAL);
	FL_RC(fl_queue_create(&q, 8, &(fl_queue_config){.order = (fl_queue_order)99}), -EINVAL);
	FL_RC(fl_queue_create(&q, 2, &(fl_queue_config){.capacity = SIZE_MAX - 2}), -EOVERFLOW);
	for (int negative = -1; negative > -3; negative--)
		for (int order = FL_FIFO; order <= FL_LIFO; order++)
			FL_RC(fl_queue_create(
				  &q, 1,
				  &(fl_queue_config){.capacity = (size_t)negative, .order = (fl_queue_order)order}),
			      -EOVERFLOW);
	FL_RC(fl_queue_create(&q, 2, &(fl_queue_config){.capacity = FL_UNBOUNDED, .when_full = FL_OVERWRITE}), -EINVAL);
	FL_RC(fl_queue_create(&q, PTRDIFF_MAX / 8, &(fl_queue_config){.capacity = FL_UNBOUNDED}), -EOVERFLOW);
	FL_RC(fl_queue_create(&q, 1, &(fl_queue_config){.capacity = (size_t)PTRDIFF_MAX + 1}), -EOVERFLOW);
	FL_RC(fl_queue_create(&q, SIZE_MAX / 2, &(fl_queue_config){.capacity = 2}), -EOVERFLOW);
	FL_RC(fl_queue_create(&q, SIZE_MAX, &(fl_queue_config){.capacity = FL_RENDEZVOUS}), -EOVERFLOW);
	FL_RC(fl_queue_create(&q, 16, &(fl_queue_config){.capacity = PTRDIFF_MAX / 16 + 1}), -EOVERFLOW);
	FL_RC(fl_queue_create(&q, PTRDIFF_MAX / 1024 + 1, NULL), -EOVERFLOW);
	assert_ptr_equal(q, untouched);
}

/*
 * Beyond 32-bit numbers of items, laps and positions; through a ring that is no power of two. The
 * ring of a pair has no laps.
 */
FL_TEST(queue_index_wrap_2_32)
{
	enum { CAPACITY = 1003, LAP = 1024 };
	queue_kind = A_RING;
	const uint64_t laps[] = {UINT32_MAX / LAP / 4, UINT32_MAX / LAP, UINT32_MAX / CAPACITY, UINT32_MAX};
	FL_EACH (k, laps) {
		FL_SCOPED(fl_queue) *q = FL_TEST_QUEUE(int, .capacity = CAPACITY);
		struct fl_mpmc *ring = fl__queue_as_mpmc(q);
		fl__mpmc_fini(ring);
		FL_OK(fl__mpmc_init(ring, sizeof(int), CAPACITY, laps[k] - 1));
		const uint64_t before = fl__mpmc_puts(ring);
		q->done = 2 * before;
		const int put = fl_fill_ten_times(q, CAPACITY);
		assert_int_equal(fl__mpmc_puts(ring) - before, put);
	}
}

QUEUE_TEST(queue_capacity_by_default)
{
	FL_SCOPED(fl_queue) *by_default = NULL, *zero = NULL;
	by_default = FL_TEST_QUEUE_OF(1, NULL);
	assert_int_equal(fl_queue_capacity(by_default), 1024);
	zero = FL_TEST_QUEUE_OF(1, &(fl_queue_config){.capacity = 0, .order = FL_FIFO});
	assert_int_equal(fl_queue_capacity(zero), 1024);
}

QUEUE_TEST_RINGS_ON(queue_put_in_three_forms, 4, 0)
{
	FL_OK(fl_queue_put(q, &(int){1}));
	FL_OK(fl_queue_try_put(q, &(int){2}));
	FL_OK(fl_queue_put_until(q, &(int){3}, FL_FOREVER, NULL));
	/* There is space: the deadline does not matter. */
	FL_OK(fl_queue_put_until(q, &(int){4}, FL_NO_WAIT, NULL));
	FL_RC(fl_queue_try_put(q, &(int){5}), -EAGAIN);
	FL_RC(fl_queue_put_until(q, &(int){5}, FL_NO_WAIT, NULL), -ETIMEDOUT);
	FL_RC(fl_queue_put_until(q, &(int){5}, FL_NO_WAIT, NULL), -ETIMEDOUT);
	FL_RC(fl_queue_put_until(q, &(int){5}, FL_NO_WAIT, FL_SHIELDED), -ETIMEDOUT);
	FL_RC(fl_queue_put_until(q, &(int){5}, fl_now(), NULL), -ETIMEDOUT);
	for (int i = 1; i <= 4; i++) {
		int item = 0;
		FL_OK(fl_queue_get(q, &item));
		assert_int_equal(item, i);
	}
	fl_queue_close(q);
	FL_RC(fl_queue_put(q, &(int){6}), -EPIPE);
	FL_RC(fl_queue_try_put(q, &(int){6}), -EPIPE);
	FL_RC(fl_queue_put_until(q, &(int){6}, FL_FOREVER, NULL), -EPIPE);
	FL_RC(fl_queue_put_until(q, &(int){6}, FL_NO_WAIT, NULL), -EPIPE);
	assert_int_equal(fl_queue_length(q), 0);
}

QUEUE_TEST_RINGS_ON(queue_get_in_three_forms, 9, 0)
{
	int item = 77;
	FL_RC(fl_queue_try_get(q, &item), -EAGAIN);
	FL_RC(fl_queue_get_until(q, &item, FL_NO_WAIT, NULL), -ETIMEDOUT);
	FL_RC(fl_queue_get_until(q, &item, FL_NO_WAIT, NULL), -ETIMEDOUT);
	FL_RC(fl_queue_get_until(q, &item, fl_now(), FL_SHIELDED), -ETIMEDOUT);
	assert_int_equal(item, 77);
	for (int i = 1; i <= 5; i++)
		FL_OK(fl_queue_put(q, &i));
	FL_OK(fl_queue_get(q, &item));
	assert_int_equal(item, 1);
	FL_OK(fl_queue_try_get(q, &item));
	assert_int_equal(item, 2);
	FL_OK(fl_queue_get_until(q, &item, FL_FOREVER, NULL));
	assert_int_equal(item, 3);
	/* There is an item: the deadline does not matter. */
	FL_OK(fl_queue_get_until(q, &item, FL_NO_WAIT, NULL));
	assert_int_equal(item, 4);
	fl_queue_close(q);
	FL_OK(fl_queue_get(q, &item)); /* an item in the queue can be got */
	assert_int_equal(item, 5);
	FL_RC(fl_queue_get(q, &item), -EPIPE);
	FL_RC(fl_queue_try_get(q, &item), -EPIPE);
	FL_RC(fl_queue_get_until(q, &item, FL_FOREVER, NULL), -EPIPE);
	FL_RC(fl_queue_get_until(q, &item, FL_NO_WAIT, NULL), -EPIPE);
	assert_int_equal(item, 5);
}

QUEUE_TEST_RINGS_ON(queue_under_a_requested_token_does_what_can_be_done_at_once, 1, 0)
{
	int item = 77;
	FL_RC(fl_queue_get_until(q, &item, FL_FOREVER, fl_test_requested), -ECANCELED);
	FL_OK(fl_queue_put_until(q, &(int){1}, FL_FOREVER, fl_test_requested));
	FL_RC(fl_queue_put_until(q, &(int){2}, FL_FOREVER, fl_test_requested), -ECANCELED);
	FL_RC(fl_queue_join_until(q, FL_FOREVER, fl_test_requested), -ECANCELED);
	assert_int_equal(item, 77);
	FL_OK(fl_queue_get_until(q, &item, FL_FOREVER, fl_test_requested));
	assert_int_equal(item, 1);
	fl_queue_task_done(q);
	FL_OK(fl_queue_join_until(q, FL_FOREVER, fl_test_requested));

	FL_SCOPED(fl_cancel_token) timer = FL_CANCEL_TOKEN_INIT;
	fl_cancel_token_init(&timer, FL_SHIELDED, fl_now());
	/* By the token's own deadline. */
	FL_RC(fl_queue_get_until(q, &item, FL_FOREVER, &timer), -ECANCELED);
}

QUEUE_TEST_RINGS_ON(queue_plain_forms_observe_the_scope, 1, 0)
{
	FL_CANCEL_SCOPE(fl_test_requested);
	int item = 77;
	FL_RC(fl_queue_get(q, &item), -ECANCELED);
	FL_RC(fl_queue_get_until(q, &item, FL_FOREVER, NULL), -ECANCELED);
	FL_RC(fl_queue_get_until(q, &item, FL_NO_WAIT, FL_SHIELDED), -ETIMEDOUT);
	FL_MANY(-ECANCELED, 0, fl_queue_get_many, q, &item, 1);
	PUTS(q, 1);
	FL_RC(fl_queue_put(q, &(int){2}), -ECANCELED);
	FL_RC(fl_queue_put_until(q, &(int){2}, FL_FOREVER, NULL), -ECANCELED);
	FL_RC(fl_queue_put_until(q, &(int){2}, FL_NO_WAIT, FL_SHIELDED), -ETIMEDOUT);
	FL_MANY(-ECANCELED, 0, fl_queue_put_many, q, &(int){2}, 1);
	FL_RC(fl_queue_join_until(q, FL_FOREVER, NULL), -ECANCELED);
	FL_RC(fl_queue_join_until(q, FL_NO_WAIT, FL_SHIELDED), -ETIMEDOUT);
	assert_int_equal(item, 77);
	assert_int_equal(fl_queue_length(q), 1);
}

QUEUE_TEST_RINGS(queue_frees_nothing_for_null)
{
	long before = seam_live_allocs();
	fl_queue_free(NULL);
	FL_SCOPED(fl_queue) *none = NULL;
	assert_null(none);
	assert_int_equal(seam_live_allocs(), before);
}

QUEUE_TEST_RINGS(queue_scoped_is_freed_at_the_end_of_its_block)
{
	long before = seam_live_allocs();
	for (int i = 0; i < 3; i++) {
		FL_SCOPED(fl_queue) *q = FL_TEST_QUEUE_OF(100, NULL);
		if (i == 1)
			continue;
		assert_true(seam_live_allocs() > before);
	}
	assert_int_equal(seam_live_allocs(), before);
}

QUEUE_TEST_RINGS_ON(queue_counts_what_is_not_dealt_with, 0, 0)
{
	int item;
	FL_OK(fl_queue_join_until(q, FL_NO_WAIT, FL_SHIELDED));
	FL_OK(fl_queue_join(q)); /* nothing was ever put */
	PUTS(q, 1);
	FL_RC(fl_queue_join_until(q, FL_NO_WAIT, FL_SHIELDED), -ETIMEDOUT);
	PUTS(q, 2);
	FL_OK(fl_queue_get(q, &item));
	FL_OK(fl_queue_get(q, &item));
	FL_RC(fl_queue_join_until(q, FL_NO_WAIT, FL_SHIELDED), -ETIMEDOUT); /* got, but not dealt with */
	fl_queue_task_done(q);
	FL_RC(fl_queue_join_until(q, FL_NO_WAIT, FL_SHIELDED), -ETIMEDOUT);
	FL_RC(fl_queue_join_until(q, FL_NO_WAIT, NULL), -ETIMEDOUT);
	fl_queue_task_done(q);
	FL_OK(fl_queue_join_until(q, FL_NO_WAIT, FL_SHIELDED));
	FL_OK(fl_queue_join(q));
	FL_OK(fl_queue_join_until(q, FL_NO_WAIT, NULL));
	PUTS(q, 3); /* and it counts again */
	FL_RC(fl_queue_join_until(q, FL_NO_WAIT, FL_SHIELDED), -ETIMEDOUT);
	fl_queue_close(q);
	FL_RC(fl_queue_join_until(q, FL_NO_WAIT, FL_SHIELDED),
	      -ETIMEDOUT); /* the items of a closed queue still have to be done */
	FL_OK(fl_queue_get(q, &item));
	fl_queue_task_done(q);
	FL_OK(fl_queue_join(q));
}

QUEUE_TEST_RINGS(queue_unfinished_counts_what_a_join_waits_for)
{
	static const fl_queue_config configs[] = {
	    {.capacity = 4},
	    {.capacity = 4, .one_producer = true, .one_consumer = true},
	    {.capacity = 4, .order = FL_LIFO},
	    {.capacity = FL_UNBOUNDED},
	    {.capacity = FL_UNBOUNDED, .order = FL_LIFO},
	    {.capacity = FL_UNBOUNDED, .one_consumer = true},
	};
	FL_EACH (i, configs) {
		FL_SCOPED(fl_queue) *q = FL_TEST_QUEUE_OF(sizeof(int), &configs[i]);
		int item;
		assert_int_equal(fl_queue_unfinished(q), 0);
		for (int n = 1; n <= 4; n++) {
			FL_OK(fl_queue_put(q, &n));
			assert_int_equal(fl_queue_unfinished(q), n);
		}
		FL_OK(fl_queue_get(q, &item));
		assert_int_equal(fl_queue_unfinished(q), 4); /* got, but not dealt with */
		fl_queue_task_done(q);
		assert_int_equal(fl_queue_unfinished(q), 3);
		fl_queue_close(q);
		FL_RC(fl_queue_put(q, &item), -EPIPE);
		assert_int_equal(fl_queue_unfinished(q), 3);
		FL_OK(fl_queue_get(q, &item));
		assert_int_equal(fl_queue_close_now(q), 2); /* dropped items count as done */
		assert_int_equal(fl_queue_unfinished(q), 1);
		fl_queue_task_done(q);
		assert_int_equal(fl_queue_unfinished(q), 0);
		FL_OK(fl_queue_join_until(q, FL_NO_WAIT, FL_SHIELDED));
	}
}

QUEUE_TEST_RINGS_ON(queue_task_done_too_often_panics, 0, 0)
{
	FL_PANICS_OF("fl_queue_task_done", q, fl_queue_task_done(q));
	assert_true(strlen(fl_test_panic.reason) > 0);
	int item;
	PUTS(q, 1); /* the queue is as it was */
	FL_OK(fl_queue_get(q, &item));
	fl_queue_task_done(q);
	FL_PANICS(fl_queue_task_done(q));
	FL_OK(fl_queue_join_until(q, FL_NO_WAIT, FL_SHIELDED));
}

QUEUE_TEST_RINGS_ON(queue_try_task_done_reports_one_too_many, 0, 0)
{
	FL_RC(fl_queue_try_task_done(q), -EINVAL);
	PUTS(q, 1);
	FL_RC(fl_queue_join_until(q, FL_NO_WAIT, FL_SHIELDED), -ETIMEDOUT);
	FL_OK(fl_queue_try_task_done(q));
	FL_OK(fl_queue_join_until(q, FL_NO_WAIT, FL_SHIELDED));
	FL_RC(fl_queue_try_task_done(q), -EINVAL);
	PUTS(q, 2); /* the queue is as it was */
	FL_RC(fl_queue_join_until(q, FL_NO_WAIT, FL_SHIELDED), -ETIMEDOUT);
	assert_int_equal(fl_queue_close_now(q), 2);
	FL_RC(fl_queue_try_task_done(q), -EINVAL);
}

QUEUE_TEST_RINGS_ON(queue_task_done_may_come_before_the_get, 0, 0)
{
	PUTS(q, 1);
	PUTS(q, 2);
	fl_queue_task_done(q);
	fl_queue_task_done(q);
	FL_PANICS(fl_queue_task_done(q));
	FL_OK(fl_queue_join_until(q, FL_NO_WAIT, FL_SHIELDED));
	assert_int_equal(fl_queue_close_now(q), 2); /* dropped items count as done: not twice */
	FL_OK(fl_queue_join_until(q, FL_NO_WAIT, FL_SHIELDED));
	FL_PANICS(fl_queue_task_done(q));
}
