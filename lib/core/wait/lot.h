/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_WAIT_LOT_H
#define FL_WAIT_LOT_H

#include "../hooks.h"
#include "context.h"
#include <fairlead/cancel.h>
#include <fairlead/wait_any.h>

/*
 * The parking lot: a table of wait queues keyed by address (lot.c has the invariants;
 * docs/design.md, "Waiting", the reasons). A primitive's slow path is a transaction on the queue of
 * its address: between open and close the caller, under the queue lock, changes the primitive's
 * words, and enqueues or dequeues waiters. A function of a primitive that takes a `lot` is called
 * between the two.
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

/* Lives in the context's stack frame. */
struct fl__wait {
	struct fl__ctx *ctx;
	/* A value below, or the woken struct fl__node * (lot.c). */
	uintptr_t decision;
	const void *object; /* what it is for: fl__wait_awaited() */
	uint32_t *common;   /* fl__lot_add_together(): the futex of the thread; else NULL */
	uint32_t park_word; /* the parker's; waits nest */
	/* Of an unpark after a sleep: the time modulo 2^32, the CPU (negative: unknown). */
	uint32_t unparked_at;
	int16_t waker_cpu;
	uint8_t kind;   /* of `object` */
	bool no_spin;   /* park without a spin */
	int32_t result; /* of the sleep */
	/* When the flight recorder was told of the sleep. 0: it was not. */
	int64_t since;
};

static inline struct fl__awaited fl__wait_awaited(const struct fl__wait *wait)
{
	return (struct fl__awaited){wait->object, wait->kind};
}

#define FL__PENDING ((uintptr_t)0)
#define FL__GAVE_UP ((uintptr_t)1)
#define FL__CANCELLED ((uintptr_t)2)

struct fl__lot;

/* A wait's place in one wait queue. The bucket's lock guards it while it is queued. */
struct fl__node {
	struct fl__node *next, *prev; /* a ring in FIFO order */
	struct fl__node *below[2];    /* of a first node: the tree of the bucket's queues (lot.c) */
	struct fl__node *then;        /* the next waiter to unpark */
	const void *key;
	struct fl__wait *wait;
	/* Set by a primitive that a signal handler may release: fl__lot_serve_in_handler(). */
	void (*serve)(struct fl__lot *lot);
	/* The kind of waiter; from the take on, the waking thread's message. */
	uint32_t value;
	bool queued;
	bool first;       /* in its queue */
	bool wants_mutex; /* part of an fl__mutex_node (sync/mutex.h): read by a late unlock */
	bool observer;    /* never counts as a woken waiter */
};

/* Links `node` before `place` in its ring; NULL: alone. Unlinks it. */
static inline void fl__node_link(struct fl__node *node, struct fl__node *place)
{
	node->next = place ? place : node;
	node->prev = place ? place->prev : node;
	node->prev->next = node;
	node->next->prev = node;
}

static inline void fl__node_unlink(const struct fl__node *node)
{
	node->next->prev = node->prev;
	node->prev->next = node->next;
}

/* On which the wait sleeps, if it is a thread's. */
static inline const uint32_t *fl__wait_futex(const struct fl__wait *wait)
{
	return wait->common ? wait->common : &wait->park_word;
}

/* Unparks a thread without a wake of its futex. True: the thread may be asleep. */
bool fl__thread_unpark(struct fl__wait *wait);
/* Wakes the threads of a common futex, after their unparks. */
void fl__thread_wake_together(uint32_t *common);

struct fl__bucket {
	_Alignas(64) uint32_t lock;
	uint32_t wakes;              /* of fl__lot_add_together(): the common futex */
	struct fl__node *queues;     /* the root of the tree: first nodes, linked by `below` */
	struct fl__cancel_run *runs; /* see cancel_callback.c */
	uint64_t gate;               /* fl__lot_gate() */
};

/*
 * Each bucket has a gate: a word that a phase of a barrier holds, and that its parties poll
 * (sync/barrier.c). A gate has nothing to do with the queues of its bucket: it only needs a cache
 * line. In a forked child, fl__lot_forget() marks the gates that are HELD as LOST.
 */
enum { FL__GATES = 1024, FL__GATE_HELD = 4, FL__GATE_LOST = 8 };
uint64_t *fl__lot_gate(uint64_t i);

/* Lives in the stack frame of the caller of open. */
struct fl__lot {
	struct fl__bucket *bucket;
	const void *key;
	const void *all_away;                /* a key all of whose waiters were away, in this transaction */
	struct fl__node *taken, *taken_last; /* to be unparked at close */
};

