/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The queue in one thread: create and free, order, sizes, the three forms, operations that succeed
 * at once.
 */
#include "fl_queue_wrap.h"
#include "fl_seam.h"
#include "queue/queue.h"
#include <limits.h>

static int some(int i)
{
	return (int)((unsigned)i * 2654435761u >> 8);
}

FL_TEST(queue_create_refuses_a_bad_config)
{
	char somewhere;
	fl_queue *const untouched = (fl_queue *)(void *)&somewhere, *q = untouched;
	FL_RC(fl_queue_create(&q, 0, NULL), -EINVAL);
	FL_RC(fl_queue_create(&q, 0, &(fl_queue_config){.capacity = 3}), -EINVAL);
	FL_RC(fl_queue_create(&q, 8, &(fl_queue_config){.order = (fl_queue_order)99}), -EINVAL);
	FL_RC(fl_queue_create(&q, 2, &(fl_queue_config){.capacity = SIZE_MAX - 2}), -EOVERFLOW);
	FL_RC(fl_queue_create(&q, 2, &(fl_queue_config){.capacity = FL_UNBOUNDED, .when_full = FL_OVERWRITE}), -EINVAL);
	FL_RC(fl_queue_create(&q, PTRDIFF_MAX / 8, &(fl_queue_config){.capacity = FL_UNBOUNDED}), -EOVERFLOW);
	FL_RC(fl_queue_create(&q, 1, &(fl_queue_config){.capacity = (size_t)PTRDIFF_MAX + 1}), -EOVERFLOW);
	FL_RC(fl_queue_create(&q, SIZE_MAX / 2, &(fl_queue_config){.capacity = 2}), -EOVERFLOW);
	FL_RC(fl_queue_create(&q, SIZE_MAX, &(fl_queue_config){.capacity = FL_RENDEZVOUS}), -EOVERFLOW);
	FL_RC(fl_queue_create(&q, 16, &(fl_queue_config){.capacity = PTRDIFF_MAX / 16 + 1}), -EOVERFLOW);
	FL_RC(fl_queue_create(&q, PTRDIFF_MAX / 1024 + 1, NULL), -EOVERFLOW);
	assert_ptr_equal(q, untouched);
}

FL_TEST(queue_create_says_when_there_is_no_memory)
{
	fl_queue *q = NULL;
	const fl_queue_config config = {.capacity = 10};
	long before = seam_live_allocs();
#if PTRDIFF_MAX > INT32_MAX /* else there may be as much */
	FL_RC(fl_queue_create(&q, PTRDIFF_MAX / 20, &config), -ENOMEM);
	FL_RC(fl_queue_create(&q, 1, &(fl_queue_config){.capacity = PTRDIFF_MAX / 20}), -ENOMEM);
#endif
	for (unsigned step = 0;; step++) {
		seam_fail_allocs(step, 1);
		int rc = fl_queue_create(&q, 24, &config);
		if (seam_heal() > 0) { /* there was no such step */
			FL_OK(rc);
			break;
		}
		FL_RC(rc, -ENOMEM);
		assert_null(q);
		assert_int_equal(seam_live_allocs(), before);
	}
	assert_true(seam_live_allocs() > before);
	fl_queue_free(q);
	assert_int_equal(seam_live_allocs(), before);
}

