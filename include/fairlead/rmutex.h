/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_RMUTEX_H
#define FAIRLEAD_RMUTEX_H

#include <fairlead/mutex.h>
#include <fairlead/time.h>
#include <stddef.h>

FL_BEGIN_DECLS

/*
 * Recursive mutex: its owner, a context, may lock it again, and unlocks it as often. 16 bytes,
 * valid when all-zero. Prefer fl_mutex.
 *
 *     static fl_rmutex lock = FL_RMUTEX_INIT;
 *     fl_rmutex_lock(&lock);
 *     walk(tree);                     // may call back into code that locks again
 *     fl_rmutex_unlock(&lock);
 *
 * Fairness, memory order and the end of life are those of fl_mutex.
 */
typedef struct fl_rmutex {
	uint64_t owner_; /* id of the context that holds it; 0: none */
	fl_mutex mutex_;
	uint32_t depth_; /* locks beyond the first; only the owner uses it */
} fl_rmutex;
FL__ASSERT_SIZE(fl_rmutex, 16);

/* clang-format off */
#define FL_RMUTEX_INIT { 0, FL_MUTEX_INIT, 0 }
/* clang-format on */

/* Makes `m` an unlocked mutex. */
FL_INLINE void fl_rmutex_init(fl_rmutex *_m)
{
	_m->owner_ = 0;
	_m->depth_ = 0;
	fl_mutex_init(&_m->mutex_);
}

/*
 * Ends `m`. Requires that no context owns `m` or waits for it. Debugging checks it:
 * fairlead/defs.h, "Destroy".
 */
FL_API void fl_rmutex_destroy(fl_rmutex *m);

/*
 * Locks `m` once more. Blocks the calling context while another context owns `m`. Never cancelled.
 * Panics after 2^32 - 1 nested locks.
 */
FL_API void fl_rmutex_lock(fl_rmutex *m);

/*
 * Locks `m` once more. Returns 0, or:
 *   -EAGAIN     another context owns `m`
 *   -EOVERFLOW  the caller has locked `m` 2^32 - 1 times
 */
FL_API FL_MUST_CHECK int fl_rmutex_try_lock(fl_rmutex *m);

/*
 * Locks `m` once more. Blocks the calling context while another context owns `m`. Returns 0; not
 * locked: -ETIMEDOUT, -ECANCELED, -EOVERFLOW (as fl_rmutex_try_lock()).
 */
FL_API FL_MUST_CHECK int fl_rmutex_lock_until(fl_rmutex *m, fl_time deadline, fl_cancel_token *cancel);

/* Undoes one lock. Panics when the calling context does not own `m`. */
FL_API void fl_rmutex_unlock(fl_rmutex *m);

/* How often the calling context has locked `m` and not unlocked it. */
FL_API uint32_t fl_rmutex_depth(const fl_rmutex *m);

/* Panics when the calling context does not own `m`. */
FL_API void fl_rmutex_assert_held(const fl_rmutex *m);

/* FL_RMUTEX_LOCKED(&m): locks `m` until the end of the block, as FL_LOCKED does for a mutex. */
#define FL_RMUTEX_LOCKED(m)                                                                                            \
	__attribute__((__cleanup__(fl__rmutex_locked_end), __unused__)) fl_rmutex *FL__UNIQUE(fl__rmutex_locked_) =    \
	    fl__rmutex_locked_begin(m)

static inline fl_rmutex *fl__rmutex_locked_begin(fl_rmutex *_m)
{
	fl_rmutex_lock(_m);
	return _m;
}

static inline void fl__rmutex_locked_end(fl_rmutex **_m)
{
	fl_rmutex_unlock(*_m);
}

FL_END_DECLS

#endif
