/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_EXEC_GROUP_H
#define FL_EXEC_GROUP_H

#include <fairlead/group.h>
#include <stdbool.h>
#include <stdint.h>

/* What the joins (group_join.c) ask of a group. group.c has its tables. */

/*
 * Takes up the newest child that no join has taken up. Returns a reference to its future; NULL: there is none, and the next
 * will end a sleep.
 */
fl_future *fl__group_take_offer(fl_group *g);

/* Until no child is left, or, if it `takes`, there is an offer: 0, -ETIMEDOUT, -ECANCELED. */
int fl__group_sleep(fl_group *g, bool takes, int64_t deadline, fl_cancel *cancel);

/* Under the lock, begun and without children: ends the token. Returns what is to be freed without the lock. */
struct fl__group_block *fl__group_end(fl_group *g);
void fl__group_free(struct fl__group_block *block);

#endif
