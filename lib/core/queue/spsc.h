/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_QUEUE_SPSC_H
#define FL_QUEUE_SPSC_H

#include <fairlead/error.h>
#include <fairlead/private/spsc_slots.h>

/* The slots of the two rings for one producer and one consumer: spsc.c and queue_spsc.c. */

/*
 * Makes `count` (not 0) slots for items of `item_size` (not 0) bytes. `allocator` may be NULL.
 * Returns 0, -EOVERFLOW, -ENOMEM.
 */
int fl__slots_init(struct fl__slots *slots, const fl_allocator *allocator, size_t item_size, size_t count);
void fl__slots_fini(struct fl__slots *slots, const fl_allocator *allocator);

/* Returns the slot of an index, from 0 on. */
unsigned char *fl__slots_at(const struct fl__slots *slots, size_t index);

/* Returns how many slots from `slot` on, at most `n`, are full (or free). */
size_t fl__slots_run(const struct fl__slots *slots, unsigned char *slot, size_t n, bool full);

/* Copy `n` items into, or out of, the slots from `slot` on. Return the slot after them. */
unsigned char *fl__slots_copy_in(const struct fl__slots *slots, unsigned char *slot, const void *items, size_t n);
unsigned char *fl__slots_copy_out(const struct fl__slots *slots, unsigned char *slot, void *items, size_t n);

/*
 * Marks the slots between `first` and `next` as full or free, the last one first. The caller then
 * marks `first`: until then no call looks beyond it.
 */
void fl__slots_mark_others(const struct fl__slots *slots, unsigned char *first, unsigned char *next, bool full);

#endif
