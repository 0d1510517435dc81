/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bugs of other queues, each under its name in docs/bugs.md, that a bounded blocking queue can
 * have. queue_wakeup_stranded and its kin search a race in many short rounds; a hang is their
 * failure.
 */
#include "fl_blocked.h"

enum { MANY = 4 };

/* What a thread of a crowd works on, and what it counts. */
struct hand {
	fl_queue *q;
	unsigned id, rounds;
	uint64_t done, sum;
	fl_latch *start;
};

static int false_empty(void *arg)
{
	struct hand *h = arg;
	for (unsigned i = 0; i < h->rounds; i++) {
		int item = (int)i;
		FL_CHECK(fl_queue_try_put(h->q, &item) == 0);
		FL_CHECK(fl_queue_try_get(h->q, &item) ==
		         0); /* as many items as threads between the two: never empty */
	}
	return 0;
}

static int false_full(void *arg)
{
	struct hand *h = arg;
	for (unsigned i = 0; i < h->rounds; i++) {
		int item;
		FL_CHECK(fl_queue_try_get(h->q, &item) == 0);
		FL_CHECK(fl_queue_try_put(h->q, &item) == 0);
	}
	return 0;
}

static void run_crowd(fl_queue *q, fl_thread_function *function, unsigned rounds)
{
	struct hand hands[MANY];
	fl_thread threads[MANY];
	for (unsigned i = 0; i < MANY; i++)
		hands[i] = (struct hand){.q = q, .id = i, .rounds = fl_test_scaled(rounds)};
	seam_start(threads, MANY, function, hands, sizeof *hands);
	seam_join(threads, MANY);
}

FL_TEST(queue_false_empty_after_own_push)
{
	FL_SCOPED(fl_queue) *q = queue_with(MANY, 0);
	run_crowd(q, false_empty, 30000);
	assert_int_equal(fl_queue_length(q), 0);
}

FL_TEST(queue_false_full_after_own_pop)
{
	FL_SCOPED(fl_queue) *q = queue_with(MANY, MANY);
	run_crowd(q, false_full, 30000);
	assert_int_equal(fl_queue_length(q), MANY);
}

/*
 * A wake that meets a cancel: either the cancelled getter has the item, or the other one gets it.
 */
FL_TEST(queue_wakeup_stranded)
{
	FL_SCOPED(fl_queue) *q = queue_with(1, 0);
	unsigned rounds = fl_test_scaled(2000), taken = 0;
	for (unsigned i = 0; i < rounds; i++) {
		FL_SCOPED(fl_cancel_token) stop = FL_CANCEL_TOKEN_INIT;
		struct blocked quits = {.op = op_get_until, .q = q, .cancel = &stop}, stays = {.op = op_get, .q = q};
		blocked_start(&quits);
		blocked_start(&stays);
		if (i % 2)
			FL_WAIT_FOR(seam_sleepers() == 2);
		struct blocked put = {.op = op_put, .q = q, .items = {1}};
		blocked_start(&put);
		fl_cancel_token_request(&stop);
		FL_OK(blocked_end(&put));
		int rc = blocked_end(&quits);
		if (rc == 0) {
			taken++;
			FL_OK(fl_queue_put(q, &(int){2}));
		} else {
			FL_RC(rc, -ECANCELED);
		}
		FL_OK(blocked_end(&stays)); /* or it sleeps on beside an item */
		assert_int_equal(stays.items[0], rc == 0 ? 2 : 1);
	}
	assert_true(taken <= rounds);
}

/* The same with deadlines that pass while the item comes. */
FL_TEST(queue_wakeup_stranded_by_a_timeout)
{
	FL_SCOPED(fl_queue) *q = queue_with(1, 0);
	for (unsigned i = 0, rounds = fl_test_scaled(1000); i < rounds; i++) {
		struct blocked quits = {.op = op_get_until, .q = q}, stays = {.op = op_get, .q = q};
		quits.deadline = fl_after(FL_US(i % 100));
		blocked_start(&quits);
		blocked_start(&stays);
		FL_OK(fl_queue_put(q, &(int){1}));
		int rc = blocked_end(&quits);
		if (rc == 0)
			FL_OK(fl_queue_put(q, &(int){2}));
		else
			FL_RC(rc, -ETIMEDOUT);
		FL_OK(blocked_end(&stays));
	}
}

