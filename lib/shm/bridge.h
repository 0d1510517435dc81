/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_SHM_BRIDGE_H
#define FL_SHM_BRIDGE_H

#include "../wait/lot.h"
#include "lock.h"
#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * The bridge between words in shared memory and the lot: threads of the library that sleep on such words for those who cannot
 * (fibers), or who wait for something else, too (a cancel token, several things at once). bridge.c has the protocol.
 *
 * The first wait that needs one starts it. It blocks all signals, sleeps in the kernel while
 * nothing changes, and ends when nobody has needed it for ten seconds, or when the library is
 * unloaded. A forked child has none, and starts its own. Where no thread can be started, a waiter
 * looks every millisecond.
 */

/*
 * Waits while *word == expected: 0 (also without reason: look at the word, and call it again), -ETIMEDOUT, -ECANCELED.
 * Whoever changes the word does so before the wake, and wakes all who sleep.
 */
FL_MUST_CHECK int fl__bridge_wait(const uint32_t *word, uint32_t expected, int64_t deadline, fl_cancel *cancel);

/*
 * As fl__shm_take(), for the calling thread: 0, -EOWNERDEAD, -ETIMEDOUT, -EDEADLK; also -ECANCELED. Whoever frees the lock may
 * wake one alone: that wake is not lost when this process is killed, or when the wait ends otherwise. Hence the taking is a
 * part of it.
 */
FL_MUST_CHECK int fl__bridge_take(struct fl__shm_lock *l, int64_t deadline, fl_cancel *cancel);

/*
 * For arm() and disarm() of fl_wait_any: `node` is that of an fl_on. arm: false when the word has another value already, and
 * when nobody can wait for it; then it has slept for a millisecond.
 */
FL_MUST_CHECK bool fl__bridge_arm(const uint32_t *word, uint32_t expected, struct fl__node *node);
void fl__bridge_disarm(struct fl__node *node);

#endif
