/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "../base/atomic.h"
#include <fairlead/group.h>

/* group.c has the table. */
enum {
	FL__GROUP_WAITER = 1,
	FL__GROUP_MEMBER = 2,   /* the unit of LEFT */
	FL__GROUP_ENTERED = 32, /* the lowest bit of ENTERED */
};

/*
 * Returns how many members have not ended. Members that enter or end during the call may be counted
 * or not. If the result is 0, the caller sees what the members wrote.
 */
static inline size_t fl__group_left(const fl_group *g)
{
	/* acquire: pairs with the releases in fl__group_leave() */
	return (uint32_t)fl__load_acquire(&g->members_) / FL__GROUP_MEMBER;
}

/* For the members of groups: tasks (group.c) and fibers of loops (loop/loop_fiber.c). */

/*
 * Counts a new member. Begins the group if needed, with a token below `parent`, or below the
 * caller's scope if that is NULL. Returns the number of the submit or start.
 */
size_t fl__group_enter(fl_group *g, fl_cancel_token *parent);

/*
 * Notes how a member has ended. With `cut` the error is the member's answer to a cancel. Else the
 * member has failed: the first failure requests the group's token, and later ones are reported.
 */
struct fl__group_failure {
	int error;
	size_t number;
	const char *type;  /* the name of a task's type; NULL if the member is a fiber */
	const char *fiber; /* the name of the fiber */
	const char *text;
};
void fl__group_note_error(fl_group *g, bool cut, const struct fl__group_failure *failure);

/*
 * Uncounts a member that has ended, or has not begun. It is the caller's last access to the group,
 * unless a member of the caller's own is left.
 */
void fl__group_leave(fl_group *g);

/*
 * Returns the group of a task, or NULL. The caller owns the memory of its block, or keeps the block in
 * its queue. The group may be gone if the task was claimed.
 */
fl_group *fl__group_of(fl_future *f);
