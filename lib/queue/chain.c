/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The chain of segments.
 *
 * A segment's tail: tickets of producers, given by fetch-and-add, and two bits.
 *
 *     bit     means                          set by                              cleared by
 *     WAIT    a consumer sleeps              fl__chain_mark_wait(), while the    a put that draws a ticket and finds it; the one
 *                                            segment is the last, and empty      that takes it off owes a wake
 *     CLOSED  no ticket counts from now on:  fl__chain_close(), while a cell     nobody
 *             those that count are in `end`  of the last segment has no ticket
 *
 * A segment's next: what comes after its last cell.
 *
 *     0       nothing yet                    an address    the next segment
 *     WAIT    nothing yet; who appends takes it off, and owes a wake
 *     CLOSED  nothing ever
 *
 * A cell, which is used once in the life of its segment:
 *
 *     EMPTY -> FULL    its producer, with the item in it      EMPTY -> TAKEN   its consumer, which has waited long enough
 *                                                                              ("poisoned")
 *
 * Invariants
 *   1. Each ticket of a producer that counts is one cell, and so is each of a consumer: an item has
 *      one producer and one consumer.
 *   2. head <= tail, and head <= cells: a consumer takes a ticket (by compare-and-swap) only for a cell whose producer has its
 *      own. So a consumer never waits for a put that may not come, and empties use up no cells.
 *   3. A producer that finds its cell poisoned takes another ticket: it comes behind who put meanwhile. A consumer never gives
 *      up a cell without poisoning it. So nobody waits for a peer that has stopped: a consumer looks LOOKS times.
 *   4. Only the last segment has cells without a ticket: a segment is appended by who drew a ticket beyond its cells.
 *   5. `chain.tail` is at the last segment or behind: who appends leaves it, since who gets the item that he appends may free all, and
 *      the next to come moves it on. `chain.head` is at or before the first that has items, and never beyond
 *      `chain.tail`. A segment is retired by who moves `chain.head` over it, after `chain.tail` has moved on.
 *   6. CLOSED is set where it takes effect: in a tail that has a cell left, or in the last `next`. So a producer learns it
 *      from the step by which it would have put: no put is accepted after a consumer was told that all is over.
 *   7. A mark is set by compare-and-swap on a tail whose tickets the consumers have all; so each put that is not yet done will
 *      draw another ticket, or append, and the first that does takes it off. No mark goes from a segment to the next.
 *   8. A closer writes the tickets of the tail that it has read into `end`, if they are not there,
 *      and then sets CLOSED by a compare-and-swap on that tail. Both words only grow until then,
 *      and a closer reads `end` first. So a closer that was stopped changes neither word after the
 *      close, and `end` is what the tail was when CLOSED was set: a put that is refused needs to
 *      take nothing back, and is in no count.
 *
 * Linearization: a put, where its producer drew the ticket of the cell that it filled, or appended a segment with the item;
 * a get, where its consumer drew its ticket; "empty" and "drained", where the consumer read the tail, or the `next`: at that
 * moment the consumers had as many tickets as there were. Of "empty": the items whose put happens before it have been taken.
 *
 * Progress: lock-free. Memory for a segment comes from the allocator, which may do as it likes; a chain keeps one spare
 * segment, so that a steady flow does not ask for any.
 *
 * Reclamation: hazard.h. A segment that was retired is freed, or becomes the spare, as soon as nobody keeps it: who retires
 * looks at all that are retired. With T threads that have used any chain there are at most 2 T such segments of it, and those
 * in the hands of threads that were stopped while they looked. Who is at its items for long, and calls others meanwhile, pins it.
 */
#include "chain.h"
#include "../base/sys.h"
#include <string.h>

enum { LOOKS = 6, SEGMENT_BYTES = 8192, CELLS_LEAST = 16, CELLS_MOST = 512 };
enum { NEXT_WAIT = 1, NEXT_CLOSED = 2, NEXT_SEGMENT = FL__LINE /* or more: an address */ };

