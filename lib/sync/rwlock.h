/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_SYNC_RWLOCK_H
#define FL_SYNC_RWLOCK_H

/*
 * The readers-writer lock: a word for all contexts, and one wait queue for readers and writers, in
 * the wait table (wait/lot.h). rwlock.c has the locks and unlocks, rwlock_line.c the queue,
 * rwlock_upgrade.c the upgrade.
 *
 * A reader locks and unlocks by an addition, which two cores can do at once without failing (a loop
 * of CAS cannot). A reader that finds the lock barred subtracts itself again.
 *
 * The awake waiter is a waiter that serve_in() dequeued and woke, until the waiter takes the lock
 * or goes back to the queue.
 *
 *   bit       meaning                     set by                       cleared by
 *   COUNT     the number of readers, and  read lock: + 1               read unlock, back_out(): - 1
 *             of barred readers on their
 *             way out; under WRITER, the
 *             barred ones alone
 *   WAITERS   an unlock must serve the    under the queue lock: a      under the queue lock:
 *             queue                       waiter that enqueues while   serve_in(), when it wakes a
 *                                         none is awake; the awake     thread, or the queue is
 *                                         waiter, when it goes back,   empty; the awake waiter,
 *                                         or takes the lock and        when it takes the lock
 *                                         leaves waiters; upgrade
 *   CLOSED    the first waiter has        under the queue lock: an     the awake waiter, when it
 *             waited CLOSE_AFTER: no      overtaker, in                takes the lock; serve_in(),
 *             overtaking                  fl__rw_close_in_time();      when the queue is empty
 *                                         call(); the awake waiter,
 *                                         when it goes back
 *   UPGRADER  a reader, still counted,    upgrade, under the queue     serve_in(), when it hands
 *             waits to be the only one    lock                         over WRITER; the upgrader,
 *                                                                      when it gives up
 *   WRITER    a writer holds the lock     write lock: CAS; serve_in()  write unlock, downgrade:
 *                                                                      subtraction
 *
 *   turn_     changed under the queue lock
 *   bit 0-14  when the first waiter, or the awake one, became first, in ticks of 2^17 ns
 *   AWAKE     there is an awake waiter    serve_in()                   the awake waiter, when it
 *                                                                      takes the lock or goes back
 *   the rest  the fork count of the process that AWAKE, WAITERS, CLOSED and UPGRADER belong to
 *
 * Invariants
 *   1. Linearization: lock, the addition or CAS that finds the lock not barred; for a hand-over,
 *      the change of the word by the thread that hands over, under the queue lock. Unlock: its
 *      subtraction, which is its last access to the lock, except in 2.
 *   2. An unlock that saw WAITERS checks the queue, and touches the lock only if the first waiter
 *      waits for an rwlock: that waiter's call keeps the memory valid. The address may hold a new
 *      rwlock. serve_in() reads the word again, and is correct for any rwlock at any time. A node's
 *      value tells what it waits for, since a semaphore may have reused the memory.
 *   3. At most one waiter is awake, and serve_in() wakes no second one. The awake waiter takes the
 *      lock and later frees it. Or the awake waiter goes back to the head of the queue, in a CAS
 *      that sees the lock barred to it and sets WAITERS, so that the context that unbars the lock
 *      serves the queue.
 *   4. If the queue is not empty, a waiter is awake or WAITERS is set. So while the lock is not
 *      barred to the first waiter, a waiter is awake, or the context that unbarred the lock has yet
 *      to serve the queue. A barred reader bars the lock to writers until it backs out, and then
 *      serves the queue, too.
 *   5. UPGRADER bars the lock to all contexts but its reader, the first in the queue. So there is
 *      at most one upgrader, and it waits only for readers.
 *   6. A waiter that gives up serves the queue, because the next waiters may have waited only for
 *      it. If a serve_in() has dequeued this waiter, that serve_in() has served the queue.
 *
 * Fairness: the queue is FIFO. Once the first waiter has waited CLOSE_AFTER, CLOSED bars the lock
 * to all but the awake waiter. An awake reader takes the readers right behind it along. While a
 * thread is awake, WAITERS is clear, so overtaking costs nothing extra. An awake waiter that finds
 * the lock barred checks the clock itself. The awake thread may wait for the CPU of the waking
 * thread, for whole time slices. So the waking thread keeps the lock in `flight`, and checks AWAKE
 * and the clock at every 64th lock. While a fiber is awake, WAITERS stays set, and bars the lock to
 * other fibers, which may share the thread and keep the awake fiber from running.
 *
 * Upgrade has one winner. parking_lot's third mode, in which one reader keeps out all others that
 * may upgrade, must be asked for beforehand, costs its own words in each function, and serializes
 * readers that only might write.
 *
 * A forked child inherits the word, but not the waiters: fl__rw_heal().
 *
 * A stale WAITERS with an empty queue is harmless: it sends one unlock to the wait table.
 */
