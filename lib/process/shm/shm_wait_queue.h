/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The wait queue of a monitor in shared memory, and the operations that wait in it
 * (shm_wait_queue.c).
 */
#pragma once

#include "core/wait/lot.h"
#include "shm_bridge.h"
#include "shm_lock.h"
#include <fairlead/cancel.h>
#include <fairlead/wait_any.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * The waiters of a wait queue wait for a change of the data that a monitor guards. All-zero memory
 * is an empty queue. A change takes effect by one store, the commit, which comes between the two
 * calls that wake.
 */
struct fl__shm_wait_queue {
	struct fl__shm_lock head; /* its owner is the queued waiter that sleeps on `changes` */
	uint32_t changes;         /* counts the wakes */
	/* 1 while a waiter may sleep on `changes`; guarded by the monitor */
	uint32_t waiting;
};

static inline struct fl__shm_wait_queue *fl__shm_wait_queue_at(const uint64_t *place)
{
	return (struct fl__shm_wait_queue *)(void *)(uintptr_t)place;
}

/* In public structs, lock_ is the memory of a monitor, and waiters_ the memory of a wait queue. */
#define FL__SHM_ASSERT_ROOM(type)                                                                                      \
	_Static_assert(sizeof(struct fl__shm_lock) == sizeof((type *)0)->lock_ &&                                      \
	                   sizeof(struct fl__shm_wait_queue) == sizeof((type *)0)->waiters_,                           \
	               #type " has room for a lock and a wait queue")

/* Wakes the waiters that sleep on `changes`. Called under the monitor, before the commit. */
void fl__shm_wake_before_commit(struct fl__shm_wait_queue *q);
/*
 * Called under the monitor, after the commit. Clears `waiting`, and wakes up to `more` waiters that
 * queue behind the owner of `head`.
 */
void fl__shm_wake_after_commit(struct fl__shm_wait_queue *q, uint32_t more);

/* An operation that may have to wait. */
struct fl__shm_op {
	struct fl__shm_lock *lock;
	struct fl__shm_wait_queue *queue;
	/* Called under the monitor. Returns 0, an error, or -EAGAIN if the operation must wait. */
	int (*attempt)(void *arg);
	/* Guesses, without the monitor, whether an attempt can succeed. */
	bool (*may_succeed)(const void *arg);
	void *arg;
	bool broadcast; /* a change concerns all waiters, so they do not queue behind `head` */
};

/*
 * Attempts the operation until the result is not -EAGAIN. With the deadline FL__TRY it attempts
 * once. Returns the attempt's result, or
 *   -ETIMEDOUT  the deadline has passed; with FL__TRY, another thread was in the monitor for a
 *               millisecond
 *   -ECANCELED  the token, or the context's cancel scope, was cancelled
 *   -EBADMSG    the word of a lock has an impossible value
 */
FL_MUST_CHECK int fl__shm_await(const struct fl__shm_op *op, fl_time deadline, fl_cancel_token *cancel);

/*
 * The arm() of a wait-any; its disarm() is fl__bridge_disarm(). Attempts the operation under the
 * monitor. Returns false if the result is not -EAGAIN, and otherwise the result of
 * fl__bridge_arm().
 */
FL_MUST_CHECK bool fl__shm_wait_arm(const struct fl__shm_op *op, struct fl__node *node);
