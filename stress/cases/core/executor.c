/* SPDX-License-Identifier: BSD-2-Clause */
/* The common parts of all executors, on the sequential one: maps, blocks, the registry. */
#include "../cases.h"
#include <fairlead/task.h>
#include <stdio.h>

FL_TASK_STATIC(increment, int *, void)
{
	++**arg;
	return 0;
}

static fl_executor *sequential(void)
{
	fl_executor *e = NULL;
	OK(fl_sequential_executor_create(&e, NULL));
	return e;
}

/* A detached executor without tasks is freed once, after the detach's last access. */
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
 * A task type is added and removed while another context looks it up, and checks for conflicts:
 * found whole, or not at all.
 */
struct registry_find {
	fl_task_type type;
	char name[32];
	fl_task_entry *entry;
	const fl_task_type *found;
	const char *conflict;
};

static int run_nothing(fl_task_ctx *ctx, const void *arg, void *result)
{
	(void)ctx;
	(void)arg;
	(void)result;
	return 0;
}

FL_STRESS_SETUP(registry_find)
{
	/* The registry belongs to the process. */
	(void)snprintf(s->name, sizeof s->name, "%p", (void *)s);
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
	s->found = fl_task_find(s->name);
	s->conflict = fl_task_conflict();
}

FL_STRESS(registry_find, owner, looker)
{
	FL_FORBIDDEN(s->conflict != NULL, "a conflict");
	FL_ACCEPTABLE(s->found == &s->type, "found");
	FL_ACCEPTABLE(s->found == NULL, "not there");
}