/* Segments: made, used again, freed. */

static struct fl__segment *segment_new(struct fl__chain *c)
{
	/* acquire: pairs with segment_free(): nobody uses it as what it was */
	struct fl__segment *s = fl__swap_acquire(&c->spare, NULL);
	if (!s) {
		void *memory = fl__alloc(1, sizeof *s + FL__LINE - 1 + (size_t)c->cells * c->stride);
		if (!memory)
			return NULL;
		s = fl__at_line(memory);
		s->memory = memory;
		return s; /* zeroed */
	}
	/* relaxed: it is ours alone */
	fl__store_relaxed(&s->head, 0);
	fl__store_relaxed(&s->next, 0);
	fl__store_relaxed(&s->end, 0);
	for (uint64_t i = 0; i < c->cells; i++)
		fl__store_relaxed(fl__chain_state(c, fl__chain_cell(c, s, i)), FL__CELL_EMPTY);
	return s;
}

static void segment_free(struct fl__chain *c, struct fl__segment *s)
{
	struct fl__segment *none = NULL;
	if (!fl__cas_release(&c->spare, &none, s)) /* pairs with segment_new() */
		fl__free(s->memory);
}

static void push_retired(struct fl__chain *c, struct fl__segment *s)
{
	struct fl__segment *first = fl__load_relaxed(&c->retired); /* relaxed: the compare-and-swap asks again */
	do {
		s->link = first;
	} while (!fl__cas_weak_release(&c->retired, &first, s)); /* pairs with retire() */
}

static void mark_kept(void *retired, const void *kept)
{
	for (struct fl__segment *s = retired; s; s = s->link)
		if (s == kept)
			s->kept = true;
}

/* Nobody finds `s` any more. Frees what nobody keeps. */
static void retire(struct fl__chain *c, struct fl__segment *s)
{
	s->kept = false;
	push_retired(c, s);
	struct fl__segment *all = fl__swap_acquire(&c->retired, NULL); /* pairs with push_retired() */
	fl__hazards_each(mark_kept, all);
	while (all) {
		s = all;
		all = s->link;
		/*
		 * acquire: pairs with fl__chain_let_go(). It was pinned by one who kept it, and who does not any more was seen
		 * not to (fl__hazards_each()); so its pin is seen, too.
		 */
		if (s->kept || fl__load_acquire(&s->pins) > 0) {
			s->kept = false;
			push_retired(c, s);
		} else
			segment_free(c, s);
	}
}

/* Life. */

int fl__chain_init(struct fl__chain *c, size_t item_size, size_t cells)
{
	size_t alignment = item_size & -item_size, bytes;
	if (alignment > _Alignof(max_align_t))
		alignment = _Alignof(max_align_t);
	if (alignment < sizeof(uint32_t))
		alignment = sizeof(uint32_t);
	if (item_size > PTRDIFF_MAX / 2)
		return -EOVERFLOW;
	c->item_size = item_size;
	c->state_at = (item_size + sizeof(uint32_t) - 1) & -sizeof(uint32_t);
	c->stride = (c->state_at + sizeof(uint32_t) + alignment - 1) & -alignment;
	c->cells = cells;
	if (cells == 0) {
		c->cells = SEGMENT_BYTES / c->stride;
		c->cells = c->cells < CELLS_LEAST ? CELLS_LEAST : c->cells > CELLS_MOST ? CELLS_MOST : c->cells;
	}
	if (__builtin_mul_overflow(c->cells, c->stride, &bytes) ||
	    bytes > PTRDIFF_MAX - sizeof(struct fl__segment) - FL__LINE)
		return -EOVERFLOW;
	c->head = c->tail = segment_new(c);
	return c->head ? 0 : -ENOMEM;
}

