/* SPDX-License-Identifier: BSD-2-Clause */
/* Queues that are not FIFO: what comes out first, and what their configs may say. */
#include "fl_blocked.h"

static int some(int i)
{
	return (int)((unsigned)i * 2654435761u >> 8);
}

/* Items are in the order of their tens; `compare_arg`, if any, counts the comparisons. */
static int by_tens(const void *a, const void *b, void *compare_arg)
{
	const int x = *(const int *)a / 10, y = *(const int *)b / 10;
	if (compare_arg)
		++*(unsigned *)compare_arg;
	return (x > y) - (x < y);
}

static fl_queue *make(fl_queue_order order, size_t capacity)
{
	fl_queue *q = NULL;
	FL_OK(fl_queue_create(&q, sizeof(int),
	                      &(fl_queue_config){.capacity = capacity,
	                                         .order = order,
	                                         .compare = order == FL_PRIORITY ? by_tens : NULL}));
	return q;
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

FL_TEST(queue_lifo_gives_the_newest_first)
{
	FL_SCOPED(fl_queue) *q = make(FL_LIFO, 5);
	put_all(q, (int[]){1, 2, 3}, 3);
	GETS(q, 3);
	put_all(q, (int[]){4, 5, 6}, 3);
	FL_RC(fl_queue_try_put(q, &(int){7}), -EAGAIN);
	assert_int_equal(fl_queue_length(q), 5);
	assert_int_equal(fl_queue_capacity(q), 5);
	GETS(q, 6);
	GETS(q, 5);
	GETS(q, 4);
	GETS(q, 2);
	GETS(q, 1);
	int item = 77;
	FL_RC(fl_queue_try_get(q, &item), -EAGAIN);
	assert_int_equal(item, 77);
}

FL_TEST(queue_lifo_of_8_bytes)
{
	enum { CAPACITY = 5 };
	const uint64_t each = 0x100000001;
	uint64_t item = 0;
	FL_SCOPED(fl_queue) *q = NULL;
	FL_OK(fl_queue_create(&q, sizeof item, &(fl_queue_config){.capacity = CAPACITY, .order = FL_LIFO}));
	for (unsigned i = 1; i <= CAPACITY; i++)
		FL_OK(fl_queue_put(q, &(uint64_t){i * each}));
	FL_RC(fl_queue_try_put(q, &item), -EAGAIN);
	for (unsigned i = CAPACITY; i > 0; i--) {
		FL_OK(fl_queue_get(q, &item));
		assert_true(item == i * each);
	}
	FL_RC(fl_queue_try_get(q, &item), -EAGAIN);
}

FL_TEST(queue_lifo_many)
{
	FL_SCOPED(fl_queue) *q = make(FL_LIFO, 4);
	int got[6] = {0};
	assert_int_equal(fl_queue_try_put_many(q, (const int[]){1, 2, 3, 4, 5}, 5), 4);
	assert_int_equal(fl_queue_try_get_many(q, got, 3), 3);
	assert_memory_equal(got, ((const int[]){4, 3, 2}), 3 * sizeof(int));
	assert_int_equal(fl_queue_put_many(q, (const int[]){6, 7}, 2), 2);
	assert_int_equal(fl_queue_get_many(q, got, 6), 3);
	assert_memory_equal(got, ((const int[]){7, 6, 1}), 3 * sizeof(int));
}

FL_TEST(queue_priority_gives_the_least_first_and_of_equals_the_oldest)
{
	FL_SCOPED(fl_queue) *q = make(FL_PRIORITY, 8);
	put_all(q, (int[]){30, 11, 21, 12, 10, 35, 20}, 7);
	const int expected[] = {11, 12, 10, 21, 20, 30, 35};
	FL_EACH (i, expected)
		GETS(q, expected[i]);
	int got[8] = {0};
	assert_int_equal(fl_queue_put_many(q, (const int[]){INT_MAX, 5, 0, INT_MIN, 4}, 5), 5);
	assert_int_equal(fl_queue_get_many(q, got, 8), 5);
	assert_memory_equal(got, ((const int[]){INT_MIN, 5, 0, 4, INT_MAX}), 5 * sizeof(int));
}

/*
 * Items of bytes: the first is the key, the second counts up, the rest depends on both and must be
 * intact.
 */
static char a_thing;

static int by_first_byte(const void *a, const void *b, void *compare_arg)
{
	assert_ptr_equal(compare_arg, &a_thing);
	return *(const unsigned char *)a - *(const unsigned char *)b;
}

static void make_bytes(unsigned char *item, size_t size, unsigned char key, unsigned char number)
{
	for (size_t i = 2; i < size; i++)
		item[i] = (unsigned char)(key * 31 + number * 7 + i);
	item[0] = key;
	item[1] = number;
}

/* Puts and gets in bursts, against a list that is searched for the least. */
static void run_priority(size_t size, size_t capacity)
{
	FL_SCOPED(fl_queue) *q = NULL;
	FL_OK(fl_queue_create(
	    &q, size,
	    &(fl_queue_config){
		.capacity = capacity, .order = FL_PRIORITY, .compare = by_first_byte, .compare_arg = &a_thing}));
	unsigned char item[64], expected[64], keys[64], numbers[64], number = 0;
	size_t n = 0;
	for (int step = 0; step < 250; step++) {
		if (some(step) % 100 < (step / 50 % 2 ? 35 : 65)) {
			make_bytes(item, size, (unsigned char)(some(step + 7000) % 5), number);
			FL_RC(fl_queue_try_put(q, item), n == capacity ? -EAGAIN : 0);
			if (n < capacity) {
				keys[n] = item[0];
				numbers[n++] = number++;
			}
			continue;
		}
		size_t least = 0;
		for (size_t i = 1; i < n; i++)
			if (keys[i] < keys[least])
				least = i;
		FL_RC(fl_queue_try_get(q, item), n == 0 ? -EAGAIN : 0);
		if (n > 0) {
			make_bytes(expected, size, keys[least], numbers[least]);
			assert_memory_equal(item, expected, size);
			n--;
			memmove(keys + least, keys + least + 1, n - least);
			memmove(numbers + least, numbers + least + 1, n - least);
		}
		assert_int_equal(fl_queue_length(q), n);
	}
	assert_true(number > 40);
}

FL_TEST(queue_priority_at_any_capacity_and_item_size)
{
	const size_t capacities[] = {1, 2, 3, 4, 7, 8, 16, 33, 64};
	const size_t sizes[] = {2, 3, 4, 8, 13, 16, 24, 64};
	FL_EACH (c, capacities)
		FL_EACH (s, sizes)
			run_priority(sizes[s], capacities[c]);
}

FL_TEST(queue_priority_compares_as_often_as_a_heap)
{
	enum { N = 1024, LEVELS = 10 };
	unsigned compared = 0;
	FL_SCOPED(fl_queue) *q = NULL;
	FL_OK(fl_queue_create(&q, sizeof(int),
	                      &(fl_queue_config){.order = FL_PRIORITY, .compare = by_tens, .compare_arg = &compared}));
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

FL_TEST(queue_orders_drain_in_order_after_close)
{
	FL_SCOPED(fl_queue) *stack = make(FL_LIFO, 3), *heap = make(FL_PRIORITY, 3);
	put_all(stack, (int[]){20, 10, 30}, 3);
	put_all(heap, (int[]){20, 10, 30}, 3);
	fl_queue_close(stack);
	fl_queue_close(heap);
	FL_RC(fl_queue_try_put(stack, &(int){1}), -EPIPE);
	FL_RC(fl_queue_try_put(heap, &(int){1}), -EPIPE);
	GETS(stack, 30);
	GETS(stack, 10);
	GETS(heap, 10);
	GETS(heap, 20);
	GETS(heap, 30);
	FL_RC(fl_queue_get(heap, &(int){0}), -EPIPE);
	assert_true(fl_queue_is_closed(heap));
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
		for (int close = 0; close < 2; close++) {
			const long before = seam_live_allocs();
			struct drops d = {.n = 0};
			fl_queue *q = NULL;
			FL_OK(fl_queue_create(&q, sizeof(int),
			                      &(fl_queue_config){.order = order,
			                                         .compare = order == FL_PRIORITY ? by_tens : NULL,
			                                         .drop = note_drop,
			                                         .drop_arg = &d}));
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
