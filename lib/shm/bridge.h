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
 */

/* Waits while *word == expected: 0 (also without reason), -ETIMEDOUT, -ECANCELED. Whoever changes it wakes all who sleep. */
FL_MUST_CHECK int fl__bridge_wait(const uint32_t *word, uint32_t expected, int64_t deadline, fl_cancel *cancel);

/*
 * Waits until a lock may be free: 0 (also without reason), -ETIMEDOUT, -ECANCELED. The caller then tries to take it. Whoever
 * frees it may wake one alone, and that wake is not lost when this process is killed, or when the wait ends otherwise.
 */
FL_MUST_CHECK int fl__bridge_wait_lock(struct fl__shm_lock *l, int64_t deadline, fl_cancel *cancel);

/* For arm() and disarm() of fl_wait_any: `node` is that of an fl_on. arm: false when the word has another value already. */
FL_MUST_CHECK bool fl__bridge_arm(const uint32_t *word, uint32_t expected, struct fl__node *node);
void fl__bridge_disarm(struct fl__node *node);

#endif
