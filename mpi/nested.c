/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The executor for nested tasks in a worker rank. Each thread that runs tasks of rank 0 has one in
 * thread-local storage, which it makes when it runs its first task.
 */
#include "nested.h"
#include "internals.h"
#include <errno.h>
#include <fairlead/thread.h>

static void nested_free(void *e)
{
	fl_executor_free(e);
}

static fl_local nested_local = FL_LOCAL_INIT(nested_free);

/* Returns the executor of the calling thread, or NULL if there is no memory. */
static fl_executor *nested_of_thread(void)
{
	fl_executor *e = fl_local_get(&nested_local);
	if (!e && fl__nested_make(&e, NULL) == 0 && fl_local_set(&nested_local, e) != 0) {
		fl_executor_free(e);
		e = NULL;
	}
	return e;
}

int fl__mpi_nested_enter(struct fl__run *frame, const fl_task_ctx *ctx)
{
	fl_executor *e = nested_of_thread();
	const fl_executor *of = ctx->executor;
	if (!e)
		return -ENOMEM;
	e->regions = of ? of->regions : NULL;
	e->n_regions = of ? of->n_regions : 0;
	fl__run_enter(frame, e);
	frame->active = true;
	return 0;
}

void fl__mpi_nested_leave(struct fl__run *frame)
{
	fl_executor *e = frame->executor;
	fl__run_leave(frame);
	e->regions = NULL;
	e->n_regions = 0;
	fl__nested_reopen(e);
}
