/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ring for one producer and one consumer: results, sizes, capacities, several at once; then two
 * threads.
 */
#include "fl_seam.h"

static fl_spsc *ring_of(size_t item_size, size_t capacity)
{
	fl_spsc *q = NULL;
	FL_OK(fl_spsc_create(&q, item_size, capacity));
	return q;
}

FL_TEST(spsc_create_refuses_what_cannot_be)
{
	char somewhere;
	fl_spsc *const untouched = (fl_spsc *)(void *)&somewhere, *q = untouched;
	FL_RC(fl_spsc_create(&q, 0, 1), -EINVAL);
	FL_RC(fl_spsc_create(&q, 1, 0), -EINVAL);
	FL_RC(fl_spsc_create(&q, 1, SIZE_MAX), -EOVERFLOW);
	FL_RC(fl_spsc_create(&q, SIZE_MAX, 1), -EOVERFLOW);
	FL_RC(fl_spsc_create(&q, 1, PTRDIFF_MAX), -EOVERFLOW); /* there is one slot more */
	FL_RC(fl_spsc_create(&q, 48, PTRDIFF_MAX / 64), -EOVERFLOW);
#if PTRDIFF_MAX > INT32_MAX /* else there may be as much */
	FL_RC(fl_spsc_create(&q, 48, PTRDIFF_MAX / 64 - 2), -ENOMEM);
#endif
	assert_ptr_equal(q, untouched);
}

FL_TEST(spsc_create_says_when_there_is_no_memory)
{
	fl_spsc *q = NULL;
	long before = seam_live_allocs();
	for (unsigned step = 0;; step++) {
		seam_fail_allocs(step, 1);
		int rc = fl_spsc_create(&q, 24, 10);
		if (seam_heal() > 0) { /* there was no such step */
			FL_OK(rc);
			break;
		}
		FL_RC(rc, -ENOMEM);
		assert_null(q);
		assert_int_equal(seam_live_allocs(), before);
	}
	fl_spsc_free(q);
	fl_spsc_free(NULL);
	assert_int_equal(seam_live_allocs(), before);
	{
		FL_SCOPED(fl_spsc) *scoped = ring_of(8, 3);
		assert_int_equal(fl_spsc_capacity(scoped), 3);
	}
	assert_int_equal(seam_live_allocs(), before);
}

FL_TEST(spsc_answers_full_and_empty)
{
	FL_SCOPED(fl_spsc) *q = ring_of(sizeof(int), 2);
	int item = 77;
	FL_RC(fl_spsc_try_get(q, &item), -EAGAIN);
	assert_int_equal(fl_spsc_try_get_many(q, &item, 1), 0);
	assert_int_equal(item, 77);
	FL_OK(fl_spsc_try_put(q, &(int){1}));
	FL_OK(fl_spsc_try_put(q, &(int){2}));
	FL_RC(fl_spsc_try_put(q, &(int){3}), -EAGAIN);
	assert_int_equal(fl_spsc_try_put_many(q, &(int){3}, 1), 0);
	FL_OK(fl_spsc_try_get(q, &item));
	assert_int_equal(item, 1);
	FL_OK(fl_spsc_try_put(q, &(int){3}));
	FL_OK(fl_spsc_try_get(q, &item));
	assert_int_equal(item, 2);
	FL_OK(fl_spsc_try_get(q, &item));
	assert_int_equal(item, 3);
	FL_RC(fl_spsc_try_get(q, &item), -EAGAIN);
}

static const size_t capacities[] = {1, 2, 3, 4, 5, 7, 8, 100, 1000, 1024};
enum { CAPACITIES = sizeof capacities / sizeof *capacities };

FL_TEST(spsc_has_the_capacity_that_was_asked_for)
{
	for (size_t i = 0; i < CAPACITIES; i++) {
		FL_SCOPED(fl_spsc) *q = ring_of(sizeof(int), capacities[i]);
		assert_int_equal(fl_spsc_capacity(q), capacities[i]);
		for (int n = 0; n < (int)capacities[i]; n++) {
			assert_int_equal(fl_spsc_length(q), n);
			FL_OK(fl_spsc_try_put(q, &n));
		}
		FL_RC(fl_spsc_try_put(q, &(int){0}), -EAGAIN);
		assert_int_equal(fl_spsc_length(q), capacities[i]);
	}
}

