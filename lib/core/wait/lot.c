/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The parking lot consists of buckets. Each bucket has a lock, and the wait queues of the addresses
 * that hash to it. A wait queue is the FIFO of the nodes that wait on one address. The design
 * follows WebKit's ParkingLot and Rust's parking_lot.
 *
 * The member `decision` of struct fl__wait says what ended the wait:
 *
 *   value          meaning                          set by                          cleared by
 *   PENDING (0)    not ended                        fl__wait_begin();               -
 *                                                   fl__stopper_arm() of
 *                                                   process/remote
 *   GAVE_UP (1)    timeout or cancel: no wake       the waiter, or                  -
 *                                                   fl__stopper_disarm(), CAS from
 *                                                   PENDING
 *   CANCELLED (2)  request of the context's own     fl__ctx_cancel(), on the        -
 *                  token: no wake, but an unpark    waiter's thread, CAS from
 *                                                   PENDING
 *   a node         woken through that node          the waking thread, CAS from     -
 *                                                   PENDING, with the bucket
 *                                                   locked, except in
 *                                                   fl__node_wake() and
 *                                                   fl__wait_queue_take()
 *
 * Invariants
 *   1. While a node is queued, it is linked, unlinked and read only under the lock of its key's
 *      bucket (in a queue outside of the parking lot, wait_queue.h, under the lock of the queue's
 *      object). When a node moves, its key changes under the locks of both buckets. Five accesses
 *      need no lock. fl__lot_open_of() reads the key as a guess, and then checks it under the lock.
 *      A dump of debugging reads the key of a condition's waiter, for display. The waking thread
 *      reads `then` and `wait` of a node that it has decided to wake, up to the unpark. After the
 *      unpark the waiter reads its own node. fl__lot_visit() reads all nodes while all threads are
 *      stopped or hang.
 *   2. The decision leaves PENDING once. That CAS is the linearization point of wake, timeout and
 *      cancel. So a waiter that gave up has consumed no wake: the wake went to the next waiter. A
 *      request that happened before a wake wins, because fl_cancel_token_request() has decided all
 *      waits in the token's queue. A wait under the context's own token is in no such queue, so the
 *      waking thread skips it if the token is cancelled.
 *   3. After a decision for a node, or CANCELLED, exactly one unpark follows; after GAVE_UP, none.
 *      The waiter returns only after it has seen the unpark. So node, wait and context stay valid
 *      until the waking thread's last access, the unpark itself. The unpark belongs to the wait:
 *      before its sleep the context may wait for something else, such as a mutex, without consuming
 *      the unpark.
 *   4. A waiter returns only when none of its nodes is linked. The waking thread has unlinked the
 *      node that it took, and the waiter removes its other nodes, under their locks. So a thread
 *      that holds a bucket's lock may follow every node in the bucket. If fl__lot_wake_first() woke
 *      a node in its queue, the node stays first, and further wakes leave it alone, until the
 *      waiter has removed the node, or begun another wait, under the lock. However, other waiters
 *      go before a fiber that is away (invariant 8).
 *   5. While the primitive's word says that waiters exist, the word becomes ready only inside a
 *      transaction on its queue, after the transaction has dequeued the waiters that it wakes. So
 *      no wake reaches a waiter that comes later. A primitive may be destroyed as soon as its word
 *      is ready, because fl__lot_close() touches only the bucket and the taken nodes. In some calls
 *      of four primitives, however, the word becomes ready first, and a transaction on the queue
 *      follows: an unlock of a mutex; the steps that free an rwlock (an unlock, a downgrade, a
 *      reader that backs out, the end of a bias); the calls of a queue (a put, a get, a close,
 *      fl_queue_task_done()); and the release of a semaphore in a signal handler. mutex.c,
 *      rwlock.c, queue.c with queue.h, and sem.c say why that is right.
 *   6. No wake is lost. The waiter checks the word under the bucket's lock, and enqueues itself
 *      before it unlocks. A waking thread that changes the word without the lock either sees no
 *      waiters bit, or opens the queue afterwards. If it sees no bit, its change came before the
 *      waiter's CAS that set the bit, so the waiter has seen the change. If it opens the queue, it
 *      finds the waiter there.
 *   7. A signal handler never waits for a bucket, because its own thread may hold the lock. If the
 *      bucket is free, the handler locks it, and does its work. Otherwise the handler marks the
 *      bucket, and the holder of the lock does the work, because the instruction that unlocks the
 *      bucket also reads the mark. If another thread locks the bucket before the work is done, that
 *      thread gets the mark and the work. However, fl__lot_peek(), which reads the queues for a
 *      report, marks nothing, and gives up after a bounded number of tries.
 *   8. No waiter that can run waits behind a fiber that is away ("Away", below). Two threads see to
 *      that. In any queue, a waking thread that sees `away` wakes another waiter before the fiber.
 *      In the queue of a mutex, a fiber that was woken stays queued as the first waiter. If its
 *      thread then goes away, perhaps no other thread comes that wakes the waiters behind it. So
 *      the thread that goes away wakes the next waiter, and moves that waiter before the fiber. The
 *      waking thread changes `awake` by an OR, and the thread that goes away by a swap. The order
 *      of the two decides which thread wakes the other waiter. If the OR comes first, the thread
 *      that goes away finds the bit, locks the bucket after the waking thread, and finds the fiber
 *      there. If the swap comes first, the waking thread sees `away` after its OR.
 *
 * Away. The thread of an embedded loop calls fl_loop_run_once() again and again. Between two calls
 * the loop is hosted, which means that its fibers cannot run. While such a thread sleeps in a call
 * of the library, the fibers of the loops that it hosts are away. The thread may sleep until
 * another thread ends its wait, and that thread may be behind one of the fibers in a wait queue. In
 * the same way, all fibers of a loop are away while a fiber of that loop sleeps with
 * FL__BLOCKS_THREAD(), because it blocks their thread. The members of fl__host say so:
 *
 *   field   meaning                             set by                    cleared by
 *   away    the thread sleeps in the library    fl__lot_set_away(true)    fl__lot_set_away(false)
 *   awake   bit i: a fiber may be awake in a    lot_note_awake(): OR,     fl__lot_set_away(true):
 *           queue of a bucket whose index is    with the bucket locked    swap; then the thread
 *           i modulo 64                                                   looks at these buckets
 *
 * A waiters bit may be stale, because the waiters for which it was set have given up. That is safe,
 * because the next waking thread opens the queue, and clears the bit. While there is a waiter, its
 * bit is missing only if the first waiter is awake, or is woken when the transaction ends (turn.h).
 *
 * The wait queues of a bucket are the nodes of a digital search tree. The hash of an address has 64
 * bits: the upper ones select the bucket, and the others are the path in the tree, one bit a level.
 * A search follows the path of its address down until it finds the address or an empty place. On
 * average, the depth grows with the logarithm of the number of queues in the bucket. It is at most
 * 64 - LOT_BUCKETS_LOG2 for any order of insertions, because different addresses have different
 * hashes. A queue may be anywhere on the path of its address, so if it becomes empty, any leaf
 * below it can take its place. The tree needs no memory of its own.
 *
 * Progress: operations block on the bucket's lock. It is held for a time proportional to the number
 * of waiters taken times the depth of the tree. The following operations hold it for longer.
 *   - While fibers are away, a transaction also passes the fibers at the front of the queue that
 *     are away.
 *   - A call at a rendezvous dequeues the waiters at the front whose waits have ended, and looks at
 *     the cases of a select.
 *   - The end of a barrier's phase looks at waiters that it does not take.
 *   - A transaction of a queue may wait for the lock of the queue's backend, or call membarrier().
 *   - A request of a cancel token collects all callbacks of the token.
 *   - The work for a signal handler visits each queue of the bucket.
 *   - fl__lot_peek() visits each waiter of the bucket. So does a thread that goes away, if one of
 *     its fibers was woken in the queue of a mutex since the last time; otherwise it visits no
 *     bucket.
 */
