/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_SHM_COND_H
#define FAIRLEAD_SHM_COND_H

#include <fairlead/private/cond_forms.h>
#include <fairlead/shm_mutex.h>
#include <fairlead/time.h>

FL_BEGIN_DECLS

/*
 * A condition variable in shared memory, for use with an fl_shm_mutex.
 *
 *     while (!shared->ready) { // with shared->lock held
 *             int rc = fl_shm_cond_wait(&shared->changed, &shared->lock);
 *             if (rc != 0)
 *                     return rc; // after -EOWNERDEAD: see fairlead/shm_mutex.h
 *     }
 *
 *     fl_shm_cond_broadcast(&shared->changed); // another process, which holds shared->lock,
 *     shared->ready = 1;                       // broadcasts before the change,
 *     fl_shm_mutex_unlock(&shared->lock);      // and unlocks after it
 *
 * A condition has 16 bytes. All-zero memory is a condition without waiters.
 *
 * Broadcast before the change. The waiters that it wakes wait for the mutex, so they see the
 * change. If the process changed the data first and was killed before the broadcast, the wake would
 * be lost. A repair after -EOWNERDEAD also broadcasts, if waiters may wait for the repaired data.
 *
 * There is no signal for one waiter, as fl_cond_signal() is for threads: the woken process might be
 * killed before it acts, and the other waiters would sleep on. A wakeup may be spurious, so check
 * the predicate in a loop.
 *
 * Waits and the mutex
 *
 * All contexts that wait on a condition at one time use the same mutex. A wait returns when it has
 * locked the mutex again. Locking the mutex has no timeout and is not cancelled. If the lock of the
 * mutex reports something, as -EOWNERDEAD, that is the result of the wait: see the codes of
 * fl_shm_cond_wait(). Otherwise the result is that of the sleep: 0, -ETIMEDOUT or -ECANCELED.
 *
 * An owner that got -EOWNERDEAD must recover the mutex before it waits. Otherwise the wait unlocks
 * the mutex without recovery, which makes the mutex lost (-ENOTRECOVERABLE).
 *
 * What fairlead/shm_mutex.h says about processes and limits applies to a condition, too.
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

/* Makes `c` a condition without waiters, as zeroed memory is. */
FL_INLINE void fl_shm_cond_init(fl_shm_cond *_c)
{
	const fl_shm_cond _value = FL_SHM_COND_INIT;
	*_c = _value;
}

/*
 * Ends `c`. It frees nothing and cannot fail.
 *
 * The call requires that no context waits on `c`. While debugging is on (fairlead/debug.h), the
 * call logs a warning if a context seems to wait, and never panics: "Destroy" in fairlead/defs.h.
 * The warning may be wrong: a waiter that was killed, or that gave up while other contexts waited,
 * may count until the next broadcast.
 */
FL_API void fl_shm_cond_destroy(fl_shm_cond *c);

/*
 * Unlocks `m`, waits until it is woken, and locks `m` again.
 *
 * The unlock and the begin of the wait are one step, so no wake is lost between them. The call
 * blocks the calling context. It panics unless the calling context has locked `m` exactly once.
 *
 * Returns:
 *   0                 woken, perhaps spuriously. `m` is locked
 *   -ECANCELED        the wait was cancelled. `m` is locked
 *   -EOWNERDEAD       `m` is locked, and its previous owner has died: repair the data, and recover
 *                     the mutex
 *   -ENOTRECOVERABLE  `m` is not locked: it is lost or damaged
 *   -ENOMEM           `m` is not locked: since the wait began, other contexts of the thread have
 *                     locked shared locks, so that the thread holds two or more, and there is no
 *                     memory to record another; or the thread holds 2,045
 */
FL_INLINE FL_MUST_CHECK int fl_shm_cond_wait(fl_shm_cond *c, fl_shm_mutex *m) FL_REQUIRES(*m);

/*
 * Does the same as fl_shm_cond_wait(), and gives up when the deadline has passed (-ETIMEDOUT) or
 * `cancel` is requested (-ECANCELED). After these two results `m` is locked.
 */
FL_API FL_MUST_CHECK int fl_shm_cond_wait_until(fl_shm_cond *c, fl_shm_mutex *m, fl_time deadline,
                                                fl_cancel_token *cancel) FL_REQUIRES(*m);

/*
 * Waits until `predicate(arg)` is true.
 *
 * The predicate is called only with `m` locked: at once, and after each wakeup. It is not called
 * after -EOWNERDEAD. The call blocks the calling context. It panics unless the calling context has
 * locked `m` exactly once.
 *
 * Returns:
 *   0                 the predicate is true, even if the wait was cancelled or timed out. `m` is
 *                     locked
 *   -ECANCELED        the wait was cancelled, and the predicate is false. `m` is locked
 *   -EOWNERDEAD       `m` is locked, and its previous owner has died: repair the data, and recover
 *                     the mutex
 *   -ENOTRECOVERABLE  `m` is not locked: it is lost or damaged
 *   -ENOMEM           `m` is not locked: since the wait began, other contexts of the thread have
 *                     locked shared locks, so that the thread holds two or more, and there is no
 *                     memory to record another; or the thread holds 2,045
 */
FL_INLINE FL_MUST_CHECK int fl_shm_cond_wait_for(fl_shm_cond *c, fl_shm_mutex *m, bool (*predicate)(void *arg),
                                                 void *arg) FL_REQUIRES(*m);

/*
 * Does the same as fl_shm_cond_wait_for(), and gives up when the deadline has passed (-ETIMEDOUT)
 * or `cancel` is requested (-ECANCELED). After these two results `m` is locked.
 */
FL_INLINE FL_MUST_CHECK int fl_shm_cond_wait_for_until(fl_shm_cond *c, fl_shm_mutex *m, bool (*predicate)(void *arg),
                                                       void *arg, fl_time deadline, fl_cancel_token *cancel)
    FL_REQUIRES(*m);

/*
 * Wakes all waiters. Call it before the change that they wait for, with the mutex held. The call
 * never waits.
 */
FL_API void fl_shm_cond_broadcast(fl_shm_cond *c);

FL__COND_FORMS(fl_shm_cond, fl_shm_mutex)

FL_END_DECLS

#endif
