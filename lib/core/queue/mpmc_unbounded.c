/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The unbounded queue, a linked list of segments. The end of this file contains the backend of
 * fl_queue.
 *
 * Each segment is an array of slots. A producer draws a ticket from the tail of the last segment by
 * fetch-and-add. A consumer draws a ticket from the head of the first segment by CAS, or by a store
 * if it is the queue's only consumer. The ticket's number is the index of its slot. A producer
 * whose ticket is beyond the slots appends a segment.
 *
 * A segment's tail consists of the number of producers' tickets and two bits:
 *
 *   bit     means                 set by                            cleared by
 *   WAIT    a consumer waits      fl__unbounded_mark_empty(), in    a put that found WAIT with its
 *                                 the last segment, while empty     ticket; this put owes a wake
 *   CLOSED  later tickets do not  a close, while a slot of the      never
 *           count; `end` has the  last segment has no ticket
 *           number of those that
 *           count
 *
 * A segment's `next` says what comes after the segment's last slot:
 *
 *   0        nothing yet
 *   WAIT     nothing yet, and a consumer waits; the put that appends clears WAIT, and owes a wake;
 *            a close replaces WAIT by CLOSED
 *   CLOSED   nothing ever
 *   address  the next segment
 *
 * Each slot is used once in the life of its segment. Its state changes as follows:
 *
 *   EMPTY -> FULL      by its producer, with the item in the slot
 *   EMPTY -> POISONED  by its consumer, which has waited long enough
 *   FULL -> POISONED   by the same step of its consumer, if the producer was just faster; the
 *                      consumer takes the item
 *
 * Invariants
 *   1. A producer's ticket counts unless it is beyond the slots or drawn after the close. Each
 *      ticket that counts stands for one slot, and no two producers' tickets stand for the same
 *      slot. The same holds for consumers' tickets. So an item has one producer and one consumer.
 *   2. head <= tail and head <= slots, because a consumer draws a ticket only for a slot for which
 *      a producer has one. So a get that finds the queue empty uses up no slot.
 *   3. A consumer polls its slot UNBOUNDED_POLLS times and then poisons it. A producer that finds
 *      its slot poisoned draws another ticket. So no context waits for a peer that has stopped.
 *   4. Only the last segment can have slots without a ticket, because a producer appends a segment
 *      only after it has drawn a ticket beyond the slots.
 *   5. The queue's tail is the last segment or an earlier one. A producer that appends a segment
 *      does not move the tail, because the consumer of its item may free the queue as soon as the
 *      segment is appended. Instead, the next call that finds a segment behind the tail moves it.
 *      The queue's head is at or before the first segment with items, and never beyond the tail.
 *      The consumer that moves the head past a segment retires that segment, after the tail has
 *      moved on.
 *   6. CLOSED is set where it takes effect: in a tail that has a slot left, or in the last `next`.
 *      So a producer learns of the close from the step that would have put its item. Therefore no
 *      put is accepted after a consumer has found the queue closed and drained.
 *   7. A mark is set by a CAS: on the tail of the last segment, if consumers have drawn as many
 *      tickets as producers, or on its `next`, if all slots are used. So an item for the waiter
 *      requires a later ticket or an appended segment. A put that draws such a ticket finds the
 *      mark, and clears it after the draw. If several puts find the mark, the one that clears it
 *      owes the wake. A put that appends a segment clears the mark by the CAS that appends. No mark
 *      moves from one segment to the next.
 *   8. A closer reads `end` and then the tail, writes the tail's tickets to `end` if they differ,
 *      and then sets CLOSED by a CAS on that tail. Until then the tickets in both words only grow.
 *      So a closer that was stopped changes neither word after the close, and `end` is the number
 *      of tickets that the tail had at the close.
 *
 * Linearization points
 *   put          Where the producer drew the ticket of the slot that it filled, or appended a
 *                segment with the item. A refused put linearizes where it read CLOSED.
 *   get          Where the consumer drew the ticket of the slot from which it takes the item.
 *   close        At the CAS that sets CLOSED, or where the close read that CLOSED was already set.
 *   "drained"    Where the call read CLOSED. Before that, the call has read a head equal to the
 *                number of tickets that count. Once CLOSED is set, this number is fixed, and the
 *                head cannot pass it.
 *   "empty"      A call that finds the queue empty has read a head. It linearizes directly after
 *                the get that drew the last ticket before this head, or directly after the creation
 *                of the queue if no get has drawn a ticket. Because the call reads the tail, or the
 *                `next`, after the head, it sees the ticket of each put that happened before the
 *                call, before that get, or before an earlier get. If it sees no ticket beyond the
 *                head, all items of those puts have been got. The tail that it reads may be older
 *                than the head. For example, a get G that finds its slot filled draws its ticket
 *                without looking at the tail. Another consumer may then read the head that G wrote,
 *                with acquire, and an old tail, which lacks the ticket of G's slot.
 *
 * Progress: the queue is lock-free, except in three cases. The allocator may lock. If there is no
 * memory for a thread's hazard pointers, its puts return -ENOMEM, and its other calls that need
 * them lock the record that such threads share (fl__hazards_borrow()). In an fl_queue, a put that
 * owes a wake, a close, and a consumer that poisons a slot (fl__queue_recheck_join()) lock a bucket
 * of the parking lot. A consumer repeats a round in four cases: another consumer has moved the
 * head; the segment has no further slot, and the head has moved to the next segment; all slots of
 * the consumer's tickets were poisoned; or fl__mpmc_fall_behind() has paused. A steady flow reuses
 * one spare segment and does not allocate, unless so many threads have used unbounded queues that a
 * pass frees several segments.
 *
 * Segments are reclaimed by hazard pointers (hazard.h). A context that calls other code while it
 * uses a segment's items pins the segment. A thread that retires a segment may make a pass through
 * all hazard pointers and all retired segments. It keeps the segments that are protected or pinned,
 * and frees the others, of which the first becomes the spare if there is none. A pass is paid for
 * by the segments that are retired after it (unbounded_retire()). So a queue keeps four kinds of
 * retired segments. Some were protected by a hazard pointer during the last pass: at most 2 T, if T
 * threads have used any unbounded queue. Some were pinned at that time. Some were retired later: at
 * most one for each UNBOUNDED_LOOKS pointers and segments that the last pass looked at. The rest
 * belong to passes whose thread was stopped.
 *
 * Why this design. Each slot is used once, so it can hold an item of any size by value. The word of
 * the fetch-and-add also says whether the queue is closed and whether a consumer sleeps, so a
 * producer needs no further load and no fence. With epochs instead of hazard pointers, one stopped
 * reader would keep all garbage. A thread keeps its hazard pointer on the segment that it used
 * last. While it stays on that segment, protection costs a load and a comparison but no fence. The
 * price is memory: up to two segments for each thread. As a backend of fl_queue, the queue counts a
 * ticket as a put until its slot is known to be poisoned. Then the number of puts decreases, and
 * the contexts that wait in fl_queue_join() must look again.
 *
 * A consumer that has caught up looks at a slot and at the word with the tickets just before a
 * producer writes them, so it takes both cache lines from the producer.
 * docs/decisions/consumer-pause.md explains how it lets the producers get ahead. With several
 * producers, a put misses two cache lines; docs/decisions/unbounded-slots.md describes the designs
 * that were tried against that.
 */