static void drop_items(struct fl__chain *c, struct fl__segment *s)
{
	for (uint64_t i = s->head; i < fl__chain_given(c, s, s->tail); i++) {
		unsigned char *cell = fl__chain_cell(c, s, i);
		if (*fl__chain_state(c, cell) == FL__CELL_FULL)
			c->drop(cell, c->drop_arg);
	}
}

void fl__chain_end(struct fl__chain *c)
{
	struct fl__segment *next;
	for (struct fl__segment *s = c->head; s; s = next) {
		if (c->drop)
			drop_items(c, s);
		next = s->next >= NEXT_SEGMENT ? (struct fl__segment *)s->next
		                               : NULL; /* NOLINT(performance-no-int-to-ptr) */
		fl__free(s->memory);
	}
	for (struct fl__segment *s = c->retired; s; s = next) {
		next = s->link;
		fl__free(s->memory);
	}
	if (c->spare)
		fl__free(c->spare->memory);
}

int fl__chain_create(struct fl__chain **made, size_t item_size, size_t cells, void (*drop)(void *item, void *drop_arg),
                     void *drop_arg)
{
	if (item_size == 0)
		return -EINVAL;
	void *memory = fl__alloc(1, sizeof(struct fl__chain) + FL__LINE - 1);
	if (!memory)
		return -ENOMEM;
	struct fl__chain *c = fl__at_line(memory);
	int rc = fl__chain_init(c, item_size, cells);
	if (rc != 0) {
		fl__free(memory);
		return rc;
	}
	c->memory = memory;
	c->drop = drop;
	c->drop_arg = drop_arg;
	*made = c;
	return 0;
}

void fl__chain_free(struct fl__chain *c)
{
	if (!c)
		return;
	fl__chain_end(c);
	fl__free(c->memory);
}

/* Moving along. */

struct fl__segment *fl__chain_keep(struct fl__segment *const *at, enum fl__hazard place)
{
	struct fl__segment *seen, *now = fl__load_relaxed(at); /* relaxed: looked at again below */
	do {
		seen = now;
		if (!fl__hazard_keep(place, seen))
			return NULL;
		now = fl__load_acquire(
		    at); /* pairs with advance(). Behind the fence of the line above: see hazard_ck.c */
	} while (now != seen);
	return now;
}

/* `s` is kept, or the only consumer's head. */
static void advance(struct fl__segment **at, struct fl__segment *s, uintptr_t next)
{
	/* release: the segment, as it was appended; pairs with fl__chain_segment() */
	(void)fl__cas_release(at, &s, (struct fl__segment *)next); /* NOLINT(performance-no-int-to-ptr) */
}

/* A consumer has found all cells of `s` taken: goes to the next one, 0; or why not: -EAGAIN, -EPIPE. */
int fl__chain_leave(struct fl__chain *c, struct fl__segment *s)
{
	uintptr_t next = fl__load_acquire(&s->next); /* pairs with fl__chain_extend() */
	if (next < NEXT_SEGMENT)
		return next == NEXT_CLOSED ? -EPIPE : -EAGAIN;
	if (fl__load_relaxed(&c->tail) == s) /* relaxed: it never comes back to `s` */
		advance(&c->tail, s, next);
	struct fl__segment *left = s;
	/* release: as in advance() */
	if (!fl__cas_release(&c->head, &left, (struct fl__segment *)next)) /* NOLINT(performance-no-int-to-ptr) */
		return 0;
	if (fl__hazards_mine->kept[FL__HAZARD_HEAD] == s)
		(void)fl__chain_keep(&c->head,
		                     FL__HAZARD_HEAD); /* now rather than at the next get, so that `s` is free */
	retire(c, s);
	return 0;
}

/* Putting. */

/*
 * For who drew a ticket beyond the cells of `s`: appends a segment that has the first items in it, 0; -EAGAIN: there is a
 * next one: again from the chain's tail; -EPIPE, -ENOMEM.
 */
