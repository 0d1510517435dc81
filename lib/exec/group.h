/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_EXEC_GROUP_H
#define FL_EXEC_GROUP_H

#include <fairlead/group.h>
#include <stdbool.h>
#include <stdint.h>

/* What the fibers of loops (loop/loop_fiber.c) call. group.c has the tables. */

struct fl__sched;

/*
 * Counts a new fiber of the calling thread's scheduler `s` in. Begins the group if needed, with a
 * token below `parent`; NULL: below the caller's scope. Returns the number of the start. Panics if
 * the group has fibers of another scheduler.
 */
size_t fl__group_enter_fiber(fl_group *g, const struct fl__sched *s, fl_cancel_token *parent);

/* Undoes fl__group_enter_fiber(), when the fiber was not started. Returns `rc`. */
int fl__group_refuse_fiber(fl_group *g, int rc);

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
void fl__group_note(fl_group *g, bool cut, const struct fl__group_failure *failure);

/* Counts a fiber out whose end was published. The last access of the caller to the group. */
void fl__group_fiber_left(fl_group *g);

/* What the joins (group_join.c) call. */

/*
 * Takes a task that no join has taken and that has not ended, about the newest: a reference to its
 * future. NULL: there is none, and the next offer ends a sleep.
 */
fl_future *fl__group_take(fl_group *g);

/*
 * Sleeps until no task is left, or, if `takes`, until there is an offer: 0, -ETIMEDOUT,
 * -ECANCELED.
 */
int fl__group_sleep(fl_group *g, bool takes, int64_t deadline, fl_cancel_token *cancel);

/* Ends the token of a group that is begun and has no tasks. Called with the lock. */
void fl__group_end(fl_group *g);

#endif
