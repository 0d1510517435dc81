/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios of the event loop: calls, wakes and cancels of other threads meet its sleep, its
 * iterations and the ends of fibers.
 */
#include "loops.h"
#include <fairlead/sem.h>

/*
 * Two threads call. Each call is made once, with what was written before it, even when the loop is
 * going to sleep.
 */
struct loop_call {
	struct loop_world world;
	fl_latch calls;
	int cargo[2], seen[2];
};

static void called_first(void *arg)
{
	struct loop_call *s = arg;
	s->seen[0] += s->cargo[0];
	fl_latch_count_down(&s->calls, 1);
}

static void called_second(void *arg)
{
	struct loop_call *s = arg;
	s->seen[1] += s->cargo[1];
	fl_latch_count_down(&s->calls, 1);
}

static int wait_for_calls(void *arg)
{
	struct loop_call *s = arg;
	OK(fl_latch_wait(&s->calls));
	/* all calls have returned, so the loop may be freed */
	return fl_latch_wait(&s->world.others);
}

FL_STRESS_SETUP(loop_call)
{
	loop_begin(&s->world, 2);
	OK(fl_latch_init(&s->calls, 2));
}

LOOP(loop_call, loop_run, wait_for_calls)

FL_STRESS_ACTOR(loop_call, one)
{
	s->cargo[0] = 1;
	OK(fl_loop_post(s->world.l, called_first, s));
	loop_leave(&s->world);
}

FL_STRESS_ACTOR(loop_call, two)
{
	s->cargo[1] = 1;
	OK(fl_loop_post(s->world.l, called_second, s));
	loop_leave(&s->world);
}

FL_STRESS(loop_call, loop, one, two)
{
	loop_end(&s->world);
	FL_ACCEPTABLE(s->seen[0] == 1 && s->seen[1] == 1, "both, once");
}

/* The calls of one thread are made in order. */
struct loop_call_order {
	struct loop_world world;
	fl_latch calls;
	int order[2], n;
};

static void called_in_order(void *arg)
{
	struct loop_call_order *s = arg;
	s->order[s->n] = s->n;
	s->n++;
	fl_latch_count_down(&s->calls, 1);
}

static void called_at_last(void *arg)
{
	struct loop_call_order *s = arg;
	FL_STRESS_CHECK(s->n == 2);
	fl_latch_count_down(&s->calls, 1);
}

static int wait_for_all(void *arg)
{
	return fl_latch_wait(&((struct loop_call_order *)arg)->calls);
}

FL_STRESS_SETUP(loop_call_order)
{
	loop_begin(&s->world, 0);
	OK(fl_latch_init(&s->calls, 4));
}

LOOP(loop_call_order, loop_run, wait_for_all)

FL_STRESS_ACTOR(loop_call_order, caller)
{
	OK(fl_loop_post(s->world.l, called_in_order, s));
	OK(fl_loop_post(s->world.l, called_in_order, s));
	OK(fl_loop_post(s->world.l, called_at_last, s));
	fl_latch_count_down(&s->calls, 1);
}

FL_STRESS(loop_call_order, loop, caller)
{
	loop_end(&s->world);
	FL_ACCEPTABLE(s->n == 2 && s->order[1] == 1, "in order");
}

/*
 * A thread wakes a fiber, which sees what was written before, even when the fiber is going to
 * sleep. The loop may be freed as soon as the fiber has ended.
 */
struct loop_wake {
	struct loop_world world;
	fl_event event;
	int cargo, seen;
};

static int wait_and_look(void *arg)
{
	struct loop_wake *s = arg;
	OK(fl_event_wait(&s->event));
	s->seen = s->cargo;
	return 0;
}

LOOP_ALONE(loop_wake, 0, loop_run, wait_and_look)

FL_STRESS_ACTOR(loop_wake, setter)
{
	s->cargo = 1;
	fl_event_set(&s->event);
}

FL_STRESS(loop_wake, loop, setter)
{
	loop_end(&s->world);
	FL_ACCEPTABLE(s->seen == 1, "woken with its data");
}

