/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The lot: a table of buckets, each with a lock and the lines of the addresses that hash to it. A line is the FIFO of the
 * nodes that wait on one address. After WebKit's ParkingLot and Rust's parking_lot; what differs is that a slow path is
 * an explicit transaction (open, add, take, close) rather than a callback, and that several nodes may stand for one wait.
 *
 * fl__wait.decision: who ended this wait?
 *
 *   value         meaning                         set by                                       cleared by
 *   PENDING (0)   nobody yet                      fl__wait_begin()                             -
 *   GAVE_UP (1)   timeout or cancel: no wake      the waiter, CAS from PENDING                 -
 *   CANCELLED (2) the context's own token: no     fl__ctx_cancel(), on the waiter's thread,    -
 *                 wake of a line, but an unpark   CAS from PENDING
 *   a node        woken through that node         a waker, CAS from PENDING, bucket locked     -
 *
 * Invariants
 *   1. A node is linked, unlinked and looked at only under the lock of its key's bucket. A node that moves to another line
 *      changes its key under the locks of both.
 *   2. The decision leaves PENDING once. That CAS is the linearization point of wake, timeout and cancel. Hence a waiter
 *      that gave up has consumed no wake: fl__lot_take() saw its CAS fail and went on to the next in line. A request that happened
 *      before a wake decides first: fl_cancel_request() returns when all waits in the token's line are decided; of a wait under
 *      its context's own token the waker looks whether that is requested, and goes past it.
 *   3. Exactly one unpark follows a decision for a node, or CANCELLED, none follows GAVE_UP, and a wait that was so decided does
 *      not return before it has seen that unpark. So the memory of node, wait and context stays valid until the waker's last
 *      access, which is the unpark itself. The unpark is the wait's, not the context's: a context may wait for something
 *      else (a mutex, say) between the begin of a wait and its sleep, and neither takes the other's.
 *   4. A waiter returns only when none of its nodes is linked: the one that was taken is not, the others, and one that was
 *      roused, it removes itself, under their locks. So a waker that holds a bucket's lock may follow every node that it
 *      finds there. One that was roused is the first of its line, and nobody decides its wait again: until it has removed
 *      itself, or has begun another wait, under the lock.
 *   5. While somebody waits (the primitive's word says so), the word becomes ready only inside a transaction of its line,
 *      after the takes. So "ready" and "taken" are one step: whoever comes later and waits anew is not taken by an earlier
 *      wake, and a primitive may be destroyed as soon as its word is ready: close() touches the bucket and the taken
 *      nodes, which are not part of it.
 *   6. No lost wake: the waiter looks at the word after it has locked the bucket and adds itself before it unlocks. A waker
 *      that changed the word without the lock saw no waiters bit, so its change came before the waiter set the bit with a
 *      CAS on the same word, and the waiter has seen it.
 *   7. A signal handler never waits for a bucket, which its own thread may have locked. What it has to do there is done by
 *      whoever holds the bucket: fl__lot_shut() looks for the mark in the instruction that unlocks it. A mark that is set
 *      while somebody holds it is seen by that one's unlock; who sees it and does not get the bucket again leaves it to
 *      whoever did.
 *
 * Mistakes that are safe: a waiters bit without waiters (they gave up) costs the next waker one visit here, and it clears
 * the bit. A waiters bit is never missing.
 *
 * Progress: blocking, on the bucket's lock, for as many instructions as there are waiters taken. Lines of other addresses
 * in the same bucket cost one comparison each.
 */
#include "lot.h"
#include "../base/atomic.h"
#include "../base/sys.h"
#include "cancel.h"
#include "lock.h"
#include <errno.h>
#include <string.h>

enum { BUCKETS_LOG2 = 10, BUCKETS = 1 << BUCKETS_LOG2 };

struct fl__bucket {
	_Alignas(64) uint32_t lock;
	struct fl__node *lines; /* first nodes, linked by above and below */
};

static struct fl__bucket buckets[BUCKETS];

static struct fl__bucket *bucket_of(const void *key)
{
	/* Fibonacci hashing: the upper bits of the product depend on all bits of the address. */
	return &buckets[((uint64_t)(uintptr_t)key * 0x9e3779b97f4a7c15u) >> (64 - BUCKETS_LOG2)];
}

void fl__lot_forget(void)
{
	memset(buckets, 0, sizeof buckets);
}

static struct fl__node *line_of(const struct fl__bucket *bucket, const void *key)
{
	struct fl__node *first = bucket->lines;
	while (first && first->key != key)
		first = first->below;
	return first;
}

static void line_insert(struct fl__bucket *bucket, struct fl__node *node)
{
	node->above = NULL;
	node->below = bucket->lines;
	if (node->below)
		node->below->above = node;
	bucket->lines = node;
	node->first = true;
}

static void line_unlink(struct fl__bucket *bucket, struct fl__node *node)
{
	if (node->above)
		node->above->below = node->below;
	else
		bucket->lines = node->below;
	if (node->below)
		node->below->above = node->above;
	node->first = false;
}

/* Makes `next` the first of its line in place of `node`. */
static void line_replace(struct fl__bucket *bucket, struct fl__node *node, struct fl__node *next)
{
	next->above = node->above;
	next->below = node->below;
	if (next->above)
		next->above->below = next;
	else
		bucket->lines = next;
	if (next->below)
		next->below->above = next;
	next->first = true;
	node->first = false;
}

void fl__lot_open(struct fl__lot *lot, const void *key)
{
	lot->taken = NULL;
	lot->taken_last = NULL;
	fl__lot_next(lot, key);
}

void fl__lot_next(struct fl__lot *lot, const void *key)
{
	lot->bucket = bucket_of(key);
	lot->key = key;
	fl__lock(&lot->bucket->lock);
}

void fl__lot_add(struct fl__lot *lot, struct fl__node *node)
{
	struct fl__node *first = line_of(lot->bucket, lot->key);
	fl__store_relaxed(&node->key, lot->key); /* relaxed: read without the lock by fl__lot_open_of() alone */
	node->queued = true;
	node->first = false;
	if (!first) {
		node->next = node;
		node->prev = node;
		line_insert(lot->bucket, node);
		return;
	}
	node->next = first;
	node->prev = first->prev;
	first->prev->next = node;
	first->prev = node;
}

/* Before the first, too, since the ring's end is there. */
void fl__lot_insert(struct fl__lot *lot, struct fl__node *node, struct fl__node *place)
{
	fl__lot_add(lot, node);
	if (!place || node->next == node)
		return;
	node->prev->next = node->next;
	node->next->prev = node->prev;
	node->next = place;
	node->prev = place->prev;
	place->prev->next = node;
	place->prev = node;
	if (place->first)
		line_replace(lot->bucket, place, node);
}

void fl__lot_remove(struct fl__lot *lot, struct fl__node *node)
{
	if (!node->queued)
		return;
	node->queued = false;
	if (node->next == node) {
		line_unlink(lot->bucket, node);
		return;
	}
	if (node->first)
		line_replace(lot->bucket, node, node->next);
	node->next->prev = node->prev;
	node->prev->next = node->next;
}

/*
 * Whether a request of its context's own token is going to end this wait: the request is delivered by the context's thread, which
 * may come to it late. A wake that comes after the request must not be spent on such a wait.
 */
static bool is_cancelled(const struct fl__wait *wait)
{
	const struct fl__ctx *ctx = wait->ctx;
	/* relaxed: see sleep_under_own(). A request that happened before this wake is seen, for the word was changed before */
	return fl__load_relaxed(&ctx->waiting) == wait && (fl__load_relaxed(&ctx->own->word_) & FL__CANCEL_REQUESTED);
}

/* Invariant 2. Relaxed: what the waker wrote, `value` too, the waiter acquires with the unpark (invariant 3). */
static bool decide(struct fl__node *node)
{
	uintptr_t pending = FL__PENDING;
	return !is_cancelled(node->wait) && fl__cas_relaxed(&node->wait->decision, &pending, (uintptr_t)node);
}

bool fl__node_wake(struct fl__node *node)
{
	if (!decide(node))
		return false;
	node->wait->ctx->ops->unpark(node->wait);
	return true;
}

static void unpark_later(struct fl__lot *lot, struct fl__node *node)
{
	node->then = NULL;
	if (lot->taken_last)
		lot->taken_last->then = node;
	else
		lot->taken = node;
	lot->taken_last = node;
}

bool fl__lot_take_this(struct fl__lot *lot, struct fl__node *node, uint32_t value)
{
	fl__lot_remove(lot, node);
	node->value = value;
	if (!decide(node))
		return false;
	unpark_later(lot, node);
	return true;
}

bool fl__lot_take_first(struct fl__lot *lot, uint32_t value)
{
	struct fl__node *node = fl__lot_first(lot);
	return fl__lot_take_this(lot, node, value) && !node->observer;
}

size_t fl__lot_take(struct fl__lot *lot, size_t max, uint32_t value)
{
	size_t taken = 0;
	while (taken < max && fl__lot_more(lot))
		taken += fl__lot_take_first(lot, value);
	return taken;
}

static bool is_roused(const struct fl__node *node)
{
	/* relaxed: set under the lot, which is open, or by a wake that was seen */
	return fl__load_relaxed(&node->wait->decision) == (uintptr_t)node;
}

bool fl__lot_rouse_first(struct fl__lot *lot)
{
	struct fl__node *node = fl__lot_first(lot);
	if (is_roused(node))
		return true;
	if (!decide(node)) {
		fl__lot_remove(lot, node);
		return false;
	}
	unpark_later(lot, node);
	return true;
}

struct fl__node *fl__lot_rouse(struct fl__lot *lot)
{
	while (fl__lot_more(lot) && !fl__lot_rouse_first(lot))
		;
	return fl__lot_first(lot);
}

bool fl__lot_open_also(struct fl__lot *from, struct fl__lot *to, const void *to_key)
{
	*to = (struct fl__lot){.bucket = bucket_of(to_key), .key = to_key};
	if (to->bucket == from->bucket)
		return true;
	/* In the order of their addresses; nothing else locks two. */
	const bool in_order = from->bucket < to->bucket;
	if (!in_order)
		fl__lot_shut(from);
	fl__lock(&to->bucket->lock);
	if (!in_order)
		fl__lock(&from->bucket->lock);
	return in_order;
}

bool fl__lot_move(struct fl__lot *from, struct fl__lot *to)
{
	struct fl__node *node;
	while ((node = line_of(from->bucket, from->key)) != NULL) {
		fl__lot_remove(from, node);
		/* relaxed: whether it has given up is decided when it is woken; here it only saves a place in line */
		if (fl__load_relaxed(&node->wait->decision) == FL__PENDING && !is_cancelled(node->wait)) {
			fl__lot_add(to, node);
			return true;
		}
	}
	return false;
}

void fl__lot_shut_also(struct fl__lot *from, struct fl__lot *to)
{
	if (to->bucket != from->bucket)
		fl__lot_shut(to);
	if (to->taken) {
		if (from->taken)
			from->taken_last->then = to->taken;
		else
			from->taken = to->taken;
		from->taken_last = to->taken_last;
	}
}

const void *fl__lot_open_of(struct fl__lot *lot, const struct fl__node *node)
{
	for (;;) {
		/* relaxed: a guess, unless the bucket is locked; it is changed under both buckets' locks */
		const void *key = fl__load_relaxed(&node->key);
		fl__lot_open(lot, key);
		if (fl__load_relaxed(&node->key) == key)
			return key;
		fl__lot_close(lot);
	}
}

struct fl__node *fl__lot_first(const struct fl__lot *lot)
{
	return line_of(lot->bucket, lot->key);
}

struct fl__node *fl__lot_behind(const struct fl__node *node)
{
	return node->next->first ? NULL : node->next;
}

bool fl__lot_more(const struct fl__lot *lot)
{
	return fl__lot_first(lot) != NULL;
}

/* Each line of the bucket that has a `serve`. */
static void serve_all(struct fl__lot *lot)
{
	const void *key = lot->key;
	for (struct fl__node *first = lot->bucket->lines, *next; first; first = next) {
		next = first->below; /* of another line, which this one's service leaves alone */
		if (first->serve) {
			lot->key = first->key;
			first->serve(lot);
		}
	}
	lot->key = key;
}

void fl__lot_shut(struct fl__lot *lot)
{
	while (fl__unlock(&lot->bucket->lock) && fl__lock_or_defer(&lot->bucket->lock))
		serve_all(lot);
}

void fl__lot_close(struct fl__lot *lot)
{
	fl__lot_shut(lot);
	fl__lot_unpark(lot);
}

void fl__lot_unpark(struct fl__lot *lot)
{
	for (struct fl__node *node = lot->taken; node;) {
		struct fl__node *next = node->then;
		node->wait->ctx->ops->unpark(
		    node->wait); /* from here on, node, wait and context may be gone (invariant 3) */
		node = next;
	}
}

static void unpark_in_handler(const struct fl__lot *lot)
{
	for (struct fl__node *node = lot->taken; node;) {
		struct fl__node *next = node->then;
		node->wait->ctx->ops->unpark_in_handler(node->wait); /* as above */
		node = next;
	}
}

void fl__lot_serve_in_handler(const void *key)
{
	struct fl__lot lot = {.bucket = bucket_of(key), .key = key};
	if (!fl__lock_or_defer(&lot.bucket->lock))
		return;
	serve_all(&lot);
	fl__lot_shut(&lot);
	unpark_in_handler(&lot);
}

void fl__lot_leave(struct fl__node *node)
{
	struct fl__lot lot;
	(void)fl__lot_open_of(&lot, node);
	fl__lot_remove(&lot, node);
	fl__lot_close(&lot);
}

bool fl__lot_waited(const void *key)
{
	struct fl__lot lot;
	fl__lot_open(&lot, key);
	bool more = fl__lot_more(&lot);
	fl__lot_close(&lot);
	return more;
}

/* Under the open lot: says in the word that somebody waits, unless it is ready. */
static bool announce(uint32_t *word, const struct fl__word *ready)
{
	uint32_t seen = fl__load_relaxed(word); /* relaxed: who finds it ready acquires, in fl__word_arm() */
	do {
		if ((seen & ready->mask) == ready->value)
			return false;
		if (seen & ready->waiters)
			return true;
		/* relaxed: a mark for wakers, no message */
	} while (!fl__cas_weak_relaxed(word, &seen, seen | ready->waiters));
	return true;
}

bool fl__word_arm(uint32_t *word, const struct fl__word *ready, struct fl__node *node)
{
	struct fl__lot lot;
	fl__lot_open(&lot, word);
	bool waits = announce(word, ready);
	if (waits)
		fl__lot_add(&lot, node);
	fl__lot_close(&lot);
	if (!waits)
		(void)fl__load_acquire(word); /* pairs with whoever made it ready */
	return waits;
}

void fl__node_disarm(void *object, struct fl__node *node)
{
	(void)object;
	fl__lot_leave(node);
}

void fl__lot_visit(void (*visit)(const void *key, const uint32_t *park_word, const char *name, void *arg), void *arg)
{
	for (size_t i = 0; i < BUCKETS; i++) {
		for (const struct fl__node *first = buckets[i].lines; first; first = first->below) {
			const struct fl__node *node = first;
			do {
				visit(node->key, &node->wait->park_word, node->wait->ctx->name, arg);
				node = node->next;
			} while (node != first);
		}
	}
}

static int peek(const struct fl__bucket *bucket, size_t skip, struct fl__lot_seen *seen, int max)
{
	int n = 0;
	for (const struct fl__node *first = bucket->lines; first; first = first->below) {
		const struct fl__node *node = first;
		do {
			if (skip > 0) {
				skip--;
			} else if (n < max) {
				seen[n] = (struct fl__lot_seen){node->key, node->wait->ctx->id, ""};
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
	enum { LOOKS = 1000 };
	if (i >= BUCKETS)
		return -ENOENT;
	for (int look = 0; look < LOOKS; look++) {
		if (fl__try_lock(&buckets[i].lock)) {
			struct fl__lot lot = {.bucket = &buckets[i]};
			const int n = peek(lot.bucket, skip, seen, max);
			fl__lot_shut(&lot);
			unpark_in_handler(&lot);
			return n;
		}
		fl__sys.relax();
	}
	return -EBUSY;
}