int fl__chain_extend(struct fl__chain *c, struct fl__segment *s, const void *items, size_t n, size_t *put,
                     bool *owes_wake)
{
	/* acquire: pairs with the release below: what the address is handed on with is what it was appended with */
	uintptr_t next = fl__load_acquire(&s->next);
	if (next >= NEXT_SEGMENT) {
		advance(&c->tail, s, next);
		return -EAGAIN;
	}
	struct fl__segment *last = next == NEXT_CLOSED ? NULL : segment_new(c);
	if (!last)
		return next == NEXT_CLOSED ? -EPIPE : -ENOMEM;
	uint64_t k = n < c->cells ? n : c->cells;
	for (uint64_t i = 0; i < k; i++) {
		unsigned char *cell = fl__chain_cell(c, last, i);
		fl__copy(cell, (const unsigned char *)items + i * c->item_size, c->item_size);
		fl__store_relaxed(fl__chain_state(c, cell), FL__CELL_FULL); /* relaxed: published with the segment */
	}
	last->first = s->first + c->cells;
	fl__store_relaxed(&last->tail, k * FL__CHAIN_TICKET); /* relaxed: published with the segment */
	do {
		if (next >= NEXT_SEGMENT || next == NEXT_CLOSED) {
			segment_free(c, last);
			return next == NEXT_CLOSED ? -EPIPE : -EAGAIN;
		}
		/* release: the segment and its items; pairs with fl__chain_leave() and the acquire above */
	} while (!fl__cas_release(&s->next, &next, (uintptr_t)last));
	*owes_wake |= next == NEXT_WAIT;
	*put = k;
	return 0;
}

/* Of several puts that find the mark one takes it off. It may be a later one than it found: who set that sleeps, too. */
bool fl__chain_take_mark(struct fl__segment *s)
{
	/* relaxed: who set it did so under the sleepers' lock, under which he is looked for */
	return fl__and_relaxed(&s->tail, ~(uint64_t)FL__CHAIN_WAIT) & FL__CHAIN_WAIT;
}

size_t fl__chain_put_many(struct fl__chain *c, const void *items, size_t n, int *rc, bool *owes_wake)
{
	const unsigned char *next = items;
	const size_t size = c->item_size; /* `c` may be gone with the last item */
	size_t done = 0;
	while (done < n) {
		struct fl__segment *s = fl__chain_segment(&c->tail, FL__HAZARD_TAIL);
		if (!s) {
			*rc = -ENOMEM;
			break;
		}
		uint64_t k = n - done < c->cells ? n - done : c->cells, i = 0;
		/* relaxed: as in fl__chain_put() */
		uint64_t word = fl__add_relaxed(&s->tail, k * FL__CHAIN_TICKET), index = word / FL__CHAIN_TICKET;
		if (word & FL__CHAIN_WAIT)
			*owes_wake |= fl__chain_take_mark(s);
		if (word & FL__CHAIN_CLOSED) {
			*rc = -EPIPE;
			break;
		}
		if (index >= c->cells) {
			size_t put = 0;
			*rc = fl__chain_extend(c, s, next, n - done, &put, owes_wake);
			if (*rc != 0 && *rc != -EAGAIN)
				break;
			done += put;
			next += put * size;
			continue;
		}
		/* In order, also over cells that were poisoned meanwhile. */
		for (; i < k && index + i < c->cells; i++)
			if (fl__chain_fill(c, s, index + i, next)) {
				done++;
				next += size;
			}
	}
	return done;
}

/* Getting. */

/* `s`'s tail has CLOSED. */
uint64_t fl__chain_closed_at(const struct fl__segment *s)
{
	(void)fl__load_acquire(&s->tail); /* pairs with close_tail() */
	return fl__load_relaxed(&s->end); /* relaxed: it changes no more */
}

