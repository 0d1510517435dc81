/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Queues that are not FIFO: what their configs may say, how often they compare, and what they drop.
 * What comes out first: test_queues.c.
 */
#include "fl_blocked.h"

/* Items are in the order of their tens; `compare_arg`, if any, counts the comparisons. */
static int by_tens(const void *a, const void *b, void *compare_arg)
{
	const int x = *(const int *)a / 10, y = *(const int *)b / 10;
	if (compare_arg)
		++*(unsigned *)compare_arg;
	return (x > y) - (x < y);
}

static void put_all(fl_queue *q, const int *items, size_t n)
{
	for (size_t i = 0; i < n; i++)
		FL_OK(fl_queue_try_put(q, &items[i]));
}

FL_TEST(queue_orders_refuse_a_config_without_sense)
{
	fl_queue *q = NULL;
	FL_RC(fl_queue_create(&q, 4, &(fl_queue_config){.order = FL_PRIORITY}), -EINVAL);
	FL_RC(fl_queue_create(&q, 4, &(fl_queue_config){.order = FL_FIFO, .compare = by_tens}), -EINVAL);
	FL_RC(fl_queue_create(&q, 4, &(fl_queue_config){.order = FL_LIFO, .compare = by_tens}), -EINVAL);
	FL_RC(fl_queue_create(&q, 0, &(fl_queue_config){.order = FL_LIFO}), -EINVAL);
	FL_RC(fl_queue_create(&q, 2, &(fl_queue_config){.order = FL_LIFO, .capacity = SIZE_MAX / 2}), -EOVERFLOW);
	const fl_queue_config long_one = {.order = FL_PRIORITY, .compare = by_tens, .capacity = PTRDIFF_MAX / 8 + 1};
	/* The data beside each item count, too. */
	FL_RC(fl_queue_create(&q, 1, &long_one), -EOVERFLOW);
	FL_RC(fl_queue_create(&q, SIZE_MAX, &(fl_queue_config){.order = FL_LIFO, .capacity = 1}), -EOVERFLOW);
	assert_null(q);
}

FL_TEST(queue_priority_compares_as_often_as_a_heap)
{
	enum { N = 1024, LEVELS = 10 };
	unsigned compared = 0;
	FL_SCOPED(fl_queue) *q = FL_TEST_QUEUE(int, .order = FL_PRIORITY, .compare = by_tens, .compare_arg = &compared);
	for (int i = N; i > 0; i--) {
		FL_OK(fl_queue_try_put(q, &(int){i * 10}));
		assert_true(compared <= LEVELS);
		compared = 0;
	}
	for (int i = 1; i <= N; i++) {
		GETS(q, i * 10);
		assert_true(compared <= 2 * LEVELS);
		compared = 0;
	}
}

/* The dropped items, in order. */
struct drops {
	int items[8];
	size_t n;
};

static void note_drop(void *item, void *arg)
{
	struct drops *d = arg;
	d->items[d->n++] = *(int *)item;
}

FL_TEST(queue_orders_drop_in_order)
{
	const int expected[2][4] = {{12, 30, 10, 20}, {10, 12, 20, 30}};
	for (fl_queue_order order = FL_LIFO; order <= FL_PRIORITY; order++)
		FL_BOTH (close) {
			const long before = seam_live_allocs();
			struct drops d = {.n = 0};
			fl_queue *q =
			    FL_TEST_QUEUE(int, .order = order, .compare = order == FL_PRIORITY ? by_tens : NULL,
			                  .drop = note_drop, .drop_arg = &d);
			put_all(q, (int[]){20, 10, 30, 12}, 4);
			if (close) {
				assert_int_equal(fl_queue_close_now(q), 4);
				FL_OK(fl_queue_join(q));
				FL_OK(fl_queue_close_now(q));
			}
			fl_queue_free(q);
			assert_int_equal(d.n, 4);
			assert_memory_equal(d.items, expected[order - FL_LIFO], sizeof expected[0]);
			assert_int_equal(seam_live_allocs(), before);
		}
}

FL_QUEUE_OF(int, int_queue)

FL_TEST(queue_of_passes_the_order)
{
	FL_SCOPED(int_queue) *q = NULL;
	FL_RC(int_queue_create(&q, &(fl_queue_config){.order = FL_PRIORITY}), -EINVAL);
	FL_OK(int_queue_create(&q, &(fl_queue_config){.order = FL_PRIORITY, .compare = by_tens}));
	int got;
	FL_OK(int_queue_put(q, 20));
	FL_OK(int_queue_put(q, 10));
	FL_OK(int_queue_get(q, &got));
	assert_int_equal(got, 10);
}