/* A deadline races a wake. One of them ends the wait, and an unused permit is still there. */
struct loop_timeout_vs_wake {
	struct loop_world world;
	fl_sem permits;
	int rc, left;
};

static int take_in_time(void *arg)
{
	struct loop_timeout_vs_wake *s = arg;
	s->rc = fl_sem_acquire_until(&s->permits, soon(), FL_SHIELDED);
	return 0;
}

LOOP_ALONE(loop_timeout_vs_wake, 0, loop_run, take_in_time)

FL_STRESS_ACTOR(loop_timeout_vs_wake, giver)
{
	fl_sem_release(&s->permits);
}

FL_STRESS(loop_timeout_vs_wake, loop, giver)
{
	loop_end(&s->world);
	s->left = fl_sem_try_acquire(&s->permits);
	FL_ACCEPTABLE(s->rc == 0 && s->left == -EAGAIN, "woken");
	FL_ACCEPTABLE(s->rc == -ETIMEDOUT && s->left == 0, "timed out, the permit is there");
}

/*
 * A fiber acquires a permit, under its own token. One thread releases the permit, and another one
 * cancels the fiber. Either the fiber has the permit, or it is still there. Once the request has
 * been seen, the next wait returns -ECANCELED, too.
 */
struct loop_cancel_vs_wake {
	struct loop_world world;
	fl_event never;
	fl_sem permits;
	int rc, again, left;
};

static int take_permit(void *arg)
{
	struct loop_cancel_vs_wake *s = arg;
	s->rc = fl_sem_acquire(&s->permits);
	s->again = fl_event_wait(&s->never);
	return 0;
}

LOOP_ALONE(loop_cancel_vs_wake, 2, loop_run_watched, take_permit)

FL_STRESS_ACTOR(loop_cancel_vs_wake, giver)
{
	fl_sem_release(&s->permits);
	loop_leave(&s->world);
}

FL_STRESS_ACTOR(loop_cancel_vs_wake, canceller)
{
	loop_cancel_fiber(&s->world);
}

FL_STRESS(loop_cancel_vs_wake, loop, giver, canceller)
{
	loop_end(&s->world);
	s->left = fl_sem_try_acquire(&s->permits);
	FL_FORBIDDEN(s->again != -ECANCELED, "a wait under a requested token went on");
	FL_ACCEPTABLE(s->rc == 0 && s->left == -EAGAIN, "taken");
	FL_ACCEPTABLE(s->rc == -ECANCELED && s->left == 0, "cancelled, the permit is there");
}

/*
 * A fiber waits with a deadline, and is cancelled, perhaps before its wait. It sees what was
 * written before the request.
 */
struct loop_cancel_vs_deadline {
	struct loop_world world;
	fl_event never;
	int rc, cargo, seen;
};

static int wait_in_time(void *arg)
{
	struct loop_cancel_vs_deadline *s = arg;
	s->rc = fl_event_wait_until(&s->never, soon(), NULL);
	if (s->rc == -ECANCELED)
		s->seen = s->cargo;
	return 0;
}

LOOP_ALONE(loop_cancel_vs_deadline, 1, loop_run_watched, wait_in_time)

FL_STRESS_ACTOR(loop_cancel_vs_deadline, canceller)
{
	s->cargo = 1;
	loop_cancel_fiber(&s->world);
}

FL_STRESS(loop_cancel_vs_deadline, loop, canceller)
{
	loop_end(&s->world);
	FL_ACCEPTABLE(s->rc == -ECANCELED && s->seen == 1, "cancelled");
	FL_ACCEPTABLE(s->rc == -ETIMEDOUT, "timed out");
}

/*
 * There is a user's token under the token of a fiber. A cancel of the fiber reaches a wait under
 * the user's token.
 */
struct loop_cancel_child {
	struct loop_world world;
	fl_event never;
	int rc;
};

static int wait_under_child(void *arg)
{
	struct loop_cancel_child *s = arg;
	fl_cancel_token child;
	fl_cancel_token_init(&child, NULL, FL_FOREVER);
	s->rc = fl_event_wait_until(&s->never, FL_FOREVER, &child);
	fl_cancel_token_destroy(&child);
	return 0;
}

