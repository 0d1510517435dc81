/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_RWLOCK_H
#define FAIRLEAD_RWLOCK_H

#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/time.h>
#include <stdbool.h>
#include <stdint.h>

FL_BEGIN_DECLS

/*
 * Readers-writer lock: many read, or one writes. 8 bytes, valid when all-zero, not owned by a thread (any context may unlock).
 * Use it where readers hold it for long; an fl_mutex costs no more, and where they are many and brief all of them pass through
 * one word: see fl_sharded_rwlock.
 *
 *     static fl_rwlock lock = FL_RWLOCK_INIT;
 *     {
 *             FL_READ_LOCKED(&lock);
 *             look_up(table, key);
 *     }
 *
 * Fair to tasks: who waits is served in the order of arrival, one writer or a run of readers at a time. A running thread may
 * overtake who waits, for about a millisecond of the first one's time; then nobody passes any more. (If the first one was woken
 * meanwhile and has to wait for a processor, that is noticed when who has woken it locks, or when it runs.) So neither a stream
 * of readers that overlap nor one of writers starves anybody. A fiber overtakes only while a thread is about to have its turn. Hence a context that reads must not lock
 * for reading once more: it would wait for a writer who waits for it.
 *
 * Memory order: a lock acquires what the unlocks of writers before it released; a write lock also what the read unlocks before
 * it released. An unlock touches the lock for the last time in the instruction that frees it, so that the next owner may
 * destroy it at once and free its memory. In a forked child it stays locked for reading, for good, also if another thread, at
 * the moment of the fork, had come to read and found that it must wait.
 */
typedef struct fl_rwlock {
	uint32_t word_, turn_;
} fl_rwlock;
FL__ASSERT_SIZE(fl_rwlock, 8);

/* clang-format off */
#define FL_RWLOCK_INIT { 0, 0 }
/* clang-format on */

/* Makes `l` an unlocked lock; the same as FL_RWLOCK_INIT. Requires that nobody uses it. Never waits. */
FL_API void fl_rwlock_init(fl_rwlock *l);

/* Returns 0 when nobody holds or awaits `l`: its memory may be given up. Else -EBUSY. Never waits. */
FL_API FL_MUST_CHECK int fl_rwlock_destroy(fl_rwlock *l);

/*
 * Locks `l` for reading. Blocks the calling context while another writes, or has waited its time to write; never cancelled.
 * Panics beyond 67,108,864 readers at one time.
 */
FL_API void fl_rwlock_read_lock(fl_rwlock *l);

/* Returns 0 when it locked `l` for reading; -EBUSY when another writes, or nobody may overtake the first in line. Never waits. */
FL_API FL_MUST_CHECK int fl_rwlock_try_read_lock(fl_rwlock *l);

/* Locks `l` for reading and returns 0; or, not locked, -ETIMEDOUT at `deadline` or -ECANCELED. Blocks the calling context. */
FL_API FL_MUST_CHECK int fl_rwlock_read_lock_until(fl_rwlock *l, int64_t deadline, fl_cancel_token *cancel);

/* Undoes one read lock. Never waits. Panics when nobody reads. */
FL_API void fl_rwlock_read_unlock(fl_rwlock *l);

/* Locks `l` for writing. Blocks the calling context while others hold it; never cancelled. */
FL_API void fl_rwlock_write_lock(fl_rwlock *l);

/* Returns 0 when it locked `l` for writing; -EBUSY when others hold it, or nobody may overtake the first in line. Never waits. */
FL_API FL_MUST_CHECK int fl_rwlock_try_write_lock(fl_rwlock *l);

/* Locks `l` for writing and returns 0; or, not locked, -ETIMEDOUT at `deadline` or -ECANCELED. Blocks the calling context. */
FL_API FL_MUST_CHECK int fl_rwlock_write_lock_until(fl_rwlock *l, int64_t deadline, fl_cancel_token *cancel);

/* Undoes the write lock, and wakes who waits. Never waits. Panics when nobody writes. */
FL_API void fl_rwlock_write_unlock(fl_rwlock *l);

/* Makes a write lock a read lock, with no writer between; readers may come in. Never waits. Panics when nobody writes. */
FL_API void fl_rwlock_downgrade(fl_rwlock *l);

/*
 * Makes a read lock a write lock, with no writer between, before everybody who waits. Blocks the calling context until the other
 * readers have left; none comes in meanwhile. Never cancelled. Returns 0; or -EDEADLK, at once, when another reader is at it:
 * the two would wait for each other. The caller then still reads, must let go, and look again at what it saw. Panics when
 * nobody reads.
 */
FL_INLINE FL_MUST_CHECK int fl_rwlock_upgrade(fl_rwlock *l);

/* As fl_rwlock_upgrade(), if the caller is the only reader: 0; else -EBUSY, and it still reads. Never waits. */
FL_API FL_MUST_CHECK int fl_rwlock_try_upgrade(fl_rwlock *l);

/* As fl_rwlock_upgrade(): 0, -EDEADLK; also -ETIMEDOUT, -ECANCELED, and the caller still reads. */
FL_API FL_MUST_CHECK int fl_rwlock_upgrade_until(fl_rwlock *l, int64_t deadline, fl_cancel_token *cancel);

/* Whether somebody reads now, or tries to; whether somebody writes now. For assertions. Never wait. No memory order. */
FL_API bool fl_rwlock_is_read_locked(const fl_rwlock *l);
FL_API bool fl_rwlock_is_write_locked(const fl_rwlock *l);

/* Panics when nobody reads or writes; when nobody writes. Never wait. */
FL_API void fl_rwlock_assert_read_held(const fl_rwlock *l);
FL_API void fl_rwlock_assert_write_held(const fl_rwlock *l);

/*
 * FL_READ_LOCKED(&l), FL_WRITE_LOCKED(&l): lock `l` until the end of the block, by whatever way it is left; declarations. longjmp
 * and pthread_exit out of the block leave it locked. Within the block it may be downgraded and upgraded if it is as before at
 * its end.
 */
#define FL_READ_LOCKED(l)                                                                                              \
	__attribute__((cleanup(fl__read_locked_end), unused)) fl_rwlock *FL__JOIN(fl__locked_, __LINE__) =             \
	    fl__read_locked_begin(l)
#define FL_WRITE_LOCKED(l)                                                                                             \
	__attribute__((cleanup(fl__write_locked_end), unused)) fl_rwlock *FL__JOIN(fl__locked_, __LINE__) =            \
	    fl__write_locked_begin(l)

static inline fl_rwlock *fl__read_locked_begin(fl_rwlock *_l)
{
	fl_rwlock_read_lock(_l);
	return _l;
}

static inline void fl__read_locked_end(fl_rwlock **_l)
{
	fl_rwlock_read_unlock(*_l);
}

static inline fl_rwlock *fl__write_locked_begin(fl_rwlock *_l)
{
	fl_rwlock_write_lock(_l);
	return _l;
}

static inline void fl__write_locked_end(fl_rwlock **_l)
{
	fl_rwlock_write_unlock(*_l);
}

/* The inline functions. */

FL_INLINE int fl_rwlock_upgrade(fl_rwlock *_l)
{
	return fl_rwlock_upgrade_until(_l, FL_FOREVER, FL_SHIELDED);
}

FL_END_DECLS

#endif
