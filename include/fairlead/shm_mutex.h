/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_SHM_MUTEX_H
#define FAIRLEAD_SHM_MUTEX_H

#include <errno.h>
#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/time.h>
#include <stdbool.h>
#include <stdint.h>

FL_BEGIN_DECLS

/*
 * Mutex in shared memory. If the owner dies, the next owner is told, repairs the guarded data, and
 * recovers the mutex. 48 bytes. All-zero is a mutex that is not recursive. Two fibers of one thread
 * are two owners.
 *
 *     rc = fl_shm_mutex_lock(&shared->lock);
 *     if (rc == -EOWNERDEAD) {                        // locked; the previous owner died
 *             repair(shared);
 *             fl_shm_mutex_recover(&shared->lock);
 *     } else if (rc != 0) {
 *             return rc;                              // not locked
 *     }
 *     shared->balance += amount;
 *     fl_shm_mutex_unlock(&shared->lock);
 *
 * Results of the three lock functions, beside those of each function:
 *   0                 locked
 *   -EOWNERDEAD       locked; the previous owner died, perhaps in the midst of a change
 *   -ENOTRECOVERABLE  not locked: an owner that got -EOWNERDEAD has unlocked without
 *                     fl_shm_mutex_recover(). All waiters and all later callers get this result
 *                     until fl_shm_mutex_init()
 *   -ENOMEM           not locked: the calling thread holds two shared locks or more, and there is
 *                     no memory to record another; or it holds 2,046
 *
 * Each death is reported once. The context that locked the mutex unlocks it on the same thread. The
 * owner is dead when its thread or its process ends, or calls exec. The kernel does not report an
 * exec by a thread other than the first. A running thread may overtake a waiter any number of
 * times.
 *
 *   Processes  All processes that share a mutex are in one PID namespace.
 *   Fork       A child may use the mutex. A child owns no mutex that its parent holds.
 *
 *   Memory     While the mutex is held, its memory stays mapped at the same address.
 *   Damage     If another process overwrites the mutex (docs/threat-model.md), the mutex excludes
 *              no longer, and the calls of its owner still write to nothing outside the mutex.
 *   Limit      A thread can hold 2,046 shared locks: the kernel frees no more when it dies.
 *   Emulators  Without robust futexes a mutex of a dead owner stays locked, and a death in a call
 *              for another object may leave others waiting.
 *
 * Memory order: a lock acquires what the previous unlock released, or what a dead owner wrote. An
 * unlock touches the mutex for the last time in the instruction that frees it.
 */
typedef struct fl_shm_mutex {
	uint64_t lock_[5];
	uint64_t recursive_;
} fl_shm_mutex;
FL__ASSERT_SIZE(fl_shm_mutex, 48);

/* clang-format off */
#define FL_SHM_MUTEX_INIT { { 0, 0, 0, 0, 0 }, 0 }
#define FL_SHM_MUTEX_RECURSIVE_INIT { { 0, 0, 0, 0, 0 }, 1 }
/* clang-format on */

/* Makes `m` an unlocked mutex, as zeroed memory is. */
FL_INLINE void fl_shm_mutex_init(fl_shm_mutex *_m)
{
	const fl_shm_mutex _value = FL_SHM_MUTEX_INIT;
	*_m = _value;
}

/* As fl_shm_mutex_init(): makes `m` a recursive mutex. */
FL_INLINE void fl_shm_mutex_init_recursive(fl_shm_mutex *_m)
{
	const fl_shm_mutex _value = FL_SHM_MUTEX_RECURSIVE_INIT;
	*_m = _value;
}

/*
 * Ends `m`. Requires that no context holds `m` or waits for it. Debugging logs a warning where that
 * seems to be wrong, and never panics: fairlead/defs.h, "Destroy". A waiter that was killed, or
 * gave up, may count until `m` was locked and unlocked once for each.
 */
FL_API void fl_shm_mutex_destroy(fl_shm_mutex *m);

/*
 * Locks `m`. Blocks the calling context. fl_shm_mutex_lock() is never cancelled. Returns
 * -ENOTRECOVERABLE, -ECANCELED, 0, or:
 *   -EOWNERDEAD  locked, once, however often the dead owner had locked `m`
 *   -EDEADLK     the calling context holds `m`, which is not recursive
 *   -EOVERFLOW   the calling context has locked a recursive `m` 2^32 - 1 times
 */
FL_API FL_MUST_CHECK int fl_shm_mutex_lock_until(fl_shm_mutex *m, fl_time deadline, fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_shm_mutex_lock(fl_shm_mutex *_m)
{
	return fl_shm_mutex_lock_until(_m, FL_FOREVER, FL_SHIELDED);
}

/*
 * As fl_shm_mutex_lock(): 0, -EOWNERDEAD (locked), -ENOTRECOVERABLE, -EOVERFLOW. Never waits:
 * returns -EAGAIN if `m` has an owner, unless `m` is recursive and the owner is the caller.
 */
FL_API FL_MUST_CHECK int fl_shm_mutex_try_lock(fl_shm_mutex *m);

/* Declares the guarded data repaired. Panics unless the caller holds `m` since an -EOWNERDEAD. */
FL_API void fl_shm_mutex_recover(fl_shm_mutex *m);

/* Undoes one lock. The last unlock wakes a waiter. Panics when the caller does not hold `m`. */
FL_API void fl_shm_mutex_unlock(fl_shm_mutex *m);

/* True if `m` has an owner now: for assertions. No memory order. */
FL_API bool fl_shm_mutex_is_locked(const fl_shm_mutex *m);

/* How often the calling context has locked `m` and not unlocked it. */
FL_API uint32_t fl_shm_mutex_depth(const fl_shm_mutex *m);

/*
 * FL_SHM_LOCKED(rc, &m): locks `m`, and declares `int rc`, the result of fl_shm_mutex_lock(). If
 * `rc` says that `m` is locked (0, -EOWNERDEAD), unlocks `m` at the end of the block, however
 * control leaves the block. So a block that ignores -EOWNERDEAD makes the mutex not recoverable.
 *
 *     FL_SHM_LOCKED(rc, &shared->lock);
 *     if (rc != 0)
 *             return rc;
 *
 * longjmp and pthread_exit out of the block leave `m` locked.
 */
#define FL_SHM_LOCKED(rc, m)                                                                                           \
	__attribute__((__cleanup__(fl__shm_locked_end), __unused__)) struct fl__shm_locked fl__locked_##rc =           \
	    fl__shm_locked_begin(m);                                                                                   \
	const int rc = fl__locked_##rc.result_

struct fl__shm_locked {
	fl_shm_mutex *mutex_;
	int result_;
};

static inline struct fl__shm_locked fl__shm_locked_begin(fl_shm_mutex *_m)
{
	struct fl__shm_locked _locked = {_m, fl_shm_mutex_lock(_m)};
	if (_locked.result_ != 0 && _locked.result_ != -EOWNERDEAD)
		_locked.mutex_ = 0;
	return _locked;
}

static inline void fl__shm_locked_end(struct fl__shm_locked *_locked)
{
	if (_locked->mutex_)
		fl_shm_mutex_unlock(_locked->mutex_);
}

FL_END_DECLS

#endif