#include "lot.h"
#include "../base/atomic.h"
#include "../base/list.h"
#include "../base/sys.h"
#include "cancel.h"
#include "lock.h"
#include <string.h>

enum { LOT_BUCKETS_LOG2 = 10, LOT_BUCKETS = 1 << LOT_BUCKETS_LOG2 };

static struct fl__bucket lot_buckets[LOT_BUCKETS];

/* Fibonacci hashing: the product's upper bits depend on all bits of the key. */
static uint64_t lot_hash_of(const void *key)
{
	return (uint64_t)(uintptr_t)key * 0x9e3779b97f4a7c15u;
}

static struct fl__bucket *lot_bucket_of(const void *key)
{
	return &lot_buckets[lot_hash_of(key) >> (64 - LOT_BUCKETS_LOG2)];
}

void fl__lot_make_anew(void)
{
	memset(lot_buckets, 0, sizeof lot_buckets);
}

_Static_assert(FL__GATES == 1 << LOT_BUCKETS_LOG2, "each bucket has a gate");

uint64_t *fl__lot_gate(uint64_t i)
{
	return &lot_buckets[i].gate;
}

/* Returns the place in the tree that points to the first node with `key`, or where it belongs. */
static struct fl__node **lot_find_queue(struct fl__bucket *bucket, const void *key)
{
	struct fl__node **first = &bucket->queues;
	for (uint64_t path = lot_hash_of(key) << LOT_BUCKETS_LOG2; *first && (*first)->key != key; path <<= 1)
		first = &(*first)->below[path >> 63];
	return first;
}

