/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_SHM_RWLOCK_H
#define FAIRLEAD_SHM_RWLOCK_H

#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/time.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

FL_BEGIN_DECLS

/*
 * Readers-writer lock in shared memory: many contexts read, or one writes. All may be killed at any
 * time. The death of a reader frees its slot, and is not reported. The death of a writer is
 * reported. 2,112 bytes, valid when all-zero; fastest at a multiple of 64.
 *
 *     rc = fl_shm_rwlock_read_lock(&shared->lock);
 *     if (rc == 0) {
 *             look_at(shared);
 *             fl_shm_rwlock_read_unlock(&shared->lock);
 *     } else if (rc == -EOWNERDEAD) {                 // not locked: a writer died
 *             rc = fl_shm_rwlock_write_lock(&shared->lock);
 *             if (rc == -EOWNERDEAD) {                // locked
 *                     repair(shared);
 *                     fl_shm_rwlock_recover(&shared->lock);
 *             }
 *             ...
 *             fl_shm_rwlock_write_unlock(&shared->lock);
 *     }
 *
 * After the death of a writer, read locks return -EOWNERDEAD, not locked. The next write lock
 * returns -EOWNERDEAD, locked: its caller repairs the data and calls fl_shm_rwlock_recover(). If
 * this writer dies, too, the next writer gets -EOWNERDEAD. If this writer unlocks without
 * fl_shm_rwlock_recover(), all locks return -ENOTRECOVERABLE, not locked, until
 * fl_shm_rwlock_init().
 *
 * At most 32 contexts read at one time. A further reader waits for a free slot. A waiting writer
 * comes before later readers. A reader may lock for reading again, and unlocks as often. A second
 * lock that would have to wait returns -EDEADLK.
 *
 * The context that locked the lock owns it, and unlocks it on the same thread. A reader writes one
 * cache line of its own, and reads lines that only writers change. A writer acquires all 32 slots,
 * and counts as 33 of the 2,046 shared locks that a thread can hold. Death, -ENOMEM,
 * processes, fork, signals, memory, damage and emulators: as in fairlead/shm_mutex.h.
 *
 * A wait by a fiber or under a cancel token may start a thread of the library, `bridge`
 * (docs/threads.md).
 *
 * Memory order: a lock acquires what earlier write unlocks released, or what a dead writer wrote. A
 * write lock also acquires what earlier read unlocks released.
 */
struct fl__shm_slot {
	uint64_t lock_[5];
	uint64_t unused_[3];
};

enum { FL_SHM_RWLOCK_READERS = 32 };

typedef struct fl_shm_rwlock {
	uint64_t writer_[5];
	uint64_t unused_1_;
	uint32_t dirty_;      /* see lib/shm/shm_rwlock.c */
	uint32_t slots_used_; /* 0: all; fewer for fairlead-stress. */
	uint64_t unused_2_;
	struct fl__shm_slot slots_[FL_SHM_RWLOCK_READERS];
} fl_shm_rwlock;
FL__ASSERT_SIZE(fl_shm_rwlock, 64 * (1 + FL_SHM_RWLOCK_READERS));

/*
 * Makes `l` an unlocked lock, as zeroed memory is. Requires that no context uses `l`. Never waits.
 */
FL_INLINE void fl_shm_rwlock_init(fl_shm_rwlock *l);

/*
 * Returns 0 if no context holds or awaits `l`: its memory may be freed. Otherwise returns -EBUSY. A
 * waiter that was killed, or gave up, may make it -EBUSY until `l` has been locked for writing and
 * unlocked again, once for each such waiter. Never waits.
 */
FL_API FL_MUST_CHECK int fl_shm_rwlock_destroy(const fl_shm_rwlock *l);

/*
 * Locks `l` for reading. Blocks the calling context while another context writes or waits to write.
 * Never cancelled. Returns
 *   0                 locked
 *   -EOWNERDEAD
 *   -ENOTRECOVERABLE
 *   -EDEADLK          the calling context holds `l`, and would have to wait
 */
