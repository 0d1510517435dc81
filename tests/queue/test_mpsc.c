/* SPDX-License-Identifier: BSD-2-Clause */
/* The unbounded queue with one consumer. The rest is in test_mpmc_unbounded.c. */
#include "fl_chains.h"
#include "fl_test.h"

#include "queue/mpmc_unbounded.h"

FL_MPMC_UNBOUNDED_OF(uint64_t, u64_inbox)

static const fl_mpmc_unbounded_config inbox = {.one_consumer = true};

static fl_mpmc_unbounded *make_of(size_t item_size, size_t segment)
{
	fl_mpmc_unbounded *q = NULL;
	FL_OK(fl_mpmc_unbounded_create(&q, item_size,
	                               &(fl_mpmc_unbounded_config){.one_consumer = true, .segment = segment}));
	return q;
}

static void put_all(fl_mpmc_unbounded *q, int from, int to)
{
	for (int i = from; i < to; i++)
		FL_OK(fl_mpmc_unbounded_try_put(q, &i));
}

static void get_all(fl_mpmc_unbounded *q, int from, int to)
{
	for (int i = from; i < to; i++) {
		int got = -1;
		FL_OK(fl_mpmc_unbounded_try_get(q, &got));
		assert_int_equal(got, i);
	}
}

FL_TEST(mpsc_create_refuses_what_cannot_be)
{
	fl_mpmc_unbounded *q = NULL;
	FL_RC(fl_mpmc_unbounded_create(&q, 0, &inbox), -EINVAL);
	FL_RC(fl_mpmc_unbounded_create(&q, PTRDIFF_MAX, &inbox), -EOVERFLOW);
	FL_COUNTING();
	for (int blocks = 0; blocks < 2; blocks++) {
		chains_allow(blocks);
		FL_RC(fl_mpmc_unbounded_create(&q, 8, &inbox), -ENOMEM);
		assert_int_equal(chains_live, 0);
	}
	assert_null(q);
	fl_mpmc_unbounded_free(NULL);
}

FL_TEST(mpsc_is_a_fifo)
{
	for (size_t segment = 0; segment < 5; segment++) {
		FL_SCOPED(fl_mpmc_unbounded) *q = make_of(sizeof(int), segment);
		int item = 77;
		FL_RC(fl_mpmc_unbounded_try_get(q, &item), -EAGAIN);
		assert_int_equal(item, 77);
		for (int i = 0; i < 40; i++) {
			put_all(q, i * 7, i * 7 + 7);
			assert_int_equal(fl_mpmc_unbounded_length(q), 7);
			get_all(q, i * 7, i * 7 + 7);
			assert_int_equal(fl_mpmc_unbounded_length(q), 0);
		}
		FL_RC(fl_mpmc_unbounded_try_get(q, &item), -EAGAIN);
	}
}

FL_TEST(mpsc_many_at_once)
{
	for (size_t segment = 1; segment < 9; segment++) {
		FL_SCOPED(fl_mpmc_unbounded) *q = make_of(sizeof(int), segment);
		int items[20], got[20];
		for (int i = 0; i < 20; i++)
			items[i] = i;
		assert_int_equal(fl_mpmc_unbounded_try_get_many(q, got, 20), 0);
		assert_int_equal(fl_mpmc_unbounded_try_put_many(q, items, 7), 7);
		assert_int_equal(fl_mpmc_unbounded_try_put_many(q, items + 7, 13), 13);
		assert_int_equal(fl_mpmc_unbounded_try_get_many(q, got, 0), 0);
		assert_int_equal(fl_mpmc_unbounded_try_get_many(q, got, 3), 3);
		assert_int_equal(fl_mpmc_unbounded_try_get_many(q, got + 3, 20), 17);
		assert_memory_equal(got, items, sizeof items);
	}
}

FL_TEST(mpsc_closed_drains)
{
	for (int n = 0; n < 6; n++) {
		FL_SCOPED(fl_mpmc_unbounded) *q = make_of(sizeof(int), 2);
		put_all(q, 0, n);
		assert_false(fl_mpmc_unbounded_is_closed(q));
		fl_mpmc_unbounded_close(q);
		fl_mpmc_unbounded_close(q);
		assert_true(fl_mpmc_unbounded_is_closed(q));
		int item = 9;
		FL_RC(fl_mpmc_unbounded_try_put(q, &item), -EPIPE);
		assert_int_equal(fl_mpmc_unbounded_try_put_many(q, &item, 1), 0);
		get_all(q, 0, n);
		FL_RC(fl_mpmc_unbounded_try_get(q, &item), -EPIPE);
		FL_RC(fl_mpmc_unbounded_try_put(q, &item), -EPIPE);
		assert_int_equal(fl_mpmc_unbounded_try_get_many(q, &item, 1), 0);
		assert_int_equal(item, 9);
	}
}

/*
 * Before the close, after refused puts, and while the rest is got. The segments hold two items:
 * some closes meet a full one.
 */
