/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_WAIT_WAIT_QUEUE_H
#define FL_WAIT_WAIT_QUEUE_H

#include "lot.h"

/*
 * A wait queue outside the parking lot, under the lock of its object, which all operations of the
 * object take. All-zero is empty.
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
 * The invariants of lot.c hold, with the object's lock in place of the bucket's. A take decides the
 * wait: a waiter whose deadline passes later still waits for the unpark.
 */
struct fl__wait_queue {
	struct fl__node *first; /* a ring; NULL: empty */
	struct fl__lot taken;   /* waiters to unpark; none while the lock is free */
	uint32_t fork_count;    /* of the waiters' process: a forked child has no waiters */
};

/* Enqueues first. `node->value` becomes the caller's CPU. */
void fl__wait_queue_add_first(struct fl__wait_queue *queue, struct fl__node *node);

/* Does nothing if `node` is not queued. */
void fl__wait_queue_remove(struct fl__wait_queue *queue, struct fl__node *node);

/*
 * As fl__lot_take(), without observers, but of the first five waiters prefers one that was enqueued
 * on another CPU: on this CPU it would preempt the caller.
 */
size_t fl__wait_queue_take(struct fl__wait_queue *queue, size_t max);

/* Moves the taken waiters to the caller. */
struct fl__lot fl__wait_queue_taken(struct fl__wait_queue *queue);

#endif