#define FL__ALL SIZE_MAX

/* Until close, the caller opens no other queue and does not wait. */
void fl__lot_open(struct fl__lot *lot, const void *key);

/* Enqueues `node` last. The caller sets `observer`. */
void fl__lot_add(struct fl__lot *lot, struct fl__node *node);
#define FL__NODE(w) ((struct fl__node){.wait = (w)})

/* As fl__lot_add(), for waiters that are woken together: their threads have a common futex. */
void fl__lot_add_together(struct fl__lot *lot, struct fl__node *node);

/*
 * Dequeues waiters in the order of fl__lot_next(), and wakes each that has not given up, until `max`
 * were woken. Each gets `value`. Returns how many. Observers do not count.
 */
size_t fl__lot_take(struct fl__lot *lot, size_t max, uint32_t value);

/* As above, for the first waiter, which exists. False: it had given up, or is an observer. */
bool fl__lot_take_first(struct fl__lot *lot, uint32_t value);

bool fl__lot_has_waiters(const struct fl__lot *lot);
struct fl__node *fl__lot_first(const struct fl__lot *lot);

/* Whether the waiter is a fiber of a loop whose thread sleeps outside of the loop: lot.c, "Away". */
bool fl__lot_is_away(const struct fl__node *node);
/*
 * Moves the first waiter that is not away before all that are away, and returns NULL. If all are
 * away, returns the first waiter: a new waiter, which can run, goes before it.
 */
struct fl__node *fl__lot_pass_away(struct fl__lot *lot);
/* Returns the first waiter after fl__lot_pass_away(); NULL: none. */
struct fl__node *fl__lot_next(struct fl__lot *lot);

/*
 * Called before and after a sleep by the thread that hosts the loops of this list: their fibers are
 * away, or are not. If they are, wakes the next waiter wherever one of them is awake and the first
 * waiter of a mutex. The caller holds no fl__lock().
 */
void fl__lot_set_away(struct fl__host *hosted, bool away);

/* Returns the node after `node`, or NULL. */
struct fl__node *fl__lot_node_after(const struct fl__node *node);
/* Enqueues before `place`; last, if NULL. */
void fl__lot_insert(struct fl__lot *lot, struct fl__node *node, struct fl__node *place);
/* False: the waiter had given up. */
bool fl__lot_take_node(struct fl__lot *lot, struct fl__node *node, uint32_t value);

/*
 * Wakes the first waiter without dequeuing it, unless an earlier call has woken it. Dequeues before
 * it waiters that gave up, and wakes and dequeues those with a common futex. Returns the first
 * waiter, or NULL. The woken waiter stays first until it calls fl__lot_remove(), or begins another
 * wait there, in a transaction.
 */
struct fl__node *fl__lot_wake_first(struct fl__lot *lot);

/* As above, for the present first waiter, which exists. False: it is dequeued. */
bool fl__lot_try_wake_first(struct fl__lot *lot);

/* Does nothing if `node` is not queued. */
void fl__lot_remove(struct fl__lot *lot, struct fl__node *node);

/* Also opens the queue of `to_key`. False: `from` was unlocked meanwhile: read its state again. */
bool fl__lot_open_also(struct fl__lot *from, struct fl__lot *to, const void *to_key);
/*
 * Moves the first waiter, which exists, to the end of `to`, asleep, or before those that are away.
 * False: the waiter had given up, and is dequeued.
 */
bool fl__lot_move(struct fl__lot *from, struct fl__lot *to);
/* `from` stays open. The close of `from` unparks the waiters that were woken in `to`. */
void fl__lot_unlock_also(struct fl__lot *from, struct fl__lot *to);

/* Opens the queue that holds, or last held, `node`, also if moved. Returns its key. */
const void *fl__lot_open_of(struct fl__lot *lot, const struct fl__node *node);

/* Unlocks, then unparks the taken waiters. Does not touch the object. */
void fl__lot_close(struct fl__lot *lot);

/* Opens the queue until the end of the block. */
#define FL__LOT(lot, key)                                                                                              \
	__attribute__((cleanup(fl__lot_close))) struct fl__lot lot;                                                    \
	fl__lot_open(&(lot), key)

/*
 * Close in two steps, for a series of transactions: unlock, open the next queue with
 * fl__lot_open_next(), which keeps the taken waiters, and so on; at last unpark them all.
 */
