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
 *             look_up(table, key);
 *     }
 *
 * Use it where readers hold the lock for long, or where there are many more reads than writes. In
 * all other cases fl_mutex is better. A readers-writer lock has 8 bytes. All-zero memory is an
 * unlocked lock. Any context may unlock it, not only the one that locked it.
 *
 * A context that holds the lock must not lock it again, in either mode. A second read lock is sure
 * to succeed only as long as no writer waits. Otherwise the context may wait for that writer, which
 * waits for the context. Any other second lock waits for the context itself.
 *
 * A read lock cannot be upgraded to a write lock. If you read and want to write, unlock first and
 * then lock for writing. What you have read may have changed by then, so read it again.
 * fl_rwlock_downgrade() turns a write lock into a read lock.
 *
 * Fairness: the wait queue is FIFO, and it serves one writer or a run of readers at a time. A
 * running thread may overtake the queue until a waiter has been the first one for about a
 * millisecond. If that waiter gets no CPU, threads may overtake it for longer. A fiber overtakes
 * less often: only while the first waiter is a thread that was woken and has not locked yet, or by
 * fl_rwlock_try_read_lock() and fl_rwlock_try_write_lock(). A loop that a program drives by
 * fl_loop_run_once() is a special case: its fibers cannot run between two calls. Between two calls,
 * the thread that drives the loop may wait in a function of this library. Meanwhile, waiters that
 * can run go before the fibers of that loop. fl_loop_run_once() (fairlead/loop.h) describes this.
 *
 * Scaling: when threads often read at the same time, the lock becomes biased to its readers. A
 * thread that reads a biased lock writes to a slot of a table, and not to the lock. The table has
 * 64 slots, which all biased locks share. The number of the thread and the address of the lock
 * select the slot. As long as readers use different slots, they do not slow each other down, even
 * on many CPUs. A reader that finds its slot in use counts itself in the lock. The next writer or
 * waiter ends the bias, which takes one or a few microseconds. The lock is then not biased again
 * for some time. This time is 9 times as long as the end of the bias took, or 512 times as long if
 * the bias did not last long enough to be worth its end. An end that took more than 200 us counts
 * as 200 us, so the time is at most about a tenth of a second. Fibers do not use the bias. While
 * FL_DEBUG_LOCKORDER, FL_DEBUG_WAITS or FL_DEBUG_CONTENTION is on (fairlead/debug.h), no context
 * uses it. So FL_DEBUG_LOCKORDER and FL_DEBUG_WAITS know all readers that have locked since the
 * mode was switched on.
 *
 * Memory order: every lock acquires what earlier write unlocks released. A write lock also acquires
 * what earlier read unlocks released. After the instruction that makes the lock available, an
 * unlock accesses the memory of the lock only while a context waits at this address. So the next
 * owner may unlock and destroy the lock, even if the unlock before has not returned yet.
 */
typedef struct FL_CAPABILITY("readers-writer lock") fl_rwlock {
	uint32_t word_, turn_;
} fl_rwlock;
FL__ASSERT_SIZE(fl_rwlock, 8);

/* clang-format off */
#define FL_RWLOCK_INIT { 0, 0 }
/* clang-format on */

/* Makes `l` an unlocked lock, as the initializer FL_RWLOCK_INIT does. */
FL_API void fl_rwlock_init(fl_rwlock *l);

/*
 * Ends the life of `l`. The call requires that no context holds `l` or waits for it. While
 * debugging is on, it panics if a context does (fairlead/defs.h, "Destroy").
 *
 * You may free the memory of a lock without a destroy, with one exception. If one thread has
 * read-locked `l` and another thread has undone that read lock, destroy `l` before its memory
 * becomes another lock.
 */
FL_API void fl_rwlock_destroy(fl_rwlock *l) FL_EXCLUDES(*l);

/*
 * Locks `l` for reading. It blocks the calling context while another context writes, or while the
 * first waiter must not be overtaken. A cancel does not end the wait. It panics if more than 67
 * million readers hold `l` at one time.
 */
FL_API void fl_rwlock_read_lock(fl_rwlock *l) FL_ACQUIRE_SHARED(*l);

/*
 * Locks `l` for reading if that is possible now, and never waits. Returns:
 *   0        `l` is locked for reading
 *   -EAGAIN  a context writes, or the first waiter must not be overtaken
 */
FL_API FL_MUST_CHECK int fl_rwlock_try_read_lock(fl_rwlock *l) FL_TRY_ACQUIRE_SHARED(0, *l);

