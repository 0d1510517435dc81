/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "core/wait/lot.h"
#include "shm_bridge.h"
#include "shm_lock.h"
#include <fairlead/cancel.h>
#include <fairlead/wait_any.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * A wait queue: its waiters wait for a change of the data that a monitor guards. All-zero memory is
 * an empty queue. A change is one store, the commit, between the two calls that wake.
 */
struct fl__shm_wait_queue {
	struct fl__shm_lock head; /* its owner is the waiter that sleeps on `changes` */
	uint32_t changes;         /* counts the wakes */
	uint32_t waiting;         /* 1: a waiter may sleep on `changes`. Guarded by the monitor */
};

static inline struct fl__shm_wait_queue *fl__shm_wait_queue_at(const uint64_t *place)
{
	return (struct fl__shm_wait_queue *)(void *)(uintptr_t)place;
}

/* In public structs `lock_` and `waiters_` are a monitor and a wait queue. */
#define FL__SHM_ASSERT_ROOM(type)                                                                                      \
	_Static_assert(sizeof(struct fl__shm_lock) == sizeof((type *)0)->lock_ &&                                      \
	                   sizeof(struct fl__shm_wait_queue) == sizeof((type *)0)->waiters_,                           \
	               #type " has room for a lock and a wait queue")

/* Under the monitor, before the commit: wakes the waiters that sleep on `changes`. */
void fl__shm_wake_before_commit(struct fl__shm_wait_queue *q);
/* Under the monitor, after the commit. Also wakes `more` waiters behind the owner of `head`. */
void fl__shm_wake_after_commit(struct fl__shm_wait_queue *q, uint32_t more);

/* An operation that may have to wait. */
struct fl__shm_op {
	struct fl__shm_lock *lock;
	struct fl__shm_wait_queue *queue;
	/* Under the monitor. Returns 0, an error, or -EAGAIN: not yet. */
	int (*attempt)(void *arg);
	/* Without the monitor: guesses whether an attempt can succeed. */
	bool (*may_succeed)(const void *arg);
	void *arg;
	bool broadcast; /* a change concerns all waiters, so they do not queue behind `head` */
};

/*
 * Attempts until the result is not -EAGAIN, or with the deadline FL__TRY once. Returns the
 * attempt's result, or
 *   -ETIMEDOUT  the deadline has passed; with FL__TRY: another thread was in the monitor for a
 *               millisecond
 *   -ECANCELED
 *   -EBADMSG    the word of a lock has an impossible value
 */
FL_MUST_CHECK int fl__shm_await(const struct fl__shm_op *op, fl_time deadline, fl_cancel_token *cancel);

/*
 * The arm() of a wait-any; the disarm() is fl__bridge_disarm(). Attempts under the monitor.
 * Returns false if the result is not -EAGAIN, otherwise as fl__bridge_arm().
 */
FL_MUST_CHECK bool fl__shm_wait_arm(const struct fl__shm_op *op, struct fl__node *node);