#include "../debug/debug.h"
#include "../wait/lot.h"
#include <fairlead/rwlock.h>

#define FL__RW_READER 1u
#define FL__RW_MOST FL__RWLOCK_MOST
#define FL__RW_COUNT (2 * FL__RW_MOST - 1)
#define FL__RW_WAITERS (1u << 28)
#define FL__RW_CLOSED (1u << 29)
#define FL__RW_UPGRADER (1u << 30)
#define FL__RW_WRITER (1u << 31)

/*
 * The value of a queued node: what its waiter waits for, as a number that no other primitive uses.
 */
#define FL__RW_READS 0xf2776c31u
#define FL__RW_WRITES (FL__RW_READS + 1)
#define FL__RW_UPGRADES (FL__RW_READS + 2)
/* The value of a dequeued node: the waiter is awake, or has been granted the lock. */
enum { FL__RW_CALLED, FL__RW_GRANTED };

struct fl__rw_mode {
	uint32_t unit; /* a lock adds this to the word */
	uint32_t bars; /* the bits that bar the lock */
	uint32_t kind;
};

extern const struct fl__rw_mode fl__rw_reading, fl__rw_writing;

/* The lock of the waiter that this thread woke last; forgotten once the waiter runs. */
struct fl__rw_flight {
	const fl_rwlock *lock; /* only compared */
	unsigned locks;        /* locks by this thread since the wake */
};
extern _Thread_local struct fl__rw_flight fl__rw_flight __attribute__((tls_model("initial-exec")));

/* In a forked child: clears the inherited bits of the queue, which is empty. */
void fl__rw_heal(fl_rwlock *l);

/*
 * Called by a context that overtook the queue. Sets CLOSED if the first waiter has waited
 * CLOSE_AFTER.
 */
void fl__rw_close_in_time(fl_rwlock *l);

/* Called before a lock of the rwlock in `flight`. */
void fl__rw_look_after(fl_rwlock *l);

/* The word with one more holder in `mode`. Panics when there are too many readers. */
uint32_t fl__rw_with(const fl_rwlock *l, const struct fl__rw_mode *mode, uint32_t word);

/* Serves the queue after an unlock. The lock may already be freed: invariant 2. */
void fl__rw_serve(fl_rwlock *l);

/*
 * Takes the lock if no bit of `bars` is set: false. Else enqueues `node`: true. `called`: the
 * caller is the awake waiter. CLOSED, set on its behalf, does not bar the lock to the awake waiter;
 * for all other callers, `bars` contains CLOSED.
 */
bool fl__rw_line_up(fl_rwlock *l, const struct fl__rw_mode *mode, struct fl__node *node, uint32_t bars, bool called);

/*
 * Leaves the queue without the lock: invariant 6. `bit` is UPGRADER for an upgrader, which still
 * reads, else 0. If a serve_in() has dequeued any other waiter, fl_rwlock_destroy() ignores that
 * waiter, so the lock may already be freed.
 */
void fl__rw_leave(fl_rwlock *l, struct fl__node *node, uint32_t bit);

/* Whether a context waits for the lock, is awake, holds the lock, or is a barred reader. */
bool fl__rw_is_busy(fl_rwlock *l);

/* Called after the subtraction of a write unlock or downgrade, which found `seen`. */
void fl__rw_writer_left(fl_rwlock *l, uint32_t seen, uint32_t taken, const char *function);

#endif
