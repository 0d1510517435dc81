/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_QUEUE_MPMC_UNBOUNDED_H
#define FL_QUEUE_MPMC_UNBOUNDED_H

#include "../base/atomic.h"
#include "hazard.h"
#include "mpmc.h"
#include <fairlead/error.h>

/*
 * The unbounded lock-free FIFO: the FAAArrayQueue of Correia and Ramalhete (2016), extended by
 * items by value, a close, and a mark for waiters. The head of mpmc_unbounded.c has the tables and
 * the invariants.
 */

/* The bits of a segment's tail, and the step from one ticket to the next. */
enum { FL__UNBOUNDED_WAIT = 1, FL__UNBOUNDED_CLOSED = 2, FL__UNBOUNDED_TICKET = 4 };
enum { FL__SLOT_EMPTY, FL__SLOT_FULL, FL__SLOT_POISONED };

struct fl__segment {
	_Alignas(64) uint64_t tail; /* producers' tickets * FL__UNBOUNDED_TICKET, and bits */
	/*
	 * The number of consumers' tickets, which exceeds neither that of producers' tickets nor
	 * that of slots.
	 */
	_Alignas(64) uint64_t head;
	_Alignas(64) uintptr_t next;
	uint64_t first;          /* the number of tickets of earlier segments */
	FL__WORD64 uint64_t end; /* if the tail is CLOSED, the number of producers' tickets that count */
	struct fl__segment *next_retired;
	struct fl__segment *below[2]; /* links of a tree of retired segments: unbounded_find() */
	void *memory;                 /* the allocated block */
	/* The number of contexts that have pinned the segment: unbounded_claim_pinned(). */
	uint32_t pins;
	bool is_protected; /* unbounded_reclaim() has found a hazard pointer to it */
	_Alignas(64) unsigned char slots[];
};

struct fl__unbounded {
	struct fl__segment *tail, *head; /* written once for each segment */
	/* The next fields, up to `one_consumer`, never change. */
	uint64_t slots; /* the number of slots of a segment */
	/*
	 * The layout of a slot, in bytes: the size of the item, which is at offset 0; the offset of
	 * the state; the distance to the next slot.
	 */
	size_t item_size, state_at, stride;
	bool one_consumer; /* the consumer uses fl__unbounded_get_mpsc() */
	_Alignas(64) struct fl__segment *retired;
	struct fl__segment *spare;
	ptrdiff_t owed;                /* for the last pass through the retired segments: unbounded_retire() */
	FL__WORD64 uint64_t poisoned;  /* how many producers' tickets stand for slots that were poisoned */
	FL__WORD64 uint64_t caught_up; /* the ticket at which a consumer last had no item; a hint */
	/* Called by a consumer that has added to `poisoned`, unless it is NULL. */
	void (*on_poison)(void *of);
	void *of;
};

/*
 * Returns the first address in `memory` that is aligned to a cache line. `memory` has FL__LINE - 1
 * bytes to spare.
 */
static inline void *fl__align_to_line(void *memory)
{
	return (char *)memory + (-(uintptr_t)memory & (FL__LINE - 1));
}

/*
 * Makes an empty queue in `c`, which is zeroed and aligned to 64 bytes. `slots` is the number of
 * slots in a segment, or 0 for the default. Returns 0, -ENOMEM or -EOVERFLOW.
 */
int fl__unbounded_init(struct fl__unbounded *c, size_t item_size, size_t slots);

/* Frees the memory of the queue, which is no longer used. Ignores the items that are left. */
void fl__unbounded_end(struct fl__unbounded *c);

/*
 * Closes the queue, so that later puts fail. A get returns -EPIPE when no accepted item is left.
 * May be called again.
 */
void fl__unbounded_close(struct fl__unbounded *c);
bool fl__unbounded_is_closed(struct fl__unbounded *c);

/*
 * Returns the approximate number of items, including puts in progress. The result is exact if the
 * queue is closed and no put is in progress.
 */
