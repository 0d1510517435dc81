/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_SYNC_MUTEX_H
#define FL_SYNC_MUTEX_H

#include "../debug/debug.h"
#include "../wait/lot.h"
#include <fairlead/mutex.h>

/* A place in the line of a mutex, or of a condition; `node` stands in the lot. */
struct fl__mutex_node {
	struct fl__node node;
	fl_mutex *mutex;
	int64_t since; /* when it was roused for the first time; 0: not yet */
	bool is_here;  /* has run since it was roused */
};
#define FL__MUTEX_NODE(m, w) ((struct fl__mutex_node){.node = {.wait = (w), .wants_mutex = true}, .mutex = (m)})

/* The place that a node in such a line is part of; NULL for NULL. */
static inline struct fl__mutex_node *fl__mutex_node_of(struct fl__node *node)
{
	return (struct fl__mutex_node *)(void *)node;
}

/* For a condition, whose waiters move from its own line to the mutex's. `to` is the open line of `m`, as is `from`. */

/* Moves up to `max` waiters of `from`, as long as `m` is their mutex: they wait for the mutex from now on. Returns how many. */
size_t fl__mutex_adopt(fl_mutex *m, struct fl__lot *from, struct fl__lot *to, size_t max);

/* Takes the place, which was so moved and has given up since, out of the line of `m`, which is open. */
void fl__mutex_give_up(fl_mutex *m, struct fl__lot *line, struct fl__mutex_node *place);

/* Locks the mutex for the calling context, whose place was so moved and then roused. */
void fl__mutex_lock_roused(struct fl__mutex_node *place, struct fl__debug_op *op);

/* Locks it as fl_mutex_lock() does. Of this, and the above, `op` was begun before the wait for the condition. */
void fl__mutex_lock_announced(fl_mutex *m, struct fl__debug_op *op);

#endif
