/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fibers: wakes from other threads, against parking, deadlines and the sleep of the scheduler's
 * thread.
 */
#include "loop/fiber/fiber.h"
#include "../cases.h"
#include <fairlead/latch.h>
#include <fairlead/sem.h>

/* Runs `function` as the only fiber of a new scheduler, and destroys the scheduler. */
static int run_fiber(int (*function)(void *arg), void *arg)
{
	struct fl__sched *s;
	struct fl__fiber *f;
	int result = -EINVAL;
	OK(fl__sched_create(&s, NULL));
	OK(fl__fiber_create(s, &f, function, arg, "fiber"));
	OK(fl__sched_run(s));
	OK(fl__fiber_join(f, &result, 0, FL_SHIELDED));
	fl__sched_destroy(s);
	return result;
}

/*
 * A thread wakes a fiber. The fiber sees what was written before the wake. The wake is not lost
 * while the fiber parks or its thread goes to sleep. The scheduler may be destroyed as soon as the
 * fiber has ended.
 */
struct fiber_wake {
	fl_event event;
	int cargo, seen;
};

static int wait_and_look(void *arg)
{
	struct fiber_wake *s = arg;
	OK(fl_event_wait(&s->event));
	s->seen = s->cargo;
	return 0;
}

FL_STRESS_ACTOR(fiber_wake, loop)
{
	OK(run_fiber(wait_and_look, s));
}

FL_STRESS_ACTOR(fiber_wake, setter)
{
	s->cargo = 1;
	fl_event_set(&s->event);
}

FL_STRESS(fiber_wake, loop, setter)
{
	FL_ACCEPTABLE(s->seen == 1, "woken with its data");
}

/* A deadline against a wake: one of them ends the wait; an unused permit is still there. */
struct fiber_timeout_vs_wake {
	fl_sem permits;
	int rc, left;
};

static int take_in_time(void *arg)
{
	struct fiber_timeout_vs_wake *s = arg;
	s->rc = fl_sem_acquire_until(&s->permits, fl_after(FL_MS(1)), FL_SHIELDED);
	return 0;
}

FL_STRESS_ACTOR(fiber_timeout_vs_wake, loop)
{
	OK(run_fiber(take_in_time, s));
}

FL_STRESS_ACTOR(fiber_timeout_vs_wake, poster)
{
	fl_sem_release(&s->permits);
}

FL_STRESS(fiber_timeout_vs_wake, loop, poster)
{
	s->left = fl_sem_try_acquire(&s->permits);
	FL_ACCEPTABLE(s->rc == 0 && s->left == -EAGAIN, "woken");
	FL_ACCEPTABLE(s->rc == -ETIMEDOUT && s->left == 0, "timed out, the permit is there");
}

/* A fiber joins another one, which a thread wakes: its end wakes the joiner, with its result. */
struct fiber_join {
	struct fl__fiber *other;
	fl_event event;
	int cargo, seen;
};

static int give_cargo(void *arg)
{
	struct fiber_join *s = arg;
	OK(fl_event_wait(&s->event));
	return s->cargo;
}

static int join_other(void *arg)
{
	struct fiber_join *s = arg;
	OK(fl__fiber_join(s->other, &s->seen, FL_FOREVER, FL_SHIELDED));
	return 0;
}

FL_STRESS_ACTOR(fiber_join, loop)
{
	struct fl__sched *sched;
	struct fl__fiber *f;
	OK(fl__sched_create(&sched, NULL));
	OK(fl__fiber_create(sched, &s->other, give_cargo, s, "other"));
	OK(fl__fiber_create(sched, &f, join_other, s, "joiner"));
	fl__fiber_detach(f);
	OK(fl__sched_run(sched));
	fl__sched_destroy(sched);
}

FL_STRESS_ACTOR(fiber_join, setter)
{
	s->cargo = 7;
	fl_event_set(&s->event);
}

FL_STRESS(fiber_join, loop, setter)
{
	FL_ACCEPTABLE(s->seen == 7, "joined with its result");
}