FL_TEST(queue_capacity_is_as_asked)
{
	const size_t capacities[] = {1, 2, 3, 5, 7, 8, 100, 1000, 1024, 4097};
	for (size_t i = 0; i < sizeof capacities / sizeof *capacities; i++) {
		FL_SCOPED(fl_queue) *q = NULL;
		FL_OK(fl_queue_create(&q, sizeof(int), &(fl_queue_config){.capacity = capacities[i]}));
		assert_int_equal(fl_queue_capacity(q), capacities[i]);
		for (int n = 0; n < (int)capacities[i]; n++) {
			assert_int_equal(fl_queue_length(q), n);
			FL_OK(fl_queue_try_put(q, &n));
		}
		FL_RC(fl_queue_try_put(q, &(int){0}), -EAGAIN);
		assert_int_equal(fl_queue_length(q), capacities[i]);
	}
	FL_SCOPED(fl_queue) *by_default = NULL, *zero = NULL;
	FL_OK(fl_queue_create(&by_default, 1, NULL));
	assert_int_equal(fl_queue_capacity(by_default), 1024);
	FL_OK(fl_queue_create(&zero, 1, &(fl_queue_config){.capacity = 0, .order = FL_FIFO}));
	assert_int_equal(fl_queue_capacity(zero), 1024);
}

/*
 * Puts and gets in bursts against a model of two numbers: the next item out, and the last item in.
 */
static void run_fifo(size_t capacity)
{
	FL_SCOPED(fl_queue) *q = NULL;
	FL_OK(fl_queue_create(&q, sizeof(uint64_t), &(fl_queue_config){.capacity = capacity}));
	uint64_t in = 0, out = 0;
	for (int burst = 0; burst < 60; burst++) {
		size_t n = (size_t)some(burst) % (capacity + 2);
		for (size_t i = 0; i < n; i++) {
			bool full = in - out == capacity;
			FL_RC(fl_queue_try_put(q, &in), full ? -EAGAIN : 0);
			in += !full;
		}
		n = (size_t)some(burst + 1000) % (capacity + 2);
		for (size_t i = 0; i < n; i++) {
			uint64_t item = 77;
			bool empty = in == out;
			FL_RC(fl_queue_try_get(q, &item), empty ? -EAGAIN : 0);
			assert_true(item == (empty ? 77 : out));
			out += !empty;
		}
		assert_int_equal(fl_queue_length(q), in - out);
	}
	assert_true(out > capacity * 3);
}

FL_TEST(queue_is_fifo_at_any_capacity)
{
	const size_t capacities[] = {1, 2, 3, 4, 5, 6, 7, 9, 10, 12, 15, 16, 17, 31, 33, 100, 127, 1000};
	for (size_t i = 0; i < sizeof capacities / sizeof *capacities; i++)
		run_fifo(capacities[i]);
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
	FL_SCOPED(fl_queue) *q = NULL;
	FL_OK(fl_queue_create(&q, size, &(fl_queue_config){.capacity = CAPACITY}));
	for (unsigned round = 0; round < 10; round++) {
		for (unsigned i = 0; i < CAPACITY; i++) {
			fill(in, size, round + i);
			FL_OK(fl_queue_put(q, in));
			memset(in, 0, size); /* it was copied */
		}
		for (unsigned i = 0; i < CAPACITY; i++) {
			memset(out, 0xa5, sizeof out);
			FL_OK(fl_queue_get(q, out + GUARD));
			fill(in, size, round + i);
			assert_memory_equal(out + GUARD, in, size);
			assert_memory_equal(out, guard, GUARD);
			assert_memory_equal(out + GUARD + size, guard, GUARD);
		}
		fill(in, size, round);
		/* So that the next round starts elsewhere in the ring. */
		FL_OK(fl_queue_put(q, in));
		FL_OK(fl_queue_get(q, out));
	}
}

FL_TEST(queue_carries_items_of_any_size)
{
	for (size_t size = 1; size <= 72; size++)
		run_size(size);
	const size_t sizes[] = {100, 127, 128, 255, 256, 257, 1000, 1024, 4095, 4096};
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
		run_size(sizes[i]);
}

