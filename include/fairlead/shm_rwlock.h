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
 * Readers-writer lock in memory that processes share: many read, or one writes. Anyone may be killed at any time: the death
 * of a reader frees its place and is nobody's business; of the death of a writer the next ones are told. 2,112 bytes, valid
 * when all-zero; best at a multiple of 64.
 *
 *     rc = fl_shm_rwlock_read_lock(&shared->lock);
 *     if (rc == 0) {
 *             look_at(shared);
 *             fl_shm_rwlock_read_unlock(&shared->lock);
 *     } else if (rc == -EOWNERDEAD) {                 // not locked: a writer died. Who can, repairs:
 *             rc = fl_shm_rwlock_write_lock(&shared->lock);
 *             if (rc == -EOWNERDEAD) {                // locked
 *                     repair(shared);
 *                     fl_shm_rwlock_recover(&shared->lock);
 *             }
 *             ...
 *             fl_shm_rwlock_write_unlock(&shared->lock);
 *     }
 *
 * Results after the death of a writer:
 *   read              -EOWNERDEAD, not locked, until a writer has repaired
 *   write             -EOWNERDEAD, locked: repair, and fl_shm_rwlock_recover(). If the repairer dies, the next writer is told
 *   both              -ENOTRECOVERABLE, not locked, for all until fl_shm_rwlock_init(), once a writer that was told has unlocked
 *                     without fl_shm_rwlock_recover()
 *
 * Limit: 32 readers at one time; another waits until one has left. Who waits to write comes before readers that come later. A
 * reader may read once more, and unlocks as often, but not wait for it: -EDEADLK.
 *
 * Owned by the context that locked it, which unlocks it, on the same thread. Cost: a reader touches one line of memory of its
 * own, beside lines that only writers change; a writer takes all 32 places, and counts as 33 of the 2,048 shared locks that a
 * thread can hold. Death, processes, fork, signals, memory, and systems without robust futexes: as for fl_shm_mutex.
 *
 * Memory order: a lock acquires what the unlocks of writers before it released, or what a writer wrote that died; a write
 * lock also what the read unlocks before it released.
 */
struct fl__shm_slot {
	uint64_t lock_[5];
	uint64_t unused_[3];
};

enum { FL_SHM_RWLOCK_READERS = 32 };

typedef struct fl_shm_rwlock {
	uint64_t writer_[5];
	uint64_t owner_;      /* id of the context that holds writer_ */
	uint32_t dirty_;      /* see lib/shm/shm_rwlock.c */
	uint32_t slots_used_; /* 0: all; fewer for the laboratory */
	uint64_t unused_;
	struct fl__shm_slot slots_[FL_SHM_RWLOCK_READERS];
} fl_shm_rwlock;
FL__ASSERT_SIZE(fl_shm_rwlock, 64 * (1 + FL_SHM_RWLOCK_READERS));

/* Makes `l` an unlocked lock; the same as zeroed memory. Requires that nobody uses it. Never waits. */
FL_INLINE void fl_shm_rwlock_init(fl_shm_rwlock *l);

/*
 * Returns 0 when nobody holds or awaits `l`: its memory may be given up. Else -EBUSY; a waiter that was killed, or gave up,
 * may count until `l` has been locked for writing and unlocked again (as often, if there were several). Never waits.
 */
FL_API FL_MUST_CHECK int fl_shm_rwlock_destroy(const fl_shm_rwlock *l);

/*
 * Locks `l` for reading. Blocks the calling context while another writes or waits to write; never cancelled. Returns 0,
 * -EOWNERDEAD (not locked), -ENOTRECOVERABLE; -EDEADLK when the calling context holds `l` already and would have to wait.
 */
FL_INLINE FL_MUST_CHECK int fl_shm_rwlock_read_lock(fl_shm_rwlock *l);

/* Locks `l` for reading if nobody writes or waits to: 0, -EOWNERDEAD (not locked), -ENOTRECOVERABLE, -EBUSY. Never waits. */
FL_INLINE FL_MUST_CHECK int fl_shm_rwlock_try_read_lock(fl_shm_rwlock *l);

/* As fl_shm_rwlock_read_lock: 0, -EOWNERDEAD (not locked), -ENOTRECOVERABLE, -EDEADLK; also -ETIMEDOUT, -ECANCELED. */
FL_API FL_MUST_CHECK int fl_shm_rwlock_read_lock_until(fl_shm_rwlock *l, int64_t deadline, fl_cancel_token *cancel);

/* Undoes one read lock. Never waits. Panics when the calling context does not hold one. */
FL_API void fl_shm_rwlock_read_unlock(fl_shm_rwlock *l);

/*
 * Locks `l` for writing. Blocks the calling context while others hold it; never cancelled. Returns 0, -EOWNERDEAD (locked),
 * -ENOTRECOVERABLE; -EDEADLK when the calling context holds `l` already, for reading or writing.
 */
FL_INLINE FL_MUST_CHECK int fl_shm_rwlock_write_lock(fl_shm_rwlock *l);

/* Locks `l` for writing if nobody holds it: 0, -EOWNERDEAD (locked), -ENOTRECOVERABLE, -EBUSY. Never waits. */
FL_INLINE FL_MUST_CHECK int fl_shm_rwlock_try_write_lock(fl_shm_rwlock *l);

/* As fl_shm_rwlock_write_lock: 0, -EOWNERDEAD (locked), -ENOTRECOVERABLE, -EDEADLK; also -ETIMEDOUT, -ECANCELED. */
FL_API FL_MUST_CHECK int fl_shm_rwlock_write_lock_until(fl_shm_rwlock *l, int64_t deadline, fl_cancel_token *cancel);

/* After the -EOWNERDEAD of a write lock: what `l` guards is in order again. Never waits. Panics when the caller was not told. */
FL_API void fl_shm_rwlock_recover(fl_shm_rwlock *l);

/* Undoes the write lock, and wakes who waits. Never waits. Panics when the calling context does not hold it. */
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
