/* SPDX-License-Identifier: BSD-2-Clause */
/* The wait queue under its object's lock: the waiter that a take prefers, and its late unpark. */
#include "core/wait/wait_queue.h"
#include "fl_faults.h"

/* A waiter whose context only counts its unparks. */
typedef struct place {
	struct fl__ctx ctx;
	struct fl__wait wait;
	struct fl__node node;
	struct fl__wait_queue *queue;
	unsigned unparks, parks;
} place;

static int this_cpu;

static int told_cpu(void)
{
	return this_cpu;
}

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

static void enqueue(struct fl__wait_queue *queue, place *p, int cpu)
{
	*p = (place){.ctx.ops = &counting, .ctx.front.inside.helper = p, .queue = queue};
	p->wait.ctx = &p->ctx;
	p->node = FL__NODE(&p->wait);
	this_cpu = cpu;
	fl__wait_queue_add_first(queue, &p->node);
}

/* Which place a take from `cpu` takes of `n`, the last enqueued first; that many: none. */
static size_t taken_of(place *places, const int *cpus, size_t n, int cpu)
{
	struct fl__wait_queue queue = {NULL};
	fl__sys.cpu = told_cpu;
	for (size_t i = n; i-- > 0;)
		enqueue(&queue, &places[i], cpus[i]);
	this_cpu = cpu;
	size_t at = 0;
	assert_int_equal(fl__wait_queue_take(&queue, 1), 1);
	while (at < n && places[at].node.queued)
		at++;
	for (size_t i = 0; i < n; i++)
		assert_true(places[i].node.queued == (i != at));
	return at;
}

FL_TEST(wait_queue_prefers_a_waiter_of_another_cpu)
{
	FL_FAULTS();
	place places[6];
	assert_int_equal(taken_of(places, (const int[]){0, 1, 1}, 3, 0), 1);
	assert_int_equal(taken_of(places, (const int[]){0, 1, 1}, 3, 1), 0);
	assert_int_equal(taken_of(places, (const int[]){0, 0, 0}, 3, 0), 0);
	assert_int_equal(taken_of(places, (const int[]){-1, -1}, 2, -1), 0); /* unknown */
	assert_int_equal(taken_of(places, (const int[]){0}, 1, 0), 0);
	/* only the five that were enqueued last: the idle time of the others is to run out */
	assert_int_equal(taken_of(places, (const int[]){0, 0, 0, 0, 1, 1}, 6, 0), 4);
	assert_int_equal(taken_of(places, (const int[]){0, 0, 0, 0, 0, 1}, 6, 0), 0);
}

FL_TEST(wait_queue_unparks_after_the_take)
{
	FL_FAULTS();
	place places[4];
	struct fl__wait_queue queue = {NULL};
	fl__sys.cpu = told_cpu;
	FL_EACH (i, places)
		enqueue(&queue, &places[i], 0);
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
	enqueue(&queue, &p, 0);
	FL_OK(fl__wait_sleep(&p.wait, fl_after(FL_S(100)), FL_SHIELDED));
	assert_int_equal(p.parks, 2);
}
