/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_MUTEX_H
#define FAIRLEAD_MUTEX_H

#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <stdbool.h>
#include <stdint.h>

FL_BEGIN_DECLS

/*
 * Mutex: at most one context holds it. 4 bytes, valid when all-zero, not recursive. Any context may
 * unlock it.
 *
 *     static fl_mutex lock = FL_MUTEX_INIT;
 *     {
 *             FL_LOCKED(&lock);
 *             balance += amount;
 *     }
 *
 * The wait queue is FIFO, but a running thread may overtake the first waiter for a millisecond.
 * Then the mutex is handed over to the first waiter. The fibers of one loop acquire it in FIFO
 * order, except by fl_mutex_try_lock(). A context that can run goes before fibers that cannot: see
 * fl_loop_run_once().
 *
 * Memory order: a lock acquires what the previous unlock released. The last access of an unlock is
 * the instruction that frees the mutex, so the next owner may destroy it.
 */
typedef struct fl_mutex {
	uint32_t word_;
} fl_mutex;
FL__ASSERT_SIZE(fl_mutex, 4);

/* clang-format off */
#define FL_MUTEX_INIT { 0 }
/* clang-format on */

/* Makes `m` an unlocked mutex, as FL_MUTEX_INIT does. */
FL_API void fl_mutex_init(fl_mutex *m);

/*
 * Ends `m`. Requires that no context holds `m`, waits for it, or is in a wait for a condition with
 * it. Debugging checks it: fairlead/defs.h, "Destroy".
 */
FL_API void fl_mutex_destroy(fl_mutex *m);

/* Locks `m`. Blocks the calling context while another context holds `m`. Never cancelled. */
FL_API void fl_mutex_lock(fl_mutex *m);

/* Locks `m` and returns 0. Returns -EAGAIN when a context holds `m`. */
FL_API FL_MUST_CHECK int fl_mutex_try_lock(fl_mutex *m);

/* Locks `m`. Blocks the calling context. Returns 0; not locked: -ETIMEDOUT, -ECANCELED. */
FL_API FL_MUST_CHECK int fl_mutex_lock_until(fl_mutex *m, fl_time deadline, fl_cancel_token *cancel);

/* Unlocks `m`. Wakes the first waiter or hands `m` over to it. Panics when `m` is not locked. */
FL_API void fl_mutex_unlock(fl_mutex *m);

/* Whether a context holds `m` now: for assertions. No memory order. */
FL_API bool fl_mutex_is_locked(const fl_mutex *m);

/*
 * Panics when no context holds `m`; while debugging is on, also when the calling context did not
 * lock `m`. No memory order.
 */
FL_API void fl_mutex_assert_held(const fl_mutex *m);

/*
 * FL_LOCKED(&m): a declaration that locks `m` until the block ends in any way, except that longjmp
 * and pthread_exit out of the block leave `m` locked.
 */
#define FL_LOCKED(m)                                                                                                   \
	__attribute__((__cleanup__(fl__locked_end), __unused__)) fl_mutex *FL__UNIQUE(fl__locked_) = fl__locked_begin(m)

static inline fl_mutex *fl__locked_begin(fl_mutex *_m)
{
	fl_mutex_lock(_m);
	return _m;
}

static inline void fl__locked_end(fl_mutex **_m)
{
	fl_mutex_unlock(*_m);
}

FL_END_DECLS

#endif
