/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The blocking queue on top of a backend (queue.h): creating and freeing, waits, puts and gets, and
 * joins.
 *
 * A put of one item is one operation of the backend, and linearizes where that operation does. If
 * the backend is full, the producer spins, enqueues itself, sleeps, and tries again when it is
 * woken. A get does the same if the backend is empty. If the backend returns -EBUSY, the caller
 * waits for a call in progress as it would wait for a lock.
 *
 * Costs. While no context sleeps, a put costs only what the backend costs, because a sleeper marks
 * a word that the other side must change anyway. A join counts by positions, so it costs a put
 * nothing either. A caller that must not wait for a call in progress uses the ring itself
 * (fairlead/mpmc.h).
 */
#include "queue.h"
#include "../base/atomic.h"
#include "../base/panic.h"
#include "../base/sys.h"
#include "../hooks.h"

enum { QUEUE_CAPACITY_DEFAULT = 1024 };

/* Returns the backend for the config, or NULL if the config is invalid. */
static const struct fl__queue_backend *queue_choose_backend(const fl_queue_config *c)
{
	const bool overwrites = c->when_full == FL_OVERWRITE, rendezvous = c->capacity == FL_RENDEZVOUS;
	const bool unbounded = c->capacity == FL_UNBOUNDED;
	if ((c->order == FL_PRIORITY) != (c->compare != NULL) || (c->when_full != FL_WAIT_FOR_SPACE && !overwrites))
		return NULL;
	if (rendezvous)
		return c->order == FL_FIFO && !overwrites ? &fl__backend_rendezvous : NULL;
	if (overwrites)
		return !unbounded && (c->order == FL_FIFO || c->order == FL_LIFO) ? &fl__backend_overwrite : NULL;
	switch (c->order) {
	case FL_FIFO:
		if (unbounded)
			return &fl__backend_unbounded;
		return c->one_producer && c->one_consumer ? &fl__backend_spsc : &fl__backend_mpmc;
	case FL_LIFO:
	case FL_PRIORITY:
		return &fl__backend_priority;
	default:
		return NULL;
	}
}

FL__COLD int fl_queue_create(fl_queue **made, size_t item_size, const fl_queue_config *config)
{
	fl_queue_config c = *FL__OR_DEFAULTS(config);
	if (c.capacity == 0)
		c.capacity = QUEUE_CAPACITY_DEFAULT;
	const struct fl__queue_backend *backend = queue_choose_backend(&c);
	if (item_size == 0 || !backend)
		return -EINVAL;
	fl_queue *q = fl__alloc(1, sizeof *q + backend->size);
	if (!q)
		return -ENOMEM;
	const int rc = backend->init(q->state, item_size, &c);
	if (rc != 0) {
		fl__free(q);
		return rc;
	}
	q->mpmc = backend == &fl__backend_mpmc ? fl__queue_as_mpmc(q) : NULL;
	q->spsc = backend == &fl__backend_spsc ? fl__queue_as_spsc(q) : NULL;
	q->put_one = backend->put_one;
	q->get_one = backend->get_one;
	q->backend = backend;
	q->item_size = item_size;
	q->capacity = c.capacity == FL_RENDEZVOUS ? 0 : c.capacity;
	q->drop = c.drop;
	q->drop_arg = c.drop_arg;
	*made = q;
	return 0;
}

/*
 * Drops all items, and returns how many. The queue is closed or no longer used. A put in progress
 * fails, or its item is also dropped.
 */
static size_t queue_drop_all(fl_queue *q)
{
	size_t dropped = 0, count;
	unsigned round = 0;
	for (;;) {
		bool owes_wake; /* ignored, because no waiter is left */
		const int rc = q->backend->discard(q, &count, &owes_wake);
		if (rc == 0)
			dropped += count;
		else if (rc == -EBUSY)
			fl__queue_pause(round++);
		else
			return dropped;
	}
}

