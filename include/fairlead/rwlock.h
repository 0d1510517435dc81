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
 * Readers-writer lock: many contexts read, or one writes. 8 bytes, valid when all-zero. Any context
 * may unlock. Use it where readers hold the lock for long, or where there are many more reads than
 * writes, else fl_mutex.
 *
 *     static fl_rwlock lock = FL_RWLOCK_INIT;
 *     {
 *             FL_READ_LOCKED(&lock);
 *             look_up(table, key);
 *     }
 *
 * Fairness: the wait queue is FIFO. It serves one writer or a run of readers at a time. A running
 * thread may overtake the queue until the first waiter has waited about a millisecond, longer
 * without a CPU. A fiber overtakes only while a woken thread is about to take its turn. A
 * context that can run goes before fibers that cannot: see fl_loop_run_once().
 *
 * Scaling: when threads often read at the same time, the lock becomes biased to its readers. Then
 * a thread that reads writes to no memory that another reader uses, so that readers on many CPUs do
 * not slow each other down. The next writer or waiter ends the bias, which takes it a microsecond
 * or a few. Afterwards the lock is not biased for 9 times as long; if the bias was short, for 512
 * times as long, but for a tenth of a second at most. Fibers do not use the bias. Nor does any
 * context while FL_DEBUG_LOCKORDER, FL_DEBUG_WAITS or FL_DEBUG_CONTENTION is on, so debugging
 * knows all readers that have locked since it was switched on.
 *
 * A context that reads must not lock again, for reading or for writing: it would wait for a writer
 * that waits for it, or for itself. To write, unlock first. What you have read may have changed by
 * the time that you have the write lock, so read it again.
 *
 * Memory order: a lock acquires what earlier write unlocks released. A write lock also acquires
 * what earlier read unlocks released. The last access of an unlock is the instruction that frees
 * the lock, so the next owner may destroy it.
 *
 * Fork: in the child, a lock stays read-locked if another thread had read-locked it, or was about
 * to lock it for reading or writing.
 */
typedef struct fl_rwlock {
	uint32_t word_, turn_;
} fl_rwlock;
FL__ASSERT_SIZE(fl_rwlock, 8);

/* clang-format off */
#define FL_RWLOCK_INIT { 0, 0 }
/* clang-format on */

/* Makes `l` an unlocked lock, as FL_RWLOCK_INIT does. */
FL_API void fl_rwlock_init(fl_rwlock *l);

/*
 * Ends `l`. Requires that no context holds `l` or waits for it. Debugging checks it:
 * fairlead/defs.h, "Destroy". You need not call this before you free the memory, with one
 * exception: if a thread has read-unlocked `l` in place of the thread that had locked it, call this
 * before the memory becomes another lock.
 */
FL_API void fl_rwlock_destroy(fl_rwlock *l);

/*
 * Locks `l` for reading. Blocks the calling context while another context writes, or while the
 * first waiter must not be overtaken. Never cancelled. Panics beyond 67 million readers at one
 * time.
 */
FL_API void fl_rwlock_read_lock(fl_rwlock *l);

/*
 * Locks `l` for reading. Returns 0, or:
 *   -EAGAIN  a context writes, or the first waiter must not be overtaken
 */
FL_API FL_MUST_CHECK int fl_rwlock_try_read_lock(fl_rwlock *l);

/* As fl_rwlock_read_lock(): 0; -ETIMEDOUT, -ECANCELED: not locked. Blocks the calling context. */
FL_API FL_MUST_CHECK int fl_rwlock_read_lock_until(fl_rwlock *l, fl_time deadline, fl_cancel_token *cancel);

/*
 * Undoes one read lock. Panics when no context reads `l`. If `l` is biased, the context that ends
 * the bias panics instead.
 */
FL_API void fl_rwlock_read_unlock(fl_rwlock *l);

/* Locks `l` for writing. Blocks the calling context while others hold `l`. Never cancelled. */
FL_API void fl_rwlock_write_lock(fl_rwlock *l);

/*
 * Locks `l` for writing. Returns 0, or:
 *   -EAGAIN  `l` is held, or the first waiter must not be overtaken
 */
FL_API FL_MUST_CHECK int fl_rwlock_try_write_lock(fl_rwlock *l);

/* As fl_rwlock_read_lock_until(), for writing: 0, -ETIMEDOUT, -ECANCELED. */
FL_API FL_MUST_CHECK int fl_rwlock_write_lock_until(fl_rwlock *l, fl_time deadline, fl_cancel_token *cancel);

/* Undoes the write lock, and wakes waiters. Panics when no context writes. */
FL_API void fl_rwlock_write_unlock(fl_rwlock *l);

/*
 * Makes a write lock a read lock, with no writer between; readers may lock then. Panics when no
 * context writes.
 */
FL_API void fl_rwlock_downgrade(fl_rwlock *l);

/*
 * Whether a context reads, or tries to, or is ending the bias; whether a context writes. For
 * assertions. No memory order.
 */
FL_API bool fl_rwlock_is_read_locked(const fl_rwlock *l);
FL_API bool fl_rwlock_is_write_locked(const fl_rwlock *l);

/*
 * Panics when no context reads or writes; the second form, when no context writes. While debugging
 * is on, both also panic when the calling context did not lock `l`.
 */
FL_API void fl_rwlock_assert_read_held(const fl_rwlock *l);
FL_API void fl_rwlock_assert_write_held(const fl_rwlock *l);

/*
 * FL_READ_LOCKED(&l), FL_WRITE_LOCKED(&l): lock `l` until the end of the block, as FL_LOCKED. The
 * block must end with `l` in the mode that the block began with.
 */
#define FL_READ_LOCKED(l)                                                                                              \
	__attribute__((__cleanup__(fl__read_locked_end), __unused__)) fl_rwlock *FL__UNIQUE(fl__locked_) =             \
	    fl__read_locked_begin(l)
#define FL_WRITE_LOCKED(l)                                                                                             \
	__attribute__((__cleanup__(fl__write_locked_end), __unused__)) fl_rwlock *FL__UNIQUE(fl__locked_) =            \
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

FL_END_DECLS

#endif
