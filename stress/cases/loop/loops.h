/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_CASES_LOOPS_H
#define STRESS_CASES_LOOPS_H

/*
 * Event loops without a kernel. A poller is a word on which a loop sleeps, and a descriptor is a
 * number that an actor makes ready. Everything else is the loop's own code.
 *
 *   LOOP_ALONE(..., 1, loop_run, function)   // the setup, and the actor `loop`, which frees it
 *   FL_STRESS_ACTOR(..., other)      { loop_make_ready(&s->world, 0); loop_leave(&s->world); }
 *   FL_STRESS(...)                   { loop_end(&s->world); ... }
 */
#include "../cases.h"
#include "loop/net/fd_io.h"
#include <fairlead/latch.h>

/* Scenarios in core/ use these functions, but a build of the core alone has no loops. */
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
	/* The objects that the loop wants to be notified of, or NULL if they are not watched. */
	void *bell, *watchers[LOOP_FDS];
	fl_latch others; /* actors that may still use the loop */
	fl_fiber *fiber; /* that of loop_watch() */
	fl_event known;  /* set when the fiber has been started */
	fl_fiber_function *function;
	void *arg;
};

/* A setup calls it: makes the loop, which `others` actors will leave. */
void loop_begin(struct loop_world *w, unsigned others);

/* A setup calls it: the next loop that any function makes is this world's. */
void loop_expect(struct loop_world *w);

/* The one actor that owns the loop calls it: runs `function` on the loop and frees the loop. */
int loop_run(struct loop_world *w, fl_fiber_function *function, void *arg);

/*
 * A fiber calls it: runs the function in another fiber, until all others have left and that fiber
 * has ended.
 */
int loop_watch(struct loop_world *w, fl_fiber_function *function, void *arg);

/* Does what loop_run() does, with `function` in a fiber that loop_watch() has started. */
int loop_run_watched(struct loop_world *w, fl_fiber_function *function, void *arg);

/* Defines the actor `loop`, which runs the function. */
#define LOOP(test, run, function)                                                                                      \
	FL_STRESS_ACTOR(test, loop)                                                                                    \
	{                                                                                                              \
		OK(run(&s->world, function, s));                                                                       \
	}

/* Defines the actor of LOOP(), and a setup that sets up only the loop. */
#define LOOP_ALONE(test, others, run, function)                                                                        \
	FL_STRESS_SETUP(test)                                                                                          \
	{                                                                                                              \
		loop_begin(&s->world, others);                                                                         \
	}                                                                                                              \
	LOOP(test, run, function)

/* Another actor calls it when it will not use the loop any more. */
void loop_leave(struct loop_world *w);

/* Cancels the fiber of loop_watch(), and then leaves the loop as loop_leave() does. */
void loop_cancel_fiber(struct loop_world *w);

/* The outcome calls it. */
void loop_end(struct loop_world *w);

/* Returns a descriptor of the loop's world. */
int loop_fd(const struct loop_world *w, int i);

/* Makes that descriptor ready: an edge. Any actor may call it. */
void loop_make_ready(struct loop_world *w, int i);

/*
 * The host of an embedded loop calls it: waits until the loop's descriptor is readable, or until
 * the deadline.
 */
void loop_poll(struct loop_world *w, int64_t deadline);

#endif
