/* SPDX-License-Identifier: BSD-2-Clause */
/* Queues in fl_wait_any: readiness that takes nothing, and beside those that take. */
#include "fl_queue_kinds.h"

#include "fl_blocked.h"

QUEUE_TEST_ON(queue_on_items_is_ready_with_an_item_or_closed, 2, 0)
{
	FL_RC(FL_WAIT_ANY_UNTIL(FL_NO_WAIT, NULL, FL_ON_QUEUE(q)), -ETIMEDOUT);
	PUTS(q, 1);
	FL_OK(FL_WAIT_ANY(FL_ON_QUEUE(q)));
	FL_OK(FL_WAIT_ANY_UNTIL(FL_NO_WAIT, NULL, FL_ON_QUEUE(q))); /* looking took nothing */
	assert_int_equal(fl_queue_length(q), 1);
	GETS(q, 1);
	FL_RC(FL_WAIT_ANY_UNTIL(FL_NO_WAIT, NULL, FL_ON_QUEUE(q)), -ETIMEDOUT);
	fl_queue_close(q);
	FL_OK(FL_WAIT_ANY(FL_ON_QUEUE(q)));
}

QUEUE_TEST_ON(queue_on_space_is_ready_with_space_or_closed, 2, 1)
{
	FL_OK(FL_WAIT_ANY(FL_ON_QUEUE_SPACE(q)));
	PUTS(q, 2);
	FL_RC(FL_WAIT_ANY_UNTIL(FL_NO_WAIT, NULL, FL_ON_QUEUE_SPACE(q)), -ETIMEDOUT);
	GETS(q, 1);
	FL_OK(FL_WAIT_ANY_UNTIL(FL_NO_WAIT, NULL, FL_ON_QUEUE_SPACE(q)));
	assert_int_equal(fl_queue_length(q), 1);
	PUTS(q, 3);
	fl_queue_close(q);
	FL_OK(FL_WAIT_ANY(FL_ON_QUEUE_SPACE(q))); /* a put would not block: it would fail */
}

QUEUE_TEST(queue_on_many_tells_the_first_that_is_ready)
{
	FL_SCOPED(fl_queue) *a = queue_with(1, 0);
	FL_SCOPED(fl_queue) *b = queue_with(1, 1);
	fl_event stop = FL_EVENT_INIT;
	FL_RC(FL_WAIT_ANY(FL_ON_EVENT(&stop), FL_ON_QUEUE(a), FL_ON_QUEUE(b)), 2);
	FL_RC(FL_WAIT_ANY(FL_ON_QUEUE_SPACE(b), FL_ON_QUEUE_SPACE(a)), 1);
	PUTS(a, 1);
	FL_RC(FL_WAIT_ANY(FL_ON_EVENT(&stop), FL_ON_QUEUE(a), FL_ON_QUEUE(b)), 1);
	fl_event_set(&stop);
	FL_RC(FL_WAIT_ANY(FL_ON_EVENT(&stop), FL_ON_QUEUE(a), FL_ON_QUEUE(b)), 0);
}

QUEUE_TEST(queue_on_items_is_woken_by_each_way_to_put)
{
	for (int way = 0; way < 5; way++) {
		FL_SCOPED(fl_queue) *q = queue_with(2, 0);
		struct blocked look;
		blocked_on(q, op_observe, &look);
		size_t count;
		if (way == 0)
			PUTS(q, 1);
		else if (way == 1)
			FL_OK(fl_queue_try_put(q, &(int){1}));
		else if (way == 2)
			FL_MANY(0, 1, fl_queue_try_put_many, q, &(int){1}, 1);
		else if (way == 3)
			FL_OK(fl_queue_put_many_until(q, &(int){1}, 1, &count, FL_FOREVER, NULL));
		else
			fl_queue_close(q);
		FL_OK(blocked_end(&look));
		assert_int_equal(fl_queue_length(q), way < 4);
	}
}

QUEUE_TEST(queue_on_space_is_woken_by_each_way_to_get)
{
	for (int way = 0; way < 5; way++) {
		FL_SCOPED(fl_queue) *q = queue_with(1, 1);
		struct blocked look;
		blocked_on(q, op_observe_space, &look);
		int item = 0;
		size_t count;
		if (way == 0)
			FL_OK(fl_queue_get(q, &item));
		else if (way == 1)
			FL_OK(fl_queue_try_get(q, &item));
		else if (way == 2)
			FL_MANY(0, 1, fl_queue_try_get_many, q, &item, 1);
		else if (way == 3)
			FL_OK(fl_queue_get_many_until(q, &item, 1, &count, FL_FOREVER, NULL));
		else
			assert_int_equal(fl_queue_close_now(q), 1);
		FL_OK(blocked_end(&look));
		assert_int_equal(item, way < 4);
	}
}

