/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "core/base/sys.h"
#include <fairlead/defs.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * The robust lock: when the owner dies, the kernel frees the lock and wakes a waiter (shm_lock.c).
 * All-zero memory is an unlocked lock. Processes that share a lock must be in one PID namespace.
 *
 * The C library tells the kernel the distance from a lock's node to its word: the word is words_[0]
 * with glibc, and another element with other C libraries, but never FL__SHM_SLEEPERS or
 * FL__SHM_STATE.
 */
union fl__shm_link {
	void *node; /* a link of the robust list; valid in the owner's process */
	uint64_t room;
};
struct fl__shm_lock {
	uint32_t words_[6];
	uint32_t hold_; /* the place of the owner's record: a hint */
	uint32_t unused_;
	union fl__shm_link next_; /* the node: written, never read */
};
_Static_assert(sizeof(struct fl__shm_lock) == 40, "struct fl__shm_lock has no gaps");

/* Elements of words_: how many waiters sleep (a hint); a state of the lock's user. */
enum { FL__SHM_SLEEPERS = 2, FL__SHM_STATE = 4 };

#define FL__SHM_TID 0x3fffffffu     /* the owner; 0: free */
#define FL__SHM_DIED 0x40000000u    /* an owner died while it held the lock */
#define FL__SHM_WAITERS 0x80000000u /* a waiter may sleep on the word */

static inline struct fl__shm_lock *fl__shm_lock_at(const uint64_t *place)
{
	return (struct fl__shm_lock *)(void *)(uintptr_t)place;
}

/*
 * The record of a lock that the calling thread holds by fl__shm_acquire() or fl__shm_try_acquire(),
 * in private memory.
 */
struct fl__shm_hold {
	struct fl__shm_lock *lock;
	uint32_t depth; /* of a recursive mutex: the owner's locks beyond the first */
	uint32_t told;  /* 1: the owner was told of a death, and has not recovered */
	uint64_t owner; /* the ID of the owning context, or 0 */
};
enum { FL__SHM_HOLDS = 2 };

/* The calling thread's data for robust locks. */
struct fl__shm_self {
	struct fl__robust_list *list; /* NULL: the system has no robust lists, and no death is seen */
	uint32_t tid;                 /* 0: no thread has the record */
	uint32_t taken;               /* 1: a thread has it; other threads read this alone */
	uint32_t held;                /* of `holds`: the elements in use */
	uint32_t waiters;             /* fibers that wait for a lock of the thread (shm_context_lock.c) */
	uint16_t room;                /* of `holds`: all elements */
	bool has_back;                /* `back` is linked; false while `held` is 0 */
	struct fl__shm_hold *holds;   /* in the reverse order of the list: `few`, or more */
	/*
	 * `front` and `back`, each with its prev before it. The words are 0. While `held` is 0,
	 * `front_prev` is the list's head.
	 */
	struct {
		uint32_t words[6];
		union fl__shm_link front_prev, front, back_prev, back;
	} ends;
	struct fl__shm_hold few[FL__SHM_HOLDS];
};
struct fl__shm_self *fl__shm_self(void);

/* The distance from a lock's node to its word: the same in all processes that share the memory. */
long fl__shm_word_offset(void);
uint32_t *fl__shm_word(struct fl__shm_lock *l);

/*
 * A monitor is a lock that is held for a few instructions. Each operation on the guarded data takes
 * effect by one store, so an owner that dies leaves nothing to repair. A wait goes on for a
 * millisecond after its deadline: only a stopped owner, or damaged memory, keeps a monitor that
 * long. A thread leaves monitors in the reverse order of entering.
 *
 * fl__shm_enter() returns
 *   0
 *   -ETIMEDOUT
 *   -EBADMSG    damaged memory: the word has the TID of the calling thread
 *
 */
struct fl__shm_held {
	void *first; /* the first node of the robust list before fl__shm_enter() */
};
FL_MUST_CHECK int fl__shm_enter(struct fl__shm_lock *l, struct fl__shm_held *held, fl_time deadline);
void fl__shm_leave(struct fl__shm_lock *l, struct fl__shm_held *held);

/*
 * As fl__shm_enter(), without the extra millisecond. Also returns -EAGAIN: the caller was woken,
 * but another thread owns the lock.
 */
FL_MUST_CHECK int fl__shm_enter_once(struct fl__shm_lock *l, struct fl__shm_held *held, fl_time deadline);
/* True if a waiter may sleep on `l`. */
bool fl__shm_has_waiters(struct fl__shm_lock *l);
/* Wakes up to `n` waiters of `l`, even if `l` is not free. */
void fl__shm_wake(struct fl__shm_lock *l, uint32_t n);

/*
 * Locks that users hold, for any time and in any order. `owner`: for the record; the ID of a
 * context, or 0. Result:
 *   0            acquired
 *   -EOWNERDEAD  acquired, and the previous owner died
 *   -EAGAIN      fl__shm_try_acquire() alone: the lock has an owner
 *   -ETIMEDOUT   not acquired
 *   -EDEADLK     the calling thread owns the lock, or a peer has written the thread's TID to it
 *   -ENOMEM      not acquired: there is no memory for the record
 *
 * fl__shm_release() wakes one waiter, or with `all` all waiters.
 */
FL_MUST_CHECK int fl__shm_acquire(struct fl__shm_lock *l, uint64_t owner, fl_time deadline);
FL_MUST_CHECK int fl__shm_try_acquire(struct fl__shm_lock *l, uint64_t owner);
void fl__shm_release(struct fl__shm_lock *l, struct fl__shm_hold *hold, bool all);

/*
 * For a bridge (shm_bridge.c), which sleeps on a lock's word in place of a waiter.
 *
 * fl__shm_set_pending(): if `thread` dies after a wake, the kernel passes the wake on to another
 * waiter of `l`, until fl__shm_set_pending(thread, NULL).
 *
 * fl__shm_prepare_sleep(): returns false if the lock is free. Otherwise sets WAITERS, and stores in
 * *value (0 before the first sleep) the word to sleep on. A waiter that does not acquire the lock
 * after all wakes another by fl__shm_wake().
 */
void fl__shm_set_pending(struct fl__shm_self *thread, struct fl__shm_lock *l);
FL_MUST_CHECK bool fl__shm_prepare_sleep(struct fl__shm_lock *l, uint32_t *value);

/* Directly after an acquire: its record. Valid until the next acquire or release. */
struct fl__shm_hold *fl__shm_latest_hold(void);
/* The calling thread's record of `l`, for the context `owner`; 0: for any. NULL: not held. */
struct fl__shm_hold *fl__shm_hold(const struct fl__shm_lock *l, uint64_t owner);
