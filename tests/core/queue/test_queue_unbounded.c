/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The unbounded queue in one thread: never full, out of memory, batches, close; and the memory that
 * it frees.
 */
#include "core/queue/queue.h"
#include "fl_seam.h"

/* By their orders, and FIFO for one consumer. */
enum { KINDS = 4 };

static fl_queue *unbounded(int order, size_t item_size, void (*drop)(void *item, void *arg), void *arg)
{
	return FL_TEST_QUEUE_OF(item_size, &(fl_queue_config){.capacity = FL_UNBOUNDED,
	                                                      .order = (fl_queue_order)(order % 3),
	                                                      .one_consumer = order == 3,
	                                                      .compare = order == FL_PRIORITY ? fl_test_by_value : NULL,
	                                                      .drop = drop,
	                                                      .drop_arg = arg});
}

/* Which of `n` items, put as 0, 1, ..., comes out as number `i`. */
static int expected(int order, int n, int i)
{
	return order == FL_LIFO ? n - 1 - i : i;
}

FL_TEST(queue_unbounded_is_never_full)
{
	enum { MANY = 10000 };
	for (int order = 0; order < KINDS; order++) {
		FL_SCOPED(fl_queue) *q = unbounded(order, sizeof(int), NULL, NULL);
		assert_true(fl_queue_capacity(q) == FL_UNBOUNDED);
		for (int i = 0; i < MANY; i++) {
			assert_int_equal(fl_queue_length(q), i);
			FL_OK(i % 3 == 0   ? fl_queue_put(q, &i)
			      : i % 3 == 1 ? fl_queue_try_put(q, &i)
			                   : fl_queue_put_until(q, &i, FL_NO_WAIT, NULL));
		}
		for (int i = 0, item; i < MANY; i++) {
			FL_OK(i % 2 ? fl_queue_get(q, &item) : fl_queue_try_get(q, &item));
			assert_int_equal(item, expected(order, MANY, i));
		}
		int item = 77;
		FL_RC(fl_queue_try_get(q, &item), -EAGAIN);
		FL_RC(fl_queue_get_until(q, &item, FL_NO_WAIT, NULL), -ETIMEDOUT);
		assert_int_equal(item, 77);
	}
}

FL_TEST(queue_unbounded_batches)
{
	enum { MANY = 3000 };
	static int items[MANY], got[MANY];
	FL_EACH (i, items)
		items[i] = i;
	for (int order = 0; order < KINDS; order++) {
		FL_SCOPED(fl_queue) *q = unbounded(order, sizeof(int), NULL, NULL);
		size_t count = 77;
		FL_MANY(0, 0, fl_queue_try_put_many, q, items, 0);
		FL_MANY(0, 1000, fl_queue_put_many, q, items, 1000);
		FL_MANY(0, 1000, fl_queue_try_put_many, q, items + 1000, 1000);
		FL_OK(fl_queue_put_many_until(q, items + 2000, 1000, &count, FL_NO_WAIT, NULL));
		assert_int_equal(count, 1000);
		for (size_t n = 0; n < MANY; n += count) {
			FL_OK(fl_queue_get_many_until(q, got + n, MANY - n, &count, FL_NO_WAIT, NULL));
			assert_true(count > 0 && count <= MANY - n);
		}
		FL_EACH (i, got)
			assert_int_equal(got[i], expected(order, MANY, i));
		FL_MANY(-EAGAIN, 0, fl_queue_try_get_many, q, got, 3);
	}
}

/*
 * A put that is out of memory has put nothing, and the queue keeps working; a batch puts the items
 * that fit.
 */
FL_TEST(queue_unbounded_put_without_memory)
{
	for (int order = 0; order < KINDS; order++) {
		FL_SCOPED(fl_queue) *q = unbounded(order, sizeof(int), NULL, NULL);
		static int items[4000], got[8000];
		size_t count = 77;
		int in = 0, item = -5;
		FL_OK(fl_queue_put(q, &in));
		in++;
		seam_fail_allocs(0, 1000);
		int rc;
		while ((rc = fl_queue_try_put(q, &in)) == 0)
			in++;
		FL_RC(rc, -ENOMEM);
		for (int i = 0; i < 3; i++) {
			FL_RC(fl_queue_put(q, &item), -ENOMEM);
			FL_RC(fl_queue_put_until(q, &item, FL_FOREVER, NULL), -ENOMEM);
			FL_RC(fl_queue_try_put(q, &item), -ENOMEM);
			FL_MANY(-ENOMEM, 0, fl_queue_put_many, q, items, 2);
			FL_MANY(-ENOMEM, 0, fl_queue_try_put_many, q, items, 2);
			FL_RC(fl_queue_put_many_until(q, items, 2, &count, FL_FOREVER, NULL), -ENOMEM);
			assert_int_equal(count, 0);
		}
		assert_int_equal(fl_queue_length(q), in);
		FL_RC(fl_queue_join_until(q, FL_NO_WAIT, FL_SHIELDED), -ETIMEDOUT);
		(void)seam_heal();
		FL_EACH (i, items)
			items[i] = in + i;
		FL_MANY(0, 4000, fl_queue_put_many, q, items, 4000);
		in += 4000;
		for (int n = 0; n < in; n += (int)count) {
			FL_OK(fl_queue_get_many_until(q, got + n, (size_t)(in - n), &count, FL_NO_WAIT, NULL));
			for (size_t i = 0; i < count; i++)
				fl_queue_task_done(q);
		}
		for (int i = 0; i < in; i++)
			assert_int_equal(got[i], expected(order, in, i));
		FL_OK(fl_queue_join_until(q, FL_NO_WAIT, FL_SHIELDED));
	}
}

