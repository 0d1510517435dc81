/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The backlog: a bounded lock-free ring (lib/core/queue/mpmc.c), the list `late` for tasks that
 * find the ring full, and the list `early` for tasks that were taken out of the ring to reach a
 * task behind them.
 *
 *   word          holds                                written by
 *   ring          the oldest tasks                     any thread: claims by CAS; from `late` under
 *                                                      the lock
 *   late          the newest tasks, if the ring was    under the lock
 *                 full
 *   early         tasks that were in the ring before   under the lock; their `queued` is
 *                 a task that was removed: older than  FL__BACKLOG_EARLY
 *                 all tasks in the ring
 *   overflowing   FL__BACKLOG_LATE while `late` is     under the lock; producers and workers read
 *                 not empty, FL__BACKLOG_EARLY while   it
 *                 `early` is not
 *   n_claimed     claimed tasks in ring and lists      +1 by a claimer that leaves the task there,
 *                                                      -1 by the thread that takes it out;
 *                                                      relaxed: says when to search the lists, and
 *                                                      for statistics
 *
 * Invariants
 *   1. Order: a producer that has added to `late` finds `overflowing` set until `late` was emptied
 *      into the ring, from its head, under the lock. So its next task comes behind.
 *   2. While `late` is not empty the ring may be empty. So a worker checks both under the lock
 *      before it sleeps. Then the mark of the ring (mpmc.c, invariant 4) stands for both: `late`
 *      grows only under the lock, and a producer that adds to it wakes a worker.
 *   3. Nothing goes into the ring or `late` once the ring is closed, under the lock. Tasks left in
 *      `late` are then taken from there.
 *   4. While `early` is not empty, tasks are taken from it, under the lock. For sleepers it counts
 *      as `late` does. A worker that read `overflowing` just before may take a newer task from the
 *      ring: the order of submission is broken only while a task is removed.
 *
 * A task that was cancelled, or that a waiter has run, stays until it is taken, since nothing can
 * be removed from the middle of a ring. The ring bounds their number there. The lists are searched
 * if at least half of their tasks are claimed, and at least as many as the ring has slots. The
 * count assumes that all tasks of the ring are claimed, too.
 */
#include "backlog.h"
#include "../base/atomic.h"
#include "../base/list.h"
#include "../base/sys.h"
#include <errno.h>

/* Slots: a burst of some thousand tasks takes no lock. A macro, for the model's small ring. */
#ifndef FL__BACKLOG_RING
#define FL__BACKLOG_RING 16384
#endif

enum { BACKLOG_RING = FL__BACKLOG_RING };

int fl__backlog_init(struct fl__backlog *b, const fl_allocator *allocator)
{
	return fl__mpmc_init_from(&b->ring, allocator, sizeof(struct fl__task_block *), BACKLOG_RING, 0);
}

void fl__backlog_fini(struct fl__backlog *b, const fl_allocator *allocator)
{
	fl__free_to(allocator, b->ring.slots);
}

static uint32_t backlog_lists(const struct fl__backlog *b)
{
	return (b->late.head ? FL__BACKLOG_LATE : 0) | (b->early.head ? FL__BACKLOG_EARLY : 0);
}

int fl__backlog_add_locked(struct fl__backlog *b, struct fl__task_block *block)
{
	bool marked; /* unused: the caller wakes in any case */
	if (fl_mpmc_is_closed(&b->ring))
		return -EPIPE;
	if (!b->late.head && fl__backlog_put(b, block, &marked))
		return 0;
	fl__task_list_add(&b->late, block);
	/* then the producer checks which worker to wake: see thread_pool.c */
	fl__store_seq_cst(&b->overflowing, backlog_lists(b));
	return 0;
}

static void backlog_refill(struct fl__backlog *b)
{
	bool marked; /* the caller has a task, and wakes a worker for the next */
	struct fl__task_block *block;
	while ((block = b->late.head) != NULL) {
		fl__task_list_remove(&b->late, block);
		if (!fl__backlog_put(b, block, &marked)) {
			fl__task_list_add_first(&b->late, block);
			return;
		}
	}
	/* a thread that still sees a flag looks again under the lock */
	fl__store_relaxed(&b->overflowing, backlog_lists(b));
}

