/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "../base/atomic.h"
#include "../base/error.h"
#include <fairlead/group.h>
#include <stdbool.h>

enum { FL__GROUP_CLOSED = 1 }; /* see group.c */

/*
 * The number of the members that have not ended. Members that enter or end during the call may be
 * counted or not. What ended members wrote is visible if it is 0.
 */
static inline size_t fl__group_left(const fl_group *g)
{
	/* acquire, both: pairs with group_count_out(), its locked half and group_join_finish() */
	const size_t balance = fl__load_acquire(&g->balance_);
	if (balance & FL__GROUP_CLOSED)
		return balance / 2;
	/* a member that has ended had entered before. Above SIZE_MAX / 4: a join has joined them meanwhile */
	const size_t left = (fl__load_acquire(&g->entered_) + balance) / 2;
	return left > SIZE_MAX / 4 ? 0 : left;
}

/* The fibers of loops call these (loop/loop_fiber.c). group.c has the tables. */

struct fl__host;

/*
 * Counts a new fiber of the calling thread's scheduler `s`; NULL: a task. Begins the group if
 * needed, with a token below `parent`; NULL: the caller's scope. Returns the number of the start.
 * Panics if the group has fibers of another scheduler.
 */
size_t fl__group_enter(fl_group *g, const struct fl__host *s, fl_cancel_token *parent);

/* The fiber was not started. Returns `rc`. */
int fl__group_uncount_fiber(fl_group *g, int rc);

/*
 * `cut`: the error is the member's answer to a cancel. Else the member has failed: the first
 * failure requests the group's token, later ones are reported.
 */
struct fl__group_failure {
	int error;
	size_t number;
	const char *type;  /* of a task's type; NULL: of a fiber */
	const char *fiber; /* the name of the fiber */
	const char *text;
};
void fl__group_note_error(fl_group *g, bool cut, const struct fl__group_failure *failure);

/* Called after a fiber's end was published. The caller's last access to the group. */
void fl__group_fiber_left(fl_group *g);