#include "mpmc_unbounded.h"
#include "../base/sys.h"
#include "queue.h"
#include <string.h>

enum { UNBOUNDED_POLLS = 6, UNBOUNDED_LOOKS = 64 };
enum { UNBOUNDED_SEGMENT_BYTES = 8192, UNBOUNDED_SLOTS_LEAST = 16, UNBOUNDED_SLOTS_MOST = 512 };
enum {
	UNBOUNDED_NEXT_WAIT = 1,
	UNBOUNDED_NEXT_CLOSED = 2,
	UNBOUNDED_NEXT_SEGMENT = FL__LINE /* or more: an address */
};

static struct fl__segment *unbounded_new_segment(struct fl__unbounded *c)
{
	/*
	 * acquire: pairs with the release in unbounded_free_segment(), for all uses of the old
	 * segment
	 */
	struct fl__segment *s = fl__swap_acquire(&c->spare, NULL);
	if (!s) {
		void *memory = fl__alloc(1, sizeof *s + FL__LINE - 1 + (size_t)c->slots * c->stride);
		if (!memory)
			return NULL;
		s = fl__align_to_line(memory);
		s->memory = memory;
		return s; /* zeroed */
	}
	/* relaxed, all: only this thread uses the segment, and the append publishes it */
	fl__store_relaxed(&s->head, 0);
	fl__store_relaxed(&s->next, 0);
	fl__store_relaxed(&s->end, 0);
	for (uint64_t i = 0; i < c->slots; i++)
		fl__store_relaxed(fl__unbounded_state_at(c, s, i), FL__SLOT_EMPTY);
	return s;
}

static void unbounded_free_segment(struct fl__unbounded *c, struct fl__segment *s)
{
	struct fl__segment *none = NULL;
	/* release: pairs with the acquire in unbounded_new_segment() */
	if (!fl__cas_release(&c->spare, &none, s))
		fl__free(s->memory);
}

static void unbounded_push_retired(struct fl__unbounded *c, struct fl__segment *s)
{
	/* relaxed: a stale value only makes the CAS fail */
	struct fl__segment *first = fl__load_relaxed(&c->retired);
	do {
		s->next_retired = first;
		/* release: pairs with the acquire in unbounded_reclaim() */
	} while (!fl__cas_weak_release(&c->retired, &first, s));
}

/*
 * Returns the link in `tree` that points to the segment at the address `object`, or at which that
 * segment belongs. The tree is a digital search tree whose paths are the bits of the hashed
 * addresses. Different addresses have different hashes, so no path is longer than 64.
 */
static struct fl__segment **unbounded_find(struct fl__segment **tree, const void *object)
{
	uint64_t path = (uint64_t)(uintptr_t)object * 0x9e3779b97f4a7c15u; /* Fibonacci hashing */
	for (; *tree && *tree != object; path <<= 1)
		tree = &(*tree)->below[path >> 63];
	return tree;
}

static void unbounded_mark_protected(void *tree, const void *object)
{
	struct fl__segment *s = *unbounded_find(tree, object);
	if (s)
		s->is_protected = true;
}

/*
 * Makes a pass, which frees the retired segments that nothing protects. Returns how many hazard
 * pointers and segments it has looked at.
 */
