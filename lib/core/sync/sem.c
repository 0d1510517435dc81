/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The semaphore is a word, and a wait queue in the parking lot (wait/lot.h). The low 31 bits of the
 * word are the free permits, and the top bit is WAITERS. A serve is a call of sem_serve_queue().
 *
 *   field    meaning                  changed by
 *   permits  free permits             acquire: CAS - n, without WAITERS; release: CAS + n, without
 *                                     WAITERS; release in a signal handler: CAS + 1, at any time;
 *                                     under the queue lock: a serve, and sem_enqueue(), which may
 *                                     take permits even with WAITERS, if WAITERS is stale
 *   WAITERS  the first waiter sleeps  set under the queue lock: by sem_enqueue() of a first waiter,
 *            and needs more permits   by a waiter that leaves others behind; cleared by a serve,
 *            than are free            when the queue is empty or its first waiter awake, and by
 *                                     sem_enqueue(), when it takes permits
 *   bound_   the most permits; 0      only the initialisers
 *            means FL_SEM_MAX
 *
 * While WAITERS is set, no acquire overtakes the queue, and a release serves it. Without WAITERS, a
 * release is one CAS, and a first waiter, if any, is awake and competes.
 *
 * A running context may take the last free permit before the awake first waiter, but only for a
 * bounded time, which turn.h explains. The following permits are handed over at once:
 *   - all but the last permit of a release, because that many waiters can use them at the same
 *     time;
 *   - the permits of a waiter for several, because otherwise they might never be free together;
 *   - a permit for a fiber, because otherwise its thread might release and acquire forever without
 *     switching to it;
 *   - permits that signal handlers have added, if a release serves the queue before the handler
 *     does.
 *
 * Invariants
 *   1. An acquire linearizes at its CAS, or where a serve hands its permits over. A release
 *      linearizes at its CAS, which is its last access. A hand-over and the CAS of its release are
 *      in one transaction.
 *   2. Permits are conserved: the n permits of a release are the sum of those that it hands over
 *      and those that it adds. A waiter that gave up was not taken and holds no permit. A waiter
 *      that was woken without a grant holds no permit before its own CAS.
 *   3. If the queue is not empty, WAITERS is set, or the first waiter is awake, or the end of the
 *      transaction wakes it. An awake waiter either goes back to sleep with WAITERS set, or leaves
 *      the queue, because it has its permits or gives up. If it leaves, it serves the queue in the
 *      same transaction.
 *   4. While WAITERS is set and not stale, the word changes in only two ways: by a transaction that
 *      serves the queue before it ends, or by a signal handler's CAS, which adds a permit. After
 *      such a CAS, the handler, or the thread that holds the bucket's lock, makes a transaction
 *      that serves. So once all releases are over, no first waiter sleeps while its permits are
 *      free. A first waiter for many permits does not starve, because WAITERS stays set.
 *   5. WAITERS changes only under the queue lock, so a thread that holds the lock may read it
 *      relaxed.
 *   6. Each CAS that may add permits is a release: in fl_sem_release(), fl_sem_try_release_n(),
 *      sem_release_slow(), sem_serve_queue() and fl_sem_release_in_handler(). Each CAS that may
 *      take permits is an acquire: in sem_try_take(), sem_enqueue() and sem_serve_queue(). The load
 *      in sem_ready() also acquires. Each of these acquires pairs with each of these releases.
 *
 * If the queue is empty, the CAS of a release in a signal handler is the handler's last access to
 * the semaphore. If it is not empty, some semaphore exists at this address, perhaps a new one, for
 * which sem_serve_in_handler() is correct as well. A waiter that leaves touches the semaphore only
 * if it was still queued. WAITERS may be stale if the last waiter was an observer of FL_WAIT_ANY(),
 * which leaves without a serve. A stale WAITERS costs one slow call.
 *
 * A release does not hand over each permit, because with a hand-over to a sleeping thread, each
 * operation costs a context switch: 1.8 us instead of 0.2 us with 16 threads and two permits. It
 * hands over at once only the permits for which this cost cannot arise, or for which competing
 * would be unfair.
 */
#include "../base/atomic.h"
#include "../base/panic.h"
#include "../hooks.h"
#include "../wait/lot.h"
#include "turn.h"
#include <fairlead/sem.h>

#define SEM_WAITERS 0x80000000u

/* A waiter that acquires. (The observers of FL_WAIT_ANY() are plain nodes.) */
struct sem_waiter {
	/* Its value is the number of permits that it needs, or, after a hand-over, GRANTED. */
	struct fl__node node;
	int64_t since; /* when it was first woken: turn.h */
};
enum { SEM_GRANTED = 0 };

