/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The recursive mutex: a mutex and its owner's id. Only the owner writes `owner_`, and uses
 * `depth_`. Other contexts compare `owner_` with their own id, which only they could have written.
 * Ids are never used twice, so a dead owner's id matches no context.
 */
#include "../base/atomic.h"
#include "../base/panic.h"
#include "../wait/context.h"
#include "mutex.h"
#include <fairlead/rmutex.h>

static bool rmutex_is_owner(const fl_rmutex *m, uint64_t id)
{
	return fl__load_relaxed(&m->owner_) == id; /* true only if this context wrote it */
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
		fl__store_relaxed(&m->owner_, id); /* see rmutex_is_owner() */
	return rc;
}

void fl_rmutex_lock(fl_rmutex *m)
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

void fl_rmutex_unlock(fl_rmutex *m)
{
	if (!rmutex_is_owner(m, fl__ctx_get()->id))
		fl__panic("fl_rmutex_unlock", m, "not owned by the caller");
	if (m->depth_ > 0) {
		m->depth_--;
		return;
	}
	fl__store_relaxed(&m->owner_, 0); /* see rmutex_is_owner() */
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
