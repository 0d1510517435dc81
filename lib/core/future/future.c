/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The core of a future: its state word, and how it ends. The table "the life of a task" in
 * docs/design.md says what happens to a task outside of its future. The following table lists the
 * bits of `state` (without the prefix FL__FUTURE_): what each bit means, where it is set, and where
 * it is cleared.
 *
 *   CLAIMED    one context has the right and   fl__future_claim(),            never
 *              the duty to end the future      fl__future_claim_cancel(),
 *                                              fl__future_claim_cancel_as(),
 *                                              fl__future_claim_ended(): CAS
 *   CANCELLED  it was claimed to be cancelled  the CAS that sets CLAIMED; or  never
 *                                              fl__future_cancel_claimed()
 *   EXPIRED    the future ends with            where CANCELLED is set; or     never
 *              -ETIMEDOUT, because the         fl__future_set_error(),
 *              deadline has passed             before the end
 *   ENDED      the end is published            the ending CAS                 never
 *   WAITERS    there may be a wait queue       fl__word_arm(), with the       the ending CAS
 *                                              bucket locked
 *   GUARDED    the ending CAS needs `lock`     fl__future_guard(), before     never
 *                                              the end: CAS
 *   REGISTERED the future had a callback       fl__future_register()          never
 *              before other threads saw it
 *   LEFT       an executor's backlog owns the  the CAS that sets CLAIMED, by  fl__task_block_free()
 *              memory, too: invariant 5        a context that leaves the
 *                                              task there
 *   KEPT       the future has failed, but its  fl__future_keep_result(),      never
 *              result counts                   before the end
 *              (fl_task_keep_result())
 *   the rest   references, in units of REF     fl__future_init(),             fl__future_drop(),
 *                                              fl_future_ref(),               _free_shared(),
 *                                              fl__future_try_ref()           the ending CAS
 *
 * If a future has ended, fl_future_state() returns FL_CANCELLED if CANCELLED is set, otherwise
 * FL_DONE. Before the end, it returns FL_RUNNING if CLAIMED is set without CANCELLED, or if
 * has_started() returns true; otherwise FL_PENDING, even while a canceller drops the argument.
 *
 * Invariants
 *   1. Exactly one context claims the future. The claimer alone may write error, message and
 *      result, and end the future, with two exceptions. The right to end a promise belongs to the
 *      context that sets `fulfilled` (promise.c). In the remote core, a thread that has claimed a
 *      task's future and written the error passes the right on with the list of ended tasks, under
 *      the executor's lock (remote.c).
 *   2. A start and a cancel linearize at the claim's CAS, and the end at the ending CAS. However, a
 *      task in another process starts without a claim: its future is claimed when its end arrives
 *      (remote.c). In two cases the claim does not yet decide whether the task starts. If the token
 *      is APART (below), the claimer checks the token after the claim, and sets CANCELLED if the
 *      token is cancelled. A worker of a thread executor also checks, after the claim, whether the
 *      executor was cancelled or has broken. Until then the state is FL_RUNNING, even if the task
 *      will not run.
 *   3. While WAITERS is set, the ending CAS is part of a transaction of the parking lot (lot.c,
 *      invariant 5).
 *   4. Before the end is published, the argument's drop hook returns and the token leaves its tree,
 *      so that a waiter may then free the parent token and what the argument referred to. After the
 *      end is published, the context that ended the future makes the reports of as_completed.c, and
 *      then runs the callbacks in order, both without `lock`. A report is an entry in the list of
 *      callbacks. Until the end, as_completed.c may remove it under `lock`.
 *   5. The memory stays until the last reference is freed and, if the future is LEFT, until the
 *      backlog has freed it as well. The context that frees the last reference runs the result's
 *      drop hook at once, and frees argument and result if they were allocated separately. A
 *      backlog neither runs nor delays a drop hook. The context that ends the future holds the
 *      producer's reference. A worker without callbacks to run frees this reference by the ending
 *      CAS, or after it, but before it wakes the waiters. So if a waiter frees the last reference,
 *      the drop hook runs in the waiter, and the worker is free for its next task.
 *   6. Every ending CAS is a release. It publishes error, message and result to each context that
 *      has read ENDED by an acquire load of `state`, as in fl__future_has_ended(), or has waited
 *      for ENDED in fl__word_wait().
 *   7. If GUARDED is set, one section under `lock` ends the token, detaches the callbacks, and does
 *      the ending CAS. To cancel the token or to add a callback, a thread first sets GUARDED,
 *      unless the future has ended; then it takes the lock and reads the state again. So the future
 *      either has ended, or does not end before the unlock. If the future is REGISTERED,
 *      fl__future_try_finish() sets GUARDED as well, because it must look at the callbacks under
 *      `lock` before it ends the future. A future with neither GUARDED nor WAITERS, whose token is
 *      in no tree (fl__cancel_is_alone()), ends with one CAS. Afterwards nobody changes its
 *      callbacks.
 *
 * Stale bits are safe: WAITERS without a wait queue costs a visit to the parking lot, and GUARDED
 * without callbacks costs a lock.
 *
 * A token that is APART is not in its parent's list (cancel.c), so a check of the token also reads
 * the parent. The parent surely exists only until the claimer ends the future. Therefore only the
 * claimer checks such a token, after its claim. If the token is cancelled, the claim then counts as
 * one for a cancel.
 *
 * Locks are taken in this order: an executor's, `lock`, a token's tree, a bucket of the parking
 * lot.
 */
