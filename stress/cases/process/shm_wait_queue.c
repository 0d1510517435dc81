/* SPDX-License-Identifier: BSD-2-Clause */
/* Scenarios of wait queues in shared memory. Each waiter finds what was committed. */
#include "process/shm/shm_wait_queue.h"
#include "../cases.h"

struct box {
	struct fl__shm_lock lock;
	struct fl__shm_wait_queue queue;
	uint32_t items;
	int data;
};

static void put(struct box *b)
{
	struct fl__shm_held held;
	OK(fl__shm_enter(&b->lock, &held, FL_FOREVER));
	b->data = 1;
	uint32_t items = fl__load_relaxed(&b->items); /* relaxed: the monitor orders it */
	fl__shm_wake_before_commit(&b->queue);
	fl__store_relaxed(&b->items, items + 1); /* relaxed: the monitor orders it */
	fl__shm_wake_after_commit(&b->queue, items);
	fl__shm_leave(&b->lock, &held);
}

static int take_one(void *arg)
{
	struct box *b = arg;
	uint32_t items = fl__load_relaxed(&b->items); /* relaxed: the monitor orders it */
	if (items == 0)
		return -EAGAIN;
	FL_STRESS_CHECK(b->data == 1);
	fl__store_relaxed(&b->items, items - 1); /* relaxed: the monitor orders it */
	return 0;
}

static int see_all(void *arg)
{
	const struct box *b = arg;
	return fl__load_relaxed(&b->items) == 0 ? -EAGAIN : 0; /* relaxed: the monitor orders it */
}

static bool has_some(const void *arg)
{
	const struct box *b = arg;
	return fl__load_relaxed(&b->items) > 0; /* relaxed: a guess */
}

static int take(struct box *b, fl_time deadline, fl_cancel_token *cancel)
{
	const struct fl__shm_op op = {&b->lock, &b->queue, take_one, has_some, b, false};
	return fl__shm_await(&op, deadline, cancel);
}

/* Waits for a change that concerns all waiters. */
static int see(struct box *b, fl_time deadline, fl_cancel_token *cancel)
{
	const struct fl__shm_op op = {&b->lock, &b->queue, see_all, has_some, b, true};
	return fl__shm_await(&op, deadline, cancel);
}

/* A change for all waiters wakes all of them, even through the bridge. */
struct shm_wait_queue_together {
	struct box box;
	fl_cancel_token never;
};

FL_STRESS_ACTOR(shm_wait_queue_together, one)
{
	OK(see(&s->box, FL_FOREVER, NULL));
}

FL_STRESS_ACTOR(shm_wait_queue_together, two)
{
	OK(see(&s->box, FL_FOREVER, &s->never));
}

FL_STRESS_ACTOR(shm_wait_queue_together, putter)
{
	put(&s->box);
}

FL_STRESS(shm_wait_queue_together, one, two, putter)
{
	FL_ACCEPTABLE(s->box.items == 1, "seen");
}

/* A waiter has given up, at the head of the queue or behind it, and waits again. */
struct shm_wait_queue_again {
	struct box box;
	int rc;
};

FL_STRESS_ACTOR(shm_wait_queue_again, waiter)
{
	s->rc = take(&s->box, soon(), NULL);
	OK(take(&s->box, FL_FOREVER, NULL));
}

FL_STRESS_ACTOR(shm_wait_queue_again, putter)
{
	put(&s->box);
	put(&s->box);
}

FL_STRESS(shm_wait_queue_again, waiter, putter)
{
	FL_ACCEPTABLE(s->rc == 0 && s->box.items == 0, "took both");
	FL_ACCEPTABLE(s->rc == -ETIMEDOUT && s->box.items == 1, "timed out, and took one");
}
