/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "../base/atomic.h"
#include "../base/error.h"
#include <fairlead/group.h>
#include <stdbool.h>

/* group.c has the tables. */
enum {
	FL__GROUP_CLOSED = 1,       /* in entered_ and balance_ */
	FL__GROUP_MEMBER = 2,       /* the unit of both */
	FL__GROUP_MEMBERS_LEFT = 1, /* in running_ */
	FL__GROUP_NO_OFFER = 1,     /* in idle_ */
	FL__GROUP_WAITER = 2        /* in running_ and idle_ */
};

/*
 * The number of the members that have not ended. Members that enter or end during the call may be
 * counted or not. What ended members wrote is visible if it is 0.
 */
static inline size_t fl__group_left(const fl_group *g)
{
	/* acquire, both: pairs with group_count_out(), its locked half and group_join_finish() */
	const size_t balance = fl__load_acquire(&g->balance_);
	if (balance & FL__GROUP_CLOSED)
		return balance / FL__GROUP_MEMBER;
	/* a member that has ended had entered before. Above SIZE_MAX / 4: a join has joined them meanwhile */
	const size_t left = (fl__load_acquire(&g->entered_) + balance) / FL__GROUP_MEMBER;
	return left > SIZE_MAX / 4 ? 0 : left;
}

/* For group_join.c; both under the lock. From the close on the last member clears both words. */

void fl__group_close(fl_group *g);
/* Ends the token of a begun group without members. */
void fl__group_end(fl_group *g);

/* group_tasks.c and group_join.c. */

/* The whole stack of tasks, which is empty then. */
fl_future *fl__group_take_all(fl_group *g);
/* Frees the tasks of a list that have ended, and pushes the others. */
void fl__group_sweep(fl_group *g, fl_future *list);
/*
 * Roughly the newest task that is pending and that no join took, as a reference. Others that it
 * takes from the stack it adds to `*taken`. NULL: none; the next submit wakes a join that sleeps.
 */
fl_future *fl__group_take_offer(fl_group *g, fl_future **taken);
void fl__group_wake_taking_join(fl_group *g);

/* For members: group_tasks.c, and the fibers of loops (loop/loop_fiber.c). */

struct fl__host;

/*
 * Counts a new fiber of the calling thread's scheduler `s`; NULL: a task. Begins the group if
 * needed, with a token below `parent`; NULL: the caller's scope. Returns the number of the start.
 * Panics if the group has fibers of another scheduler.
 */
size_t fl__group_enter(fl_group *g, const struct fl__host *s, fl_cancel_token *parent);

/* The task was not submitted, the fiber was not started. Both return `rc`. */
int fl__group_refuse(fl_group *g, int rc);
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

/*
 * Called after the callbacks of a task, and after a fiber's end was published. The caller's last
 * access to the group.
 */
void fl__group_leave(fl_group *g);
void fl__group_fiber_left(fl_group *g);