/* Returns whether a context waits, or is returning from a wait. */
static bool queue_has_waiters(fl_queue *q)
{
	/* acquire: pairs with the release in fl__queue_leave(), by contexts that have left */
	return fl__load_acquire(&q->inside) > 0 || fl__lot_has_waiters_at(fl__queue_wait_key(q, FL__CONSUMERS)) ||
	       fl__lot_has_waiters_at(fl__queue_wait_key(q, FL__PRODUCERS)) ||
	       fl__lot_has_waiters_at(fl__queue_wait_key(q, FL__JOINERS));
}

void fl_queue_free(fl_queue *q)
{
	if (!q)
		return;
	fl__hook_ends(q);
	if (queue_has_waiters(q))
		fl__panic("fl_queue_free", q, FL__IN_USE("a context"));
	(void)queue_drop_all(q);
	q->backend->fini(q->state);
	fl__free(q);
}

static void queue_wake_all(fl_queue *q)
{
	for (int side = 0; side < 2; side++) {
		FL__LOT(lot, fl__queue_wait_key(q, side));
		(void)fl__lot_take(&lot, FL__ALL, 0);
	}
}

void fl_queue_close(fl_queue *q)
{
	q->backend->close(q->state);
	queue_wake_all(q);
}

size_t fl_queue_close_now(fl_queue *q)
{
	fl_queue_close(q);
	return queue_drop_all(q);
}

/*
 * How calls wait. Consumers wait for items, and producers for space. Each side has a wait queue in
 * the parking lot (lot.h).
 *
 * The mark. The backend has a mark for each side, which says that a waiter exists. (The unbounded
 * FIFO queue has a mark only for consumers, because its producers do not wait. A rendezvous uses
 * neither marks nor a baton; rendezvous.c says how its calls meet.) If there is no item (no space)
 * and no call of the opposite side is in progress, a waiter sets the mark and enqueues itself, in
 * one transaction of the parking lot. The next call of the opposite side finds the mark before it
 * adds an item (frees space), or in the same atomic step. It clears the mark and owes a wake. If
 * several calls find the mark, only the one that clears it owes the wake.
 *
 * The baton. Waiters are woken one at a time, and the woken waiter holds the baton. When it has
 * made its call or gives up, it passes the baton on: if there are more items (more space), it wakes
 * the next waiter; otherwise it sets the mark again. If other calls took what the holder was woken
 * for, the holder sets the mark and enqueues itself at the front.
 *
 * Invariant. If a waiter is enqueued, then the mark is set, or one of the following contexts will
 * wake a waiter or set the mark:
 *
 * - a call that has cleared the mark and has yet to lock the wait queue;
 * - a woken waiter that holds the baton and has yet to pass it on or to enqueue itself with it;
 * - fl_queue_close(), before it locks the wait queue.
 *
 * No wake is lost. The waiter sets the mark and enqueues itself in one transaction. A call that
 * clears the mark locks the wait queue afterwards, and finds the waiter there, unless the waiter
 * gave up.
 *
 * Lifetime. As soon as a consumer can get the item, it may free the queue. From then on the put
 * touches only the parking lot, by the key of a wait queue. An enqueued waiter keeps the queue
 * alive. `inside` counts the contexts that may still touch the queue after a sleep.
 */

void fl__queue_pause(unsigned round)
{
	if (round < FL__BACK_OFF_NAPS) {
		fl__back_off(round);
		return;
	}
	struct fl__wait wait;
	fl__wait_begin(&wait, FL__DEBUG_SLEEP, NULL);
	/* No node belongs to this wait, so only its deadline ends it. */
	(void)fl__wait_sleep(&wait, fl_after(FL_US(50)), FL_SHIELDED);
}

int fl__queue_call_now(fl_queue *q, struct fl__queue_call *call)
{
	int rc;
	bool owes_wake = false;
	for (unsigned round = 0;; fl__queue_pause(round++)) {
		rc = call->side == FL__CONSUMERS
		         ? q->backend->get(q->state, call->to, call->n, &call->count, &owes_wake)
		         : q->backend->put(q->state, call->from, call->n, &call->count, &owes_wake);
		if (rc != -EBUSY)
			break;
	}
	if (owes_wake)
		fl__queue_wake(q, call->side == FL__CONSUMERS ? FL__PRODUCERS : FL__CONSUMERS);
	return rc;
}

