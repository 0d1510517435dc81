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
 * A condition is 16 bytes, and all-zero memory is a condition without waiters. A wakeup may be
 * spurious, so check the predicate in a loop.
 *
 * Broadcast before the change, because the wake would be lost if the process were killed between
 * the change and the broadcast. The woken waiters wait for the mutex, so they see the change. A
 * repair after -EOWNERDEAD also broadcasts, if waiters may wait for the repaired data.
 *
 * Waits and the mutex
 *
 * All contexts that wait at one time must use the same mutex. A wait returns when it has locked the
 * mutex again, which neither its deadline nor a cancel limits. If the caller's own lock returned
 * -EOWNERDEAD, recover the mutex before the wait, which otherwise makes it unusable
 * (-ENOTRECOVERABLE).
 *
 * What fairlead/shm_mutex.h says about processes and limits holds here, too.
 */
typedef struct fl_shm_cond {
	uint32_t changes_;
	uint32_t waits_;
	uint32_t served_;
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

/* Ends the life of `c` (fairlead/defs.h, "Destroy"). */
FL_API void fl_shm_cond_destroy(fl_shm_cond *c);

/*
 * Unlocks `m` and waits as one step, so that no wake is lost in between, and locks `m` again when
 * it is woken. Blocks the calling context. Panics unless the context has locked `m` exactly once.
 * Returns 0, or:
 *   -ETIMEDOUT, -ECANCELED  `m` is locked
 *   -EOWNERDEAD             `m` is locked, and its previous owner has died: repair the data, and
 *                           recover the mutex
 *   -ENOTRECOVERABLE        `m` is not locked: it is lost or damaged
 *   -ENOMEM                 `m` is not locked: other contexts of the thread hold shared locks, and
 *                           there is no memory to record another, or 2,045 are held
 */
FL_INLINE FL_MUST_CHECK int fl_shm_cond_wait(fl_shm_cond *c, fl_shm_mutex *m) FL_REQUIRES(*m);
FL_API FL_MUST_CHECK int fl_shm_cond_wait_until(fl_shm_cond *c, fl_shm_mutex *m, fl_time deadline,
                                                fl_cancel_token *cancel) FL_REQUIRES(*m);

/*
 * Waits until `predicate(arg)` is true. The predicate is called with `m` locked, at once and after
 * each wakeup, but not after -EOWNERDEAD. Blocks and panics as fl_shm_cond_wait() does. Returns 0,
 * or:
 *   -ETIMEDOUT, -ECANCELED  the predicate is false. `m` is locked
 *   -EOWNERDEAD, -ENOTRECOVERABLE, -ENOMEM
 *                           as in fl_shm_cond_wait()
 */
FL_INLINE FL_MUST_CHECK int fl_shm_cond_wait_for(fl_shm_cond *c, fl_shm_mutex *m, bool (*predicate)(void *arg),
                                                 void *arg) FL_REQUIRES(*m);
FL_INLINE FL_MUST_CHECK int fl_shm_cond_wait_for_until(fl_shm_cond *c, fl_shm_mutex *m, bool (*predicate)(void *arg),
                                                       void *arg, fl_time deadline, fl_cancel_token *cancel)
    FL_REQUIRES(*m);

/* Wakes all waiters. Call it with the mutex held, before the change that they wait for. */
FL_API void fl_shm_cond_broadcast(fl_shm_cond *c);

FL__COND_FORMS(fl_shm_cond, fl_shm_mutex)

FL_END_DECLS

#endif
