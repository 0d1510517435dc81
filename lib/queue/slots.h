/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_QUEUE_SLOTS_H
#define FL_QUEUE_SLOTS_H

#include <fairlead/slots.h>

/* Makes `count` (not 0) of them, for items of `item_size` (not 0) bytes: 0, -EOVERFLOW, -ENOMEM. */
int fl__slots_init(struct fl__slots *slots, size_t item_size, size_t count);
void fl__slots_fini(struct fl__slots *slots);

/* Which one it is, from 0 on; and that one. */
size_t fl__slots_number(const struct fl__slots *slots, const unsigned char *slot);
unsigned char *fl__slots_at(const struct fl__slots *slots, size_t number);

/* How many from `slot` on, at most `n`, are full, or are not. */
size_t fl__slots_run(const struct fl__slots *slots, unsigned char *slot, size_t n, bool full);

/* Copies `n` items to the slots from `slot` on, or from there. Returns the slot behind them. */
unsigned char *fl__slots_copy_in(const struct fl__slots *slots, unsigned char *slot, const void *items, size_t n);
unsigned char *fl__slots_copy_out(const struct fl__slots *slots, unsigned char *slot, void *items, size_t n);

/*
 * Marks those before `next`, but for `first`, from the last on, as full or not. Nobody looks behind a slot that is not yet what he looks
 * for, so none is seen before `first` is, which the caller marks after this.
 */
void fl__slots_mark_others(const struct fl__slots *slots, unsigned char *first, unsigned char *next, bool full);

#endif