static ptrdiff_t unbounded_reclaim(struct fl__unbounded *c)
{
	ptrdiff_t looks = 0;
	/* acquire: pairs with the release in unbounded_push_retired() */
	struct fl__segment *all = fl__swap_acquire(&c->retired, NULL), *tree = NULL;
	for (struct fl__segment *s = all; s; s = s->next_retired, looks++) {
		s->is_protected = false;
		memset(s->below, 0, sizeof s->below);
		*unbounded_find(&tree, s) = s;
	}
	looks += (ptrdiff_t)fl__hazards_each(unbounded_mark_protected, &tree);
	while (all) {
		struct fl__segment *s = all;
		all = s->next_retired;
		/*
		 * acquire: pairs with the release in unbounded_unpin(). A thread pins a segment
		 * while its hazard pointer protects it. fl__hazards_each() has seen the end of that
		 * protection, so this load sees the pin.
		 */
		if (s->is_protected || fl__load_acquire(&s->pins) > 0)
			unbounded_push_retired(c, s);
		else
			unbounded_free_segment(c, s);
	}
	return looks;
}

/*
 * Retires `s`, which is unreachable. Each retired segment pays for UNBOUNDED_LOOKS looks of the
 * last pass, and the next pass is made when all of them are paid for. So the cost of passes per
 * segment does not grow with the number of threads that have used unbounded queues. If a pass looks
 * at no more than UNBOUNDED_LOOKS pointers and segments, each retired segment causes a pass.
 */
static void unbounded_retire(struct fl__unbounded *c, struct fl__segment *s)
{
	unbounded_push_retired(c, s);
	/*
	 * relaxed, both: they only decide when a pass is made. While a thread is stopped in its
	 * pass, nothing is owed, so each segment that other threads retire causes another pass,
	 * which goes through other segments.
	 */
	if (fl__add_relaxed(&c->owed, (ptrdiff_t)-UNBOUNDED_LOOKS) <= UNBOUNDED_LOOKS)
		fl__store_relaxed(&c->owed, unbounded_reclaim(c));
}

FL__COLD int fl__unbounded_init(struct fl__unbounded *c, size_t item_size, size_t slots)
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
	c->slots = slots;
	if (slots == 0) {
		c->slots = UNBOUNDED_SEGMENT_BYTES / c->stride;
		c->slots = FL__MAX(c->slots, UNBOUNDED_SLOTS_LEAST);
		c->slots = FL__MIN(c->slots, UNBOUNDED_SLOTS_MOST);
	}
	if (__builtin_mul_overflow(c->slots, c->stride, &bytes) ||
	    bytes > PTRDIFF_MAX - sizeof(struct fl__segment) - FL__LINE)
		return -EOVERFLOW;
	c->head = c->tail = unbounded_new_segment(c);
	return c->head ? 0 : -ENOMEM;
}

FL__COLD void fl__unbounded_end(struct fl__unbounded *c)
{
	struct fl__segment *next;
	for (struct fl__segment *s = c->head; s; s = next) {
		next = s->next >= UNBOUNDED_NEXT_SEGMENT ? (struct fl__segment *)s->next
		                                         : NULL; /* NOLINT(performance-no-int-to-ptr) */
		fl__free(s->memory);
	}
	for (struct fl__segment *s = c->retired; s; s = next) {
		next = s->next_retired;
		fl__free(s->memory);
	}
	if (c->spare)
		fl__free(c->spare->memory);
}

struct fl__segment *fl__unbounded_protect(struct fl__segment *const *at, enum fl__hazard place)
{
	/* relaxed: the segment is used only after the load below has found it again */
	struct fl__segment *seen, *now = fl__load_relaxed(at);
	do {
		seen = now;
		if (!fl__hazard_protect(place, seen))
			return NULL;
		/*
		 * acquire: pairs with the releases in unbounded_advance() and
		 * fl__unbounded_advance_head(). The load comes after the full fence of
		 * fl__hazard_protect().
		 */
		now = fl__load_acquire(at);
	} while (now != seen);
	return now;
}

/* Moves `*at` from `s` to `next`. `s` is protected, or the caller is the only consumer. */
static void unbounded_advance(struct fl__segment **at, struct fl__segment *s, uintptr_t next)
{
	/*
	 * release: pairs with the acquire in fl__unbounded_protected() and fl__unbounded_protect(),
	 * for the segment as it was appended
	 */
	(void)fl__cas_release(at, &s, (struct fl__segment *)next); /* NOLINT(performance-no-int-to-ptr) */
}

/*
 * Called by a consumer when consumers have drawn all tickets of `s`. Moves the head to the next
 * segment and returns 0. Returns -EAGAIN if there is no next segment yet, and -EPIPE if there will
 * be none.
 */
int fl__unbounded_advance_head(struct fl__unbounded *c, struct fl__segment *s)
{
	/* acquire: pairs with the release in unbounded_append() */
	uintptr_t next = fl__load_acquire(&s->next);
	if (next < UNBOUNDED_NEXT_SEGMENT)
		return next == UNBOUNDED_NEXT_CLOSED ? -EPIPE : -EAGAIN;
	/*
	 * relaxed: if the value `s` is stale, the CAS fails. Any other value means that the tail
	 * has left `s` forever. It cannot be an older segment, because the consumer that moved the
	 * head to `s` had seen the tail at `s` or beyond, and this thread has acquired that head.
	 */
	if (fl__load_relaxed(&c->tail) == s)
		unbounded_advance(&c->tail, s, next);
	struct fl__segment *left = s;
	/*
	 * release: pairs with the acquire in fl__unbounded_protected() and fl__unbounded_protect()
	 */
	if (!fl__cas_release(&c->head, &left, (struct fl__segment *)next)) /* NOLINT(performance-no-int-to-ptr) */
		return 0;
	/* From now on the hazard pointer protects the next segment, so that `s` can be freed. */
	if (fl__hazards_mine->pointers[FL__HAZARD_HEAD] == s)
		(void)fl__unbounded_protect(&c->head, FL__HAZARD_HEAD);
	unbounded_retire(c, s);
	return 0;
}

