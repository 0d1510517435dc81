/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_WAIT_LOT_H
#define FL_WAIT_LOT_H

#include "context.h"
#include <fairlead/cancel.h>
#include <fairlead/wait_any.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The parking lot: a table of wait queues keyed by address (lot.c has the
 * invariants). A primitive's slow path is a transaction on the queue of its address: between open
 * and close the caller changes the primitive's words, and enqueues or dequeues waiters. No other
 * thread sees an intermediate state.
 *
 *     fl__lot_open(&lot, s);                          // the waiter
 *     if (permit is free) { take it; fl__lot_close(&lot); return 0; }
 *     set the waiters bit in the word
 *     fl__lot_add(&lot, &node);
 *     fl__lot_close(&lot);
 *     rc = fl__wait_sleep(&wait, deadline, cancel);
 *     if (rc != 0)
 *             fl__lot_leave(&node);
 *
 *     fl__lot_open(&lot, s);                          // the waking thread
 *     n = fl__lot_take(&lot, 1, 0);
 *     publish the new word                            // the last access to the object
 *     fl__lot_close(&lot);                            // unparks the waiters that were taken
 */

/* One blocking operation of one context. Lives in the context's stack frame. */
struct fl__wait {
	struct fl__ctx *ctx;
	/* What ended the wait: a value below, or the woken struct fl__node * (lot.c). */
	uintptr_t decision;
	const void *object; /* what it is for: fl__wait_awaited() */
	uint32_t park_word; /* the parker's; one for each wait, since waits nest */
	int16_t waker_cpu;  /* the CPU of the thread that unparked this thread; negative: unknown */
	uint8_t kind;       /* of `object` */
	bool no_spin;       /* park without a spin */
};

static inline struct fl__awaited fl__wait_awaited(const struct fl__wait *wait)
{
	return (struct fl__awaited){wait->object, wait->kind};
}

#define FL__PENDING ((uintptr_t)0)
#define FL__GAVE_UP ((uintptr_t)1)
#define FL__CANCELLED ((uintptr_t)2)

struct fl__lot;

/* A wait's place in one wait queue. Guarded by the bucket's lock while the node is queued. */
struct fl__node {
	struct fl__node *next, *prev;   /* the wait queue: a ring in FIFO order */
	struct fl__node *above, *below; /* the first nodes of the bucket's other queues */
	struct fl__node *then;          /* the next waiter to unpark: see struct fl__lot */
	const void *key;
	struct fl__wait *wait;
	/*
	 * Of a primitive that a signal handler may release: fl__lot_serve_in_handler(). Else NULL.
	 */
	void (*serve)(struct fl__lot *lot);
	/* Until the take: the kind of waiter. Afterwards: the waking thread's message. */
	uint32_t value;
	bool queued;      /* in a wait queue */
	bool first;       /* the first of its queue */
	bool wants_mutex; /* part of an fl__mutex_node (sync/mutex.h): read by a late unlock */
	bool observer;    /* waits for readiness alone: never counts as a woken waiter */
};

struct fl__bucket;

/* A transaction. Lives in the stack frame of the caller of open. */
struct fl__lot {
	struct fl__bucket *bucket;
	const void *key;
	struct fl__node *taken, *taken_last; /* to be unparked at close */
};

#define FL__ALL SIZE_MAX

/* Locks the wait queue of `key`. Until close, the caller opens no other queue and does not wait. */
void fl__lot_open(struct fl__lot *lot, const void *key);

/* Enqueues `node` last. FL__NODE sets the node's wait; the caller sets `observer`. */
void fl__lot_add(struct fl__lot *lot, struct fl__node *node);
#define FL__NODE(w) ((struct fl__node){.wait = (w)})

/*
 * Dequeues waiters, oldest first, and wakes each that has not given up, until `max` were woken.
 * Each gets `value`. Returns how many. Observers are woken, too, but do not count.
 */
size_t fl__lot_take(struct fl__lot *lot, size_t max, uint32_t value);

/* The same for the first waiter, which exists. False: it had given up, or is an observer. */
bool fl__lot_take_first(struct fl__lot *lot, uint32_t value);

/* Whether the queue has a waiter; and its first waiter, or NULL. */
bool fl__lot_has_waiters(const struct fl__lot *lot);
struct fl__node *fl__lot_first(const struct fl__lot *lot);

/* For primitives with an order of their own: the node after `node`, or NULL. */
struct fl__node *fl__lot_node_after(const struct fl__node *node);
/* Enqueues `node` before `place`; last, if `place` is NULL. */
void fl__lot_insert(struct fl__lot *lot, struct fl__node *node, struct fl__node *place);
/* Dequeues `node`, and wakes it. False: the waiter had given up. */
bool fl__lot_take_node(struct fl__lot *lot, struct fl__node *node, uint32_t value);

/*
 * Wakes the first waiter without dequeuing it, unless an earlier call has woken it. Dequeues
 * waiters that have given up. Returns the first waiter; NULL: the queue is empty. The woken waiter
 * stays first until it calls fl__lot_remove(), or begins another wait there, inside a transaction.
 */
struct fl__node *fl__lot_wake_first(struct fl__lot *lot);

/* The same for the present first waiter, which exists. False: it had given up, and is dequeued. */
bool fl__lot_try_wake_first(struct fl__lot *lot);

/* Dequeues `node` if it is queued. */
void fl__lot_remove(struct fl__lot *lot, struct fl__node *node);

