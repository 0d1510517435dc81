/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_THREAD_POOL_TAKING_H
#define FL_THREAD_POOL_TAKING_H

#include "thread_pool.h"

/*
 * How a worker takes a task. taking.c has the table of the words, and the functions of the threads
 * that must know what a worker takes.
 */

#define FL__POOL_INLINE static inline __attribute__((always_inline))

struct fl__pool_taken {
	struct fl__task_block *block; /* or NULL */
	enum fl__claim claim;
	/* the take saw CROWDED, AWAKE or HELD, and took no task: look under the lock */
	bool must_lock;
};

/* `doing` of a worker: one of these, or the address of the future of the task that it runs. */
enum { FL__POOL_ELSE, FL__POOL_TAKING, FL__POOL_BETWEEN };

/* Returns the future of the task that a worker with this `doing` runs, or NULL if it runs none. */
static inline fl_future *fl__pool_task_of(uintptr_t doing)
{
	return doing > FL__POOL_BETWEEN ? (fl_future *)doing : NULL;
}

static inline uint32_t fl__pool_flags(const struct fl__thread_pool *p)
{
	/* relaxed: under the lock, only AWAKE is changed by other threads */
	return fl__load_relaxed(&p->flags);
}

/*
 * Makes every worker pass a fence. Afterwards each worker and the caller see what the other one
 * stored before.
 */
void fl__pool_fence_workers(const struct fl__thread_pool *p);

/*
 * Called after a store to `flags`. Waits until each take that may not have seen the store has
 * ended.
 */
void fl__pool_fence_takes(struct fl__thread_pool *p);

/* Called under the lock. No worker takes a task, or has one in its hands, until the release. */
void fl__pool_hold_takes(struct fl__thread_pool *p);
void fl__pool_release_takes(struct fl__thread_pool *p);

/*
 * Called under the lock, by a thread that has counted a search for which it has no worker yet.
 * Finds a worker that is between two tasks or takes one, and calls it: the counted search is then
 * that worker's. Returns false if it has found none.
 */
bool fl__pool_call_worker(struct fl__thread_pool *p);

/* An fl__executor_ops.list_running. */
void fl__pool_list_running(fl_executor *e, struct fl__task_list *running);

/*
 * Returns the flags, for a worker that has just announced its take, as fl__pool_fence_takes()
 * needs.
 */
FL__POOL_INLINE uint32_t pool_read_flags(const struct fl__thread_pool *p)
{
	fl__in_program_order();
	const uint32_t seen = fl__load_relaxed(&p->flags); /* relaxed: fl__pool_fence_takes() orders it */
	if (fl__likely(!(seen & FL__POOL_FENCED)))
		return seen;
	fl__fence_seq_cst();                /* seq_cst: pairs with that of fl__pool_fence_workers() */
	return fl__load_relaxed(&p->flags); /* relaxed: the fence orders it */
}

/*
 * Called by a worker that has just stored in `doing` what it does next. Returns whether a call has
 * counted the worker as searching. `flags` are those of the pool, as read at any time.
 */
FL__POOL_INLINE bool fl__pool_is_called(struct fl__thread_worker *w, uint32_t flags)
{
	fl__in_program_order();
	if (fl__unlikely(flags & FL__POOL_FENCED))
		fl__fence_seq_cst(); /* seq_cst: pairs with the fence in fl__pool_fence_workers() */
	/*
	 * relaxed load: fl__pool_fence_workers() orders it. acquire swap: the count; pairs with the
	 * release in fl__pool_call_worker().
	 */
	return fl__unlikely(fl__load_relaxed(&w->called)) && fl__swap_acquire(&w->called, false);
}

/*
 * Takes a task and claims it, unless another context has claimed it. Before that the worker stores
 * in `doing` that it is about to take one. A thread that finds the closed backlog empty, and then
 * reads `doing`, sees this store, or a later one, of each worker that took a task before. The
 * claim of the ring's head (or the lock) releases the store, and a thread that finds the ring empty
 * has acquired it. That thread waits, under the lock, for the next store to `doing`.
 *
 * `searching` says that the worker is counted as searching; a worker that is not counted calls this
 * between two tasks. `locked` says that the caller holds the lock.
 */
FL__POOL_INLINE struct fl__pool_taken fl__pool_take(struct fl__thread_worker *w, struct fl__thread_pool *p,
                                                    bool searching, bool locked)
{
	fl_future *f = NULL;
	unsigned owes = 0;
	struct fl__pool_taken taken = {.claim = FL__CLAIM_LOST};
	fl__store_relaxed(&w->doing, FL__POOL_TAKING);
	const uint32_t flags = pool_read_flags(p);
	taken.must_lock = flags & (FL__POOL_CROWDED | FL__POOL_AWAKE | FL__POOL_HELD);
	if (!taken.must_lock)
		taken.block = locked ? fl__backlog_take_locked(&p->backlog)
		                     : fl__backlog_take(&p->backlog, &w->local, searching, &owes);
	if (taken.block) {
		taken.claim = fl__future_claim_taken(&taken.block->future);
		f = taken.claim == FL__CLAIM_LOST ? NULL : &taken.block->future;
		if (fl__unlikely(taken.block->permit == FL__PERMIT_PENDING) && f)
			fl__permit_release(&p->base, FL__PERMIT_PENDING);
	}
	/*
	 * release: the claim of `f`; pairs with the acquires in fl__pool_list_running() and
	 * pool_looks_next()
	 */
	if (f)
		fl__store_release(&w->doing, (uintptr_t)f);
	else /* relaxed: publishes nothing */
		fl__store_relaxed(&w->doing, searching || taken.block ? FL__POOL_ELSE : FL__POOL_BETWEEN);
	/* this worker and its caller both counted the search */
	if (searching && fl__pool_is_called(w, flags))
		fl__sub_relaxed(&p->searching, 1);
	else if (!searching && taken.block && fl__pool_is_called(w, flags))
		fl__pool_stop_searching(p);
	/* not before the store to `doing`: a cancel awaits it under the lock */
	if (fl__unlikely(owes != 0))
		fl__pool_pay(p, owes, searching);
	return taken;
}

/* Called by a worker whose task has ended. From now on no thread finds the task in `doing`. */
FL__POOL_INLINE void fl__pool_forget(struct fl__thread_worker *w)
{
	/*
	 * relaxed: the memory stays a task block, and a thread that still finds the block here
	 * looks at the present state of its future (fl__future_try_ref())
	 */
	fl__store_relaxed(&w->doing, FL__POOL_ELSE);
}

/*
 * Searches for a task, and sleeps, in search.c. The calling worker is counted as searching before,
 * and not afterwards. The result without a task means that the worker must end.
 */
struct fl__pool_taken fl__pool_search(struct fl__thread_worker *w);

#endif