static void add(void *item, void *sum)
{
	*(long *)sum += *(int *)item;
}

/* Dropped once, by the close or the free, and done. */
FL_TEST(queue_unbounded_drops_what_is_left)
{
	for (int order = 0; order < KINDS; order++) {
		fl_queue *first = unbounded(order, sizeof(int), NULL, NULL);
		FL_OK(fl_queue_put(first, &(int){1})); /* gives this thread what it keeps */
		fl_queue_free(first);
		for (int n = 0; n < 2000; n = n * 2 + 1) {
			long sum = 0, before = seam_live_allocs();
			int item = 0;
			fl_queue *q = unbounded(order, sizeof(int), add, &sum);
			for (int i = 0; i < n; i++)
				FL_OK(fl_queue_put(q, &i));
			if (n > 0) {
				FL_OK(fl_queue_get(q, &item));
				FL_RC(fl_queue_join_until(q, FL_NO_WAIT, FL_SHIELDED), -ETIMEDOUT);
				fl_queue_task_done(q);
			}
			if (n % 4 == 3) {
				assert_int_equal(fl_queue_close_now(q), n - 1);
				FL_OK(fl_queue_join(q));
				FL_RC(fl_queue_put(q, &item), -EPIPE);
				FL_RC(fl_queue_get(q, &item), -EPIPE);
				FL_MANY(-EPIPE, 0, fl_queue_put_many, q, &item, 1);
				FL_OK(fl_queue_join(q)); /* what was refused does not count */
				assert_int_equal(sum, (long)n * (n - 1) / 2 - item);
			}
			fl_queue_free(q);
			assert_int_equal(sum, (long)n * (n - 1) / 2 - item);
			assert_int_equal(seam_live_allocs(), before);
		}
	}
}

/*
 * A closed queue drains. The puts that it refuses are in no length and in no join, and ask for no
 * memory, however often they are tried.
 */
FL_TEST(queue_unbounded_closed_drains)
{
	enum { MANY = 700, TRIES = 10 };
	for (int order = 0; order < KINDS; order++) {
		FL_SCOPED(fl_queue) *q = unbounded(order, sizeof(int), NULL, NULL);
		static const int items[3] = {7, 8, 9};
		int item;
		for (int i = 0; i < MANY; i++)
			FL_OK(fl_queue_put(q, &i));
		assert_false(fl_queue_is_closed(q));
		fl_queue_close(q);
		fl_queue_close(q);
		assert_true(fl_queue_is_closed(q));
		for (int left = MANY; left >= 0; left--) {
			seam_fail_allocs(0, 1);
			for (int i = 0; i < TRIES; i++) {
				FL_RC(fl_queue_put(q, items), -EPIPE);
				FL_RC(fl_queue_try_put(q, items), -EPIPE);
				FL_MANY(-EPIPE, 0, fl_queue_put_many, q, items, 3);
				FL_MANY(-EPIPE, 0, fl_queue_try_put_many, q, items, 1);
			}
			assert_int_equal(seam_heal(), 1); /* no put has asked for memory */
			assert_int_equal(fl_queue_length(q), left);
			FL_RC(fl_queue_join_until(q, FL_NO_WAIT, FL_SHIELDED), left > 0 ? -ETIMEDOUT : 0);
			FL_RC(fl_queue_get(q, &item), left > 0 ? 0 : -EPIPE);
			if (left == 0)
				break;
			assert_int_equal(item, expected(order, MANY, MANY - left));
			fl_queue_task_done(q);
		}
		FL_RC(fl_queue_try_get(q, &item), -EPIPE);
		FL_RC(fl_queue_get_until(q, &item, FL_FOREVER, NULL), -EPIPE);
		FL_OK(fl_queue_join(q));
	}
}

/* Ready: for a put always, for a get when there is an item, or never will be. */
FL_TEST(queue_unbounded_readiness)
{
	for (int order = 0; order < KINDS; order++) {
		FL_SCOPED(fl_queue) *q = unbounded(order, sizeof(int), NULL, NULL);
		for (int i = 0, item; i < 600; i++) {
			FL_RC(FL_WAIT_ANY_UNTIL(FL_NO_WAIT, NULL, FL_ON_QUEUE(q)), -ETIMEDOUT);
			FL_OK(FL_WAIT_ANY_UNTIL(FL_NO_WAIT, NULL, FL_ON_QUEUE_SPACE(q)));
			FL_OK(fl_queue_put(q, &i));
			FL_OK(FL_WAIT_ANY_UNTIL(FL_NO_WAIT, NULL, FL_ON_QUEUE(q)));
			FL_OK(fl_queue_get(q, &item));
			assert_int_equal(item, i);
		}
		fl_queue_close(q);
		FL_OK(FL_WAIT_ANY_UNTIL(FL_NO_WAIT, NULL, FL_ON_QUEUE(q)));
		FL_OK(FL_WAIT_ANY_UNTIL(FL_NO_WAIT, NULL, FL_ON_QUEUE_SPACE(q)));
	}
}