size_t fl__unbounded_length(struct fl__unbounded *c);

/* Returns how many items were put in all, including puts in progress but not puts that failed. */
uint64_t fl__unbounded_puts(struct fl__unbounded *c);

/*
 * Called by a consumer that is about to sleep. Returns
 *
 *   0         if the queue was empty and is now marked: the next put clears the mark, and owes a
 *             wake
 *   -EAGAIN   if the queue is not empty
 *   -EPIPE    if the queue is closed and drained
 */
int fl__unbounded_mark_empty(struct fl__unbounded *c);

/*
 * Gets up to `n` items, and returns how many. If it returns 0, `*rc` is -EAGAIN (empty) or -EPIPE
 * (closed and drained).
 */
size_t fl__unbounded_get_many(struct fl__unbounded *c, void *items, size_t n, int *rc);

/* The slow paths of the functions below. */
struct fl__segment *fl__unbounded_protect(struct fl__segment *const *at, enum fl__hazard place);
int fl__unbounded_put_slow(struct fl__unbounded *c, const void *item, struct fl__segment *s, uint64_t word,
                           bool *owes_wake);
int fl__unbounded_get_mpsc_slow(struct fl__unbounded *c, void *item);
int fl__unbounded_advance_head(struct fl__unbounded *c, struct fl__segment *s);
uint64_t fl__unbounded_closed_tickets(const struct fl__segment *s);
bool fl__unbounded_await_slot(struct fl__unbounded *c, struct fl__segment *s, uint64_t index);
size_t fl__unbounded_put_many(struct fl__unbounded *c, const void *items, size_t n, int *rc, bool *owes_wake);

static inline unsigned char *fl__unbounded_slot(const struct fl__unbounded *c, struct fl__segment *s, uint64_t index)
{
	return s->slots + (size_t)index * c->stride;
}

static inline uint32_t *fl__unbounded_state(const struct fl__unbounded *c, unsigned char *slot)
{
	return (uint32_t *)(void *)(slot + c->state_at);
}

static inline uint32_t *fl__unbounded_state_at(const struct fl__unbounded *c, struct fl__segment *s, uint64_t index)
{
	return fl__unbounded_state(c, fl__unbounded_slot(c, s, index));
}

/* Returns how many producers' tickets of `s` count, if `word` is a tail of `s`. */
static inline uint64_t fl__unbounded_counted(const struct fl__unbounded *c, const struct fl__segment *s, uint64_t word)
{
	if (fl__unlikely(word & FL__UNBOUNDED_CLOSED))
		return fl__unbounded_closed_tickets(s);
	return word / FL__UNBOUNDED_TICKET < c->slots ? word / FL__UNBOUNDED_TICKET : c->slots;
}

/*
 * Returns the segment in `*at` if the thread's hazard pointer `place` protects it, otherwise NULL.
 */
static inline struct fl__segment *fl__unbounded_protected(struct fl__segment *const *at, enum fl__hazard place)
{
	/*
	 * acquire: pairs with the releases in unbounded_advance() and fl__unbounded_advance_head(),
	 * for the segment as it was appended
	 */
	struct fl__segment *s = fl__load_acquire(at);
	return fl__likely(fl__hazards_mine->pointers[place] == s) ? s : NULL;
}

/*
 * Protects the segment in `*at` by the hazard pointer `place`, and returns it, or NULL if there is
 * no memory.
 */
static inline struct fl__segment *fl__unbounded_segment(struct fl__segment *const *at, enum fl__hazard place)
{
	struct fl__segment *s = fl__unbounded_protected(at, place);
	return fl__likely(s != NULL) ? s : fl__unbounded_protect(at, place);
}