/* Makes `node` a first node, in the place of `*first`, or as a leaf if that is NULL. */
static void lot_set_first(struct fl__node **first, struct fl__node *node)
{
	node->first = true;
	memset(node->below, 0, sizeof node->below);
	if (*first) {
		memcpy(node->below, (*first)->below, sizeof node->below);
		(*first)->first = false;
	}
	*first = node;
}

/*
 * Returns a queue without queues below it, from the tree with the root `first`, or NULL if the tree
 * is empty.
 */
static struct fl__node *lot_leaf_below(struct fl__node *first)
{
	while (first && (first->below[0] || first->below[1]))
		first = first->below[!first->below[0]];
	return first;
}

/*
 * Returns the next queue of the bucket, or NULL. The walk begins with lot_leaf_below() of the root,
 * and visits each queue after the queues below it. So if a queue becomes empty, and a leaf takes
 * its place, the queues that the walk visits later stay where they are.
 */
static struct fl__node *lot_queue_after(const struct fl__bucket *bucket, const struct fl__node *first)
{
	struct fl__node *above = NULL, *at = bucket->queues;
	for (uint64_t path = lot_hash_of(first->key) << LOT_BUCKETS_LOG2; at != first; path <<= 1) {
		above = at;
		at = at->below[path >> 63];
	}
	return above && at == above->below[0] && above->below[1] ? lot_leaf_below(above->below[1]) : above;
}

/* NOLINTBEGIN(bugprone-macro-parentheses): a declared name takes no parentheses */
#define LOT_EACH_QUEUE(first, bucket)                                                                                  \
	for (struct fl__node *first = lot_leaf_below((bucket)->queues); first; first = lot_queue_after(bucket, first))
/* NOLINTEND(bugprone-macro-parentheses) */

void fl__lot_open(struct fl__lot *lot, const void *key)
{
	lot->taken = NULL;
	fl__lot_open_next(lot, key);
}

void fl__lot_open_next(struct fl__lot *lot, const void *key)
{
	lot->bucket = lot_bucket_of(key);
	lot->key = key;
	lot->all_away = NULL;
	fl__lock(&lot->bucket->lock);
}

void fl__lot_add(struct fl__lot *lot, struct fl__node *node)
{
	fl__lot_insert(lot, node, NULL);
}