static uint32_t sem_permits(uint32_t word)
{
	return word & FL_SEM_MAX;
}

static uint32_t sem_bound(const fl_sem *s)
{
	return s->bound_ ? s->bound_ : FL_SEM_MAX;
}

/* Returns whether `n` more permits fit; false with WAITERS, which exceeds any bound. */
static bool sem_fits(const fl_sem *s, uint32_t word, uint32_t n)
{
	const uint32_t bound = sem_bound(s);
	return word <= bound && n <= bound - word;
}

static bool sem_try_take(fl_sem *s, uint32_t n)
{
	uint32_t seen = fl__load_relaxed(&s->word_); /* relaxed: the CAS acquires */
	while (!(seen & SEM_WAITERS) && seen >= n)
		/* acquire: invariant 6 */
		if (fl__cas_weak_acquire(&s->word_, &seen, seen - n))
			return true;
	return false;
}

/*
 * Returns how many permits must be free. An observer takes none, but is woken only if one is free.
 */
static uint32_t sem_need(const struct fl__node *node)
{
	return node->observer ? 1 : node->value;
}

/*
 * Returns whether the first waiter must compete for the last permit. Called under the queue lock.
 */
static bool sem_competes(struct fl__node *first)
{
	if (first->observer || first->value > 1 || first->wait->ctx->ops->yield)
		return false;
	return !fl__turn_is_over(&((struct sem_waiter *)(void *)first)->since);
}

/*
 * Hands permits from `*left` over to the waiters, in FIFO order. If the first waiter competes, only
 * wakes it, unless `all` is true. Returns whether it leaves a first waiter asleep.
 */
static bool sem_hand_over(struct fl__lot *lot, uint32_t *left, bool all)
{
	struct fl__node *first;
	while ((first = fl__lot_next(lot)) != NULL && sem_need(first) <= *left) {
		const uint32_t need = sem_need(first);
		if (!all && need == *left && sem_competes(first)) {
			if (fl__lot_try_wake_first(lot))
				return false;
		} else if (fl__lot_take_first(lot, SEM_GRANTED)) {
			*left -= need;
		}
	}
	return first != NULL;
}

/*
 * Adds `n` permits while WAITERS is set, serves the queue, and publishes the permits that are left,
 * which is the last access. If more permits would be free than the bound, adds none and returns
 * false.
 */
static bool sem_serve_queue(fl_sem *s, struct fl__lot *lot, uint32_t n)
{
	uint32_t seen = fl__load_relaxed(&s->word_); /* relaxed: a stale value only makes the CAS fail */
	uint32_t left = sem_permits(seen);
	if (n > 0)
		/*
		 * Hands over the permits that are already free. There may be more of them than the
		 * bound allows, because handlers ignore the bound while WAITERS is set.
		 */
		(void)sem_hand_over(lot, &left, true);
	const bool fits = sem_fits(s, left, n);
	left += fits ? n : 0;
	bool asleep = sem_hand_over(lot, &left, false);
	for (;;) {
		const uint32_t before = sem_permits(seen);
		/* acquire and release: invariant 6. The acquire is for the permits handed over. */
		if (fl__cas_weak_acq_rel(&s->word_, &seen, left | (asleep ? SEM_WAITERS : 0)))
			return fits;
		left += sem_permits(seen) - before; /* a signal handler has added them (invariant 4) */
		if (asleep)
			asleep = sem_hand_over(lot, &left, false);
	}
}

/* Serves the queue, which is not empty, so the semaphore exists. */
static void sem_serve_in_handler(struct fl__lot *lot)
{
	fl_sem *s = (fl_sem *)(uintptr_t)lot->key;
	/* relaxed: invariant 5 */
	if (fl__load_relaxed(&s->word_) & SEM_WAITERS)
		(void)sem_serve_queue(s, lot, 0);
}

/*
 * Called by a waiter that gives up. Serves the queue, because later waiters may need fewer permits.
 * If a release has dequeued this waiter, that release has served them, and the semaphore may be
 * freed.
 */
static void sem_leave(fl_sem *s, struct fl__node *node)
{
	FL__LOT(lot, s);
	const bool dequeued_before = !node->queued;
	fl__lot_remove(&lot, node);
	/* relaxed: invariant 5 */
	if (!dequeued_before && (fl__load_relaxed(&s->word_) & SEM_WAITERS))
		(void)sem_serve_queue(s, &lot, 0);
}

/* Dequeues the first waiter, which is awake. Serves the later waiters with the free permits. */
static void sem_dequeue_awake(fl_sem *s, struct fl__lot *lot, struct fl__node *node)
{
	fl__lot_remove(lot, node);
	/* relaxed: the OR takes no permits; sem_serve_queue() acquires */
	if (fl__lot_has_waiters(lot) && sem_permits(fl__or_relaxed(&s->word_, SEM_WAITERS)) > 0)
		(void)sem_serve_queue(s, lot, 0);
}

