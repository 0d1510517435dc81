/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How a context waits for a lock. A thread that nobody can cancel waits in the kernel, on the lock's word. Others wait over
 * the bridge: a fiber, since its thread has more to do; a thread with a token, after a look as long as the first kind's.
 */
#include "hold.h"
#include "../base/atomic.h"
#include "../base/sys.h"
#include "../wait/cancel.h"
#include "bridge.h"
#include <errno.h>
#include <fairlead/time.h>

int fl__shm_hold(struct fl__shm_lock *l, struct fl__ctx *ctx, int64_t deadline, fl_cancel *cancel)
{
	bool is_thread = ctx->ops == &fl__thread_parker;
	fl_cancel *token = fl__cancel_resolve(cancel, ctx);
	if (is_thread && !token)
		return fl__shm_take(l, deadline);
	if (token && fl_cancel_requested(token))
		return -ECANCELED;
	if (deadline != FL_FOREVER && deadline <= fl__sys.now())
		return -ETIMEDOUT;
	int rc = is_thread ? fl__shm_take(l, 0) : -ETIMEDOUT;
	return rc == -ETIMEDOUT ? fl__bridge_take(l, deadline, token ? token : FL_SHIELDED) : rc;
}

bool fl__shm_is_busy(struct fl__shm_lock *l)
{
	/* acquire: what follows the last release; pairs with it */
	return (fl__load_acquire(fl__shm_word(l)) & (FL__SHM_TID | FL__SHM_WAITERS)) != 0;
}
