/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Promises: one producer, one consumer. Their effects, what they do not change, and refusals of the
 * system.
 */
#include "core/queue/queue.h"
#include "fl_blocked.h"

static fl_queue *make_pair(size_t capacity)
{
	return FL_TEST_QUEUE(int, .capacity = capacity, .one_producer = true, .one_consumer = true);
}

FL_TEST(queue_promises_together_choose_the_pair)
{
	const fl_queue_config none = {.capacity = 2}, one_producer = {.capacity = 2, .one_producer = true},
			      one_consumer = {.capacity = 2, .one_consumer = true};
	const fl_queue_config *const others[] = {&none, &one_producer, &one_consumer};
	FL_EACH (i, others) {
		FL_SCOPED(fl_queue) *q = FL_TEST_QUEUE_OF(sizeof(int), others[i]);
		assert_ptr_equal(q->backend, &fl__backend_mpmc);
	}
	FL_SCOPED(fl_queue) *q = make_pair(2), *lifo = NULL;
	assert_ptr_equal(q->backend, &fl__backend_spsc);
	lifo = FL_TEST_QUEUE(int, .capacity = 2, .order = FL_LIFO, .one_producer = true, .one_consumer = true);
	PUTS(lifo, 1);
	PUTS(lifo, 2);
	int item;
	FL_OK(fl_queue_get(lifo, &item));
	assert_int_equal(item, 2);
}

FL_QUEUE_OF(int, ints)

/*
 * The typed form is inline and works across the end of the ring; each side may change threads, if
 * these are ordered.
 */
static int put_three(void *q)
{
	for (int i = 0; i < 3; i++)
		FL_OK(ints_put(q, i));
	return 0;
}

FL_TEST(queue_pair_may_change_hands)
{
	fl_queue *q = make_pair(4);
	for (int round = 0; round < 20; round++) {
		fl_test_on_thread(put_three, q);
		for (int i = 0, item; i < 3; i++) {
			FL_OK(ints_get((ints *)(void *)q, &item));
			assert_int_equal(item, i);
		}
	}
	fl_queue_free(q);
}

/* Past the numbers that 32 bits hold. */
FL_TEST(queue_pair_index_wrap_2_32)
{
	enum { CAPACITY = 1003 };
	FL_SCOPED(fl_queue) *q = make_pair(CAPACITY);
	struct fl__queue_spsc *pair = fl__queue_as_spsc(q);
	/* Of the first slot. */
	const uint64_t start = (uint64_t)(UINT32_MAX / CAPACITY - 2) * CAPACITY;
	pair->put.count = pair->get.count = pair->put.next = pair->get.next = start;
	q->done = 2 * start;
	(void)fl_fill_ten_times(q, CAPACITY);
}

/* Where the system has no membarrier(), the calls have a fence, and all is as it was. */
static int no_membarrier(void)
{
	return -ENOSYS;
}

static int get_all(void *q)
{
	int sum = 0;
	for (int item; fl_queue_get(q, &item) == 0;)
		sum += item;
	return sum;
}

static void run_through(fl_queue *q)
{
	enum { N = 2000 };
	fl_thread *t;
	int sum;
	fl_test_go(&t, get_all, q);
	for (int i = 1; i <= N; i++)
		FL_OK(fl_queue_put(q, &i));
	fl_queue_close(q);
	FL_RC(fl_queue_put(q, &(int){1}), -EPIPE);
	FL_OK(fl_thread_join(t, &sum));
	assert_int_equal(sum, N * (N + 1) / 2);
}

FL_TEST(queue_pair_without_membarrier)
{
	for (size_t capacity = 1; capacity <= 3; capacity += 2) {
		struct fl__sys before = fl__sys;
		fl__sys.membarrier = no_membarrier;
		FL_SCOPED(fl_queue) *q = make_pair(capacity);
		run_through(q); /* it is not asked again */
		assert_int_equal(fl__queue_as_spsc(q)->flags & FL__QUEUE_SPSC_FENCED, FL__QUEUE_SPSC_FENCED);
		fl__sys = before;
		FL_SCOPED(fl_queue) *with = make_pair(capacity);
		run_through(with);
	}
}

/* Forbidden after it was there: there is no way on, and no silence. */
FL_TEST(queue_pair_panics_when_membarrier_is_taken_away)
{
	FL_SCOPED(fl_queue) *q = make_pair(1);
	if (fl__queue_as_spsc(q)->flags & FL__QUEUE_SPSC_FENCED)
		skip();
	struct fl__sys before = fl__sys;
	fl__sys.membarrier = no_membarrier;
	FL_PANICS(fl_queue_close(q));
	assert_string_equal(fl_test_panic.function, "fl_queue");
	fl__sys = before;
}
