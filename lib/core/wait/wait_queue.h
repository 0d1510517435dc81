/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_WAIT_WAIT_QUEUE_H
#define FL_WAIT_WAIT_QUEUE_H

#include "lot.h"

/*
 * A wait queue outside of the parking lot, guarded by its object's lock, which all operations of
 * the object take. A queue that is all-zero is empty.
 *
 *     fl__wait_begin(&wait, kind, object);            // the waiter, under the lock
 *     fl__wait_queue_add_first(queue, &node);
 *     unlock
 *     rc = fl__wait_sleep(&wait, deadline, cancel);
 *     if (rc != 0) { lock; fl__wait_queue_remove(queue, &node); }
 *
 *     n = fl__wait_queue_take(queue, 1);              // the waking thread, under the lock
 *     taken = fl__wait_queue_taken(queue);
 *     unlock                                          // the last access to the object
 *     fl__lot_unpark(&taken);
 *
 * The invariants of lot.c hold, with the object's lock instead of the bucket's lock. A take decides
 * the wait. Therefore, if a waiter's deadline passes after the take, the waiter still waits for the
 * unpark.
 */
struct fl__wait_queue {
	struct fl__node *first; /* the first node of a ring, or NULL */
	struct fl__lot taken;   /* waiters to unpark; none while the lock is free */
};

/* Enqueues `node` as the first one. */
void fl__wait_queue_add_first(struct fl__wait_queue *queue, struct fl__node *node);

/* Dequeues `node` if it is queued. */
void fl__wait_queue_remove(struct fl__wait_queue *queue, struct fl__node *node);

/*
 * Dequeues waiters and decides to wake each one that has not given up, until it has taken `max`
 * waiters or the queue is empty. Returns how many it took.
 */
size_t fl__wait_queue_take(struct fl__wait_queue *queue, size_t max);

/* Returns the taken waiters, which the caller must unpark, and leaves none. */
struct fl__lot fl__wait_queue_taken(struct fl__wait_queue *queue);

#endif
