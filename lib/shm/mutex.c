/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The mutex: a robust lock; what is known of a death, in the lock's state; and the context that holds it.
 *
 *   state          meaning                                  set by                                cleared by
 *   0              what it guards is in order               init, recover()                       -
 *   INCONSISTENT   an owner died, and the present one       lock, under the lock, when taking it  recover(); the unlock
 *                  has not recovered                        said so
 *   LOST           there was no repair                      the unlock of who did not recover,    init
 *                                                           under the lock
 *
 *   owner_         meaning                                  set by                                cleared by
 *   an id          the context that holds the lock, if      lock, when it has it                  unlock, before it frees it
 *                  the lock's word has the calling thread
 *
 * Kills. All of it is guarded by the lock, and each step is one store.
 *   - In a lock, between the taking and the return: the lock is the dead one's, so the next is told of a death. It is told
 *     once more than something went wrong; never less, since taking alone ends "its owner died", and whoever took it without
 *     having stored INCONSISTENT is an owner that died.
 *   - In an unlock, before LOST: as before the unlock. After it: the next finds LOST, whatever the lock says.
 *   - LOST is passed on by everybody who finds it: takes the lock, wakes all, gives it back. So nobody sleeps on a lost mutex,
 *     even if the one who wakes them is killed.
 *   - owner_ of a dead owner stays behind. It is compared only after the word has shown that the calling thread has the lock,
 *     and between taking it and storing its own id that thread runs nothing else.
 *
 * State and owner_ are relaxed throughout: the lock orders them, and the word says whether they count.
 */
#include "../base/atomic.h"
#include "../base/panic.h"
#include "hold.h"
#include <errno.h>
#include <fairlead/shm_mutex.h>
#include <fairlead/time.h>

_Static_assert(sizeof(struct fl__shm_lock) == sizeof((fl_shm_mutex *)0)->lock_, "lock_ is a struct fl__shm_lock");

enum { IN_ORDER = 0, INCONSISTENT = 1, LOST = 2 };

static uint32_t *state_of(fl_shm_mutex *m)
{
	return &fl__shm_lock_at(m->lock_)->words_[FL__SHM_STATE];
}

static bool is_owner(const fl_shm_mutex *m, const struct fl__ctx *ctx)
{
	/* relaxed: see above */
	return fl__shm_mine(fl__shm_lock_at(m->lock_)) && fl__load_relaxed(&m->owner_) == ctx->id;
}

/* After the lock was taken, or not: the result for the user. */
static int taken(fl_shm_mutex *m, const struct fl__ctx *ctx, int rc)
{
	if (rc != 0 && rc != -EOWNERDEAD)
		return rc;
	uint32_t state = fl__load_relaxed(state_of(m)); /* relaxed: see above, all here */
	if (state == LOST) {
		fl__shm_unhold(fl__shm_lock_at(m->lock_), true);
		return -ENOTRECOVERABLE;
	}
	if (rc != 0)
		fl__store_relaxed(state_of(m), INCONSISTENT);
	fl__store_relaxed(&m->owner_, ctx->id);
	return rc;
}

static int lock(fl_shm_mutex *m, int64_t deadline, fl_cancel *cancel)
{
	struct fl__ctx *ctx = fl__ctx_get();
	struct fl__shm_lock *l = fl__shm_lock_at(m->lock_);
	int rc = fl__shm_try_take(l);
	if (rc == -EBUSY)
		rc = is_owner(m, ctx) ? -EDEADLK : fl__shm_hold(l, ctx, deadline, cancel);
	return taken(m, ctx, rc);
}

void fl_shm_mutex_init(fl_shm_mutex *m)
{
	*m = (fl_shm_mutex)FL_SHM_MUTEX_INIT;
}

int fl_shm_mutex_destroy(const fl_shm_mutex *m)
{
	return fl__shm_is_busy(fl__shm_lock_at(m->lock_)) ? -EBUSY : 0;
}

int fl_shm_mutex_lock(fl_shm_mutex *m)
{
	return lock(m, FL_FOREVER, FL_SHIELDED);
}

int fl_shm_mutex_try_lock(fl_shm_mutex *m)
{
	return taken(m, fl__ctx_get(), fl__shm_try_take(fl__shm_lock_at(m->lock_)));
}

int fl_shm_mutex_lock_until(fl_shm_mutex *m, int64_t deadline, fl_cancel *cancel)
{
	return lock(m, deadline, cancel);
}

void fl_shm_mutex_recover(fl_shm_mutex *m)
{
	if (!is_owner(m, fl__ctx_get()))
		fl__panic("fl_shm_mutex_recover", m, "not held by the caller");
	if (fl__load_relaxed(state_of(m)) != INCONSISTENT) /* relaxed: see above, all here */
		fl__panic("fl_shm_mutex_recover", m, "no owner died");
	fl__store_relaxed(state_of(m), IN_ORDER);
}

void fl_shm_mutex_unlock(fl_shm_mutex *m)
{
	if (!is_owner(m, fl__ctx_get()))
		fl__panic("fl_shm_mutex_unlock", m, "not held by the caller");
	bool lost = fl__load_relaxed(state_of(m)) != IN_ORDER; /* relaxed: see above, all here */
	if (lost)
		fl__store_relaxed(state_of(m), LOST);
	fl__store_relaxed(&m->owner_, 0);
	fl__shm_unhold(fl__shm_lock_at(m->lock_), lost);
}

bool fl_shm_mutex_is_locked(const fl_shm_mutex *m)
{
	/* relaxed: out of date when it returns */
	return (fl__load_relaxed(fl__shm_word(fl__shm_lock_at(m->lock_))) & FL__SHM_TID) != 0;
}

bool fl_shm_mutex_is_owned(const fl_shm_mutex *m)
{
	return is_owner(m, fl__ctx_get());
}
