/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios of the join of a queue. A join is over exactly when as many items are done as were put.
 */
#include "queues.h"

/*
 * A thread that reports an item done knows all earlier reports of all threads. Otherwise all items
 * would seem done, and this report would seem superfluous.
 */
struct queue_done_by_two {
	fl_queue *q;
	int rc;
};

FL_STRESS_SETUP(queue_done_by_two)
{
	s->q = queue_of(2);
	queue_put_now(s->q, 1);
}

FL_STRESS_ACTOR(queue_done_by_two, one)
{
	int item;
	OK(fl_queue_try_get(s->q, &item));
	fl_queue_task_done(s->q);
}

FL_STRESS_ACTOR(queue_done_by_two, two)
{
	int item;
	queue_put_now(s->q, 2);
	OK(fl_queue_try_get(s->q, &item));
	fl_queue_task_done(s->q);
}

FL_STRESS(queue_done_by_two, one, two)
{
	s->rc = fl_queue_unfinished(s->q) == 0 ? 0 : -EAGAIN;
	fl_queue_free(s->q);
	FL_ACCEPTABLE(s->rc == 0, "both done");
}

/* A join that gives up takes nothing from another join. */
struct queue_join_timeout {
	fl_queue *q;
	int rc, done;
};

FL_STRESS_SETUP(queue_join_timeout)
{
	s->q = queue_of(1);
	queue_put_now(s->q, 1);
}

FL_STRESS_ACTOR(queue_join_timeout, brief)
{
	s->rc = fl_queue_join_until(s->q, soon(), NULL);
	FL_STRESS_CHECK(s->rc != 0 || s->done == 1);
}

FL_STRESS_ACTOR(queue_join_timeout, patient)
{
	OK(fl_queue_join(s->q));
	FL_STRESS_CHECK(s->done == 1);
}

FL_STRESS_ACTOR(queue_join_timeout, worker)
{
	int item;
	OK(fl_queue_try_get(s->q, &item));
	s->done = item;
	fl_queue_task_done(s->q);
}

FL_STRESS(queue_join_timeout, brief, patient, worker)
{
	fl_queue_free(s->q);
	FL_ACCEPTABLE(s->rc == 0, "over in time");
	FL_ACCEPTABLE(s->rc == -ETIMEDOUT, "the brief one gave up");
}

/*
 * A join that has returned may free the queue, while the threads of both reports are still leaving.
 */
struct queue_free_after_join_of_two {
	fl_queue *q;
};

FL_STRESS_SETUP(queue_free_after_join_of_two)
{
	int item;
	s->q = queue_of(2);
	queue_put_now(s->q, 1);
	queue_put_now(s->q, 2);
	OK(fl_queue_try_get(s->q, &item));
	OK(fl_queue_try_get(s->q, &item));
}

FL_STRESS_ACTOR(queue_free_after_join_of_two, consumer)
{
	fl_queue_task_done(s->q);
}

FL_STRESS_ACTOR(queue_free_after_join_of_two, joiner)
{
	OK(fl_queue_join(s->q));
	fl_queue_free(s->q);
}

FL_STRESS(queue_free_after_join_of_two, consumer, consumer, joiner)
{
	FL_ACCEPTABLE(s != NULL, "freed");
}

/* The unfinished items never count below 0, and never more than were put. */
struct queue_unfinished {
	fl_queue *q;
	size_t seen;
	int got;
};

FL_STRESS_SETUP(queue_unfinished)
{
	s->q = queue_of(2);
}

FL_STRESS_ACTOR(queue_unfinished, producer)
{
	queue_put_now(s->q, 1);
	queue_put_now(s->q, 2);
}

FL_STRESS_ACTOR(queue_unfinished, consumer)
{
	int item;
	s->got = fl_queue_try_get(s->q, &item);
	if (s->got == 0)
		fl_queue_task_done(s->q);
}

FL_STRESS_ACTOR(queue_unfinished, observer)
{
	s->seen = fl_queue_unfinished(s->q);
}

FL_STRESS(queue_unfinished, producer, consumer, observer)
{
	const size_t left = fl_queue_unfinished(s->q);
	fl_queue_free(s->q);
	FL_FORBIDDEN(left != (s->got == 0 ? 1 : 2), "another number is left");
	FL_ACCEPTABLE(s->seen <= 2, "some of them");
}
