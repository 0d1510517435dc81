/* SPDX-License-Identifier: BSD-2-Clause */
/* Scenarios of the counts of the unbounded queue, for joins and for its length. */
#include "queues.h"

/*
 * A thread that counts a failed ticket must also count the ticket itself; otherwise an item would
 * seem done. The producer draws a ticket and is stopped, and the consumer poisons its slot.
 */
struct growing_join_poisoned {
	fl_queue *q;
	_Atomic(int) asked;
	int over;
};

FL_STRESS_SETUP(growing_join_poisoned)
{
	int item;
	s->q = unbounded(3, 1);
	OK(fl_queue_try_get(s->q, &item)); /* it is never reported done */
	fl__hazards_end();
}

FL_STRESS_ACTOR(growing_join_poisoned, producer)
{
	fl__add_relaxed(&chain_in(s->q)->head->tail, FL__UNBOUNDED_TICKET);
}

FL_STRESS_ACTOR(growing_join_poisoned, consumer)
{
	int item;
	FL_STRESS_CHECK(fl_queue_try_get(s->q, &item) == -EAGAIN);
	SET(&s->asked, 1);
}

FL_STRESS_ACTOR(growing_join_poisoned, joiner)
{
	while (!LOOK(&s->asked))
		fl_stress_relax();
	s->over = fl_queue_unfinished(s->q) == 0 ? 0 : -EAGAIN;
}

FL_STRESS(growing_join_poisoned, producer, consumer, joiner)
{
	fl_queue_free(s->q);
	FL_ACCEPTABLE(s->over == -EAGAIN, "not over");
}

/*
 * The joiner has put an item itself, and so has a hazard pointer on the segment. So its look at the
 * queue has no fence of its own. It counts the ticket nevertheless.
 */
struct growing_join_own {
	fl_queue *q;
	_Atomic(int) put, asked;
	int over;
};

FL_STRESS_SETUP(growing_join_own)
{
	int item;
	s->q = unbounded(4, 1);
	OK(fl_queue_try_get(s->q, &item));
	fl_queue_task_done(s->q);
	fl__hazards_end();
}

/* After the get, it is also a producer that draws a ticket and is stopped. */
FL_STRESS_ACTOR(growing_join_own, consumer)
{
	int item;
	while (!atomic_load_explicit(&s->put, memory_order_acquire))
		fl_stress_relax();
	OK(fl_queue_try_get(s->q, &item)); /* it is never reported done */
	fl__add_relaxed(&chain_in(s->q)->head->tail, FL__UNBOUNDED_TICKET);
	FL_STRESS_CHECK(fl_queue_try_get(s->q, &item) == -EAGAIN);
	SET(&s->asked, 1);
}

FL_STRESS_ACTOR(growing_join_own, joiner)
{
	queue_put_now(s->q, 2);
	atomic_store_explicit(&s->put, 1, memory_order_release);
	while (!LOOK(&s->asked))
		fl_stress_relax();
	s->over = fl_queue_unfinished(s->q) == 0 ? 0 : -EAGAIN;
}

FL_STRESS(growing_join_own, consumer, joiner)
{
	fl_queue_free(s->q);
	FL_ACCEPTABLE(s->over == -EAGAIN, "not over");
}

/*
 * A put with a poisoned slot is refused, since the queue was closed. A join that has counted the
 * put's ticket sleeps, and only the consumer that poisoned the slot can wake it.
 */
struct growing_join_gives_up {
	fl_queue *q;
	int rc;
};

FL_STRESS_SETUP(growing_join_gives_up)
{
	s->q = unbounded(2, 0);
}

FL_STRESS_ACTOR(growing_join_gives_up, producer)
{
	s->rc = fl_queue_try_put(s->q, &(int){7});
}

FL_STRESS_ACTOR(growing_join_gives_up, closer)
{
	int item;
	fl_queue_close(s->q);
	if (fl_queue_try_get(s->q, &item) == 0)
		fl_queue_task_done(s->q);
}

FL_STRESS_ACTOR(growing_join_gives_up, joiner)
{
	OK(fl_queue_join(s->q));
}

FL_STRESS(growing_join_gives_up, producer, closer, joiner)
{
	fl_queue_free(s->q);
	FL_ACCEPTABLE(s->rc == 0, "accepted, and dealt with");
	FL_ACCEPTABLE(s->rc == -EPIPE, "refused");
}

/*
 * A queue that always has an item never seems empty. The reason is that a thread that sees a get
 * also sees the put before it.
 */
struct growing_length {
	fl_queue *q;
	int got;
	size_t length;
};

FL_STRESS_SETUP(growing_length)
{
	s->q = unbounded(3, 0);
}

FL_STRESS_ACTOR(growing_length, looker)
{
	queue_put_now(s->q, 1);
	s->length = fl_queue_length(s->q);
}

FL_STRESS_ACTOR(growing_length, mover)
{
	/* The first round has the fences of the hazard pointers. */
	for (int round = 0; round < 2; round++) {
		queue_put_now(s->q, 2);
		OK(fl_queue_try_get(s->q, &s->got));
	}
}

FL_STRESS(growing_length, looker, mover)
{
	fl_queue_free(s->q);
	FL_FORBIDDEN(s->got != 1 && s->got != 2, "wrong item");
	FL_ACCEPTABLE(s->length > 0, "never empty");
}

/* A thread that comes to a reused segment, at the same address, finds it initialised. */
struct growing_reused {
	fl_queue *q;
	int over;
};

FL_STRESS_SETUP(growing_reused)
{
	int item;
	s->q = unbounded(1, 1);
	OK(fl_queue_try_get(s->q, &item));
	fl__hazards_end();
}

FL_STRESS_ACTOR(growing_reused, mover)
{
	int item;
	queue_put_now(s->q, 2);
	/*
	 * What follows is as if another thread did it, so that this one drops its hazard pointer on
	 * the first segment.
	 */
	fl__hazards_end();
	OK(fl_queue_try_get(s->q, &item));
	queue_put_now(s->q, 3); /* the item goes into the first segment, the spare */
	/* A thread that counts goes to the last segment, and makes others begin there. */
	FL_STRESS_CHECK(fl_queue_length(s->q) == 1);
}

FL_STRESS_ACTOR(growing_reused, joiner)
{
	s->over = fl_queue_unfinished(s->q) == 0 ? 0 : -EAGAIN;
}

FL_STRESS(growing_reused, mover, joiner)
{
	const size_t left = fl_queue_length(s->q);
	fl_queue_free(s->q);
	FL_ACCEPTABLE((s->over == 0 || s->over == -EAGAIN) && left == 1, "one is left");
}
