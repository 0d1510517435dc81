/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_EXEC_GROUP_H
#define FL_EXEC_GROUP_H

#include <fairlead/group.h>
#include <stdbool.h>
#include <stdint.h>

/* What the joins (group_join.c) call. The tables are in group.c. */

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