/* Fills the slot of the caller's ticket. Returns false if a consumer has poisoned that slot. */
static inline bool fl__unbounded_fill(const struct fl__unbounded *c, struct fl__segment *s, uint64_t index,
                                      const void *item)
{
	unsigned char *slot = fl__unbounded_slot(c, s, index);
	uint32_t empty = FL__SLOT_EMPTY;
	fl__copy(slot, item, c->item_size);
	/*
	 * release: pairs with the acquire in unbounded_item(), fl__unbounded_await_slot(),
	 * fl__unbounded_get_ready(), fl__unbounded_get_mpsc() and its slow path, for the item and
	 * what was written before the put
	 */
	return fl__cas_release(fl__unbounded_state(c, slot), &empty, FL__SLOT_FULL);
}

/*
 * Puts an item. Returns 0, -ENOMEM or -EPIPE. If the put has cleared the mark, sets `*owes_wake`,
 * whatever its result. The last access of a put is the one that fills the item's slot or appends a
 * segment with the item, because then the item's consumer may free the queue.
 */
static inline int fl__unbounded_put(struct fl__unbounded *c, const void *item, bool *owes_wake)
{
	struct fl__segment *s = fl__unbounded_protected(&c->tail, FL__HAZARD_TAIL);
	uint64_t word = 0;
	if (fl__likely(s != NULL)) {
		/* relaxed: it only draws a ticket, and the parking lot orders the waiters */
		word = fl__add_relaxed(&s->tail, FL__UNBOUNDED_TICKET);
		if (fl__likely(word % FL__UNBOUNDED_TICKET == 0 && word / FL__UNBOUNDED_TICKET < c->slots)) {
			if (fl__likely(fl__unbounded_fill(c, s, word / FL__UNBOUNDED_TICKET, item)))
				return 0;
			s = NULL;
		}
	}
	return fl__unbounded_put_slow(c, item, s, word, owes_wake);
}

/*
 * Gets the next item, if its put has ended and no other consumer takes the item in the meantime.
 * Otherwise (for example, if the queue is empty) returns false, and the caller calls
 * fl__unbounded_get_many().
 */
static inline bool fl__unbounded_get_ready(struct fl__unbounded *c, void *item)
{
	struct fl__segment *s = fl__unbounded_protected(&c->head, FL__HAZARD_HEAD);
	if (fl__unlikely(!s))
		return false;
	/*
	 * relaxed: a stale value only makes the CAS fail. The CAS continues the release sequence of
	 * earlier gets.
	 */
	uint64_t head = fl__load_relaxed(&s->head);
	unsigned char *slot = fl__unbounded_slot(c, s, head);
	/*
	 * acquire load: pairs with the release in fl__unbounded_fill(). release CAS: pairs with the
	 * acquire in unbounded_draw_tickets(), for what happened before this get
	 */
	if (fl__unlikely(head >= c->slots || fl__load_acquire(fl__unbounded_state(c, slot)) != FL__SLOT_FULL ||
	                 !fl__cas_release(&s->head, &head, head + 1)))
		return false;
	fl__copy(item, slot, c->item_size);
	return true;
}

/*
 * Gets an item for the queue's only consumer. No other context moves the head, so this consumer
 * draws its tickets by plain stores. Returns 0, -EAGAIN or -EPIPE.
 */
static inline int fl__unbounded_get_mpsc(struct fl__unbounded *c, void *item)
{
	/* relaxed, both: only the consumer writes the heads */
	struct fl__segment *s = fl__load_relaxed(&c->head);
	const uint64_t index = fl__load_relaxed(&s->head);
	unsigned char *slot = fl__unbounded_slot(c, s, index);
	/* acquire: pairs with the release in fl__unbounded_fill() */
	if (fl__unlikely(index >= c->slots || fl__load_acquire(fl__unbounded_state(c, slot)) != FL__SLOT_FULL))
		return fl__unbounded_get_mpsc_slow(c, item);
	fl__copy(item, slot, c->item_size);
	/* relaxed: other threads read it only for a length */
	fl__store_relaxed(&s->head, index + 1);
	return 0;
}

#endif
