/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The backlog: a bounded lock-free ring (lib/core/queue/mpmc.c), and the list `late` for tasks that
 * find the ring full.
 *
 *   word          holds                                written by
 *   ring          the oldest tasks                     any thread: claims by CAS; from `late` under
 *                                                      the lock
 *   late          the newest tasks, if the ring was    under the lock
 *                 full
 *   overflowing   1 while `late` is not empty, else 0  under the lock; producers and workers read
 *                                                      it
 *   n_claimed     claimed tasks in ring and list       +1 by the claimer, -1 by the thread that
 *                                                      takes the task out; relaxed: says when to
 *                                                      search the list, and for statistics
 *
 * Invariants
 *   1. Order: a producer that has added to `late` finds `overflowing` set until `late` was emptied
 *      into the ring, from its head, under the lock. So its next task comes behind.
 *   2. While `late` is not empty the ring may be empty. So a worker checks both under the lock
 *      before it sleeps. Then the mark of the ring (mpmc.c, invariant 4) stands for both: `late`
 *      grows only under the lock, and a producer that adds to it wakes a worker.
 *   3. Nothing goes into the ring or `late` once the ring is closed, under the lock. Tasks left in
 *      `late` are then taken from there.
 *
 * A task that was cancelled, or that a waiter has run, stays until it is taken, since nothing can
 * be removed from the middle of a ring. The ring bounds the number of claimed tasks there. `late`
 * is searched if at least half of its tasks are claimed, and at least as many as the ring has
 * slots. The count assumes that all tasks of the ring are claimed, too.
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

int fl__backlog_init(struct fl__backlog *b)
{
	return fl__mpmc_init(&b->ring, sizeof(struct fl__task_block *), BACKLOG_RING, 0);
}

void fl__backlog_fini(struct fl__backlog *b)
{
	fl__mpmc_fini(&b->ring);
}

int fl__backlog_add_locked(struct fl__backlog *b, struct fl__task_block *block)
{
	bool marked; /* unused: the caller wakes in any case */
	if (fl_mpmc_is_closed(&b->ring))
		return -EPIPE;
	if (!b->late.head && fl__backlog_put(b, block, &marked))
		return 0;
	fl__task_list_add(&b->late, block);
	/* then the producer checks which worker to wake: see search.c */
	fl__store_seq_cst(&b->overflowing, 1);
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
	/* relaxed: a thread that still sees 1 looks again under the lock */
	fl__store_relaxed(&b->overflowing, 0);
}

struct fl__task_block *fl__backlog_take_locked(struct fl__backlog *b)
{
	struct fl__task_block *block = fl__backlog_take(b);
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

struct fl__task_block *fl__backlog_take_claimed(struct fl__backlog *b)
{
	/* relaxed: at least so many claimed tasks are in `late`; a search only saves memory */
	const int32_t listed = (int32_t)fl__load_relaxed(&b->n_claimed) - BACKLOG_RING;
	if (listed < BACKLOG_RING || (size_t)listed < b->late.length / 2)
		return NULL;
	struct fl__task_list claimed = {NULL, NULL, 0};
	FL__EACH_SAFE (struct fl__task_block, block, b->late.head) {
		if (fl__future_is_claimed(&block->future)) {
			fl__task_list_remove(&b->late, block);
			fl__task_list_add(&claimed, block);
		}
	}
	/* relaxed: a thread that still sees 1 looks again under the lock */
	fl__store_relaxed(&b->overflowing, b->late.head != NULL);
	/* relaxed: only a hint; claimed tasks in the ring stay counted */
	fl__sub_relaxed(&b->n_claimed, (uint32_t)claimed.length);
	return claimed.head;
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
	return !b->late.head && fl__mpmc_mark_empty(&b->ring);
}

size_t fl__backlog_length(struct fl__backlog *b)
{
	return fl_mpmc_length(&b->ring) + b->late.length;
}

void fl__backlog_close(struct fl__backlog *b)
{
	fl_mpmc_close(&b->ring);
}

bool fl__backlog_is_over(struct fl__backlog *b)
{
	return !b->late.head && fl__mpmc_can_get(&b->ring) == -EPIPE;
}
