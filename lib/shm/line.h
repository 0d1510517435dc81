/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_SHM_LINE_H
#define FL_SHM_LINE_H

#include "../wait/lot.h"
#include "bridge.h"
#include "lock.h"
#include <fairlead/cancel.h>
#include <fairlead/wait_any.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * A line of those who wait for a change of what a monitor guards. line.c has the protocol. All-zero is empty.
 *
 *     rc = fl__shm_enter(&x->lock, &held, deadline);      // who changes something
 *     fl__shm_announce(&x->line);
 *     fl__store_relaxed(&x->word, changed);               // the one store that commits
 *     fl__shm_announced(&x->line, more);
 *     fl__shm_leave(&x->lock, &held);
 */
struct fl__shm_line {
	struct fl__shm_lock head; /* of the one who sleeps on `changes` */
	uint32_t changes;         /* counts the announcements */
	uint32_t waiting;         /* 1: somebody may sleep on it. Guarded by the monitor */
};

/* Wakes who waits; before the store that they wait for. Under the monitor. */
void fl__shm_announce(struct fl__shm_line *line);
/* After it. `more`: how many may go on beside the one who is at the head of the line, which may be stopped. */
void fl__shm_announced(struct fl__shm_line *line, uint32_t more);

/* An operation that may have to wait. */
struct fl__shm_op {
	struct fl__shm_lock *lock;
	struct fl__shm_line *line;
	int (*attempt)(void *arg);     /* under the monitor: does it, and returns 0 or an error; -EAGAIN: not yet */
	bool (*look)(const void *arg); /* without it: whether an attempt may be worth it; a guess */
	void *arg;
	bool together; /* a change concerns all who wait: they do not stand in line for it */
};

/* Attempts once: what the attempt returned; -ETIMEDOUT, -EBADMSG: the monitor, as fl__shm_await(). */
FL_MUST_CHECK int fl__shm_attempt(const struct fl__shm_op *op);

/*
 * Attempts until the result is not -EAGAIN, and returns that; or -ETIMEDOUT, -ECANCELED. -EBADMSG: the lock's word is what no
 * lock can have there.
 */
FL_MUST_CHECK int fl__shm_await(const struct fl__shm_op *op, int64_t deadline, fl_cancel *cancel);

/* For arm() and disarm() of fl_wait_any: `ready` is looked at under the monitor. */
FL_MUST_CHECK bool fl__shm_line_arm(const struct fl__shm_op *op, struct fl__node *node);
void fl__shm_line_disarm(struct fl__node *node);

#endif