void fl__lot_add_together(struct fl__lot *lot, struct fl__node *node)
{
	if (node->wait->ctx->ops == &fl__thread_parker)
		node->wait->common = &lot->bucket->wakes;
	/* spinning would keep this CPU from the others */
	node->wait->no_spin |= fl__yields_are_barred(fl__sys.now());
	fl__lot_add(lot, node);
}

void fl__lot_insert(struct fl__lot *lot, struct fl__node *node, struct fl__node *place)
{
	struct fl__node **first = lot_find_queue(lot->bucket, lot->key);
	/*
	 * relaxed: fl__lot_open_of() reads the key without the lock, and checks it under the lock
	 */
	fl__store_relaxed(&node->key, lot->key);
	node->queued = true;
	node->first = false;
	fl__node_link(node, place ? place : *first);
	if (place == *first)
		lot_set_first(first, node);
}

void fl__lot_remove(struct fl__lot *lot, struct fl__node *node)
{
	if (!node->queued)
		return;
	node->queued = false;
	if (node->first) {
		struct fl__node *heir = node->next;
		if (heir == node) {
			heir = lot_leaf_below(node);
			*lot_find_queue(lot->bucket, heir->key) = NULL;
		}
		if (heir != node)
			lot_set_first(lot_find_queue(lot->bucket, node->key), heir);
	}
	fl__node_unlink(node);
}

/*
 * Returns whether a request of the context's own token will end this wait, so that a wake skips it.
 */
static bool lot_is_cancelled(const struct fl__wait *wait)
{
	const struct fl__ctx *ctx = wait->ctx;
	/*
	 * relaxed, both: `waiting` is only compared with this wait, which wait_sleep_under_own()
	 * stores there. The load of the word sees each request that happened before this wake
	 * (invariant 2). Another request may be missed, and then counts as later than the wake.
	 */
	return fl__load_relaxed(&ctx->waiting) == wait && (fl__load_relaxed(&ctx->own->word_) & FL__CANCEL_REQUESTED);
}

/*
 * Decides that the wait of `node` ends with a wake. The caller then calls its unpark. Returns false
 * if the wait has already ended, or its own token will end it (invariant 2).
 *
 * relaxed: the unpark publishes the decision and `value`, and the park of the waiter acquires both
 * (invariant 3).
 */
static bool lot_decide(struct fl__node *node)
{
	uintptr_t pending = FL__PENDING;
	return !lot_is_cancelled(node->wait) && fl__cas_relaxed(&node->wait->decision, &pending, (uintptr_t)node);
}

bool fl__node_wake(struct fl__node *node)
{
	if (!lot_decide(node))
		return false;
	node->wait->ctx->ops->unpark(node->wait);
	return true;
}

bool fl__lot_take_node(struct fl__lot *lot, struct fl__node *node, uint32_t value)
{
	fl__lot_remove(lot, node);
	node->value = value;
	if (!lot_decide(node))
		return false;
	FL__APPEND(lot->taken, lot->taken_last, node, then);
	return true;
}

bool fl__lot_take_first(struct fl__lot *lot, uint32_t value)
{
	struct fl__node *node = fl__lot_first(lot);
	return fl__lot_take_node(lot, node, value) && !node->observer;
}

size_t fl__lot_take(struct fl__lot *lot, size_t max, uint32_t value)
{
	size_t taken = 0;
	while (taken < max && fl__lot_next(lot))
		taken += fl__lot_take_first(lot, value);
	return taken;
}

/* Returns whether fl__lot_wake_first() has woken `node`. */
static bool lot_is_woken(const struct fl__node *node)
{
	/*
	 * relaxed: only holders of this bucket's lock wake a queued node, and it orders their
	 * writes
	 */
	return fl__load_relaxed(&node->wait->decision) == (uintptr_t)node;
}

