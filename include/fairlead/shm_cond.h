/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_SHM_COND_H
#define FAIRLEAD_SHM_COND_H

#include <errno.h>
#include <fairlead/shm_mutex.h>
#include <fairlead/time.h>
#include <stddef.h>

FL_BEGIN_DECLS

/*
 * Condition in memory that processes share: waits, under an fl_shm_mutex, until somebody says that something changes. 16
 * bytes, valid when all-zero.
 *
 *     while (!shared->ready)                          // with shared->lock held
 *             if ((rc = fl_shm_cond_wait(&shared->changed, &shared->lock)) != 0)
 *                     return rc;                      // after what -EOWNERDEAD asks for
 *
 *     fl_shm_cond_broadcast(&shared->changed);        // first,
 *     shared->ready = 1;                              // then the change,
 *     fl_shm_mutex_unlock(&shared->lock);             // then the unlock
 *
 * The second order is the one that survives a kill: who is killed before the change has changed nothing, and who is killed
 * after it has woken everybody already; they wait for the mutex, and the first gets -EOWNERDEAD. The usual order, change and
 * then signal, loses the wake of who is killed between the two. Whoever repairs after -EOWNERDEAD broadcasts, too, if what it
 * repaired may be what others wait for. A waiter that is killed leaves nothing behind.
 *
 * Signal and broadcast both wake all: in shared memory the one that were chosen could be killed before it acts, and nobody
 * would act in its place. A wait may also return 0 without reason: check the predicate.
 *
 * Results of the waits. The mutex decides first:
 *   -EOWNERDEAD       locked again, and the owner before died: see fl_shm_mutex
 *   -ENOTRECOVERABLE  the mutex is lost, and not locked
 * Otherwise it is locked, and the result is that of the sleep: 0, -ETIMEDOUT, -ECANCELED. What -EOWNERDEAD hides is not lost:
 * the deadline is past at the next wait, too, and the token is still requested. Taking the mutex again is neither timed nor
 * cancelled. A wait of who was told of a death and has not recovered gives the mutex up as an unlock does: -ENOTRECOVERABLE.
 *
 * All waiters at one time use the same mutex. Processes, fork, signals, limits: as for fl_shm_mutex.
 */
typedef struct fl_shm_cond {
	uint32_t changes_; /* counts the signals that had somebody to wake */
	uint32_t waits_;   /* counts the waits */
	uint32_t served_;  /* those among them that have been woken */
	uint32_t unused_;
} fl_shm_cond;
FL__ASSERT_SIZE(fl_shm_cond, 16);

/* clang-format off */
#define FL_SHM_COND_INIT { 0, 0, 0, 0 }
/* clang-format on */

/* Makes `c` a condition without waiters. Requires that nobody uses it. Never waits. */
FL_INLINE void fl_shm_cond_init(fl_shm_cond *c);

/*
 * Returns 0 when nobody waits on `c`, else -EBUSY; a waiter that was killed, or that gave up while others waited, may count
 * until the next signal. Never waits.
 */
FL_API FL_MUST_CHECK int fl_shm_cond_destroy(const fl_shm_cond *c);

/*
 * Unlocks `m`, waits to be woken, locks `m`. Unlocking and beginning to wait are one step for every signaller. Blocks the
 * calling context. Observes its cancel scope. Panics when the calling context does not hold `m`. Returns 0, -ECANCELED;
 * -EOWNERDEAD, -ENOTRECOVERABLE (above).
 */
FL_INLINE FL_MUST_CHECK int fl_shm_cond_wait(fl_shm_cond *c, fl_shm_mutex *m);

/* As fl_shm_cond_wait: 0, -ECANCELED, -EOWNERDEAD, -ENOTRECOVERABLE; also -ETIMEDOUT at `deadline`. */
FL_API FL_MUST_CHECK int fl_shm_cond_wait_until(fl_shm_cond *c, fl_shm_mutex *m, int64_t deadline,
                                                fl_cancel_token *cancel);

/*
 * Waits until `predicate(arg)` holds; it is called with `m` locked, first at once, and not after the death of an owner.
 * Returns 0 when it holds (also when it came to hold at the moment of a timeout or cancel); -ECANCELED, -EOWNERDEAD,
 * -ENOTRECOVERABLE.
 */
FL_INLINE FL_MUST_CHECK int fl_shm_cond_wait_for(fl_shm_cond *c, fl_shm_mutex *m, bool (*predicate)(void *arg),
                                                 void *arg);

/* As fl_shm_cond_wait_for: 0, -ECANCELED, -EOWNERDEAD, -ENOTRECOVERABLE; also -ETIMEDOUT at `deadline`. */
FL_INLINE FL_MUST_CHECK int fl_shm_cond_wait_for_until(fl_shm_cond *c, fl_shm_mutex *m, bool (*predicate)(void *arg),
                                                       void *arg, int64_t deadline, fl_cancel_token *cancel);

/* Wakes all that wait now; call it before the change, with the mutex held (above). Never waits. */
FL_API void fl_shm_cond_signal(fl_shm_cond *c);

/* The same: there is no other wake in shared memory. Never waits. */
FL_API void fl_shm_cond_broadcast(fl_shm_cond *c);

/* The inline functions. */

FL_INLINE void fl_shm_cond_init(fl_shm_cond *_c)
{
	const fl_shm_cond _value = FL_SHM_COND_INIT;
	*_c = _value;
}

FL_INLINE int fl_shm_cond_wait(fl_shm_cond *_c, fl_shm_mutex *_m)
{
	return fl_shm_cond_wait_until(_c, _m, FL_FOREVER, NULL);
}

FL_INLINE int fl_shm_cond_wait_for(fl_shm_cond *_c, fl_shm_mutex *_m, bool (*_predicate)(void *), void *_arg)
{
	return fl_shm_cond_wait_for_until(_c, _m, _predicate, _arg, FL_FOREVER, NULL);
}

FL_INLINE int fl_shm_cond_wait_for_until(fl_shm_cond *_c, fl_shm_mutex *_m, bool (*_predicate)(void *), void *_arg,
                                         int64_t _deadline, fl_cancel_token *_cancel)
{
	int _rc = 0;
	while (!_predicate(_arg)) {
		if (_rc != 0)
			return _rc;
		_rc = fl_shm_cond_wait_until(_c, _m, _deadline, _cancel);
		if (_rc == -EOWNERDEAD || _rc == -ENOTRECOVERABLE)
			return _rc;
	}
	return 0;
}

FL_END_DECLS

#endif