#ifndef ONE_EACH /* the other ring has no laps */
/* Beyond 32-bit numbers of items, laps and positions; through a ring that is no power of two. */
FL_TEST(queue_index_wrap_2_32)
{
	enum { CAPACITY = 1003, LAP = 1024 };
	const uint64_t laps[] = {UINT32_MAX / LAP / 4, UINT32_MAX / LAP, UINT32_MAX / CAPACITY, UINT32_MAX};
	for (size_t k = 0; k < sizeof laps / sizeof *laps; k++) {
		FL_SCOPED(fl_queue) *q = NULL;
		FL_OK(fl_queue_create(&q, sizeof(int), &(fl_queue_config){.capacity = CAPACITY}));
		struct fl__mpmc *ring = fl__queue_as_mpmc(q);
		fl__mpmc_fini(ring);
		FL_OK(fl__mpmc_init(ring, sizeof(int), CAPACITY, laps[k] - 1));
		const uint64_t before = fl__mpmc_puts(ring);
		q->done = 2 * before;
		const int put = fl_fill_ten_times(q, CAPACITY);
		assert_int_equal(fl__mpmc_puts(ring) - before, put);
	}
}
#endif

FL_TEST(queue_put_in_three_forms)
{
	FL_SCOPED(fl_queue) *q = NULL;
	FL_OK(fl_queue_create(&q, sizeof(int), &(fl_queue_config){.capacity = 4}));
	FL_OK(fl_queue_put(q, &(int){1}));
	FL_OK(fl_queue_try_put(q, &(int){2}));
	FL_OK(fl_queue_put_until(q, &(int){3}, FL_FOREVER, NULL));
	/* There is space: the deadline does not matter. */
	FL_OK(fl_queue_put_until(q, &(int){4}, 0, NULL));
	FL_RC(fl_queue_try_put(q, &(int){5}), -EAGAIN);
	FL_RC(fl_queue_put_until(q, &(int){5}, 0, NULL), -ETIMEDOUT);
	FL_RC(fl_queue_put_until(q, &(int){5}, -1, NULL), -ETIMEDOUT);
	FL_RC(fl_queue_put_until(q, &(int){5}, INT64_MIN, FL_SHIELDED), -ETIMEDOUT);
	FL_RC(fl_queue_put_until(q, &(int){5}, fl_now(), NULL), -ETIMEDOUT);
	for (int i = 1; i <= 4; i++) {
		int item = 0;
		FL_OK(fl_queue_get(q, &item));
		assert_int_equal(item, i);
	}
	fl_queue_close(q);
	FL_RC(fl_queue_put(q, &(int){6}), -EPIPE);
	FL_RC(fl_queue_try_put(q, &(int){6}), -EPIPE);
	FL_RC(fl_queue_put_until(q, &(int){6}, FL_FOREVER, NULL), -EPIPE);
	FL_RC(fl_queue_put_until(q, &(int){6}, 0, NULL), -EPIPE);
	assert_int_equal(fl_queue_length(q), 0);
}

FL_TEST(queue_get_in_three_forms)
{
	FL_SCOPED(fl_queue) *q = NULL;
	FL_OK(fl_queue_create(&q, sizeof(int), &(fl_queue_config){.capacity = 9}));
	int item = 77;
	FL_RC(fl_queue_try_get(q, &item), -EAGAIN);
	FL_RC(fl_queue_get_until(q, &item, 0, NULL), -ETIMEDOUT);
	FL_RC(fl_queue_get_until(q, &item, -1, NULL), -ETIMEDOUT);
	FL_RC(fl_queue_get_until(q, &item, fl_now(), FL_SHIELDED), -ETIMEDOUT);
	assert_int_equal(item, 77);
	for (int i = 1; i <= 5; i++)
		FL_OK(fl_queue_put(q, &i));
	FL_OK(fl_queue_get(q, &item));
	assert_int_equal(item, 1);
	FL_OK(fl_queue_try_get(q, &item));
	assert_int_equal(item, 2);
	FL_OK(fl_queue_get_until(q, &item, FL_FOREVER, NULL));
	assert_int_equal(item, 3);
	/* There is an item: the deadline does not matter. */
	FL_OK(fl_queue_get_until(q, &item, INT64_MIN, NULL));
	assert_int_equal(item, 4);
	fl_queue_close(q);
	FL_OK(fl_queue_get(q, &item)); /* an item in the queue can be got */
	assert_int_equal(item, 5);
	FL_RC(fl_queue_get(q, &item), -EPIPE);
	FL_RC(fl_queue_try_get(q, &item), -EPIPE);
	FL_RC(fl_queue_get_until(q, &item, FL_FOREVER, NULL), -EPIPE);
	FL_RC(fl_queue_get_until(q, &item, 0, NULL), -EPIPE);
	assert_int_equal(item, 5);
}

