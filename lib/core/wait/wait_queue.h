/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_WAIT_WAIT_QUEUE_H
#define FL_WAIT_WAIT_QUEUE_H

#include "lot.h"

/*
 * A wait queue outside the parking lot, under the lock of its object, which all operations of the
 * object take. All-zero is empty.
 *
 *     fl__wait_begin(&wait, kind, object);            // the waiter, under the lock
 *     fl__wait_queue_add(queue, &node);
 *     unlock
 *     rc = fl__wait_sleep(&wait, deadline, cancel);
 *     lock
 *     if (rc != 0)
 *             fl__wait_queue_remove(queue, &node);
 *
 * The invariants of lot.c hold, with the object's lock in place of the bucket's. A waiter takes the
 * lock before its wait ends, so a waking thread that holds the lock may read the node. Requires
 * that a waking thread's last access to the object is its unlock.
 */
struct fl__wait_queue {
	struct fl__node *first; /* a ring in FIFO order; NULL: empty */
	uint32_t fork_count;    /* of the waiters' process: a forked child has no waiters */
};

/* Enqueues last, as fl__lot_add(). */
void fl__wait_queue_add(struct fl__wait_queue *queue, struct fl__node *node);

void fl__wait_queue_add_first(struct fl__wait_queue *queue, struct fl__node *node);

/* Does nothing if `node` is not queued. */
void fl__wait_queue_remove(struct fl__wait_queue *queue, struct fl__node *node);

/* Has the order and the result of fl__lot_take(). */
size_t fl__wait_queue_wake(struct fl__wait_queue *queue, size_t max);

#endif
