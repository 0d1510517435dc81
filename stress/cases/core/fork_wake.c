/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios of fork and join in which a fork wakes a sleeping worker. Here the first call waits for
 * the second, which is wrong in a program, because the first call ends only if another worker is
 * idle and is woken.
 */
#include "forks.h"

static int await_begun(void *begun)
{
	OK(fl_event_wait(begun));
	return 0;
}

/* A forker that waits for a stolen call is woken when that call forks, and runs the new fork. */
struct forker_park_vs_fork {
	struct crowd crowd;
	fl_event taken, begun;
	atomic_int ended;
	int f[2], g;
};

static int set_begun(void *arg)
{
	struct forker_park_vs_fork *s = arg;
	s->g++;
	fl_event_set(&s->begun);
	return 0;
}

static int fork_and_wait(void *arg)
{
	struct forker_park_vs_fork *s = arg;
	fl_event_set(&s->taken);
	/* The wake may be for nothing. */
	OK(fl_parallel_invoke(add_one, &s->f[0], add_one, &s->f[1]));
	OK(fl_parallel_invoke(await_begun, &s->begun, set_begun, s));
	return 0;
}

CROWD_OF(forker_park_vs_fork, 2)

FL_STRESS_ACTOR(forker_park_vs_fork, owner)
{
	struct fl__fork_stack *self = crowd_enter(&s->crowd, 0);
	OK(fl_parallel_invoke(await_begun, &s->taken, fork_and_wait, s));
	FL_STRESS_CHECK(s->g == 1);
	fl__forks_leave(self);
	crowd_end(&s->crowd, &s->ended);
}

FL_STRESS_ACTOR(forker_park_vs_fork, worker)
{
	crowd_work(&s->crowd, 1, &s->ended);
}

FL_STRESS(forker_park_vs_fork, owner, worker)
{
	crowd_fini(&s->crowd);
	FL_ACCEPTABLE(s->g == 1, "run by the waiter");
}

/*
 * A worker in a long call has a public and a private fork. A thread that would sleep takes both
 * forks. In the first part of the scenario this thread is the forker whose call the worker runs, in
 * the second part it is an idle worker.
 */
struct fork_private_is_taken {
	struct crowd crowd;
	fl_event taken, begun;
	atomic_int ended;
	int f, g;
};

static int begin_private(void *arg)
{
	struct fork_private_is_taken *s = arg;
	s->g++;
	fl_event_set(&s->begun);
	return 0;
}

static int fork_privately(void *arg)
{
	struct fork_private_is_taken *s = arg;
	return fl_parallel_invoke(await_begun, &s->begun, begin_private, s);
}

static int fork_publicly(void *arg)
{
	struct fork_private_is_taken *s = arg;
	fl_event_set(&s->taken);
	return fl_parallel_invoke(fork_privately, s, add_one, &s->f);
}

CROWD_OF(fork_private_is_taken, 2)

FL_STRESS_ACTOR(fork_private_is_taken, owner)
{
	struct fl__fork_stack *self = crowd_enter(&s->crowd, 0);
	/* The forker takes both. */
	OK(fl_parallel_invoke(await_begun, &s->taken, fork_publicly, s));
	fl_event_reset(&s->begun);
	OK(fork_publicly(s)); /* the idle worker takes both */
	fl__forks_leave(self);
	crowd_end(&s->crowd, &s->ended);
}

FL_STRESS_ACTOR(fork_private_is_taken, worker)
{
	crowd_work(&s->crowd, 1, &s->ended);
}

FL_STRESS(fork_private_is_taken, owner, worker)
{
	crowd_fini(&s->crowd);
	FL_ACCEPTABLE(s->f == 2 && s->g == 2, "each once");
}

/* A woken worker wakes the next one: three calls that wait for each other get three workers. */
struct fork_wakes_the_next {
	struct crowd crowd;
	fl_event begun[2];
	atomic_int ended;
	int g[2];
};

static int begin_first(void *arg)
{
	struct fork_wakes_the_next *s = arg;
	s->g[0]++;
	fl_event_set(&s->begun[0]);
	OK(fl_event_wait(&s->begun[1]));
	return 0;
}

static int begin_second(void *arg)
{
	struct fork_wakes_the_next *s = arg;
	s->g[1]++;
	fl_event_set(&s->begun[1]);
	return 0;
}

static int fork_second(void *arg)
{
	struct fork_wakes_the_next *s = arg;
	OK(fl_event_wait(&s->begun[0]));
	return fl_parallel_invoke(await_begun, &s->begun[1], begin_second, s);
}

CROWD_OF(fork_wakes_the_next, 3)

FL_STRESS_ACTOR(fork_wakes_the_next, owner)
{
	struct fl__fork_stack *self = crowd_enter(&s->crowd, 0);
	OK(fl_parallel_invoke(fork_second, s, begin_first, s));
	fl__forks_leave(self);
	crowd_end(&s->crowd, &s->ended);
}

static void work_as(struct fork_wakes_the_next *s, unsigned i)
{
	crowd_work(&s->crowd, i + 1, &s->ended);
	fl_event_set(&s->crowd.work); /* it wakes the other worker */
}

TWO_ACTORS(fork_wakes_the_next, work_as)

FL_STRESS(fork_wakes_the_next, owner, one, two)
{
	crowd_fini(&s->crowd);
	FL_ACCEPTABLE(s->g[0] == 1 && s->g[1] == 1, "both taken");
}

/*
 * A forker was woken for a fork that is gone, and continues. Then its own fork wakes the worker
 * that slept.
 */
struct fork_spurious_wake {
	struct crowd crowd;
	fl_event taken, begun;
	atomic_int has_run, ended;
	int f, g, h;
};

static int take_and_fork(void *arg)
{
	struct fork_spurious_wake *s = arg;
	SET(&s->has_run, 1);
	fl_event_set(&s->taken);
	return fl_parallel_invoke(add_one, &s->f, add_one, &s->g);
}

static int begin_third(void *arg)
{
	struct fork_spurious_wake *s = arg;
	s->h++;
	fl_event_set(&s->begun);
	return 0;
}

CROWD_OF(fork_spurious_wake, 3)

FL_STRESS_ACTOR(fork_spurious_wake, owner)
{
	struct fl__fork_stack *self = crowd_enter(&s->crowd, 0);
	OK(fl_parallel_invoke(await_begun, &s->taken, take_and_fork, s));
	OK(fl_parallel_invoke(await_begun, &s->begun, begin_third, s));
	fl__forks_leave(self);
	crowd_end(&s->crowd, &s->ended);
}

/* It takes the first fork, and leaves. */
FL_STRESS_ACTOR(fork_spurious_wake, busy)
{
	struct fl__fork_stack *self = crowd_enter(&s->crowd, 1);
	while (!LOOK(&s->has_run))
		if (!fl__forks_run_one(&s->crowd.forks, self))
			fl_stress_relax();
	fl__forks_leave(self);
}

FL_STRESS_ACTOR(fork_spurious_wake, worker)
{
	OK(fl_event_wait(&s->crowd.work)); /* it sleeps */
	fl_event_reset(&s->crowd.work);
	crowd_work(&s->crowd, 2, &s->ended);
}

FL_STRESS(fork_spurious_wake, owner, busy, worker)
{
	crowd_fini(&s->crowd);
	FL_ACCEPTABLE(s->f == 1 && s->g == 1 && s->h == 1, "each once");
}