FL_TEST(queue_waits_until_the_deadline_and_not_less)
{
	FL_SCOPED(fl_queue) *q = NULL;
	FL_OK(fl_queue_create(&q, sizeof(int), &(fl_queue_config){.capacity = 1}));
	int item = 77;
	size_t count = 77;
	int64_t deadline = fl_after(FL_MS(3));
	FL_RC(fl_queue_get_until(q, &item, deadline, NULL), -ETIMEDOUT);
	assert_true(fl_now() >= deadline);
	deadline = fl_after(FL_MS(3));
	FL_RC(fl_queue_get_many_until(q, &item, 1, &count, deadline, NULL), -ETIMEDOUT);
	assert_true(fl_now() >= deadline);
	assert_int_equal(count, 0);
	FL_OK(fl_queue_put(q, &(int){1}));
	deadline = fl_after(FL_MS(3));
	FL_RC(fl_queue_put_until(q, &(int){2}, deadline, NULL), -ETIMEDOUT);
	assert_true(fl_now() >= deadline);
	deadline = fl_after(FL_MS(3));
	FL_RC(fl_queue_put_many_until(q, &(int){2}, 1, &count, deadline, NULL), -ETIMEDOUT);
	assert_true(fl_now() >= deadline);
	deadline = fl_after(FL_MS(3));
	FL_RC(fl_queue_join_until(q, deadline, NULL), -ETIMEDOUT);
	assert_true(fl_now() >= deadline);
	assert_int_equal(item, 77);
	assert_int_equal(fl_queue_length(q), 1);
}

FL_TEST(queue_under_a_requested_token_does_what_can_be_done_at_once)
{
	FL_SCOPED(fl_queue) *q = NULL;
	FL_OK(fl_queue_create(&q, sizeof(int), &(fl_queue_config){.capacity = 1}));
	FL_SCOPED(fl_cancel_token) stop = FL_CANCEL_TOKEN_INIT;
	fl_cancel_token_request(&stop);
	int item = 77;
	FL_RC(fl_queue_get_until(q, &item, FL_FOREVER, &stop), -ECANCELED);
	FL_OK(fl_queue_put_until(q, &(int){1}, FL_FOREVER, &stop));
	FL_RC(fl_queue_put_until(q, &(int){2}, FL_FOREVER, &stop), -ECANCELED);
	FL_RC(fl_queue_join_until(q, FL_FOREVER, &stop), -ECANCELED);
	assert_int_equal(item, 77);
	FL_OK(fl_queue_get_until(q, &item, FL_FOREVER, &stop));
	assert_int_equal(item, 1);
	fl_queue_task_done(q);
	FL_OK(fl_queue_join_until(q, FL_FOREVER, &stop));

	FL_SCOPED(fl_cancel_token) timer = FL_CANCEL_TOKEN_INIT;
	fl_cancel_token_init(&timer, FL_SHIELDED, fl_now());
	/* By the token's own deadline. */
	FL_RC(fl_queue_get_until(q, &item, FL_FOREVER, &timer), -ECANCELED);
}

