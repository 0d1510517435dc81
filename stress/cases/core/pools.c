/* SPDX-License-Identifier: BSD-2-Clause */
/* The tasks that several scenarios of executors submit. */
#include "pools.h"

FL_TASK_DEFINE(do_nothing, void, void)
{
	return 0;
}

/* The count is plain: the submit orders it before the task, and the end of the task after it. */
FL_TASK_DEFINE(add_one, int *, int)
{
	*result = ++**arg;
	return 0;
}

FL_TASK_DEFINE(count_one, atomic_int *, void)
{
	COUNT(*arg);
	return 0;
}

FL_TASK_DEFINE(set_event, fl_event *, void)
{
	fl_event_set(*arg);
	return 0;
}

FL_TASK_DEFINE(await_event, fl_event *, void)
{
	return fl_event_wait_until(*arg, FL_FOREVER, FL_SHIELDED);
}

/* Its worker runs meanwhile. */
FL_TASK_DEFINE(hold_worker, fl_event *, void)
{
	hold_until_set(*arg);
	return 0;
}

/* The latch's count is the number of such tasks, and they need that many workers. */
FL_TASK_DEFINE(meet, fl_latch *, void)
{
	fl_latch_count_down(*arg, 1);
	return fl_latch_wait(*arg);
}

/* It ends when it is asked to stop. */
FL_TASK_DEFINE(obey, void, void)
{
	fl_event never = FL_EVENT_INIT;
	return fl_event_wait_until(&never, FL_FOREVER, fl_task_token(ctx));
}