bool fl__lot_is_away(const struct fl__node *node)
{
	const struct fl__host *host = node->wait->ctx->host;
	/*
	 * relaxed: lot_note_awake() orders it where a missed `away` would lose a wake (invariant 8)
	 */
	return host && fl__load_relaxed(&host->away);
}

/* Called before a waiter is woken in its queue, and for a waiter that is already awake there. */
static void lot_note_awake(const struct fl__lot *lot, const struct fl__node *node)
{
	struct fl__host *host = node->wait->ctx->host;
	if (host)
		/* acquire: pairs with the release in fl__lot_set_away() */
		fl__or_acquire(&host->awake, (uint64_t)1 << (lot->bucket - lot_buckets) % 64);
}

bool fl__lot_try_wake_first(struct fl__lot *lot)
{
	struct fl__node *node;
	do /* the first waiter may have gone away before lot_note_awake() */
		lot_note_awake(lot, node = fl__lot_next(lot));
	while (fl__lot_next(lot) != node);
	if (lot_is_woken(node))
		return true;
	const bool woken = lot_decide(node);
	if (woken)
		FL__APPEND(lot->taken, lot->taken_last, node, then);
	if (woken && !node->wait->common)
		return true;
	fl__lot_remove(lot, node);
	return false;
}

struct fl__node *fl__lot_wake_first(struct fl__lot *lot)
{
	while (fl__lot_has_waiters(lot) && !fl__lot_try_wake_first(lot))
		;
	return fl__lot_first(lot);
}

bool fl__lot_open_also(struct fl__lot *from, struct fl__lot *to, const void *to_key)
{
	*to = (struct fl__lot){.bucket = lot_bucket_of(to_key), .key = to_key};
	if (to->bucket == from->bucket)
		return true;
	/*
	 * Buckets are locked in the order of their addresses, so that two threads cannot deadlock.
	 */
	const bool in_order = from->bucket < to->bucket;
	if (!in_order)
		fl__lot_unlock(from);
	fl__lock(&to->bucket->lock);
	if (!in_order)
		fl__lock(&from->bucket->lock);
	return in_order;
}

bool fl__lot_move(struct fl__lot *from, struct fl__lot *to)
{
	struct fl__node *node = fl__lot_first(from);
	fl__lot_remove(from, node);
	/* relaxed: a waiter that gives up after this load is skipped by the next wake in `to` */
	const bool waits = fl__load_relaxed(&node->wait->decision) == FL__PENDING && !lot_is_cancelled(node->wait);
	if (waits)
		fl__lot_insert(to, node, fl__lot_is_away(node) ? NULL : fl__lot_pass_away(to));
	return waits;
}

void fl__lot_unlock_also(struct fl__lot *from, struct fl__lot *to)
{
	if (to->bucket != from->bucket)
		fl__lot_unlock(to);
	if (to->taken) {
		*(from->taken ? &from->taken_last->then : &from->taken) = to->taken;
		from->taken_last = to->taken_last;
	}
}

const void *fl__lot_open_of(struct fl__lot *lot, const struct fl__node *node)
{
	for (;;) {
		/*
		 * relaxed: the key is a guess, which the next load checks under the lock (invariant
		 * 1)
		 */
		const void *key = fl__load_relaxed(&node->key);
		fl__lot_open(lot, key);
		if (fl__load_relaxed(&node->key) == key)
			return key;
		fl__lot_close(lot);
	}
}

struct fl__node *fl__lot_first(const struct fl__lot *lot)
{
	return *lot_find_queue(lot->bucket, lot->key);
}

struct fl__node *fl__lot_node_after(const struct fl__node *node)
{
	return node->next->first ? NULL : node->next;
}

struct fl__node *fl__lot_pass_away(struct fl__lot *lot)
{
	struct fl__node *first = fl__lot_first(lot), *node = first;
	while (node && fl__lot_is_away(node))
		node = lot->all_away == lot->key ? NULL : fl__lot_node_after(node);
	if (!node) {
		lot->all_away = lot->key;
		return first;
	}
	if (node != first) {
		fl__lot_remove(lot, node);
		fl__lot_insert(lot, node, first);
	}
	return NULL;
}

