/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios of queues in shared memory, of which any user may be killed anywhere. Accepted items
 * are delivered once, and survivors do not wait for the dead. If an actor needs a step of another
 * actor to continue, two actors make this step, because one of them may be killed.
 */
#include "shm_queues.h"

static void put_pair(struct queue_in_shm *q, int i)
{
	const int items[2] = {i + 1, i + 2};
	size_t n;
	q->put[i] = q->put[i + 1] = BEGUN;
	OK(fl__shm_queue_put_some(&q->queue, items, 2, &n, FL_FOREVER, FL_SHIELDED));
	FL_STRESS_CHECK(n == 2);
	q->put[i] = q->put[i + 1] = 0;
}

/* A put waits for space in a full ring. One of two gets is enough for it. */
struct shm_queue_space_stranded {
	struct queue_in_shm q;
};

FL_STRESS_SETUP(shm_queue_space_stranded)
{
	begin_items(&s->q, 1, 0);
	OK(put_item(&s->q, 0, FL__TRY));
}

FL_STRESS_ACTOR(shm_queue_space_stranded, putter)
{
	OK(put_item(&s->q, 1, FL_FOREVER));
}

static void get_or_find_empty(struct queue_in_shm *q, int getter)
{
	/* Another actor was preempted in its operation. */
	while (get_item(q, getter, 0, FL__TRY) == -ETIMEDOUT)
		fl_stress_relax();
}

FL_STRESS_ACTOR(shm_queue_space_stranded, first)
{
	get_or_find_empty(&s->q, 0);
}

FL_STRESS_ACTOR(shm_queue_space_stranded, second)
{
	get_or_find_empty(&s->q, 1);
}

FL_STRESS_PROCESSES(shm_queue_space_stranded, putter, first, second)
{
	unsigned killed = fl_stress_killed("first") + fl_stress_killed("second");
	FL_FORBIDDEN(!is_exact(&s->q, killed), "lost, or delivered twice");
	FL_ACCEPTABLE(1, "each once");
}

/*
 * One actor waits for an item. Of two that try to put, the second one finds the ring full, and
 * wakes no waiter in place of the first.
 */
struct shm_queue_item_stranded {
	struct queue_in_shm q;
};

FL_STRESS_SETUP(shm_queue_item_stranded)
{
	begin_items(&s->q, 1, 0);
}

FL_STRESS_ACTOR(shm_queue_item_stranded, getter)
{
	OK(get_item(&s->q, 0, 0, FL_FOREVER));
}

static void put_or_find_full(struct queue_in_shm *q, int i)
{
	/* Another actor was preempted in its operation. */
	while (put_item(q, i, FL__TRY) == -ETIMEDOUT)
		fl_stress_relax();
}

FL_STRESS_ACTOR(shm_queue_item_stranded, first)
{
	put_or_find_full(&s->q, 0);
}

FL_STRESS_ACTOR(shm_queue_item_stranded, second)
{
	put_or_find_full(&s->q, 1);
}

FL_STRESS_PROCESSES(shm_queue_item_stranded, getter, first, second)
{
	FL_FORBIDDEN(!is_exact(&s->q, fl_stress_killed("getter")), "lost, or delivered twice");
	FL_ACCEPTABLE(1, "each once");
}

/* Many items go in by one commit: all of them, or none. */
struct shm_queue_bulk {
	struct queue_in_shm q;
};

FL_STRESS_SETUP(shm_queue_bulk)
{
	begin_items(&s->q, 3, 2);
}

FL_STRESS_ACTOR(shm_queue_bulk, putter)
{
	put_pair(&s->q, 0);
}

FL_STRESS_ACTOR(shm_queue_bulk, single)
{
	(void)put_item(&s->q, 2, FL__TRY);
}

FL_STRESS_ACTOR(shm_queue_bulk, getter)
{
	int items[3] = {0};
	size_t n = 0;
	if (fl_shm_queue_get_many_until(&s->q.queue, items, 3, &n, soon(), FL_SHIELDED) != 0)
		return;
	for (size_t i = 0; i < n; i++) {
		s->q.got[0][i] = items[i];
		if (items[i] == 1)
			FL_STRESS_CHECK(i + 1 < n && items[i + 1] == 2);
	}
}

FL_STRESS_PROCESSES(shm_queue_bulk, putter, single, getter)
{
	FL_FORBIDDEN(!is_exact(&s->q, fl_stress_killed("getter") ? 3 : 0), "lost, or delivered twice");
	FL_ACCEPTABLE(1, "each once");
}

/* A reader without the lock finds the state of one moment, or a fuller state. */
struct shm_queue_look {
	struct queue_in_shm q;
	size_t length;
};

FL_STRESS_SETUP(shm_queue_look)
{
	begin_items(&s->q, 2, UINT32_MAX);
}

FL_STRESS_ACTOR(shm_queue_look, user)
{
	OK(put_item(&s->q, 0, FL_FOREVER));
	OK(get_item(&s->q, 0, 0, FL_FOREVER));
}

FL_STRESS_ACTOR(shm_queue_look, reader)
{
	s->length = fl_shm_queue_length(&s->q.queue);
}

FL_STRESS(shm_queue_look, user, reader)
{
	FL_ACCEPTABLE(s->length == 0, "empty");
	FL_ACCEPTABLE(s->length == 1, "the item");
}
