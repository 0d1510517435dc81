/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_QUEUE_CHAIN_H
#define FL_QUEUE_CHAIN_H

#include "../base/atomic.h"
#include "hazard.h"
#include <errno.h>
#include <stdint.h>

/*
 * A chain of segments: an unbounded FIFO of items of one size, of any number of producers and of consumers, without locks. It
 * is FAAArrayQueue (Correia and Ramalhete, 2016) with items by value, closing, and a word to sleepers. chain.c has its
 * tables, invariants and order; the blocking queues add their waiting through fl__chain_mark_wait() and `owes_wake`.
 */
enum { FL__CHAIN_WAIT = 1, FL__CHAIN_CLOSED = 2, FL__CHAIN_TICKET = 4 }; /* of a segment's tail */
enum { FL__CELL_EMPTY, FL__CELL_FULL, FL__CELL_TAKEN };
enum { FL__LINE = 64 }; /* of a cache; what is aligned to it */

struct fl__segment {
	_Alignas(64) uint64_t tail; /* producers' tickets * FL__CHAIN_TICKET, and bits */
	_Alignas(64) uint64_t head; /* consumers' tickets; never beyond those of the producers, nor the cells */
	_Alignas(64) uintptr_t next;
	uint64_t first;           /* tickets of the segments before it */
	uint64_t end;             /* of a tail that is CLOSED: its tickets that count */
	struct fl__segment *link; /* in the list of the retired */
	void *memory;
	uint32_t pins; /* of those who are at its items for longer than they can keep it: fl__chain_claim() */
	bool kept;     /* to who frees: somebody keeps it */
	_Alignas(64) unsigned char cells[];
};

struct fl__chain {
	struct fl__segment *tail, *head;    /* written once a segment */
	uint64_t cells;                     /* of a segment; this and the next never change */
	size_t item_size, state_at, stride; /* a cell: its item, its state, room to the next */
	_Alignas(64) struct fl__segment *retired;
	struct fl__segment *spare;
	uint64_t poisoned;           /* tickets of producers that came to nothing */
	void (*on_poison)(void *of); /* the consumer that adds to it calls this afterwards; NULL: nothing */
	void *of;
	void (*drop)(void *item, void *drop_arg);
	void *drop_arg, *memory; /* of one that fl__chain_create() made */
};

/* In `memory`, which has FL__LINE - 1 bytes to spare. */
static inline void *fl__at_line(void *memory)
{
	return (char *)memory + (-(uintptr_t)memory & (FL__LINE - 1));
}

/* One by itself, for a queue that has nothing else. 0, -EINVAL (item size 0), -EOVERFLOW, -ENOMEM. */
int fl__chain_create(struct fl__chain **made, size_t item_size, size_t cells, void (*drop)(void *item, void *drop_arg),
                     void *drop_arg);
void fl__chain_free(struct fl__chain *c); /* NULL: nothing */

/* 0, -ENOMEM, -EOVERFLOW. Cells of a segment: 0: a default. `c` is aligned to 64 bytes. */
int fl__chain_init(struct fl__chain *c, size_t item_size, size_t cells);

/* Nobody uses it, nor will. Drops each item that is left. */
void fl__chain_end(struct fl__chain *c);

/* No put from now on. */
void fl__chain_close(struct fl__chain *c);
bool fl__chain_is_closed(struct fl__chain *c);

/*
 * Items put and not yet taken; and how many were put in all. Both count a put that is under way; the second counts it no more when it
 * comes to nothing, and is never less than what was put when it returns.
 */
uint64_t fl__chain_length(struct fl__chain *c);
uint64_t fl__chain_puts(struct fl__chain *c);

/* What a get would return; 0 also: there is a put under way. */
int fl__chain_can_get(struct fl__chain *c);

/*
 * For a consumer that is going to sleep: 0: the chain was empty, and is marked: the next put takes the mark off, and owes a wake;
 * -EAGAIN: it was not empty; -EPIPE: closed and drained.
 */
int fl__chain_mark_wait(struct fl__chain *c);

/* The slow paths of what follows. */
struct fl__segment *fl__chain_keep(struct fl__segment *const *at, enum fl__hazard place);
int fl__chain_extend(struct fl__chain *c, struct fl__segment *s, const void *items, size_t n, size_t *put,
                     bool *owes_wake);