struct fl__node *fl__lot_next(struct fl__lot *lot)
{
	(void)fl__lot_pass_away(lot);
	return fl__lot_first(lot);
}

/* Wakes the next waiter of each queue of the bucket in which a fiber of `host` was woken. */
static void lot_pass_awake(struct fl__bucket *bucket, const struct fl__host *host)
{
	struct fl__lot lot = {.bucket = bucket};
	fl__lock(&bucket->lock);
	LOT_EACH_QUEUE (first, bucket) {
		const struct fl__node *node = first;
		while (node && !(node->wait->ctx->host == host && lot_is_woken(node)))
			node = fl__lot_node_after(node);
		if (node) {
			lot.key = node->key;
			lot_note_awake(&lot, node); /* so that the thread's next sleep looks here again */
			first = fl__lot_wake_first(&lot);
		}
	}
	fl__lot_close(&lot);
}

void fl__lot_set_away(struct fl__host *hosted, bool away)
{
	FL__EACH (struct fl__host, host, hosted) {
		/*
		 * relaxed: if `away` is true, the swap below releases it (invariant 8). If it is
		 * false, a thread that still reads true only wakes another waiter before the fiber.
		 */
		fl__store_relaxed(&host->away, away);
		/* release: pairs with the acquire in lot_note_awake() */
		const uint64_t awake = away ? fl__swap_release(&host->awake, 0) : 0;
		for (int i = 0; awake && i < LOT_BUCKETS; i++)
			if (awake >> i % 64 & 1)
				lot_pass_awake(&lot_buckets[i], host);
	}
}

bool fl__lot_has_waiters(const struct fl__lot *lot)
{
	return fl__lot_first(lot) != NULL;
}

static void lot_serve_all(struct fl__lot *lot)
{
	const void *key = lot->key;
	for (struct fl__node *first = lot_leaf_below(lot->bucket->queues), *next; first; first = next) {
		/* serve() may dequeue `first`, but does not change the other queues. */
		next = lot_queue_after(lot->bucket, first);
		if (first->serve) {
			lot->key = first->key;
			first->serve(lot);
		}
	}
	lot->key = key;
}

void fl__lot_unlock(struct fl__lot *lot)
{
	while (fl__unlock(&lot->bucket->lock) && fl__lock_or_defer(&lot->bucket->lock))
		lot_serve_all(lot);
}

void fl__lot_close(struct fl__lot *lot)
{
	fl__lot_unlock(lot);
	fl__lot_unpark(lot);
}

static void lot_unpark_all(const struct fl__lot *lot, bool in_handler)
{
	bool asleep = false; /* a thread that was unparked may sleep on `common` */
	if (!in_handler)
		fl__hook_wake(lot->taken);
	for (struct fl__node *next, *node = lot->taken; node; node = next) {
		next = node->then;
		const struct fl__ctx_ops *ops = node->wait->ctx->ops;
		uint32_t *const common = node->wait->common;
		/* The unpark is the last access to node and wait (invariant 3). */
		if (!common)
			(in_handler ? ops->unpark_in_handler : ops->unpark)(node->wait);
		else
			asleep |= fl__thread_unpark(node->wait);
		if (asleep && (!next || next->wait->common != common)) {
			fl__thread_wake_together(common);
			asleep = false;
		}
	}
}

void fl__lot_unpark(struct fl__lot *lot)
{
	lot_unpark_all(lot, false);
}

void fl__lot_serve_in_handler(const void *key)
{
	struct fl__lot lot = {.bucket = lot_bucket_of(key), .key = key};
	if (!fl__lock_or_defer(&lot.bucket->lock))
		return;
	lot_serve_all(&lot);
	fl__lot_unlock(&lot);
	lot_unpark_all(&lot, true);
}

