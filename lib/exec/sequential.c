/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The sequential executor: submit is a call. Any number of threads may submit at once; each runs its own task. Nothing is
 * ever queued, so there is nothing to cancel, and a join waits for the submits of other threads.
 */
#include "../base/sys.h"
#include "executor.h"
#include <errno.h>

static int submit(fl_executor *e, struct fl__cell *cell)
{
	fl_future *f = &cell->future;
	struct fl__run run;
	fl__run_enter(&run, e);
	int rc;
	{
		FL_LOCKED(&e->lock);
		rc = fl__executor_refuses(e);
		if (rc == 0)
			fl__run_begin(&run, f, fl__future_claim(f)); /* nobody else has seen it: never lost */
	}
	if (rc == 0) {
		fl__run_task(&run);
		FL_LOCKED(&e->lock);
		fl__run_end(&run);
	}
	fl__run_leave(&run);
	if (rc == 0)
		fl_future_free(f); /* the producer's reference */
	return rc;
}

static void wake_all(fl_executor *e)
{
	(void)e; /* nobody waits for tasks */
}

static int join(fl_executor *e, int64_t deadline, fl_cancel *cancel)
{
	int rc = 0;
	while (!fl__executor_is_idle(e) && rc == 0)
		rc = fl_cond_wait_until(&e->gone, &e->lock, deadline, cancel);
	return fl__executor_is_idle(e) ? 0 : rc;
}

static void destroy(fl_executor *e)
{
	fl__executor_fini(e);
	fl__free(e);
}

static const struct fl__executor_ops ops = {
    .size = sizeof ops,
    .kind = "sequential",
    .capabilities = FL_CAP_BY_REFERENCE | FL_CAP_NESTED,
    .submit = submit,
    .wake_all = wake_all,
    .join = join,
    .destroy = destroy,
};

int fl_sequential_executor_create(fl_executor **made, const fl_executor_config *config)
{
	static const fl_executor_config defaults;
	fl_executor *e = fl__alloc(1, sizeof *e);
	if (!e)
		return -ENOMEM;
	int rc = fl__executor_init(e, &ops, 1, config ? config : &defaults, false);
	if (rc != 0) {
		fl__free(e);
		return rc;
	}
	char *message = NULL;
	rc = fl__executor_initialize(e, &message);
	fl__message_free(message);
	if (rc != 0) {
		destroy(e);
		return rc;
	}
	*made = e;
	return 0;
}
