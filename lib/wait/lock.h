/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_WAIT_LOCK_H
#define FL_WAIT_LOCK_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The lock under the lot, for a handful of instructions that never wait and never call out: buckets, the tree of a cancel
 * token, lists of threads and tasks. Not for anything above: that is fl_mutex. All-zero is unlocked.
 */
void fl__lock(uint32_t *word);
bool fl__try_lock(uint32_t *word); /* once: for reports from a signal handler */

/*
 * Also from a signal handler, which may have interrupted the holder: true, holding it; false: the unlock to come returns true,
 * and whoever calls that sees what was written before this call when he has locked it again.
 */
bool fl__lock_or_defer(uint32_t *word);

/* Whether somebody has deferred something meanwhile. */
bool fl__unlock(uint32_t *word);

#endif
