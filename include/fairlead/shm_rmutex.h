/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_SHM_RMUTEX_H
#define FAIRLEAD_SHM_RMUTEX_H

#include <fairlead/cancel.h>
#include <fairlead/shm_mutex.h>
#include <fairlead/time.h>

FL_BEGIN_DECLS

/*
 * Recursive mutex in shared memory: the owner may lock the mutex again, and unlocks it as often.
 * The rest is as in fairlead/shm_mutex.h: -EOWNERDEAD, -ENOTRECOVERABLE and -ENOMEM, processes,
 * fork, signals, memory, damage, limits. 56 bytes, valid when all-zero. Two fibers of one thread are
 * two owners.
 *
 *     rc = fl_shm_rmutex_lock(&shared->lock);
 *     if (rc == -EOWNERDEAD) {                        // locked once; the previous owner died
 *             repair(shared);
 *             fl_shm_rmutex_recover(&shared->lock);
 *     } else if (rc != 0) {
 *             return rc;                              // not locked
 *     }
 *     walk(shared);                                   // may call back into code that locks again
 *     fl_shm_rmutex_unlock(&shared->lock);
 *
 * A wait by a fiber or under a cancel token may start a thread of the library, `bridge`
 * (docs/threads.md).
 */
typedef struct fl_shm_rmutex {
	fl_shm_mutex mutex_;
	uint64_t unused_;
} fl_shm_rmutex;
FL__ASSERT_SIZE(fl_shm_rmutex, 56);

/* clang-format off */
#define FL_SHM_RMUTEX_INIT { FL_SHM_MUTEX_INIT, 0 }
/* clang-format on */

/* Makes `m` an unlocked mutex. Requires that no context uses `m`. Never waits. */
FL_INLINE void fl_shm_rmutex_init(fl_shm_rmutex *m);

/*
 * Returns 0 if no context holds or awaits `m`, else -EBUSY, as fl_shm_mutex_destroy(). Never waits.
 */
FL_INLINE FL_MUST_CHECK int fl_shm_rmutex_destroy(const fl_shm_rmutex *m);

/*
 * Locks `m` once more. Blocks while another context owns `m`. Never cancelled. Returns
 *   0                 locked
 *   -EOWNERDEAD       locked once, however often the dead owner had locked `m`
 *   -ENOTRECOVERABLE
 *   -EAGAIN           the calling context has locked `m` 2^32 - 1 times
 */
FL_INLINE FL_MUST_CHECK int fl_shm_rmutex_lock(fl_shm_rmutex *m);

/*
 * As fl_shm_rmutex_lock(): 0, -EOWNERDEAD, -ENOTRECOVERABLE, -EAGAIN. Never waits: returns -EBUSY
 * if another context owns `m`.
 */
FL_API FL_MUST_CHECK int fl_shm_rmutex_try_lock(fl_shm_rmutex *m);

/*
 * As fl_shm_rmutex_lock(): 0, -EOWNERDEAD, -ENOTRECOVERABLE, -EAGAIN. Also returns -ETIMEDOUT,
 * -ECANCELED.
 */
FL_API FL_MUST_CHECK int fl_shm_rmutex_lock_until(fl_shm_rmutex *m, int64_t deadline, fl_cancel_token *cancel);

/*
 * Declares that the data that `m` guards are repaired. Never waits. Panics unless the calling
 * context owns `m` since an -EOWNERDEAD.
 */
FL_INLINE void fl_shm_rmutex_recover(fl_shm_rmutex *m);

/* Undoes one lock. Never waits. Panics when the calling context does not own `m`. */
FL_API void fl_shm_rmutex_unlock(fl_shm_rmutex *m);

/*
 * How often the calling context has locked `m` and not unlocked it; 0 if the context does not own
 * `m`. Never waits.
 */
FL_API uint32_t fl_shm_rmutex_depth(const fl_shm_rmutex *m);

/*
 * FL_SHM_RMUTEX_LOCKED(rc, &m): locks `m`, and declares `int rc`, the result of
 * fl_shm_rmutex_lock(), as FL_SHM_LOCKED does for a mutex. If `rc` says that `m` is locked (0,
 * -EOWNERDEAD), undoes that lock at the end of the block.
 */
#define FL_SHM_RMUTEX_LOCKED(rc, m)                                                                                    \
	__attribute__((cleanup(fl__shm_rmutex_locked_end), unused)) struct fl__shm_rmutex_locked fl__locked_##rc =     \
	    fl__shm_rmutex_locked_begin(m);                                                                            \
	const int rc = fl__locked_##rc.result_

struct fl__shm_rmutex_locked {
	fl_shm_rmutex *mutex_;
	int result_;
};

static inline struct fl__shm_rmutex_locked fl__shm_rmutex_locked_begin(fl_shm_rmutex *_m)
{
	struct fl__shm_rmutex_locked _locked = {_m, fl_shm_rmutex_lock(_m)};
	if (_locked.result_ != 0 && _locked.result_ != -EOWNERDEAD)
		_locked.mutex_ = 0;
	return _locked;
}

static inline void fl__shm_rmutex_locked_end(struct fl__shm_rmutex_locked *_locked)
{
	if (_locked->mutex_)
		fl_shm_rmutex_unlock(_locked->mutex_);
}

/* The inline functions. */

FL_INLINE void fl_shm_rmutex_init(fl_shm_rmutex *_m)
{
	const fl_shm_rmutex _value = FL_SHM_RMUTEX_INIT;
	*_m = _value;
}

FL_INLINE int fl_shm_rmutex_destroy(const fl_shm_rmutex *_m)
{
	return fl_shm_mutex_destroy(&_m->mutex_);
}

FL_INLINE int fl_shm_rmutex_lock(fl_shm_rmutex *_m)
{
	return fl_shm_rmutex_lock_until(_m, FL_FOREVER, FL_SHIELDED);
}

FL_INLINE void fl_shm_rmutex_recover(fl_shm_rmutex *_m)
{
	fl_shm_mutex_recover(&_m->mutex_);
}

FL_END_DECLS

#endif
