/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The mutex in shared memory is a robust lock with a state that records deaths.
 *
 *   state          meaning                          set by                          cleared by
 *   0 (IN_ORDER)   the guarded data are consistent  init, recover                   -
 *   INCONSISTENT   an owner died; the present       shm_mutex_acquired(), under     recover,
 *                  owner has not recovered          the lock, after -EOWNERDEAD     unlock
 *   LOST           the data were not repaired       unlock by an owner that did     init
 *                                                   not recover, under the lock
 *
 * Rule
 *   1. After init, only the owner of the lock reads or writes the state. The lock orders these
 *      accesses, so they are relaxed.
 *
 * What a kill leaves. Each change of the state is one store.
 *   - If a thread is killed inside a call that locks, between the acquire and the return, the next
 *     owner is told of a death. An owner may be told of a harmless death, but never misses a
 *     harmful one, because only an acquire clears DIED, and a thread that is killed before it
 *     stores INCONSISTENT is itself an owner that died.
 *   - If a thread is killed in an unlock before it has stored LOST, it died as an owner before its
 *     unlock. If it has stored LOST, the next owner finds LOST, whatever the lock says.
 *   - Each context that finds LOST owns the lock. It releases the lock and wakes all waiters in the
 *     same step, so no waiter sleeps on a lost mutex, even if the waking thread is killed.
 */
#include "core/base/atomic.h"
#include "core/base/panic.h"
#include "shm_context_lock.h"
#include <errno.h>
#include <fairlead/shm_mutex.h>

_Static_assert(sizeof(struct fl__shm_lock) == sizeof((fl_shm_mutex *)0)->lock_, "lock_ is a struct fl__shm_lock");

enum { SHM_MUTEX_IN_ORDER = 0, SHM_MUTEX_INCONSISTENT = 1, SHM_MUTEX_LOST = 2 };

static uint32_t *shm_mutex_state(fl_shm_mutex *m)
{
	return &fl__shm_lock_at(m->lock_)->words_[FL__SHM_STATE];
}

static struct fl__shm_hold *shm_mutex_hold(const fl_shm_mutex *m, const struct fl__ctx *ctx)
{
	return fl__shm_hold(fl__shm_lock_at(m->lock_), ctx->id);
}

/* Turns the result of an acquire into the result for the user. */
static int shm_mutex_acquired(fl_shm_mutex *m, int rc)
{
	if (rc != 0 && rc != -EOWNERDEAD)
		return rc;
	uint32_t state = fl__load_relaxed(shm_mutex_state(m));
	if (state == SHM_MUTEX_LOST) {
		fl__shm_context_release(fl__shm_lock_at(m->lock_), fl__shm_latest_hold(), true);
		return -ENOTRECOVERABLE;
	}
	if (rc != 0) {
		fl__store_relaxed(shm_mutex_state(m), SHM_MUTEX_INCONSISTENT);
		fl__shm_latest_hold()->told = 1;
	}
	return rc;
}

void fl_shm_mutex_destroy(fl_shm_mutex *m)
{
	/* relaxed: the caller knows that the mutex is unused */
	const uint32_t word = fl__load_relaxed(fl__shm_word(fl__shm_lock_at(m->lock_)));
	fl__shm_check_unused("fl_shm_mutex_destroy", m, word & (FL__SHM_TID | FL__SHM_WAITERS));
}

static bool shm_mutex_is_recursive(const fl_shm_mutex *m)
{
	/* relaxed: the field never changes after init */
	return fl__load_relaxed(&m->recursive_) != 0;
}

static int shm_mutex_relock(struct fl__shm_hold *hold)
{
	if (hold->depth >= UINT32_MAX - 1)
		return -EOVERFLOW;
	hold->depth++;
	return 0;
}

int fl_shm_mutex_try_lock(fl_shm_mutex *m)
{
	const struct fl__ctx *ctx = fl__ctx_get();
	const int rc = fl__shm_try_acquire(fl__shm_lock_at(m->lock_), ctx->id);
	struct fl__shm_hold *hold = rc == -EAGAIN && shm_mutex_is_recursive(m) ? shm_mutex_hold(m, ctx) : NULL;
	return hold ? shm_mutex_relock(hold) : shm_mutex_acquired(m, rc);
}

int fl_shm_mutex_lock_until(fl_shm_mutex *m, fl_time deadline, fl_cancel_token *cancel)
{
	struct fl__ctx *ctx = fl__ctx_get();
	struct fl__shm_lock *l = fl__shm_lock_at(m->lock_);
	int rc = fl__shm_try_acquire(l, ctx->id);
	if (rc == -EAGAIN) {
		struct fl__shm_hold *hold = shm_mutex_hold(m, ctx);
		if (hold)
			return shm_mutex_is_recursive(m) ? shm_mutex_relock(hold) : -EDEADLK;
		rc = fl__shm_context_acquire(l, ctx->id, ctx, deadline, cancel);
	}
	return shm_mutex_acquired(m, rc);
}

void fl_shm_mutex_recover(fl_shm_mutex *m)
{
	struct fl__shm_hold *hold = shm_mutex_hold(m, fl__ctx_get());
	if (!hold)
		fl__panic("fl_shm_mutex_recover", m, "not held by the caller");
	if (!hold->told)
		fl__panic("fl_shm_mutex_recover", m, "no owner died");
	hold->told = 0;
	fl__store_relaxed(shm_mutex_state(m), SHM_MUTEX_IN_ORDER);
}

void fl_shm_mutex_unlock(fl_shm_mutex *m)
{
	struct fl__shm_hold *hold = shm_mutex_hold(m, fl__ctx_get());
	if (!hold)
		fl__panic("fl_shm_mutex_unlock", m, "not held by the caller");
	if (hold->depth > 0) {
		hold->depth--;
		return;
	}
	bool lost = fl__load_relaxed(shm_mutex_state(m)) != SHM_MUTEX_IN_ORDER;
	if (lost)
		fl__store_relaxed(shm_mutex_state(m), SHM_MUTEX_LOST);
	fl__shm_context_release(fl__shm_lock_at(m->lock_), hold, lost);
}

bool fl_shm_mutex_is_locked(const fl_shm_mutex *m)
{
	/* relaxed: the answer may be out of date when the function returns anyway */
	return (fl__load_relaxed(fl__shm_word(fl__shm_lock_at(m->lock_))) & FL__SHM_TID) != 0;
}

uint32_t fl_shm_mutex_depth(const fl_shm_mutex *m)
{
	const struct fl__shm_hold *hold = shm_mutex_hold(m, fl__ctx_get());
	return hold ? hold->depth + 1 : 0;
}
