/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_QUEUE_MPMC_H
#define FL_QUEUE_MPMC_H

#include <fairlead/error.h>
#include <fairlead/mpmc.h>
#include <fairlead/private/mpmc_ring.h>

/* The bounded lock-free MPMC ring; see fairlead/private/mpmc_ring.h. */

/*
 * `lap`: of the first positions, 0, except in tests. 0, -EINVAL (item size or capacity 0),
 * -EOVERFLOW, -ENOMEM. fl__mpmc_fini() ignores the items that are left.
 */
int fl__mpmc_init(struct fl_mpmc *q, size_t item_size, size_t capacity, uint64_t lap);
void fl__mpmc_fini(struct fl_mpmc *q);

/* How many items were put, puts in progress included. */
uint64_t fl__mpmc_puts(struct fl_mpmc *q);

/* What a put, or a get, would have returned at one moment of the call. */
int fl__mpmc_can_put(struct fl_mpmc *q);
int fl__mpmc_can_get(struct fl_mpmc *q);

/*
 * Called by a context that is about to sleep. Sets WAIT in the tail (the head): true, if at that
 * moment the ring is empty (full) and open, with no claimed put (get) in progress. The next claim
 * clears WAIT, owes a wake, and sees what was done before this call. A waiter that gives up may
 * leave WAIT set. The load that finds the ring closed is relaxed, so the closer must lock the
 * waiters' wait queue, before or after.
 */
bool fl__mpmc_mark_empty(struct fl_mpmc *q);
bool fl__mpmc_mark_full(struct fl_mpmc *q);

#endif