#include "future.h"
#include "../base/atomic.h"
#include "../base/panic.h"
#include "../base/sys.h"
#include "../hooks.h"
#include "../wait/lock.h"
#include "../wait/lot.h"
#include "bytes.h"

bool fl__future_has_ended(const fl_future *f)
{
	/*
	 * acquire: pairs with the ending CAS (invariant 6), in future_try_publish() or
	 * future_publish_locked()
	 */
	return fl__load_acquire(&f->state) & FL__FUTURE_ENDED;
}

/*
 * Tries the ending CAS, and stores the callbacks in `*list`. If there are none, the CAS also
 * subtracts `drop` (0 or FL__FUTURE_REF). Returns the old word; or 0 if the end needs `lock`, and
 * then nothing has happened.
 */
static uint32_t future_try_publish(fl_future *f, uint32_t drop, struct fl__callback **list)
{
	uint32_t seen = fl__load_relaxed(&f->state); /* relaxed: a stale value makes the CAS below fail */
	while (!(seen & (FL__FUTURE_WAITERS | FL__FUTURE_GUARDED)) && fl__cancel_is_alone(&f->token)) {
		const bool registered = seen & FL__FUTURE_REGISTERED;
		/*
		 * release: error, message and result (invariant 6)
		 */
		if (fl__cas_weak_release(&f->state, &seen, (seen | FL__FUTURE_ENDED) - (registered ? 0 : drop))) {
			*list = registered ? f->callbacks : NULL;
			return seen;
		}
	}
	return 0;
}

/*
 * Does the ending CAS under `lock`. Returns whether waiters were dequeued; if so, the caller closes
 * `lot` after the unlock.
 */
static bool future_publish_locked(fl_future *f, struct fl__lot *lot)
{
	uint32_t seen = fl__load_relaxed(&f->state); /* relaxed: a stale value makes the CAS below fail */
	while (!(seen & FL__FUTURE_WAITERS))
		/* release: error, message and result (invariant 6) */
		if (fl__cas_weak_release(&f->state, &seen, seen | FL__FUTURE_ENDED))
			return false;
	fl__lot_open(lot, &f->state);
	fl__lot_take(lot, FL__ALL, 0);
	/* release: error, message and result (invariant 6) */
	while (!fl__cas_weak_release(&f->state, &seen, (seen & ~(uint32_t)FL__FUTURE_WAITERS) | FL__FUTURE_ENDED))
		;
	return true;
}

/*
 * Publishes the end, makes the reports, and stores the callbacks in `*list`, oldest first. If
 * `prompt_only` is true and there is a callback other than `prompt`, does nothing and returns
 * false. Sets `*freed` to true (unless `freed` is NULL) if it has freed the producer's reference.
 * This happens before the waiters wake, but only if there is no callback and the future has another
 * reference. A report does not need the producer's reference, because its waiter keeps one until
 * the report is made.
 */
static bool future_publish_if(fl_future *f, bool prompt_only, fl_future_callback *prompt, struct fl__callback **list,
                              bool *freed)
{
	struct fl__lot lot;
	if (future_try_publish(f, 0, list) != 0)
		return true;
	*list = NULL;
	fl__lock(&f->lock);
	struct fl__callback *all = f->callbacks, *newest = all;
	while (newest && newest->call == fl__future_report)
		newest = newest->next;
	if (newest && prompt_only && (newest->next || newest->call != prompt)) {
		fl__unlock(&f->lock);
		return false;
	}
	fl_cancel_token_destroy(&f->token);
	f->callbacks = NULL;
	bool taken = future_publish_locked(f, &lot);
	fl__unlock(&f->lock);
	if (freed)
		*freed = !newest && fl__future_free_shared(f);
	if (taken)
		fl__lot_close(&lot);
	for (struct fl__callback *next; all; all = next) {
		next = all->next;
		if (all->call == fl__future_report) { /* the call may free the memory */
			all->call(f, all->arg);
		} else {
			all->next = *list; /* this reverses the order */
			*list = all;
		}
	}
	return true;
}

static struct fl__callback *future_publish(fl_future *f)
{
	struct fl__callback *list;
	(void)future_publish_if(f, false, NULL, &list, NULL); /* always true */
	return list;
}

