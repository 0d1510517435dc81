/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_SHM_COND_H
#define FAIRLEAD_SHM_COND_H

#include <errno.h>
#include <fairlead/private/cond_forms.h>
#include <fairlead/shm_mutex.h>
#include <fairlead/time.h>
#include <stddef.h>

FL_BEGIN_DECLS

/*
 * Condition variable in shared memory, with an fl_shm_mutex. 16 bytes, valid when all-zero.
 *
 *     while (!shared->ready)                          // with shared->lock held
 *             if ((rc = fl_shm_cond_wait(&shared->changed, &shared->lock)) != 0)
 *                     return rc;                      // after the repair that -EOWNERDEAD asks for
 *
 *     fl_shm_cond_broadcast(&shared->changed);        // first,
 *     shared->ready = 1;                              // then the change,
 *     fl_shm_mutex_unlock(&shared->lock);             // then the unlock
 *
 * This order survives a kill: in the usual order, change and then wake, a kill between the two
 * loses the wake. A repair after -EOWNERDEAD also broadcasts, if waiters may wait for the data.
 *
 * There is no signal for one waiter, as fl_cond_signal() is: the woken process may be killed before
 * it acts, and the others would sleep on. A wakeup may be spurious: check the predicate.
 *
 * Results of the waits; the mutex decides first:
 *   -EOWNERDEAD       locked again; the previous owner of the mutex died: fairlead/shm_mutex.h
 *   -ENOTRECOVERABLE  not locked: the mutex is not recoverable, or damaged
 *   -ENOMEM           not locked: since the wait began, other contexts of the thread have locked
 *                     two shared locks or more, and there is no memory to record another
 *
 * Otherwise the mutex is locked, and the result is that of the sleep: 0, -ETIMEDOUT, -ECANCELED.
 * Locking the mutex again has no timeout and is not cancelled. A wait by an owner that got
 * -EOWNERDEAD and has not recovered the mutex unlocks the mutex without recovery: -ENOTRECOVERABLE.
 *
 * All contexts that wait at one time use one mutex. Processes, fork, limits: fairlead/shm_mutex.h.
 */
typedef struct fl_shm_cond {
	uint32_t changes_; /* wakes that found a waiter */
	uint32_t waits_;   /* waits that have begun */
	uint32_t served_;  /* waits that need no more wakes */
	uint32_t unused_;
} fl_shm_cond;
FL__ASSERT_SIZE(fl_shm_cond, 16);

/* clang-format off */
#define FL_SHM_COND_INIT { 0, 0, 0, 0 }
/* clang-format on */

/* Makes `c` a condition without waiters. */
FL_INLINE void fl_shm_cond_init(fl_shm_cond *_c)
{
	const fl_shm_cond _value = FL_SHM_COND_INIT;
	*_c = _value;
}

/*
 * Ends `c`. Requires that no context waits on `c`. Debugging logs a warning where that seems to be
 * wrong, and never panics: fairlead/defs.h, "Destroy". A waiter that was killed, or that gave up
 * while other contexts waited, may count until the next broadcast.
 */
FL_API void fl_shm_cond_destroy(fl_shm_cond *c);

/*
 * Unlocks `m`, waits to be woken, locks `m`. The unlock and the begin of the wait are one step.
 * Blocks the calling context. Panics unless the calling context has locked `m` exactly once.
 * Returns 0, -ECANCELED, or, as said above: -EOWNERDEAD (the mutex's previous owner died),
 * -ENOTRECOVERABLE, -ENOMEM.
 */
FL_INLINE FL_MUST_CHECK int fl_shm_cond_wait(fl_shm_cond *c, fl_shm_mutex *m);

/* As fl_shm_cond_wait(). Also returns -ETIMEDOUT. */
FL_API FL_MUST_CHECK int fl_shm_cond_wait_until(fl_shm_cond *c, fl_shm_mutex *m, fl_time deadline,
                                                fl_cancel_token *cancel);

/*
 * Waits until `predicate(arg)` is true. Calls `predicate` with `m` locked: first at once, then
 * after each wakeup, but not after -EOWNERDEAD, and never without `m`. Returns -EOWNERDEAD (the
 * mutex's previous owner died), -ENOTRECOVERABLE, -ENOMEM, or:
 *   0           the predicate is true, even after a cancel or timeout
 *   -ECANCELED  the predicate is false
 */
FL_INLINE FL_MUST_CHECK int fl_shm_cond_wait_for(fl_shm_cond *c, fl_shm_mutex *m, bool (*predicate)(void *arg),
                                                 void *arg);

/* As fl_shm_cond_wait_for(). Also returns -ETIMEDOUT. */
FL_INLINE FL_MUST_CHECK int fl_shm_cond_wait_for_until(fl_shm_cond *c, fl_shm_mutex *m, bool (*predicate)(void *arg),
                                                       void *arg, fl_time deadline, fl_cancel_token *cancel);

/* Wakes all waiters. Called before the change, with the mutex held. */
FL_API void fl_shm_cond_broadcast(fl_shm_cond *c);

FL__COND_FORMS(fl_shm_cond, fl_shm_mutex)

FL_END_DECLS

#endif
