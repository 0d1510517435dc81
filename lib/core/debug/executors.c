/* SPDX-License-Identifier: BSD-2-Clause */
/* The list of all executors, for the dump. The table's lock, usable after a fork, guards it. */
#include "../exec/executor.h"
#include "table.h"

static fl_executor *executors_first;

static void executors_add(fl_executor *e)
{
	e->next_listed = executors_first;
	e->listed = &executors_first;
	if (executors_first)
		executors_first->listed = &e->next_listed;
	executors_first = e;
}

static void executors_remove(const fl_executor *e)
{
	*e->listed = e->next_listed;
	if (e->next_listed)
		e->next_listed->listed = e->listed;
}

void fl__debug_executor_on(fl_executor *e, bool begins)
{
	fl__debug_relock();
	if (begins)
		executors_add(e);
	else
		executors_remove(e);
	fl__debug_unlock();
}

fl_executor *fl__debug_executor_nth(size_t n)
{
	fl_executor *e = executors_first;
	while (e && n-- > 0)
		e = e->next_listed;
	return e;
}
