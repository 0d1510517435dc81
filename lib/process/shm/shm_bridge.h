/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "core/wait/lot.h"
#include "shm_lock.h"
#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * A bridge is a thread of the library that sleeps on words in shared memory, for waiters that
 * cannot do so themselves: fibers, and waiters that also wait for something else (a cancel token,
 * or several objects at once). If no thread can be started, or the library ends, each waiter polls
 * every millisecond.
 */

/*
 * Waits while *word == expected. A thread that changes the word must then wake all its waiters.
 * Returns
 *   0           the word may have changed: the caller checks it, and calls again
 *   -ETIMEDOUT  the deadline has passed
 *   -ECANCELED  the token, or the context's cancel scope, was cancelled
 */
FL_MUST_CHECK int fl__bridge_wait(const uint32_t *word, uint32_t expected, fl_time deadline, fl_cancel_token *cancel);

/*
 * Like fl__shm_acquire(), but for a context that waits through a bridge. May also return
 * -ECANCELED. Checks neither whether the owner exists nor whether another process wrote this
 * thread's TID into the lock.
 */
FL_MUST_CHECK int fl__bridge_acquire(struct fl__shm_lock *l, uint64_t owner, fl_time deadline, fl_cancel_token *cancel);

/*
 * The arm() and disarm() of a wait-any, for the `node` of an fl_on. fl__bridge_arm() returns false
 * if the word has another value or, after a sleep of a millisecond, if no bridge can be started.
 */
FL_MUST_CHECK bool fl__bridge_arm(const uint32_t *word, uint32_t expected, struct fl__node *node);
void fl__bridge_disarm(void *object, struct fl__node *node);
