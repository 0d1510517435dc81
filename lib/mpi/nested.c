/* SPDX-License-Identifier: BSD-2-Clause */
/* One executor for each thread that runs tasks of rank 0. */
#include "nested.h"
#include "process/pool/worker.h"
#include <errno.h>
#include <fairlead/thread.h>

static void nested_free(void *e)
{
	fl_executor_free(e);
}

static fl_local nested_local = FL_LOCAL_INIT(nested_free);

/* Of the calling thread. Returns 0, or an error. */
static int nested_of_thread(fl_executor **e)
{
	*e = fl_local_get(&nested_local);
	if (*e)
		return 0;
	int rc = fl_sequential_executor_create(e, NULL);
	if (rc != 0)
		return rc;
	if (fl__worker_find_stack_low(&(*e)->stack_low) != 0)
		(*e)->stack_low = 0; /* it is not known */
	(*e)->lasts = true;
	rc = fl_local_set(&nested_local, *e);
	if (rc != 0)
		fl_executor_free(*e);
	return rc;
}

int fl__mpi_nested_enter(struct fl__run *frame, const fl_task_ctx *ctx)
{
	fl_executor *e;
	if (nested_of_thread(&e) != 0)
		return -ENOMEM;
	const fl_executor *of = ctx->executor;
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
	if (!e->closed)
		return; /* only this thread's tasks close it */
	FL_LOCKED(&e->lock);
	e->closed = false;
}
