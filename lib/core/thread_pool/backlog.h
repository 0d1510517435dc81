/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_THREAD_POOL_BACKLOG_H
#define FL_THREAD_POOL_BACKLOG_H

#include "../base/atomic.h"
#include "../exec/executor.h"
#include "../queue/mpmc.h"

/*
 * The thread executor's backlog: the tasks submitted and not yet taken, in the order of submission
 * (backlog.c). "Under the lock" means the executor's; other functions must be called without it.
 */
struct fl__backlog {
	struct fl_mpmc ring; /* of pointers to task blocks */
	/* 1: `late` is not empty */
	uint32_t overflowing;
	/* claimed by foreign contexts; approximate */
	uint32_t n_claimed;
	struct fl__task_list late;
};

/* Of a task in a slot of the ring, as fl__mpmc_init() lays out a pointer. */
enum { FL__BACKLOG_OFFSET = sizeof(uint64_t) };

int fl__backlog_init(struct fl__backlog *b);
void fl__backlog_fini(struct fl__backlog *b);

/*
 * For a producer that has read 0 in `overflowing`, or has the lock. As fl__mpmc_put(), but stores
 * the pointer atomically, for fl__backlog_fetch_ahead(), and does not pause if the ring is full.
 * Returns true, with `*marked` true if the put found the mark of fl__backlog_mark(). False: use
 * fl__backlog_add_locked().
 */
static inline bool fl__backlog_put(struct fl__backlog *b, struct fl__task_block *block, bool *marked)
{
	struct fl__mpmc_claim claim;
	if (fl__unlikely(fl__mpmc_claim_slots(&b->ring, &b->ring.tail, 0, sizeof block, 1, false, &claim) != 0))
		return false;
	*marked = claim.owes_wake;
	/* as the copy in fl__mpmc_fill() */
	fl__store_relaxed((struct fl__task_block **)(void *)(claim.slot + FL__BACKLOG_OFFSET), block);
	/* block and item are complete; pairs with the loads of fl__mpmc_claim_item() */
	fl__store_release(fl__mpmc_stamp(claim.slot), claim.at + FL__MPMC_ITEM);
	return true;
}

/*
 * Called after a take: prefetches the task after the next, since another worker may have begun with
 * the next. The address is used for the prefetch alone: the block may be freed.
 */
static inline void fl__backlog_fetch_ahead(const struct fl__backlog *b)
{
	/* a guess */
	const uint64_t head = fl__load_relaxed(&b->ring.head) & ~(uint64_t)FL__MPMC_FLAGS;
	const uint64_t at = fl__mpmc_next(&b->ring, head);
	unsigned char *slot = fl__mpmc_slot_of(&b->ring, at, sizeof(void *));
	if (fl__load_relaxed(fl__mpmc_stamp(slot)) == at + FL__MPMC_ITEM)
		fl__task_block_fetch(fl__load_relaxed((struct fl__task_block **)(void *)(slot + FL__BACKLOG_OFFSET)));
}

/* Under the lock: adds a task, to `late` if the ring refuses it. Returns 0 or -EPIPE. */
int fl__backlog_add_locked(struct fl__backlog *b, struct fl__task_block *block);

/* Takes the oldest task. NULL: none, or one for fl__backlog_take_locked(). */
static inline struct fl__task_block *fl__backlog_take(struct fl__backlog *b)
{
	struct fl__task_block *block;
	bool ignored; /* whether a put waits */
	if (fl__mpmc_get(&b->ring, &block, sizeof block, &ignored) != 0)
		return NULL;
	fl__backlog_fetch_ahead(b);
	return block;
}

/*
 * Under the lock, from all parts of the backlog. NULL: none, or a put into the ring is in progress
 * or has just ended: the caller tries again.
 */
struct fl__task_block *fl__backlog_take_locked(struct fl__backlog *b);

/*
 * Under the lock: if many tasks of `late` may be claimed, takes out the claimed tasks of `late` and
 * returns them, linked by `next`. Else returns NULL.
 */
struct fl__task_block *fl__backlog_take_claimed(struct fl__backlog *b);

/* Whether there may be a task: a hint. */
bool fl__backlog_any(struct fl__backlog *b);

/*
 * Under the lock, for a worker that is about to sleep: marks the backlog if it is empty and open,
 * and returns whether it is. The next producer finds the mark, or adds under the lock, and sees
 * what was done before this call.
 */
bool fl__backlog_mark(struct fl__backlog *b);

/* Under the lock: about how many tasks wait, claimed ones included. */
size_t fl__backlog_length(struct fl__backlog *b);

/* Under the lock: refuses all later tasks. */
void fl__backlog_close(struct fl__backlog *b);

bool fl__backlog_is_over(struct fl__backlog *b);

#endif
