/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_EXEC_GROUP_H
#define FL_EXEC_GROUP_H

#include <fairlead/group.h>
#include <stdbool.h>
#include <stdint.h>

/* What the joins (group_join.c) call. The tables are in group.c. */

/*
 * Takes the newest offer. Returns a reference to its future. NULL: there is none, and the next
 * offer ends a sleep.
 */
fl_future *fl__group_take_offer(fl_group *g);

/*
 * Sleeps until no child is left, or, if `takes`, until there is an offer: 0, -ETIMEDOUT,
 * -ECANCELED.
 */
int fl__group_sleep(fl_group *g, bool takes, int64_t deadline, fl_cancel_token *cancel);

/*
 * Ends the token of a group that is begun and has no children. Called with the lock. The caller
 * frees the returned blocks after it has released the lock.
 */
struct fl__group_block *fl__group_end(fl_group *g);
void fl__group_free(struct fl__group_block *block);

#endif