/* All observers hear of one item, and all getters behind them still get theirs. */
QUEUE_TEST_MANY(queue_observers_and_getters_in_one_queue)
{
	enum { N = 6 };
	FL_SCOPED(fl_queue) *q = queue_with(N, 0);
	struct blocked b[N];
	FL_EACH (i, b) {
		b[i] = (struct blocked){.op = i % 2 ? op_get : op_observe, .q = q};
		blocked_begin(&b[i]);
	}
	const int items[] = {1, 2, 3};
	FL_MANY(0, 3, fl_queue_try_put_many, q, items, 3);
	int sum = 0;
	for (int i = 1; i < N; i += 2) {
		FL_OK(blocked_end(&b[i]));
		sum += b[i].items[0];
	}
	assert_int_equal(sum, 6);
	PUTS(q, 4);
	for (int i = 0; i < N; i += 2)
		FL_OK(blocked_end(&b[i]));
	GETS(q, 4);
}

QUEUE_TEST(queue_wait_any_leaves_no_entry)
{
	fl_queue *a = queue_with(1, 0), *b = queue_with(1, 1);
	fl_event go = FL_EVENT_INIT;
	FL_RC(FL_WAIT_ANY_UNTIL(fl_after(FL_US(200)), NULL, FL_ON_QUEUE(a), FL_ON_QUEUE_SPACE(b)), -ETIMEDOUT);
	FL_RC(FL_WAIT_ANY_UNTIL(FL_FOREVER, fl_test_requested, FL_ON_QUEUE(a), FL_ON_QUEUE_SPACE(b)), -ECANCELED);
	fl_event_set(&go);
	FL_RC(FL_WAIT_ANY(FL_ON_QUEUE(a), FL_ON_QUEUE_SPACE(b), FL_ON_EVENT(&go)), 2);
	fl_queue_free(a); /* either would panic */
	fl_queue_free(b);
}

static int wait_for_both(struct blocked *b)
{
	return FL_WAIT_ANY(FL_ON_QUEUE(b->q), FL_ON_CANCEL_TOKEN(b->cancel));
}

QUEUE_TEST_ON(queue_beside_a_token_in_wait_any, 1, 0)
{
	FL_SCOPED(fl_cancel_token) stop = FL_CANCEL_TOKEN_INIT;
	struct blocked look = {.op = wait_for_both, .q = q, .cancel = &stop};
	blocked_begin(&look);
	fl_cancel_token_request(&stop);
	FL_RC(blocked_end(&look), 1);
	PUTS(q, 1);
	struct blocked again = {.op = wait_for_both, .q = q, .cancel = &stop};
	blocked_start(&again);
	FL_OK(blocked_end(&again)); /* both are ready: the smaller index */
}

/*
 * An object that is never ready, in front of the queue: when fl_wait_any() enqueues itself there,
 * it makes the queue ready, between the check of the queue and the enqueue at it.
 */
static bool never_ready(void *object)
{
	return false;
}

static bool put_when_armed(void *object, struct fl__node *node)
{
	FL_OK(fl_queue_put_until(object, &(int){1}, FL_FOREVER, FL_SHIELDED));
	return true;
}

static bool get_when_armed(void *object, struct fl__node *node)
{
	FL_OK(fl_queue_get_until(object, &(int){1}, FL_FOREVER, FL_SHIELDED));
	return true;
}

static bool close_when_armed(void *object, struct fl__node *node)
{
	fl_queue_close(object);
	return true;
}

static void do_nothing(void *object, struct fl__node *node)
{
}

QUEUE_TEST(queue_that_gets_ready_while_others_are_armed)
{
	const fl_on_type puts = {never_ready, put_when_armed, do_nothing, NULL};
	const fl_on_type gets = {never_ready, get_when_armed, do_nothing, NULL};
	const fl_on_type closes = {never_ready, close_when_armed, do_nothing, NULL};
	FL_SCOPED(fl_queue) *q = queue_with(1, 0);
	FL_RC(FL_WAIT_ANY(FL__ON(puts, q), FL_ON_QUEUE(q)), 1);
	FL_RC(FL_WAIT_ANY(FL__ON(gets, q), FL_ON_QUEUE_SPACE(q)), 1);
	FL_RC(FL_WAIT_ANY(FL__ON(closes, q), FL_ON_QUEUE(q)), 1);
}