void fl__lot_leave(struct fl__node *node)
{
	struct fl__lot lot;
	(void)fl__lot_open_of(&lot, node);
	fl__lot_remove(&lot, node);
	fl__lot_close(&lot);
}

bool fl__lot_has_waiters_at(const void *key)
{
	FL__LOT(lot, key);
	return fl__lot_has_waiters(&lot);
}

/* Sets the waiters bit, in a transaction. If the word is ready, returns false instead. */
static bool lot_set_waiters_bit(uint32_t *word, const struct fl__word *ready)
{
	/* relaxed: if the word is ready, fl__word_arm() loads it again with acquire */
	uint32_t seen = fl__load_relaxed(word);
	do {
		if ((seen & ready->mask) == ready->value)
			return false;
		if (seen & ready->waiters)
			return true;
		/* relaxed: the bit publishes nothing but itself */
	} while (!fl__cas_weak_relaxed(word, &seen, seen | ready->waiters));
	return true;
}

bool fl__word_arm(uint32_t *word, const struct fl__word *ready, struct fl__node *node)
{
	struct fl__lot lot;
	fl__lot_open(&lot, word);
	bool waits = lot_set_waiters_bit(word, ready);
	if (waits)
		fl__lot_add(&lot, node);
	fl__lot_close(&lot);
	if (!waits)
		(void)fl__load_acquire(word); /* acquire: pairs with the release that made the word ready */
	return waits;
}

void fl__node_disarm(void *object, struct fl__node *node)
{
	(void)object;
	fl__lot_leave(node);
}

void fl__lot_visit(void (*visit)(const void *key, const void *wait, const uint32_t *futex, const char *name, void *arg),
                   void *arg)
{
	for (size_t i = 0; i < LOT_BUCKETS; i++) {
		LOT_EACH_QUEUE (first, &lot_buckets[i]) {
			const struct fl__node *node = first;
			do {
				visit(node->key, node->wait, fl__wait_futex(node->wait), node->wait->ctx->name, arg);
				node = node->next;
			} while (node != first);
		}
	}
}

/*
 * Returns what the waiter of `node` waits for. If it is an observer, only the address of its object
 * is known, because it may be one of several nodes of its wait. A waiter of a condition that was
 * moved to the mutex's queue waits for the mutex.
 */
static struct fl__awaited lot_awaited_of(const struct fl__node *node)
{
	const struct fl__awaited awaited = fl__wait_awaited(node->wait);
	if (node->observer || awaited.kind == FL__DEBUG_NOTHING)
		return (struct fl__awaited){node->key, FL__DEBUG_NOTHING};
	if (awaited.kind == FL__DEBUG_COND && node->key != awaited.object)
		return (struct fl__awaited){node->key, FL__DEBUG_MUTEX};
	return awaited;
}

static int lot_peek_bucket(const struct fl__bucket *bucket, size_t skip, struct fl__lot_seen *seen, int max)
{
	int n = 0;
	LOT_EACH_QUEUE (first, bucket) {
		const struct fl__node *node = first;
		do {
			if (skip > 0) {
				skip--;
			} else if (n < max) {
				seen[n] = (struct fl__lot_seen){lot_awaited_of(node), node->wait->ctx->id, ""};
				(void)strncpy(seen[n].name, node->wait->ctx->name, sizeof seen[n].name - 1);
				n++;
			}
			node = node->next;
		} while (node != first && n < max);
	}
	return n;
}

int fl__lot_peek(size_t i, size_t skip, struct fl__lot_seen *seen, int max)
{
	enum { ATTEMPTS = 1000 };
	if (i >= LOT_BUCKETS)
		return -ENOENT;
	for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
		if (fl__try_lock(&lot_buckets[i].lock)) {
			struct fl__lot lot = {.bucket = &lot_buckets[i]};
			const int n = lot_peek_bucket(lot.bucket, skip, seen, max);
			fl__lot_unlock(&lot);
			lot_unpark_all(&lot, true);
			return n;
		}
		fl__sys.relax();
	}
	return -EAGAIN;
}
