/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The loop of a worker: it takes a task, runs it, and ends it.
 *
 *   word            meaning                                  changed
 *   ended, skipped, of a worker: tasks that it claimed and   by the worker; read for statistics
 *   failed          that have ended; those that it did not
 *                   run; those that have failed
 *   doing, called   taking.c has these two                   taking.c
 */
#include "../base/atomic.h"
#include "../base/sys.h"
#include "taking.h"

/* The turns of a pause, some 40 ns each. In the model checker each turn is a step. */
#ifndef FL__POOL_TURNS
#define FL__POOL_TURNS 128
#endif

/*
 * Called by a worker that has just found no task. If the worker has ended several tasks since it
 * last found none, pauses for a fixed time, and returns true. After the pause the submitter is
 * likely to be some tasks ahead. Without it, the worker and the submitter would use the same cache
 * lines for each task.
 */
static bool pool_pause_if_caught_up(struct fl__thread_worker *w)
{
	enum { TURNS = FL__POOL_TURNS, SEVERAL = 2 };
	const bool has_kept_up = w->ended - w->found_none > SEVERAL;
	w->found_none = w->ended;
	if (has_kept_up)
		fl__pause(TURNS);
	return has_kept_up;
}

FL__POOL_INLINE struct fl__pool_taken pool_next(struct fl__thread_worker *w, struct fl__thread_pool *p)
{
	struct fl__pool_taken taken;
	do
		taken = fl__pool_take(w, p, false, false);
	while (!taken.block && !taken.must_lock && pool_pause_if_caught_up(w)); /* once: no task began since */
	if (taken.block)
		return taken;
	fl__add_relaxed(&p->searching, 1); /* relaxed: rule 3 of search.c */
	/* release: the count; pairs with the acquire in pool_looks_next() */
	fl__store_release(&w->doing, FL__POOL_ELSE);
	/* Two counts stand for this worker if it was called. relaxed: FENCED never changes. */
	if (fl__pool_is_called(w, fl__load_relaxed(&p->flags)))
		fl__sub_relaxed(&p->searching, 1);
	return fl__pool_search(w);
}

/*
 * Ends a task whose future is unshared (invariant 6 of future.c) by relaxed stores. Returns false,
 * and does nothing, if the future may be shared. This is Dekker's algorithm: the worker has stored
 * in `doing` that it has left the task, and then reads LISTED. fl__pool_list_running() stores
 * LISTED, makes every thread pass a fence, and then reads `doing`. So one of the two sees the
 * other's store.
 */
FL__POOL_INLINE bool pool_end_unshared(struct fl__thread_worker *w, const struct fl__thread_pool *p, fl_future *f)
{
	fl__in_program_order();
	/* relaxed: fl__pool_fence_workers() orders this load after the store to `doing` */
	if (fl__unlikely(fl__load_relaxed(&p->flags) & (FL__POOL_FENCED | FL__POOL_LISTED)) ||
	    !fl__future_is_unshared(f, FL__FUTURE_CLAIMED) || f->type->drop_result)
		return false;
	/* relaxed: no other thread can reach the future */
	fl__store_relaxed(&f->state, FL__FUTURE_CLAIMED | FL__FUTURE_ENDED);
	fl__message_free(f->message);
	fl__task_block_free_to(&w->freed, fl__task_block_of(f));
	return true;
}

FL__POOL_INLINE void pool_run(struct fl__thread_worker *w, struct fl__thread_pool *p, struct fl__pool_taken taken)
{
	struct fl__task_block *block = taken.block;
	if (fl__unlikely(taken.claim != FL__CLAIM_RUN)) {
		if (taken.claim == FL__CLAIM_LOST) {               /* another context has claimed it */
			fl__sub_relaxed(&p->backlog.n_claimed, 1); /* relaxed: approximate */
			fl__task_block_free(block);
			return;
		}
		fl__store_relaxed(&w->skipped, w->skipped + 1); /* relaxed: for statistics */
		/* The task counts as begun, so that no measured task's weight includes it. */
		w->stats.next++;
		w->stats.queued.begun++;
		w->stats.ran.begun++;
	}
	char *message;
	w->run.claim = taken.claim;
	w->run.future = &block->future;
	const int error = fl__run_measured(&w->run, &w->stats, w->ended, &message);
	if (fl__unlikely(error != 0) && taken.claim == FL__CLAIM_RUN)
		fl__store_relaxed(&w->failed, w->failed + 1);
	fl__store_relaxed(&w->ended, w->ended + 1); /* relaxed: for statistics */
	fl__pool_forget(w);
	fl__future_set_end(&block->future, error, message);
	/*
	 * The store comes before the end of the future, so that a submit after a wait for the
	 * future finds this worker free. relaxed: the end publishes it.
	 */
	fl__store_relaxed(&w->doing, FL__POOL_BETWEEN);
	if (fl__likely(pool_end_unshared(w, p, &block->future)))
		return;
	struct fl__callback *callbacks;
	if (fl__unlikely(!fl__future_publish_end(&block->future, &callbacks))) {
		/* relaxed: the store publishes nothing, and FENCED never changes */
		fl__store_relaxed(&w->doing, FL__POOL_ELSE);
		if (fl__pool_is_called(w, fl__load_relaxed(&p->flags)))
			fl__pool_stop_searching(p);
		fl__future_end_rest(&block->future, callbacks);
	}
}

void fl__pool_serve(struct fl__thread_worker *w)
{
	struct fl__thread_pool *p = w->pool;
	for (struct fl__pool_taken taken = fl__pool_search(w); taken.block; taken = pool_next(w, p))
		pool_run(w, p, taken);
	fl__task_block_free_batch(&w->freed);
}
