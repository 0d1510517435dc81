/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios of the lazy map in the order of completion. Each result comes with what its task wrote,
 * and the memory is freed once, after the last use.
 */
#include "pools.h"
#include <fairlead/imap.h>

/*
 * An iteration is freed while one of its tasks may run, and another one is pending. It is
 * unordered, so that the ends of tasks use it.
 */
struct imap_freed {
	struct fl__thread_pool *p;
	fl_imap *it;
	struct imap_freed *args[2];
	atomic_int began, ended;
	int running; /* how many tasks ran at the end of the free */
};

FL_TASK_STATIC(count, struct imap_freed *, void)
{
	COUNT(&(*arg)->began);
	COUNT(&(*arg)->ended);
	return 0;
}

FL_STRESS_SETUP(imap_freed)
{
	s->p = pool_of_actors(1, 1);
	s->args[0] = s->args[1] = s;
	OK(fl_imap_create(&s->it, &s->p->base, &count, s->args, 2, &(fl_imap_config){.window = 2, .unordered = true}));
}

SERVES(imap_freed, worker, 0)

FL_STRESS_ACTOR(imap_freed, user)
{
	fl_imap_free(s->it);
	s->running = LOOK(&s->began) - LOOK(&s->ended);
	fl_executor_close(&s->p->base);
}

FL_STRESS(imap_freed, worker, user)
{
	const int ran = LOOK(&s->ended);
	fl_executor_free(&s->p->base);
	FL_ACCEPTABLE(s->running == 1, "freed during a task");
	FL_ACCEPTABLE(ran == 0, "cancelled");
	FL_ACCEPTABLE(ran > 0, "freed after a task");
}

struct imap_unordered {
	struct fl__thread_pool *p;
	fl_imap *it;
	int *args[2], data[2];
};

FL_TASK_STATIC(write, int *, void)
{
	**arg = 1;
	return 0;
}

FL_STRESS_SETUP(imap_unordered)
{
	s->p = pool_of_actors(1, 1);
	s->args[0] = &s->data[0];
	s->args[1] = &s->data[1];
	OK(fl_imap_create(&s->it, &s->p->base, &write, s->args, 2, &(fl_imap_config){.window = 2, .unordered = true}));
}

SERVES(imap_unordered, worker, 0)

FL_STRESS_ACTOR(imap_unordered, user)
{
	for (int i = 0; i < 2; i++) {
		size_t index;
		OK(fl_imap_next(s->it, &index, NULL));
		FL_STRESS_CHECK(s->data[index] == 1);
	}
	fl_imap_free(s->it);
	fl_executor_close(&s->p->base);
}

FL_STRESS(imap_unordered, worker, user)
{
	fl_executor_free(&s->p->base);
	FL_ACCEPTABLE(s->data[0] == 1 && s->data[1] == 1, "both");
}