FL_INLINE FL_MUST_CHECK int fl_shm_rwlock_read_lock(fl_shm_rwlock *l);

/*
 * Locks `l` for reading if no context writes or waits to write. Never waits. Returns 0, -EOWNERDEAD
 * (not locked), -ENOTRECOVERABLE, or -EBUSY: the call would have to wait.
 */
FL_INLINE FL_MUST_CHECK int fl_shm_rwlock_try_read_lock(fl_shm_rwlock *l);

/*
 * As fl_shm_rwlock_read_lock(): 0, -EOWNERDEAD (not locked), -ENOTRECOVERABLE, -EDEADLK. Also
 * returns
 *   -ETIMEDOUT  `deadline` has passed
 *   -ECANCELED  `cancel` was requested
 */
FL_API FL_MUST_CHECK int fl_shm_rwlock_read_lock_until(fl_shm_rwlock *l, int64_t deadline, fl_cancel_token *cancel);

/*
 * Undoes one read lock. Never waits. Panics when the calling context does not hold `l` for reading.
 */
FL_API void fl_shm_rwlock_read_unlock(fl_shm_rwlock *l);

/*
 * Locks `l` for writing. Blocks the calling context while other contexts hold `l`. Never cancelled.
 * Returns
 *   0                 locked
 *   -EOWNERDEAD       locked
 *   -ENOTRECOVERABLE
 *   -EDEADLK          the calling context holds `l`, for reading or writing
 */
FL_INLINE FL_MUST_CHECK int fl_shm_rwlock_write_lock(fl_shm_rwlock *l);

/*
 * Locks `l` for writing if `l` is free. Never waits. Returns 0, -EOWNERDEAD (locked),
 * -ENOTRECOVERABLE, or -EBUSY: a context holds `l`.
 */
FL_INLINE FL_MUST_CHECK int fl_shm_rwlock_try_write_lock(fl_shm_rwlock *l);

/*
 * As fl_shm_rwlock_write_lock(): 0, -EOWNERDEAD (locked), -ENOTRECOVERABLE, -EDEADLK. Also returns
 * -ETIMEDOUT, -ECANCELED.
 */
FL_API FL_MUST_CHECK int fl_shm_rwlock_write_lock_until(fl_shm_rwlock *l, int64_t deadline, fl_cancel_token *cancel);

/*
 * Declares that the data that `l` guards are repaired. Never waits. Panics unless the calling
 * context holds `l` for writing since an -EOWNERDEAD.
 */
FL_API void fl_shm_rwlock_recover(fl_shm_rwlock *l);

/*
 * Undoes the write lock, and wakes waiters. Never waits. Panics when the calling context does not
 * hold `l` for writing.
 */
FL_API void fl_shm_rwlock_write_unlock(fl_shm_rwlock *l);

/* The inline functions. */

FL_INLINE void fl_shm_rwlock_init(fl_shm_rwlock *_l)
{
	memset(_l, 0, sizeof *_l);
}

FL_INLINE int fl_shm_rwlock_read_lock(fl_shm_rwlock *_l)
{
	return fl_shm_rwlock_read_lock_until(_l, FL_FOREVER, FL_SHIELDED);
}

FL_INLINE int fl_shm_rwlock_try_read_lock(fl_shm_rwlock *_l)
{
	return fl_shm_rwlock_read_lock_until(_l, FL__TRY, FL_SHIELDED);
}

FL_INLINE int fl_shm_rwlock_write_lock(fl_shm_rwlock *_l)
{
	return fl_shm_rwlock_write_lock_until(_l, FL_FOREVER, FL_SHIELDED);
}

FL_INLINE int fl_shm_rwlock_try_write_lock(fl_shm_rwlock *_l)
{
	return fl_shm_rwlock_write_lock_until(_l, FL__TRY, FL_SHIELDED);
}

FL_END_DECLS

#endif