/* The producer of that cell is on its way. True: the cell is filled; false: it never will be. */
bool fl__chain_await(struct fl__chain *c, struct fl__segment *s, uint64_t index)
{
	uint32_t *state = fl__chain_state(c, fl__chain_cell(c, s, index));
	for (unsigned i = 0; i < LOOKS; i++) {
		uint32_t seen = fl__load_acquire(state); /* pairs with fl__chain_fill() */
		if (seen != FL__CELL_EMPTY)
			return seen == FL__CELL_FULL;
		fl__pause(1U << i);
	}
	uint32_t was =
	    fl__swap_acquire(state, FL__CELL_TAKEN); /* pairs with fl__chain_fill(), which may just have been in time */
	if (was == FL__CELL_EMPTY) {
		fl__add_release(&c->poisoned, 1); /* after the ticket was seen: pairs with fl__chain_puts() */
		if (c->on_poison)
			c->on_poison(c->of);
	}
	return was == FL__CELL_FULL;
}

size_t fl__chain_get_borrowing(struct fl__chain *c, void *items, size_t n, int *rc)
{
	bool borrowed = fl__hazards_borrow();
	size_t got = fl__chain_get_many(c, items, n, rc);
	if (borrowed)
		fl__hazards_return();
	return got;
}

/* Claiming, closing, sleeping, counting. Not on the way of an item: these may borrow. */

static struct fl__segment *keep_or_borrow(struct fl__segment *const *at, enum fl__hazard place, bool *borrowed)
{
	struct fl__segment *s = fl__chain_segment(at, place);
	if (s)
		return s;
	*borrowed = fl__hazards_borrow();
	return fl__chain_segment(at, place);
}

static void give_back(bool borrowed)
{
	if (borrowed)
		fl__hazards_return();
}

size_t fl__chain_claim(struct fl__chain *c, size_t n, struct fl__segment **s, uint64_t *index, int *rc)
{
	bool borrowed = false;
	size_t k = fl__chain_tickets(c, n, s, index, rc);
	if (k == 0 && *rc == -ENOMEM) {
		borrowed = fl__hazards_borrow();
		k = fl__chain_tickets(c, n, s, index, rc);
	}
	if (k > 0)
		fl__add_relaxed(&(*s)->pins, 1u); /* relaxed: the caller keeps it, see retire() */
	give_back(borrowed);
	return k;
}

void fl__chain_let_go(struct fl__segment *s)
{
	fl__sub_release(&s->pins, 1u); /* what was done with the items; pairs with retire() */
}

/* The last segment, or one that was when it was looked for. */
static struct fl__segment *last_segment(struct fl__chain *c, bool *borrowed)
{
	for (;;) {
		struct fl__segment *s = keep_or_borrow(&c->tail, FL__HAZARD_TAIL, borrowed);
		uintptr_t next = fl__load_acquire(&s->next); /* pairs with fl__chain_extend() */
		if (next < NEXT_SEGMENT)
			return s;
		advance(&c->tail, s, next);
	}
}

/*
 * Sets `end` to the tickets of the tail, then CLOSED in that tail: invariant 8. False: `s` has no
 * cell without a ticket.
 */
static bool close_tail(struct fl__chain *c, struct fl__segment *s)
{
	for (;;) {
		/*
		 * acquire: the tail that is read after it has at least as many tickets; pairs with
		 * the release below
		 */
		uint64_t end = fl__load_acquire(&s->end);
		uint64_t word = fl__load_relaxed(&s->tail); /* relaxed: the compare-and-swap asks again */
		const uint64_t tickets = word / FL__CHAIN_TICKET;
		if (word & FL__CHAIN_CLOSED)
			return true;
		if (tickets >= c->cells)
			return false;
		/*
		 * release: the tail of which it was read; pairs with the acquire above, of another
		 * closer
		 */
		if (end != tickets && !fl__cas_release(&s->end, &end, tickets))
			continue;
		/* release: `end`; pairs with fl__chain_closed_at() */
		if (fl__cas_release(&s->tail, &word, word | FL__CHAIN_CLOSED))
			return true;
	}
}