/* A putter that is woken and gives up must pass its space on. */
FL_TEST(queue_wakeup_stranded_space)
{
	FL_SCOPED(fl_queue) *q = queue_with(1, 1);
	for (unsigned i = 0, rounds = fl_test_scaled(1000); i < rounds; i++) {
		struct blocked quits = {.op = op_put_until, .q = q, .items = {7}}, stays = {.op = op_put, .q = q};
		FL_SCOPED(fl_cancel_token) stop = FL_CANCEL_TOKEN_INIT;
		quits.cancel = &stop;
		blocked_start(&quits);
		blocked_start(&stays);
		struct blocked get = {.op = op_get, .q = q};
		blocked_start(&get);
		fl_cancel_token_request(&stop);
		FL_OK(blocked_end(&get));
		int rc = blocked_end(&quits), item;
		if (rc == 0)
			FL_OK(fl_queue_get(q, &item));
		else
			FL_RC(rc, -ECANCELED);
		FL_OK(blocked_end(&stays));
		assert_int_equal(fl_queue_length(q), 1);
	}
}

FL_TEST(queue_close_misses_waiter)
{
	for (unsigned i = 0, rounds = fl_test_scaled(1500); i < rounds; i++) {
		fl_queue *q = queue_with(1, i % 2);
		struct blocked b[2];
		for (int k = 0; k < 2; k++) {
			b[k] = (struct blocked){.op = i % 2 ? op_put : op_get, .q = q};
			blocked_start(&b[k]);
		}
		fl_queue_close(q); /* anywhere in their way into the wait */
		FL_RC(blocked_end(&b[0]), -EPIPE);
		FL_RC(blocked_end(&b[1]), -EPIPE);
		fl_queue_free(q);
	}
}

static int put_until_closed(void *arg)
{
	struct hand *h = arg;
	fl_latch_count_down(h->start, 1);
	for (;; h->done++) {
		uint64_t item = h->done * MANY + h->id;
		int rc =
		    h->done % 3 ? fl_queue_put(h->q, &item) : fl_queue_put_until(h->q, &item, fl_after(FL_S(60)), NULL);
		FL_CHECK(rc == 0 || rc == -EPIPE);
		if (rc != 0)
			return 0;
		h->sum += item;
	}
}

static int get_until_closed(void *arg)
{
	struct hand *h = arg;
	uint64_t item;
	int rc;
	fl_latch_count_down(h->start, 1);
	for (; (rc = fl_queue_get(h->q, &item)) == 0; h->done++)
		h->sum += item;
	FL_CHECK(rc == -EPIPE);
	return 0;
}

static void add_dropped(void *item, void *arg)
{
	struct hand *h = arg;
	h->done++;
	h->sum += *(uint64_t *)item;
}

/* Closes in the middle of traffic: what was accepted comes out, or is dropped. */
static void run_close(bool at_once, unsigned traffic)
{
	fl_latch start = FL_LATCH_INIT(2 * MANY);
	struct hand dropped = {0}, puts[MANY], gets[MANY];
	fl_thread putters[MANY], getters[MANY];
	fl_queue *q = NULL;
	const fl_queue_config config = {.capacity = 3, .drop = add_dropped, .drop_arg = &dropped};
	FL_OK(fl_queue_create(&q, sizeof(uint64_t), &config));
	for (unsigned i = 0; i < MANY; i++)
		puts[i] = gets[i] = (struct hand){.q = q, .id = i, .start = &start};
	seam_start(putters, MANY, put_until_closed, puts, sizeof *puts);
	seam_start(getters, MANY, get_until_closed, gets, sizeof *gets);
	FL_OK(fl_latch_wait(&start));
	for (volatile unsigned i = 0; i < traffic * 1000; i++)
		;
	if (at_once) {
		size_t n = fl_queue_close_now(q);
		assert_int_equal(n, dropped.done);
	} else {
		fl_queue_close(q);
	}
	seam_join(putters, MANY);
	seam_join(getters, MANY);
	for (unsigned i = 0; i < MANY; i++) {
		dropped.done += gets[i].done - puts[i].done;
		dropped.sum += gets[i].sum - puts[i].sum;
	}
	assert_int_equal(dropped.done, 0);
	assert_int_equal(dropped.sum, 0);
	fl_queue_free(q);
	assert_int_equal(dropped.done, 0);
}

