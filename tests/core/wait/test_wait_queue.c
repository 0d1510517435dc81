/* SPDX-License-Identifier: BSD-2-Clause */
/* The wait queue under its object's lock: the order of takes, and the late unpark. */
#include "core/wait/wait_queue.h"
#include "fl_test.h"

/* A waiter whose context only counts its unparks. */
typedef struct place {
	struct fl__ctx ctx;
	struct fl__wait wait;
	struct fl__node node;
	struct fl__wait_queue *queue;
	unsigned unparks, parks;
} place;

static void count_unpark(struct fl__wait *wait)
{
	((place *)wait->ctx->front.inside.helper)->unparks++;
}

/* The first park ends at its deadline, after a take. The second must wait for the unpark. */
static int park_taken(struct fl__wait *wait, fl_time deadline)
{
	place *p = wait->ctx->front.inside.helper;
	if (p->parks++ == 0) {
		FL_CHECK(!fl__is_forever(deadline));
		FL_CHECK(fl__wait_queue_take(p->queue, 1) == 1);
		return -ETIMEDOUT;
	}
	FL_CHECK(fl__is_forever(deadline) && p->unparks == 0);
	struct fl__lot taken = fl__wait_queue_taken(p->queue);
	fl__lot_unpark(&taken);
	FL_CHECK(p->unparks == 1);
	return 0;
}

static const struct fl__ctx_ops counting = {.park = park_taken, .unpark = count_unpark};

static void enqueue(struct fl__wait_queue *queue, place *p)
{
	*p = (place){.ctx.ops = &counting, .ctx.front.inside.helper = p, .queue = queue};
	p->wait.ctx = &p->ctx;
	p->node = FL__NODE(&p->wait);
	fl__wait_queue_add_first(queue, &p->node);
}

FL_TEST(wait_queue_takes_the_waiter_that_was_enqueued_last)
{
	place places[3];
	struct fl__wait_queue queue = {NULL};
	FL_EACH (i, places)
		enqueue(&queue, &places[i]);
	for (size_t left = 3; left > 0; left--) {
		assert_int_equal(fl__wait_queue_take(&queue, 1), 1);
		FL_EACH (i, places)
			assert_true(places[i].node.queued == (i + 1 < left));
	}
}

FL_TEST(wait_queue_unparks_after_the_take)
{
	place places[4];
	struct fl__wait_queue queue = {NULL};
	FL_EACH (i, places)
		enqueue(&queue, &places[i]);
	places[3].wait.decision = FL__GAVE_UP;
	assert_int_equal(fl__wait_queue_take(&queue, 2), 2); /* passes the last over */
	struct fl__lot taken = fl__wait_queue_taken(&queue);
	assert_int_equal(places[1].unparks + places[2].unparks, 0);
	assert_int_equal(fl__wait_queue_take(&queue, FL__ALL), 1);
	fl__lot_unpark(&taken);
	FL_EACH (i, places)
		assert_int_equal(places[i].unparks, i == 1 || i == 2);
	taken = fl__wait_queue_taken(&queue);
	assert_null(fl__wait_queue_taken(&queue).taken);
	fl__lot_unpark(&taken);
	FL_EACH (i, places)
		assert_int_equal(places[i].unparks, i < 3);
	assert_int_equal(fl__wait_queue_take(&queue, FL__ALL), 0);
}

/* A deadline that passes after the take does not end the wait: its frame would be gone. */
FL_TEST(wait_queue_keeps_a_taken_waiter_until_its_unpark)
{
	place p;
	struct fl__wait_queue queue = {NULL};
	enqueue(&queue, &p);
	FL_OK(fl__wait_sleep(&p.wait, fl_after(FL_S(100)), FL_SHIELDED));
	assert_int_equal(p.parks, 2);
}
