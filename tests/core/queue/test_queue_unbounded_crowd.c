/* SPDX-License-Identifier: BSD-2-Clause */
/* The unbounded queue among threads: every item once, all done; and its memory at the end. */
#include "fl_faults.h"
#include <malloc.h>

/* By their orders, and FIFO for one consumer. */
enum { KINDS = 4, SLACK = 40000 /* bytes: segments that a thread keeps, a spare, a small array */ };

static fl_queue *unbounded(int order)
{
	return FL_TEST_QUEUE(int, .capacity = FL_UNBOUNDED, .order = (fl_queue_order)(order % 3),
	                     .one_consumer = order == 3, .compare = order == FL_PRIORITY ? fl_test_by_value : NULL);
}

/* Bytes in use, about; atomic. */
static long live;

static void *counted_alloc(size_t size)
{
	void *memory = fl_test_real_sys.alloc(size);
	fl__add_relaxed(&live, (long)malloc_usable_size(memory));
	return memory;
}

static void counted_free(void *memory)
{
	fl__add_relaxed(&live, -(long)malloc_usable_size(memory));
	fl_test_real_sys.free(memory);
}

#define COUNTING()                                                                                                     \
	FL_FAULTS();                                                                                                   \
	live = 0;                                                                                                      \
	fl__sys.alloc = counted_alloc;                                                                                 \
	fl__sys.free = counted_free

static void fill(fl_queue *q, int n)
{
	for (int i = 0; i < n; i++)
		FL_OK(fl_queue_put(q, &i));
}

static void drain(fl_queue *q, size_t batch)
{
	int items[64];
	while (FL_MOVED(fl_queue_try_get_many, q, items, batch) > 0)
		;
}

/* The memory for many items is not kept for few, in whatever way they are got. */
FL_TEST(queue_memory_returns_after_burst)
{
	COUNTING();
	for (int order = 0; order < KINDS; order++)
		for (size_t batch = 1; batch <= 64; batch += 63) {
			fl_queue *q = unbounded(order);
			fill(q, 2000);
			drain(q, batch);
			const long before = live;
			fill(q, 100000);
			assert_true(live > before + 4 * 100000);
			drain(q, batch);
			assert_true(live <= before + SLACK);
			fl_queue_free(q);
		}
}

/* To and fro at one length: nothing is allocated, or next to nothing. */
FL_TEST(queue_unbounded_steady_flow_allocates_nothing)
{
	COUNTING();
	for (int order = 0; order < KINDS; order++)
		for (int length = 0; length < 300; length += 7) {
			fl_queue *q = unbounded(order);
			int item;
			fill(q, length + 1100);
			for (int i = 0; i < 1100; i++)
				FL_OK(fl_queue_get(q, &item));
			const long before = live;
			for (int i = 0; i < 3000; i++) {
				FL_OK(fl_queue_put(q, &i));
				FL_OK(fl_queue_get(q, &item));
			}
			assert_true(live <= before + SLACK);
			fl_queue_free(q);
		}
}

/* A get that finds no memory for a smaller array does without. */
FL_TEST(queue_unbounded_get_needs_no_memory)
{
	FL_FAULTS();
	for (int order = 0; order < KINDS; order++) {
		fl_queue *q = unbounded(order);
		int item;
		fill(q, 3000);
		fl__sys.alloc = fl_test_no_memory;
		for (int i = 0; i < 3000; i++) {
			FL_OK(fl_queue_get(q, &item));
			assert_int_equal(item, order == FL_LIFO ? 2999 - i : i);
		}
		FL_RC(fl_queue_try_get(q, &item), -EAGAIN);
		fl__sys.alloc = fl_test_real_sys.alloc;
		fl_queue_free(q);
	}
}
