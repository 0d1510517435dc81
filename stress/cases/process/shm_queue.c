/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Queues in shared memory, any user of which may be killed anywhere: accepted items are delivered
 * once, and survivors do not wait for the dead. Whatever one actor does so that another can
 * continue, two actors do.
 */
#include "shm_queues.h"

/* Two put, one gets, and counts wrap (index_wrap_2_32). */
struct shm_queue_put_put_get {
	struct queue_in_shm q;
};

FL_STRESS_SETUP(shm_queue_put_put_get)
{
	begin_items(&s->q, 3, UINT32_MAX);
}

FL_STRESS_ACTOR(shm_queue_put_put_get, left)
{
	OK(put_item(&s->q, 0, FL_FOREVER));
}

FL_STRESS_ACTOR(shm_queue_put_put_get, right)
{
	OK(put_item(&s->q, 1, FL_FOREVER));
}

FL_STRESS_ACTOR(shm_queue_put_put_get, getter)
{
	OK(get_item(&s->q, 0, 0, FL_FOREVER)); /* one of the two puts */
}

FL_STRESS_PROCESSES(shm_queue_put_put_get, left, right, getter)
{
	FL_FORBIDDEN(!is_exact(&s->q, fl_stress_killed("getter")), "lost, or delivered twice");
	FL_ACCEPTABLE(1, "each once");
}

/*
 * kill9_mid_push: one puts two, killed anywhere; they come in order, and what was put before the
 * kill comes.
 */
struct shm_queue_kill9_mid_push {
	struct queue_in_shm q;
	int data, rc[2];
};

FL_STRESS_SETUP(shm_queue_kill9_mid_push)
{
	begin_items(&s->q, 1, UINT32_MAX - 1);
}

FL_STRESS_ACTOR(shm_queue_kill9_mid_push, putter)
{
	s->data = 1;
	OK(put_item(&s->q, 0, FL_FOREVER));
	(void)put_item(&s->q, 1, soon());
}

FL_STRESS_ACTOR(shm_queue_kill9_mid_push, getter)
{
	s->rc[0] = get_item(&s->q, 0, 0, soon());
	if (s->rc[0] == 0) {
		FL_STRESS_CHECK(s->data == 1);
		s->rc[1] = get_item(&s->q, 0, 1, soon());
	}
}

FL_STRESS_PROCESSES(shm_queue_kill9_mid_push, putter, getter)
{
	const int *got = s->q.got[0];
	FL_FORBIDDEN(got[0] == 2 || got[1] == 1, "out of order");
	FL_FORBIDDEN(!is_exact(&s->q, fl_stress_killed("getter")), "lost, or delivered twice");
	FL_ACCEPTABLE(1, "each once");
}

/* wakeup_stranded: two wait for items; if a woken one is killed, the other gets one. */
struct shm_queue_wakeup_stranded {
	struct queue_in_shm q;
};

FL_STRESS_SETUP(shm_queue_wakeup_stranded)
{
	begin_items(&s->q, 4, 0);
}

static void put_pair(struct queue_in_shm *q, int i)
{
	const int items[2] = {i + 1, i + 2};
	size_t n;
	q->put[i] = q->put[i + 1] = BEGUN;
	OK(fl__shm_ring_put(&q->view, items, 2, &n, FL_FOREVER, FL_SHIELDED));
	FL_STRESS_CHECK(n == 2);
	q->put[i] = q->put[i + 1] = 0;
}

FL_STRESS_ACTOR(shm_queue_wakeup_stranded, first)
{
	OK(get_item(&s->q, 0, 0, FL_FOREVER));
}

FL_STRESS_ACTOR(shm_queue_wakeup_stranded, second)
{
	OK(get_item(&s->q, 1, 0, FL_FOREVER));
}

FL_STRESS_ACTOR(shm_queue_wakeup_stranded, left)
{
	put_pair(&s->q, 0);
}

FL_STRESS_ACTOR(shm_queue_wakeup_stranded, right)
{
	put_pair(&s->q, 2);
}

FL_STRESS_PROCESSES(shm_queue_wakeup_stranded, first, second, left, right)
{
	unsigned killed = fl_stress_killed("first") + fl_stress_killed("second");
	FL_FORBIDDEN(!is_exact(&s->q, killed), "lost, or delivered twice");
	FL_ACCEPTABLE(1, "each once");
}

/* A full ring: two wait for space, which two others make. */
struct shm_queue_full {
	struct queue_in_shm q;
};

FL_STRESS_SETUP(shm_queue_full)
{
	begin_items(&s->q, 1, 5);
	OK(put_item(&s->q, 0, FL__TRY));
}

FL_STRESS_ACTOR(shm_queue_full, left)
{
	(void)put_item(&s->q, 1, soon());
}

FL_STRESS_ACTOR(shm_queue_full, right)
{
	(void)put_item(&s->q, 2, soon());
}

FL_STRESS_ACTOR(shm_queue_full, getter)
{
	OK(get_item(&s->q, 0, 0, FL_FOREVER));
}

FL_STRESS_PROCESSES(shm_queue_full, left, right, getter)
{
	FL_FORBIDDEN(!is_exact(&s->q, fl_stress_killed("getter")), "lost, or delivered twice");
	FL_ACCEPTABLE(s->q.put[1] == 0 && s->q.put[2] == 0, "both went in");
	FL_ACCEPTABLE(1, "each once");
}

/* The same with one put that waits for ever: one of two gets is enough for it. */
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
	/* Another one was preempted in its operation. */
	while (get_item(q, getter, 0, FL__TRY) == -EBUSY)
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
 * One waits for an item; of two that try to put, the second finds the ring full, and wakes no
 * waiter in place of the first.
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
	while (put_item(q, i, FL__TRY) == -EBUSY) /* another one was preempted in its operation */
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
	if (fl__shm_ring_get(&s->q.view, items, 3, &n, soon(), FL_SHIELDED) != 0)
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

/* false_empty_after_own_push: each puts one and gets one; none finds the queue empty. */
struct shm_queue_false_empty_after_own_push {
	struct queue_in_shm q;
	int rc[2];
};

FL_STRESS_SETUP(shm_queue_false_empty_after_own_push)
{
	begin_items(&s->q, 2, 0);
}

FL_STRESS_ACTOR(shm_queue_false_empty_after_own_push, left)
{
	OK(put_item(&s->q, 0, FL_FOREVER));
	s->rc[0] = get_item(&s->q, 0, 0, FL__TRY);
}

FL_STRESS_ACTOR(shm_queue_false_empty_after_own_push, right)
{
	OK(put_item(&s->q, 1, FL_FOREVER));
	s->rc[1] = get_item(&s->q, 1, 0, FL__TRY);
}

FL_STRESS_PROCESSES(shm_queue_false_empty_after_own_push, left, right)
{
	FL_FORBIDDEN(s->rc[0] == -EAGAIN || s->rc[1] == -EAGAIN, "empty after its own put");
	FL_FORBIDDEN(!is_exact(&s->q, fl_stress_killed("left") + fl_stress_killed("right")),
	             "lost, or delivered twice");
	FL_ACCEPTABLE(1, "each once");
}

/* A reader without the lock finds the state of one moment, or a fuller one. */
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
	s->length = fl__shm_ring_length(&s->q.view);
}

FL_STRESS(shm_queue_look, user, reader)
{
	FL_ACCEPTABLE(s->length == 0, "empty");
	FL_ACCEPTABLE(s->length == 1, "the item");
	FL_FORBIDDEN(1, "more than was put");
}