bool fl__chain_take_mark(struct fl__segment *s);
int fl__chain_leave(struct fl__chain *c, struct fl__segment *s);
uint64_t fl__chain_closed_at(const struct fl__segment *s);
bool fl__chain_await(struct fl__chain *c, struct fl__segment *s, uint64_t index);
size_t fl__chain_put_many(struct fl__chain *c, const void *items, size_t n, int *rc, bool *owes_wake);

/* The same as fl__chain_get_many(), on a thread that finds no memory for its first call. */
size_t fl__chain_get_borrowing(struct fl__chain *c, void *items, size_t n, int *rc);

static inline unsigned char *fl__chain_cell(const struct fl__chain *c, struct fl__segment *s, uint64_t index)
{
	return s->cells + (size_t)index * c->stride;
}

static inline uint32_t *fl__chain_state(const struct fl__chain *c, unsigned char *cell)
{
	return (uint32_t *)(void *)(cell + c->state_at);
}

/* How many tickets of producers in `s` count. `word`: its tail, as the caller has read it. */
static inline uint64_t fl__chain_given(const struct fl__chain *c, const struct fl__segment *s, uint64_t word)
{
	if (__builtin_expect(word & FL__CHAIN_CLOSED, 0))
		return fl__chain_closed_at(s);
	return word / FL__CHAIN_TICKET < c->cells ? word / FL__CHAIN_TICKET : c->cells;
}

/* The segment that `*at` has, kept in `place`; NULL: out of memory. */
static inline struct fl__segment *fl__chain_segment(struct fl__segment *const *at, enum fl__hazard place)
{
	struct fl__segment *s = fl__load_acquire(at); /* the segment as it was made; pairs with advance() in chain.c */
	return __builtin_expect(fl__hazards_mine->kept[place] == s, 1) ? s : fl__chain_keep(at, place);
}

/* Puts the item in a cell whose ticket is the caller's; false: a consumer has given it up. */
static inline bool fl__chain_fill(const struct fl__chain *c, struct fl__segment *s, uint64_t index, const void *item)
{
	unsigned char *cell = fl__chain_cell(c, s, index);
	uint32_t empty = FL__CELL_EMPTY;
	fl__copy(cell, item, c->item_size);
	/* release: the item, and what was written before the put; pairs with the acquire of fl__chain_take() */
	return fl__cas_release(fl__chain_state(c, cell), &empty, FL__CELL_FULL);
}

/*
 * 0, -ENOMEM, -EPIPE. `*owes_wake` is set, with any of these, when it took the mark of sleepers off: the caller sees to it after
 * the put. Of the chain's memory, the item's cell is the last that it touches: who gets the item may free it all.
 */
static inline int fl__chain_put(struct fl__chain *c, const void *item, bool *owes_wake)
{
	for (;;) {
		struct fl__segment *s = fl__chain_segment(&c->tail, FL__HAZARD_TAIL);
		if (__builtin_expect(!s, 0))
			return -ENOMEM;
		/* relaxed: it only gives a ticket; what a sleeper's mark stands for is under the sleepers' lock */
		uint64_t word = fl__add_relaxed(&s->tail, FL__CHAIN_TICKET), index = word / FL__CHAIN_TICKET;
		if (__builtin_expect(word & FL__CHAIN_WAIT, 0))
			*owes_wake |= fl__chain_take_mark(s);
		if (__builtin_expect(word & FL__CHAIN_CLOSED, 0))
			return -EPIPE;
		if (__builtin_expect(index >= c->cells, 0)) {
			size_t put = 0;
			int rc = fl__chain_extend(c, s, item, 1, &put, owes_wake);
			if (rc != -EAGAIN)
				return rc;
		} else if (__builtin_expect(fl__chain_fill(c, s, index, item), 1))
			return 0;
	}
}

/* The item of a cell whose ticket is the caller's, where it lies; NULL: there is none, and never will be. */
static inline unsigned char *fl__chain_item(struct fl__chain *c, struct fl__segment *s, uint64_t index)
{
	unsigned char *cell = fl__chain_cell(c, s, index);
	/* pairs with fl__chain_fill() */
	const bool full = __builtin_expect(fl__load_acquire(fl__chain_state(c, cell)) == FL__CELL_FULL, 1);
	return full || fl__chain_await(c, s, index) ? cell : NULL;
}

