/* SPDX-License-Identifier: BSD-2-Clause */
/* The queue without room: a put and a get meet. */
#include "fl_blocked.h"

#include "core/queue/queue.h"

static fl_queue *rendezvous(void)
{
	return queue_with(FL_RENDEZVOUS, 0);
}

FL_TEST(rendezvous_is_fifo_alone)
{
	fl_queue *q = NULL;
	FL_RC(fl_queue_create(&q, 4, &(fl_queue_config){.capacity = FL_RENDEZVOUS, .order = FL_LIFO}), -EINVAL);
	FL_RC(fl_queue_create(&q, 4, &(fl_queue_config){.capacity = FL_RENDEZVOUS, .when_full = FL_OVERWRITE}),
	      -EINVAL);
	FL_RC(fl_queue_create(&q, 0, &(fl_queue_config){.capacity = FL_RENDEZVOUS}), -EINVAL);
	assert_null(q);
}

FL_TEST(rendezvous_has_no_room)
{
	FL_SCOPED(fl_queue) *q = rendezvous();
	int item = 77;
	assert_int_equal(fl_queue_capacity(q), 0);
	assert_int_equal(fl_queue_length(q), 0);
	FL_RC(fl_queue_try_put(q, &item), -EAGAIN);
	FL_RC(fl_queue_try_get(q, &item), -EAGAIN);
	FL_MANY(-EAGAIN, 0, fl_queue_try_put_many, q, &item, 1);
	FL_MANY(-EAGAIN, 0, fl_queue_try_get_many, q, &item, 1);
	FL_RC(fl_queue_put_until(q, &item, fl_test_soon(), NULL), -ETIMEDOUT);
	FL_RC(fl_queue_get_until(q, &item, fl_test_soon(), NULL), -ETIMEDOUT);
	assert_int_equal(item, 77);
	FL_OK(fl_queue_join_until(q, FL_NO_WAIT, FL_SHIELDED));
}

FL_TEST(rendezvous_put_returns_when_its_item_is_taken)
{
	FL_SCOPED(fl_queue) *q = rendezvous();
	struct blocked put = {.op = op_put, .q = q, .items = {5}};
	blocked_begin(&put);
	assert_int_equal(fl_queue_length(q), 0);
	FL_RC(fl_queue_try_put(q, &(int){6}), -EAGAIN); /* another put is no partner */
	GETS(q, 5);
	FL_OK(blocked_end(&put));
	FL_RC(fl_queue_join_until(q, FL_NO_WAIT, FL_SHIELDED), -ETIMEDOUT);
	fl_queue_task_done(q);
	FL_OK(fl_queue_join_until(q, FL_NO_WAIT, FL_SHIELDED));
}

FL_TEST(rendezvous_get_is_met_by_a_put)
{
	FL_SCOPED(fl_queue) *q = rendezvous();
	struct blocked get;
	blocked_on(q, op_get_until, &get);
	FL_RC(fl_queue_try_get(q, &(int){0}), -EAGAIN);
	FL_OK(fl_queue_try_put(q, &(int){5}));
	FL_OK(blocked_end(&get));
	assert_int_equal(get.items[0], 5);
}

FL_TEST(rendezvous_meets_the_longest_waiter)
{
	enum { N = 3 };
	FL_SCOPED(fl_queue) *q = rendezvous();
	struct blocked b[N];
	FL_EACH (i, b) {
		b[i] = (struct blocked){.op = op_put, .q = q, .items = {i}};
		blocked_begin(&b[i]);
	}
	FL_EACH (i, b) {
		GETS(q, i);
		FL_OK(blocked_end(&b[i]));
	}
	FL_EACH (i, b) {
		b[i] = (struct blocked){.op = op_get, .q = q};
		blocked_begin(&b[i]);
	}
	FL_EACH (i, b) {
		PUTS(q, 10 + i);
		FL_OK(blocked_end(&b[i]));
		assert_int_equal(b[i].items[0], 10 + i);
	}
}

FL_TEST(rendezvous_many_meet_one_after_the_other)
{
	FL_SCOPED(fl_queue) *q = rendezvous();
	struct blocked put = {.op = op_put_many, .q = q, .items = {1, 2, 3}, .n = 3};
	blocked_begin(&put);
	int got[4] = {0};
	for (size_t n = 0, more; n < 3; n += more) {
		more = FL_MOVED(fl_queue_get_many, q, got + n, 4 - n);
		FL_IN_RANGE(more, 1, 3 - n);
	}
	FL_OK(blocked_end(&put));
	assert_int_equal(put.count, 3);
	assert_int_equal(got[0] * 100 + got[1] * 10 + got[2], 123);
	struct blocked a = {.op = op_get_many, .q = q, .n = 8}, b = {.op = op_get, .q = q};
	blocked_begin(&a);
	blocked_begin(&b);
	FL_MANY(-EAGAIN, 2, fl_queue_try_put_many, q, (int[]){4, 5, 6}, 3);
	FL_OK(blocked_end(&a));
	FL_OK(blocked_end(&b));
	assert_int_equal(a.count, 1);
	assert_int_equal(a.items[0] * 10 + b.items[0], 45);
}

FL_TEST(rendezvous_gives_up_with_nothing_done)
{
	FL_BOTH (puts) {
		fl_queue *q = rendezvous();
		FL_SCOPED(fl_cancel_token) stop = FL_CANCEL_TOKEN_INIT;
		struct blocked b = {.op = puts ? op_put_until : op_get_until, .q = q, .items = {77}, .cancel = &stop};
		blocked_begin(&b);
		fl_cancel_token_request(&stop);
		FL_RC(blocked_end(&b), -ECANCELED);
		assert_int_equal(b.items[0], 77);
		FL_RC(puts ? fl_queue_try_get(q, b.items) : fl_queue_try_put(q, b.items), -EAGAIN);
		fl_queue_free(q); /* panics if a waiter is left */
	}
}