/*
 * If `need` permits are free, and no sleeping waiter comes before the caller, takes `take` of them,
 * and returns false. Otherwise enqueues `node`, unless that is NULL, and returns true. With `awake`
 * the caller is the first waiter, which is already queued.
 */
static bool sem_enqueue(fl_sem *s, struct fl__node *node, uint32_t need, uint32_t take, bool awake)
{
	FL__LOT(lot, s);
	const bool first = awake || !fl__lot_has_waiters(&lot);
	uint32_t seen = fl__load_relaxed(&s->word_), next; /* relaxed: a stale value only makes the CAS fail */
	bool waits;
	do {
		waits = sem_permits(seen) < need || (!first && (seen & SEM_WAITERS));
		next = sem_permits(seen) - take; /* clears WAITERS: if the caller takes, it is stale */
		if (waits)
			next = node && first ? seen | SEM_WAITERS : seen;
		/* acquire: invariant 6, if the CAS takes a permit */
	} while (!fl__cas_weak_acquire(&s->word_, &seen, next));
	if (awake && waits) {
		fl__wait_begin(node->wait, FL__DEBUG_SEM, s);
		node->wait->no_spin = true;
	} else if (awake) {
		sem_dequeue_awake(s, &lot, node);
	} else if (waits && node) {
		node->value = need;
		node->serve = sem_serve_in_handler;
		fl__lot_add(&lot, node);
	}
	return waits;
}

static void sem_leave_awake(fl_sem *s, struct fl__node *node)
{
	FL__LOT(lot, s);
	sem_dequeue_awake(s, &lot, node);
}

struct sem_poll {
	const fl_sem *sem;
	uint32_t need;
};

/* Returns true if permits are free, or if WAITERS sends the caller to the queue. */
static bool sem_is_decided(const void *what)
{
	const struct sem_poll *poll = what;
	/* relaxed: sem_try_take() and sem_enqueue() acquire */
	uint32_t seen = fl__load_relaxed(&poll->sem->word_);
	return seen >= poll->need; /* true with WAITERS, which exceeds any need */
}

/*
 * Acquires permits, and waits for them. Each round polls, then takes permits or enqueues, and then
 * sleeps. A waiter that was woken without a grant is awake in the next round. Returns 0, -ETIMEDOUT
 * or -ECANCELED.
 */
static int sem_acquire_waiting(fl_sem *s, uint32_t n, fl_time deadline, fl_cancel_token *cancel)
{
	const struct sem_poll poll = {s, n};
	struct fl__wait wait;
	struct sem_waiter waiter = {.node = FL__NODE(&wait)};
	fl__wait_begin(&wait, FL__DEBUG_SEM, s);
	for (bool awake = false;; awake = true) {
		const bool spun =
		    !sem_is_decided(&poll) && fl__wait_spin(&wait, sem_is_decided, &poll, deadline, cancel);
		const bool cancelled = (awake || spun) && fl_cancel_token_is_requested(cancel);
		if (cancelled || sem_try_take(s, n)) {
			if (awake)
				sem_leave_awake(s, &waiter.node);
			return cancelled ? -ECANCELED : 0;
		}
		if (!sem_enqueue(s, &waiter.node, n, n, awake))
			return 0;
		const int rc = fl__wait_sleep(&wait, deadline, cancel);
		if (rc != 0) {
			sem_leave(s, &waiter.node);
			return rc;
		}
		if (waiter.node.value == SEM_GRANTED)
			return 0;
	}
}

FL__SLOW_PATH static int sem_acquire_slow(fl_sem *s, uint32_t n, fl_time deadline, fl_cancel_token *cancel)
{
	struct fl__hook_op op;
	fl__hook_wait_begin(&op, s, FL__DEBUG_SEM);
	const int rc = sem_acquire_waiting(s, n, deadline, cancel);
	fl__hook_wait_end(&op);
	return rc;
}

static _Noreturn void sem_panic_too_many(const fl_sem *s)
{
	fl__panic("fl_sem_release", s, s->bound_ ? "more permits than its bound" : "more than FL_SEM_MAX permits");
}

/*
 * If WAITERS is set, releases and returns 0 or -EOVERFLOW. Otherwise sets `*now` to the word and
 * returns -EAGAIN.
 */
