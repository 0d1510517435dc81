/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "core/wait/context.h"
#include "shm_lock.h"
#include <fairlead/cancel.h>

/*
 * Locks of contexts. A robust lock belongs to a thread, which may run many fibers. Therefore the
 * lock's record contains the ID of the owning context, which a caller compares before it waits.
 */

/*
 * Waits for a lock that was not free, and acquires it for `owner`. Returns
 *   0            the lock is acquired
 *   -EOWNERDEAD  the lock is acquired, and the previous owner died
 *   -ETIMEDOUT   the deadline has passed
 *   -ECANCELED   the token, or the context's cancel scope, was cancelled
 *   -EDEADLK     `ctx` is not a fiber, and the calling thread owns the lock or another process
 *                wrote this thread's TID there
 *   -ENOMEM      there is no memory for the lock's record, or the thread holds too many locks
 */
FL_MUST_CHECK int fl__shm_context_acquire(struct fl__shm_lock *l, uint64_t owner, struct fl__ctx *ctx, fl_time deadline,
                                          fl_cancel_token *cancel);

/*
 * Releases a lock that fl__shm_context_acquire() acquired, and wakes one waiter, or all waiters
 * if `all` is true.
 */
void fl__shm_context_release(struct fl__shm_lock *l, struct fl__shm_hold *hold, bool all);

/*
 * For the destroy function `function` of an object in shared memory. While debugging is on, warns
 * if the object is busy. Does not panic, because a killed process may still count as a waiter, and
 * another process may have overwritten the object.
 */
void fl__shm_check_unused(const char *function, const void *object, bool busy);