struct fl__task_block *fl__backlog_take_locked(struct fl__backlog *b)
{
	struct fl__task_block *block = b->early.head;
	if (block) {
		fl__task_list_remove(&b->early, block);
		fl__store_relaxed(&b->overflowing, backlog_lists(b)); /* as in backlog_refill() */
		return block;
	}
	block = fl__backlog_take(b);
	if (block || !b->late.head)
		return block;
	const int rc = fl__mpmc_can_get(&b->ring);
	/* the ring has an item, older than `late`: again */
	if (rc == 0 || rc == -EBUSY)
		return NULL;
	block = b->late.head;
	fl__task_list_remove(&b->late, block);
	backlog_refill(b);
	return block;
}

static void backlog_move_claimed(struct fl__task_list *from, struct fl__task_list *claimed)
{
	FL__EACH_SAFE (struct fl__task_block, block, from->head) {
		if (fl__future_is_claimed(&block->future)) {
			fl__task_list_remove(from, block);
			fl__task_list_add(claimed, block);
		}
	}
}

struct fl__task_block *fl__backlog_take_claimed(struct fl__backlog *b)
{
	/* at least so many claimed tasks are in the lists; searches only save memory */
	const int32_t listed = (int32_t)fl__load_relaxed(&b->n_claimed) - BACKLOG_RING;
	if (listed < BACKLOG_RING || (size_t)listed < (b->early.length + b->late.length) / 2)
		return NULL;
	struct fl__task_list claimed = {NULL, NULL, 0};
	backlog_move_claimed(&b->early, &claimed);
	backlog_move_claimed(&b->late, &claimed);
	fl__store_relaxed(&b->overflowing, backlog_lists(b)); /* as in backlog_refill() */
	/* as above; claimed tasks in the ring stay counted */
	fl__sub_relaxed(&b->n_claimed, (uint32_t)claimed.length);
	return claimed.head;
}

/* Takes `wanted` out of the ring; moves all before it to `early`. False: `wanted` is not there. */
static bool backlog_take_up_to(struct fl__backlog *b, const struct fl__task_block *wanted)
{
	/* the ring had at most BACKLOG_RING tasks when the lock was acquired */
	for (unsigned n = 0, round = 0; n < BACKLOG_RING;) {
		struct fl__task_block *block;
		bool ignored; /* whether a put waits */
		const int rc = fl__mpmc_get(&b->ring, &block, sizeof block, &ignored);
		if (rc == -EBUSY) {
			fl__back_off(round++); /* an accepted put is not yet published */
			continue;
		}
		if (rc != 0)
			return false;
		if (block == wanted)
			return true;
		fl__task_list_add(&b->early, block);
		block->queued = FL__BACKLOG_EARLY;
		n++;
	}
	return false;
}

bool fl__backlog_remove(struct fl__backlog *b, struct fl__task_block *block)
{
	bool found = true;
	if (block->queued == 0)
		found = backlog_take_up_to(b, block);
	else
		fl__task_list_remove(block->queued == FL__BACKLOG_EARLY ? &b->early : &b->late, block);
	fl__store_seq_cst(&b->overflowing, backlog_lists(b)); /* as in fl__backlog_add_locked() */
	return found;
}

bool fl__backlog_any(struct fl__backlog *b)
{
	/* a hint; a worker checks under the lock before it sleeps */
	if (fl__load_relaxed(&b->overflowing))
		return true;
	const int rc = fl__mpmc_can_get(&b->ring);
	return rc == 0 || rc == -EBUSY;
}

bool fl__backlog_mark(struct fl__backlog *b)
{
	return backlog_lists(b) == 0 && fl__mpmc_mark_empty(&b->ring);
}

size_t fl__backlog_length(struct fl__backlog *b)
{
	return b->early.length + fl_mpmc_length(&b->ring) + b->late.length;
}

void fl__backlog_close(struct fl__backlog *b)
{
	fl_mpmc_close(&b->ring);
}

bool fl__backlog_is_over(struct fl__backlog *b)
{
	return backlog_lists(b) == 0 && fl__mpmc_can_get(&b->ring) == -EPIPE;
}