static bool close_last(struct fl__chain *c, struct fl__segment *s)
{
	if (close_tail(c, s))
		return true;
	uintptr_t next = fl__load_relaxed(&s->next); /* relaxed: the compare-and-swap asks again */
	while (next < NEXT_SEGMENT)
		if (fl__cas_weak_relaxed(&s->next, &next, NEXT_CLOSED)) /* relaxed: nothing comes with it */
			return true;
	return false;
}

void fl__chain_close(struct fl__chain *c)
{
	bool borrowed = false;
	while (!close_last(c, last_segment(c, &borrowed)))
		;
	give_back(borrowed);
}

bool fl__chain_is_closed(struct fl__chain *c)
{
	bool borrowed = false;
	struct fl__segment *s = last_segment(c, &borrowed);
	/* relaxed: it says nothing of the items */
	bool closed = fl__load_relaxed(&s->tail) & FL__CHAIN_CLOSED || fl__load_relaxed(&s->next) == NEXT_CLOSED;
	give_back(borrowed);
	return closed;
}

/* 1: look again. */
static int mark_last(struct fl__chain *c, struct fl__segment *s)
{
	uint64_t head =
	    fl__load_relaxed(&s->head); /* relaxed: if it equals the tail below, which is the newest, it is, too */
	if (head >= c->cells) {
		int rc = fl__chain_leave(c, s);
		uintptr_t none = 0;
		if (rc != -EAGAIN)
			return rc == 0 ? 1 : rc;
		/* relaxed: who appends has this word from its own step, and finds the sleeper under the sleepers' lock */
		return fl__cas_relaxed(&s->next, &none, NEXT_WAIT) || none == NEXT_WAIT ? 0 : 1;
	}
	uint64_t word = fl__load_relaxed(&s->tail); /* relaxed: the compare-and-swap asks again */
	if (head < fl__chain_given(c, s, word))
		return -EAGAIN;
	if (word & FL__CHAIN_CLOSED)
		return -EPIPE;
	/* relaxed: as above, of who puts. A mark that is there already is set again, lest it be an old one that was taken off. */
	return fl__cas_relaxed(&s->tail, &word, word | FL__CHAIN_WAIT) ? 0 : 1;
}

int fl__chain_mark_wait(struct fl__chain *c)
{
	bool borrowed = false;
	int rc;
	do
		rc = mark_last(c, keep_or_borrow(&c->head, FL__HAZARD_HEAD, &borrowed));
	while (rc == 1);
	give_back(borrowed);
	return rc;
}

/* Tickets of producers so far. */
static uint64_t tickets(const struct fl__chain *c, const struct fl__segment *s)
{
	return s->first + fl__chain_given(c, s, fl__load_relaxed(&s->tail)); /* relaxed: a count */
}

uint64_t fl__chain_puts(struct fl__chain *c)
{
	bool borrowed = false;
	/*
	 * acquire: pairs with those who add. It is read before the tickets, of which it is a part: so the difference has all that
	 * were put before, and perhaps some that were poisoned meanwhile.
	 */
	uint64_t poisoned = fl__load_acquire(&c->poisoned);
	uint64_t puts = tickets(c, last_segment(c, &borrowed)) - poisoned;
	give_back(borrowed);
	return puts;
}

uint64_t fl__chain_length(struct fl__chain *c)
{
	bool borrowed = false;
	struct fl__segment *s = keep_or_borrow(&c->head, FL__HAZARD_HEAD, &borrowed);
	uint64_t taken =
	    s->first + fl__load_acquire(&s->head); /* acquire: the tail is read after it; as in fl__chain_tickets() */
	uint64_t put = tickets(c, last_segment(c, &borrowed));
	give_back(borrowed);
	return put > taken ? put - taken : 0;
}

int fl__chain_can_get(struct fl__chain *c)
{
	const bool closed = fl__chain_is_closed(c); /* first: nothing comes after it that the length has not */
	if (fl__chain_length(c) > 0)
		return 0;
	return closed ? -EPIPE : -EAGAIN;
}