FL_TEST(rendezvous_close_ends_waits)
{
	for (int way = 0; way < 4; way++) {
		fl_queue *q = rendezvous();
		struct blocked b = {.op = way % 2 ? op_put : op_get, .q = q, .items = {77}};
		blocked_begin(&b);
		FL_PANICS(fl_queue_free(q));
		assert_false(fl_queue_is_closed(q));
		if (way < 2)
			fl_queue_close(q);
		else
			FL_OK(fl_queue_close_now(q));
		FL_RC(blocked_end(&b), -EPIPE);
		assert_int_equal(b.items[0], 77);
		assert_true(fl_queue_is_closed(q));
		FL_RC(fl_queue_put(q, b.items), -EPIPE);
		FL_RC(fl_queue_get(q, b.items), -EPIPE);
		FL_RC(fl_queue_try_put(q, b.items), -EPIPE);
		FL_RC(fl_queue_try_get(q, b.items), -EPIPE);
		fl_queue_free(q);
	}
}

FL_TEST(rendezvous_is_ready_beside_a_waiter)
{
	FL_BOTH (puts) {
		FL_SCOPED(fl_queue) *q = rendezvous();
		FL_RC(FL_WAIT_ANY_UNTIL(FL_NO_WAIT, NULL, FL_ON_QUEUE(q), FL_ON_QUEUE_SPACE(q)), -ETIMEDOUT);
		struct blocked look = {.op = puts ? op_observe : op_observe_space, .q = q};
		struct blocked blind = {.op = puts ? op_observe_space : op_observe, .q = q};
		struct blocked b = {.op = puts ? op_put : op_get, .q = q, .items = {5}};
		blocked_begin(&look);
		blocked_begin(&blind); /* two observers do not meet, nor does one see its own side */
		blocked_start(&b);
		FL_OK(blocked_end(&look));
		FL_WAIT_FOR(seam_sleepers() == 2);
		FL_RC(FL_WAIT_ANY(FL_ON_QUEUE(q), FL_ON_QUEUE_SPACE(q)), puts ? 0 : 1);
		FL_OK(puts ? fl_queue_try_get(q, &(int){0}) : fl_queue_try_put(q, &(int){6}));
		FL_OK(blocked_end(&b));
		fl_queue_close(q);
		FL_OK(blocked_end(&blind));
	}
}

struct large {
	fl_queue *q;
	char bytes[65537];
};

static int puts_large(void *arg)
{
	struct large *l = arg;
	return fl_queue_put(l->q, l->bytes);
}

FL_TEST(rendezvous_hands_over_a_large_item)
{
	static struct large item, got;
	FL_SCOPED(fl_queue) *q = FL_TEST_QUEUE_OF(sizeof item.bytes, &(fl_queue_config){.capacity = FL_RENDEZVOUS});
	item.q = q;
	memset(item.bytes, 0x5a, sizeof item.bytes);
	fl_thread *thread;
	fl_test_go(&thread, puts_large, &item);
	FL_OK(fl_queue_get(q, got.bytes));
	fl_test_end(thread);
	assert_memory_equal(got.bytes, item.bytes, sizeof item.bytes);
}

/* Waiters without threads. */
enum { CROWD = 1000 };
struct crowded {
	struct fl__wait wait;
	struct fl__offer offer;
};

static void wait_to_put(fl_queue *q, struct crowded *c, bool observer)
{
	static const int item = 1;
	fl__wait_begin(&c->wait, FL__DEBUG_NOTHING, NULL);
	c->offer = (struct fl__offer){.node = FL__NODE(&c->wait), .from = &item};
	c->offer.node.observer = observer;
	assert_true(fl__queue_enqueue(q, FL__PRODUCERS, &c->offer.node, false));
}

static void give_up(struct crowded *c)
{
	c->wait.decision = FL__GAVE_UP;
	fl__lot_leave(&c->offer.node);
}

/*
 * Calls once passed all waiters of their own side and all observers, so that N of them took a time
 * in the square of N. Here each that a call must not look at says that it would be met.
 */
FL_TEST(rendezvous_call_looks_at_the_first_waiter_alone)
{
	static struct crowded crowd[CROWD], own;
	FL_BOTH (observers) {
		FL_SCOPED(fl_queue) *q = rendezvous();
		FL_EACH (i, crowd)
			wait_to_put(q, &crowd[i], observers);
		for (unsigned i = observers ? 0 : 1; i < CROWD; i++) {
			crowd[i].offer.node.observer = false;
			crowd[i].offer.node.value = FL__CONSUMERS;
		}
		FL_RC(fl_queue_try_put(q, &(int){1}), -EAGAIN);
		wait_to_put(q, &own, false);
		give_up(&own);
		FL_EACH (i, crowd) {
			assert_true(crowd[i].wait.decision == FL__PENDING);
			give_up(&crowd[i]);
		}
	}
}

/* Each call once passed them again, until they had run. */
FL_TEST(rendezvous_call_dequeues_waiters_that_have_ended)
{
	static struct crowded crowd[CROWD];
	FL_SCOPED(fl_queue) *q = rendezvous();
	FL_EACH (i, crowd)
		wait_to_put(q, &crowd[i], false);
	for (unsigned i = 0; i < CROWD - 1; i++)
		crowd[i].wait.decision = FL__GAVE_UP;
	FL_RC(fl_queue_try_put(q, &(int){1}), -EAGAIN);
	FL_EACH (i, crowd)
		assert_true(crowd[i].offer.node.queued == (i == CROWD - 1));
	give_up(&crowd[CROWD - 1]);
}
