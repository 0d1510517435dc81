/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios of the loop executor. A task ends once, also beside cancels, waits, joins and a free,
 * and beside the sleep and the end of the loop.
 */
#include "loops.h"
#include <fairlead/loop_executor.h>
#include <fairlead/task.h>

/* Makes, in a setup, an executor with a thread and a loop of its own. */
static fl_executor *own_loop(struct loop_world *w, unsigned workers)
{
	fl_executor *e = NULL;
	loop_expect(w);
	OK(fl_loop_executor_create(&e, &(fl_executor_config){.workers = workers}));
	return e;
}

FL_TASK_STATIC(bump, int *, int)
{
	*result = ++**arg;
	return 0;
}

/*
 * The main fiber of the executor, and with it the loop, is going to sleep when the next task comes.
 */
struct loop_executor_sleep {
	struct loop_world world;
	fl_executor *e;
	int data, got;
};

FL_STRESS_SETUP(loop_executor_sleep)
{
	s->e = own_loop(&s->world, 1);
}

FL_STRESS_ACTOR(loop_executor_sleep, user)
{
	for (unsigned i = 0; i < 2; i++) {
		FL_SCOPED(fl_future) *f = NULL;
		OK(bump_submit(s->e, &s->data, &f));
		OK(bump_get(f, &s->got));
	}
	fl_executor_free(s->e);
}

FL_STRESS(loop_executor_sleep, user)
{
	loop_end(&s->world);
	FL_ACCEPTABLE(s->data == 2 && s->got == 2, "both ran");
}

/*
 * A wait until the executor is idle is woken by the last fiber, and sees what the fiber's task
 * wrote.
 */
struct loop_executor_idle {
	struct loop_world world;
	fl_executor *e;
	int data;
};

FL_STRESS_SETUP(loop_executor_idle)
{
	s->e = own_loop(&s->world, 1);
}

FL_STRESS_ACTOR(loop_executor_idle, user)
{
	for (int i = 1; i <= 2; i++) {
		OK(bump_submit(s->e, &s->data, NULL));
		OK(fl_executor_wait_idle(s->e));
		FL_STRESS_CHECK(s->data == i);
	}
	fl_executor_free(s->e);
}

FL_STRESS(loop_executor_idle, user)
{
	loop_end(&s->world);
	FL_ACCEPTABLE(s->data == 2, "both ran");
}

/* There are two joins, one of them with a deadline, while the thread ends. */
struct loop_executor_join {
	struct loop_world world;
	fl_executor *e;
	int data, rc;
};

FL_STRESS_SETUP(loop_executor_join)
{
	s->e = own_loop(&s->world, 1);
	OK(bump_submit(s->e, &s->data, NULL));
}

FL_STRESS_ACTOR(loop_executor_join, one)
{
	OK(fl_executor_join(s->e));
	FL_STRESS_CHECK(s->data == 1);
}

FL_STRESS_ACTOR(loop_executor_join, two)
{
	s->rc = fl_executor_join_until(s->e, soon(), NULL);
	if (s->rc == 0)
		FL_STRESS_CHECK(s->data == 1);
}

FL_STRESS(loop_executor_join, one, two)
{
	fl_executor_free(s->e);
	loop_end(&s->world);
	FL_ACCEPTABLE(s->rc == 0, "both");
	FL_ACCEPTABLE(s->rc == -ETIMEDOUT, "one was late");
}

/* A cancel meets the start, the wait and the end of a task. */
struct loop_executor_cancel {
	struct loop_world world;
	fl_executor *e;
	fl_future *f;
	fl_event go;
	int runs, rc, error;
	fl_task_state state;
};

FL_TASK_STATIC(wait_to_go_on, struct loop_executor_cancel *, void)
{
	struct loop_executor_cancel *s = *arg;
	s->runs++;
	return fl_event_wait(&s->go);
}

FL_STRESS_SETUP(loop_executor_cancel)
{
	s->e = own_loop(&s->world, 1);
	OK(wait_to_go_on_submit(s->e, s, &s->f));
}