FL_TEST(queue_plain_forms_observe_the_scope)
{
	FL_SCOPED(fl_queue) *q = NULL;
	FL_OK(fl_queue_create(&q, sizeof(int), &(fl_queue_config){.capacity = 1}));
	FL_SCOPED(fl_cancel_token) stop = FL_CANCEL_TOKEN_INIT;
	fl_cancel_token_request(&stop);
	FL_CANCEL_SCOPE(&stop);
	int item = 77;
	FL_RC(fl_queue_get(q, &item), -ECANCELED);
	FL_RC(fl_queue_get_until(q, &item, FL_FOREVER, NULL), -ECANCELED);
	FL_RC(fl_queue_get_until(q, &item, 0, FL_SHIELDED), -ETIMEDOUT);
	assert_int_equal(fl_queue_get_many(q, &item, 1), 0);
	FL_OK(fl_queue_put(q, &(int){1}));
	FL_RC(fl_queue_put(q, &(int){2}), -ECANCELED);
	FL_RC(fl_queue_put_until(q, &(int){2}, FL_FOREVER, NULL), -ECANCELED);
	FL_RC(fl_queue_put_until(q, &(int){2}, 0, FL_SHIELDED), -ETIMEDOUT);
	assert_int_equal(fl_queue_put_many(q, &(int){2}, 1), 0);
	FL_RC(fl_queue_join(q), -ECANCELED);
	FL_RC(fl_queue_join_until(q, FL_FOREVER, NULL), -ECANCELED);
	FL_RC(fl_queue_join_until(q, 0, FL_SHIELDED), -ETIMEDOUT);
	assert_int_equal(item, 77);
	assert_int_equal(fl_queue_length(q), 1);
}

FL_TEST(queue_frees_nothing_for_null)
{
	long before = seam_live_allocs();
	fl_queue_free(NULL);
	FL_SCOPED(fl_queue) *none = NULL;
	assert_null(none);
	assert_int_equal(seam_live_allocs(), before);
}

FL_TEST(queue_scoped_is_freed_at_the_end_of_its_block)
{
	long before = seam_live_allocs();
	for (int i = 0; i < 3; i++) {
		FL_SCOPED(fl_queue) *q = NULL;
		FL_OK(fl_queue_create(&q, 100, NULL));
		if (i == 1)
			continue;
		assert_true(seam_live_allocs() > before);
	}
	assert_int_equal(seam_live_allocs(), before);
}

FL_TEST(queue_counts_what_is_not_dealt_with)
{
	FL_SCOPED(fl_queue) *q = NULL;
	FL_OK(fl_queue_create(&q, sizeof(int), NULL));
	int item;
	FL_OK(fl_queue_try_join(q));
	FL_OK(fl_queue_join(q)); /* nothing was ever put */
	FL_OK(fl_queue_put(q, &(int){1}));
	FL_RC(fl_queue_try_join(q), -EBUSY);
	FL_OK(fl_queue_put(q, &(int){2}));
	FL_OK(fl_queue_get(q, &item));
	FL_OK(fl_queue_get(q, &item));
	FL_RC(fl_queue_try_join(q), -EBUSY); /* got, but not dealt with */
	fl_queue_task_done(q);
	FL_RC(fl_queue_try_join(q), -EBUSY);
	FL_RC(fl_queue_join_until(q, 0, NULL), -ETIMEDOUT);
	fl_queue_task_done(q);
	FL_OK(fl_queue_try_join(q));
	FL_OK(fl_queue_join(q));
	FL_OK(fl_queue_join_until(q, 0, NULL));
	FL_OK(fl_queue_put(q, &(int){3})); /* and it counts again */
	FL_RC(fl_queue_try_join(q), -EBUSY);
	fl_queue_close(q);
	FL_RC(fl_queue_try_join(q), -EBUSY); /* the items of a closed queue still have to be done */
	FL_OK(fl_queue_get(q, &item));
	fl_queue_task_done(q);
	FL_OK(fl_queue_join(q));
}

