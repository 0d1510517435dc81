/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_QUEUE_SPSC_H
#define FL_QUEUE_SPSC_H

#include <fairlead/error.h>
#include <fairlead/private/spsc_slots.h>

/* The slots of the rings for one producer and one consumer: spsc.c, queue_spsc.c. */

/* `count` and `item_size` are not 0. 0, -EOVERFLOW, -ENOMEM. */
int fl__slots_init(struct fl__slots *slots, size_t item_size, size_t count);
void fl__slots_fini(struct fl__slots *slots);

unsigned char *fl__slots_at(const struct fl__slots *slots, size_t index);

/* How many slots from `slot` on, at most `n`, are full (or free). */
size_t fl__slots_run(const struct fl__slots *slots, unsigned char *slot, size_t n, bool full);

/*
 * Copies `n` items: from `from` to the slots from `slot` on or, if `from` is NULL, from these slots
 * to `to`. Returns the slot after them.
 */
unsigned char *fl__slots_copy(const struct fl__slots *slots, unsigned char *slot, const void *from, void *to, size_t n);

/* Marks the slots between `first` and `next`, backwards. Calls stop at `first`, marked last. */
void fl__slots_mark_others(const struct fl__slots *slots, unsigned char *first, unsigned char *next, bool full);

#endif
