/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_QUEUE_MPMC_H
#define FL_QUEUE_MPMC_H

#include <fairlead/mpmc_ring.h>

/*
 * The bounded ring for many producers and many consumers, without a lock: what fl_mpmc is made of, and what a queue that
 * blocks is built on. mpmc.c begins with the tables of its words, its invariants, and why all this is right; putting and getting are
 * inline, in fairlead/mpmc_ring.h.
 */

/*
 * Makes a ring, whose positions begin in lap `lap`: 0, but for tests. Returns 0, -EINVAL (a size or a capacity of 0),
 * -EOVERFLOW, -ENOMEM. What is left in a ring when it ends is gone.
 */
int fl__mpmc_init(struct fl__mpmc *q, size_t item_size, size_t capacity, uint64_t lap);
void fl__mpmc_fini(struct fl__mpmc *q);

/* No put is accepted from now on. Returns false when it was closed before. */
bool fl__mpmc_close(struct fl__mpmc *q);
bool fl__mpmc_is_closed(struct fl__mpmc *q);

/* How many items were in at one moment of the call, those that are on their way in included; a round more for each get meanwhile. */
size_t fl__mpmc_length(struct fl__mpmc *q);

/* How many items were put so far, those that are on their way in included. */
uint64_t fl__mpmc_puts(struct fl__mpmc *q);

/* What a put, or a get, would have returned just now. */
int fl__mpmc_can_put(struct fl__mpmc *q);
int fl__mpmc_can_get(struct fl__mpmc *q);

/*
 * For who may wait, and has found it empty (full) or not looked yet. Who is faster comes to where the others are, and then both want the
 * same lines for each item: where items are large, several times as long. So it lets them go ahead by some lines, if there
 * were several items since that was last done: who waits for an answer to each is not kept.
 */
void fl__mpmc_back_off(struct fl__mpmc *q, bool gets);

/*
 * For who wants to sleep. Marks the tail (the head) with WAIT if the ring is empty and open (full and open), with nobody
 * between a claim and its publication; returns whether it is marked, and was so at that moment. Whoever claims next takes
 * the mark off, owes a wake, and sees what was done before this call. One mark stands for all who sleep; who leaves may leave
 * it there. The load that finds the ring closed is relaxed, so what closes takes the same lock as who sleeps, before or
 * after this.
 */
bool fl__mpmc_mark_empty(struct fl__mpmc *q);
bool fl__mpmc_mark_full(struct fl__mpmc *q);

#endif
