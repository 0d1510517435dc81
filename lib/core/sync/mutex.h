/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "../debug/debug.h"
#include "../wait/lot.h"
#include <fairlead/mutex.h>

struct fl__mutex_node {
	struct fl__node node;
	fl_mutex *mutex;
	int64_t since; /* turn.h */
	bool has_run;  /* the waiter has run since its last wake */
};
#define FL__MUTEX_NODE(m, w) ((struct fl__mutex_node){.node = {.wait = (w), .wants_mutex = true}, .mutex = (m)})

/* NULL for NULL. */
static inline struct fl__mutex_node *fl__mutex_node_of(struct fl__node *node)
{
	return (struct fl__mutex_node *)(void *)node;
}

/*
 * For a signal of a condition. Moves up to `max` waiters from queue `from` to `to`, the queue of
 * `m`, for which all wait; wakes those that are fibers. Both queues are locked. Returns the number
 * of waiters that were moved or woken.
 */
size_t fl__mutex_requeue(fl_mutex *m, struct fl__lot *from, struct fl__lot *to, size_t max);

/* Dequeues a moved waiter that has given up. `lot`, the queue of `m`, is locked. */
void fl__mutex_give_up(fl_mutex *m, struct fl__lot *lot, struct fl__mutex_node *waiter);

/* For a waiter that was moved and then woken. */
void fl__mutex_relock_requeued(struct fl__mutex_node *waiter, struct fl__debug_op *op);

/* As fl_mutex_lock(). Both relock functions end the `op` of fl__debug_waiting_cond(). */
void fl__mutex_relock(fl_mutex *m, struct fl__debug_op *op);
