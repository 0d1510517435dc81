/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How a context waits for a lock in shared memory. A thread without a cancel token waits in the
 * kernel, on the lock's word. A fiber waits through the bridge, because its thread has other fibers
 * to run. A thread with a token spins first, and then waits through the bridge.
 *
 * The kernel sees all contexts of a thread as one owner. A fiber that finds the lock owned by its
 * own thread enqueues itself in the parking lot, with a key of the lock, and parks. The unlock
 * happens on the same thread, and wakes that wait queue if `waiters` of fl__shm_self() is not 0. No
 * wake is lost, because the fiber does not yield between loading the word and enqueueing.
 */
#include "shm_context_lock.h"
#include "core/base/atomic.h"
#include "core/base/panic.h"
#include "core/hooks.h"
#include "core/wait/cancel.h"
#include "shm_bridge.h"
#include <errno.h>

/*
 * Only another lock of shared memory can have the same key (fl__lot_key()). That matters because
 * when an unlock wakes the queue, the lock's memory may already contain another object with
 * waiters. A waiter of another lock tolerates the wake, because it tries again.
 */
static const void *shm_context_key(const struct fl__shm_lock *l)
{
	return fl__lot_key(l, FL__KEY_OF_SHM_LOCK);
}

static int shm_context_wait(struct fl__shm_lock *l, fl_time deadline, fl_cancel_token *cancel)
{
	struct fl__lot lot;
	FL__WAIT(wait, node, FL__DEBUG_SHM_LOCK, fl__shm_word(l));
	fl__lot_open(&lot, shm_context_key(l));
	fl__lot_add(&lot, &node);
	fl__lot_close(&lot);
	fl__shm_self()->waiters++;
	int rc = fl__wait_sleep(&wait, deadline, cancel);
	fl__shm_self()->waiters--;
	if (rc != 0)
		fl__lot_leave(&node);
	return rc;
}

static int shm_context_acquire_in_fiber(struct fl__shm_lock *l, uint64_t owner, fl_time deadline,
                                        fl_cancel_token *cancel)
{
	int rc;
	while ((rc = fl__shm_try_acquire(l, owner)) == -EAGAIN && fl__shm_hold(l, 0)) {
		rc = shm_context_wait(l, deadline, cancel);
		if (rc != 0)
			return rc;
	}
	return rc == -EAGAIN ? fl__bridge_acquire(l, owner, deadline, cancel) : rc;
}

int fl__shm_context_acquire(struct fl__shm_lock *l, uint64_t owner, struct fl__ctx *ctx, fl_time deadline,
                            fl_cancel_token *cancel)
{
	bool is_thread = ctx->ops == &fl__thread_parker;
	if (is_thread && !fl__cancel_resolve(cancel, ctx)) {
		FL__ASLEEP(FL__DEBUG_SHM_LOCK, fl__shm_word(l), deadline);
		return fl__asleep.result = fl__shm_acquire(l, owner, deadline);
	}
	int rc = fl__is_interrupted(deadline, cancel);
	if (rc != 0)
		return rc;
	if (!is_thread)
		return shm_context_acquire_in_fiber(l, owner, deadline, cancel);
	rc = fl__shm_acquire(l, owner, FL_NO_WAIT);
	return rc == -ETIMEDOUT ? fl__bridge_acquire(l, owner, deadline, cancel) : rc;
}

void fl__shm_context_release(struct fl__shm_lock *l, struct fl__shm_hold *hold, bool all)
{
	fl__shm_release(l, hold, all);
	if (fl__shm_self()->waiters == 0)
		return;
	FL__LOT(lot, shm_context_key(l));
	(void)fl__lot_take(&lot, FL__ALL, 0);
}

void fl__shm_check_unused(const char *function, const void *object, bool busy)
{
	if (busy && fl__hooks_on(FL__HOOKS_DEBUG))
		fl__log(FL_LOG_WARNING, "%s(%p): in use", function, object);
}