FL_SPSC_OF(uint64_t, numbers)

/* Bursts against a model of two numbers: typed and untyped calls in turn, on the same ring. */
static void run_fifo(size_t capacity)
{
	FL_SCOPED(numbers) *q = NULL;
	FL_CHECK(numbers_create(&q, capacity) == 0);
	assert_int_equal(numbers_capacity(q), capacity);
	uint64_t in = 0, out = 0, item;
	for (unsigned burst = 0; out <= 7 * capacity; burst++) {
		for (size_t n = (burst * 7 + 3) % (capacity + 2); n > 0; n--) {
			const bool full = in - out == capacity;
			const int rc = n % 2 ? numbers_try_put(q, in) : fl_spsc_try_put(numbers_untyped(q), &in);
			FL_RC(rc, full ? -EAGAIN : 0);
			in += !full;
		}
		assert_int_equal(numbers_length(q), in - out);
		for (size_t n = (burst * 5 + 1) % (capacity + 2); n > 0; n--) {
			const bool empty = in == out;
			item = 77;
			const int rc = n % 2 ? numbers_try_get(q, &item) : fl_spsc_try_get(numbers_untyped(q), &item);
			FL_RC(rc, empty ? -EAGAIN : 0);
			assert_true(item == (empty ? 77 : out));
			out += !empty;
		}
		assert_int_equal(numbers_length(q), in - out);
	}
}

FL_TEST(spsc_is_fifo_at_any_capacity)
{
	for (size_t i = 0; i < CAPACITIES; i++)
		run_fifo(capacities[i]);
	numbers_free(NULL);
}

static void fill(unsigned char *bytes, size_t n, unsigned seed)
{
	for (size_t i = 0; i < n; i++)
		bytes[i] = (unsigned char)(seed * 31 + i * 7 + (i >> 8));
}

/* Items come out as they went in, and not a byte beside them is touched. */
static void run_size(size_t size)
{
	enum { CAPACITY = 3, GUARD = 8 };
	unsigned char in[4096], out[4096 + 2 * GUARD], guard[GUARD];
	memset(guard, 0xa5, sizeof guard);
	FL_SCOPED(fl_spsc) *q = ring_of(size, CAPACITY);
	for (unsigned round = 0; round < 10; round++) {
		for (unsigned i = 0; i < CAPACITY; i++) {
			fill(in, size, round + i);
			FL_OK(fl_spsc_try_put(q, in));
			memset(in, 0, size); /* it was copied */
		}
		for (unsigned i = 0; i < CAPACITY; i++) {
			memset(out, 0xa5, sizeof out);
			FL_OK(fl_spsc_try_get(q, out + GUARD));
			fill(in, size, round + i);
			assert_memory_equal(out + GUARD, in, size);
			assert_memory_equal(out, guard, GUARD);
			assert_memory_equal(out + GUARD + size, guard, GUARD);
		}
		/* So that the next round starts elsewhere in the ring. */
		FL_OK(fl_spsc_try_put(q, in));
		FL_OK(fl_spsc_try_get(q, out));
	}
}

FL_TEST(spsc_carries_items_of_any_size)
{
	for (size_t size = 1; size <= 72; size++)
		run_size(size);
	const size_t sizes[] = {100, 127, 128, 255, 256, 257, 1000, 1024, 4095, 4096};
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
		run_size(sizes[i]);
}

/*
 * batch_partial: as many as fit, as many as are there, across the end of the ring; more than the
 * capacity, too.
 */
static void run_many(size_t capacity)
{
	enum { MOST = 2100 };
	static uint64_t in[MOST], out[MOST];
	FL_SCOPED(numbers) *q = NULL;
	FL_CHECK(numbers_create(&q, capacity) == 0);
	uint64_t next_in = 0, next_out = 0;
	for (unsigned burst = 0; burst < 60; burst++) {
		const size_t want = (burst * 7 + 3) % (2 * capacity + 2);
		for (size_t i = 0; i < want; i++)
			in[i] = next_in + i;
		const size_t space = capacity - numbers_length(q), put = numbers_try_put_many(q, in, want);
		assert_int_equal(put, want < space ? want : space);
		next_in += put;
		const size_t length = numbers_length(q), more = (burst * 5 + 1) % (2 * capacity + 2);
		memset(out, 0xff, sizeof out);
		const size_t got = numbers_try_get_many(q, out, more);
		assert_int_equal(got, more < length ? more : length);
		for (size_t i = 0; i < got; i++)
			assert_true(out[i] == next_out++);
		assert_true(out[got] == UINT64_MAX);
	}
}

