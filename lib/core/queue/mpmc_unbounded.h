/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_QUEUE_MPMC_UNBOUNDED_H
#define FL_QUEUE_MPMC_UNBOUNDED_H

#include "../base/atomic.h"
#include "hazard.h"
#include "mpmc.h"
#include <fairlead/error.h>

/*
 * The unbounded lock-free FIFO: FAAArrayQueue (Correia and Ramalhete, 2016) with items by value, a
 * close, and a mark for waiters. mpmc_unbounded.c has tables, invariants and memory order.
 */
enum { FL__UNBOUNDED_WAIT = 1, FL__UNBOUNDED_CLOSED = 2, FL__UNBOUNDED_TICKET = 4 }; /* of a segment's tail */
enum { FL__SLOT_EMPTY, FL__SLOT_FULL, FL__SLOT_POISONED };

struct fl__segment {
	_Alignas(64) uint64_t tail; /* producers' tickets * FL__UNBOUNDED_TICKET, and bits */
	/* Consumers' tickets: at most the producers' tickets, and the slots. */
	_Alignas(64) uint64_t head;
	_Alignas(64) uintptr_t next;
	uint64_t first; /* tickets of earlier segments */
	uint64_t end;   /* if the tail is CLOSED: the tickets that count */
	struct fl__segment *next_retired;
	void *memory;
	/* Contexts that use items beyond their hazard pointers: unbounded_claim_pinned(). */
	uint32_t pins;
	bool is_protected; /* by a hazard pointer: unbounded_retire() */
	_Alignas(64) unsigned char slots[];
};

struct fl__unbounded {
	struct fl__segment *tail, *head;    /* written once for each segment */
	uint64_t slots;                     /* of a segment; this and the next never change */
	size_t item_size, state_at, stride; /* a slot: its item, its state, to the next */
	bool one_consumer;                  /* fl__unbounded_get_mpsc() */
	_Alignas(64) struct fl__segment *retired;
	struct fl__segment *spare;
	uint64_t poisoned;  /* producers' tickets that came to nothing */
	uint64_t caught_up; /* the ticket at which a consumer last had no item; a hint */
	/* Called by a consumer that has added to `poisoned`; may be NULL. */
	void (*on_poison)(void *of);
	void *of;
};

/* The first address aligned to a cache line. `memory` has FL__LINE - 1 bytes to spare. */
static inline void *fl__align_to_line(void *memory)
{
	return (char *)memory + (-(uintptr_t)memory & (FL__LINE - 1));
}

/* `c` is zeroed, aligned to 64 bytes. 0 slots in a segment: a default. 0, -ENOMEM, -EOVERFLOW. */
int fl__unbounded_init(struct fl__unbounded *c, size_t item_size, size_t slots);

/* Ignores the items that are left. The queue is no longer used. */
void fl__unbounded_end(struct fl__unbounded *c);

/* Later puts fail. All accepted items come out before a get returns -EPIPE. May be called again. */
void fl__unbounded_close(struct fl__unbounded *c);
bool fl__unbounded_is_closed(struct fl__unbounded *c);

/* About how many items there are, with puts in progress. Exact if `c` is closed and has no such puts. */
size_t fl__unbounded_length(struct fl__unbounded *c);

/* How many items were put in all, with puts in progress and without failed puts. */
uint64_t fl__unbounded_puts(struct fl__unbounded *c);

/*
 * Called by a consumer that is about to sleep:
 *
 *   0         the queue was empty, and is marked: the next put clears the mark, and owes a wake
 *   -EAGAIN   not empty
 *   -EPIPE    closed and drained
 */
int fl__unbounded_mark_empty(struct fl__unbounded *c);

/* Returns how many; 0: `*rc` is -EAGAIN (empty) or -EPIPE (closed and drained). */
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

/* How many producers' tickets of `s` count. `word`: a tail of `s`. */
static inline uint64_t fl__unbounded_counted(const struct fl__unbounded *c, const struct fl__segment *s, uint64_t word)
{
	if (fl__unlikely(word & FL__UNBOUNDED_CLOSED))
		return fl__unbounded_closed_tickets(s);
	return word / FL__UNBOUNDED_TICKET < c->slots ? word / FL__UNBOUNDED_TICKET : c->slots;
}

