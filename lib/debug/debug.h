/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_DEBUG_DEBUG_H
#define FL_DEBUG_DEBUG_H

#include "../base/atomic.h"
#include "stack.h"
#include <fairlead/debug.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What the primitives tell the debugging of. Every floor may include this header, which needs the base alone.
 *
 * An uncontended path asks nothing: the compare-and-swap of a lock's fast path expects fl__debug_free instead of 0. While
 * debugging is on it holds a value that no word ever has, the fast path fails, and the slow path, which works for any state of the
 * word, calls what follows. It leaves a mark in the word which turns the unlock away from its fast path, too; or else the unlock
 * asks fl__debug first, which many readers cannot all have marks for.
 *
 *     if (fl__cas_acquire(&m->word_, &(uint32_t){fl__debug_word(&fl__debug_free)}, LOCKED)) return;    // fast
 *
 *     struct fl__debug_op op;                                                                          // slow
 *     fl__debug_locking(&op, m, FL__DEBUG_MUTEX, deadline == FL_FOREVER ? 0 : FL__DEBUG_TRY);
 *     ... fl__debug_waiting(&op); rc = fl__wait_sleep(...) ...
 *     fl__debug_locked(&op, rc == 0);
 */
#define FL__DEBUG_WORD extern __attribute__((visibility("hidden"))) uint32_t /* at a known distance from the code */
FL__DEBUG_WORD fl__debug;                                                    /* FL_DEBUG_ bits */
FL__DEBUG_WORD fl__debug_free;                                               /* 0; or FL__DEBUG_NEVER */
FL__DEBUG_WORD fl__debug_readers;                                            /* the most of fl_rwlock; or 0 */

#define FL__DEBUG_NEVER 0xfffffff7u
#define FL__RWLOCK_MOST (1u << 26)

/*
 * One of the words above. Relaxed: whoever reads an old one takes a path that is right as well. Read plainly, since compilers make
 * an instruction of its own of an atomic load, on aarch64 two; each call of a primitive reads it once.
 */
static inline uint32_t fl__debug_word(const uint32_t *word)
{
#ifdef FL__TSAN
	return fl__load_relaxed(word);
#else
	return *word;
#endif
}

static inline bool fl__debug_is_on(void)
{
	return __builtin_expect(fl__debug_word(&fl__debug) != 0, 0);
}

enum fl__debug_kind {
	FL__DEBUG_NOTHING,
	FL__DEBUG_MUTEX,
	FL__DEBUG_RMUTEX,
	FL__DEBUG_RWLOCK,
	FL__DEBUG_SPIN,
	FL__DEBUG_JOIN,
	/* What nobody holds: */
	FL__DEBUG_COND,
	FL__DEBUG_SEM,
	FL__DEBUG_GET,
	FL__DEBUG_PUT,
	FL__DEBUG_SELECT,
	FL__DEBUG_QUEUE_JOIN
};

/* How it is locked: */
enum {
	FL__DEBUG_READ = 1,    /* with others */
	FL__DEBUG_TRY = 2,     /* and given up at some time: no cause of a deadlock */
	FL__DEBUG_UPGRADE = 4, /* what the context reads, and goes on reading meanwhile */
};

/* One acquisition, or one wait for what nobody holds; in the frame of the caller. */
struct fl__debug_op {
	uint8_t on; /* the modes; all else is valid only if it is not 0 */
	uint8_t how;
	uint8_t kind;
	bool measured; /* for its own sake, as one of 16; a wait is measured in any case */
	bool waited;
	const void *lock;
	const void *cond;       /* the condition that is waited for before `lock`, its mutex; NULL: none */
	const void *const *key; /* of the waiter's node, until the wait for the condition has ended; then NULL */
	int64_t began;          /* the wait */
	struct fl__stack_trace stack;
};