FL_TEST(queue_unfinished_counts_what_a_join_waits_for)
{
	static const fl_queue_config configs[] = {
	    {.capacity = 4},
	    {.capacity = 4, .one_producer = true, .one_consumer = true},
	    {.capacity = 4, .order = FL_LIFO},
	    {.capacity = FL_UNBOUNDED},
	    {.capacity = FL_UNBOUNDED, .order = FL_LIFO},
	    {.capacity = FL_UNBOUNDED, .one_consumer = true},
	};
	for (size_t i = 0; i < sizeof configs / sizeof *configs; i++) {
		FL_SCOPED(fl_queue) *q = NULL;
		FL_OK(fl_queue_create(&q, sizeof(int), &configs[i]));
		int item;
		assert_int_equal(fl_queue_unfinished(q), 0);
		for (int n = 1; n <= 4; n++) {
			FL_OK(fl_queue_put(q, &n));
			assert_int_equal(fl_queue_unfinished(q), n);
		}
		FL_OK(fl_queue_get(q, &item));
		assert_int_equal(fl_queue_unfinished(q), 4); /* got, but not dealt with */
		fl_queue_task_done(q);
		assert_int_equal(fl_queue_unfinished(q), 3);
		fl_queue_close(q);
		FL_RC(fl_queue_put(q, &item), -EPIPE);
		assert_int_equal(fl_queue_unfinished(q), 3);
		FL_OK(fl_queue_get(q, &item));
		assert_int_equal(fl_queue_close_now(q), 2); /* dropped items count as done */
		assert_int_equal(fl_queue_unfinished(q), 1);
		fl_queue_task_done(q);
		assert_int_equal(fl_queue_unfinished(q), 0);
		FL_OK(fl_queue_try_join(q));
	}
}

FL_TEST(queue_task_done_too_often_panics)
{
	FL_SCOPED(fl_queue) *q = NULL;
	FL_OK(fl_queue_create(&q, sizeof(int), NULL));
	FL_PANICS(fl_queue_task_done(q));
	assert_string_equal(fl_test_panic.function, "fl_queue_task_done");
	assert_ptr_equal(fl_test_panic.object, q);
	assert_true(strlen(fl_test_panic.reason) > 0);
	int item;
	FL_OK(fl_queue_put(q, &(int){1})); /* the queue is as it was */
	FL_OK(fl_queue_get(q, &item));
	fl_queue_task_done(q);
	FL_PANICS(fl_queue_task_done(q));
	FL_OK(fl_queue_try_join(q));
}

FL_TEST(queue_try_task_done_reports_one_too_many)
{
	FL_SCOPED(fl_queue) *q = NULL;
	FL_OK(fl_queue_create(&q, sizeof(int), NULL));
	FL_RC(fl_queue_try_task_done(q), -EINVAL);
	FL_OK(fl_queue_put(q, &(int){1}));
	FL_RC(fl_queue_try_join(q), -EBUSY);
	FL_OK(fl_queue_try_task_done(q));
	FL_OK(fl_queue_try_join(q));
	FL_RC(fl_queue_try_task_done(q), -EINVAL);
	FL_OK(fl_queue_put(q, &(int){2})); /* the queue is as it was */
	FL_RC(fl_queue_try_join(q), -EBUSY);
	assert_int_equal(fl_queue_close_now(q), 2);
	FL_RC(fl_queue_try_task_done(q), -EINVAL);
}

FL_TEST(queue_task_done_may_come_before_the_get)
{
	FL_SCOPED(fl_queue) *q = NULL;
	FL_OK(fl_queue_create(&q, sizeof(int), NULL));
	FL_OK(fl_queue_put(q, &(int){1}));
	FL_OK(fl_queue_put(q, &(int){2}));
	fl_queue_task_done(q);
	fl_queue_task_done(q);
	FL_PANICS(fl_queue_task_done(q));
	FL_OK(fl_queue_try_join(q));
	assert_int_equal(fl_queue_close_now(q), 2); /* dropped items count as done: not twice */
	FL_OK(fl_queue_try_join(q));
	FL_PANICS(fl_queue_task_done(q));
}
