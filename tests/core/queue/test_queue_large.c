/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A side of a ring that catches up with the other pauses a little. Queues with items of whole cache
 * lines, where every item comes once.
 */
#include "fl_faults.h"
#include "fl_seam.h"

enum { WORDS = 8, CAPACITY = 64 };

typedef struct item {
	uint64_t words[WORDS];
} item;

static fl_queue *queue_of(size_t item_size, size_t capacity)
{
	return FL_TEST_QUEUE_OF(item_size, &(fl_queue_config){.capacity = capacity});
}

static unsigned turns;

static void counted_relax(void)
{
	turns++;
}

/* Puts, then gets `n` items. Returns how many turns the get after the last item pauses. */
static unsigned turns_after(fl_queue *q, unsigned n)
{
	item it = {{0}};
	for (unsigned i = 0; i < n; i++)
		FL_OK(fl_queue_try_put(q, &it));
	for (unsigned i = 0; i < n; i++)
		FL_OK(fl_queue_try_get(q, &it));
	turns = 0;
	FL_RC(fl_queue_try_get(q, &it), -EAGAIN);
	return turns;
}

FL_TEST(queue_get_that_has_caught_up_pauses_eight_turns_an_item)
{
	static const fl_queue_config configs[] = {
	    {.capacity = CAPACITY}, {.capacity = FL_UNBOUNDED}, {.capacity = FL_UNBOUNDED, .one_consumer = true}};
	FL_FAULTS();
	fl__sys.relax = counted_relax;
	FL_EACH (i, configs) {
		FL_SCOPED(fl_queue) *q = FL_TEST_QUEUE_OF(sizeof(item), &configs[i]);
		assert_int_equal(turns_after(q, 0), 0); /* there was nothing to catch up with */
		assert_int_equal(turns_after(q, 5), 40);
		assert_int_equal(turns_after(q, 0), 0);
		assert_int_equal(turns_after(q, 3), 0); /* a caller that waits for an answer to each item */
		assert_int_equal(turns_after(q, CAPACITY), 64);
	}
}

FL_TEST(queue_put_that_has_caught_up_pauses_eight_turns_an_item)
{
	FL_FAULTS();
	fl__sys.relax = counted_relax;
	FL_SCOPED(fl_queue) *q = queue_of(8, CAPACITY);
	item it = {{0}};
	for (int i = 0; i < CAPACITY; i++)
		FL_OK(fl_queue_try_put(q, &it));
	turns = 0;
	FL_RC(fl_queue_try_put(q, &it), -EAGAIN);
	FL_RC(fl_queue_try_put(q, &it), -EAGAIN);
	assert_int_equal(turns, 64);
	for (int i = 0; i < 4; i++)
		FL_OK(fl_queue_try_get(q, &it));
	for (int i = 0; i < 4; i++)
		FL_OK(fl_queue_try_put(q, &it));
	FL_RC(fl_queue_try_put(q, &it), -EAGAIN);
	assert_int_equal(turns, 64 + 32);
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
			FL_MANY(0, n, fl_queue_put_many, s->q, items, n);
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
		    s->batch == 1 ? fl_queue_get(s->q, items) == 0 : FL_MOVED(fl_queue_get_many, s->q, items, s->batch);
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
	fl_thread *producers[PAIRS], *consumers[PAIRS];
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
