/* SPDX-License-Identifier: BSD-2-Clause */
/* The list of all executors, for the dump. The table's lock, usable after a fork, guards it. */
#include "../base/list.h"
#include "../exec/executor.h"
#include "table.h"

static fl_executor *executors_first;

void fl__debug_executor_on(fl_executor *e, bool begins)
{
	fl__debug_relock();
	if (begins)
		FL__LIST_ADD_BY(next_listed, listed, &executors_first, e);
	else
		FL__LIST_REMOVE_BY(next_listed, listed, e);
	fl__debug_unlock();
}

fl_executor *fl__debug_executor_nth(size_t n)
{
	fl_executor *e = executors_first;
	while (e && n-- > 0)
		e = e->next_listed;
	return e;
}