/*
 * For a transaction on two queues: also opens the queue of `to_key`. False: `from` was unlocked for
 * a moment, so the caller must read the state of `from` again.
 */
bool fl__lot_open_also(struct fl__lot *from, struct fl__lot *to, const void *to_key);
/*
 * Moves the first waiter of `from` that has not given up to the end of `to`, without waking it.
 * False: there is none.
 */
bool fl__lot_move(struct fl__lot *from, struct fl__lot *to);
/* Unlocks `to`; `from` stays open. Closing `from` unparks the waiters that were woken in `to`. */
void fl__lot_unlock_also(struct fl__lot *from, struct fl__lot *to);

/* Opens the queue that holds, or last held, `node`, which may have been moved. Returns its key. */
const void *fl__lot_open_of(struct fl__lot *lot, const struct fl__node *node);

/* Unlocks the queue, then unparks the waiters that were taken. Does not touch the object. */
void fl__lot_close(struct fl__lot *lot);

/* Opens the wait queue of `key` until the end of the block. */
#define FL__LOT(lot, key)                                                                                              \
	__attribute__((cleanup(fl__lot_close))) struct fl__lot lot;                                                    \
	fl__lot_open(&(lot), key)

/*
 * Close in two steps, for a series of transactions: unlock the queue, open the next queue
 * with fl__lot_open_next(), which keeps the taken waiters, and so on; at last unpark them all.
 */
void fl__lot_unlock(struct fl__lot *lot);
void fl__lot_open_next(struct fl__lot *lot, const void *key);
void fl__lot_unpark(struct fl__lot *lot);

/*
 * For a signal handler, which may have interrupted a transaction of its own thread. Calls the
 * `serve` of the first node of each queue in the bucket of `key`, with that queue open. If the
 * bucket is locked, the holder makes these calls when it unlocks. The object of `key` may be gone:
 * it exists only while its queue has a waiter. Never waits.
 */
void fl__lot_serve_in_handler(const void *key);

/*
 * Begins a wait of the calling context. `kind` and `object`, for reports: what it waits for, unless
 * the wait is part of another wait (fl__awaits_begin()).
 */
void fl__wait_begin(struct fl__wait *wait, enum fl__debug_kind kind, const void *object);

/*
 * Polls the object with `is_ready` for a bounded time, before the wait is enqueued. A thread that
 * makes the object ready in that time need not open the queue. Returns true when `is_ready` did.
 * Returns false without polling if the context is not a thread, the deadline is past or the token
 * is requested. If all polls fail, the wait later parks without a spin.
 */
bool fl__wait_spin(struct fl__wait *wait, bool (*is_ready)(const void *what), const void *what, int64_t deadline,
                   fl_cancel_token *cancel);

/*
 * Parks until one of the wait's nodes is woken: 0. -ETIMEDOUT, -ECANCELED: no node was woken. With
 * a deadline in the past it does not park.
 */
int fl__wait_sleep(struct fl__wait *wait, int64_t deadline, fl_cancel_token *cancel);

/*
 * Wakes the wait of a node that is in no queue. False: the wait had given up. The caller makes sure
 * that the node exists during the call.
 */
bool fl__node_wake(struct fl__node *node);

/* Dequeues the node for good. Needed after every sleep that this node did not end. */
void fl__lot_leave(struct fl__node *node);

/* Whether the queue of `key` has a waiter: for destroy. */
bool fl__lot_has_waiters_at(const void *key);

/*
 * Calls `visit` for each queued waiter. Takes no lock: for the model, which has stopped all
 * threads, and for the report on a hung process, where a wrong answer is better than none.
 */
void fl__lot_visit(void (*visit)(const void *key, const uint32_t *park_word, const char *name, void *arg), void *arg);

/*
 * The same for the report of a live process, also from a signal handler. Copies up to `max` waiters
 * of the queues of bucket `i`, from the `skip`-th on, and returns how many. -EBUSY: the bucket
 * stayed locked for too long. -ENOENT: there is no such bucket.
 */
struct fl__lot_seen {
	struct fl__awaited awaited;
	uint64_t id;
	char name[32];
};
int fl__lot_peek(size_t i, size_t skip, struct fl__lot_seen *seen, int max);

/* In a forked child: empties all queues, since their waiters were threads of the parent. */
void fl__lot_forget(void);

/*
 * A wait for a word to become ready: (*word & mask) == value. While a waiter is queued, the word
 * has its `waiters` bit. Then a thread makes the word ready only in a transaction, in which it
 * calls fl__lot_take(..., FL__ALL, ...).
 */
struct fl__word {
	uint32_t mask, value; /* of a ready word */
	uint32_t waiters;
	bool of_future; /* the first member of a future: the sleep needs fl__ctx_block() */
	/* The object that the word is part of, and the word's offset in the object. */
	uint8_t kind;
	uint16_t offset;
};

/*
 * Blocks until the word is ready: 0, -ETIMEDOUT, -ECANCELED. A woken waiter was queued when the
 * word became ready; the word may have changed since. Acquires.
 */
int fl__word_wait(uint32_t *word, const struct fl__word *ready, int64_t deadline, fl_cancel_token *cancel);

/* For arm() of fl_wait_any: enqueues `node` and returns true, unless the word is ready. */
bool fl__word_arm(uint32_t *word, const struct fl__word *ready, struct fl__node *node);

/* The disarm() of each type whose arm() only enqueues the node. */
void fl__node_disarm(void *object, struct fl__node *node);

#endif
