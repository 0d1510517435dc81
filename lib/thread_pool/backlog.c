/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The backlog: a bounded lock-free ring (lib/queue/mpmc.c), a list for tasks that find the ring
 * full, and a list for tasks that were taken out of the ring to reach a task behind them.
 *
 *   word          holds                                written by
 *   ring          the oldest tasks                     any thread: claims by CAS; from `list` under
 *                                                      the lock
 *   list          the newest tasks, when the ring was  under the lock
 *                 full
 *   early         tasks that were in the ring before   under the lock; their `queued` is FL__EARLY
 *                 a task that was dug out: older than
 *                 all that is in the ring
 *   overflowing   FL__LATE while `list` is not empty,  under the lock; producers and workers
 *                 FL__EARLY while `early` is not       read it
 *   dead          claimed tasks in ring and lists:     +1 by a claimer that leaves the task there,
 *                 see struct fl__task_block, `parting`       -1 by the thread that takes it out;
 *                                                      relaxed: says when to search the lists, and
 *                                                      for statistics
 *
 * Invariants
 *   1. Order: a producer that has added to `list` finds `overflowing` set until `list` was emptied
 *      into the ring. So its next task comes behind. `list` goes into the ring from its head, under
 *      the lock.
 *   2. While `list` is not empty the ring may be. So a worker looks at both under the lock before
 *      it sleeps. Then the mark of the ring (mpmc.c, invariant 4) stands for both: `list` grows
 *      only under the lock, and a producer that adds to it wakes a worker.
 *   3. Nothing goes into the ring or `list` once the ring is closed, under the lock. Tasks left in
 *      `list` are then taken from there.
 *   4. While `early` is not empty, tasks are taken from it, under the lock. For sleepers it counts
 *      as `list` does. A worker that read `overflowing` just before may take a newer task from the
 *      ring: the order of submission is broken only while a task is dug out.
 *
 * A task that was cancelled, or that a waiter has run, stays until it is taken: nothing can be
 * removed from the middle of a ring. The ring bounds their number there. The lists are searched
 * when at least half of their tasks are dead, and as many as the ring has slots, even if all tasks
 * of the ring are dead too.
 */
#include "backlog.h"
#include "../base/atomic.h"
#include "../base/sys.h"
#include <errno.h>

/*
 * Slots: a burst of some thousand tasks takes no lock. A macro, so that in the model checker
 * (fairlead-stress) few tasks overflow it.
 */
#ifndef FL__BACKLOG_RING
#define FL__BACKLOG_RING 16384
#endif

enum { RING = FL__BACKLOG_RING };

int fl__backlog_init(struct fl__backlog *b)
{
	return fl__mpmc_init(&b->ring, sizeof(struct fl__task_block *), RING, 0);
}

void fl__backlog_fini(struct fl__backlog *b)
{
	fl__mpmc_fini(&b->ring);
}

static uint32_t lists(const struct fl__backlog *b)
{
	return (b->list.head ? FL__LATE : 0) | (b->early.head ? FL__EARLY : 0);
}

int fl__backlog_add_locked(struct fl__backlog *b, struct fl__task_block *block)
{
	bool marked; /* unused: the caller wakes in any case */
	if (fl__mpmc_is_closed(&b->ring))
		return -EPIPE;
	if (!b->list.head && fl__backlog_put(b, block, &marked) == 0)
		return 0;
	fl__queue_add(&b->list, block);
	/* seq_cst: then the producer checks which worker to wake: see pool_search.c */
	fl__store_seq_cst(&b->overflowing, lists(b));
	return 0;
}

/* Moves tasks from the list to the ring, until the ring is full. */
static void refill(struct fl__backlog *b)
{
	bool marked; /* unused: the caller has a task, and wakes a worker for the next */
	struct fl__task_block *block;
	while ((block = b->list.head) != NULL) {
		fl__queue_remove(&b->list, block);
		if (fl__backlog_put(b, block, &marked) != 0) {
			fl__queue_add_first(&b->list, block);
			return;
		}
	}
	/* relaxed: a thread that still sees a flag looks again under the lock */
	fl__store_relaxed(&b->overflowing, lists(b));
}