void fl__lot_unlock(struct fl__lot *lot);
void fl__lot_open_next(struct fl__lot *lot, const void *key);
void fl__lot_unpark(struct fl__lot *lot);

/*
 * For a signal handler, which may have interrupted a transaction of its own thread. Calls the
 * `serve` of the first node of each queue in the bucket of `key`, with that queue open. If the
 * bucket is locked, its holder makes these calls when it unlocks. The object exists only while its
 * queue has a waiter. Never waits.
 */
void fl__lot_serve_in_handler(const void *key);

/* `kind` and `object` say in reports what the wait is for, except within FL__AWAITS(). */
void fl__wait_begin(struct fl__wait *wait, enum fl__debug_kind kind, const void *object);

/* Declares a wait, which begins, and its node for one wait queue. */
#define FL__WAIT(wait, node, kind, object)                                                                             \
	struct fl__wait wait;                                                                                          \
	fl__wait_begin(&(wait), (kind), (object));                                                                     \
	struct fl__node node = FL__NODE(&(wait))

/*
 * Until the end of the block the context is asleep, in no wait queue: for reports, and for the
 * fibers of its thread. The block sets fl__asleep.result.
 */
#define FL__ASLEEP(kind, object, deadline)                                                                             \
	__attribute__((cleanup(fl__asleep_end), unused)) struct fl__wait fl__asleep;                                   \
	fl__wait_begin(&fl__asleep, (kind), (object));                                                                 \
	fl__hook_sleep(&fl__asleep, (deadline));                                                                       \
	fl__lot_set_away(fl__asleep.ctx->hosted, true)

static inline void fl__asleep_end(struct fl__wait *wait)
{
	fl__lot_set_away(wait->ctx->hosted, false);
	fl__hook_woken(wait);
}

/*
 * Polls `is_ready` for a bounded time, before the wait is enqueued, and returns true when it did.
 * False without polling: the context is not a thread, the deadline is past or the token is
 * requested. If all polls fail, the wait later parks without a spin.
 */
bool fl__wait_spin(struct fl__wait *wait, bool (*is_ready)(const void *what), const void *what, fl_time deadline,
                   fl_cancel_token *cancel);

/* Parks until a node is woken: 0; else -ETIMEDOUT (at once for a past deadline), -ECANCELED. */
int fl__wait_sleep(struct fl__wait *wait, fl_time deadline, fl_cancel_token *cancel);

/* For a node in no queue, which the caller keeps alive. False: the wait had given up. */
bool fl__node_wake(struct fl__node *node);

/* Dequeues the node for good, after every sleep that this node did not end. */
void fl__lot_leave(struct fl__node *node);

bool fl__lot_has_waiters_at(const void *key);

/* Calls `visit` for each queued waiter. Takes no lock: all threads are stopped, or hang. */
void fl__lot_visit(void (*visit)(const void *key, const void *wait, const uint32_t *futex, const char *name, void *arg),
                   void *arg);

/*
 * As above for a live process, also from a signal handler. Copies up to `max` waiters of the queues
 * of bucket `i`, from the `skip`-th on: how many. -EAGAIN: the bucket stayed locked. -ENOENT: there
 * is no such bucket.
 */
struct fl__lot_seen {
	struct fl__awaited awaited;
	uint64_t id;
	char name[32];
};
int fl__lot_peek(size_t i, size_t skip, struct fl__lot_seen *seen, int max);

/* Empties all queues in a forked child, which lacks the waiters, and marks the gates. */
void fl__lot_forget(void);

/*
 * A wait for (*word & mask) == value. While a waiter is queued, the word has its `waiters` bit, and
 * becomes ready only in a transaction that calls fl__lot_take(..., FL__ALL, ...).
 */
struct fl__word {
	uint32_t mask, value; /* of a ready word */
	uint32_t waiters;
	bool of_future; /* the first member of a future: the sleep needs fl__ctx_block() */
	/* The object, and the word's offset in it. */
	uint8_t kind;
	uint16_t offset;
};

/* Blocks until the word is ready: 0, -ETIMEDOUT, -ECANCELED. Acquires. It may change again. */
int fl__word_wait(uint32_t *word, const struct fl__word *ready, fl_time deadline, fl_cancel_token *cancel);

/* For arm() of fl_wait_any. False: the word is ready. Else enqueues `node`. */
bool fl__word_arm(uint32_t *word, const struct fl__word *ready, struct fl__node *node);

/* The disarm() of types whose arm() only enqueues the node. */
void fl__node_disarm(void *object, struct fl__node *node);

#endif
