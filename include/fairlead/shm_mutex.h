/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_SHM_MUTEX_H
#define FAIRLEAD_SHM_MUTEX_H

#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/private/part_process.h>
#include <fairlead/private/scoped_lock.h>
#include <fairlead/thread_safety.h>
#include <fairlead/time.h>

FL_BEGIN_DECLS

/*
 * A mutex in shared memory. If its owner dies, the next owner is told, repairs the guarded data,
 * and recovers the mutex.
 *
 *     FL_SHM_LOCKED(rc, &shared->lock); // until the end of the block
 *     if (rc == -EOWNERDEAD) { // locked, but the previous owner has died
 *             repair(shared);
 *             fl_shm_mutex_recover(&shared->lock);
 *     } else if (rc != 0) {
 *             return rc; // not locked
 *     }
 *     shared->balance += amount;
 *
 * A mutex is 48 bytes, and all-zero memory is an unlocked mutex that is not recursive. Its owner is
 * a context (a thread or a fiber), which must unlock it, on the same thread. It is not fair:
 * running threads may lock it before a waiter, any number of times.
 *
 * Death of an owner
 *
 * An owner is dead when its thread or its process has ended or called exec. Each death is reported
 * once, by -EOWNERDEAD of one lock. If the new owner unlocks without fl_shm_mutex_recover(), the
 * mutex is lost: all waiters and later callers get -ENOTRECOVERABLE, until fl_shm_mutex_init().
 *
 * Processes and limits
 *
 * What fairlead/shm.h says about processes, stops and damage holds here, too. A forked child does
 * not own its parent's mutex. While the mutex is held, its memory must stay mapped at the same
 * address. A thread can hold 2,045 shared locks.
 *
 * Memory order
 *
 * A lock acquires what the previous unlock has released, or what a dead owner wrote. You may free
 * the mutex's memory as soon as you have locked and unlocked it, if no other context will use it.
 */
typedef struct FL_CAPABILITY("shared mutex") fl_shm_mutex {
	uint64_t lock_[5];
	FL__WORD64 uint64_t recursive_;
} fl_shm_mutex;
FL__ASSERT_SIZE(fl_shm_mutex, 48);

/* clang-format off */
#define FL_SHM_MUTEX_INIT { { 0, 0, 0, 0, 0 }, 0 }
#define FL_SHM_MUTEX_RECURSIVE_INIT { { 0, 0, 0, 0, 0 }, 1 }
/* clang-format on */

/* Makes `m` an unlocked mutex that is not recursive. */
FL_INLINE void fl_shm_mutex_init(fl_shm_mutex *_m)
{
	const fl_shm_mutex _value = FL_SHM_MUTEX_INIT;
	*_m = _value;
}

/* Makes `m` an unlocked recursive mutex, which its owner may lock again. */
FL_INLINE void fl_shm_mutex_init_recursive(fl_shm_mutex *_m)
{
	const fl_shm_mutex _value = FL_SHM_MUTEX_RECURSIVE_INIT;
	*_m = _value;
}

/* Ends the life of `m` (fairlead/defs.h, "Destroy"). */
FL_API void fl_shm_mutex_destroy(fl_shm_mutex *m);

/*
 * Locks `m`. Blocks the calling context while another context owns `m`, except
 * fl_shm_mutex_try_lock(). A cancel does not end fl_shm_mutex_lock(). Returns:
 *   0                 locked
 *   -EOWNERDEAD       locked once, and the previous owner has died, perhaps amid a change
 *   -ENOTRECOVERABLE  not locked: the mutex is lost
 *   -EAGAIN           not locked: `m` has an owner
 *   -ETIMEDOUT        not locked: the deadline passed
 *   -ECANCELED        not locked: the wait was cancelled
 *   -EDEADLK          not locked: the calling context holds `m`, which is not recursive (in a try:
 *                     -EAGAIN)
 *   -EOVERFLOW        not locked again: the calling context has locked `m` 2^32 - 1 times
 *   -ENOMEM           not locked: the calling thread holds other shared locks, and there is no
 *                     memory to record another; or it holds 2,045
 */
FL_API FL_MUST_CHECK int fl_shm_mutex_lock_until(fl_shm_mutex *m, fl_time deadline, fl_cancel_token *cancel)
    FL_TRY_ACQUIRE(0, *m);
FL_INLINE FL_MUST_CHECK int fl_shm_mutex_lock(fl_shm_mutex *_m) FL_TRY_ACQUIRE(0, *_m)
{
	return fl_shm_mutex_lock_until(_m, FL_FOREVER, FL_SHIELDED);
}
FL_API FL_MUST_CHECK int fl_shm_mutex_try_lock(fl_shm_mutex *m) FL_TRY_ACQUIRE(0, *m);

/*
 * Declares the guarded data repaired. Panics unless the caller holds `m` from a lock that returned
 * -EOWNERDEAD.
 */
FL_API void fl_shm_mutex_recover(fl_shm_mutex *m) FL_ASSERT_HELD(*m);

/*
 * Undoes one lock of `m`. The last unlock releases `m`, and wakes a waiter. Panics if the caller
 * does not hold `m`.
 */
FL_API void fl_shm_mutex_unlock(fl_shm_mutex *m) FL_RELEASE(*m);

/* Returns whether `m` has an owner now. It orders no memory accesses. */
FL_API bool fl_shm_mutex_is_locked(const fl_shm_mutex *m);

/* Returns how often the calling context has locked `m` and not unlocked it. */
FL_API uint32_t fl_shm_mutex_depth(const fl_shm_mutex *m);

/*
 * FL_SHM_LOCKED(rc, &m) is a declaration that locks `m`, and declares `int rc`, the result of
 * fl_shm_mutex_lock(). The end of the block unlocks `m`, if it is locked. If the block ignores
 * -EOWNERDEAD, the mutex is then lost.
 */
#define FL_SHM_LOCKED(rc, m)                                                                                           \
	__attribute__((__cleanup__(fl__shm_locked_end), __unused__)) struct fl__shm_locked fl__locked_##rc =           \
	    fl__shm_locked_begin(m);                                                                                   \
	const int rc = fl__locked_##rc.result_

struct FL__SCOPED_LOCKABLE fl__shm_locked {
	fl_shm_mutex *mutex_;
	int result_;
};

static inline FL_NO_THREAD_SAFETY_ANALYSIS struct fl__shm_locked fl__shm_locked_begin(fl_shm_mutex *_m) FL_ACQUIRE(*_m)
{
	struct fl__shm_locked _locked = {_m, fl_shm_mutex_lock(_m)};
	if (_locked.result_ != 0 && _locked.result_ != -EOWNERDEAD)
		_locked.mutex_ = NULL;
	return _locked;
}

static inline FL_NO_THREAD_SAFETY_ANALYSIS void fl__shm_locked_end(struct fl__shm_locked *_locked) FL_RELEASE(*_locked)
{
	if (_locked->mutex_)
		fl_shm_mutex_unlock(_locked->mutex_);
}

FL_END_DECLS

#endif