/*
 * Tickets for up to `n` items, in order: how many, from `*index` on of `*s`. 0: none, and `*rc` says why: -EAGAIN, -EPIPE,
 * -ENOMEM.
 */
static inline size_t fl__chain_tickets(struct fl__chain *c, size_t n, struct fl__segment **s, uint64_t *index, int *rc)
{
	for (;;) {
		*s = fl__chain_segment(&c->head, FL__HAZARD_HEAD);
		if (__builtin_expect(!*s, 0)) {
			*rc = -ENOMEM;
			return 0;
		}
		/* acquire: a tail, or a `next`, that is read after it is no older than the one this head was taken under, so that
		   an equal one was equal at one moment; pairs with the release below */
		uint64_t head = fl__load_acquire(&(*s)->head);
		if (__builtin_expect(head >= c->cells, 0)) {
			*rc = fl__chain_leave(c, *s);
			if (*rc != 0)
				return 0;
			continue;
		}
		uint64_t word = fl__load_relaxed(&(*s)->tail); /* relaxed: a cell says itself whether it is filled */
		uint64_t tail = fl__chain_given(c, *s, word);
		if (head >= tail) {
			*rc = word & FL__CHAIN_CLOSED ? -EPIPE : -EAGAIN;
			return 0;
		}
		*index = head;
		size_t k = n < tail - head ? n : (size_t)(tail - head);
		/* release: who has this head has the puts before it, its own putter's too; pairs with the acquire above */
		if (__builtin_expect(fl__cas_release(&(*s)->head, &head, head + k), 1))
			return k;
	}
}

/* Up to `n` items; how many. 0: none, and `*rc` says why: -EAGAIN (empty), -EPIPE (closed and drained). */
static inline size_t fl__chain_get_many(struct fl__chain *c, void *items, size_t n, int *rc)
{
	struct fl__segment *s;
	uint64_t index;
	size_t k, got = 0;
	while (got == 0 && (k = fl__chain_tickets(c, n, &s, &index, rc)) != 0)
		for (uint64_t end = index + k; index < end; index++) {
			const unsigned char *item = fl__chain_item(c, s, index);
			if (__builtin_expect(item != NULL, 1))
				fl__copy((unsigned char *)items + got++ * c->item_size, item, c->item_size);
		}
	return __builtin_expect(got == 0 && *rc == -ENOMEM, 0) ? fl__chain_get_borrowing(c, items, n, rc) : got;
}

/*
 * For who wants to do something else with items than to copy them: as fl__chain_tickets() without -ENOMEM; the segment is not freed
 * before fl__chain_let_go().
 */
size_t fl__chain_claim(struct fl__chain *c, size_t n, struct fl__segment **s, uint64_t *index, int *rc);
void fl__chain_let_go(struct fl__segment *s);

/* 0, -EAGAIN, -EPIPE. */
static inline int fl__chain_get(struct fl__chain *c, void *item)
{
	int rc = 0;
	return fl__chain_get_many(c, item, 1, &rc) != 0 ? 0 : rc;
}

/*
 * The same for the only consumer: nobody else moves the head, or retires. Its tickets are plain moves.
 */
static inline int fl__chain_get_alone(struct fl__chain *c, void *item)
{
	for (;;) {
		struct fl__segment *s = fl__load_relaxed(&c->head); /* relaxed: written by the consumer */
		uint64_t index = fl__load_relaxed(&s->head);        /* relaxed: likewise */
		if (__builtin_expect(index >= c->cells, 0)) {
			int rc = fl__chain_leave(c, s);
			if (rc != 0)
				return rc;
			continue;
		}
		unsigned char *cell = fl__chain_cell(c, s, index);
		bool full =
		    fl__load_acquire(fl__chain_state(c, cell)) == FL__CELL_FULL; /* pairs with fl__chain_fill() */
		if (__builtin_expect(!full, 0)) {
			uint64_t word =
			    fl__load_relaxed(&s->tail); /* relaxed: a cell says itself whether it is filled */
			if (index >= fl__chain_given(c, s, word))
				return word & FL__CHAIN_CLOSED ? -EPIPE : -EAGAIN;
			full = fl__chain_await(c, s, index);
		}
		if (full)
			fl__copy(item, cell, c->item_size);
		fl__store_relaxed(&s->head, index + 1); /* relaxed: others read it for a length alone */
		if (full)
			return 0;
	}
}

#endif
