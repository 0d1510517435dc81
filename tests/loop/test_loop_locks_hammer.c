/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fibers of several loops, and threads, on the same objects, with deadlines and cancels in flight:
 * nothing is lost.
 */
#include "fl_in_loop.h"
#include "hammer.h"

/* The hammer of tests/support/hammer.h, in fibers. */
enum { LOOPS = 2, FIBERS = 12, THREADS = 2, ALL = LOOPS * FIBERS + THREADS };

static int strike_in_fibers(void *arg)
{
	hammer_thread *first = arg;
	fl_fiber *f[FIBERS];
	for (int i = 0; i < FIBERS; i++)
		f[i] = fl_test_start(hammer_run, &first[i]);
	for (int i = 0; i < FIBERS; i++)
		FL_CHECK(fl_test_join(f[i]) == 0);
	return 0;
}

static int strike_in_loop(void *arg)
{
	return fl_loop_run(strike_in_fibers, arg);
}

FL_TEST(loop_locks_hammer)
{
	FL_NEEDS(FL_TEST_EVENTFD);
	static hammer_thread each[ALL];
	fl_thread threads[LOOPS + THREADS];
	hammer h = {.threads = ALL, .rounds = fl_test_scaled(5000), .sem = FL_SEM_INIT(HAMMER_PERMITS), .thread = each};
	for (unsigned i = 0; i < ALL; i++)
		each[i] = (hammer_thread){.all = &h, .random = 5 + 7919 * i};
	for (int i = 0; i < LOOPS; i++)
		fl_test_go(&threads[i], strike_in_loop, &each[i * FIBERS]);
	for (int i = 0; i < THREADS; i++)
		fl_test_go(&threads[LOOPS + i], hammer_run, &each[LOOPS * FIBERS + i]);
	FL_WAIT_FOR(fl_test_queued(&h.start) == ALL);
	fl_event_set(&h.start);
	for (int i = 0; i < LOOPS + THREADS; i++)
		fl_test_end(&threads[i]);
	hammer_check(&h);
	assert_int_equal(fl_sem_value(&h.sem), HAMMER_PERMITS);
	FL_OK(fl_mutex_destroy(&h.mutex));
	FL_OK(fl_rmutex_destroy(&h.rmutex));
	FL_OK(fl_sem_destroy(&h.sem));
	FL_OK(fl_cond_destroy(&h.tokens_cond));
	FL_OK(fl_event_destroy(&h.event));
}

/*
 * Short waits for items of a queue, by fl_wait_for() and by timeouts: asyncio lost some items (its
 * #201, #343).
 */
enum { GETTERS = 8 };

typedef struct line {
	fl_queue *queue;
	unsigned items;
	uint64_t sum; /* of one loop's thread */
	unsigned got, timed_out;
} line;

static int get_one(void *arg)
{
	line *l = arg;
	unsigned item;
	int rc = fl_queue_get(l->queue, &item);
	if (rc == 0) {
		l->sum += item;
		l->got++;
	}
	return rc;
}

static int get_all(void *arg)
{
	line *l = arg;
	for (unsigned i = 0;; i++) {
		int result = 0;
		int rc = fl_wait_for(get_one, l, fl_after(FL_US(i % 5)), &result);
		FL_CHECK(rc == 0 ? result == 0 || result == -EPIPE : rc == -ETIMEDOUT && result == -ECANCELED);
		/* Relaxed: a count. */
		fl__store_relaxed(&l->timed_out, l->timed_out + (rc == -ETIMEDOUT));
		if (result == -EPIPE)
			return 0;
	}
}

static int put_all(void *arg)
{
	const line *l = arg;
	for (unsigned i = 1; i <= l->items; i++) {
		if (i == l->items / 2)
			/* As it happens when no item comes. */
			FL_WAIT_FOR(fl__load_relaxed(&l->timed_out) > 0);
		FL_CHECK(fl_queue_put(l->queue, &i) == 0);
	}
	fl_queue_close(l->queue);
	return 0;
}

static int get_while_put(void *arg)
{
	line *l = arg;
	fl_thread producer;
	fl_fiber *f[GETTERS];
	FL_CHECK(fl_queue_create(&l->queue, sizeof(unsigned), &(fl_queue_config){.capacity = 4}) == 0);
	fl_test_go(&producer, put_all, l);
	for (int i = 0; i < GETTERS; i++)
		f[i] = fl_test_start(get_all, l);
	for (int i = 0; i < GETTERS; i++)
		FL_CHECK(fl_test_join(f[i]) == 0);
	fl_test_end(&producer);
	fl_queue_free(l->queue);
	return 0;
}

FL_TEST(loop_locks_queue_loses_no_item_to_timeouts)
{
	line l = {.items = fl_test_scaled(20000)};
	fl_test_in_loop(get_while_put, &l);
	print_message("%u items, %u timeouts\n", l.got, l.timed_out);
	assert_int_equal(l.got, l.items);
	assert_int_equal(l.sum, (uint64_t)l.items * (l.items + 1) / 2);
	assert_true(l.timed_out > 0);
}
