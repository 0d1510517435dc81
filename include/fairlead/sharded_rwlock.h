/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_SHARDED_RWLOCK_H
#define FAIRLEAD_SHARDED_RWLOCK_H

#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/mutex.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

FL_BEGIN_DECLS

/*
 * Sharded readers-writer lock: for data that is read all the time and seldom written. A reader
 * changes one cache line, which few other readers share, so readers on many CPUs do not slow each
 * other down. A writer visits all these lines: about four for each CPU, at most 32. 2,112 bytes,
 * best aligned to 64, valid when all-zero. No thread owns it: any context may unlock. Use fl_rwlock
 * where locks are many, or where one access in ten or more writes.
 *
 *     static fl_sharded_rwlock lock = FL_SHARDED_RWLOCK_INIT;
 *     {
 *             FL_SHARDED_READ_LOCKED(&lock);
 *             route(&table, packet);
 *     }
 *
 * Fairness: a writer waits up to a millisecond for a moment without readers. Then it blocks new
 * readers, and waits for those that it finds. At its unlock all waiting readers enter, before the
 * next writer. Writers take turns as with fl_mutex: a running writer may overtake for a
 * millisecond. So a reader waits for the present writer and at most one more, and no context
 * starves.
 *
 * A context that reads must not read-lock again: it would wait for a writer that waits for it.
 *
 * Memory order: a lock acquires what earlier write unlocks released. A write lock also acquires
 * what earlier read unlocks released.
 *
 * The memory of a used lock may be freed after fl_sharded_rwlock_destroy() returned 0. A context
 * that has locked it, and knows that no other will, may destroy it right after its unlock.
 *
 * Fork: in the child, the lock is locked for ever if another thread held it, or a writer waited for
 * it.
 */
struct fl__sharded_rwlock_row {
	uint32_t word_;
	uint32_t unused_[15];
};

enum { FL_SHARDED_RWLOCK_ROWS = 32 };

typedef struct fl_sharded_rwlock {
	uint32_t pending_, left_; /* see lib/sync/sharded_rwlock.c */
	fl_mutex turn_;
	uint32_t unused_[13];
	struct fl__sharded_rwlock_row rows_[FL_SHARDED_RWLOCK_ROWS];
} fl_sharded_rwlock;
FL__ASSERT_SIZE(fl_sharded_rwlock, 64 * (1 + FL_SHARDED_RWLOCK_ROWS));

/* clang-format off */
#define FL_SHARDED_RWLOCK_INIT { 0, 0, FL_MUTEX_INIT, { 0 }, { { 0, { 0 } } } }
/* clang-format on */

/*
 * Makes `l` an unlocked lock, as FL_SHARDED_RWLOCK_INIT does. Requires that no context uses `l`.
 * Never waits.
 */
FL_INLINE void fl_sharded_rwlock_init(fl_sharded_rwlock *l);

/*
 * Ends the use of `l`, so that its memory may be freed. A write unlock first lets other contexts
 * in, and has its last access later. Waits only for that access. Returns:
 *
 *   0       no context holds `l` or waits for it
 *   -EBUSY  a context does
 */
FL_API FL_MUST_CHECK int fl_sharded_rwlock_destroy(fl_sharded_rwlock *l);

/*
 * Locks `l` for reading. Blocks the calling context while a context writes, or waits for readers to
 * leave. Never cancelled.
 */
FL_API void fl_sharded_rwlock_read_lock(fl_sharded_rwlock *l);

/*
 * Locks `l` for reading and returns 0. Returns -EBUSY when a context writes, or waits for readers
 * to leave. Never waits.
 */
FL_API FL_MUST_CHECK int fl_sharded_rwlock_try_read_lock(fl_sharded_rwlock *l);

/*
 * As fl_sharded_rwlock_read_lock(). Returns 0; not locked: -ETIMEDOUT at `deadline`, -ECANCELED.
 * Blocks the calling context.
 */
