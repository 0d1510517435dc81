/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "../base/atomic.h"
#include <fairlead/group.h>

/* The bits of members_. The table in group.c explains them. */
enum {
	FL__GROUP_WAITER = 1,
	FL__GROUP_MEMBER = 2,   /* the unit of LEFT */
	FL__GROUP_ENTERED = 32, /* the lowest bit of ENTERED */
};

/*
 * Returns how many members have not ended. A member that enters or ends during the call may or may
 * not be counted. If the result is 0, the caller sees what the members wrote.
 */
static inline size_t fl__group_left(const fl_group *g)
{
	/* acquire: pairs with the releases in fl__group_leave() */
	return (uint32_t)fl__load_acquire(&g->members_) / FL__GROUP_MEMBER;
}

/* For the members of groups: tasks (group.c) and fibers of loops (loop/loop_fiber.c). */

/*
 * Counts a new member. Begins the group if needed; its token is then a child of `parent`, or of the
 * caller's scope if `parent` is NULL. Returns the number of this submit or start.
 */
size_t fl__group_enter(fl_group *g, fl_cancel_token *parent);

/*
 * Notes how a member has ended. If `cut` is true, the member returned the error because it was
 * cancelled. Otherwise the member has failed: the first failure cancels the group's token, and
 * later failures are reported.
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
 * Subtracts a member that has ended, or that could not begin. This is the caller's last access to
 * the group, unless another member that the caller has entered is left.
 */
void fl__group_leave(fl_group *g);

/*
 * Returns the group of a task, or NULL. The caller owns the memory of the task's block, or keeps
 * the block in its queue. The group may be gone if the task was claimed.
 */

fl_group *fl__group_of(fl_future *f);
