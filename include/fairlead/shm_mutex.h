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
 * Mutex in memory that processes share. Anyone who holds it, or waits for it, may be killed at any time: the next to lock it
 * is told that its owner died, repairs what it guards, and says so. 48 bytes, valid when all-zero, not recursive.
 *
 *     rc = fl_shm_mutex_lock(&shared->lock);
 *     if (rc == -EOWNERDEAD) {                        // locked; its owner died
 *             repair(shared);
 *             fl_shm_mutex_recover(&shared->lock);
 *     } else if (rc != 0) {
 *             return rc;                              // not locked
 *     }
 *     shared->balance += amount;
 *     fl_shm_mutex_unlock(&shared->lock);
 *
 * Results of the three locks, beside those of each:
 *   0                 locked
 *   -EOWNERDEAD       locked, and the owner before died: maybe in the midst of a change, maybe just before its lock or unlock
 *                     returned. Told once for each death; when the one who was told dies, too, the next is told. An unlock
 *                     without fl_shm_mutex_recover() says that there is no repair: then
 *   -ENOTRECOVERABLE  is the answer to all who wait and to everybody later, not locked, until fl_shm_mutex_init().
 *
 * Owned by the context that locked it, which unlocks it, on the same thread. It counts as dead when its thread ends, when its
 * process ends, or calls exec (by a thread other than the first: the kernel does not tell). A waiter spins for a bounded time,
 * then sleeps; a running thread may overtake, any number of times.
 *
 * Processes: any may be killed at any time. All who share it are in one PID namespace. Fork: a child may use it, and owns
 * nothing that its parent holds. Signals: no function from a handler. While it is held the memory stays mapped where it is, and
 * nobody writes over it: as with all robust futexes its owner keeps addresses of its own there, and follows them in the unlock.
 * A thread can hold 2,048 of all shared locks. Where the system has no robust futexes (emulators) it excludes as well, but
 * nobody is told of a death, and what the dead one held stays locked.
 *
 * Memory order: a lock acquires what the unlock before it released, or what an owner wrote that died. An unlock touches the
 * mutex for the last time in the instruction that frees it.
 */
typedef struct fl_shm_mutex {
	uint64_t lock_[5];
	uint64_t owner_; /* id of the context that holds it */
} fl_shm_mutex;
FL__ASSERT_SIZE(fl_shm_mutex, 48);

/* clang-format off */
#define FL_SHM_MUTEX_INIT { { 0, 0, 0, 0, 0 }, 0 }
/* clang-format on */

/* Makes `m` an unlocked mutex; the same as zeroed memory. Requires that nobody uses it. Never waits. */
FL_INLINE void fl_shm_mutex_init(fl_shm_mutex *m);

/*
 * Returns 0 when nobody holds or awaits `m`: its memory may be given up. Else -EBUSY; a waiter that was killed, or gave up,
 * may count until `m` has been locked and unlocked again (as often, if there were several). Never waits.
 */
FL_API FL_MUST_CHECK int fl_shm_mutex_destroy(const fl_shm_mutex *m);

/*
 * Locks `m`. Blocks the calling context while another holds it; never cancelled. Returns 0, -EOWNERDEAD (locked),
 * -ENOTRECOVERABLE; -EDEADLK when the calling context holds it.
 */
FL_INLINE FL_MUST_CHECK int fl_shm_mutex_lock(fl_shm_mutex *m);

/* Locks `m` if it is free: 0, -EOWNERDEAD (locked), -ENOTRECOVERABLE, -EBUSY. Never waits. */
FL_API FL_MUST_CHECK int fl_shm_mutex_try_lock(fl_shm_mutex *m);

/* As fl_shm_mutex_lock: 0, -EOWNERDEAD (locked), -ENOTRECOVERABLE, -EDEADLK; also -ETIMEDOUT, -ECANCELED. */
FL_API FL_MUST_CHECK int fl_shm_mutex_lock_until(fl_shm_mutex *m, int64_t deadline, fl_cancel_token *cancel);

/* After -EOWNERDEAD: what `m` guards is in order again. Never waits. Panics when the caller was not told of a death. */
FL_API void fl_shm_mutex_recover(fl_shm_mutex *m);

/* Unlocks `m` and wakes a waiter. Never waits. Panics when the calling context does not hold it. */
FL_API void fl_shm_mutex_unlock(fl_shm_mutex *m);

/* Whether somebody holds `m` now: for assertions. Never waits. No memory order. */
FL_API bool fl_shm_mutex_is_locked(const fl_shm_mutex *m);

/* Whether the calling context holds `m`. Never waits. */
FL_API bool fl_shm_mutex_is_owned(const fl_shm_mutex *m);

/*
 * FL_SHM_LOCKED(rc, &m): declares `int rc`, the result of fl_shm_mutex_lock(), and unlocks `m` at the end of the block, by
 * whatever way it is left, if `rc` said that it was locked (0, -EOWNERDEAD). So a block that takes no notice of the death of an
 * owner makes the mutex not recoverable, and nobody else works on what it left. Compilers warn of an `rc` that is never read.
 *
 *     FL_SHM_LOCKED(rc, &shared->lock);
 *     if (rc != 0)
 *             return rc;
 *
 * longjmp and pthread_exit out of the block leave it locked.
 */
#define FL_SHM_LOCKED(rc, m)                                                                                           \
	__attribute__((cleanup(fl__shm_locked_end), unused)) struct fl__shm_locked FL__JOIN(fl__locked_, __LINE__) =   \
	    fl__shm_locked_begin(m);                                                                                   \
	const int rc = FL__JOIN(fl__locked_, __LINE__).result_

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

/* The inline functions. */

FL_INLINE void fl_shm_mutex_init(fl_shm_mutex *_m)
{
	const fl_shm_mutex _value = FL_SHM_MUTEX_INIT;
	*_m = _value;
}

FL_INLINE int fl_shm_mutex_lock(fl_shm_mutex *_m)
{
	return fl_shm_mutex_lock_until(_m, FL_FOREVER, FL_SHIELDED);
}

FL_END_DECLS

#endif
