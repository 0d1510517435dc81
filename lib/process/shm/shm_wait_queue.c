/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The wait queue of a monitor in shared memory. A thread that changes the guarded data does three
 * steps, in this order:
 *   1. If `waiting` is set, it increments `changes`, and wakes all waiters that sleep on `changes`.
 *   2. It commits the change by one store.
 *   3. It clears `waiting`, and leaves the monitor.
 *
 * A waiter reads `changes` and sets `waiting`, under the monitor. Then it sleeps while `changes`
 * has that value. Woken waiters enter the monitor, and sleep again if they find no change.
 *
 *   waiting   meaning              set by                            cleared by
 *   1         a waiter may sleep   a waiter that is about to sleep,  step 3, after the wake of all
 *                                  under the monitor
 *
 * If `waiting` is set without a waiter, the next change makes a wake that nobody needs.
 *
 * Rule
 *   1. The monitor guards `changes` and `waiting`, and orders this file's accesses to them, which
 *      are therefore relaxed. The kernel and the bridge compare `changes` without the monitor, but
 *      only as a hint, because a waiter that wakes enters the monitor before it looks.
 *
 * To avoid a crowd of waiters for one item, threads queue behind a robust lock, `head`. Only the
 * owner of `head` sleeps on `changes`. It hands `head` on when its wait ends with an item, at its
 * deadline, or with an error. If the owner dies, the kernel hands `head` on. (Leader and followers:
 * Schmidt et al., 2000.) A change that serves several waiters also wakes waiters behind `head`,
 * which attempt their operation and queue again. That is faster than if each owner of `head` only
 * handed it on, and it serves waiters that queue behind a stopped process. If a change concerns all
 * waiters (`broadcast` of struct fl__shm_op), none of them queue, and all sleep on `changes`.
 *
 * Waits with a token, waits of fibers, and waits in a wait-any cannot queue behind `head`. Instead,
 * the bridge sleeps on `changes` for them.
 *
 * Why in this order. A sleeper does not learn of a death, because the kernel tells only the waiters
 * of a lock. If a thread committed and unlocked first, a kill before the wake would strand the
 * sleepers. In the order of the three steps, a woken waiter needs the monitor before it can look.
 * So it sees the commit, or it looks after the owner has died without one. A change must wake all
 * waiters that sleep on `changes`, because if it woke only one, that waiter's process might be
 * killed before it takes the item.
 *
 * Commits. Under a monitor an operation takes effect by one store. An owner that died before the
 * store has done nothing, and one that died after it has done everything. So no type of this folder
 * has code to undo or to complete an operation of a dead process. An effect of two parts is packed
 * into one word, or written beside the old parts and then selected by an index.
 *
 * Deadlines. Another process may change the awaited word again and again, so that each sleep ends
 * at once. Therefore a waiter looks at the clock after every sleep, so that its wait ends at the
 * deadline all the same. A wait without a deadline may last as long as the other process likes.
 *
 * Owners. A mutex tells its next owner once that the previous one died (-EOWNERDEAD). The mutex is
 * lost for good if the next owner unlocks it without fl_shm_mutex_recover(). The library does not
 * know who holds a permit of a semaphore, or who has arrived at a barrier. A killed process does
 * not give its permit back, so use deadlines where that may happen. An item counts as delivered if
 * a process has committed its get and then died.
 */
#include "shm_wait_queue.h"
#include "core/base/atomic.h"
#include "core/base/sys.h"
#include "core/hooks.h"
#include "core/wait/cancel.h"
#include <errno.h>
#include <fairlead/time.h>
#include <limits.h>

void fl__shm_wake_before_commit(struct fl__shm_wait_queue *q)
{
	if (!fl__load_relaxed(&q->waiting)) /* relaxed: rule 1 */
		return;
	/* relaxed: rule 1; a woken waiter enters the monitor before it looks */
	fl__store_relaxed(&q->changes, fl__load_relaxed(&q->changes) + 1);
	(void)fl__sys.shared_wake(&q->changes, INT_MAX);
}

void fl__shm_wake_after_commit(struct fl__shm_wait_queue *q, uint32_t more)
{
	if (fl__load_relaxed(&q->waiting)) /* relaxed, also the store: rule 1 */
		fl__store_relaxed(&q->waiting, 0);
	if (more > 0 && fl__shm_has_waiters(&q->head))
		fl__shm_wake(&q->head, more);
}

