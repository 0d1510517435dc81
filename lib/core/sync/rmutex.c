/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The recursive mutex is a mutex with the id of its owner. Only the owner uses `depth_`.
 *
 * Invariant
 *   1. Only the owner writes `owner_`: its own id after the lock, and 0 before the unlock. All
 *      accesses are relaxed, because a context compares `owner_` with its own id, which only this
 *      context can have written. Ids are never reused, so the id of a dead owner matches no
 *      context.
 */
#include "../base/atomic.h"
#include "../base/panic.h"
#include "../wait/context.h"
#include "mutex.h"
#include <fairlead/rmutex.h>

static bool rmutex_is_owner(const fl_rmutex *m, uint64_t id)
{
	return fl__load_relaxed(&m->owner_) == id; /* relaxed: invariant 1 */
}

void fl_rmutex_destroy(fl_rmutex *m)
{
	fl__hook_destroy(m, &m->mutex_, fl__mutex_is_busy(&m->mutex_));
}

static int rmutex_relock(fl_rmutex *m)
{
	if (m->depth_ == UINT32_MAX - 1)
		return -EOVERFLOW;
	m->depth_++;
	return 0;
}

static int rmutex_set_owner(fl_rmutex *m, uint64_t id, int rc)
{
	if (rc == 0)
		fl__store_relaxed(&m->owner_, id); /* relaxed: invariant 1 */
	return rc;
}

FL_NO_THREAD_SAFETY_ANALYSIS void fl_rmutex_lock(fl_rmutex *m)
{
	uint64_t id = fl__ctx_get()->id;
	if (!rmutex_is_owner(m, id)) {
		fl_mutex_lock(&m->mutex_);
		(void)rmutex_set_owner(m, id, 0);
	} else if (rmutex_relock(m) != 0) {
		fl__panic("fl_rmutex_lock", m, "locked 2^32 - 1 times");
	}
}

int fl_rmutex_try_lock(fl_rmutex *m)
{
	uint64_t id = fl__ctx_get()->id;
	return rmutex_is_owner(m, id) ? rmutex_relock(m) : rmutex_set_owner(m, id, fl_mutex_try_lock(&m->mutex_));
}

int fl_rmutex_lock_until(fl_rmutex *m, fl_time deadline, fl_cancel_token *cancel)
{
	uint64_t id = fl__ctx_get()->id;
	return rmutex_is_owner(m, id) ? rmutex_relock(m)
	                              : rmutex_set_owner(m, id, fl_mutex_lock_until(&m->mutex_, deadline, cancel));
}

FL_NO_THREAD_SAFETY_ANALYSIS void fl_rmutex_unlock(fl_rmutex *m)
{
	if (!rmutex_is_owner(m, fl__ctx_get()->id))
		fl__panic("fl_rmutex_unlock", m, "not owned by the caller");
	if (m->depth_ > 0) {
		m->depth_--;
		return;
	}
	fl__store_relaxed(&m->owner_, 0); /* relaxed: invariant 1 */
	fl_mutex_unlock(&m->mutex_);
}

void fl_rmutex_assert_held(const fl_rmutex *m)
{
	if (!rmutex_is_owner(m, fl__ctx_get()->id))
		fl__panic("fl_rmutex_assert_held", m, "not owned by the caller");
}

uint32_t fl_rmutex_depth(const fl_rmutex *m)
{
	return rmutex_is_owner(m, fl__ctx_get()->id) ? m->depth_ + 1 : 0;
}