/*
 * Called by a producer that drew a ticket beyond the slots of `s`:
 *
 *   0         a new segment is appended, with the first `*put` items in it
 *   -EAGAIN   a segment follows `s` already: the caller starts again from the queue's tail
 *   -EPIPE    the queue is closed
 *   -ENOMEM   there is no memory for a segment
 */
FL__COLD static int unbounded_append(struct fl__unbounded *c, struct fl__segment *s, const void *items, size_t n,
                                     size_t *put, bool *owes_wake)
{
	/*
	 * acquire: pairs with the release below, by the thread that has appended the segment.
	 * unbounded_advance() publishes the address again, so this thread must have acquired the
	 * segment's contents.
	 */
	uintptr_t next = fl__load_acquire(&s->next);
	if (next >= UNBOUNDED_NEXT_SEGMENT) {
		unbounded_advance(&c->tail, s, next);
		return -EAGAIN;
	}
	struct fl__segment *last = next == UNBOUNDED_NEXT_CLOSED ? NULL : unbounded_new_segment(c);
	if (!last)
		return next == UNBOUNDED_NEXT_CLOSED ? -EPIPE : -ENOMEM;
	uint64_t k = FL__MIN(n, c->slots);
	for (uint64_t i = 0; i < k; i++) {
		memcpy(fl__unbounded_slot(c, last, i), (const unsigned char *)items + i * c->item_size, c->item_size);
		/* relaxed: the CAS below publishes it with the segment */
		fl__store_relaxed(fl__unbounded_state_at(c, last, i), FL__SLOT_FULL);
	}
	last->first = s->first + c->slots;
	/* relaxed: the CAS below publishes it with the segment */
	fl__store_relaxed(&last->tail, k * FL__UNBOUNDED_TICKET);
	do {
		if (next >= UNBOUNDED_NEXT_SEGMENT || next == UNBOUNDED_NEXT_CLOSED) {
			unbounded_free_segment(c, last);
			return next == UNBOUNDED_NEXT_CLOSED ? -EPIPE : -EAGAIN;
		}
		/*
		 * release: pairs with the acquire loads of `next`, for the segment and its items.
		 * The loads are in fl__unbounded_advance_head(), unbounded_last() and above.
		 */
	} while (!fl__cas_release(&s->next, &next, (uintptr_t)last));
	*owes_wake |= next == UNBOUNDED_NEXT_WAIT;
	*put = k;
	return 0;
}

/*
 * Called by a put that found the mark with its ticket. Returns whether it has cleared a mark,
 * possibly a newer one, and so owes its wake.
 */
static bool unbounded_clear_mark(struct fl__segment *s)
{
	/*
	 * relaxed: the mark was set in a transaction of the parking lot, where the put finds the
	 * consumer
	 */
	return fl__and_relaxed(&s->tail, ~(uint64_t)FL__UNBOUNDED_WAIT) & FL__UNBOUNDED_WAIT;
}

/* Continues a put that has drawn the ticket `word` of `s`, or no ticket if `s` is NULL. */
FL__COLD int fl__unbounded_put_slow(struct fl__unbounded *c, const void *item, struct fl__segment *s, uint64_t word,
                                    bool *owes_wake)
{
	for (;; s = NULL) {
		if (!s) {
			s = fl__unbounded_segment(&c->tail, FL__HAZARD_TAIL);
			if (!s)
				return -ENOMEM;
			/*
			 * relaxed: it only draws a ticket, and the parking lot orders the waiters
			 */
			word = fl__add_relaxed(&s->tail, FL__UNBOUNDED_TICKET);
		}
		const uint64_t index = word / FL__UNBOUNDED_TICKET;
		if (word & FL__UNBOUNDED_WAIT)
			*owes_wake |= unbounded_clear_mark(s);
		if (word & FL__UNBOUNDED_CLOSED)
			return -EPIPE;
		if (index >= c->slots) {
			size_t put = 0;
			const int rc = unbounded_append(c, s, item, 1, &put, owes_wake);
			if (rc != -EAGAIN)
				return rc;
		} else if (fl__unbounded_fill(c, s, index, item))
			return 0;
	}
}