/* Takes ownership of `message`, and corrects f->error. */
static FL__NOINLINE void future_set_failure(fl_future *f, char *message)
{
	const uint32_t seen = fl__load_relaxed(&f->state); /* relaxed: the caller's own claim */
	if (seen & FL__FUTURE_CANCELLED) {
		f->error = seen & FL__FUTURE_EXPIRED ? -ETIMEDOUT : -ECANCELED;
		fl__message_free(message);
		return;
	}
	if (f->error == -ECANCELED && fl__future_is_late(f)) {
		f->error = -ETIMEDOUT;
		/* relaxed: the ending CAS publishes it */
		(void)fl__or_relaxed(&f->state, FL__FUTURE_EXPIRED);
	}
	/* fl__future_was_cancelled() reads only the future's own token */
	if (f->error == -ECANCELED)
		fl__cancel_attach(&f->token);
	f->message = f->error > 0 && !message ? fl__message_positive(f->type, f->error) : message;
}

void fl__future_set_error(fl_future *f, int error, char *message)
{
	f->error = error;
	/* relaxed: the caller's own claim */
	if (fl__unlikely(error != 0 || (fl__load_relaxed(&f->state) & FL__FUTURE_CANCELLED)))
		future_set_failure(f, message);
	else
		fl__message_free(message);
}

void fl__future_set_end(fl_future *f, int error, char *message)
{
	fl__future_set_error(f, error, message);
	if (!f->type->drop_arg)
		return;
	FL_CANCEL_SCOPE(NULL); /* a drop hook does not inherit the ending thread's scope */
	fl__drop(f->type->drop_arg, f->arg);
}

void fl__future_keep_result(fl_future *f)
{
	(void)fl__or_relaxed(&f->state, FL__FUTURE_KEPT); /* relaxed: the ending CAS publishes it */
}

bool fl__future_keeps_result(const fl_future *f)
{
	return fl__load_relaxed(&f->state) & FL__FUTURE_KEPT; /* relaxed: the caller has seen the end */
}

void fl__future_finish(fl_future *f, int error, char *message)
{
	fl__future_set_end(f, error, message);
	fl__future_run_callbacks(f, future_publish(f));
}

bool fl__future_publish_end(fl_future *f, struct fl__callback **callbacks)
{
	bool freed = false;
	const uint32_t before = future_try_publish(f, FL__FUTURE_REF, callbacks);
	if (before == 0)
		(void)future_publish_if(f, false, NULL, callbacks, &freed); /* always true */
	if (*callbacks)
		return false;
	if (freed || before / FL__FUTURE_REF > 1 || (before == 0 && fl__future_free_shared(f)))
		return true;
	/* the last reference */
	if (f->type->drop_result)
		return false;
	fl__future_release(f);
	return true;
}

void fl__future_end_rest(fl_future *f, struct fl__callback *callbacks)
{
	if (!callbacks) {
		fl__future_release(f);
		return;
	}
	fl__future_run_callbacks(f, callbacks);
	fl_future_free(f);
}

void fl__future_end_after(fl_future *f, int error, char *message, struct fl__ending *storage)
{
	fl__future_set_end(f, error, message);
	*storage = (struct fl__ending){f, future_publish(f), NULL};
	if (!storage->left) {
		fl_future_free(f);
		return;
	}
	struct fl__calling *calling = fl__ctx_get()->front.inside.calling;
	struct fl__ending *now = calling->innermost;
	/*
	 * If `now`, the future whose callbacks this context is running, has no more callbacks, and
	 * was itself ended in a callback of another future, `storage` takes its place. Therefore a
	 * chain of futures, each ended in the last callback of the one before, does not get deeper.
	 */
	const bool is_last = !now->left && now->outer;
	storage->outer = is_last ? now->outer : now;
	calling->innermost = storage;
	if (is_last)
		/* the producer's reference; the callback has one, too */
		fl_future_free(now->future);
}

bool fl__future_guard(fl_future *f)
{
	/* relaxed: a stale value makes the CAS below fail; the end is read again with acquire */
	uint32_t seen = fl__load_relaxed(&f->state);
	while (!(seen & (FL__FUTURE_GUARDED | FL__FUTURE_ENDED)))
		/*
		 * relaxed: a context that ends the future then takes `lock`, which orders the rest
		 */
		if (fl__cas_weak_relaxed(&f->state, &seen, seen | FL__FUTURE_GUARDED))
			return true;
	return !fl__future_has_ended(f);
}

bool fl__future_try_finish(fl_future *f, fl_future_callback *prompt)
{
	struct fl__callback *list;
	if (fl__type_has_hooks(f->type))
		return false;
	if (f->type->drop_arg)
		/*
		 * The argument can only contain bytes here. Dropping them zeroes the handle, so
		 * that a second drop in fl__future_finish() does nothing.
		 */
		fl__drop(f->type->drop_arg, f->arg);
	if (fl__load_relaxed(&f->state) & FL__FUTURE_REGISTERED) /* relaxed: never changes */
		(void)fl__future_guard(f);                       /* so the end checks the callbacks first */
	if (!future_publish_if(f, true, prompt, &list, NULL))
		return false;
	if (list)
		fl__future_run_callbacks(f, list);
	return true;
}