FL_API FL_MUST_CHECK int fl_sharded_rwlock_read_lock_until(fl_sharded_rwlock *l, int64_t deadline,
                                                           fl_cancel_token *cancel);

/*
 * Undoes one read lock, of this or another context. Never waits. Requires that there is one: the
 * lock does not check.
 */
FL_API void fl_sharded_rwlock_read_unlock(fl_sharded_rwlock *l);

/*
 * Locks `l` for writing. Blocks the calling context while other contexts hold `l`. Never cancelled.
 */
FL_API void fl_sharded_rwlock_write_lock(fl_sharded_rwlock *l);

/*
 * Locks `l` for writing and returns 0. Returns -EBUSY when a context holds `l`, or another writer
 * waits for it. Never waits, but may block readers for the time of the call.
 */
FL_API FL_MUST_CHECK int fl_sharded_rwlock_try_write_lock(fl_sharded_rwlock *l);

/* As fl_sharded_rwlock_read_lock_until(), for writing: 0, -ETIMEDOUT, -ECANCELED. */
FL_API FL_MUST_CHECK int fl_sharded_rwlock_write_lock_until(fl_sharded_rwlock *l, int64_t deadline,
                                                            fl_cancel_token *cancel);

/*
 * Undoes the write lock, and lets the waiting readers in. Never waits. Panics when no context
 * writes.
 */
FL_API void fl_sharded_rwlock_write_unlock(fl_sharded_rwlock *l);

/*
 * Whether a context reads now; whether a context writes now, or begins to wait until the readers
 * have left. The results may be wrong while other contexts lock and unlock. Never wait. No memory
 * order.
 */
FL_API bool fl_sharded_rwlock_is_read_locked(const fl_sharded_rwlock *l);
FL_API bool fl_sharded_rwlock_is_write_locked(const fl_sharded_rwlock *l);

/*
 * Panics when no context reads or writes; the second form, when no context writes. Never wait.
 */
FL_API void fl_sharded_rwlock_assert_read_held(const fl_sharded_rwlock *l);
FL_API void fl_sharded_rwlock_assert_write_held(const fl_sharded_rwlock *l);

/*
 * FL_SHARDED_READ_LOCKED(&l), FL_SHARDED_WRITE_LOCKED(&l): lock `l` until the end of the block, as
 * FL_LOCKED does for a mutex.
 */
#define FL_SHARDED_READ_LOCKED(l)                                                                                      \
	__attribute__((cleanup(fl__sharded_read_locked_end), unused)) fl_sharded_rwlock *FL__UNIQUE(fl__locked_) =     \
	    fl__sharded_read_locked_begin(l)
#define FL_SHARDED_WRITE_LOCKED(l)                                                                                     \
	__attribute__((cleanup(fl__sharded_write_locked_end), unused)) fl_sharded_rwlock *FL__UNIQUE(fl__locked_) =    \
	    fl__sharded_write_locked_begin(l)

static inline fl_sharded_rwlock *fl__sharded_read_locked_begin(fl_sharded_rwlock *_l)
{
	fl_sharded_rwlock_read_lock(_l);
	return _l;
}

static inline void fl__sharded_read_locked_end(fl_sharded_rwlock **_l)
{
	fl_sharded_rwlock_read_unlock(*_l);
}

static inline fl_sharded_rwlock *fl__sharded_write_locked_begin(fl_sharded_rwlock *_l)
{
	fl_sharded_rwlock_write_lock(_l);
	return _l;
}

static inline void fl__sharded_write_locked_end(fl_sharded_rwlock **_l)
{
	fl_sharded_rwlock_write_unlock(*_l);
}

/* The inline functions. */

FL_INLINE void fl_sharded_rwlock_init(fl_sharded_rwlock *_l)
{
	memset(_l, 0, sizeof *_l);
}

FL_END_DECLS

#endif
