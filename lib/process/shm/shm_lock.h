/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "core/base/sys.h"
#include <fairlead/defs.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * The robust lock of shared memory (shm_lock.c). When the owner dies, the kernel frees the lock and
 * wakes a waiter. All-zero memory is an unlocked lock. Processes that share a lock must be in one
 * PID namespace.
 *
 * The C library tells the kernel the distance from a lock's node to its word. With glibc on a
 * 64-bit system the word is words_[0]. On 32-bit systems, and with other C libraries, it is another
 * element, but never FL__SHM_SLEEPERS or FL__SHM_STATE.
 */
union fl__shm_link {
	void *node; /* a link of the robust list; valid in the owner's process */
	uint64_t room;
};
struct fl__shm_lock {
	uint32_t words_[6];
	uint32_t hold_; /* a hint to the index of the owner's record */
	uint32_t unused_;
	union fl__shm_link next_; /* the node; it is written and never read */
};
_Static_assert(sizeof(struct fl__shm_lock) == 40, "struct fl__shm_lock has no gaps");

/*
 * Two elements of words_: the number of waiters that sleep, which is a hint, and a state that
 * belongs to the user of the lock.
 */
enum { FL__SHM_SLEEPERS = 2, FL__SHM_STATE = 4 };

#define FL__SHM_TID 0x3fffffffu     /* the owner's TID, or 0 while the lock is free */
#define FL__SHM_DIED 0x40000000u    /* an owner died while it held the lock */
#define FL__SHM_WAITERS 0x80000000u /* a waiter may sleep on the word */

static inline struct fl__shm_lock *fl__shm_lock_at(const uint64_t *place)
{
	return (struct fl__shm_lock *)(void *)(uintptr_t)place;
}

/*
 * The record, in private memory, of a lock that the calling thread has acquired by
 * fl__shm_acquire() or fl__shm_try_acquire().
 */
struct fl__shm_hold {
	struct fl__shm_lock *lock;
	uint32_t depth; /* how often the owner of a recursive mutex has locked it again */
	uint32_t told;  /* 1 if the owner was told of a death and has not recovered */
	uint64_t owner; /* the ID of the owning context, or 0 */
};
enum { FL__SHM_HOLDS = 2 };

/* The calling thread's data for robust locks. */
struct fl__shm_self {
	/*
	 * NULL if the system has no robust lists or the C library's list has another format; then
	 * the kernel does not free the locks of a thread that dies
	 */
	struct fl__robust_list *list;
	uint32_t tid; /* 0 while no thread uses the record */
	/* 1 while a thread uses the record; other threads find a free record by this field only */
	uint32_t taken;
	uint32_t held; /* the number of elements of `holds` in use */
	/* how many of the thread's fibers wait for a lock that it owns (shm_context_lock.c) */
	uint32_t waiters;
	uint16_t room; /* the number of elements that `holds` has */
	bool has_back; /* true while `back` is linked; false while `held` is 0 */
	/* the oldest hold first, the reverse of the list; `few`, or allocated memory */
	struct fl__shm_hold *holds;
	/*
	 * `front` and `back`, each with its prev before it. The words are always 0. While `held` is
	 * 0, `front_prev` holds the address of the list's head.
	 */
	struct {
		uint32_t words[6];
		union fl__shm_link front_prev, front, back_prev, back;
	} ends;
	struct fl__shm_hold few[FL__SHM_HOLDS];
};
struct fl__shm_self *fl__shm_self(void);

/*
 * Returns the distance from a lock's node to its word, which is the same in all processes that
 * share the memory.
 */
long fl__shm_word_offset(void);
uint32_t *fl__shm_word(struct fl__shm_lock *l);