void fl__queue_wake(fl_queue *q, int side)
{
	FL__LOT(lot, fl__queue_wait_key(q, side));
	(void)fl__lot_take(&lot, 1, FL__BATON); /* takes none if the waiters have given up */
}

void fl__queue_pass_baton(fl_queue *q, enum fl__queue_side side)
{
	FL__LOT(lot, fl__queue_wait_key(q, side));
	if (fl__lot_has_waiters(&lot) && !q->backend->enqueue && !q->backend->mark(q->state, side))
		(void)fl__lot_take(&lot, 1, FL__BATON);
}

bool fl__queue_enqueue(fl_queue *q, enum fl__queue_side side, struct fl__node *node, bool baton)
{
	if (q->backend->enqueue)
		return q->backend->enqueue(q, side, node);
	FL__LOT(lot, fl__queue_wait_key(q, side));
	if (!q->backend->mark(q->state, side))
		return false;
	fl__lot_insert(&lot, node, baton ? fl__lot_first(&lot) : NULL);
	if (!baton && !node->observer)
		fl__queue_count_wait(q, side);
	return true;
}

struct queue_poll {
	fl_queue *q;
	enum fl__queue_side side;
};

static bool queue_may_be_ready(const void *what)
{
	const struct queue_poll *at = what;
	const struct fl__queue_backend *backend = at->q->backend;
	if (backend->may_be_ready)
		return backend->may_be_ready(at->q->state, at->side);
	const int rc = backend->can(at->q->state, at->side);
	return rc != -EAGAIN && rc != -EBUSY;
}

/*
 * Spins, and then sleeps. Returns -ETIMEDOUT, -ECANCELED or 0. After 0 the caller tries its call
 * again, except if `*woken_with` is FL__HANDED_OFF: then the waking thread has made the call. At a
 * rendezvous the caller does not spin, because its partner can meet it only in the wait queue.
 */
static int queue_sleep(fl_queue *q, struct fl__queue_call *call, uint32_t *woken_with, fl_time deadline,
                       fl_cancel_token *cancel)
{
	struct fl__wait wait;
	fl__wait_begin(&wait, call->side == FL__CONSUMERS ? FL__DEBUG_GET : FL__DEBUG_PUT, q);
	struct fl__offer offer = {.node = FL__NODE(&wait), .from = call->from, .to = call->to};
	if ((!q->backend->enqueue &&
	     fl__wait_spin(&wait, queue_may_be_ready, &(struct queue_poll){q, call->side}, deadline, cancel)) ||
	    !fl__queue_enqueue(q, call->side, &offer.node, *woken_with == FL__BATON))
		return fl_cancel_token_is_requested(cancel) ? -ECANCELED : 0;
	*woken_with = 0;
	const int rc = fl__wait_sleep(&wait, deadline, cancel);
	if (rc != 0)
		fl__lot_leave(&offer.node);
	else
		*woken_with = offer.node.value;
	return rc;
}

void fl__queue_enter(fl_queue *q)
{
	/* relaxed: a program that frees the queue without waiting for this call misuses it */
	fl__add_relaxed(&q->inside, 1u);
}

void fl__queue_leave(fl_queue *q)
{
	/* release: pairs with the acquire in queue_has_waiters() */
	fl__sub_release(&q->inside, 1u);
}

/*
 * Waits until the call can be made, and makes it. The consumer of an item may free the queue, so a
 * producer leaves `inside` before it puts, and afterwards touches only what fl__queue_pass_baton()
 * touches. At a rendezvous a consumer also leaves `inside` first, because the producer that it
 * meets may free the queue.
 */
