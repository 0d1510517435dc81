/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_FORKS_H
#define STRESS_FORKS_H

#include "../cases.h"
#include "core/fork_join/fork_join.h"

/*
 * The fork stacks of a few workers, which are the actors of the scenario, and the sleep of idle
 * workers.
 */
struct crowd {
	struct fl__forks forks;
	struct fl__fork_stack *stacks[3]; /* of each worker, or NULL */
	fl_event work;
};

static inline void wake_one_of(void *crowd)
{
	fl_event_set(&((struct crowd *)crowd)->work);
}

/* With `forked` it is as if a worker had forked before, and no worker slept. */
static inline void crowd_init(struct crowd *c, unsigned n, bool forked)
{
	fl__forks_init(&c->forks, n, wake_one_of, c);
	if (forked) {
		c->forks.used = 1;
		c->forks.flags.sleepers = 0;
	}
}

/* Sets up `crowd` of a scenario, with that many workers. */
#define CROWD_OF(test, n)                                                                                              \
	FL_STRESS_SETUP(test)                                                                                          \
	{                                                                                                              \
		crowd_init(&s->crowd, (n), true);                                                                      \
	}

static inline void crowd_fini(struct crowd *c)
{
	fl__forks_fini(&c->forks);
}

static inline struct fl__fork_stack *crowd_enter(struct crowd *c, unsigned i)
{
	c->stacks[i] = fl__forks_enter(&c->forks, c->stacks[i]);
	FL_STRESS_CHECK(c->stacks[i] != NULL);
	return c->stacks[i];
}

/* The second worker takes up to that many forks. */
static inline void steal(struct crowd *c, unsigned times)
{
	struct fl__fork_stack *self = crowd_enter(c, 1);
	for (; times > 0; times--)
		(void)fl__forks_run_one(&c->forks, self);
	fl__forks_leave(self);
}

/* Works as a worker that is woken for work, as an executor's workers are, until `ended`. */
static inline void crowd_work(struct crowd *c, unsigned i, const atomic_int *ended)
{
	struct fl__fork_stack *self = crowd_enter(c, i);
	while (!LOOK(ended)) {
		if (fl__forks_run_one(&c->forks, self) || fl__forks_prepare_sleep(&c->forks, self))
			continue;
		OK(fl_event_wait(&c->work));
		fl_event_reset(&c->work);
	}
	fl__forks_leave(self);
}

static inline void crowd_end(struct crowd *c, atomic_int *ended)
{
	SET(ended, 1);
	fl_event_set(&c->work);
}

static inline int add_one(void *count)
{
	++*(int *)count;
	return 0;
}

#endif
