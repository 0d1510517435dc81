/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios of cancelled waits that run late. A wait that sleeps when its token is requested takes
 * nothing that comes afterwards, however late it runs. A wake that it has received before goes to
 * the next waiter.
 */
#include "../loop/loops.h"
#include "queues.h"
#include <fairlead/sem.h>

/* A consumer is cancelled, and then an item is put. */
struct cancel_late_get {
	fl_queue *q;
	fl_cancel_token stop;
	int rc, item;
};

FL_STRESS_SETUP(cancel_late_get)
{
	static const fl_queue_order orders[] = {FL_FIFO, FL_LIFO};
	const size_t capacity = fl_stress_choose(2) ? 2 : FL_UNBOUNDED;
	s->q = queue_as((fl_queue_config){.capacity = capacity, .order = orders[fl_stress_choose(2)]});
}

FL_STRESS_ACTOR(cancel_late_get, consumer)
{
	s->rc = fl_queue_get_until(s->q, &s->item, FL_FOREVER, &s->stop);
}

FL_STRESS_ACTOR(cancel_late_get, retirer)
{
	/* The consumer enqueues at the token last, and then it sleeps. */
	while (!fl__lot_has_waiters_at(&s->stop))
		fl_stress_relax();
	fl_cancel_token_request(&s->stop);
	OK(fl_queue_try_put(s->q, &(int){1}));
}

FL_STRESS(cancel_late_get, consumer, retirer)
{
	const size_t left = fl_queue_length(s->q);
	fl_queue_free(s->q);
	FL_ACCEPTABLE(s->rc == -ECANCELED && left == 1, "the item is there");
	FL_FORBIDDEN(s->rc == 0, "a retired consumer took the item");
}

/*
 * A get is woken for an item, another get takes this item, and the first get is cancelled before it
 * sleeps again. The first get must wake the next waiter, because the later puts rely on that. There
 * are items for all.
 */
struct cancel_late_baton {
	fl_queue *q;
	fl_cancel_token stop;
	int item, other, stolen;
};

FL_STRESS_SETUP(cancel_late_baton)
{
	s->q = queue_of(3);
}

FL_STRESS_ACTOR(cancel_late_baton, retired)
{
	const int rc = fl_queue_get_until(s->q, &s->item, FL_FOREVER, &s->stop);
	FL_STRESS_CHECK(rc == 0 || rc == -ECANCELED);
}

FL_STRESS_ACTOR(cancel_late_baton, sleeper)
{
	OK(fl_queue_get(s->q, &s->other));
}

FL_STRESS_ACTOR(cancel_late_baton, retirer)
{
	OK(fl_queue_try_put(s->q, &(int){1}));
	FL_IGNORE(fl_queue_try_get(s->q, &s->stolen));
	fl_cancel_token_request(&s->stop);
	OK(fl_queue_try_put(s->q, &(int){2}));
	OK(fl_queue_try_put(s->q, &(int){3}));
}

FL_STRESS(cancel_late_baton, retired, sleeper, retirer)
{
	const size_t left = fl_queue_length(s->q);
	fl_queue_free(s->q);
	FL_ACCEPTABLE(left + !!s->item + !!s->other + !!s->stolen == 3, "each item is somewhere");
}

/*
 * A waiter for a permit is woken, and is cancelled before it has the permit. It leaves the permit
 * to the next waiter.
 */
struct cancel_late_sem {
	fl_sem permits;
	fl_cancel_token stop;
	int rc;
};

FL_STRESS_ACTOR(cancel_late_sem, retired)
{
	s->rc = fl_sem_acquire_until(&s->permits, FL_FOREVER, &s->stop);
}

FL_STRESS_ACTOR(cancel_late_sem, other)
{
	OK(fl_sem_acquire(&s->permits));
}

FL_STRESS_ACTOR(cancel_late_sem, releaser)
{
	fl_sem_release(&s->permits);
	fl_cancel_token_request(&s->stop);
	fl_sem_release(&s->permits);
}

FL_STRESS(cancel_late_sem, retired, other, releaser)
{
	FL_ACCEPTABLE(s->rc == 0 && fl_sem_value(&s->permits) == 0, "both got one");
	FL_ACCEPTABLE(s->rc == -ECANCELED && fl_sem_value(&s->permits) == 1, "one permit is there");
}

/*
 * A fiber waits under its own token. The thread of its loop delivers the request, and handles it
 * after the release.
 */
struct cancel_late_fiber {
	struct loop_world world;
	fl_sem permits;
	int rc;
};

static int take_permit(void *arg)
{
	struct cancel_late_fiber *s = arg;
	s->rc = fl_sem_acquire(&s->permits);
	return 0;
}

static int watch_taker(void *arg)
{
	struct cancel_late_fiber *s = arg;
	OK(fl_fiber_start(&s->world.fiber, take_permit, s, NULL));
	while (!fl__lot_has_waiters_at(&s->permits))
		fl_fiber_yield(); /* the fiber runs until it sleeps */
	fl_event_set(&s->world.known);
	OK(fl_latch_wait(&s->world.others));
	return fl_fiber_join(s->world.fiber, NULL);
}

LOOP_ALONE(cancel_late_fiber, 1, loop_run, watch_taker)

FL_STRESS_ACTOR(cancel_late_fiber, retirer)
{
	OK(fl_event_wait(&s->world.known));
	fl_fiber_cancel(s->world.fiber);
	fl_sem_release(&s->permits);
	loop_leave(&s->world);
}

FL_STRESS(cancel_late_fiber, loop, retirer)
{
	const bool left = fl_sem_try_acquire(&s->permits) == 0;
	loop_end(&s->world);
	FL_ACCEPTABLE(s->rc == -ECANCELED && left, "the permit is there");
	FL_FORBIDDEN(s->rc == 0, "a cancelled fiber took the permit");
}
