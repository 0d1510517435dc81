/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_CASES_LOOPS_H
#define STRESS_CASES_LOOPS_H

/*
 * Event loops without a kernel: a poller is a word on which a loop sleeps, a descriptor a number
 * that an actor makes ready. All else is the loop's own.
 *
 *   LOOP_ALONE(..., 1, loop_run, function)   // the setup, and the actor `loop`, which frees it
 *   FL_STRESS_ACTOR(..., other)      { loop_make_ready(&s->world, 0); loop_leave(&s->world); }
 *   FL_STRESS(...)                   { loop_end(&s->world); ... }
 */
#include "../cases.h"
#include "loop/net/fd_io.h"
#include <fairlead/latch.h>

/* Scenarios in core/ use these, but a build of the core alone has no loops. */
#pragma weak fl_fiber_cancel
#pragma weak fl_fiber_join_until
#pragma weak fl_fiber_start
#pragma weak fl_fiber_yield
#pragma weak loop_begin
#pragma weak loop_end
#pragma weak loop_leave
#pragma weak loop_run

enum { LOOP_FDS = 2 };

struct loop_world {
	fl_loop *l;
	unsigned index;
	atomic_uint events; /* changes when there is a new event */
	atomic_int rung, ready[LOOP_FDS];
	/* The objects that the loop wants to be notified of; NULL: not watched. */
	void *bell, *watchers[LOOP_FDS];
	fl_latch others; /* actors that may still use the loop */
	fl_fiber *fiber; /* of loop_watch(); */
	fl_event known;  /* set when it has been started */
	fl_fiber_function *function;
	void *arg;
};

/* Makes the loop, which `others` actors will leave; for the setup. */
void loop_begin(struct loop_world *w, unsigned others);

/* For the setup: the next loop, made by any function, is this world's. */
void loop_expect(struct loop_world *w);

/* Runs `function` on the loop and frees it; for the one actor that owns the loop. */
int loop_run(struct loop_world *w, fl_fiber_function *function, void *arg);

/* For a fiber: runs the function in another fiber until all others have left and it has ended. */
int loop_watch(struct loop_world *w, fl_fiber_function *function, void *arg);

/* Like loop_run(), with `function` in a fiber that loop_watch() has started. */
int loop_run_watched(struct loop_world *w, fl_fiber_function *function, void *arg);

/* The actor `loop`, which runs the function. */
#define LOOP(test, run, function)                                                                                      \
	FL_STRESS_ACTOR(test, loop)                                                                                    \
	{                                                                                                              \
		OK(run(&s->world, function, s));                                                                       \
	}

/* Makes the actor of LOOP(), and a setup that sets up only the loop. */
#define LOOP_ALONE(test, others, run, function)                                                                        \
	FL_STRESS_SETUP(test)                                                                                          \
	{                                                                                                              \
		loop_begin(&s->world, others);                                                                         \
	}                                                                                                              \
	LOOP(test, run, function)

/* For another actor: it uses the loop no more. */
void loop_leave(struct loop_world *w);

/* Cancels the fiber of loop_watch(), and then leaves the loop as loop_leave() does. */
void loop_cancel_fiber(struct loop_world *w);

/* For the outcome. */
void loop_end(struct loop_world *w);

/* The descriptor that becomes ready... */
int loop_fd(const struct loop_world *w, int i);

/* ... when any actor calls this: an edge. */
void loop_make_ready(struct loop_world *w, int i);

/* For the host of an embedded loop: waits until its descriptor is readable, or the deadline. */
void loop_poll(struct loop_world *w, int64_t deadline);

#endif
