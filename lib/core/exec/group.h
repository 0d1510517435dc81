/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "../base/atomic.h"
#include "../base/error.h"
#include <fairlead/group.h>

/* group.c has the tables. */
enum {
	FL__GROUP_CLOSED = 1,       /* in entered_ and balance_ */
	FL__GROUP_MEMBER = 2,       /* the unit of both */
	FL__GROUP_MEMBERS_LEFT = 1, /* in running_ */
	FL__GROUP_NO_OFFER = 1,     /* in idle_ */
	FL__GROUP_WAITER = 2        /* in running_ and idle_ */
};

/*
 * Returns how many members have not ended. Members that enter or end during the call may be counted
 * or not. If the result is 0, the caller sees what the members wrote.
 */
static inline size_t fl__group_left(const fl_group *g)
{
	/*
	 * acquire, both: pairs with the releases in group_count_out(), group_count_out_locked() and
	 * group_join_finish()
	 */
	const size_t balance = fl__load_acquire(&g->balance_);
	if (balance & FL__GROUP_CLOSED)
		return balance / FL__GROUP_MEMBER;
	/*
	 * A member that has ended had entered before. So the sum is above SIZE_MAX / 4 only if a
	 * join has joined the members meanwhile.
	 */
	const size_t left = (fl__load_acquire(&g->entered_) + balance) / FL__GROUP_MEMBER;
	return left > SIZE_MAX / 4 ? 0 : left;
}

/*
 * group_join.c calls these two under the lock. From the close on, the last member clears running_
 * and idle_.
 */

void fl__group_close(fl_group *g);
/* Ends the token of a begun group without members. */
void fl__group_end(fl_group *g);

/* group_tasks.c has the next three functions, for group_join.c. */

/* Takes the whole stack of tasks, and leaves it empty. */
fl_future *fl__group_take_all(fl_group *g);
/* Frees the tasks of a list that have ended, and pushes the others. */
void fl__group_sweep(fl_group *g, fl_future *list);
/*
 * Returns a reference to roughly the newest task that is pending and that no join took. Adds the
 * other tasks that it takes from the stack to `*taken`. If there is none, it returns NULL, and the
 * next submit wakes a join that sleeps.
 */
fl_future *fl__group_take_offer(fl_group *g, fl_future **taken);

/* Wakes a join that sleeps until there is an offer. group.c has it, for group_tasks.c. */
void fl__group_wake_taking_join(fl_group *g);

/* For the members of groups: tasks (group_tasks.c) and fibers of loops (loop/loop_fiber.c). */

struct fl__host;

/*
 * Counts a new fiber of the calling thread's scheduler `s`, or a task if `s` is NULL. Begins the
 * group if needed, with a token below `parent`, or below the caller's scope if that is NULL.
 * Returns the number of the start. Panics if the group has fibers of another scheduler.
 */
size_t fl__group_enter(fl_group *g, const struct fl__host *s, fl_cancel_token *parent);

/*
 * These two uncount a task that was not submitted and a fiber that was not started. Both return
 * `rc`.
 */
int fl__group_refuse(fl_group *g, int rc);
int fl__group_uncount_fiber(fl_group *g, int rc);

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
 * These two uncount a task, after its callbacks, and a fiber, after its end was published. The call
 * is the caller's last access to the group.
 */
void fl__group_leave(fl_group *g);
void fl__group_fiber_left(fl_group *g);