static int queue_wait_and_call(fl_queue *q, struct fl__queue_call *call, fl_time deadline, fl_cancel_token *cancel)
{
	const bool leaves_first = call->side == FL__PRODUCERS || q->backend->enqueue;
	int rc, waited;
	uint32_t woken_with = 0;
	do {
		fl__queue_enter(q);
		waited = queue_sleep(q, call, &woken_with, deadline, cancel);
		if (woken_with == FL__HANDED_OFF) {
			call->count = 1;
			return 0;
		}
		if (leaves_first)
			fl__queue_leave(q);
		rc = waited == -ECANCELED ? -EAGAIN : fl__queue_call_now(q, call);
		if (!leaves_first)
			fl__queue_leave(q);
	} while (rc == -EAGAIN && waited == 0);
	if (woken_with == FL__BATON)
		fl__queue_pass_baton(q, call->side);
	return rc == -EAGAIN ? waited : rc;
}

/* Counts a refused call of a producer, for statistics, and returns `rc`. */
static inline int queue_count_refusal(fl_queue *q, int rc)
{
	if (rc == -EAGAIN || rc == -ETIMEDOUT)
		/*
		 * relaxed, both: the figure is approximate, because two threads may count at once
		 */
		fl__store_relaxed(&q->refusals, fl__load_relaxed(&q->refusals) + 1);
	return rc;
}

/*
 * The names of static functions that may wait also begin with fl__, because reports omit the
 * library's frames by their names, in order to show the callers (report.c).
 */

/*
 * Waits until the call can be made, and makes it.
 *
 *   0           the call is made, and its count is set
 *   -EPIPE      the queue is closed (put), or closed and empty (get)
 *   -ENOMEM     the call is out of memory
 *   -ETIMEDOUT  the deadline has passed, and a last try has failed
 *   -ECANCELED  the wait was cancelled; the call is not tried after that
 */
static int fl__queue_call_until(fl_queue *q, struct fl__queue_call *call, fl_time deadline, fl_cancel_token *cancel)
{
	if (q->spsc)
		fl__queue_spsc_back_off(q->spsc, call->side);
	int rc = fl__queue_call_now(q, call);
	if (rc != -EAGAIN)
		return rc;
	struct fl__hook_op op;
	fl__hook_wait_begin(&op, q, call->side == FL__CONSUMERS ? FL__DEBUG_GET : FL__DEBUG_PUT);
	rc = queue_wait_and_call(q, call, deadline, cancel);
	fl__hook_wait_end(&op);
	return call->side == FL__PRODUCERS ? queue_count_refusal(q, rc) : rc;
}

static inline int queue_put_once(fl_queue *q, const void *item)
{
	bool owes_wake = false;
	size_t count;
	int rc;
	if (fl__likely(q->mpmc != NULL))
		rc = fl__mpmc_put(q->mpmc, item, q->item_size, &owes_wake);
	else if (q->spsc ? fl__queue_spsc_put(q->spsc, item, q->spsc->slots.shape) : q->put_one && q->put_one(q, item))
		return 0;
	else
		rc = q->backend->put(q->state, item, 1, &count, &owes_wake);
	if (fl__unlikely(owes_wake))
		fl__queue_wake(q, FL__CONSUMERS);
	return rc;
}

/* Returns a put of the `n` items at `from`, or a get to `to`. The other pointer is NULL. */
static struct fl__queue_call queue_call(const void *from, void *to, size_t n)
{
	return (struct fl__queue_call){.side = to ? FL__CONSUMERS : FL__PRODUCERS, .from = from, .to = to, .n = n};
}

FL__SLOW_PATH static int queue_try_slow(fl_queue *q, const void *from, void *to)
{
	struct fl__queue_call call = queue_call(from, to, 1);
	return fl__queue_call_now(q, &call);
}

FL__SLOW_PATH static int fl__queue_slow(fl_queue *q, const void *from, void *to, fl_time deadline,
                                        fl_cancel_token *cancel)
{
	struct fl__queue_call call = queue_call(from, to, 1);
	return fl__queue_call_until(q, &call, deadline, cancel);
}

