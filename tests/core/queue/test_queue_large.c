/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Queues with items of whole cache lines: a side that catches up with the other waits a little, and
 * every item comes once.
 */
#include "fl_faults.h"
#include "fl_fiber.h"
#include "fl_seam.h"

enum { WORDS = 8, CAPACITY = 64, PAUSE = 64 };

typedef struct item {
	uint64_t words[WORDS];
} item;

static fl_queue *queue_of(size_t item_size, size_t capacity)
{
	fl_queue *q = NULL;
	FL_OK(fl_queue_create(&q, item_size, &(fl_queue_config){.capacity = capacity}));
	return q;
}

/* Puts or gets the available items, one at a time. */
static void put_some(fl_queue *q, int n)
{
	const item it = {{0}};
	while (n-- > 0)
		FL_OK(fl_queue_try_put(q, &it));
}

static void get_some(fl_queue *q, int n)
{
	item it;
	while (n-- > 0)
		FL_OK(fl_queue_try_get(q, &it));
}

static unsigned turns;

static void counted_relax(void)
{
	turns++;
}

/* The number of turns for which a get without an item and with an expired deadline waits. */
static unsigned turns_of_get(fl_queue *q)
{
	item it;
	turns = 0;
	FL_RC(fl_queue_get_until(q, &it, fl_now(), NULL), -ETIMEDOUT);
	return turns;
}

static unsigned turns_of_put(fl_queue *q)
{
	const item it = {{0}};
	turns = 0;
	FL_RC(fl_queue_put_until(q, &it, fl_now(), NULL), -ETIMEDOUT);
	return turns;
}

FL_TEST(queue_large_get_that_has_caught_up_waits_once)
{
	FL_FAULTS();
	fl__sys.relax = counted_relax;
	FL_SCOPED(fl_queue) *q = queue_of(sizeof(item), CAPACITY);
	FL_OK(turns_of_get(q)); /* there was nothing to catch up with */
	put_some(q, 5);
	get_some(q, 5);
	item it;
	FL_RC(fl_queue_try_get(q, &it), -EAGAIN);
	assert_int_equal(turns_of_get(q), PAUSE);
	FL_OK(turns_of_get(q));
	put_some(q, 1);
	get_some(q, 1);
	FL_OK(turns_of_get(q)); /* the caller waits for an answer */
	put_some(q, 5);
	turns = 0;
	FL_OK(fl_queue_get_until(q, &it, fl_now(), NULL));
	assert_int_equal(fl_queue_get_many(q, &it, 1), 1);
	assert_int_equal(turns, 0); /* there was something */
}

FL_TEST(queue_large_put_that_has_caught_up_waits_once)
{
	FL_FAULTS();
	fl__sys.relax = counted_relax;
	FL_SCOPED(fl_queue) *q = queue_of(sizeof(item), CAPACITY);
	put_some(q, CAPACITY);
	const item it = {{0}};
	turns = 0;
	FL_RC(fl_queue_try_put(q, &it), -EAGAIN);
	assert_int_equal(turns, 0); /* a try never does */
	assert_int_equal(turns_of_put(q), PAUSE);
	FL_OK(turns_of_put(q));
	get_some(q, 1);
	put_some(q, 1);
	FL_OK(turns_of_put(q));
	get_some(q, 5);
	turns = 0;
	assert_int_equal(fl_queue_put_many(q, &it, 1), 1);
	assert_int_equal(turns, 0);
	put_some(q, 4);
	assert_int_equal(turns_of_put(q), PAUSE);
}

FL_TEST(queue_small_never_waits_for_lines)
{
	FL_FAULTS();
	fl__sys.relax = counted_relax;
	for (int few = 0; few < 2; few++) {
		FL_SCOPED(fl_queue) *q = few ? queue_of(sizeof(item), CAPACITY - 1) : queue_of(32, CAPACITY);
		put_some(q, 5);
		get_some(q, 5);
		FL_OK(turns_of_get(q));
		put_some(q, CAPACITY - few);
		FL_OK(turns_of_put(q));
	}
}

static int get_in_fiber(void *queue)
{
	put_some(queue, 5);
	get_some(queue, 5);
	return (int)turns_of_get(queue);
}

/* The other fibers of its thread must run during the wait. */
FL_TEST(queue_large_fiber_does_not_wait)
{
	FL_FAULTS();
	fl__sys.relax = counted_relax;
	FL_SCOPED(fl_queue) *q = queue_of(sizeof(item), CAPACITY);
	FL_OK(fl_test_in_fiber(get_in_fiber, q));
}

/* Threads. */

enum { PAIRS = 4, BATCH = 5 };

struct stream {
	fl_queue *q;
	uint64_t number, each;
	size_t batch;
	uint64_t sum, count; /* of what it got */
};

static int produce(void *arg)
{
	const struct stream *s = arg;
	item items[BATCH];
	for (uint64_t i = 0; i < s->each;) {
		size_t n = 0;
		for (; n < s->batch && i < s->each; n++, i++)
			for (int w = 0; w < WORDS; w++)
				items[n].words[w] = s->number << 32 | i;
		if (n == 1)
			FL_OK(fl_queue_put(s->q, items));
		else
			FL_CHECK(fl_queue_put_many(s->q, items, n) == n);
	}
	return 0;
}

static int consume(void *arg)
{
	struct stream *s = arg;
	uint64_t next[PAIRS] = {0};
	item items[BATCH];
	for (;;) {
		const size_t n =
		    s->batch == 1 ? fl_queue_get(s->q, items) == 0 : fl_queue_get_many(s->q, items, s->batch);
		if (n == 0)
			return 0;
		for (size_t i = 0; i < n; i++) {
			const uint64_t *words = items[i].words, producer = words[0] >> 32, number = (uint32_t)words[0];
			for (int w = 1; w < WORDS; w++)
				FL_CHECK(words[w] == words[0]);
			/* Each producer's items in order. */
			FL_CHECK(producer < PAIRS && number >= next[producer]);
			next[producer] = number + 1;
			s->sum += number;
			s->count++;
		}
	}
}

static void run_stream(unsigned pairs, size_t capacity, size_t batch)
{
	FL_SCOPED(fl_queue) *q = queue_of(sizeof(item), capacity);
	struct stream puts[PAIRS], gets[PAIRS];
	fl_thread producers[PAIRS], consumers[PAIRS];
	const uint64_t each = fl_test_scaled(10000) / pairs;
	for (unsigned i = 0; i < pairs; i++)
		puts[i] = gets[i] = (struct stream){.q = q, .number = i, .each = each, .batch = batch};
	seam_start(producers, pairs, produce, puts, sizeof *puts);
	seam_start(consumers, pairs, consume, gets, sizeof *gets);
	seam_join(producers, pairs);
	fl_queue_close(q);
	seam_join(consumers, pairs);
	uint64_t sum = 0, count = 0;
	for (unsigned i = 0; i < pairs; i++) {
		sum += gets[i].sum;
		count += gets[i].count;
	}
	assert_true(count == pairs * each);
	assert_true(sum == pairs * each * (each - 1) / 2);
}

FL_TEST(queue_large_gives_each_item_once_among_threads)
{
	const size_t capacities[] = {CAPACITY, 1000};
	for (unsigned pairs = 1; pairs <= PAIRS; pairs *= 2)
		FL_EACH (i, capacities) {
			run_stream(pairs, capacities[i], 1);
			run_stream(pairs, capacities[i], BATCH);
		}
}
