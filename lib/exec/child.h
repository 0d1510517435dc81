/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_EXEC_CHILD_H
#define FL_EXEC_CHILD_H

#include "../base/panic.h"
#include "../wait/context.h"

/*
 * A child that a task forks has only the forking thread, in the midst of an executor whose other
 * threads and locks are the parent's. If the thread returned from the task, it would go on with the
 * parent's tasks, as a second worker in the same place. So a caller of a user's function for an
 * executor calls fl__child_mark() before, and fl__child_ends() after it. In nested calls only a
 * caller with more to call needs this check.
 */
static inline uint32_t fl__child_mark(void)
{
	return fl__load_relaxed(&fl__fork_count); /* relaxed: as in fl__is_forked() */
}

/* Panics in such a child. `name`: of the user's function. */
static inline void fl__child_ends(uint32_t mark, const char *name)
{
	if (__builtin_expect(fl__is_forked(mark), 0))
		fl__panic(name, NULL, "a child that it has forked returned from it: leave by _exit() or exec");
}

#endif