int fl_queue_try_put(fl_queue *q, const void *item)
{
	const int rc = queue_put_once(q, item);
	return queue_count_refusal(q, fl__unlikely(rc == -EBUSY) ? queue_try_slow(q, item, NULL) : rc);
}

int fl_queue_put_until(fl_queue *q, const void *item, fl_time deadline, fl_cancel_token *cancel)
{
	const int rc = queue_put_once(q, item);
	return fl__unlikely(rc == -EAGAIN || rc == -EBUSY) ? fl__queue_slow(q, item, NULL, deadline, cancel) : rc;
}

int fl_queue_try_put_many(fl_queue *q, const void *items, size_t n, size_t *count)
{
	struct fl__queue_call call = queue_call(items, NULL, n);
	/*
	 * After a success `q` is not used, because a consumer of all these items may have freed it.
	 */
	const int rc = n > 0 ? queue_count_refusal(q, fl__queue_call_now(q, &call)) : 0;
	*count = call.count;
	return rc == 0 && call.count < n ? -EAGAIN : rc;
}

int fl_queue_put_many_until(fl_queue *q, const void *items, size_t n, size_t *count, fl_time deadline,
                            fl_cancel_token *cancel)
{
	const unsigned char *next = items;
	int rc = 0;
	for (*count = 0; *count < n && rc == 0;) {
		struct fl__queue_call call = queue_call(next + *count * q->item_size, NULL, n - *count);
		rc = fl__queue_call_until(q, &call, deadline, cancel);
		*count += call.count;
	}
	return rc;
}

static inline int queue_get_once(fl_queue *q, void *item)
{
	bool owes_wake = false;
	size_t count;
	int rc;
	if (fl__likely(q->mpmc != NULL))
		rc = fl__mpmc_get(q->mpmc, item, q->item_size, &owes_wake);
	else if (q->spsc ? fl__queue_spsc_get(q->spsc, item, q->spsc->slots.shape) : q->get_one && q->get_one(q, item))
		return 0;
	else
		rc = q->backend->get(q->state, item, 1, &count, &owes_wake);
	if (fl__unlikely(owes_wake))
		fl__queue_wake(q, FL__PRODUCERS);
	return rc;
}

int fl_queue_try_get(fl_queue *q, void *item)
{
	const int rc = queue_get_once(q, item);
	return fl__unlikely(rc == -EBUSY) ? queue_try_slow(q, NULL, item) : rc;
}

int fl_queue_get_until(fl_queue *q, void *item, fl_time deadline, fl_cancel_token *cancel)
{
	const int rc = queue_get_once(q, item);
	return fl__unlikely(rc == -EAGAIN || rc == -EBUSY) ? fl__queue_slow(q, NULL, item, deadline, cancel) : rc;
}

int fl_queue_try_get_many(fl_queue *q, void *items, size_t n, size_t *count)
{
	struct fl__queue_call call = queue_call(NULL, items, n);
	const int rc = n > 0 ? fl__queue_call_now(q, &call) : 0;
	*count = call.count;
	return rc;
}

int fl_queue_get_many_until(fl_queue *q, void *items, size_t n, size_t *count, fl_time deadline,
                            fl_cancel_token *cancel)
{
	struct fl__queue_call call = queue_call(NULL, items, n);
	const int rc = n > 0 ? fl__queue_call_until(q, &call, deadline, cancel) : 0;
	*count = call.count;
	return rc;
}

