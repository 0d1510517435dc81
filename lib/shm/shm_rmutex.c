/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The recursive mutex in shared memory: a robust fl_shm_mutex. The count of the owner's locks
 * beyond the first is in the thread's record of the mutex, so each owner begins with 0.
 */
#include "../base/panic.h"
#include "../wait/context.h"
#include "shm_lock.h"
#include <errno.h>
#include <fairlead/shm_rmutex.h>

static struct fl__shm_hold *shm_rmutex_hold(const fl_shm_rmutex *m)
{
	return fl__shm_hold(fl__shm_lock_at(m->mutex_.lock_), fl__ctx_get()->id);
}

static int shm_rmutex_relock(struct fl__shm_hold *hold)
{
	if (hold->depth >= UINT32_MAX - 1)
		return -EAGAIN;
	hold->depth++;
	return 0;
}

int fl_shm_rmutex_try_lock(fl_shm_rmutex *m)
{
	struct fl__shm_hold *hold = shm_rmutex_hold(m);
	return hold ? shm_rmutex_relock(hold) : fl_shm_mutex_try_lock(&m->mutex_);
}

int fl_shm_rmutex_lock_until(fl_shm_rmutex *m, int64_t deadline, fl_cancel_token *cancel)
{
	struct fl__shm_hold *hold = shm_rmutex_hold(m);
	return hold ? shm_rmutex_relock(hold) : fl_shm_mutex_lock_until(&m->mutex_, deadline, cancel);
}

void fl_shm_rmutex_unlock(fl_shm_rmutex *m)
{
	struct fl__shm_hold *hold = shm_rmutex_hold(m);
	if (!hold)
		fl__panic("fl_shm_rmutex_unlock", m, "not owned by the caller");
	if (hold->depth > 0)
		hold->depth--;
	else
		fl_shm_mutex_unlock(&m->mutex_);
}

uint32_t fl_shm_rmutex_depth(const fl_shm_rmutex *m)
{
	const struct fl__shm_hold *hold = shm_rmutex_hold(m);
	return hold ? hold->depth + 1 : 0;
}