/*
 * Attempts the operation under the monitor. If the result is -EAGAIN and `changes` is not NULL,
 * it also sets `waiting`, and stores in *changes the count to sleep on.
 */
static int shm_wait_attempt(const struct fl__shm_op *op, fl_time deadline, uint32_t *changes)
{
	struct fl__shm_held held;
	int rc = fl__shm_enter(op->lock, &held, deadline);
	if (rc != 0)
		return rc;
	rc = op->attempt(op->arg);
	if (rc == -EAGAIN && changes) {
		/* relaxed, also the load: rule 1 */
		fl__store_relaxed(&op->queue->waiting, 1);
		*changes = fl__load_relaxed(&op->queue->changes);
	}
	fl__shm_leave(op->lock, &held);
	return rc;
}

/* Makes a last attempt after the end of a wait. Returns `error` if the attempt returns -EAGAIN. */
static int shm_wait_last_attempt(const struct fl__shm_op *op, int error)
{
	int rc = shm_wait_attempt(op, FL_NO_WAIT, NULL);
	return rc == -EAGAIN ? error : rc;
}

/*
 * Sleeps on `changes` between the attempts. With `bridged`, a bridge sleeps instead of the caller,
 * and `cancel` can end the wait. Another process may change the count again and again, so the
 * waiter looks at the clock after each sleep.
 */
static int shm_wait_unqueued(const struct fl__shm_op *op, bool bridged, fl_time deadline, fl_cancel_token *cancel)
{
	const uint32_t *word = &op->queue->changes;
	uint32_t changes = 0;
	int rc;
	while ((rc = shm_wait_attempt(op, deadline, &changes)) == -EAGAIN) {
		rc = bridged ? fl__bridge_wait(word, changes, deadline, cancel)
		             : fl__sys.shared_wait(word, changes, fl__expiry(deadline));
		if (rc == -ECANCELED)
			return rc;
		if (rc == -ETIMEDOUT || fl__is_expired(deadline))
			return shm_wait_last_attempt(op, -ETIMEDOUT);
	}
	return rc;
}

static int shm_wait_queued(const struct fl__shm_op *op, fl_time deadline)
{
	struct fl__shm_held held;
	int rc;
	while ((rc = fl__shm_enter_once(&op->queue->head, &held, deadline)) == -EAGAIN) {
		rc = shm_wait_attempt(op, deadline, NULL);
		if (rc != -EAGAIN)
			return rc;
	}
	if (rc != 0)
		return rc == -ETIMEDOUT ? shm_wait_last_attempt(op, rc) : rc;
	rc = shm_wait_unqueued(op, false, deadline, NULL);
	fl__shm_leave(&op->queue->head, &held);
	return rc;
}

int fl__shm_await(const struct fl__shm_op *op, fl_time deadline, fl_cancel_token *cancel)
{
	int rc = shm_wait_attempt(op, deadline, NULL);
	if (fl__is_try(deadline) || rc != -EAGAIN)
		return rc;
	struct fl__ctx *ctx = fl__ctx_get();
	fl_cancel_token *token = fl__cancel_resolve(cancel, ctx);
	rc = fl__is_interrupted(deadline, cancel);
	if (rc != 0)
		return rc;
	if (ctx->ops != &fl__thread_parker || token)
		return shm_wait_unqueued(op, true, deadline, cancel);
	if (fl__spin(ctx, op->may_succeed, op->arg, deadline)) {
		rc = shm_wait_attempt(op, deadline, NULL);
		if (rc != -EAGAIN)
			return rc;
	}
	FL__ASLEEP(FL__DEBUG_SHM, &op->queue->changes, deadline);
	return fl__asleep.result =
	           op->broadcast ? shm_wait_unqueued(op, false, deadline, NULL) : shm_wait_queued(op, deadline);
}

bool fl__shm_wait_arm(const struct fl__shm_op *op, struct fl__node *node)
{
	uint32_t changes = 0;
	if (shm_wait_attempt(op, FL_NO_WAIT, &changes) != -EAGAIN)
		return false;
	return fl__bridge_arm(&op->queue->changes, changes, node);
}