FL_TEST(spsc_puts_and_gets_many)
{
	for (size_t i = 0; i < CAPACITIES; i++)
		run_many(capacities[i]);
	FL_SCOPED(fl_spsc) *q = ring_of(sizeof(int), 3);
	assert_int_equal(fl_spsc_try_put_many(q, NULL, 0), 0);
	assert_int_equal(fl_spsc_try_get_many(q, NULL, 0), 0);
}

/*
 * Items of a cache line are adjacent; several are in many lines, and contiguous across the end of
 * the ring.
 */
static void run_many_of(size_t size, size_t capacity)
{
	enum { MOST = 100, LARGEST = 72 };
	unsigned char in[MOST * LARGEST], out[MOST * LARGEST + 1], item[LARGEST];
	FL_SCOPED(fl_spsc) *q = ring_of(size, capacity);
	unsigned next_in = 0, next_out = 0;
	for (unsigned round = 0; round < 30; round++) {
		const size_t put = (round * 7 + 3) % (capacity - fl_spsc_length(q) + 1);
		for (size_t i = 0; i < put; i++)
			fill(in + i * size, size, next_in++);
		assert_int_equal(fl_spsc_try_put_many(q, in, put), put);
		const size_t get = (round * 5 + 1) % (fl_spsc_length(q) + 1);
		out[get * size] = 0xa5;
		assert_int_equal(fl_spsc_try_get_many(q, out, get), get);
		assert_int_equal(out[get * size], 0xa5);
		for (size_t i = 0; i < get; i++) {
			fill(item, size, next_out++);
			assert_memory_equal(out + i * size, item, size);
		}
	}
	assert_int_equal(fl_spsc_length(q), next_in - next_out);
}

FL_TEST(spsc_puts_and_gets_many_of_any_size)
{
	const size_t most[] = {1, 2, 3, 6, 7, 8, 13, 14, 31, 32, 33, 100};
	for (size_t size = 1; size <= 72; size++)
		for (size_t i = 0; i < sizeof most / sizeof *most; i++)
			run_many_of(size, most[i]);
}

/* Two threads. */

struct wide {
	uint64_t words[8];
};

FL_SPSC_OF(struct wide, wides)

struct pair {
	wides *q;
	unsigned count, batch;
};

static int produce(void *arg)
{
	const struct pair *p = arg;
	struct wide items[8];
	for (unsigned i = 0; i < p->count;) {
		const unsigned n = p->batch < p->count - i ? p->batch : p->count - i;
		for (unsigned k = 0; k < n; k++)
			for (unsigned w = 0; w < 8; w++)
				items[k].words[w] = i + k;
		const size_t put =
		    p->batch > 1 ? wides_try_put_many(p->q, items, n) : wides_try_put(p->q, items[0]) == 0;
		if (put == 0)
			fl__sys.yield();
		i += (unsigned)put;
	}
	return 0;
}

static int consume(void *arg)
{
	const struct pair *p = arg;
	struct wide items[5];
	for (unsigned i = 0; i < p->count;) {
		const size_t got = p->batch > 1 ? wides_try_get_many(p->q, items, 5) : wides_try_get(p->q, items) == 0;
		FL_CHECK(wides_length(p->q) <= wides_capacity(p->q));
		if (got == 0)
			fl__sys.yield();
		for (size_t k = 0; k < got; k++, i++)
			for (unsigned w = 0; w < 8; w++)
				FL_CHECK(items[k].words[w] == i);
	}
	return 0;
}

FL_TEST(spsc_wrap)
{
	const size_t sizes[] = {1, 3, 1000};
	for (unsigned i = 0; i < 6; i++) {
		struct pair p = {.count = fl_test_scaled(50000), .batch = i % 2 ? 8 : 1};
		fl_thread threads[2];
		FL_OK(wides_create(&p.q, sizes[i / 2]));
		seam_start(&threads[0], 1, produce, &p, sizeof p);
		seam_start(&threads[1], 1, consume, &p, sizeof p);
		seam_join(threads, 2);
		assert_int_equal(wides_length(p.q), 0);
		wides_free(p.q);
	}
}
