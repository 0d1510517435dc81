/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * The bias of a readers-writer lock for its readers (Dice and Kogan, "BRAVO: Biased Locking for
 * Reader-Writer Locks", USENIX ATC 2019). All readers of a lock without bias add to one word, so
 * the word's cache line moves from one reader to the next. A reader of a biased lock only reads the
 * word, and writes to a slot that it shares with few other readers or none.
 *
 *   slot          meaning                      set by                  cleared by
 *   a lock        a thread reads this lock,    fl__bias_read(): CAS    by CAS: an unlock; the end
 *                 or is about to know whether                          of the bias, which counts
 *                 it does                                              the reader in the word; a
 *                                                                      reader that finds the bias
 *                                                                      ended, or finds CLOSED
 *   NULL          free
 *
 *   the word      meaning                      set by                  cleared by
 *   BIAS          readers may use slots        fl__bias_begin()        the context that ends the
 *                                                                      bias: a writer, a waiter
 *                                                                      that enqueues, an awake
 *                                                                      reader, a destroy
 *   BIAS_UNITS    units of COUNT, so that the  with BIAS               fl__bias_settle(), when no
 *                 lock is barred to writers                            slot has the lock
 *
 * Invariants
 *   1. The number of readers is COUNT, without BIAS_UNITS, plus the number of slots of the lock. A
 *      lock adds one to either number, and an unlock subtracts one from either. If the unlock
 *      happens on another thread than the lock, it may subtract from COUNT, and the slot stays
 *      until the bias ends. Then COUNT may be less than BIAS_UNITS, by at most the number of slots.
 *      The thread that locked finds its slot, because the slot depends only on the thread and the
 *      hash, and the note of a hash stays while the slot is in use.
 *   2. BIAS excludes WRITER, because a reader that has the lock sets BIAS, and BIAS_UNITS bar
 *      writers. BIAS and WAITERS are not set together, with two exceptions. An awake reader that
 *      takes a biased lock may set WAITERS, and then ends the bias. And a bias may begin just
 *      before a waiter adds WAITERS; then both bits are set until that waiter clears BIAS, or
 *      undoes its mark. fl__bias_begin() sets BIAS only in a word without WAITERS.
 *   3. A reader fills its slot, and then reads the word. The context that ends a bias clears BIAS,
 *      and then reads the slots. At least one of the two sees the other, because all four accesses
 *      are seq_cst (Dekker's algorithm). A reader that sees BIAS without CLOSED has the lock, and
 *      linearizes at this load. BIAS may have been cleared and set again before the load; then the
 *      reader acquires from the context that set it. The unlock linearizes at the CAS by which it
 *      clears the slot, or otherwise at its subtraction from COUNT.
 *   4. The end of the bias adds to COUNT before it clears a slot. A reader that fills its slot, and
 *      then finds the bias ended or CLOSED set, tries to clear the slot. If the end of the bias has
 *      already cleared it, the reader is counted, and reads. The lock was held for reading all the
 *      time: by BIAS_UNITS, or by the unit that counts the reader.
 *
 * Which locks are biased is a guess. Each FL__BIAS_PATIENCE-th time that a thread meets another
 * reader in a lock, it begins the lock's bias, unless the lock rests. A bias pays if it lasts for
 * more than 64 times the time that ending it takes. After a bias that paid, the lock rests for 9
 * times that time, as in the paper. After any other bias it rests for 512 times that time, which is
 * one or a few milliseconds. A time of more than 200 us counts as 200 us, because the context was
 * probably preempted meanwhile. Apart from such times, a lock that is often written loses less than
 * 1/74 of its time to the ends of biases, and less than 1/512 if none pays.
 *
 * Each thread notes for which locks it must check its slot. For other locks, its fast path neither
 * loads the word nor checks a slot.
 */
#include "../base/atomic.h"
#include "../wait/context.h"
#include <fairlead/rwlock.h>

#define FL__BIAS (1u << 27)
#define FL__BIAS_CLOSED (1u << 29) /* bars readers that overtake */
#define FL__BIAS_UNITS 128u        /* more than there are slots */
#ifndef FL__BIAS_SLOTS
#define FL__BIAS_SLOTS 64
#endif
enum { FL__BIAS_PATIENCE = 64 };

struct fl__bias_slot {
	_Alignas(64) const fl_rwlock *lock;
};
extern struct fl__bias_slot fl__bias_slots[FL__BIAS_SLOTS] FL__HIDDEN;

struct fl__bias_thread {
	uint64_t noted; /* a bit for each hash of a lock for which the thread checks its slot */
	uint32_t index; /* the number of the thread, which selects its slots; 0 before its first note */
	uint32_t met;   /* how often the thread has met another reader */
};
extern _Thread_local struct fl__bias_thread fl__bias_mine FL__INITIAL_EXEC;

static inline unsigned fl__bias_hash(const fl_rwlock *l)
{
	const uintptr_t address = (uintptr_t)l;
	return (unsigned)((address >> 3) + (address >> 9)) % 64;
}

/* Returns whether this thread must call fl__bias_read() or fl__bias_unlock(). */
static inline bool fl__bias_is_noted(const fl_rwlock *l)
{
	return fl__bias_mine.noted >> fl__bias_hash(l) & 1;
}

/* Notes `l`, so that the next calls of this thread for `l` check its slot. */
void fl__bias_note(const fl_rwlock *l);

/* Tries to lock `l` for reading by the thread's slot. Returns whether it did. */
bool fl__bias_read(fl_rwlock *l);

/* Unlocks `l` if the thread's slot contains it. Returns whether it did. */
bool fl__bias_unlock(const fl_rwlock *l);

/*
 * Begins the bias of `l`, unless `l` rests, is already biased, or has a waiter. Called by a thread
 * that has just locked `l` for reading next to another reader, and is counted in the word.
 */
void fl__bias_begin(fl_rwlock *l);

static inline void fl__bias_meet(fl_rwlock *l)
{
	if (fl__unlikely(++fl__bias_mine.met % FL__BIAS_PATIENCE == 0))
		fl__bias_begin(l);
}

/* Clears BIAS. Returns true if it was set; then the caller must call fl__bias_settle(). */
bool fl__bias_end(fl_rwlock *l);

/*
 * Counts the readers of the slots in the word, and then subtracts BIAS_UNITS. Returns the word
 * before this subtraction.
 */
uint32_t fl__bias_settle(fl_rwlock *l);

/* Returns how many slots contain `l`, for assertions. */
uint32_t fl__bias_slots_of(const fl_rwlock *l);