FL_TEST(mpsc_length_after_close_has_no_refused_put)
{
	static const int item[3] = {7, 8, 9};
	for (int n = 0; n < 6; n++) {
		FL_SCOPED(fl_mpmc_unbounded) *q = make_of(sizeof(int), 2);
		put_all(q, 0, n);
		fl_mpmc_unbounded_close(q);
		for (int i = 0; i < 10; i++) {
			FL_RC(fl_mpmc_unbounded_try_put(q, item), -EPIPE);
			assert_int_equal(fl_mpmc_unbounded_try_put_many(q, item, 3), 0);
			assert_int_equal(fl_mpmc_unbounded_length(q), n);
		}
		for (int i = 0; i < n; i++) {
			get_all(q, i, i + 1);
			FL_RC(fl_mpmc_unbounded_try_put(q, item), -EPIPE);
			assert_int_equal(fl_mpmc_unbounded_length(q), n - i - 1);
		}
		FL_RC(fl_mpmc_unbounded_try_get(q, &(int){0}), -EPIPE);
		assert_int_equal(fl_mpmc_unbounded_length(q), 0);
	}
}

FL_TEST(mpsc_put_without_memory)
{
	FL_COUNTING();
	fl_mpmc_unbounded *q = make_of(sizeof(int), 2);
	put_all(q, 0, 2);
	chains_allow(0);
	for (int i = 0; i < 10; i++) {
		FL_RC(fl_mpmc_unbounded_try_put(q, &i), -ENOMEM);
		assert_int_equal(fl_mpmc_unbounded_try_put_many(q, &i, 1), 0);
	}
	get_all(q, 0, 2);
	fl__sys.alloc = chains_alloc;
	put_all(q, 2, 9);
	get_all(q, 2, 9);
	fl_mpmc_unbounded_free(q);
}

static void count(void *item, void *counted)
{
	(void)item;
	++*(int *)counted;
}

FL_TEST(mpsc_memory_returns_after_burst)
{
	FL_COUNTING();
	fl_mpmc_unbounded *q = NULL;
	int dropped = 0;
	FL_OK(fl_mpmc_unbounded_create(
	    &q, sizeof(int),
	    &(fl_mpmc_unbounded_config){.one_consumer = true, .segment = 16, .drop = count, .drop_arg = &dropped}));
	put_all(q, 0, 1);
	int before = chains_live;
	put_all(q, 1, 16000);
	assert_true(chains_live > 900);
	get_all(q, 0, 15000);
	get_all(q, 15000, 16000);
	FL_IN_RANGE(chains_live, before, before + 2);
	put_all(q, 0, 20);
	fl_mpmc_unbounded_free(q);
	assert_int_equal(dropped, 20);
	FL_IN_RANGE(chains_live, 0, 1);
}

enum { PRODUCERS = 3 };

typedef struct crowd {
	u64_inbox *q;
	uint64_t each;
	uint32_t producer;
} crowd;

static int produce(void *arg)
{
	crowd *c = arg;
	uint64_t producer = fl__add_relaxed(&c->producer, 1), batch[16];
	for (uint64_t i = 0; i < c->each;) {
		size_t n = 0;
		while (producer == 0 && n < 16 && i < c->each)
			batch[n++] = ++i;
		if (n > 0)
			FL_CHECK(u64_inbox_try_put_many(c->q, batch, n) == n);
		else
			FL_CHECK(u64_inbox_try_put(c->q, producer << 32 | ++i) == 0);
	}
	return 0;
}

FL_TEST(mpsc_each_once_in_its_producers_order)
{
	FL_SCOPED(u64_inbox) *q = NULL;
	FL_OK(u64_inbox_create(&q, &(fl_mpmc_unbounded_config){.one_consumer = true, .segment = 32}));
	crowd c = {.q = q, .each = fl_test_scaled(200000)};
	fl_thread t[PRODUCERS];
	for (int i = 0; i < PRODUCERS; i++)
		FL_OK(fl_thread_start(&t[i], produce, &c, NULL));
	uint64_t last[PRODUCERS] = {0}, batch[16];
	for (uint64_t got = 0; got < PRODUCERS * c.each;) {
		size_t n = got % 3 ? u64_inbox_try_get_many(q, batch, 16) : u64_inbox_try_get(q, batch) == 0;
		for (size_t i = 0; i < n; i++) {
			uint64_t producer = batch[i] >> 32, number = batch[i] & UINT32_MAX;
			assert_true(producer < PRODUCERS);
			assert_int_equal(number, ++last[producer]);
		}
		got += n;
	}
	for (int i = 0; i < PRODUCERS; i++)
		FL_OK(fl_thread_join(&t[i], NULL));
	u64_inbox_close(q);
	FL_RC(u64_inbox_try_get(q, batch), -EPIPE);
	assert_true(u64_inbox_is_closed(q));
	assert_int_equal(u64_inbox_length(q), 0);
	assert_ptr_equal(u64_inbox_untyped(q), q);
}
