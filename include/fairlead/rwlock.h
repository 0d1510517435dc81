/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_RWLOCK_H
#define FAIRLEAD_RWLOCK_H

#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/private/scoped_lock.h>
#include <fairlead/thread_safety.h>
#include <fairlead/time.h>

FL_BEGIN_DECLS

/*
 * Many contexts (threads or fibers) hold a readers-writer lock to read at the same time, or one
 * context holds it to write.
 *
 *     static fl_rwlock lock = FL_RWLOCK_INIT;
 *     {
 *             FL_READ_LOCKED(&lock);
 *             value = look_up(table, key);
 *     }
 *     {
 *             FL_WRITE_LOCKED(&lock);
 *             insert(table, key, value);
 *     }
 *
 * Use it where readers hold the lock for long, or where writers are very rare; otherwise fl_mutex
 * is better. A readers-writer lock is 8 bytes, and all-zero memory is an unlocked lock. Any context
 * may unlock it.
 *
 * A context that holds the lock must not lock it again, not even to read: its second read lock may
 * wait for a writer, which waits for the first. To write instead, unlock, lock for writing, and
 * read again, since the data may have changed.
 *
 * Fairness: the wait queue is FIFO, and it serves one writer or a run of readers at a time. Running
 * threads may overtake the first waiter for about a millisecond, and from then on must wait, too
 * (fairlead/mutex.h).
 *
 * Scaling: a lock that threads often read at the same time becomes biased to its readers, so that
 * they usually do not slow each other down, even on many CPUs. A writer ends the bias, which takes
 * it a few microseconds. Fibers do not use the bias.
 *
 * Memory order: every lock acquires what earlier write unlocks released, and a write lock also what
 * earlier read unlocks released. The last holder may unlock and destroy the lock, even if an
 * earlier unlock has not returned yet.
 */
typedef struct FL_CAPABILITY("readers-writer lock") fl_rwlock {
	uint32_t word_, turn_;
} fl_rwlock;
FL__ASSERT_SIZE(fl_rwlock, 8);

/* clang-format off */
#define FL_RWLOCK_INIT { 0, 0 }
/* clang-format on */

/* Makes `l` an unlocked lock, as FL_RWLOCK_INIT does. */
FL_API void fl_rwlock_init(fl_rwlock *l);

/*
 * Ends the life of `l`. You may free the memory of a lock without this call, unless a thread has
 * undone a read lock of another thread: then destroy `l` before its memory becomes another lock.
 */
FL_API void fl_rwlock_destroy(fl_rwlock *l) FL_EXCLUDES(*l);

/*
 * Locks `l` for reading. fl_rwlock_read_lock() and fl_rwlock_read_lock_until() block the calling
 * context while another context writes, or while the first waiter must not be overtaken
 * ("Fairness" above). A cancel does not end fl_rwlock_read_lock(). All three panic if more than 67
 * million readers hold `l`. The try and until forms return 0, -ETIMEDOUT, -ECANCELED, or:
 *   -EAGAIN  a context writes, or the first waiter must not be overtaken
 */
FL_API void fl_rwlock_read_lock(fl_rwlock *l) FL_ACQUIRE_SHARED(*l);
FL_API FL_MUST_CHECK int fl_rwlock_try_read_lock(fl_rwlock *l) FL_TRY_ACQUIRE_SHARED(0, *l);
FL_API FL_MUST_CHECK int fl_rwlock_read_lock_until(fl_rwlock *l, fl_time deadline, fl_cancel_token *cancel)
    FL_TRY_ACQUIRE_SHARED(0, *l);

/*
 * Undoes one read lock. Panics if no context reads `l`; while the lock is biased, perhaps later and
 * in another context.
 */
FL_API void fl_rwlock_read_unlock(fl_rwlock *l) FL_RELEASE_SHARED(*l);

/*
 * Locks `l` for writing. fl_rwlock_write_lock() and fl_rwlock_write_lock_until() block the calling
 * context while other contexts hold `l`, or while the first waiter must not be overtaken. A cancel
 * does not end fl_rwlock_write_lock(). The try and until forms return 0, -ETIMEDOUT, -ECANCELED,
 * or:
 *   -EAGAIN  a context holds `l`, locks it for reading, or ends its bias; or the first waiter must
 *            not be overtaken
 */
FL_API void fl_rwlock_write_lock(fl_rwlock *l) FL_ACQUIRE(*l);
FL_API FL_MUST_CHECK int fl_rwlock_try_write_lock(fl_rwlock *l) FL_TRY_ACQUIRE(0, *l);
FL_API FL_MUST_CHECK int fl_rwlock_write_lock_until(fl_rwlock *l, fl_time deadline, fl_cancel_token *cancel)
    FL_TRY_ACQUIRE(0, *l);

/* Undoes the write lock, and wakes waiters. Panics if no context writes. */
FL_API void fl_rwlock_write_unlock(fl_rwlock *l) FL_RELEASE(*l);

/*
 * Turns the caller's write lock into a read lock, without a writer between. Panics if no context
 * writes.
 */
FL_API void fl_rwlock_downgrade(fl_rwlock *l) FL_RELEASE(*l) FL_ACQUIRE_SHARED(*l);

/*
 * fl_rwlock_assert_read_held() panics if no context reads or writes `l`, and
 * fl_rwlock_assert_write_held() if no context writes. Both also panic if debugging
 * (fairlead/debug.h) knows the holders of `l`, and the calling context is not among them.
 */
FL_API void fl_rwlock_assert_read_held(const fl_rwlock *l) FL_ASSERT_HELD_SHARED(*l);
FL_API void fl_rwlock_assert_write_held(const fl_rwlock *l) FL_ASSERT_HELD(*l);

/*
 * FL_READ_LOCKED(&l) and FL_WRITE_LOCKED(&l) are declarations that lock `l` until the end of the
 * enclosing block, as FL_LOCKED() (fairlead/mutex.h) does. The block must end with `l` locked in
 * the mode in which it began.
 */
#define FL_READ_LOCKED(l) FL__LOCK_SCOPE(fl__read_locked, l)
#define FL_WRITE_LOCKED(l) FL__LOCK_SCOPE(fl__write_locked, l)

FL__SCOPED_LOCK(fl__read_locked, fl_rwlock, fl_rwlock_read_lock, fl_rwlock_read_unlock, FL_ACQUIRE_SHARED(*_lock))
FL__SCOPED_LOCK(fl__write_locked, fl_rwlock, fl_rwlock_write_lock, fl_rwlock_write_unlock, FL_ACQUIRE(*_lock))

FL_END_DECLS

#endif
