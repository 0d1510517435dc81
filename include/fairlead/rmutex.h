/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_RMUTEX_H
#define FAIRLEAD_RMUTEX_H

#include <fairlead/mutex.h>
#include <fairlead/time.h>

FL_BEGIN_DECLS

/* clang 19 and 20 do not know recursive locks. */
#if FL_THREAD_SAFETY && __has_attribute(__reentrant_capability__)
#define FL__REENTRANT FL__THREAD_SAFETY(__reentrant_capability__)
#else
#define FL__REENTRANT
#endif

/*
 * A recursive mutex is a mutex that its owner (a thread or a fiber) may lock again, and must unlock
 * as often.
 *
 *     static fl_rmutex lock = FL_RMUTEX_INIT;
 *     fl_rmutex_lock(&lock);
 *     walk(tree);                     // may call back into code that locks again
 *     fl_rmutex_unlock(&lock);
 *
 * Prefer fl_mutex, which is smaller and faster, and works with fl_cond.
 *
 * A recursive mutex is 16 bytes, and all-zero memory is an unlocked one. Fairness, memory order,
 * and when it may be destroyed are as for fl_mutex (fairlead/mutex.h).
 */
typedef struct FL_CAPABILITY("recursive mutex") FL__REENTRANT fl_rmutex {
	FL__WORD64 uint64_t owner_;
	fl_mutex mutex_;
	uint32_t depth_;
} fl_rmutex;
FL__ASSERT_SIZE(fl_rmutex, 16);

/* clang-format off */
#define FL_RMUTEX_INIT { 0, FL_MUTEX_INIT, 0 }
/* clang-format on */

/* Makes `m` an unlocked recursive mutex, as FL_RMUTEX_INIT does. */
FL_INLINE void fl_rmutex_init(fl_rmutex *_m)
{
	_m->owner_ = 0;
	_m->depth_ = 0;
	fl_mutex_init(&_m->mutex_);
}

/* Ends the life of `m` (fairlead/defs.h, "Destroy"). */
FL_API void fl_rmutex_destroy(fl_rmutex *m) FL_EXCLUDES(*m);

/*
 * Locks `m`, even if the calling context has locked it already. fl_rmutex_lock() and
 * fl_rmutex_lock_until() block the calling context while another context owns `m`. A cancel does
 * not end fl_rmutex_lock(), which panics where the try and until forms return -EOVERFLOW. These
 * return 0, -ETIMEDOUT, -ECANCELED, or:
 *   -EAGAIN     another context owns `m`
 *   -EOVERFLOW  the caller has locked `m` 2^32 - 1 times already
 */
FL_API void fl_rmutex_lock(fl_rmutex *m) FL_ACQUIRE(*m);
FL_API FL_MUST_CHECK int fl_rmutex_try_lock(fl_rmutex *m) FL_TRY_ACQUIRE(0, *m);
FL_API FL_MUST_CHECK int fl_rmutex_lock_until(fl_rmutex *m, fl_time deadline, fl_cancel_token *cancel)
    FL_TRY_ACQUIRE(0, *m);

/*
 * Undoes one lock of the calling context, and wakes a waiter as fl_mutex_unlock() does. Panics if
 * the caller does not own `m`.
 */
FL_API void fl_rmutex_unlock(fl_rmutex *m) FL_RELEASE(*m);

/* Returns how often the calling context has locked `m` and not unlocked it. */
FL_API uint32_t fl_rmutex_depth(const fl_rmutex *m);

/* Panics if the calling context does not own `m`. */
FL_API void fl_rmutex_assert_held(const fl_rmutex *m) FL_ASSERT_HELD(*m);

/*
 * FL_RMUTEX_LOCKED(&m) is a declaration that locks `m` until the end of the enclosing block, as
 * FL_LOCKED() (fairlead/mutex.h) does.
 */
#define FL_RMUTEX_LOCKED(m) FL__LOCK_SCOPE(fl__rmutex_locked, m)

FL__SCOPED_LOCK(fl__rmutex_locked, fl_rmutex, fl_rmutex_lock, fl_rmutex_unlock, FL_ACQUIRE(*_lock))

FL_END_DECLS

#endif
