/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_SHM_HOLD_H
#define FL_SHM_HOLD_H

#include "../wait/context.h"
#include "lock.h"
#include <fairlead/cancel.h>

/*
 * Locks that users hold, for the calling context. A robust lock belongs to a thread, and a thread may run many contexts: so
 * whoever uses these keeps the id of the context that holds the lock beside it, and asks that before it waits.
 */

/* The lock at the beginning of a public struct. */
static inline struct fl__shm_lock *fl__shm_lock_at(const uint64_t *place)
{
	return (struct fl__shm_lock *)(void *)(uintptr_t)place;
}

/*
 * Waits for a lock that was not free, and takes it: 0, -EOWNERDEAD (taken, and the owner before it died), -ETIMEDOUT,
 * -ECANCELED; -EDEADLK (the calling thread has it). `cancel` as everywhere.
 */
FL_MUST_CHECK int fl__shm_hold(struct fl__shm_lock *l, struct fl__ctx *ctx, int64_t deadline, fl_cancel *cancel);

/* Gives it back, and wakes one, or all; whoever takes locks with fl__shm_hold() gives them with this. */
void fl__shm_unhold(struct fl__shm_lock *l, bool all);

/* Whether somebody owns it, or waits for it; a waiter that was killed may count until it has been taken and given again. */
bool fl__shm_is_busy(struct fl__shm_lock *l);

#endif
