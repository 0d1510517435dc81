/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_QUEUE_SPSC_H
#define FL_QUEUE_SPSC_H

#include <fairlead/error.h>
#include <fairlead/private/spsc_slots.h>

/* The slots of the rings for one producer and one consumer (spsc.c and queue_spsc.c). */

/* Makes `count` free slots. `count` and `item_size` are not 0. Returns 0, -EOVERFLOW or -ENOMEM. */
int fl__slots_init(struct fl__slots *slots, size_t item_size, size_t count);
void fl__slots_fini(struct fl__slots *slots);

unsigned char *fl__slots_at(const struct fl__slots *slots, size_t index);

/* Returns how many of the `n` slots from `slot` on are full (free), up to the first that is not. */
size_t fl__slots_run(const struct fl__slots *slots, unsigned char *slot, size_t n, bool full);

/*
 * Copies `n` items from `from` to the slots that begin with `slot` or, if `from` is NULL, from
 * these slots to `to`. Returns the slot after them.
 */
unsigned char *fl__slots_copy(const struct fl__slots *slots, unsigned char *slot, const void *from, void *to, size_t n);

/*
 * Sets the marks of the slots between `first` and `next`, from the last to the first. The caller
 * marks `first` afterwards, so a call that finds the mark of `first` finds all marks.
 */
void fl__slots_mark_others(const struct fl__slots *slots, unsigned char *first, unsigned char *next, bool full);

#endif
