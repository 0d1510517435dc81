/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The backlog: a bounded ring without locks (lib/queue/mpmc.c), a list for what it has no room for, and one for what was taken out of
 * it to get at something behind.
 *
 *   word          holds                                   written by
 *   ring          the oldest tasks                        anybody: claims by CAS; put aside from the list under the lock
 *   list          the newest, when the ring was full      under the lock
 *   early         what was in the ring, before what was   under the lock; a cell there has FL__EARLY in `queued`
 *                 dug out: older than all that is there
 *   overflowing   FL__LATE while the list is not empty,   under the lock; read by whoever adds or takes
 *                 FL__EARLY while `early` is not
 *   dead          tasks that are in ring or list, but     +1 by whoever claimed one without taking it out, -1 by whoever
 *                 claimed: see struct fl__cell, `parting` takes it out; relaxed: it tells when to look through the lists,
 *                                                         and, for statistics, what does not wait
 *
 * Invariants
 *   1. Order: whoever has added to the list finds `overflowing` set until the list was emptied into the ring, so what he adds next
 *      comes behind. The list goes into the ring from its head, under the lock.
 *   2. While the list is not empty the ring may be; so nobody sleeps before he has looked at both under the lock. There the mark
 *      of the ring (mpmc.c, invariant 4) stands for both: the list can only become longer under the lock. Who adds there wakes by
 *      himself.
 *   3. Once the ring is closed, nothing goes into it, and nothing into the list: it is closed under the lock. What is in the list is
 *      then taken from there.
 *
 *   4. While `early` is not empty, tasks are taken from there, under the lock; for sleepers it is as the list is. A worker that has
 *      looked for it just before may take from the ring what was behind it: only while something is dug out the order of submission
 *      is not kept.
 *
 * A task that was cancelled, or that somebody who waits for it has run, stays where it is until it is taken: nothing can be removed from
 * the middle of a ring. In the ring that is bounded. The lists are looked
 * through when as many there are dead as not, and as many as the ring has slots, even if all of the ring is.
 */
#include "backlog.h"
#include "../base/atomic.h"
#include "../base/sys.h"
#include <errno.h>

/* Slots: a burst of some thousand tasks goes without locks. A define, so that in the model few tasks are more than it has room for. */
#ifndef FL__BACKLOG_RING
#define FL__BACKLOG_RING 16384
#endif

enum { RING = FL__BACKLOG_RING };

int fl__backlog_init(struct fl__backlog *b)
{
	return fl__mpmc_init(&b->ring, sizeof(struct fl__cell *), RING, 0);
}

void fl__backlog_fini(struct fl__backlog *b)
{
	fl__mpmc_fini(&b->ring);
}

static uint32_t lists(const struct fl__backlog *b)
{
	return (b->list.head ? FL__LATE : 0) | (b->early.head ? FL__EARLY : 0);
}

int fl__backlog_add_locked(struct fl__backlog *b, struct fl__cell *cell)
{
	bool marked; /* the caller wakes in any case */
	if (fl__mpmc_is_closed(&b->ring))
		return -EPIPE;
	if (!b->list.head && fl__backlog_put(b, cell, &marked) == 0)
		return 0;
	fl__queue_add(&b->list, cell);
	fl__store_seq_cst(&b->overflowing, lists(b)); /* and then the adder looks whom to wake: see pool_search.c */
	return 0;
}

/* Moves what fits. */
static void refill(struct fl__backlog *b)
{
	bool marked; /* the caller has work, and wakes the next one for what is left */
	struct fl__cell *cell;
	while ((cell = b->list.head) != NULL) {
		fl__queue_remove(&b->list, cell);
		if (fl__backlog_put(b, cell, &marked) != 0) {
			fl__queue_add_first(&b->list, cell);
			return;
		}
	}
	fl__store_relaxed(&b->overflowing, lists(b)); /* relaxed: who takes it for more looks under the lock */
}

