/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The sequential executor. A submit runs the task as a call, on any number of threads at once. No
 * task is ever queued, so a cancel only asks running tasks to stop. A join waits for submits of
 * other threads.
 */
#include "../base/sys.h"
#include "executor.h"

static void sequential_on_closed(fl_executor *e)
{
	(void)e; /* no thread waits for tasks */
}

static const struct fl__executor_ops sequential_ops = {
    .kind = "sequential",
    .capabilities = FL_CAP_BY_REFERENCE | FL_CAP_NESTED,
    .submit = fl__run_here,
    .on_closed = sequential_on_closed,
    .destroy = fl__executor_fini,
};

int fl_sequential_executor_create(fl_executor **made, const fl_executor_config *config)
{
	config = FL__OR_DEFAULTS(config);
	fl_executor *e = fl__alloc(1, sizeof *e);
	if (!e)
		return -ENOMEM;
	int rc = fl__executor_init(e, &sequential_ops, 1, config);
	if (rc != 0) {
		fl__free(e);
		return rc;
	}
	rc = fl__executor_initialize(e, NULL);
	if (rc != 0) {
		fl__executor_fini(e);
		return rc;
	}
	*made = e;
	return 0;
}
