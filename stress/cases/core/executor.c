/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios of the parts that all executors have in common, with the sequential executor, and of
 * the registry.
 */
#include "core/exec/registry.h"
#include "pools.h"
#include <stdio.h>

/*
 * Two threads submit to one sequential executor. Each runs its own task. A join either waits for
 * the other thread's task, or reports that this task has not ended.
 */
struct sequential_two {
	fl_executor *e;
	bool tries;
	int data[2], rc[2], early; /* plain: the join comes after the task */
};

FL_STRESS_SETUP(sequential_two)
{
	s->e = sequential();
}

FL_STRESS_ACTOR(sequential_two, one)
{
	s->rc[0] = add_one_submit(s->e, &s->data[0], NULL);
}

FL_STRESS_ACTOR(sequential_two, joiner)
{
	s->tries = fl_stress_choose(2);
	if (s->tries)
		fl_executor_close(s->e);
	s->early = s->tries ? fl_executor_try_join(s->e) : fl_executor_join_until(s->e, soon(), NULL);
	if (s->early != 0)
		OK(fl_executor_join(s->e));
	const int seen = s->data[0];
	s->rc[1] = add_one_submit(s->e, &s->data[1], NULL);
	FL_STRESS_CHECK(s->data[0] == seen && s->data[1] == 0);
}

FL_STRESS(sequential_two, one, joiner)
{
	fl_executor_free(s->e);
	FL_FORBIDDEN(s->rc[1] != -EPIPE, "accepted after the join");
	FL_FORBIDDEN(s->data[0] != (s->rc[0] == 0), "accepted and not run, or refused and run");
	FL_ACCEPTABLE(s->early == 0 && s->rc[0] == 0, "waited for");
	FL_ACCEPTABLE(s->early == 0 && s->rc[0] == -EPIPE, "refused");
	FL_ACCEPTABLE(s->early == (s->tries ? -EAGAIN : -ETIMEDOUT) && s->rc[0] == 0, "it was still running");
}

/* A detached executor without tasks is freed once, after the last access of the detach. */
struct executor_detached {
	fl_executor *e;
};

FL_STRESS_SETUP(executor_detached)
{
	s->e = sequential();
}

FL_STRESS_ACTOR(executor_detached, owner)
{
	OK(fl_executor_detach(s->e));
}

FL_STRESS(executor_detached, owner)
{
	FL_ACCEPTABLE(1, "freed");
}

/*
 * A task type is added and removed while another context looks it up and checks for conflicts. That
 * context finds the whole type, or nothing.
 */
struct registry_find {
	fl_task_type type;
	char name[32];
	fl_task_entry *entry;
	const fl_task_type *found;
	int rc;
};

static int run_nothing(fl_task_ctx *ctx, const void *arg, void *result)
{
	return 0;
}

FL_STRESS_SETUP(registry_find)
{
	/* The registry belongs to the process, so the name is that of this state. */
	snprintf(s->name, sizeof s->name, "%p", (void *)s);
	s->type = (fl_task_type){.size = sizeof s->type, .name = s->name, .run = run_nothing};
	s->entry = make(sizeof *s->entry);
	s->entry->type = &s->type;
}

FL_STRESS_ACTOR(registry_find, owner)
{
	fl_task_register(s->entry);
	fl_task_unregister(s->entry);
	free(s->entry);
}

FL_STRESS_ACTOR(registry_find, looker)
{
	s->rc = fl__registry_find(s->name, &s->found);
}

FL_STRESS(registry_find, owner, looker)
{
	FL_FORBIDDEN(s->rc == -EEXIST, "a conflict");
	FL_ACCEPTABLE(s->rc == 0 && s->found == &s->type, "found");
	FL_ACCEPTABLE(s->rc == -ENOENT && s->found == NULL, "not there");
}