struct fl__cell *fl__backlog_take_locked(struct fl__backlog *b)
{
	struct fl__cell *cell = b->early.head;
	if (cell) {
		fl__queue_remove(&b->early, cell);
		fl__store_relaxed(&b->overflowing, lists(b)); /* relaxed: as in refill() */
		return cell;
	}
	cell = fl__backlog_take(b);
	if (cell || !b->list.head)
		return cell;
	const int rc = fl__mpmc_can_get(&b->ring);
	if (rc == 0 || rc == -EBUSY) /* it is not empty, and older than the list: the caller looks again */
		return NULL;
	cell = b->list.head;
	fl__queue_remove(&b->list, cell);
	refill(b);
	return cell;
}

/* Moves those that are claimed. */
static void sweep(struct fl__queue *from, struct fl__queue *dead)
{
	for (struct fl__cell *next, *cell = from->head; cell; cell = next) {
		next = cell->next;
		if (fl__future_is_claimed(&cell->future)) {
			fl__queue_remove(from, cell);
			fl__queue_add(dead, cell);
			cell->queued = FL__APART;
		}
	}
}

struct fl__cell *fl__backlog_take_dead(struct fl__backlog *b)
{
	/* Those in the lists, or less: the ring has no more than that. Relaxed: how often is a matter of memory alone. */
	const int32_t listed = (int32_t)fl__load_relaxed(&b->dead) - RING;
	if (listed < RING || (size_t)listed < (b->early.length + b->list.length) / 2)
		return NULL;
	struct fl__queue dead = {NULL, NULL, 0};
	sweep(&b->early, &dead);
	sweep(&b->list, &dead);
	fl__store_relaxed(&b->overflowing, lists(b));     /* relaxed: as in refill() */
	fl__sub_relaxed(&b->dead, (uint32_t)dead.length); /* relaxed: as above; those in the ring are still counted */
	return dead.head;
}

/* Moves what is before `wanted` in the ring into `early`, and takes that. False: it is not there any more. */
static bool unearth(struct fl__backlog *b, const struct fl__cell *wanted)
{
	for (unsigned n = 0, round = 0; n < RING;) { /* more than that were not there before the lock was taken */
		struct fl__cell *cell;
		bool nobody_sleeps;
		const int rc = fl__mpmc_get(&b->ring, &cell, sizeof cell, &nobody_sleeps);
		if (rc == -EBUSY) {
			fl__back_off(round++); /* a put that was accepted is not yet to be seen */
			continue;
		}
		if (rc != 0)
			return false;
		if (cell == wanted)
			return true;
		fl__queue_add(&b->early, cell);
		cell->queued = FL__EARLY;
		n++;
	}
	return false;
}

bool fl__backlog_dig(struct fl__backlog *b, struct fl__cell *cell)
{
	bool found = cell->queued != FL__APART;
	if (cell->queued == 0)
		found = unearth(b, cell);
	else if (found)
		fl__queue_remove(cell->queued == FL__EARLY ? &b->early : &b->list, cell);
	fl__store_seq_cst(&b->overflowing, lists(b)); /* as in fl__backlog_add_locked() */
	return found;
}

bool fl__backlog_any(struct fl__backlog *b)
{
	if (fl__load_relaxed(&b->overflowing)) /* relaxed: a look; who sleeps looks under the lock */
		return true;
	const int rc = fl__mpmc_can_get(&b->ring);
	return rc == 0 || rc == -EBUSY;
}

bool fl__backlog_mark(struct fl__backlog *b)
{
	return lists(b) == 0 && fl__mpmc_mark_empty(&b->ring);
}

size_t fl__backlog_length(struct fl__backlog *b)
{
	return b->early.length + fl__mpmc_length(&b->ring) + b->list.length;
}

void fl__backlog_close(struct fl__backlog *b)
{
	(void)fl__mpmc_close(&b->ring); /* false: it was closed before */
}

bool fl__backlog_is_over(struct fl__backlog *b)
{
	return lists(b) == 0 && fl__mpmc_can_get(&b->ring) == -EPIPE;
}
