/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_SHM_WAIT_QUEUE_H
#define FL_SHM_WAIT_QUEUE_H

#include "../wait/lot.h"
#include "shm_bridge.h"
#include "shm_lock.h"
#include <fairlead/cancel.h>
#include <fairlead/wait_any.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * The wait queue of an object: its waiters wait for a change of the data that a monitor guards.
 * line.c has the protocol. All-zero memory is an empty queue. A thread that changes the data:
 *
 *     rc = fl__shm_enter(&x->lock, &held, deadline);
 *     fl__shm_announce(&x->line);
 *     fl__store_relaxed(&x->word, changed);               // the one store that commits
 *     fl__shm_announced(&x->line, more);
 *     fl__shm_leave(&x->lock, &held);
 */
struct fl__shm_line {
	struct fl__shm_lock head; /* its owner is the waiter that sleeps on `changes` */
	uint32_t changes;         /* counts the announcements to waiters */
	uint32_t waiting;         /* 1: a waiter may sleep on `changes`. Guarded by the monitor */
};

/* Wakes the waiters. Called under the monitor, before the store that commits. */
void fl__shm_announce(struct fl__shm_line *line);
/*
 * Called under the monitor, after that store. `more`: how many waiters can go on besides the head
 * of the queue. These waiters are woken too, because the head may be stopped.
 */
void fl__shm_announced(struct fl__shm_line *line, uint32_t more);

/* An operation that may have to wait. */
struct fl__shm_op {
	struct fl__shm_lock *lock;
	struct fl__shm_line *line;
	/* Under the monitor: performs the operation. Returns 0, an error, or -EAGAIN: not yet. */
	int (*attempt)(void *arg);
	/* Without the monitor: guesses whether an attempt can succeed. */
	bool (*look)(const void *arg);
	void *arg;
	bool together; /* a change concerns all waiters, so they do not queue behind `head` */
};

/* Attempts once. Returns the attempt's result; -ETIMEDOUT: the monitor is held; -EBADMSG: below. */
FL_MUST_CHECK int fl__shm_attempt(const struct fl__shm_op *op);

/*
 * Attempts until the result is not -EAGAIN, and returns that result; or -ETIMEDOUT; -ECANCELED;
 * -EBADMSG: the word of a lock has a value that no lock can have there.
 */
FL_MUST_CHECK int fl__shm_await(const struct fl__shm_op *op, int64_t deadline, fl_cancel_token *cancel);

/* The arm() and disarm() of fl_wait_any. Arm attempts under the monitor: false unless -EAGAIN. */
FL_MUST_CHECK bool fl__shm_line_arm(const struct fl__shm_op *op, struct fl__node *node);
void fl__shm_line_disarm(struct fl__node *node);

#endif