/*
 * Joining. A join waits until all items that were put are done.
 *
 *   bits of done  meaning            changed by
 *   JOINED (1)    a joiner may wait  set by a join while items are left; cleared by the call that
 *                                    counts the last item, by the consumer that decreases the puts
 *                                    (rule 2), and by the last join that gives up; all inside a
 *                                    transaction of the parking lot
 *   the rest      items done         fl_queue_task_done(), fl_queue_try_task_done(), or a call that
 *                                    drops items; by CAS
 *
 * Rules of joining
 *   1. `done` never exceeds the puts, which the backend counts. So if a load of `done` and a later
 *      load of the puts return the same value, both had this value at the later load, which is the
 *      linearization point of a join.
 *   2. No wake is lost. JOINED is in the word that the CAS changes. A call that finds JOINED opens
 *      a transaction, unless there were more puts before the CAS, because then a later call counts
 *      the last item. If the puts can decrease (puts_decrease), each call that finds JOINED opens a
 *      transaction, and so does the consumer that has decreased the puts.
 *   3. A call that counts an item has acquired all earlier counts, and with them the puts of those
 *      items. Otherwise the growing `done` could equal an old value of the puts.
 */
enum { QUEUE_JOINED = 1, QUEUE_ONE = 2 };

/* `done` was loaded with acquire. */
static bool queue_is_joined_at(fl_queue *q, uint64_t done)
{
	return done / QUEUE_ONE == q->backend->puts(q->state);
}

static bool queue_is_joined(fl_queue *q)
{
	/* acquire: pairs with the release in queue_done() */
	return queue_is_joined_at(q, fl__load_acquire(&q->done));
}

/* Called in a transaction. Sets JOINED, or returns false if all items are done. */
static bool queue_mark_joiner(fl_queue *q)
{
	for (;;) {
		/* acquire: pairs with the release in queue_done() */
		uint64_t done = fl__load_acquire(&q->done);
		if (queue_is_joined_at(q, done))
			return false;
		/* relaxed: JOINED publishes nothing but itself */
		if (fl__cas_weak_relaxed(&q->done, &done, done | QUEUE_JOINED))
			return true;
	}
}

FL__SLOW_PATH void fl__queue_recheck_join(fl_queue *q)
{
	FL__LOT(lot, fl__queue_wait_key(q, FL__JOINERS));
	if (fl__lot_has_waiters(&lot) && queue_is_joined(q)) {
		/* relaxed: the transaction orders JOINED */
		fl__and_relaxed(&q->done, ~(uint64_t)QUEUE_JOINED);
		(void)fl__lot_take(&lot, FL__ALL, 0);
	}
}

/*
 * Counts one more item as done. Returns false if all items are already done. After the last item is
 * counted, another thread may free the queue at once.
 */
static bool queue_done(fl_queue *q)
{
	/* Read now, because the queue may be freed after the CAS. */
	const bool puts_decrease = q->backend->puts_decrease;
	uint64_t done, puts;
	do {
		/* acquire: pairs with the CAS below, for the puts of the done items (rule 3) */
		done = fl__load_acquire(&q->done);
		puts = q->backend->puts(q->state);
		if (done / QUEUE_ONE == puts)
			return false;
		/*
		 * release: pairs with the acquire loads of `done`, for what was done about this
		 * item and earlier ones
		 */
	} while (!fl__cas_weak_release(&q->done, &done, done + QUEUE_ONE));
	if (fl__unlikely((done & QUEUE_JOINED) != 0) && (done / QUEUE_ONE + 1 == puts || puts_decrease))
		/* This uses the queue only while a joiner waits, which keeps the queue alive. */
		fl__queue_recheck_join(q);
	return true;
}

void fl__queue_drop(fl_queue *q, void *item)
{
	if (q->drop)
		q->drop(item, q->drop_arg);
	(void)queue_done(q); /* it fails if fl_queue_task_done() was called before the get */
}

int fl_queue_try_task_done(fl_queue *q)
{
	return queue_done(q) ? 0 : -EINVAL;
}

void fl_queue_task_done(fl_queue *q)
{
	if (!queue_done(q))
		fl__panic("fl_queue_task_done", q, "called more often than items were put");
}

/* Called by a join that gives up. Clears JOINED if no other joiner waits. */
static void queue_cancel_join(fl_queue *q, struct fl__node *node)
{
	FL__LOT(lot, fl__queue_wait_key(q, FL__JOINERS));
	fl__lot_remove(&lot, node);
	if (!fl__lot_has_waiters(&lot))
		fl__and_relaxed(&q->done, ~(uint64_t)QUEUE_JOINED); /* relaxed: the transaction orders it */
}

