/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The recursive mutex in shared memory: a robust fl_shm_mutex, and `depth_`, the count of the
 * owner's locks beyond the first. Only the owner writes `depth_`. An owner that dies leaves any
 * number there, so each new owner begins with 0. relaxed: the mutex orders `depth_`.
 */
#include "../base/atomic.h"
#include "../base/panic.h"
#include <errno.h>
#include <fairlead/shm_rmutex.h>

static int shm_rmutex_relock(fl_shm_rmutex *m)
{
	uint32_t depth = fl__load_relaxed(&m->depth_);
	if (depth >= UINT32_MAX - 1)
		return -EAGAIN;
	fl__store_relaxed(&m->depth_, depth + 1);
	return 0;
}

static int shm_rmutex_locked(fl_shm_rmutex *m, int rc)
{
	if (rc == 0 || rc == -EOWNERDEAD)
		fl__store_relaxed(&m->depth_, 0);
	return rc;
}

int fl_shm_rmutex_try_lock(fl_shm_rmutex *m)
{
	return fl_shm_mutex_is_owned(&m->mutex_) ? shm_rmutex_relock(m)
	                                         : shm_rmutex_locked(m, fl_shm_mutex_try_lock(&m->mutex_));
}

int fl_shm_rmutex_lock_until(fl_shm_rmutex *m, int64_t deadline, fl_cancel_token *cancel)
{
	if (fl_shm_mutex_is_owned(&m->mutex_))
		return shm_rmutex_relock(m);
	return shm_rmutex_locked(m, fl_shm_mutex_lock_until(&m->mutex_, deadline, cancel));
}

void fl_shm_rmutex_unlock(fl_shm_rmutex *m)
{
	if (!fl_shm_mutex_is_owned(&m->mutex_))
		fl__panic("fl_shm_rmutex_unlock", m, "not owned by the caller");
	uint32_t depth = fl__load_relaxed(&m->depth_);
	if (depth > 0)
		fl__store_relaxed(&m->depth_, depth - 1);
	else
		fl_shm_mutex_unlock(&m->mutex_);
}
