/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The list of all executors, for the dump and fl_stats_text(), and the lock that guards the list
 * and the table (table.h).
 */
#include "core/base/anew.h"
#include "core/base/list.h"
#include "core/base/sys.h"
#include "core/exec/executor.h"
#include "core/wait/lock.h"
#include "table.h"

static fl_executor *executors_first;
static uint64_t executors_made;
static uint32_t executors_lock;

void fl__debug_unlock(void)
{
	fl__unlock(&executors_lock);
}

void fl__debug_relock(void)
{
	fl__lock(&executors_lock);
}

bool fl__debug_try_enter(void)
{
	enum { ATTEMPTS = 1000 };
	for (int i = 0; i < ATTEMPTS; i++) {
		if (fl__try_lock(&executors_lock))
			return true;
		fl__sys.relax();
	}
	return false;
}

static void executors_make_anew(void)
{
	fl__store_relaxed(&executors_lock, 0); /* relaxed, both: the child has one thread */
	fl__store_relaxed(&fl__debug_switch_lock, 0);
	executors_first = NULL;
	fl__table_make_anew();
}

FL__MAKES_ANEW(executors_make_anew)

void fl__hook_executor_on(fl_executor *e, bool begins)
{
	fl__debug_relock();
	if (begins) {
		e->number = ++executors_made;
		FL__LIST_ADD_BY(next_listed, listed, &executors_first, e);
	} else if (e->listed) {
		FL__LIST_REMOVE_BY(next_listed, listed, e);
		e->listed = NULL;
	}
	fl__debug_unlock();
}

fl_executor *fl__debug_executor_nth(size_t n)
{
	fl_executor *e = executors_first;
	while (e && n-- > 0)
		e = e->next_listed;
	return e;
}
