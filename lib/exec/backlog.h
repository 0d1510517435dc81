/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_EXEC_BACKLOG_H
#define FL_EXEC_BACKLOG_H

#include "../base/atomic.h"
#include "../queue/mpmc.h"
#include "executor.h"
#include <errno.h>

/*
 * The backlog of the thread executor: the tasks that were submitted and not yet taken, in the order of submission. A ring
 * without locks, a list behind it for what the ring has no room for, and one before it. backlog.c says how they go together.
 *
 * Whoever calls a function "under the lock" holds the executor's; the others hold it not.
 */
struct fl__backlog {
	struct fl__mpmc ring; /* of pointers to cells */
	uint32_t overflowing; /* FL__EARLY, FL__LATE: which of the lists are not empty; written under the lock */
	uint32_t dead;        /* about how many in ring and list were claimed without being taken out */
	struct fl__queue early, list;
};

enum { FL__LATE = FL__IN_QUEUE, FL__EARLY = 2 }; /* also in cell->queued, of what is in a list */

/* Returns 0, -ENOMEM. */
int fl__backlog_init(struct fl__backlog *b);
void fl__backlog_fini(struct fl__backlog *b);

/* Puts a cell into the ring: as fl__mpmc_put(), but that its address is stored as an atomic, for fl__backlog_fetch_ahead(). */
static inline int fl__backlog_put(struct fl__backlog *b, struct fl__cell *cell, bool *marked)
{
	struct fl__mpmc_claim claim;
	const int rc = fl__mpmc_claim_space(&b->ring, 1, &claim);
	if (__builtin_expect(rc != 0, 0))
		return rc;
	*marked = claim.owes_wake;
	unsigned char *slot = fl__mpmc_slot(&b->ring, claim.at);
	/* relaxed: as the copy in fl__mpmc_fill() */
	fl__store_relaxed((struct fl__cell **)(void *)(slot + b->ring.offset), cell);
	/* release: cell and item are whole; pairs with the loads of fl__mpmc_claim_item() */
	fl__store_release(fl__mpmc_stamp(slot), claim.at + FL__MPMC_ITEM);
	return 0;
}

/*
 * By who has taken a task: begins to fetch the one after the next, that another will not have begun with, while there is something to do: the
 * claim of a task waits for its line. A hint: the address is used for nothing else, for the cell may be another's by now, or gone.
 */
static inline void fl__backlog_fetch_ahead(const struct fl__backlog *b)
{
	/* relaxed, all: a guess */
	const uint64_t head = fl__load_relaxed(&b->ring.head) & ~(uint64_t)FL__MPMC_FLAGS;
	const uint64_t at = fl__mpmc_next(&b->ring, head);
	unsigned char *slot = fl__mpmc_slot(&b->ring, at);
	if (fl__load_relaxed(fl__mpmc_stamp(slot)) == at + FL__MPMC_ITEM)
		fl__cell_fetch(fl__load_relaxed((struct fl__cell **)(void *)(slot + b->ring.offset)));
}

/*
 * Adds a task, if the ring takes it and nothing is in the list. Returns 0, and whether it took a mark (fl__backlog_mark());
 * -EAGAIN: it is one for fl__backlog_add_locked(); -EPIPE: closed.
 */
static inline int fl__backlog_add(struct fl__backlog *b, struct fl__cell *cell, bool *marked)
{
	/* relaxed: who has added to the list sees that himself, and only his own order is promised */
	if (__builtin_expect(fl__load_relaxed(&b->overflowing), 0))
		return -EAGAIN;
	const int rc = fl__backlog_put(b, cell, marked);
	return rc == -EBUSY ? -EAGAIN : rc;
}

/* The same under the lock; always 0 or -EPIPE. */
int fl__backlog_add_locked(struct fl__backlog *b, struct fl__cell *cell);

/* Takes the oldest task. NULL: there is none, or it is one for fl__backlog_take_locked(). */
static inline struct fl__cell *fl__backlog_take(struct fl__backlog *b)
{
	struct fl__cell *cell;
	bool nobody_sleeps;
	/* relaxed: who has put something there sees that himself; others look again */
	if (__builtin_expect(fl__load_relaxed(&b->overflowing) & FL__EARLY, 0))
		return NULL;
	if (fl__mpmc_get(&b->ring, &cell, sizeof cell, &nobody_sleeps) != 0)
		return NULL;
	fl__backlog_fetch_ahead(b);
	return cell;
}

struct fl__cell *fl__backlog_take_locked(struct fl__backlog *b);

/*
 * Under the lock: when many of the list may be dead (claimed by others than workers), takes those out that are. Returns them, linked
 * by `next`; NULL: none, or not yet.
 */
struct fl__cell *fl__backlog_take_dead(struct fl__backlog *b);

/*
 * Under the lock: takes this task, which was added before, out of the middle. What was before it is then taken first, and under the lock; who
 * has called wakes somebody for that. False: another has taken it.
 */
bool fl__backlog_dig(struct fl__backlog *b, struct fl__cell *cell);

/* Whether a task may be there: a look in between. */
bool fl__backlog_any(struct fl__backlog *b);

/*
 * Under the lock, for who wants to sleep: whether the backlog is empty and open at that moment; then whoever adds the next task finds
 * the mark, or adds it under the lock, and sees what was done before.
 */
bool fl__backlog_mark(struct fl__backlog *b);

/* How many tasks wait, about: those that are dead are counted. Under the lock. */
size_t fl__backlog_length(struct fl__backlog *b);

/* Under the lock. Nothing more goes in. */
void fl__backlog_close(struct fl__backlog *b);

/* Under the lock. Closed, and empty for ever. */
bool fl__backlog_is_over(struct fl__backlog *b);

#endif
