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
 * Sharded readers-writer lock: one for what is read all the time and seldom written. A reader touches one line of memory,
 * which it shares with few others, so readers on many CPUs do not slow each other down. A writer visits all of them: up to
 * 32, as many as four times the CPUs. 2,112 bytes, best at a multiple of 64; valid when all-zero, not owned by a thread (any context
 * may unlock). Use fl_rwlock where locks are many, or one in ten or more writes.
 *
 *     static fl_sharded_rwlock lock = FL_SHARDED_RWLOCK_INIT;
 *     {
 *             FL_BR_READ_LOCKED(&lock);
 *             route(&table, packet);
 *     }
 *
 * Fair to phases: a writer waits for a moment without readers, for a millisecond at most; then it keeps new ones out, and waits for
 * those that it finds. When it unlocks, all readers that wait come in, before the next writer. Writers take turns as with fl_mutex: a
 * running one may overtake for a millisecond. So a reader waits for one writer that is there, at most one more, and nobody
 * starves. Hence a context that reads must not lock for reading once more: it would wait for a writer who waits for it.
 *
 * Memory order: a lock acquires what the unlocks of writers before it released; a write lock also what the read unlocks before
 * it released. The memory of a lock that has been in use may be given up after fl_sharded_rwlock_destroy() returned 0; whoever has locked
 * it, and knows that nobody else will, may destroy it as soon as it has unlocked. In a forked child it is locked for good if
 * another thread held it, or a writer waited for it.
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

/* Makes `l` an unlocked lock; the same as FL_SHARDED_RWLOCK_INIT. Requires that nobody uses it. Never waits. */
FL_INLINE void fl_sharded_rwlock_init(fl_sharded_rwlock *l);

/*
 * Returns 0 when nobody holds or awaits `l`: its memory may be given up. Else -EBUSY. Waits for nothing but an unlock that is all
 * but over.
 */
FL_API FL_MUST_CHECK int fl_sharded_rwlock_destroy(fl_sharded_rwlock *l);

/* Locks `l` for reading. Blocks the calling context while another writes, or waits for readers to leave; never cancelled. */
FL_API void fl_sharded_rwlock_read_lock(fl_sharded_rwlock *l);

/* Returns 0 when it locked `l` for reading, -EBUSY when another writes, or waits for readers to leave. Never waits. */
FL_API FL_MUST_CHECK int fl_sharded_rwlock_try_read_lock(fl_sharded_rwlock *l);

/* Locks `l` for reading and returns 0; or, not locked, -ETIMEDOUT at `deadline` or -ECANCELED. Blocks the calling context. */
FL_API FL_MUST_CHECK int fl_sharded_rwlock_read_lock_until(fl_sharded_rwlock *l, int64_t deadline,
                                                           fl_cancel_token *cancel);

/* Undoes one read lock, of this context or another. Never waits. Requires that there is one: it does not notice. */
FL_API void fl_sharded_rwlock_read_unlock(fl_sharded_rwlock *l);

/* Locks `l` for writing. Blocks the calling context while others hold it; never cancelled. */
FL_API void fl_sharded_rwlock_write_lock(fl_sharded_rwlock *l);

/* Returns 0 when it locked `l` for writing, -EBUSY when others hold it. Never waits; readers may, meanwhile. */
FL_API FL_MUST_CHECK int fl_sharded_rwlock_try_write_lock(fl_sharded_rwlock *l);

/* Locks `l` for writing and returns 0; or, not locked, -ETIMEDOUT at `deadline` or -ECANCELED. Blocks the calling context. */
FL_API FL_MUST_CHECK int fl_sharded_rwlock_write_lock_until(fl_sharded_rwlock *l, int64_t deadline,
                                                            fl_cancel_token *cancel);

/* Undoes the write lock, and lets in who waits. Never waits. Panics when nobody writes. */
FL_API void fl_sharded_rwlock_write_unlock(fl_sharded_rwlock *l);

/* Whether somebody reads now; whether somebody writes now. For assertions. Never wait. No memory order. */
FL_API bool fl_sharded_rwlock_is_read_locked(const fl_sharded_rwlock *l);
FL_API bool fl_sharded_rwlock_is_write_locked(const fl_sharded_rwlock *l);

/* Panics when nobody reads or writes; when nobody writes. Never wait. */
FL_API void fl_sharded_rwlock_assert_read_held(const fl_sharded_rwlock *l);
FL_API void fl_sharded_rwlock_assert_write_held(const fl_sharded_rwlock *l);

/*
 * FL_BR_READ_LOCKED(&l), FL_BR_WRITE_LOCKED(&l): lock `l` until the end of the block, by whatever way it is left; declarations.
 * longjmp and pthread_exit out of the block leave it locked.
 */
#define FL_BR_READ_LOCKED(l)                                                                                           \
	__attribute__((cleanup(fl__br_read_locked_end), unused)) fl_sharded_rwlock *FL__JOIN(fl__locked_, __LINE__) =  \
	    fl__br_read_locked_begin(l)
#define FL_BR_WRITE_LOCKED(l)                                                                                          \
	__attribute__((cleanup(fl__br_write_locked_end), unused)) fl_sharded_rwlock *FL__JOIN(fl__locked_, __LINE__) = \
	    fl__br_write_locked_begin(l)

static inline fl_sharded_rwlock *fl__br_read_locked_begin(fl_sharded_rwlock *_l)
{
	fl_sharded_rwlock_read_lock(_l);
	return _l;
}

static inline void fl__br_read_locked_end(fl_sharded_rwlock **_l)
{
	fl_sharded_rwlock_read_unlock(*_l);
}

static inline fl_sharded_rwlock *fl__br_write_locked_begin(fl_sharded_rwlock *_l)
{
	fl_sharded_rwlock_write_lock(_l);
	return _l;
}

static inline void fl__br_write_locked_end(fl_sharded_rwlock **_l)
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