static int sem_release_waking(fl_sem *s, uint32_t n, uint32_t *now)
{
	int rc = -EAGAIN;
	FL__LOT(lot, s);
	/* relaxed: invariant 5 for WAITERS, and the CAS that follows checks the permits */
	*now = fl__load_relaxed(&s->word_);
	if (*now & SEM_WAITERS)
		rc = sem_serve_queue(s, &lot, n) ? 0 : -EOVERFLOW;
	return rc;
}

FL__SLOW_PATH static int sem_release_slow(fl_sem *s, uint32_t n)
{
	int rc = -EAGAIN;
	uint32_t seen = fl__load_relaxed(&s->word_); /* relaxed: what acts on it checks it again */
	while (rc == -EAGAIN) {
		if (seen & SEM_WAITERS)
			rc = sem_release_waking(s, n, &seen);
		else if (!sem_fits(s, seen, n))
			rc = -EOVERFLOW;
		/* release: invariant 6 */
		else if (fl__cas_weak_release(&s->word_, &seen, seen + n))
			rc = 0;
	}
	return rc;
}

void fl_sem_destroy(fl_sem *s)
{
	fl__hook_destroy(s, s, fl__lot_has_waiters_at(s));
}

int fl_sem_acquire_n_until(fl_sem *s, uint32_t n, fl_time deadline, fl_cancel_token *cancel)
{
	if (n > sem_bound(s))
		return -EINVAL;
	return n == 0 || sem_try_take(s, n) ? 0 : sem_acquire_slow(s, n, deadline, cancel);
}

int fl_sem_acquire_until(fl_sem *s, fl_time deadline, fl_cancel_token *cancel)
{
	return sem_try_take(s, 1) ? 0 : sem_acquire_slow(s, 1, deadline, cancel);
}

int fl_sem_try_acquire(fl_sem *s)
{
	if (sem_try_take(s, 1))
		return 0;
	/*
	 * relaxed: a hint. There may be permits if WAITERS is stale, so sem_enqueue() checks the
	 * queue.
	 */
	const bool may_be_stale = sem_permits(fl__load_relaxed(&s->word_)) >= 1;
	return may_be_stale && !sem_enqueue(s, NULL, 1, 1, false) ? 0 : -EAGAIN;
}

int fl_sem_try_release_n(fl_sem *s, uint32_t n)
{
	uint32_t seen = fl__load_relaxed(&s->word_); /* relaxed: if stale, the slow path decides */
	/* release: invariant 6 */
	if (n == 0 || (sem_fits(s, seen, n) && fl__cas_weak_release(&s->word_, &seen, seen + n)))
		return 0;
	return sem_release_slow(s, n);
}

void fl_sem_release_n(fl_sem *s, uint32_t n)
{
	if (fl_sem_try_release_n(s, n) != 0)
		sem_panic_too_many(s);
}

void fl_sem_release(fl_sem *s)
{
	uint32_t seen = fl__load_relaxed(&s->word_); /* relaxed: if stale, the slow path decides */
	/*
	 * This is sem_fits() with one branch less: without a bound, bound_ - 1 is UINT32_MAX.
	 * release: invariant 6
	 */
	if (fl__likely(seen < FL_SEM_MAX && seen <= s->bound_ - 1) && fl__cas_weak_release(&s->word_, &seen, seen + 1))
		return;
	if (sem_release_slow(s, 1) != 0)
		sem_panic_too_many(s);
}

/*
 * Returns whether a signal handler may add a permit. With WAITERS, the waiters may receive the
 * permits, so the only limit is FL_SEM_MAX.
 */
static bool sem_may_fit(const fl_sem *s, uint32_t word)
{
	return sem_permits(word) < (word & SEM_WAITERS ? FL_SEM_MAX : sem_bound(s));
}

void fl_sem_release_in_handler(fl_sem *s)
{
	uint32_t seen = fl__load_relaxed(&s->word_); /* relaxed: a stale value only makes the CAS fail */
	do {
		if (!sem_may_fit(s, seen))
			sem_panic_too_many(s);
		/* release: invariant 6 */
	} while (!fl__cas_weak_release(&s->word_, &seen, seen + 1));
	if (seen & SEM_WAITERS)
		fl__lot_serve_in_handler(s);
}

uint32_t fl_sem_value(const fl_sem *s)
{
	/* relaxed: the answer may be stale at once */
	return sem_permits(fl__load_relaxed(&s->word_));
}

static bool sem_ready(void *object)
{
	const fl_sem *s = object;
	/* acquire: invariant 6 */
	uint32_t seen = fl__load_acquire(&s->word_);
	return seen > 0 && !(seen & SEM_WAITERS);
}

static bool sem_arm(void *object, struct fl__node *node)
{
	return sem_enqueue(object, node, 1, 0, false);
}

const fl_on_type fl__on_sem = {sem_ready, sem_arm, fl__node_disarm, NULL};