FL_TEST(queue_close_vs_put)
{
	for (unsigned i = 0, rounds = fl_test_scaled(150); i < rounds; i++)
		run_close(false, i % 16);
}

FL_TEST(queue_close_now_vs_put)
{
	for (unsigned i = 0, rounds = fl_test_scaled(150); i < rounds; i++)
		run_close(true, i % 16);
}

static int pong(void *arg)
{
	struct hand *h = arg;
	int item;
	for (unsigned i = 0; i < h->rounds; i++) {
		FL_CHECK(fl_queue_get(h[0].q, &item) == 0);
		FL_CHECK(fl_queue_put(h[1].q, &item) == 0);
	}
	return 0;
}

/* Two threads that wait for each other at each step: one lost wake, and they hang. */
FL_TEST(queue_lost_wakeup_dekker)
{
	FL_SCOPED(fl_queue) *there = queue_with(1, 0);
	FL_SCOPED(fl_queue) *back = queue_with(1, 0);
	struct hand h[2] = {{.q = there, .rounds = fl_test_scaled(40000)}, {.q = back}};
	fl_thread other;
	seam_start(&other, 1, pong, h, sizeof h);
	for (unsigned i = 0; i < h->rounds; i++) {
		int item = (int)i;
		FL_OK(fl_queue_put(there, &item));
		FL_OK(fl_queue_get(back, &item));
		assert_int_equal(item, i);
	}
	seam_join(&other, 1);
}

static int put_some(void *arg)
{
	struct hand *h = arg;
	for (unsigned i = 0; i < h->rounds; i++) {
		uint64_t *box = malloc(sizeof *box);
		FL_CHECK(box);
		*box = (uint64_t)h->id << 32 | i; /* a plain write: the put publishes it */
		FL_CHECK(fl_queue_put(h->q, &box) == 0);
	}
	return 0;
}

static int check_order(void *arg)
{
	struct hand *h = arg;
	uint64_t next[MANY] = {0}, *box;
	while (fl_queue_get(h->q, &box) == 0) {
		unsigned from = (unsigned)(*box >> 32);
		FL_CHECK(from < MANY && (uint32_t)*box >= next[from]);
		next[from] = (uint32_t)*box + 1;
		h->done++;
		free(box);
	}
	return 0;
}

/* Each producer's items come in order to each consumer, with what was written before. */
FL_TEST(queue_producer_order_happens_before)
{
	struct hand puts[MANY], gets[2];
	fl_thread putters[MANY], getters[2];
	FL_SCOPED(fl_queue) *q = NULL;
	FL_OK(fl_queue_create(&q, sizeof(uint64_t *), &(fl_queue_config){.capacity = 5}));
	for (unsigned i = 0; i < MANY; i++)
		puts[i] = (struct hand){.q = q, .id = i, .rounds = fl_test_scaled(20000)};
	gets[0] = gets[1] = (struct hand){.q = q};
	seam_start(getters, 2, check_order, gets, sizeof *gets);
	seam_start(putters, MANY, put_some, puts, sizeof *puts);
	seam_join(putters, MANY);
	fl_queue_close(q);
	seam_join(getters, 2);
	assert_int_equal(gets[0].done + gets[1].done, MANY * puts[0].rounds);
}

static int put_boxes(void *arg)
{
	struct hand *h = arg;
	for (;; h->done++) {
		uint64_t *box = malloc(sizeof *box);
		FL_CHECK(box);
		*box = h->id;
		if (fl_queue_put(h->q, &box) != 0) {
			free(box); /* refused: still ours */
			return 0;
		}
	}
}

static int get_boxes(void *arg)
{
	struct hand *h = arg;
	uint64_t *box;
	for (; fl_queue_get(h->q, &box) == 0; h->done++)
		free(box);
	return 0;
}

