/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_SYNC_RWLOCK_H
#define FL_SYNC_RWLOCK_H

/*
 * The readers-writer lock: a word that all go through, and a line in the lot for those who must sleep, readers and writers in one.
 * rwlock.c has the locks and unlocks, rwlock_line.c the line, rwlock_upgrade.c the upgrade.
 *
 * Readers come and go by an addition, which two cores can do at once without failing (a loop of CAS cannot); whoever finds that
 * it should not have come takes itself back.
 *
 *   bit        meaning                            set by                                  cleared by
 *   COUNT      how many read, and how many are    read lock: + 1                          read unlock, back_out(): - 1
 *              there by mistake and on the way
 *              out; under WRITER those alone
 *   WAITERS    who frees the lock has to look at  who goes in line, unless one is         serve_in(), as it calls a thread, or
 *              the line                           awake; who was called, as it takes the  finds the line empty; who was called, as
 *                                                 lock and leaves others in line, or      it takes the lock; all under the lot
 *                                                 goes back; upgrade; all under the lot
 *   CLOSED     the first in line has waited its   who overtakes it, close_in_time(); that that one, when it takes the lock; who
 *              time: nobody overtakes             one, as it goes back; under the lot     leaves the line empty
 *   UPGRADER   a reader, still counted, waits     upgrade, under the lot                  serve_in() as it hands WRITER over; the
 *              until it is the only one                                                   upgrader, when it gives up
 *   WRITER     somebody writes                    write lock: CAS; serve_in()             write unlock, downgrade: subtraction
 *
 *   turn_      changed under the lot
 *   bit 0-14   when the first in line, or who is awake, became that, in ticks of 2^17 ns
 *   AWAKE      one was called out of the line,    serve_in()                              that one, when it takes the lock or goes
 *              and has neither taken the lock                                             back in line
 *              nor gone back
 *   the rest   the count of forks of the process that the bits of the line (AWAKE, WAITERS, CLOSED, UPGRADER) are of
 *
 * Invariants
 *   1. Linearization: lock, the addition or CAS that found nothing in its way; for those who are handed it, the change of the word
 *      by who hands it over, under the lot. Unlock: its subtraction, which is its last access to the lock, but for 2.
 *   2. Who has freed the lock and saw WAITERS looks at the line, and touches the lock only if somebody stands there who waits
 *      for such a lock at that address: who is inside a call keeps the memory there. It may even be another lock than the one
 *      that was freed: serve_in() asks the word anew, and does what is right for any lock at any time. Nodes tell by their
 *      value what they wait for, since a lock's memory may have become a semaphore's.
 *   3. AWAKE: at most one is on its way, and while it is nobody else is called. It takes the lock, and frees it later; or goes back
 *      in line, as the first, in a CAS that saw the lock barred to it and sets WAITERS, so that whoever unbars it looks.
 *   4. Somebody stands in line => one is awake, or WAITERS is set. So while the lock is not barred to the first in line, one is awake,
 *      or whoever unbarred it has yet to serve the line. A reader that came by mistake bars the lock to writers while it is there,
 *      and therefore serves, too, as it goes.
 *   5. UPGRADER bars the lock to all others. Its reader stands first in line. So there is one, and it waits for readers only.
 *   6. Who leaves the line without the lock serves it: those behind it may have waited for nobody else. Who is passed over as it
 *      leaves was taken out by one who serves it.
 *
 * Fairness: the line is FIFO; who has waited CLOSE_AFTER as the first closes the door to all who are not called. A reader that was
 * called takes the readers right behind it along. While a thread is awake the word has no mark of the line, so that who overtakes it
 * pays nothing; when it comes and finds the lock barred it looks at the clock itself. It may have to wait for the processor of who has
 * called it, for whole time slices: so that one remembers it, in its own thread's `flight`, and every so many locks looks whether it
 * has come and at the clock. While a fiber is awake WAITERS stays, since
 * it bars the lock to other fibers, which might share the thread and keep it from coming.
 *
 * Upgrade has one winner, rather than a third mode in which one reader keeps out others that may upgrade (parking_lot): that mode
 * must be asked for beforehand, costs its own words in each function, and serializes readers that only might write.
 *
 * A forked child inherits the word, but not those who waited: fl__rw_heal().
 *
 * Safe mistake: WAITERS without a line sends one unlock to the lot.
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

/* Of a node: what it waits for, a number that no other primitive's nodes have; or, once it was taken, what it got. */
#define FL__RW_READS 0xf2776c31u
#define FL__RW_WRITES (FL__RW_READS + 1)
#define FL__RW_UPGRADES (FL__RW_READS + 2)
enum { FL__RW_CALLED, FL__RW_GRANTED };

struct fl__rw_mode {
	uint32_t unit; /* added to the word by who takes the lock */
	uint32_t bars; /* what must not be there */
	uint32_t kind;
};

extern const struct fl__rw_mode fl__rw_reading, fl__rw_writing;

/* The lock whose waiter this thread has called last, as long as that is not known to have come. */
struct fl__rw_flight {
	const fl_rwlock *lock; /* only compared */
	unsigned locks;        /* by this thread since */
};
extern _Thread_local struct fl__rw_flight fl__rw_flight __attribute__((tls_model("initial-exec")));

/* In a forked child: the line did not come along, so its bits go. */
void fl__rw_heal(fl_rwlock *l);

/* For who has overtaken the line: closes the door when the first there has waited its time. */
void fl__rw_close_in_time(fl_rwlock *l);

/* For who is about to lock what `flight` has. */
void fl__rw_look_after(fl_rwlock *l);

/* The word with one more of that mode; panics when there are too many readers. */
uint32_t fl__rw_with(const fl_rwlock *l, const struct fl__rw_mode *mode, uint32_t word);

/* For who has just freed the lock, which may be gone: invariant 2. */
void fl__rw_serve(fl_rwlock *l);

/*
 * Goes in line; false when it has taken the lock instead. `called`: it was awake, and goes back; CLOSED, which then is its own, does
 * not bar the lock to it. For others `bars` has it.
 */
bool fl__rw_line_up(fl_rwlock *l, const struct fl__rw_mode *mode, struct fl__node *node, uint32_t bars, bool called);

/*
 * Out of the line, without the lock: invariant 6. `bit` is UPGRADER for who waited with it, and still reads. Any other who was passed
 * over since is nobody that destroy would see: the lock may be gone.
 */
void fl__rw_leave(fl_rwlock *l, struct fl__node *node, uint32_t bit);

/* Whether somebody stands in line, or is awake, or holds the lock, or comes or goes. */
bool fl__rw_is_busy(fl_rwlock *l);

/* A writer has left, or reads on; its subtraction found `seen`. */
void fl__rw_writer_left(fl_rwlock *l, uint32_t seen, uint32_t taken, const char *function);

#endif
