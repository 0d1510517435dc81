/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_WAIT_LOT_H
#define FL_WAIT_LOT_H

#include "../hooks.h"
#include "context.h"
#include <fairlead/cancel.h>
#include <fairlead/wait_any.h>

/*
 * The parking lot is a table of wait queues, keyed by address. The invariants are at the top of
 * lot.c, and section 2 of docs/design.md says what it gives to all primitives.
 *
 * The slow path of a primitive is a transaction on the wait queue of its address. The caller opens
 * the queue, which locks it, then changes the words of the primitive and enqueues or dequeues
 * waiters, and closes the queue, which unlocks it. If a primitive's function takes a `lot` as an
 * argument, it is called between open and close.
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
 *
 * A wake, a timeout and a cancel compete for one word of the waiter, and a waiter may be enqueued
 * in several wait queues at once. The word that a waking thread sets belongs to the wait instead of
 * the context, because a context that locks a contended mutex between the beginning of a wait and
 * its sleep has two waits, and neither must take the wake of the other.
 */

/* One wait of a context. It lives in a stack frame of the context. */
struct fl__wait {
	struct fl__ctx *ctx;
	/* What ended the wait: a value below, or the struct fl__node * that was woken (lot.c). */
	uintptr_t decision;
	const void *object; /* what the wait is for: fl__wait_awaited() */
	/* The futex that this thread shares after fl__lot_add_together(), or NULL. */
	uint32_t *common;
	/*
	 * Belongs to the parker, and before the park to the spinner of a condition (sync/cond.c).
	 * It is part of the wait, because a context may wait within a wait.
	 */
	uint32_t park_word;
	/* If the thread slept, the time of its unpark, in ns, modulo 2^32. */
	uint32_t unparked_at;
	int16_t waker_cpu; /* the CPU of the thread that unparked it; negative if unknown */
	uint8_t kind;      /* of `object` */
	bool no_spin;      /* the thread parks at once, without spinning */
	int32_t result;    /* of the sleep */
	/* When the flight recorder was told of the sleep, or 0 if it was not. */
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

/* A wait's place in one wait queue. While it is queued, the bucket's lock guards it. */
struct fl__node {
	struct fl__node *next, *prev; /* a ring in FIFO order */
	struct fl__node *below[2];    /* links of the tree of queues, if the node is first (lot.c) */
	struct fl__node *then;        /* the next waiter to unpark */
	const void *key;
	struct fl__wait *wait;
	/* Set by a primitive that a signal handler may release: fl__lot_serve_in_handler(). */
	void (*serve)(struct fl__lot *lot);
	/*
	 * What the waiter tells waking threads, as defined by the primitive; for example its kind,
	 * or how many permits it needs. After the take, it is the waking thread's message to the
	 * waiter.
	 */
	uint32_t value;
	bool queued;
	bool first; /* in its queue */
	/*
	 * Whether the node is part of an fl__mutex_node (sync/mutex.h). A late unlock reads this.
	 */
	bool wants_mutex;
	bool observer; /* does not count as a woken waiter */
};

/* Links `node` before `place` in the ring of `place`. If `place` is NULL, `node` is a new ring. */
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

/* Returns the futex on which the wait sleeps, if it is the wait of a thread. */
static inline const uint32_t *fl__wait_futex(const struct fl__wait *wait)
{
	return wait->common ? wait->common : &wait->park_word;
}

/*
 * Unparks a thread without waking its futex. Returns true if the thread may be asleep; then the
 * caller must wake the futex.
 */
bool fl__thread_unpark(struct fl__wait *wait);
/* Wakes the threads that sleep on a common futex. The caller has already unparked them. */
void fl__thread_wake_together(uint32_t *common);

/*
 * The key of a wait queue is usually the address of the object that the waiters wait for, or of the
 * word in it. Such an address is a multiple of 4. For three kinds of objects, fl__lot_key() makes
 * the keys of wait queues from the object's address, so that the key modulo 4 names the kind:
 *
 *   remainder  FL__KEY_      object                    the waiters of the queue
 *   0          -             any other object          wait for that object
 *   1          OF_QUEUE      fl_queue                  wait to get, to put, or to join: one wait
 *                            (queue/queue.h)           queue for each of the three
 *   2          OF_CALLBACKS  the root of a tree of     remove a callback that runs
 *                            cancel tokens, fl_timer   (wait/cancel_callback.c), or join a timer
 *                                                      (sync/timer.c)
 *   3          OF_SHM_LOCK   a lock of shared memory   are fibers whose own thread owns the lock
 *                                                      (process/shm/shm_context_lock.c)
 *
 * These keys may be in use after the object was freed, because a waking thread may come late, a
 * timer's function may free the timer, and a context that removes a callback may wait for longer
 * than the token exists. By then another object may have the memory. If an object of another kind
 * could have the same key, a wake for one of its waiters could go to a waiter of the freed object,
 * and be lost. But if an object of the same kind has the same key, this is harmless. A freed queue
 * has no waiters, and a wake of the other two kinds takes no waiter in the place of another. A
 * waiter of the three kinds checks again after each wake, with two exceptions. A waiter at a
 * rendezvous whose node has the value FL__HANDED_OFF knows that its call was made. And the contexts
 * that join a queue are woken only by a transaction that has checked for them.
 */
enum { FL__KEY_OF_QUEUE = 1, FL__KEY_OF_CALLBACKS, FL__KEY_OF_SHM_LOCK };
static inline const void *fl__lot_key(const void *object, int remainder)
{
	return (const char *)object + remainder;
}

struct fl__bucket {
	_Alignas(64) uint32_t lock;
	uint32_t wakes;              /* the common futex of fl__lot_add_together() */
	struct fl__node *queues;     /* the root of the tree of first nodes, linked by `below` */
	struct fl__cancel_run *runs; /* callbacks of cancel tokens that run now: cancel_callback.c */
	FL__WORD64 uint64_t gate;    /* fl__lot_gate() */
};

/*
 * Each bucket has a gate: a word that a phase of a barrier holds, and that its parties poll
 * (sync/barrier.c). It has nothing to do with the bucket's queues, but only needs a cache line.
 */
enum { FL__GATES = 1024, FL__GATE_HELD = 4 };
uint64_t *fl__lot_gate(uint64_t i);

/* Lives in the stack frame of the caller of open. */
struct fl__lot {
	struct fl__bucket *bucket;
	const void *key;
	const void *all_away;                /* the key of waiters that were all away, or NULL */
	struct fl__node *taken, *taken_last; /* to be unparked at close */
};

#define FL__ALL SIZE_MAX

/*
 * Opens the wait queue of `key`, which locks its bucket. Until the close, the caller must not wait,
 * or open another queue except by fl__lot_open_also() and fl__lot_open_next().
 */
void fl__lot_open(struct fl__lot *lot, const void *key);

/* Enqueues `node` as the last one. If the node is an observer, the caller has set `observer`. */
void fl__lot_add(struct fl__lot *lot, struct fl__node *node);
#define FL__NODE(w) ((struct fl__node){.wait = (w)})

/*
 * Enqueues `node` as the last one, for a waiter that will be woken together with other waiters of
 * the queue. Their threads sleep on one common futex, so that one system call wakes them all.
 */
void fl__lot_add_together(struct fl__lot *lot, struct fl__node *node);

/*
 * Dequeues waiters in the order of fl__lot_next(), and wakes each one that has not given up, until
 * it has woken `max` waiters or the queue is empty. Each woken waiter gets `value`. Returns how
 * many were woken, without observers, which are also woken. Here and below, waiters also count as
 * having given up if their wait has ended through another of its nodes, or if their own token is
 * cancelled (lot.c, invariant 2).
 */
size_t fl__lot_take(struct fl__lot *lot, size_t max, uint32_t value);

/*
 * Dequeues the first waiter, which must exist, and wakes it with `value`. Returns false if the
 * waiter had given up or is an observer.
 */
bool fl__lot_take_first(struct fl__lot *lot, uint32_t value);

bool fl__lot_has_waiters(const struct fl__lot *lot);
struct fl__node *fl__lot_first(const struct fl__lot *lot);

/*
 * Returns whether the waiter is away, which means that it is a fiber of a loop whose thread sleeps
 * outside of the loop (lot.c, "Away").
 */
bool fl__lot_is_away(const struct fl__node *node);
/*
 * Moves the first waiter that is not away to the front of the queue, and returns NULL. If all
 * waiters are away, returns the first one, so that the caller may enqueue a waiter that can run
 * before it. If the queue is empty, returns NULL.
 *
 * While all N waiters of a queue are away, each transaction visits them all once, so M transactions
 * take M * N steps. A count of the waiters that can run would avoid this, but each going away and
 * each return of a thread would then have to visit all queues of its fibers.
 */
struct fl__node *fl__lot_pass_away(struct fl__lot *lot);
/* Calls fl__lot_pass_away(), and returns the waiter that is now the first one, or NULL. */
struct fl__node *fl__lot_next(struct fl__lot *lot);

/*
 * Called by a thread that hosts the loops in the list `hosted`: with `away` before it sleeps, and
 * without `away` after its sleep. While the thread sleeps, the fibers of these loops are away. If
 * one of them is the first waiter of a mutex and was already woken there, this wakes the next
 * waiter of that mutex. The caller holds no fl__lock().
 */
void fl__lot_set_away(struct fl__host *hosted, bool away);

/* Returns the node after `node`, or NULL. */
struct fl__node *fl__lot_node_after(const struct fl__node *node);
/* Enqueues `node` before `place`, or as the last one if `place` is NULL. */
void fl__lot_insert(struct fl__lot *lot, struct fl__node *node, struct fl__node *place);
/* Dequeues `node`, and wakes its waiter with `value`. Returns false if the waiter had given up. */
bool fl__lot_take_node(struct fl__lot *lot, struct fl__node *node, uint32_t value);

/*
 * Wakes the first waiter, unless an earlier call did, and leaves it in the queue. Returns that
 * waiter, or NULL if the queue is empty. Dequeues waiters before it that have given up, and wakes
 * and dequeues waiters before it that sleep on a common futex.
 *
 * The woken waiter stays first until it calls fl__lot_remove(), or begins another wait with the
 * same node, in a transaction. However, other waiters go before a woken fiber that is away (lot.c,
 * invariant 8).
 */
struct fl__node *fl__lot_wake_first(struct fl__lot *lot);

/*
 * One step of fl__lot_wake_first(), for the waiter that fl__lot_next() returns, which must exist.
 * Returns false if this waiter was dequeued.
 */
bool fl__lot_try_wake_first(struct fl__lot *lot);

/* Dequeues `node` if it is queued. */
void fl__lot_remove(struct fl__lot *lot, struct fl__node *node);

/*
 * Also opens the queue of `to_key`. Returns false if `from` was unlocked in the meantime; then the
 * caller must read the state of `from` again.
 */
bool fl__lot_open_also(struct fl__lot *from, struct fl__lot *to, const void *to_key);
/*
 * Moves the first waiter of `from`, which must exist, to the end of `to`, without waking it. If all
 * waiters of `to` are away and this one is not, it goes before them. If the waiter had given up,
 * only dequeues it and returns false.
 */
bool fl__lot_move(struct fl__lot *from, struct fl__lot *to);
/*
 * Unlocks `to`. `from` stays open, and its close also unparks the waiters that were woken in `to`.
 */
void fl__lot_unlock_also(struct fl__lot *from, struct fl__lot *to);

/* Opens the queue in which `node` is or last was, even if it was moved. Returns the queue's key. */
const void *fl__lot_open_of(struct fl__lot *lot, const struct fl__node *node);

/* Unlocks the queue, and then unparks the waiters that were taken. Does not touch the object. */
void fl__lot_close(struct fl__lot *lot);

/* Opens the queue until the end of the block. */
#define FL__LOT(lot, key)                                                                                              \
	__attribute__((cleanup(fl__lot_close))) struct fl__lot lot;                                                    \
	fl__lot_open(&(lot), key)

/*
 * A series of transactions closes in two steps. fl__lot_unlock() ends one transaction, and
 * fl__lot_open_next() begins the next one, and keeps the waiters that were taken before. At the end
 * of the series, fl__lot_unpark() unparks them all.
 */
void fl__lot_unlock(struct fl__lot *lot);
void fl__lot_open_next(struct fl__lot *lot, const void *key);
void fl__lot_unpark(struct fl__lot *lot);

/*
 * Called by a signal handler, which may have interrupted a transaction of its own thread. Opens
 * each queue in the bucket of `key` and calls the `serve` of the queue's first node, if that node
 * has one. If the bucket is locked, the holder of the lock makes these calls when it unlocks, so
 * the function never waits. `serve` may use the object, because an object exists while its queue
 * has a waiter.
 */
void fl__lot_serve_in_handler(const void *key);

/*
 * Begins a wait. In reports `kind` and `object` say what the wait is for. Within FL__AWAITS(), only
 * a wait for a lock or for the end of a context is reported as itself, and any other wait as what
 * FL__AWAITS() names.
 */
void fl__wait_begin(struct fl__wait *wait, enum fl__debug_kind kind, const void *object);

/* Declares a wait and a node for one wait queue, and begins the wait. */
#define FL__WAIT(wait, node, kind, object)                                                                             \
	struct fl__wait wait;                                                                                          \
	fl__wait_begin(&(wait), (kind), (object));                                                                     \
	struct fl__node node = FL__NODE(&(wait))

/*
 * Declares that until the end of the block the context is asleep in its own way, in no wait queue.
 * Reports then say so, and the fibers of loops that its thread hosts are away. The block sets
 * fl__asleep.result.
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
 * Called before the wait is enqueued. Polls `is_ready` for a bounded time, and returns true as soon
 * as `is_ready` does. If all polls fail, returns false, and the wait will park without spinning. If
 * the context is not a thread, the deadline has passed or the token is cancelled, returns false
 * without polling.
 */
bool fl__wait_spin(struct fl__wait *wait, bool (*is_ready)(const void *what), const void *what, fl_time deadline,
                   fl_cancel_token *cancel);

/*
 * Parks until a node of the wait is woken, and returns 0. Returns -ETIMEDOUT when the deadline
 * passes, or at once if it has already passed, and -ECANCELED when the token is cancelled.
 */
int fl__wait_sleep(struct fl__wait *wait, fl_time deadline, fl_cancel_token *cancel);

/*
 * Wakes the waiter of a node that is in no queue and that the caller keeps alive. Returns false if
 * the waiter had given up.
 */
bool fl__node_wake(struct fl__node *node);

/*
 * Dequeues the node for good. The waiter calls this after each sleep that this node did not end,
 * because of a timeout, a cancel, or a wake through another node of the wait.
 */
void fl__lot_leave(struct fl__node *node);

bool fl__lot_has_waiters_at(const void *key);

/* Calls `visit` for each queued waiter. Takes no lock, because all threads are stopped or hang. */
void fl__lot_visit(void (*visit)(const void *key, const void *wait, const uint32_t *futex, const char *name, void *arg),
                   void *arg);

/*
 * Copies the waiters of the queues in bucket `i` to `seen`: at most `max`, after skipping the first
 * `skip`. May be called while the process runs, even by a signal handler. Returns how many were
 * copied, -EAGAIN if the bucket stayed locked, or -ENOENT if there is no bucket `i`.
 */
struct fl__lot_seen {
	struct fl__awaited awaited;
	uint64_t id;
	char name[32];
};
int fl__lot_peek(size_t i, size_t skip, struct fl__lot_seen *seen, int max);

/* Makes all buckets empty and free, in a child. */
void fl__lot_make_anew(void);

/*
 * Describes a word that contexts wait for. The word is ready when (*word & mask) == value. While a
 * waiter is queued, the bit `waiters` is set, and the word becomes ready only in a transaction that
 * calls fl__lot_take(..., FL__ALL, ...).
 */
struct fl__word {
	uint32_t mask, value; /* of a ready word */
	uint32_t waiters;
	/* The word is the first member of a future, and the sleep needs fl__ctx_block(). */
	bool of_future;
	uint8_t kind; /* of the object that begins with the word */
};

/*
 * Blocks until the word is ready. Returns 0, -ETIMEDOUT or -ECANCELED. If it returns 0, it has
 * acquired what the change of the word released, but the word may no longer be ready when the
 * caller looks.
 */
int fl__word_wait(uint32_t *word, const struct fl__word *ready, fl_time deadline, fl_cancel_token *cancel);

/*
 * Part of the arm() of objects of FL_WAIT_ANY(). If the word is ready, returns false. Otherwise
 * enqueues `node` and returns true.
 */
bool fl__word_arm(uint32_t *word, const struct fl__word *ready, struct fl__node *node);

/* The disarm() for objects whose arm() only enqueues the node. */
void fl__node_disarm(void *object, struct fl__node *node);

#endif
