/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_SHM_LOCK_H
#define FL_SHM_LOCK_H

#include "../base/sys.h"
#include <fairlead/defs.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The robust lock under everything in shared memory: when its owner dies, the kernel frees it and wakes the next. lock.c has
 * the protocol. All-zero is unlocked. Processes that share one must be in one PID namespace.
 *
 * Where the word lies depends on the C library, which has told the kernel how far it is from the node: in words_[0] with
 * glibc, elsewhere with others. So words_ has two numbers of ours, where no C library has its word, and free places.
 */
union fl__shm_link {
	void *node; /* in its owner's robust list: an address of the owner */
	uint64_t room;
};
struct fl__shm_lock {
	uint32_t words_[6];
	union fl__shm_link prev_, next_; /* the node */
};
_Static_assert(sizeof(struct fl__shm_lock) == 40, "struct fl__shm_lock has no gaps");

enum { FL__SHM_SLEEPERS = 2, FL__SHM_STATE = 4 }; /* in words_: a hint of the lock's own; its user's */

#define FL__SHM_TID 0x3fffffffu     /* the owner; 0: free */
#define FL__SHM_DIED 0x40000000u    /* its owner died with it */
#define FL__SHM_WAITERS 0x80000000u /* somebody may sleep on the word */

/* The calling thread, as robust locks know it; filled in at its first use. */
struct fl__shm_self {
	struct fl__robust_list *list; /* NULL: this system has none, and the death of an owner goes unseen */
	uint32_t tid;                 /* 0: not filled in yet */
};
struct fl__shm_self *fl__shm_self(void);

/* How far the lock's word is from its node: the same in all processes that share memory. */
long fl__shm_word_offset(void);
uint32_t *fl__shm_word(struct fl__shm_lock *l);

/*
 * Monitors: a lock that is held for a few instructions. What it guards changes by single stores, each of which is all of an
 * operation, so an owner that died left nothing to repair. Waits for the lock are never cancelled, and last a millisecond
 * even when the deadline is sooner: only a stopped owner, or damaged memory, keeps it that long.
 *
 *     struct fl__shm_held held;
 *     rc = fl__shm_enter(&x->lock, &held, deadline);      // 0, -ETIMEDOUT; -EDEADLK: damaged memory
 *     ...
 *     fl__shm_leave(&x->lock, &held);
 *
 * Left in the reverse order of entering: `held` keeps in private memory what leaving needs, so that nothing is believed that
 * another process could have overwritten.
 */
struct fl__shm_held {
	void *first; /* the robust list before */
};
FL_MUST_CHECK int fl__shm_enter(struct fl__shm_lock *l, struct fl__shm_held *held, int64_t deadline);
void fl__shm_leave(struct fl__shm_lock *l, struct fl__shm_held *held);

/* As fl__shm_enter(), without its patience; also -EAGAIN: not entered, another owns it, but somebody has woken the caller. */
FL_MUST_CHECK int fl__shm_enter_or_wake(struct fl__shm_lock *l, struct fl__shm_held *held, int64_t deadline);
/* Whether somebody may sleep until `l` is free; and wakes up to n who do, although it is not. */
bool fl__shm_is_awaited(struct fl__shm_lock *l);
void fl__shm_nudge(struct fl__shm_lock *l, uint32_t n);

/*
 * Locks that users hold, as long as they like and in any order. take: 0, -EOWNERDEAD (taken, and the owner before it died),
 * -ETIMEDOUT, -EDEADLK (the calling thread has it). try_take: also -EBUSY. Both acquire what the give before released.
 */
FL_MUST_CHECK int fl__shm_take(struct fl__shm_lock *l, int64_t deadline);
FL_MUST_CHECK int fl__shm_try_take(struct fl__shm_lock *l);
void fl__shm_give(struct fl__shm_lock *l);
/* Wakes all who sleep, so that they see what the lock's state has become. */
void fl__shm_give_all(struct fl__shm_lock *l);

/*
 * For a bridge, that is a thread that sleeps on the word of a lock in place of another, which then takes it. bridge.c has the
 * rest. stand_by: the kernel hands on a wake that `thread` has got, if it dies, until stand_by(thread, NULL). expect: false
 * when the lock is free, else says in the word that somebody sleeps, and *value is what to sleep on; it was 0 before the
 * first of these sleeps. A bridge that does not take the lock after all nudges the next.
 */
void fl__shm_stand_by(struct fl__shm_self *thread, struct fl__shm_lock *l);
FL_MUST_CHECK bool fl__shm_expect(struct fl__shm_lock *l, uint32_t *value);

/* Whether the calling thread owns it. */
bool fl__shm_mine(struct fl__shm_lock *l);

#endif