size_t fl__unbounded_put_many(struct fl__unbounded *c, const void *items, size_t n, int *rc, bool *owes_wake)
{
	const unsigned char *next = items;
	const size_t size = c->item_size; /* read now, because `c` may be freed once the last item is put */
	size_t done = 0;
	while (done < n) {
		struct fl__segment *s = fl__unbounded_segment(&c->tail, FL__HAZARD_TAIL);
		if (!s) {
			*rc = -ENOMEM;
			break;
		}
		uint64_t k = FL__MIN(n - done, c->slots), i = 0;
		/* relaxed: it only draws tickets, and the parking lot orders the waiters */
		uint64_t word = fl__add_relaxed(&s->tail, k * FL__UNBOUNDED_TICKET),
			 index = word / FL__UNBOUNDED_TICKET;
		if (word & FL__UNBOUNDED_WAIT)
			*owes_wake |= unbounded_clear_mark(s);
		if (word & FL__UNBOUNDED_CLOSED) {
			*rc = -EPIPE;
			break;
		}
		if (index >= c->slots) {
			size_t put = 0;
			*rc = unbounded_append(c, s, next, n - done, &put, owes_wake);
			if (*rc != 0 && *rc != -EAGAIN)
				break;
			done += put;
			next += put * size;
			continue;
		}
		/* Fills the slots of the tickets in order, and skips poisoned ones. */
		for (; i < k && index + i < c->slots; i++)
			if (fl__unbounded_fill(c, s, index + i, next)) {
				done++;
				next += size;
			}
	}
	return done;
}

/* Returns how many producers' tickets of `s` count. Called when its tail has CLOSED. */
uint64_t fl__unbounded_closed_tickets(const struct fl__segment *s)
{
	(void)fl__load_acquire(&s->tail); /* acquire: pairs with the release in unbounded_close_tail() */
	return fl__load_relaxed(&s->end); /* relaxed: it no longer changes (invariant 8) */
}

/*
 * Waits a bounded time for the producer of a slot. Returns true if the slot is filled; otherwise
 * the slot is poisoned.
 */
bool fl__unbounded_await_slot(struct fl__unbounded *c, struct fl__segment *s, uint64_t index)
{
	uint32_t *state = fl__unbounded_state_at(c, s, index);
	for (unsigned i = 0; i < UNBOUNDED_POLLS; i++) {
		/* acquire: pairs with the release in fl__unbounded_fill() */
		uint32_t seen = fl__load_acquire(state);
		if (seen != FL__SLOT_EMPTY)
			return seen == FL__SLOT_FULL;
		fl__pause(1U << i);
	}
	/* acquire: pairs with the release in fl__unbounded_fill(), which may just have happened */
	uint32_t was = fl__swap_acquire(state, FL__SLOT_POISONED);
	if (was == FL__SLOT_EMPTY) {
		/*
		 * release: pairs with the acquire in fl__unbounded_puts(), which then also sees the
		 * ticket of the poisoned slot
		 */
		fl__add_release(&c->poisoned, 1);
		if (c->on_poison)
			c->on_poison(c->of);
	}
	return was == FL__SLOT_FULL;
}

/*
 * The slow path of fl__unbounded_get_mpsc(), for when the next slot is not filled or the segment
 * has no further slot.
 */
int fl__unbounded_get_mpsc_slow(struct fl__unbounded *c, void *item)
{
	for (;;) {
		/* relaxed, both: only the consumer writes the heads */
		struct fl__segment *s = fl__load_relaxed(&c->head);
		const uint64_t index = fl__load_relaxed(&s->head);
		if (index >= c->slots) {
			const int rc = fl__unbounded_advance_head(c, s);
			if (rc != 0)
				return rc;
			continue;
		}
		/* acquire: pairs with the release in fl__unbounded_fill() */
		bool full = fl__load_acquire(fl__unbounded_state_at(c, s, index)) == FL__SLOT_FULL;
		if (!full) {
			if (fl__mpmc_fall_behind(&c->caught_up, s->first + index))
				continue;
			/*
			 * relaxed: it only says which slots have a ticket, not which ones are
			 * filled
			 */
			const uint64_t word = fl__load_relaxed(&s->tail);
			if (index >= fl__unbounded_counted(c, s, word))
				return word & FL__UNBOUNDED_CLOSED ? -EPIPE : -EAGAIN;
			full = fl__unbounded_await_slot(c, s, index);
		}
		if (full)
			memcpy(item, fl__unbounded_slot(c, s, index), c->item_size);
		/* relaxed: other threads read it only for a length */
		fl__store_relaxed(&s->head, index + 1);
		if (full)
			return 0;
	}
}

/*
 * Returns the address of the item of the caller's ticket in its slot, or NULL if the slot is
 * poisoned.
 */
static unsigned char *unbounded_item(struct fl__unbounded *c, struct fl__segment *s, uint64_t index)
{
	unsigned char *slot = fl__unbounded_slot(c, s, index);
	/* acquire: pairs with the release in fl__unbounded_fill() */
	const bool full = fl__likely(fl__load_acquire(fl__unbounded_state(c, slot)) == FL__SLOT_FULL);
	return full || fl__unbounded_await_slot(c, s, index) ? slot : NULL;
}

/*
 * Draws consecutive tickets for up to `n` items, and returns how many. The number of the first
 * ticket is `*index` in the segment `*s`. If the result is 0, `*rc` is -EAGAIN, -EPIPE or -ENOMEM.
 */