/* As fl__unbounded_segment(); NULL: not protected yet. */
static inline struct fl__segment *fl__unbounded_protected(struct fl__segment *const *at, enum fl__hazard place)
{
	/* the segment as it was made; pairs with unbounded_advance() */
	struct fl__segment *s = fl__load_acquire(at);
	return fl__likely(fl__hazards_mine->pointers[place] == s) ? s : NULL;
}

/* Returns the segment in `*at`, protected; NULL: out of memory. */
static inline struct fl__segment *fl__unbounded_segment(struct fl__segment *const *at, enum fl__hazard place)
{
	struct fl__segment *s = fl__unbounded_protected(at, place);
	return fl__likely(s != NULL) ? s : fl__unbounded_protect(at, place);
}

/* False: a consumer has poisoned the slot of the caller's ticket. */
static inline bool fl__unbounded_fill(const struct fl__unbounded *c, struct fl__segment *s, uint64_t index,
                                      const void *item)
{
	unsigned char *slot = fl__unbounded_slot(c, s, index);
	uint32_t empty = FL__SLOT_EMPTY;
	fl__copy(slot, item, c->item_size);
	/*
	 * the item, and what was written before the put; pairs with unbounded_item(),
	 * fl__unbounded_await_slot(), fl__unbounded_get_ready() and fl__unbounded_get_mpsc()
	 */
	return fl__cas_release(fl__unbounded_state(c, slot), &empty, FL__SLOT_FULL);
}

/*
 * 0, -ENOMEM, -EPIPE. Sets `*owes_wake` if the put, also a failed one, has cleared the mark. The
 * put's last access fills the item's slot, or appends its segment: then the item's consumer may
 * free the queue.
 */
static inline int fl__unbounded_put(struct fl__unbounded *c, const void *item, bool *owes_wake)
{
	struct fl__segment *s = fl__unbounded_protected(&c->tail, FL__HAZARD_TAIL);
	uint64_t word = 0;
	if (fl__likely(s != NULL)) {
		/* it only draws a ticket; the parking lot orders the waiters */
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
 * Gets the next item, if its put is over and no other consumer takes it meanwhile. Returns false
 * otherwise, and if the queue is empty or closed: then the caller calls fl__unbounded_get_many().
 */
static inline bool fl__unbounded_get_ready(struct fl__unbounded *c, void *item)
{
	struct fl__segment *s = fl__unbounded_protected(&c->head, FL__HAZARD_HEAD);
	if (fl__unlikely(!s))
		return false;
	/* the CAS checks it, and passes on what earlier gets have released */
	uint64_t head = fl__load_relaxed(&s->head);
	unsigned char *slot = fl__unbounded_slot(c, s, head);
	/*
	 * acquire: pairs with fl__unbounded_fill(). release: what happened before this get; pairs with
	 * unbounded_draw_tickets()
	 */
	if (fl__unlikely(head >= c->slots || fl__load_acquire(fl__unbounded_state(c, slot)) != FL__SLOT_FULL ||
	                 !fl__cas_release(&s->head, &head, head + 1)))
		return false;
	fl__copy(item, slot, c->item_size);
	return true;
}

/* For the only consumer. No other context moves the head: plain stores draw its tickets. */
static inline int fl__unbounded_get_mpsc(struct fl__unbounded *c, void *item)
{
	/* only the consumer writes it */
	struct fl__segment *s = fl__load_relaxed(&c->head);
	const uint64_t index = fl__load_relaxed(&s->head); /* likewise */
	unsigned char *slot = fl__unbounded_slot(c, s, index);
	/* pairs with fl__unbounded_fill() */
	if (fl__unlikely(index >= c->slots || fl__load_acquire(fl__unbounded_state(c, slot)) != FL__SLOT_FULL))
		return fl__unbounded_get_mpsc_slow(c, item);
	fl__copy(item, slot, c->item_size);
	/* other threads read it only for a length */
	fl__store_relaxed(&s->head, index + 1);
	return 0;
}

#endif