LOOP_ALONE(loop_cancel_child, 1, loop_run_watched, wait_under_child)

FL_STRESS_ACTOR(loop_cancel_child, canceller)
{
	loop_cancel_fiber(&s->world);
}

FL_STRESS(loop_cancel_child, loop, canceller)
{
	loop_end(&s->world);
	FL_ACCEPTABLE(s->rc == -ECANCELED, "cancelled");
}

/*
 * A request that reaches a fiber while it ends does not affect the next fiber in the same memory.
 * The loop hears of the request in its next turn, and the next fiber may be created in this turn.
 */
struct loop_cancel_heard_late {
	struct loop_world world;
	fl_cancel_token scope;
	fl_event told, go;
	int rc;
};

static int wait_until_told(void *arg)
{
	struct loop_cancel_heard_late *s = arg;
	FL_IGNORE(fl_event_wait(&s->told)); /* 0 or -ECANCELED */
	return 0;
}

static int wait_to_end(void *arg)
{
	struct loop_cancel_heard_late *s = arg;
	s->rc = fl_event_wait(&s->go);
	return 0;
}

static int reuse_in_one_turn(void *arg)
{
	struct loop_cancel_heard_late *s = arg;
	fl_fiber *f;
	fl_group g = FL_GROUP_INIT(NULL);
	{
		FL_CANCEL_SCOPE(&s->scope);
		OK(fl_group_start(&g, wait_until_told, s));
	}
	fl_event_set(&s->world.known);
	OK(fl_group_join(&g));
	OK(fl_fiber_start(&f, wait_to_end, s, NULL));
	return fl_fiber_join(f, NULL);
}

FL_STRESS_SETUP(loop_cancel_heard_late)
{
	loop_begin(&s->world, 0);
	fl_cancel_token_init(&s->scope, FL_SHIELDED, FL_FOREVER);
}

LOOP(loop_cancel_heard_late, loop_run, reuse_in_one_turn)

FL_STRESS_ACTOR(loop_cancel_heard_late, canceller)
{
	OK(fl_event_wait(&s->world.known));
	fl_cancel_token_request(&s->scope);
	fl_event_set(&s->told);
	fl_event_set(&s->go);
}

FL_STRESS(loop_cancel_heard_late, loop, canceller)
{
	loop_end(&s->world);
	fl_cancel_token_destroy(&s->scope);
	FL_ACCEPTABLE(s->rc == 0, "not its request");
}

/*
 * A call waits for a mutex of a fiber that another thread cancels. The request reaches the fiber,
 * and then the call continues.
 */
struct loop_call_waits {
	struct loop_world world;
	fl_mutex lock;
	fl_event holds, never, called;
	int rc;
};

static int hold_lock(void *arg)
{
	struct loop_call_waits *s = arg;
	fl_mutex_lock(&s->lock);
	fl_event_set(&s->holds);
	s->rc = fl_event_wait(&s->never);
	fl_mutex_unlock(&s->lock);
	return 0;
}

static void called_for_lock(void *arg)
{
	struct loop_call_waits *s = arg;
	fl_mutex_lock(&s->lock);
	fl_mutex_unlock(&s->lock);
	fl_event_set(&s->called);
}

static int call_for_lock(void *arg)
{
	struct loop_call_waits *s = arg;
	OK(fl_fiber_start(&s->world.fiber, hold_lock, s, NULL));
	OK(fl_event_wait(&s->holds));
	OK(fl_loop_post(s->world.l, called_for_lock, s));
	fl_event_set(&s->world.known);
	OK(fl_event_wait(&s->called));
	OK(fl_latch_wait(&s->world.others));
	return fl_fiber_join(s->world.fiber, NULL);
}

LOOP_ALONE(loop_call_waits, 1, loop_run, call_for_lock)

FL_STRESS_ACTOR(loop_call_waits, canceller)
{
	loop_cancel_fiber(&s->world);
}

FL_STRESS(loop_call_waits, loop, canceller)
{
	loop_end(&s->world);
	FL_ACCEPTABLE(s->rc == -ECANCELED, "cancelled");
}