FL_STRESS_ACTOR(loop_executor_cancel, canceller)
{
	s->rc = fl_future_cancel(s->f);
	OK(fl_future_wait(s->f));
	s->state = fl_future_state(s->f);
	s->error = fl_future_error(s->f);
}

FL_STRESS_ACTOR(loop_executor_cancel, setter)
{
	fl_event_set(&s->go);
}

FL_STRESS(loop_executor_cancel, canceller, setter)
{
	fl_future_free(s->f);
	fl_executor_free(s->e);
	loop_end(&s->world);
	FL_FORBIDDEN(s->runs > 1 || (s->state == FL_CANCELLED) == (s->runs == 1), "ran and cancelled, or neither");
	FL_ACCEPTABLE(s->state == FL_CANCELLED && s->rc == 0, "did not start");
	FL_ACCEPTABLE(s->error == -ECANCELED && s->rc == -EINPROGRESS, "asked to stop");
	FL_ACCEPTABLE(s->error == 0 && s->rc != 0, "ran");
}

/*
 * There is one worker. A task that waits for another task of its executor has that task started, on
 * the same loop. Another thread may cancel that task first.
 */
struct loop_executor_nested {
	struct loop_world world;
	fl_executor *e;
	fl_future *outer, *inner;
	fl_event known;
	int data, got, rc, cancelled;
};

FL_TASK_STATIC(get_inner, struct loop_executor_nested *, int)
{
	struct loop_executor_nested *s = *arg;
	OK(bump_submit(fl_executor_current(), &s->data, &s->inner));
	fl_event_set(&s->known);
	return bump_get(s->inner, result);
}

FL_STRESS_SETUP(loop_executor_nested)
{
	s->e = own_loop(&s->world, 1);
	OK(get_inner_submit(s->e, s, &s->outer));
}

FL_STRESS_ACTOR(loop_executor_nested, getter)
{
	s->rc = get_inner_get(s->outer, &s->got);
}

FL_STRESS_ACTOR(loop_executor_nested, canceller)
{
	OK(fl_event_wait(&s->known));
	s->cancelled = fl_stress_choose(2) ? fl_future_cancel(s->inner) : -EALREADY;
}

FL_STRESS(loop_executor_nested, getter, canceller)
{
	fl_future_free(s->outer);
	fl_future_free(s->inner);
	fl_executor_free(s->e);
	loop_end(&s->world);
	FL_ACCEPTABLE(s->data == 1 && s->rc == 0 && s->got == 1 && s->cancelled != 0, "ran");
	FL_ACCEPTABLE(s->data == 0 && s->rc != 0 && s->cancelled == 0, "cancelled");
}

/*
 * There is one worker. A task waits for a chain whose first future another thread ends. The
 * executor has no other fiber, so the waiting task makes room for the second task of the chain.
 */
struct loop_executor_chain {
	struct loop_world world;
	fl_executor *e;
	fl_promise *p;
	fl_future *first;
	int got;
};

FL_TASK_STATIC(increment, int, int)
{
	*result = *arg + 1;
	return 0;
}

FL_TASK_STATIC(get_chain, struct loop_executor_chain *, int)
{
	FL_SCOPED(fl_future) *next = NULL;
	OK(fl_future_then((*arg)->first, fl_executor_current(), &increment, &next));
	return increment_get(next, result);
}

FL_STRESS_SETUP(loop_executor_chain)
{
	s->e = own_loop(&s->world, 1);
	OK(fl_promise_create(&s->p, sizeof(int), NULL, &s->first));
}

FL_STRESS_ACTOR(loop_executor_chain, producer)
{
	OK(fl_promise_set(s->p, &(int){6}));
	fl_promise_free(s->p);
}

FL_STRESS_ACTOR(loop_executor_chain, getter)
{
	FL_SCOPED(fl_future) *f = NULL;
	OK(get_chain_submit(s->e, s, &f));
	OK(get_chain_get(f, &s->got));
}

