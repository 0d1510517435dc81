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
 * A mutex has 4 bytes. All-zero memory is an unlocked mutex. It is not recursive. A context that
 * already holds the mutex and locks it again waits for itself. Unless the wait has a deadline or
 * can be cancelled, it ends only if another context unlocks the mutex. Any context may unlock a
 * mutex, not only the one that locked it.
 *
 * Fairness: the wait queue is FIFO. Running threads may overtake the first waiter until about a
 * millisecond after its first wake. Then the mutex is handed over to the waiter. If the waiter gets
 * no CPU, threads may overtake it for longer. The fibers of one loop acquire the mutex in FIFO
 * order, except that fl_mutex_try_lock() may overtake. A loop that a program drives by
 * fl_loop_run_once() is a special case: its fibers cannot run between two calls. Between two calls,
 * the thread that drives the loop may wait in a function of this library. Meanwhile, waiters that
 * can run go before the fibers of that loop. fl_loop_run_once() (fairlead/loop.h) describes this.
 *
 * Memory order: a lock acquires what the previous unlock released. After the instruction that makes
 * the mutex available, an unlock accesses the memory of the mutex only while a context waits at
 * this address. So the next owner may unlock and destroy the mutex, even if the unlock before has
 * not returned yet.
 */
typedef struct FL_CAPABILITY("mutex") fl_mutex {
	uint32_t word_;
} fl_mutex;
FL__ASSERT_SIZE(fl_mutex, 4);

/* clang-format off */
#define FL_MUTEX_INIT { 0 }
/* clang-format on */

/* Makes `m` an unlocked mutex, as the initializer FL_MUTEX_INIT does. */
FL_API void fl_mutex_init(fl_mutex *m);

/*
 * Ends the life of `m`. The call requires that no context holds `m`, waits for `m`, or waits for a
 * condition variable with `m`. While debugging is on, it panics if a context holds `m` or waits for
 * `m` (fairlead/defs.h, "Destroy"). It does not notice a context that waits for a condition
 * variable with `m`.
 */
FL_API void fl_mutex_destroy(fl_mutex *m) FL_EXCLUDES(*m);

/*
 * Locks `m`. It blocks the calling context while another context holds `m`. A cancel does not end
 * the wait. A context that already holds `m` waits until another context unlocks `m`.
 */
FL_API void fl_mutex_lock(fl_mutex *m) FL_ACQUIRE(*m);

/*
 * Locks `m` if no context holds it, and never waits. Returns:
 *   0        `m` is locked
 *   -EAGAIN  a context holds `m`
 */
FL_API FL_MUST_CHECK int fl_mutex_try_lock(fl_mutex *m) FL_TRY_ACQUIRE(0, *m);

/*
 * Locks `m`, or gives up at a deadline or a cancel. It blocks the calling context while another
 * context holds `m`. The deadline is a time of CLOCK_MONOTONIC (fairlead/time.h). NULL for `cancel`
 * means the context's cancel scope, and FL_SHIELDED means no token. Returns:
 *   0           `m` is locked
 *   -ETIMEDOUT  the deadline passed first; `m` is not locked
 *   -ECANCELED  the wait was cancelled; `m` is not locked
 */
FL_API FL_MUST_CHECK int fl_mutex_lock_until(fl_mutex *m, fl_time deadline, fl_cancel_token *cancel)
    FL_TRY_ACQUIRE(0, *m);

/*
 * Unlocks `m`, and wakes the first waiter or hands `m` over to it. It panics if `m` is not locked.
 */
FL_API void fl_mutex_unlock(fl_mutex *m) FL_RELEASE(*m);

/*
 * Returns whether any context holds `m` now. Use it in assertions only, since the answer may be out
 * of date at once. It orders no memory accesses.
 */
FL_API bool fl_mutex_is_locked(const fl_mutex *m);

/*
 * Panics if no context holds `m`. While debugging is on (fairlead/debug.h), it also panics if
 * debugging knows that another context locked `m`. Debugging knows who holds `m` if `m` was locked
 * while FL_DEBUG_LOCKORDER or FL_DEBUG_WAITS was on. The call orders no memory accesses.
 */
FL_API void fl_mutex_assert_held(const fl_mutex *m) FL_ASSERT_HELD(*m);

/*
 * FL_LOCKED(&m) is a declaration that locks `m`, and unlocks it when the enclosing block is left.
 * It locks as fl_mutex_lock() does. The unlock happens at the end of the block and also at a
 * return, break or goto out of it. A longjmp() out of the block leaves `m` locked. So does a
 * pthread_exit() or a pthread_cancel() in the block, except where the C library unwinds the stack:
 * glibc does so, and unlocks `m` if the block is C++, or C that was compiled with -fexceptions.
 */
#define FL_LOCKED(m) FL__LOCK_SCOPE(fl__locked, m)

FL__SCOPED_LOCK(fl__locked, fl_mutex, fl_mutex_lock, fl_mutex_unlock, FL_ACQUIRE(*_lock))

FL_END_DECLS

#endif