static FL__NOINLINE size_t unbounded_draw_tickets(struct fl__unbounded *c, size_t n, struct fl__segment **s,
                                                  uint64_t *index, int *rc)
{
	unsigned failed = 1; /* usually a claim of fl__unbounded_get_ready() has failed before */
	for (;;) {
		*s = fl__unbounded_segment(&c->head, FL__HAZARD_HEAD);
		if (fl__unlikely(!*s)) {
			*rc = -ENOMEM;
			return 0;
		}
		/*
		 * acquire: pairs with the releases below and in fl__unbounded_get_ready(), so that
		 * what happened before the get that wrote this head happened before the loads of
		 * the tail and of `next` below
		 */
		uint64_t head = fl__load_acquire(&(*s)->head);
		if (fl__unlikely(head >= c->slots)) {
			*rc = fl__unbounded_advance_head(c, *s);
			if (*rc != 0)
				return 0;
			continue;
		}
		*index = head;
		/*
		 * A filled slot has a ticket, so the tail, which producers write, need not be read.
		 * relaxed: unbounded_item() acquires the item. A consumer that reads the head
		 * written below may read a tail without this ticket ("Linearization points").
		 */
		size_t k = 0;
		while (k < n && head + k < c->slots &&
		       fl__load_relaxed(fl__unbounded_state_at(c, *s, head + k)) == FL__SLOT_FULL)
			k++;
		if (k == 0) {
			if (fl__mpmc_fall_behind(&c->caught_up, (*s)->first + head))
				continue;
			/*
			 * relaxed: it only says which slots have a ticket, not which ones are
			 * filled
			 */
			uint64_t word = fl__load_relaxed(&(*s)->tail);
			uint64_t tail = fl__unbounded_counted(c, *s, word);
			if (head >= tail) {
				*rc = word & FL__UNBOUNDED_CLOSED ? -EPIPE : -EAGAIN;
				return 0;
			}
			k = n < tail - head ? n : (size_t)(tail - head);
		}
		/* release: pairs with the acquire above, for what happened before this get */
		if (fl__likely(fl__cas_release(&(*s)->head, &head, head + k)))
			return k;
		fl__mpmc_back_off(++failed);
	}
}

/* Calls fl__unbounded_get_many() when there is no memory for hazard pointers. */
FL__SLOW_PATH static size_t unbounded_get_borrowing(struct fl__unbounded *c, void *items, size_t n, int *rc)
{
	FL__MAY_BORROW(borrowed);
	borrowed = fl__hazards_borrow();
	return fl__unbounded_get_many(c, items, n, rc);
}

size_t fl__unbounded_get_many(struct fl__unbounded *c, void *items, size_t n, int *rc)
{
	struct fl__segment *s;
	uint64_t index;
	size_t k, got = 0;
	while (got == 0 && (k = unbounded_draw_tickets(c, n, &s, &index, rc)) != 0)
		for (uint64_t end = index + k; index < end; index++) {
			const unsigned char *item = unbounded_item(c, s, index);
			if (fl__likely(item != NULL))
				fl__copy((unsigned char *)items + got++ * c->item_size, item, c->item_size);
		}
	return fl__unlikely(got == 0 && *rc == -ENOMEM) ? unbounded_get_borrowing(c, items, n, rc) : got;
}

/*
 * The functions from here to fl__unbounded_length() are not on an item's fast path, so they may
 * borrow hazard pointers.
 */

static struct fl__segment *unbounded_protect_or_borrow(struct fl__segment *const *at, enum fl__hazard place,
                                                       bool *borrowed)
{
	struct fl__segment *s = fl__unbounded_segment(at, place);
	if (s)
		return s;
	*borrowed = fl__hazards_borrow();
	return fl__unbounded_segment(at, place);
}

/*
 * Draws tickets as unbounded_draw_tickets() does, but does not fail with -ENOMEM. Also pins the
 * segment, which is then not freed before unbounded_unpin(), so that the caller may use the items
 * in place.
 */
static size_t unbounded_claim_pinned(struct fl__unbounded *c, size_t n, struct fl__segment **s, uint64_t *index,
                                     int *rc)
{
	FL__MAY_BORROW(borrowed);
	size_t k = unbounded_draw_tickets(c, n, s, index, rc);
	if (k == 0 && *rc == -ENOMEM) {
		borrowed = fl__hazards_borrow();
		k = unbounded_draw_tickets(c, n, s, index, rc);
	}
	/*
	 * relaxed: the caller's hazard pointer still protects the segment. The release that later
	 * moves the pointer away publishes the pin.
	 */
	if (k > 0)
		fl__add_relaxed(&(*s)->pins, 1u);
	return k;
}

static void unbounded_unpin(struct fl__segment *s)
{
	/*
	 * release: pairs with the acquire in unbounded_reclaim(), for what was done with the items
	 */
	fl__sub_release(&s->pins, 1u);
}

/* Returns a segment that was the last one at some moment of the call. */
static struct fl__segment *unbounded_last(struct fl__unbounded *c, bool *borrowed)
{
	for (;;) {
		struct fl__segment *s = unbounded_protect_or_borrow(&c->tail, FL__HAZARD_TAIL, borrowed);
		/* acquire: pairs with the release in unbounded_append() */
		uintptr_t next = fl__load_acquire(&s->next);
		if (next < UNBOUNDED_NEXT_SEGMENT)
			return s;
		unbounded_advance(&c->tail, s, next);
	}
}

/* Sets CLOSED in the tail of `s` (invariant 8). Returns false if each slot of `s` has a ticket. */
static bool unbounded_close_tail(struct fl__unbounded *c, struct fl__segment *s)
{
	for (;;) {
		/*
		 * acquire: pairs with the release below, so that the tail, read next, has at least
		 * as many tickets as `end`
		 */
		uint64_t end = fl__load_acquire(&s->end);
		/* relaxed: a stale value only makes the last CAS fail */
		uint64_t word = fl__load_relaxed(&s->tail);
		const uint64_t tickets = word / FL__UNBOUNDED_TICKET;
		if (word & FL__UNBOUNDED_CLOSED)
			return true;
		if (tickets >= c->slots)
			return false;
		/*
		 * release: pairs with the acquire above, for the tail with this number of tickets
		 */
		if (end != tickets && !fl__cas_release(&s->end, &end, tickets))
			continue;
		/* release: pairs with the acquire in fl__unbounded_closed_tickets(), for `end` */
		if (fl__cas_release(&s->tail, &word, word | FL__UNBOUNDED_CLOSED))
			return true;
	}
}

