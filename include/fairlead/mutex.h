/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_MUTEX_H
#define FAIRLEAD_MUTEX_H

#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/private/scoped_lock.h>
#include <fairlead/thread_safety.h>

FL_BEGIN_DECLS

/*
 * A mutex is a lock that at most one context (a thread or a fiber) holds at a time.
 *
 *     static fl_mutex lock = FL_MUTEX_INIT;
 *     {
 *             FL_LOCKED(&lock);
 *             balance += amount;
 *     }
 *
 * A mutex is 4 bytes, and all-zero memory is an unlocked mutex. It is not recursive: a context that
 * holds it and locks it again waits, usually forever, until another context unlocks it. Any context
 * may unlock a mutex, not only the one that locked it.
 *
 * Fairness: the wait queue is FIFO, but running threads may overtake the first waiter until about a
 * millisecond after its first wake. Then an unlock hands the mutex over to this waiter, later if it
 * gets no CPU. The fibers of one loop acquire the mutex in FIFO order, except by
 * fl_mutex_try_lock(). Fibers of a loop that you drive by fl_loop_run_once() may be overtaken
 * (fairlead/loop.h).
 *
 * Memory order: a lock acquires what the previous unlock released. If you hold the mutex, you may
 * unlock and destroy it, even if the previous owner has not yet returned from its unlock.
 */
typedef struct FL_CAPABILITY("mutex") fl_mutex {
	uint32_t word_;
} fl_mutex;
FL__ASSERT_SIZE(fl_mutex, 4);

/* clang-format off */
#define FL_MUTEX_INIT { 0 }
/* clang-format on */

/* Makes `m` an unlocked mutex, as FL_MUTEX_INIT does. */
FL_API void fl_mutex_init(fl_mutex *m);

/*
 * Ends the life of `m` (fairlead/defs.h, "Destroy"). No context may be in a wait for a condition
 * variable that uses `m`, either; debugging does not notice that.
 */
FL_API void fl_mutex_destroy(fl_mutex *m) FL_EXCLUDES(*m);

/*
 * Locks `m`. fl_mutex_lock() and fl_mutex_lock_until() block the calling context while another
 * context holds `m`. A cancel does not end fl_mutex_lock(). The try and until forms return 0,
 * -ETIMEDOUT, -ECANCELED, or -EAGAIN if a context holds `m`.
 */
FL_API void fl_mutex_lock(fl_mutex *m) FL_ACQUIRE(*m);
FL_API FL_MUST_CHECK int fl_mutex_try_lock(fl_mutex *m) FL_TRY_ACQUIRE(0, *m);
FL_API FL_MUST_CHECK int fl_mutex_lock_until(fl_mutex *m, fl_time deadline, fl_cancel_token *cancel)
    FL_TRY_ACQUIRE(0, *m);

/* Unlocks `m`, and wakes the first waiter or hands `m` over to it. Panics if `m` is not locked. */
FL_API void fl_mutex_unlock(fl_mutex *m) FL_RELEASE(*m);

/* Returns whether any context holds `m` now, for assertions. It orders no memory accesses. */
FL_API bool fl_mutex_is_locked(const fl_mutex *m);

/*
 * Panics if no context holds `m`, or if debugging (FL_DEBUG_LOCKORDER or FL_DEBUG_WAITS) knows that
 * another context holds it. It orders no memory accesses.
 */
FL_API void fl_mutex_assert_held(const fl_mutex *m) FL_ASSERT_HELD(*m);

/*
 * FL_LOCKED(&m) is a declaration that locks `m` as fl_mutex_lock() does, and unlocks it at the end
 * of the enclosing block (fairlead/defs.h, "Cleanup").
 */
#define FL_LOCKED(m) FL__LOCK_SCOPE(fl__locked, m)

FL__SCOPED_LOCK(fl__locked, fl_mutex, fl_mutex_lock, fl_mutex_unlock, FL_ACQUIRE(*_lock))

FL_END_DECLS

#endif
