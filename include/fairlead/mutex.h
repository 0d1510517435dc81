/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_MUTEX_H
#define FAIRLEAD_MUTEX_H

#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <stdbool.h>
#include <stdint.h>

FL_BEGIN_DECLS

/*
 * Mutex: at most one context holds it. 4 bytes, valid when all-zero, not recursive, not owned by a thread (any context may
 * unlock). A waiter spins for a bounded time, then sleeps; waiters are served in FIFO order, but a running thread may overtake the
 * first of them for a millisecond; then the mutex is handed over to it. So of n that want it all the time each has it again after
 * about n ms. Among the fibers of one loop it is first come, first served (fl_mutex_try_lock() apart).
 *
 *     static fl_mutex lock = FL_MUTEX_INIT;
 *     {
 *             FL_LOCKED(&lock);
 *             balance += amount;
 *     }
 *
 * Memory order: a lock acquires what the unlock before it released. An unlock touches the mutex for the last time in the
 * instruction that frees it, so that the next owner may destroy it at once and free its memory.
 */
typedef struct fl_mutex {
	uint32_t word_;
} fl_mutex;
FL__ASSERT_SIZE(fl_mutex, 4);

/* clang-format off */
#define FL_MUTEX_INIT { 0 }
/* clang-format on */

/* Makes `m` an unlocked mutex; the same as FL_MUTEX_INIT. Requires that nobody uses it. Never waits. */
FL_API void fl_mutex_init(fl_mutex *m);

/* Returns 0 when nobody holds or awaits `m`: its memory may be given up. Else -EBUSY. Never waits. */
FL_API FL_MUST_CHECK int fl_mutex_destroy(fl_mutex *m);

/* Locks `m`. Blocks the calling context while another holds it; never cancelled. */
FL_API void fl_mutex_lock(fl_mutex *m);

/* Returns 0 when it locked `m`, -EBUSY when another holds it. Never waits. */
FL_API FL_MUST_CHECK int fl_mutex_try_lock(fl_mutex *m);

/* Locks `m` and returns 0; or, not locked, -ETIMEDOUT at `deadline` or -ECANCELED. Blocks the calling context. */
FL_API FL_MUST_CHECK int fl_mutex_lock_until(fl_mutex *m, int64_t deadline, fl_cancel_token *cancel);

/* Unlocks `m`, and wakes a waiter or hands `m` over to it. Never waits. Panics when `m` is not locked. */
FL_API void fl_mutex_unlock(fl_mutex *m);

/* Whether somebody holds `m` now: for assertions. Never waits. No memory order. */
FL_API bool fl_mutex_is_locked(const fl_mutex *m);

/*
 * Panics when nobody holds `m`; while debugging is on, also when the calling context did not lock it. For functions whose caller
 * holds it. Never waits. No memory order.
 */
FL_API void fl_mutex_assert_held(const fl_mutex *m);

/*
 * FL_LOCKED(&m): locks `m` until the end of the block, by whatever way it is left; a declaration. longjmp and pthread_exit
 * out of the block leave it locked.
 */
#define FL_LOCKED(m)                                                                                                   \
	__attribute__((cleanup(fl__locked_end), unused)) fl_mutex *FL__JOIN(fl__locked_, __LINE__) = fl__locked_begin(m)

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