FL_STRESS(loop_executor_chain, producer, getter)
{
	fl_future_free(s->first);
	fl_executor_free(s->e);
	loop_end(&s->world);
	FL_ACCEPTABLE(s->got == 7, "the second task ran");
}

/*
 * The executor is on a loop of the program, which runs the tasks that a thread submits. A free of
 * the executor waits for the task, before the end of the loop or after it.
 */
struct loop_executor_on {
	struct loop_world world;
	fl_executor *e;
	int data, rc;
	bool waits;
};

static int host(void *arg)
{
	struct loop_executor_on *s = arg;
	return s->waits ? fl_latch_wait(&s->world.others) : 0;
}

FL_STRESS_SETUP(loop_executor_on)
{
	loop_begin(&s->world, 1);
	OK(fl_loop_executor_create_on(&s->e, s->world.l, &(fl_executor_config){.workers = 1}));
	s->waits = fl_stress_choose(2);
}

LOOP(loop_executor_on, loop_run, host)

FL_STRESS_ACTOR(loop_executor_on, user)
{
	FL_SCOPED(fl_future) *f = NULL;
	s->rc = bump_submit(s->e, &s->data, &f);
	if (s->rc == 0) {
		OK(fl_future_wait(f));
		s->rc = fl_future_state(f) == FL_CANCELLED ? -ECANCELED : fl_future_error(f);
	}
	fl_executor_free(s->e);
	FL_STRESS_CHECK(s->data == (s->rc == 0));
	loop_leave(&s->world);
}

FL_STRESS(loop_executor_on, loop, user)
{
	loop_end(&s->world);
	FL_ACCEPTABLE(s->rc == 0, "run");
	FL_ACCEPTABLE(s->rc == -ECANCELED && !s->waits, "accepted, and the loop ended");
	FL_ACCEPTABLE(s->rc == -EPIPE && !s->waits, "refused: the loop has ended");
}

/*
 * The main fiber of the executor passes a cancel on to the loop while a thread closes and joins the
 * executor.
 */
struct loop_executor_on_cancel {
	struct loop_world world;
	fl_executor *e;
	fl_event never;
	int runs, ends, rc;
};

FL_TASK_STATIC(wait_on_loop, struct loop_executor_on_cancel *, void)
{
	struct loop_executor_on_cancel *s = *arg;
	s->runs++;
	int rc = fl_event_wait(&s->never);
	s->ends++;
	return rc;
}

static int host_to_cancel(void *arg)
{
	struct loop_executor_on_cancel *s = arg;
	return fl_latch_wait_until(&s->world.others, FL_FOREVER, FL_SHIELDED);
}

FL_STRESS_SETUP(loop_executor_on_cancel)
{
	loop_begin(&s->world, 2);
	OK(fl_loop_executor_create_on(&s->e, s->world.l, &(fl_executor_config){.workers = 1}));
}

LOOP(loop_executor_on_cancel, loop_run, host_to_cancel)

FL_STRESS_ACTOR(loop_executor_on_cancel, user)
{
	s->rc = wait_on_loop_submit(s->e, s, NULL);
	OK(fl_executor_join(s->e));
	loop_leave(&s->world);
}

FL_STRESS_ACTOR(loop_executor_on_cancel, canceller)
{
	fl_loop_cancel(s->world.l);
	loop_leave(&s->world);
}

FL_STRESS(loop_executor_on_cancel, loop, user, canceller)
{
	fl_executor_free(s->e);
	loop_end(&s->world);
	FL_FORBIDDEN(s->runs != s->ends, "joined while it ran");
	FL_ACCEPTABLE(s->rc == 0 && s->runs == 1, "ran, and was asked to stop");
	FL_ACCEPTABLE(s->rc == 0 && s->runs == 0, "did not start");
	FL_ACCEPTABLE(s->rc == -EPIPE && s->runs == 0, "refused");
}
