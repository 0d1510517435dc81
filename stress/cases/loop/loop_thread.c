/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios of functions on a loop's threads. They are cancelled before they are called, while they
 * wait, and after they have returned.
 */
#include "loops.h"

/*
 * When the call returns, the fiber sees what the function wrote on its thread. Nothing of the call
 * runs afterwards.
 */
struct loop_to_thread {
	struct loop_world world;
	fl_event told;
	int rc, result, calls, returns;
	bool waits;
};

static int on_thread(void *arg)
{
	struct loop_to_thread *s = arg;
	s->calls++;
	int rc = s->waits ? fl_event_wait(&s->told) : 0;
	s->returns++;
	return rc == 0 ? 7 : rc;
}

static int call_thread(void *arg)
{
	struct loop_to_thread *s = arg;
	s->rc = fl_blocking_call(on_thread, s, &s->result);
	FL_STRESS_CHECK(s->calls == s->returns);
	return s->calls++; /* plain, after whatever the function did */
}

static int watch_call(void *arg)
{
	struct loop_to_thread *s = arg;
	OK(fl_fiber_start(&s->world.fiber, call_thread, s, NULL));
	fl_event_set(&s->world.known);
	OK(fl_latch_wait(&s->world.others));
	return fl_fiber_join(s->world.fiber, &s->calls);
}

FL_STRESS_SETUP(loop_to_thread)
{
	loop_begin(&s->world, 2);
	s->waits = fl_stress_choose(2);
}

LOOP(loop_to_thread, loop_run, watch_call)

FL_STRESS_ACTOR(loop_to_thread, teller)
{
	fl_event_set(&s->told);
	loop_leave(&s->world);
}

FL_STRESS_ACTOR(loop_to_thread, canceller)
{
	loop_cancel_fiber(&s->world);
}

FL_STRESS(loop_to_thread, loop, teller, canceller)
{
	loop_end(&s->world);
	FL_ACCEPTABLE(s->rc == 0 && s->result == 7 && s->calls == 1, "came to its end");
	FL_ACCEPTABLE(s->rc == -ECANCELED && s->calls == 0, "not called");
	FL_ACCEPTABLE(s->rc == -ECANCELED && s->calls == 1 && s->waits, "asked to stop");
}

/* The calls have a deadline. Two fibers call, so that the threads are made once. */
struct loop_to_thread_until {
	struct loop_world world;
	fl_event never;
	int rc[2], calls[2];
};

struct until {
	struct loop_to_thread_until *s;
	int i;
};

static int wait_on_thread(void *arg)
{
	struct until *u = arg;
	u->s->calls[u->i]++;
	return fl_event_wait(&u->s->never);
}

static int call_in_time(void *arg)
{
	struct until *u = arg;
	u->s->rc[u->i] = fl_blocking_call_until(wait_on_thread, u, NULL, soon(), NULL);
	return 0;
}

static int call_twice(void *arg)
{
	struct loop_to_thread_until *s = arg;
	struct until u[2] = {{s, 0}, {s, 1}};
	fl_fiber *f;
	OK(fl_fiber_start(&f, call_in_time, &u[1], NULL));
	OK(call_in_time(&u[0]));
	return fl_fiber_join(f, NULL);
}

LOOP_ALONE(loop_to_thread_until, 0, loop_run, call_twice)

FL_STRESS(loop_to_thread_until, loop)
{
	loop_end(&s->world);
	FL_FORBIDDEN(s->rc[0] != -ETIMEDOUT || s->rc[1] != -ETIMEDOUT, "not by the deadline");
	FL_ACCEPTABLE(s->calls[0] + s->calls[1] == 2, "both called");
	FL_ACCEPTABLE(s->calls[0] + s->calls[1] == 1, "one called");
	FL_ACCEPTABLE(s->calls[0] + s->calls[1] == 0, "none called");
}