/*
 * Locks `l` for reading, or gives up at a deadline or a cancel. It blocks the calling context while
 * another context writes, or while the first waiter must not be overtaken. Returns:
 *   0           `l` is locked for reading
 *   -ETIMEDOUT  the deadline passed first; `l` is not locked
 *   -ECANCELED  the wait was cancelled; `l` is not locked
 */
FL_API FL_MUST_CHECK int fl_rwlock_read_lock_until(fl_rwlock *l, fl_time deadline, fl_cancel_token *cancel)
    FL_TRY_ACQUIRE_SHARED(0, *l);

/*
 * Undoes one read lock. It panics if no context reads `l`. If `l` is biased, the call may not see
 * the mistake; then the context that ends the bias panics.
 */
FL_API void fl_rwlock_read_unlock(fl_rwlock *l) FL_RELEASE_SHARED(*l);

/*
 * Locks `l` for writing. It blocks the calling context while other contexts hold `l`, or while the
 * first waiter must not be overtaken. A cancel does not end the wait.
 */
FL_API void fl_rwlock_write_lock(fl_rwlock *l) FL_ACQUIRE(*l);

/*
 * Locks `l` for writing if that is possible now, and never waits. Returns:
 *   0        `l` is locked for writing
 *   -EAGAIN  a context holds `l`, or the first waiter must not be overtaken; or another context is
 *            trying to lock `l` for reading, or is ending its bias
 */
FL_API FL_MUST_CHECK int fl_rwlock_try_write_lock(fl_rwlock *l) FL_TRY_ACQUIRE(0, *l);

/*
 * Locks `l` for writing, or gives up at a deadline or a cancel. It blocks the calling context while
 * other contexts hold `l`, or while the first waiter must not be overtaken. Returns:
 *   0           `l` is locked for writing
 *   -ETIMEDOUT  the deadline passed first; `l` is not locked
 *   -ECANCELED  the wait was cancelled; `l` is not locked
 */
FL_API FL_MUST_CHECK int fl_rwlock_write_lock_until(fl_rwlock *l, fl_time deadline, fl_cancel_token *cancel)
    FL_TRY_ACQUIRE(0, *l);

/* Undoes the write lock, and wakes waiters. It panics if no context writes. */
FL_API void fl_rwlock_write_unlock(fl_rwlock *l) FL_RELEASE(*l);

/*
 * Turns the caller's write lock into a read lock. No writer comes between, and other readers may
 * lock from then on. It panics if no context writes.
 */
FL_API void fl_rwlock_downgrade(fl_rwlock *l) FL_RELEASE(*l) FL_ACQUIRE_SHARED(*l);

/*
 * Check that `l` is locked, and panic if it is not. fl_rwlock_assert_read_held() panics if no
 * context reads or writes, and fl_rwlock_assert_write_held() if no context writes. While debugging
 * is on (fairlead/debug.h), both also panic if debugging knows holders of `l`, and the calling
 * context is not among them. Debugging knows the holders that locked `l` while FL_DEBUG_LOCKORDER
 * or FL_DEBUG_WAITS was on.
 */
FL_API void fl_rwlock_assert_read_held(const fl_rwlock *l) FL_ASSERT_HELD_SHARED(*l);
FL_API void fl_rwlock_assert_write_held(const fl_rwlock *l) FL_ASSERT_HELD(*l);

/*
 * FL_READ_LOCKED(&l) and FL_WRITE_LOCKED(&l) are declarations that lock `l` for reading or for
 * writing, and unlock it when the enclosing block is left. The block must end with `l` locked in
 * the mode in which it began. A longjmp() out of the block leaves `l` locked. So does a
 * pthread_exit() or a pthread_cancel() in the block, except where the C library unwinds the stack:
 * glibc does so, and unlocks `l` if the block is C++, or C that was compiled with -fexceptions.
 */
#define FL_READ_LOCKED(l) FL__LOCK_SCOPE(fl__read_locked, l)
#define FL_WRITE_LOCKED(l) FL__LOCK_SCOPE(fl__write_locked, l)

FL__SCOPED_LOCK(fl__read_locked, fl_rwlock, fl_rwlock_read_lock, fl_rwlock_read_unlock, FL_ACQUIRE_SHARED(*_lock))
FL__SCOPED_LOCK(fl__write_locked, fl_rwlock, fl_rwlock_write_lock, fl_rwlock_write_unlock, FL_ACQUIRE(*_lock))

FL_END_DECLS

#endif
