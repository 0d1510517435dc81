/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_EXEC_CHILD_H
#define FL_EXEC_CHILD_H

#include "../base/panic.h"
#include "../wait/context.h"

/*
 * A child that a task forks has the forking thread alone, in the midst of an executor whose other threads, and what they have locked,
 * are the parent's. Would it return, it would go on with the parent's tasks, as a second worker in the same place. So whoever calls a
 * function of the user's for an executor takes fl__child_mark() before, and ends such a child afterwards. Where calls are nested, those
 * alone must look that have more to call.
 */
static inline uint32_t fl__child_mark(void)
{
	return fl__load_relaxed(&fl__fork_count); /* relaxed: as in fl__is_forked() */
}

/* `name`: of what was called. */
static inline void fl__child_ends(uint32_t mark, const char *name)
{
	if (__builtin_expect(fl__is_forked(mark), 0))
		fl__panic(name, NULL, "a child that it has forked returned from it: leave by _exit() or exec");
}

#endif