/*
 * A monitor is a lock that is held for one operation, which takes a few instructions, or as long as
 * it takes to copy items. (Except the `head` of a wait queue, whose owner sleeps.) Each operation
 * on the guarded data takes effect by one store, so an owner that dies leaves nothing to repair. A
 * thread leaves its monitors in the reverse order of entering them. fl__shm_enter() waits for a
 * millisecond longer than its deadline, because only a stopped owner, damaged memory, an owner
 * without a CPU, or a copy of some MB keeps a monitor that long.
 *
 * fl__shm_enter() returns
 *   0           the caller owns the monitor
 *   -ETIMEDOUT  the deadline, and the millisecond after it, have passed
 *   -EBADMSG    the memory is damaged: the word has the TID of the calling thread
 */
struct fl__shm_held {
	void *first; /* the first node of the robust list before fl__shm_enter() */
};
FL_MUST_CHECK int fl__shm_enter(struct fl__shm_lock *l, struct fl__shm_held *held, fl_time deadline);
void fl__shm_leave(struct fl__shm_lock *l, struct fl__shm_held *held);

/*
 * Like fl__shm_enter(), but without the extra millisecond. May also return -EAGAIN, if the caller
 * was woken but another thread owns the lock.
 */
FL_MUST_CHECK int fl__shm_enter_once(struct fl__shm_lock *l, struct fl__shm_held *held, fl_time deadline);
/* Returns true if a waiter may sleep on `l`. */
bool fl__shm_has_waiters(struct fl__shm_lock *l);
/* Wakes up to `n` waiters of `l`, even if `l` is not free. */
void fl__shm_wake(struct fl__shm_lock *l, uint32_t n);

/*
 * These locks are held by users, for any time and in any order. `owner` is the ID of a context, or
 * 0; it is stored in the record. Both functions return
 *   0            the lock is acquired
 *   -EOWNERDEAD  the lock is acquired, and the previous owner died
 *   -EAGAIN      only from fl__shm_try_acquire(): the lock has an owner
 *   -ETIMEDOUT   only from fl__shm_acquire(): the deadline has passed
 *   -EDEADLK     only from fl__shm_acquire(): the calling thread owns the lock, or another process
 *                wrote this thread's TID there
 *   -ENOMEM      the lock is not acquired: there is no memory for the record, or the thread holds
 *                2,045 locks
 *
 * fl__shm_release() wakes at least one waiter if there is one, and all waiters if `all` is true.
 */
FL_MUST_CHECK int fl__shm_acquire(struct fl__shm_lock *l, uint64_t owner, fl_time deadline);
FL_MUST_CHECK int fl__shm_try_acquire(struct fl__shm_lock *l, uint64_t owner);
void fl__shm_release(struct fl__shm_lock *l, struct fl__shm_hold *hold, bool all);

/*
 * For a bridge (shm_bridge.c), which sleeps on a lock's word instead of a waiter.
 *
 * After fl__shm_set_pending(thread, l), the kernel passes a wake on to another waiter of `l` if
 * `thread` dies after it was woken. fl__shm_set_pending(thread, NULL) ends this.
 *
 * fl__shm_prepare_sleep() returns false if the lock is free. Otherwise it sets WAITERS, stores in
 * *value the word to sleep on, and returns true. The caller stores 0 in *value before the first
 * sleep. A waiter that slept but does not acquire the lock must wake another one by fl__shm_wake().
 */
void fl__shm_set_pending(struct fl__shm_self *thread, struct fl__shm_lock *l);
FL_MUST_CHECK bool fl__shm_prepare_sleep(struct fl__shm_lock *l, uint32_t *value);

/*
 * Returns the record of the lock that the calling thread acquired last. Must be called directly
 * after an acquire; the record is valid until the thread's next acquire or release.
 */
struct fl__shm_hold *fl__shm_latest_hold(void);
/*
 * Returns the calling thread's record of `l`, or NULL if the thread does not hold `l` for the
 * context `owner` (or, if `owner` is 0, for any context).
 */
struct fl__shm_hold *fl__shm_hold(const struct fl__shm_lock *l, uint64_t owner);