/* The slow halves, while debugging is on. */
void fl__debug_locking_on(struct fl__debug_op *op);
void fl__debug_waiting_on(struct fl__debug_op *op);
void fl__debug_locked_on(struct fl__debug_op *op, bool locked);
void fl__debug_unlocking_on(const void *lock, unsigned how);
void fl__debug_downgraded_on(const void *lock);
void fl__debug_forget_on(const void *lock, const char *destroy);
void fl__debug_assert_held_on(const void *lock, const char *function);
void fl__debug_join_on(uint64_t context, bool timed);
void fl__debug_sleep_on(bool asleep);

/* The current context is about to lock. Nothing of the library is locked. */
static inline void fl__debug_locking(struct fl__debug_op *op, const void *lock, enum fl__debug_kind kind, unsigned how)
{
	op->on = (uint8_t)fl__debug_word(&fl__debug);
	if (__builtin_expect(op->on != 0, 0)) {
		op->lock = lock;
		op->kind = (uint8_t)kind;
		op->how = (uint8_t)how;
		op->cond = NULL;
		op->key = NULL;
		fl__debug_locking_on(op);
	}
}

/* It is about to sleep for the lock; as often as it does. Nothing of the library is locked. */
static inline void fl__debug_waiting(struct fl__debug_op *op)
{
	if (__builtin_expect(op->on != 0, 0))
		fl__debug_waiting_on(op);
}

/* It has locked; or, not `locked`, given up. */
static inline void fl__debug_locked(struct fl__debug_op *op, bool locked)
{
	if (__builtin_expect(op->on != 0, 0))
		fl__debug_locked_on(op, locked);
}

/*
 * The current context is about to wait for the condition `cond`, and then for its mutex, which it
 * locks however the wait ends. A signal moves the waiter to the line of the mutex and changes
 * `*key`, the address in whose line the waiter's node stands.
 */
static inline void fl__debug_waiting_cond(struct fl__debug_op *op, const void *mutex, const void *cond,
                                          const void *const *key)
{
	fl__debug_locking(op, mutex, FL__DEBUG_MUTEX, 0);
	if (__builtin_expect(op->on != 0, 0)) {
		op->cond = cond;
		op->key = key;
		fl__debug_waiting_on(op);
	}
}

/*
 * The current context is about to wait for something that nobody holds: permits, items or space. No
 * deadlock is known by such a wait: any context may end it.
 */
static inline void fl__debug_wait_begin(struct fl__debug_op *op, const void *object, enum fl__debug_kind kind)
{
	fl__debug_locking(op, object, kind, FL__DEBUG_TRY);
	fl__debug_waiting(op);
}

/* That wait has ended, with success or without. */
static inline void fl__debug_wait_end(struct fl__debug_op *op)
{
	fl__debug_locked(op, false);
}

/* It is about to unlock, `how`: FL__DEBUG_READ or 0. */
static inline void fl__debug_unlocking(const void *lock, unsigned how)
{
	if (fl__debug_is_on())
		fl__debug_unlocking_on(lock, how);
}

/* It reads what it wrote so far. */
static inline void fl__debug_downgraded(const void *lock)
{
	if (fl__debug_is_on())
		fl__debug_downgraded_on(lock);
}

/* The memory at `lock` becomes a new lock, or, where `destroy` names the function, is one no more. */
static inline void fl__debug_forget(const void *lock, const char *destroy)
{
	if (fl__debug_is_on())
		fl__debug_forget_on(lock, destroy);
}

/* Panics when somebody is known to hold the lock, and the current context does not. */
static inline void fl__debug_assert_held(const void *lock, const char *function)
{
	if (fl__debug_is_on())
		fl__debug_assert_held_on(lock, function);
}

/* The current context begins to wait for the end of the context of that id, `timed` if it may give up; 0: it does so no more. */
static inline void fl__debug_join(uint64_t context, bool timed)
{
	if (fl__debug_is_on())
		fl__debug_join_on(context, timed);
}

/* The current context begins to wait for whatever it is, or does so no more. */
static inline void fl__debug_sleep(bool asleep)
{
	if (fl__debug_is_on())
		fl__debug_sleep_on(asleep);
}

#endif
