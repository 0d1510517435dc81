/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_QUEUE_MPMC_H
#define FL_QUEUE_MPMC_H

#include <fairlead/error.h>
#include <fairlead/mpmc.h>
#include <fairlead/private/mpmc_ring.h>

/*
 * The bounded lock-free ring for many producers and many consumers. Its put and get are inline, in
 * fairlead/private/mpmc_ring.h. The head of mpmc.c lists the invariants.
 */
/*
 * Called by a consumer that has caught up with the producers, so that the slot of its next position
 * `at` holds no item, or by a producer that has caught up with the consumers, so that the slot of
 * `at` still holds its last item. Each look at that slot, or at the word of the other side, takes a
 * cache line from the other side, whose next call then takes two to three times as long.
 *
 * If several items have passed since the last call, this function pauses, so that the other side
 * gets some lines ahead, and returns true. Then the caller looks again. If items come one by one,
 * the function returns false without a pause. `*caught_up` is the position at the last call, which
 * is only a hint.
 */
bool fl__mpmc_fall_behind(uint64_t *caught_up, uint64_t at);

/*
 * Makes an empty ring, whose first positions are in lap `lap` (not 0 only in tests). Returns 0,
 * -EINVAL if the item size or the capacity is 0, -EOVERFLOW, or -ENOMEM. fl__mpmc_fini() ignores
 * the items that are left.
 */
int fl__mpmc_init(struct fl_mpmc *q, size_t item_size, size_t capacity, uint64_t lap);
void fl__mpmc_fini(struct fl_mpmc *q);

/* Returns how many items were put. A put in progress counts. */
uint64_t fl__mpmc_puts(struct fl_mpmc *q);

/* Return what a put, or a get, would have returned at one moment of the call. */
int fl__mpmc_can_put(struct fl_mpmc *q);
int fl__mpmc_can_get(struct fl_mpmc *q);

/*
 * Called by a context that is about to sleep. If at that moment the ring is empty (full) and open,
 * and no claimed put (get) is in progress, sets WAIT in the tail (the head) and returns true.
 * Otherwise returns false. The next claim clears WAIT, owes a wake, and sees what was done before
 * this call. A waiter that gives up may leave WAIT set. Because the load that finds the ring closed
 * is relaxed, a thread that closes the ring must also lock the waiters' wait queue, before or after
 * the close.
 */
bool fl__mpmc_mark_empty(struct fl_mpmc *q);
bool fl__mpmc_mark_full(struct fl_mpmc *q);

#endif