static bool unbounded_close_last(struct fl__unbounded *c, struct fl__segment *s)
{
	if (unbounded_close_tail(c, s))
		return true;
	/*
	 * relaxed, both: a stale value only makes the CAS fail, and CLOSED publishes nothing else
	 */
	uintptr_t next = fl__load_relaxed(&s->next);
	while (next < UNBOUNDED_NEXT_SEGMENT)
		if (fl__cas_weak_relaxed(&s->next, &next, UNBOUNDED_NEXT_CLOSED))
			return true;
	return false;
}

void fl__unbounded_close(struct fl__unbounded *c)
{
	FL__MAY_BORROW(borrowed);
	while (!unbounded_close_last(c, unbounded_last(c, &borrowed)))
		;
}

bool fl__unbounded_is_closed(struct fl__unbounded *c)
{
	FL__MAY_BORROW(borrowed);
	struct fl__segment *s = unbounded_last(c, &borrowed);
	/* relaxed, both: the result says nothing about the items */
	return fl__load_relaxed(&s->tail) & FL__UNBOUNDED_CLOSED || fl__load_relaxed(&s->next) == UNBOUNDED_NEXT_CLOSED;
}

/* Tries fl__unbounded_mark_empty() once. Returns its result, or 1 if the caller must look again. */
static int unbounded_mark_last(struct fl__unbounded *c, struct fl__segment *s)
{
	/* relaxed: if this head equals the tail of the CAS below, it is also the newest head */
	uint64_t head = fl__load_relaxed(&s->head);
	if (head >= c->slots) {
		int rc = fl__unbounded_advance_head(c, s);
		uintptr_t none = 0;
		if (rc != -EAGAIN)
			return rc == 0 ? 1 : rc;
		/*
		 * relaxed: the mark publishes nothing. The put that appends reads this word, and
		 * then finds the waiter in the parking lot.
		 */
		return fl__cas_relaxed(&s->next, &none, UNBOUNDED_NEXT_WAIT) || none == UNBOUNDED_NEXT_WAIT ? 0 : 1;
	}
	/* relaxed: a stale value only makes the CAS below fail */
	uint64_t word = fl__load_relaxed(&s->tail);
	if (head < fl__unbounded_counted(c, s, word))
		return -EAGAIN;
	if (word & FL__UNBOUNDED_CLOSED)
		return -EPIPE;
	/*
	 * The CAS is made even if WAIT is set, because a put may just be clearing it. relaxed: the
	 * mark publishes nothing. The put that draws the next ticket reads this word, and then
	 * finds the waiter in the parking lot.
	 */
	return fl__cas_relaxed(&s->tail, &word, word | FL__UNBOUNDED_WAIT) ? 0 : 1;
}

FL__COLD int fl__unbounded_mark_empty(struct fl__unbounded *c)
{
	FL__MAY_BORROW(borrowed);
	int rc;
	do
		rc = unbounded_mark_last(c, unbounded_protect_or_borrow(&c->head, FL__HAZARD_HEAD, &borrowed));
	while (rc == 1);
	return rc;
}

static uint64_t unbounded_tickets(const struct fl__unbounded *c, const struct fl__segment *s)
{
	/* relaxed: it is only a count */
	return s->first + fl__unbounded_counted(c, s, fl__load_relaxed(&s->tail));
}

uint64_t fl__unbounded_puts(struct fl__unbounded *c)
{
	FL__MAY_BORROW(borrowed);
	/*
	 * acquire: pairs with the release in fl__unbounded_await_slot(). `poisoned` is read before
	 * the number of tickets, so the difference includes all items that were put before, and
	 * perhaps some tickets whose slots were poisoned since.
	 */
	uint64_t poisoned = fl__load_acquire(&c->poisoned);
	return unbounded_tickets(c, unbounded_last(c, &borrowed)) - poisoned;
}

FL__COLD size_t fl__unbounded_length(struct fl__unbounded *c)
{
	FL__MAY_BORROW(borrowed);
	struct fl__segment *s = unbounded_protect_or_borrow(&c->head, FL__HAZARD_HEAD, &borrowed);
	/*
	 * acquire: pairs with the releases in unbounded_draw_tickets() and
	 * fl__unbounded_get_ready(). The tail is read after it.
	 */
	uint64_t taken = s->first + fl__load_acquire(&s->head);
	uint64_t put = unbounded_tickets(c, unbounded_last(c, &borrowed));
	return put > taken ? (size_t)(put - taken) : 0;
}