int fl_queue_join_until(fl_queue *q, fl_time deadline, fl_cancel_token *cancel)
{
	if (queue_is_joined(q))
		return 0;
	FL__WAIT(wait, node, FL__DEBUG_QUEUE_JOIN, q);
	struct fl__lot lot;
	fl__lot_open(&lot, fl__queue_wait_key(q, FL__JOINERS));
	const bool waits = queue_mark_joiner(q);
	if (waits)
		fl__lot_add(&lot, &node);
	fl__lot_close(&lot);
	if (!waits)
		return 0;
	struct fl__hook_op op;
	fl__hook_wait_begin(&op, q, FL__DEBUG_QUEUE_JOIN);
	const bool blocks = fl__ctx_block(wait.ctx, NULL, deadline);
	const int rc = fl__wait_sleep(&wait, deadline, cancel);
	fl__ctx_unblock(wait.ctx, NULL, blocks);
	fl__hook_wait_end(&op);
	if (rc == 0)
		return 0; /* all items were done when the joiner was woken */
	queue_cancel_join(q, &node);
	return rc != -ECANCELED && queue_is_joined(q) ? 0 : rc;
}

size_t fl_queue_unfinished(const fl_queue *q)
{
	/*
	 * acquire: pairs with the release in queue_done(), so that the puts, loaded next, are at
	 * least `done`
	 */
	const uint64_t done = fl__load_acquire(&q->done) / QUEUE_ONE;
	return (size_t)(q->backend->puts(((fl_queue *)q)->state) - done);
}

size_t fl_queue_length(const fl_queue *q)
{
	return q->backend->length(FL__MUTABLE(q->state));
}

size_t fl_queue_capacity(const fl_queue *q)
{
	return q->capacity;
}

void fl_queue_stats(const fl_queue *q, fl_stats_queue *stats)
{
	*stats = (fl_stats_queue){
	    .length = fl_queue_length(q),
	    .capacity = q->capacity,
	    /* relaxed, all: figures, which may be out of date */
	    .waits_to_put = fl__load_relaxed(&q->waits[FL__PRODUCERS]),
	    .waits_to_get = fl__load_relaxed(&q->waits[FL__CONSUMERS]),
	    .refusals = fl__load_relaxed(&q->refusals),
	};
}

bool fl_queue_is_closed(const fl_queue *q)
{
	return q->backend->can(FL__MUTABLE(q->state), FL__PRODUCERS) == -EPIPE;
}

/*
 * The functions for FL_WAIT_ANY(). An observer sets the mark and enqueues itself like a consumer or
 * a producer, but it takes no item and no space.
 */

static int queue_can(fl_queue *q, enum fl__queue_side side)
{
	int rc;
	for (unsigned round = 0; (rc = q->backend->can(q->state, side)) == -EBUSY; round++)
		fl__queue_pause(round);
	return rc;
}

static bool queue_arm(fl_queue *q, enum fl__queue_side side, struct fl__node *node)
{
	while (queue_can(q, side) == -EAGAIN)
		if (fl__queue_enqueue(q, side, node, false))
			return true;
	return false;
}

static bool queue_on_items_ready(void *object)
{
	return queue_can(object, FL__CONSUMERS) != -EAGAIN;
}

static bool queue_on_items_arm(void *object, struct fl__node *node)
{
	return queue_arm(object, FL__CONSUMERS, node);
}

static bool queue_on_space_ready(void *object)
{
	return queue_can(object, FL__PRODUCERS) != -EAGAIN;
}

static bool queue_on_space_arm(void *object, struct fl__node *node)
{
	return queue_arm(object, FL__PRODUCERS, node);
}

const fl_on_type fl__on_queue = {queue_on_items_ready, queue_on_items_arm, fl__node_disarm, NULL};
const fl_on_type fl__on_queue_space = {queue_on_space_ready, queue_on_space_arm, fl__node_disarm, NULL};
