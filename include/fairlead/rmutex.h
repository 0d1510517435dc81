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
 * A recursive mutex is a mutex that its owner may lock again. The owner (a thread or a fiber) must
 * unlock the mutex as often as the owner has locked it.
 *
 *     static fl_rmutex lock = FL_RMUTEX_INIT;
 *     fl_rmutex_lock(&lock);
 *     walk(tree);                     // may call back into code that locks again
 *     fl_rmutex_unlock(&lock);
 *
 * Prefer fl_mutex where you can: it is smaller and faster, and a condition (fl_cond) works only with
 * an fl_mutex. A recursive mutex is 16 bytes. All-zero memory is an unlocked recursive mutex.
 * Fairness and memory order are those of fl_mutex (fairlead/mutex.h). The next owner may unlock and
 * destroy the mutex, even if the unlock before has not returned yet.
 */
typedef struct FL_CAPABILITY("recursive mutex") FL__REENTRANT fl_rmutex {
	FL__WORD64 uint64_t owner_; /* the id of the context that holds it; 0 if none does */
	fl_mutex mutex_;
	uint32_t depth_; /* locks beyond the first; only the owner uses it */
} fl_rmutex;
FL__ASSERT_SIZE(fl_rmutex, 16);

/* clang-format off */
#define FL_RMUTEX_INIT { 0, FL_MUTEX_INIT, 0 }
/* clang-format on */

/* Makes `m` an unlocked recursive mutex, as the initializer FL_RMUTEX_INIT does. */
FL_INLINE void fl_rmutex_init(fl_rmutex *_m)
{
	_m->owner_ = 0;
	_m->depth_ = 0;
	fl_mutex_init(&_m->mutex_);
}

/*
 * Ends the life of `m`. The call requires that no context owns `m` or waits for it. While debugging
 * is on, it panics if a context does (fairlead/defs.h, "Destroy").
 */
FL_API void fl_rmutex_destroy(fl_rmutex *m) FL_EXCLUDES(*m);

/*
 * Locks `m`, also if the calling context has locked it already. It blocks the calling context while
 * another context owns `m`. A cancel does not end the wait. It panics if the caller has locked `m`
 * 2^32 - 1 times already.
 */
FL_API void fl_rmutex_lock(fl_rmutex *m) FL_ACQUIRE(*m);

/*
 * Locks `m` unless another context owns it, and never waits. Returns:
 *   0           the caller has locked `m` once more
 *   -EAGAIN     another context owns `m`
 *   -EOVERFLOW  the caller has locked `m` 2^32 - 1 times already
 */
FL_API FL_MUST_CHECK int fl_rmutex_try_lock(fl_rmutex *m) FL_TRY_ACQUIRE(0, *m);

/*
 * Locks `m`, or gives up at a deadline or a cancel. It blocks the calling context while another
 * context owns `m`. Returns:
 *   0           the caller has locked `m` once more
 *   -ETIMEDOUT  the deadline passed first; `m` was not locked
 *   -ECANCELED  the wait was cancelled; `m` was not locked
 *   -EOVERFLOW  the caller has locked `m` 2^32 - 1 times already
 */
FL_API FL_MUST_CHECK int fl_rmutex_lock_until(fl_rmutex *m, fl_time deadline, fl_cancel_token *cancel)
    FL_TRY_ACQUIRE(0, *m);

/*
 * Undoes one lock of the calling context. When the last lock is undone, `m` is free, and the first
 * waiter is woken or gets `m`. It panics if the calling context does not own `m`.
 */
FL_API void fl_rmutex_unlock(fl_rmutex *m) FL_RELEASE(*m);

/*
 * Returns how often the calling context has locked `m` and not yet unlocked it. The result is 0 if
 * the context does not own `m`.
 */
FL_API uint32_t fl_rmutex_depth(const fl_rmutex *m);

/* Panics if the calling context does not own `m`. */
FL_API void fl_rmutex_assert_held(const fl_rmutex *m) FL_ASSERT_HELD(*m);

/*
 * FL_RMUTEX_LOCKED(&m) is a declaration that locks `m`, and unlocks it when the enclosing block is
 * left. A longjmp() out of the block leaves `m` locked. So does a pthread_exit() or a
 * pthread_cancel() in the block, except where the C library unwinds the stack: glibc does so, and
 * unlocks `m` if the block is C++, or C that was compiled with -fexceptions.
 */
#define FL_RMUTEX_LOCKED(m) FL__LOCK_SCOPE(fl__rmutex_locked, m)

FL__SCOPED_LOCK(fl__rmutex_locked, fl_rmutex, fl_rmutex_lock, fl_rmutex_unlock, FL_ACQUIRE(*_lock))

FL_END_DECLS

#endif