/*
 * The backend of an unbounded FIFO queue. No producer waits for space, so that side has no mark. No
 * call waits for another one (invariant 3), so there is no -EBUSY. The put that clears WAIT wakes a
 * waiter when it ends, whatever its result. If this put has failed for lack of memory, the waiter
 * finds the queue empty and sets WAIT again.
 *
 * puts() is the number of tickets, including those of puts in progress, minus the number of tickets
 * whose slots were poisoned. It decreases when a consumer poisons a slot. If the queue is closed by
 * then, the put of that slot may return -EPIPE. In this case no consumer gets its item or calls
 * fl_queue_task_done() for it. Therefore the consumer that poisons the slot calls
 * fl__queue_recheck_join(). A joiner counts inside a transaction of the parking lot, and the
 * consumer opens a transaction after it has counted. So either the consumer finds the joiner, or
 * the joiner reads the new count.
 *
 * In a queue with one consumer, only the get differs. Only that consumer marks and discards, which
 * moves the head and retires segments. No other context moves the head, and the others use a
 * segment only while a hazard pointer protects it.
 */

/* Aligns the state, because malloc() aligns it to less than struct fl__unbounded needs. */
static struct fl__unbounded *unbounded_of(void *state)
{
	return fl__align_to_line(state);
}

static void unbounded_recheck_join(void *state)
{
	fl__queue_recheck_join(fl__queue_of_state(state));
}

static int unbounded_init(void *state, size_t item_size, const fl_queue_config *config)
{
	struct fl__unbounded *c = unbounded_of(state);
	c->one_consumer = config->one_consumer;
	c->on_poison = unbounded_recheck_join;
	c->of = state;
	return fl__unbounded_init(c, item_size, 0);
}

static void unbounded_fini(void *state)
{
	fl__unbounded_end(unbounded_of(state));
}

static int unbounded_put(void *state, const void *items, size_t n, size_t *count, bool *owes_wake)
{
	int rc = 0;
	*count = fl__unbounded_put_many(unbounded_of(state), items, n, &rc, owes_wake);
	return *count == n ? 0 : rc;
}

static bool unbounded_put_one(fl_queue *q, const void *item)
{
	bool owes_wake = false;
	const int rc = fl__unbounded_put(unbounded_of(q->state), item, &owes_wake);
	if (fl__unlikely(owes_wake))
		fl__queue_wake(q, FL__CONSUMERS);
	return rc == 0;
}

/* Gets up to `n` items, and returns how many. If it returns 0, `*rc` is -EAGAIN or -EPIPE. */
static size_t unbounded_get_some(struct fl__unbounded *c, void *items, size_t n, int *rc)
{
	size_t got = 0;
	if (!c->one_consumer)
		return fl__unbounded_get_many(c, items, n, rc);
	while (got < n && (*rc = fl__unbounded_get_mpsc_slow(c, (unsigned char *)items + got * c->item_size)) == 0)
		got++;
	return got;
}

static int unbounded_get(void *state, void *items, size_t n, size_t *count, bool *owes_wake)
{
	int rc = 0;
	*owes_wake = false;
	*count = unbounded_get_some(unbounded_of(state), items, n, &rc);
	return *count > 0 ? 0 : rc;
}

static bool unbounded_get_one(fl_queue *q, void *item)
{
	struct fl__unbounded *c = unbounded_of(q->state);
	return c->one_consumer ? fl__unbounded_get_mpsc(c, item) == 0 : fl__unbounded_get_ready(c, item);
}

FL__COLD static int unbounded_discard(fl_queue *of, size_t *count, bool *owes_wake)
{
	struct fl__unbounded *c = unbounded_of(of->state);
	struct fl__segment *s;
	uint64_t index;
	int rc = 0;
	*count = 0;
	*owes_wake = false;
	size_t k = unbounded_claim_pinned(c, SIZE_MAX, &s, &index, &rc);
	if (k == 0)
		return rc;
	for (; k > 0; k--, index++) {
		void *item = unbounded_item(c, s, index);
		if (!item)
			continue;
		fl__queue_drop(of, item);
		++*count;
	}
	unbounded_unpin(s);
	return 0;
}

/* For a get, also returns 0 while a put is in progress that has not filled its slot yet. */
static int unbounded_can(void *state, enum fl__queue_side side)
{
	struct fl__unbounded *c = unbounded_of(state);
	/*
	 * It is read before the length, so the length includes all puts that happened before the
	 * call. A put during the call may be missing. Then the result is -EPIPE although there is
	 * an item, but the get that the caller tries next finds it.
	 */
	const bool closed = fl__unbounded_is_closed(c);
	if (side == FL__PRODUCERS ? !closed : fl__unbounded_length(c) > 0)
		return 0;
	return closed ? -EPIPE : -EAGAIN;
}

static bool unbounded_mark(void *state, enum fl__queue_side side)
{
	return side == FL__CONSUMERS && fl__unbounded_mark_empty(unbounded_of(state)) == 0;
}

static void unbounded_close(void *state)
{
	fl__unbounded_close(unbounded_of(state));
}

static size_t unbounded_length(void *state)
{
	return fl__unbounded_length(unbounded_of(state));
}

static uint64_t unbounded_puts(void *state)
{
	return fl__unbounded_puts(unbounded_of(state));
}

const struct fl__queue_backend fl__backend_unbounded = {
    .size = sizeof(struct fl__unbounded) + FL__LINE - 1,
    .init = unbounded_init,
    .fini = unbounded_fini,
    .put = unbounded_put,
    .get = unbounded_get,
    .put_one = unbounded_put_one,
    .get_one = unbounded_get_one,
    .discard = unbounded_discard,
    .can = unbounded_can,
    .mark = unbounded_mark,
    .close = unbounded_close,
    .length = unbounded_length,
    .puts = unbounded_puts,
    .puts_decrease = true,
};
