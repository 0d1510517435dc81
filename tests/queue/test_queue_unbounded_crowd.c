/* SPDX-License-Identifier: BSD-2-Clause */
/* The unbounded queue among threads: every item once, all done; and its memory at the end. */
#include "fl_faults.h"
#include <fairlead/event.h>
#include <fairlead/queue.h>
#include <fairlead/thread.h>
#include <malloc.h>

static int by_value(const void *a, const void *b, void *arg)
{
	const int x = *(const int *)a, y = *(const int *)b;
	(void)arg;
	return (x > y) - (x < y);
}

/* By their orders, and FIFO for one consumer. */
enum { KINDS = 4, SLACK = 40000 /* bytes: segments that a thread keeps, a spare, a small array */ };

static fl_queue *unbounded(int order)
{
	fl_queue *q = NULL;
	FL_OK(fl_queue_create(&q, sizeof(int),
	                      &(fl_queue_config){.capacity = FL_UNBOUNDED,
	                                         .order = (fl_queue_order)(order % 3),
	                                         .one_consumer = order == 3,
	                                         .compare = order == FL_PRIORITY ? by_value : NULL}));
	return q;
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
	while (fl_queue_try_get_many(q, items, batch) > 0)
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

typedef struct visitor {
	fl_queue *q;
	fl_event been, go;
} visitor;

static int visit(void *arg)
{
	visitor *v = arg;
	int item = 0;
	FL_CHECK(fl_queue_put(v->q, &item) == 0 && fl_queue_get(v->q, &item) == 0);
	fl_event_set(&v->been);
	FL_CHECK(fl_event_wait(&v->go) == 0);
	return 0;
}

/*
 * Threads that were stopped right after an operation keep their segments, and no more, whatever
 * other threads do.
 */
FL_TEST(queue_stalled_reader_bounded)
{
	enum { READERS = 6 };
	COUNTING();
	fl_queue *q = unbounded(FL_FIFO);
	visitor v[READERS];
	fl_thread t[READERS];
	for (int i = 0; i < READERS; i++) {
		v[i] = (visitor){.q = q};
		FL_OK(fl_thread_start(&t[i], visit, &v[i], NULL));
		FL_OK(fl_event_wait(&v[i].been));
		fill(q, 1500);
		drain(q, 64);
	}
	const long before = live;
	for (int i = 0; i < 100; i++) {
		fill(q, 1500);
		drain(q, 64);
	}
	assert_true(live <= before + SLACK);
	for (int i = 0; i < READERS; i++) {
		fl_event_set(&v[i].go);
		FL_OK(fl_thread_join(&t[i], NULL));
	}
	fl_queue_free(q);
}

/* Producers, consumers that wait, and a join that waits until all is done. */
enum { PRODUCERS = 3, CONSUMERS = 3, TURNS = 3 };

typedef struct crowd {
	fl_queue *q;
	int each;
	uint32_t producer;
	uint64_t sum, got; /* atomic */
} crowd;

static int produce(void *arg)
{
	crowd *c = arg;
	const int first = (int)fl__add_relaxed(&c->producer, 1u) * c->each;
	for (int i = first, items[3]; i < first + c->each;) {
		const size_t n = (size_t)(i % 3 + 1) < (size_t)(first + c->each - i) ? (size_t)(i % 3 + 1) : 1;
		for (size_t k = 0; k < n; k++)
			items[k] = i++;
		if (n == 1)
			FL_CHECK(fl_queue_put(c->q, items) == 0);
		else
			FL_CHECK(fl_queue_put_many(c->q, items, n) == n);
	}
	return 0;
}

static int consume(void *arg)
{
	crowd *c = arg;
	int items[4];
	for (size_t n; (n = fl_queue_get_many(c->q, items, 4)) > 0;)
		for (size_t i = 0; i < n; i++) {
			fl__add_relaxed(&c->sum, (uint64_t)items[i]);
			fl__add_relaxed(&c->got, 1u);
			fl_queue_task_done(c->q);
		}
	FL_CHECK(fl_queue_put(c->q, items) == -EPIPE);
	return 0;
}

FL_TEST(queue_unbounded_crowd)
{
	for (int turn = 0; turn < TURNS * KINDS; turn++) {
		crowd c = {.q = unbounded(turn % KINDS), .each = (int)fl_test_scaled(3000)};
		const uint64_t all = (uint64_t)PRODUCERS * (uint64_t)c.each;
		fl_thread producers[PRODUCERS], consumers[CONSUMERS];
		const int at_once = turn % KINDS == 3 ? 1 : CONSUMERS;
		for (int i = 0; i < at_once; i++)
			FL_OK(fl_thread_start(&consumers[i], consume, &c, NULL));
		for (int i = 0; i < PRODUCERS; i++)
			FL_OK(fl_thread_start(&producers[i], produce, &c, NULL));
		for (int i = 0; i < PRODUCERS; i++)
			FL_OK(fl_thread_join(&producers[i], NULL));
		FL_OK(fl_queue_join(c.q));
		assert_true(fl__load_relaxed(&c.got) == all);
		fl_queue_close(c.q);
		for (int i = 0; i < at_once; i++)
			FL_OK(fl_thread_join(&consumers[i], NULL));
		assert_true(c.sum == all * (all - 1) / 2);
		FL_OK(fl_queue_try_join(c.q));
		fl_queue_free(c.q);
	}
}