struct fl__task_block *fl__backlog_take_locked(struct fl__backlog *b)
{
	struct fl__task_block *block = b->early.head;
	if (block) {
		fl__queue_remove(&b->early, block);
		fl__store_relaxed(&b->overflowing, lists(b)); /* relaxed: as in refill() */
		return block;
	}
	block = fl__backlog_take(b);
	if (block || !b->list.head)
		return block;
	const int rc = fl__mpmc_can_get(&b->ring);
	/* the ring has an item, older than the list: the caller looks again */
	if (rc == 0 || rc == -EBUSY)
		return NULL;
	block = b->list.head;
	fl__queue_remove(&b->list, block);
	refill(b);
	return block;
}

/* Moves the claimed tasks. */
static void sweep(struct fl__queue *from, struct fl__queue *dead)
{
	for (struct fl__task_block *next, *block = from->head; block; block = next) {
		next = block->next;
		if (fl__future_is_claimed(&block->future)) {
			fl__queue_remove(from, block);
			fl__queue_add(dead, block);
			block->queued = FL__APART;
		}
	}
}

struct fl__task_block *fl__backlog_take_dead(struct fl__backlog *b)
{
	/*
	 * At least so many dead tasks are in the lists: the ring has no more than RING. relaxed:
	 * how often this searches affects only memory.
	 */
	const int32_t listed = (int32_t)fl__load_relaxed(&b->dead) - RING;
	if (listed < RING || (size_t)listed < (b->early.length + b->list.length) / 2)
		return NULL;
	struct fl__queue dead = {NULL, NULL, 0};
	sweep(&b->early, &dead);
	sweep(&b->list, &dead);
	fl__store_relaxed(&b->overflowing, lists(b)); /* relaxed: as in refill() */
	/* relaxed: as above; dead tasks in the ring stay counted */
	fl__sub_relaxed(&b->dead, (uint32_t)dead.length);
	return dead.head;
}

/*
 * Takes `wanted` out of the ring, and moves all that is before it to `early`. False: `wanted` is
 * not there.
 */
static bool unearth(struct fl__backlog *b, const struct fl__task_block *wanted)
{
	/* the ring held at most RING tasks when the lock was taken */
	for (unsigned n = 0, round = 0; n < RING;) {
		struct fl__task_block *block;
		bool nobody_sleeps;
		const int rc = fl__mpmc_get(&b->ring, &block, sizeof block, &nobody_sleeps);
		if (rc == -EBUSY) {
			fl__back_off(round++); /* an accepted put is not yet published */
			continue;
		}
		if (rc != 0)
			return false;
		if (block == wanted)
			return true;
		fl__queue_add(&b->early, block);
		block->queued = FL__EARLY;
		n++;
	}
	return false;
}

bool fl__backlog_dig(struct fl__backlog *b, struct fl__task_block *block)
{
	bool found = block->queued != FL__APART;
	if (block->queued == 0)
		found = unearth(b, block);
	else if (found)
		fl__queue_remove(block->queued == FL__EARLY ? &b->early : &b->list, block);
	fl__store_seq_cst(&b->overflowing, lists(b)); /* seq_cst: as in fl__backlog_add_locked() */
	return found;
}

bool fl__backlog_any(struct fl__backlog *b)
{
	/* relaxed: a hint; a worker looks under the lock before it sleeps */
	if (fl__load_relaxed(&b->overflowing))
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
	(void)fl__mpmc_close(&b->ring); /* false: already closed */
}

bool fl__backlog_is_over(struct fl__backlog *b)
{
	return lists(b) == 0 && fl__mpmc_can_get(&b->ring) == -EPIPE;
}
