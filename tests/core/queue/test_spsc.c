/* SPDX-License-Identifier: BSD-2-Clause */
/* The ring for one producer and one consumer. What all queues promise: test_queues.c. */
#include "fl_seam.h"

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
	fl_spsc_free(NULL);
}

static const size_t capacities[] = {1, 2, 3, 4, 5, 7, 8, 100, 1000, 1024};
enum { CAPACITIES = sizeof capacities / sizeof *capacities };

FL_SPSC_OF(uint64_t, numbers)

/* Bursts against a model of two numbers: typed and untyped calls in turn, on the same ring. */
static void run_fifo(size_t capacity)
{
	FL_SCOPED(numbers) *q = NULL;
	FL_OK(numbers_create(&q, capacity));
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
	FL_SCOPED(numbers) *q = NULL;
	static const uint64_t three[] = {1, 2, 3};
	uint64_t got[4];
	FL_OK(numbers_create(&q, 3));
	assert_int_equal(numbers_try_put_many(q, three, 3), 3);
	assert_int_equal(numbers_try_get_many(q, got, 4), 3);
	assert_memory_equal(got, three, sizeof three);
	fl_spsc *untyped = numbers_untyped(q);
	assert_int_equal(fl_spsc_capacity(untyped), 3);
	assert_int_equal(fl_spsc_try_put_many(untyped, three, 2), 2);
	assert_int_equal(fl_spsc_length(untyped), 2);
	assert_int_equal(fl_spsc_try_get_many(untyped, got, 4), 2);
	numbers_free(NULL);
}