static void free_box(void *item, void *arg)
{
	free(*(uint64_t **)item);
	++*(unsigned *)arg;
}

/*
 * Each box is freed once: by its getter, by the drop callback, or after a failed put (ASan
 * watches).
 */
FL_TEST(queue_drop_vs_send_double_free)
{
	for (unsigned i = 0, rounds = fl_test_scaled(200); i < rounds; i++) {
		unsigned dropped = 0;
		fl_queue *q = NULL;
		const fl_queue_config config = {.capacity = 4, .drop = free_box, .drop_arg = &dropped};
		FL_OK(fl_queue_create(&q, sizeof(uint64_t *), &config));
		struct hand puts[2] = {{.q = q, .id = 1}, {.q = q, .id = 2}}, get = {.q = q};
		fl_thread putters[2], getter;
		seam_start(putters, 2, put_boxes, puts, sizeof *puts);
		if (i % 2)
			FL_WAIT_FOR(fl_queue_length(q) == 4);
		seam_start(&getter, 1, get_boxes, &get, sizeof get);
		size_t n = fl_queue_close_now(q);
		assert_int_equal(n, dropped);
		seam_join(putters, 2);
		seam_join(&getter, 1);
		assert_int_equal(puts[0].done + puts[1].done, get.done + dropped);
		fl_queue_free(q);
	}
}

/*
 * The consumer of the last item may free the queue while its producer, which waited for space, is
 * still leaving the put.
 */
FL_TEST(queue_destroy_with_waiter_inside)
{
	for (unsigned i = 0, rounds = fl_test_scaled(1500); i < rounds; i++) {
		fl_queue *q = queue_with(1, i % 2);
		struct blocked put = {.op = op_put, .q = q, .items = {9}};
		int item = 0;
		blocked_start(&put);
		while (item != 9)
			FL_OK(fl_queue_get(q, &item));
		fl_queue_free(q);
		FL_OK(blocked_end(&put));
	}
}

static int get_batches(void *arg)
{
	struct hand *h = arg;
	uint64_t items[7];
	size_t n;
	while ((n = fl_queue_get_many(h->q, items, 7)) > 0)
		for (size_t i = 0; i < n; i++, h->done++)
			h->sum += items[i];
	return 0;
}

static int put_batches(void *arg)
{
	struct hand *h = arg;
	uint64_t items[5];
	for (unsigned i = 0; i < h->rounds; i++) {
		size_t n = i % 5 + 1, count = 77;
		for (size_t k = 0; k < n; k++)
			items[k] = (uint64_t)i * 5 + k;
		int rc = fl_queue_put_many_until(h->q, items, n, &count, fl_after(FL_US(i % 50)), NULL);
		FL_CHECK(count <= n && (rc == 0 ? count == n : rc == -ETIMEDOUT && count < n));
		for (size_t k = 0; k < count; k++, h->done++) /* exactly the first `count` are in */
			h->sum += items[k];
	}
	return 0;
}

/* Batches that are cut short by their deadlines: what they say went in is what comes out. */
FL_TEST(queue_batch_partial)
{
	struct hand puts[MANY], gets[2];
	fl_thread putters[MANY], getters[2];
	FL_SCOPED(fl_queue) *q = NULL;
	FL_OK(fl_queue_create(&q, sizeof(uint64_t), &(fl_queue_config){.capacity = 3}));
	for (unsigned i = 0; i < MANY; i++)
		puts[i] = (struct hand){.q = q, .rounds = fl_test_scaled(5000)};
	gets[0] = gets[1] = (struct hand){.q = q};
	seam_start(putters, MANY, put_batches, puts, sizeof *puts);
	seam_start(getters, 2, get_batches, gets, sizeof *gets);
	seam_join(putters, MANY);
	fl_queue_close(q);
	seam_join(getters, 2);
	for (unsigned i = 0; i < MANY; i++) {
		gets[0].done -= puts[i].done;
		gets[0].sum -= puts[i].sum;
	}
	assert_true(gets[0].done + gets[1].done == 0);
	assert_true(gets[0].sum + gets[1].sum == 0);
}
