/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_QUEUE_MPMC_H
#define FL_QUEUE_MPMC_H

#include <fairlead/error.h>
#include <fairlead/mpmc.h>
#include <fairlead/private/mpmc_ring.h>

/* The bounded lock-free MPMC ring; see fairlead/private/mpmc_ring.h. */

/*
 * Called by a consumer that has caught up with the producers, so that the slot of its next position
 * `at` has no item, and by a producer that has caught up with the consumers, so that this slot has
 * no space. Each look at that slot, or at the word of the other side, takes a cache line from the
 * other side, whose next call then takes two to three times as long. So if several items have passed
 * since the last call, this call pauses, and the other side gets some lines ahead. It returns true
 * then: the caller looks again. Items that come one by one cause no pause. `*caught_up` is the
 * position at the last call, a hint.
 */
bool fl__mpmc_fall_behind(uint64_t *caught_up, uint64_t at);

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
