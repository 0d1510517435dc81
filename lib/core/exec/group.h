/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_EXEC_GROUP_H
#define FL_EXEC_GROUP_H

#include <fairlead/group.h>
#include <stdbool.h>
#include <stdint.h>

/* What the fibers of loops (loop/loop_fiber.c) call. group.c has the tables. */

struct fl__sched;

/*
 * Counts a new fiber of the calling thread's scheduler `s`. Begins the group if needed, with a
 * token below `parent`; NULL: below the caller's scope. Returns the number of the start. Panics if
 * the group has fibers of another scheduler.
 */
size_t fl__group_enter_fiber(fl_group *g, const struct fl__sched *s, fl_cancel_token *parent);

/* Undoes fl__group_enter_fiber(), when the fiber was not started. Returns `rc`. */
int fl__group_uncount_fiber(fl_group *g, int rc);

/*
 * Notes that a member ended with an error. `cut`: the error is the member's answer to a cancel.
 * Else the member has failed: the first failure requests the group's token, a later one is
 * reported.
 */
struct fl__group_failure {
	int error;
	size_t number;
	const char *type;  /* the name of a task's type; NULL: of a fiber */
	const char *fiber; /* the name of the fiber */
	const char *text;
};
void fl__group_note_error(fl_group *g, bool cut, const struct fl__group_failure *failure);

/* Passes an error of a fiber to the error handler (fl_fiber_set_error_handler). */
void fl__fiber_report_error(const char *name, int error);

/* Uncounts a fiber, after its end was published. The last access of the caller to the group. */
void fl__group_fiber_left(fl_group *g);

#endif
