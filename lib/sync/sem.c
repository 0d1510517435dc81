/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The semaphore: permits in the low 31 bits, WAITERS in the top one.
 *
 *   field       meaning                     changed by
 *   permits     free ones                   acquire: CAS - n, without WAITERS; release: CAS + n, without WAITERS; in a signal
 *                                           handler at any time; settle() under the lot
 *   WAITERS     who stands first in line    set under the lot: by who gets in line as the first, who stood there and sleeps
 *               sleeps, and wants more      again, and who leaves others there: step_out();
 *               than there is               cleared by settle(), when the line is empty, or its first awake
 *   bound_      the most permits; 0: FL_SEM_MAX    by the initialisers alone
 *
 *   word               line     what happens
 *   permits            empty    they are anybody's
 *   permits, WAITERS   others   nobody takes past the line; a release goes to the lot and serves it
 *   permits            others   the first in line is awake, and competes with whoever runs; a release is one CAS
 *
 * A permit is not handed to one who sleeps while others, who run, want it again and again: each would wait for a context
 * switch. So a release leaves the last of its permits in the word for anyone, and wakes the first in line, which stays the
 * first until it has one. When it finds none it sleeps again, and says so (WAITERS). A release that meets it a millisecond
 * or more after it was first woken hands the permit over, as the mutex does (mutex.c). Handed over at once are: what else a
 * release of several has for the line, since so many may run at once; what somebody gets who waits for several, or they would
 * never be there together; and a permit for a fiber, since a switch to it is cheap, and its thread may release for ever
 * without one.
 *
 * Invariants
 *   1. Linearization: acquire, its CAS, or the take that hands it its permits; release, its CAS (the last access), which for
 *      the permits that it hands over comes in the same transaction as the takes.
 *   2. Permits are conserved: release(n) = those handed over + those added; who gave up was not taken, so it holds none; who
 *      was roused holds none, until its own CAS.
 *   3. A line means that WAITERS is set, or that the first in it is awake (roused, or about to be when the transaction ends).
 *      Who is awake leaves with its permits, or sleeps with WAITERS set; in either case it has looked, in the transaction in
 *      which it does so, whether there are permits for who is then the first.
 *   4. With WAITERS set the word changes only in a transaction (release, or a waiter that leaves) that serves the line before
 *      it ends; or by a signal handler's CAS, which only adds to the permits, and is followed by such a transaction, the
 *      handler's own or that of whoever it has interrupted or met. So nobody sleeps beside permits that are enough for who
 *      stands first, when all releases are over; and who wants many is not starved by those who want one, for while it
 *      stands first WAITERS is set.
 *
 * A signal handler's last access to the semaphore is its CAS, too: what follows touches it only if it has a line, and then it
 * is there. (In its place may be another: serve() is right for any.) Likewise who leaves the line touches it only if it leaves
 * others there.
 *
 * Safe mistake: WAITERS without a line sends one release, or one try that could succeed, the slow way. So it is in the child
 * of a fork.
 */
#include "../base/atomic.h"
#include "../base/panic.h"
#include "../base/sys.h"
#include "../debug/debug.h"
#include "../wait/cancel.h"
#include "../wait/lot.h"
#include <errno.h>
#include <fairlead/sem.h>
#include <fairlead/time.h>

static const uint32_t WAITERS = 0x80000000u;
static const int64_t PATIENCE = FL_MS(1);

/* The place in line of who acquires; those of who only looks are plain nodes, and observers. */
struct place {
	struct fl__node node; /* its value: for how many permits; SERVED, once they were handed over */
	int64_t since;        /* when it was roused for the first time; 0: not yet */
};
enum { SERVED = 0 };

static uint32_t permits_of(uint32_t word)
{
	return word & FL_SEM_MAX;
}

static uint32_t bound_of(const fl_sem *s)
{
	return s->bound_ ? s->bound_ : FL_SEM_MAX;
}

static bool try_take(fl_sem *s, uint32_t n)
{
	uint32_t seen = fl__load_relaxed(&s->word_); /* relaxed: the CAS decides */
	while (!(seen & WAITERS) && seen >= n)
		if (fl__cas_weak_acquire(&s->word_, &seen,
		                         seen - n)) /* pairs with the release in fl_sem_try_release_n() */
			return true;
	return false;
}

/* For how many permits a node stands in line. An observer takes none, but is woken for one. */
static uint32_t need_of(const struct fl__node *node)
{
	return node->observer ? 1 : node->value;
}

/* Under the lot: whether the first in line is to compete for the last permit, instead of being given it. */
static bool competes(struct fl__node *first)
{
	if (first->observer || first->value > 1 || first->wait->ctx->ops->yield)
		return false;
	struct place *place = (struct place *)(void *)first;
	const int64_t now = fl__sys.now();
	if (place->since == 0)
		place->since = now;
	return now - place->since < PATIENCE;
}

/*
 * Hands over to whose turn it is, from the `left` permits; the last of them is left to be competed for, unless `all`.
 * Whether the first of those who are left in line sleeps.
 */
static bool hand_over(struct fl__lot *lot, uint32_t *left, bool all)
{
	struct fl__node *first;
	while ((first = fl__lot_first(lot)) != NULL && need_of(first) <= *left) {
		const uint32_t need = need_of(first);
		if (!all && need == *left && competes(first)) {
			if (fl__lot_rouse_first(lot))
				return false;
		} else if (fl__lot_take_first(lot, SERVED)) {
			*left -= need;
		}
	}
	return first != NULL;
}

/*
 * Under the lot, with WAITERS set: serves the line, also with `n` permits more, and publishes what is left. The last access.
 * False: so many are too many, and were not added.
 */
static bool settle(fl_sem *s, struct fl__lot *lot, uint32_t n)
{
	uint32_t seen = fl__load_relaxed(&s->word_); /* relaxed: the CAS tells whether it is right */
	uint32_t left = permits_of(seen);
	if (n > 0)
		(void)hand_over(lot, &left, true); /* a signal handler's, which do not count towards the bound */
	const bool fits = left <= bound_of(s) && n <= bound_of(s) - left;
	left += fits ? n : 0;
	bool asleep = hand_over(lot, &left, false);
	for (;;) {
		const uint32_t before = permits_of(seen);
		/* release: pairs with the acquire of try_take() and line_up(). acquire: with that of who added what is handed over */
		if (fl__cas_weak_acq_rel(&s->word_, &seen, left | (asleep ? WAITERS : 0)))
			return fits;
		left += permits_of(seen) - before; /* a signal handler's: while WAITERS is set nobody else changes it */
		if (asleep)
			asleep = hand_over(lot, &left, false);
	}
}

/* For a signal handler, on behalf of a line that is not empty, so that the semaphore is there. */
static void serve(struct fl__lot *lot)
{
	fl_sem *s = (fl_sem *)(uintptr_t)lot->key;
	if (fl__load_relaxed(&s->word_) & WAITERS) /* relaxed: it changes under the lot alone */
		(void)settle(s, lot, 0);
}

/*
 * Goes in line for `need` permits; false when they were there, of which it took `take`. Without a node it only looks.
 */
static bool line_up(fl_sem *s, struct fl__node *node, uint32_t need, uint32_t take)
{
	struct fl__lot lot;
	fl__lot_open(&lot, s);
	const bool alone = !fl__lot_more(&lot);
	uint32_t seen = fl__load_relaxed(&s->word_), next; /* relaxed: the CAS decides */
	bool waits;
	do {
		waits = permits_of(seen) < need || (!alone && (seen & WAITERS));
		next = permits_of(seen) - take; /* and no WAITERS, which would be a stale one */
		if (waits)
			next = node && alone ? seen | WAITERS : seen;
		/* acquire: for a permit, pairs with the release in fl_sem_try_release_n() */
	} while (!fl__cas_weak_acquire(&s->word_, &seen, next));
	if (waits && node) {
		node->value = need;
		node->serve = serve;
		fl__lot_add(&lot, node);
	}
	fl__lot_close(&lot);
	return waits;
}

/*
 * Who has given up leaves; those behind it may want less than it did. Unless it was passed over: then they were served, and the
 * semaphore may be gone. (An observer that stands first is never passed over.)
 */
static void leave(fl_sem *s, struct fl__node *node)
{
	struct fl__lot lot;
	fl__lot_open(&lot, s);
	const bool passed_over = !node->queued;
	fl__lot_remove(&lot, node);
	/* relaxed: it changes under the lot alone */
	if (!passed_over && (fl__load_relaxed(&s->word_) & WAITERS))
		(void)settle(s, &lot, 0);
	fl__lot_close(&lot);
}

/* Under the lot: the first in line, awake, leaves, with its permit or without. Those behind it are served from what there is. */
static void step_out(fl_sem *s, struct fl__lot *lot, struct fl__node *node)
{
	fl__lot_remove(lot, node);
	/* relaxed: a mark for who changes the word; settle() acquires */
	if (fl__lot_more(lot) && permits_of(fl__or_relaxed(&s->word_, WAITERS)) > 0)
		(void)settle(s, lot, 0);
}

static void leave_awake(fl_sem *s, struct fl__node *node)
{
	struct fl__lot lot;
	fl__lot_open(&lot, s);
	step_out(s, &lot, node);
	fl__lot_close(&lot);
}

/* The first in line, awake, sleeps again: true; or false, with its permit, and out of the line. */
static bool sleep_again(fl_sem *s, struct fl__node *node)
{
	struct fl__lot lot;
	fl__lot_open(&lot, s);
	uint32_t seen = fl__load_relaxed(&s->word_), next; /* relaxed: the CAS decides */
	do
		next = seen >= node->value ? seen - node->value : seen | WAITERS;
	/* acquire: for a permit, as in try_take() */
	while (!fl__cas_weak_acquire(&s->word_, &seen, next));
	const bool waits = next & WAITERS;
	if (waits) {
		fl__wait_begin(node->wait);
		node->wait->patient = true;
	} else {
		step_out(s, &lot, node);
	}
	fl__lot_close(&lot);
	return waits;
}

struct watch {
	const fl_sem *sem;
	uint32_t need;
};

/* There are permits; or somebody stands in line, so that this one has to, too. */
static bool is_decided(const void *what)
{
	const struct watch *watch = what;
	uint32_t seen = fl__load_relaxed(&watch->sem->word_); /* relaxed: try_take() and line_up() acquire */
	return seen >= watch->need;                           /* WAITERS is more than any need */
}

/* The first in line, awake, competes for a permit: true, with it and out of the line. */
static bool compete(fl_sem *s, struct place *place, int64_t deadline, fl_cancel *cancel)
{
	const uint32_t need = place->node.value;
	const struct watch watch = {s, need};
	if (!try_take(s, need) &&
	    !(fl__wait_look(place->node.wait, is_decided, &watch, deadline, cancel) && try_take(s, need)))
		return false;
	leave_awake(s, &place->node);
	return true;
}

/* From its place in line to its permits: 0; or -ETIMEDOUT, -ECANCELED, out of the line. */
static int await(fl_sem *s, struct place *place, int64_t deadline, fl_cancel *cancel)
{
	do {
		const int rc = fl__wait_sleep(place->node.wait, deadline, cancel);
		if (rc != 0) {
			leave(s, &place->node);
			return rc;
		}
		if (place->node.value == SERVED || compete(s, place, deadline, cancel))
			return 0;
		if (fl__cancel_ends(cancel, place->node.wait->ctx)) {
			leave_awake(s, &place->node);
			return -ECANCELED;
		}
	} while (sleep_again(s, &place->node));
	return 0;
}

static int acquire_waiting(fl_sem *s, uint32_t n, int64_t deadline, fl_cancel *cancel)
{
	struct fl__wait wait;
	fl__wait_begin(&wait);
	const struct watch watch = {s, n};
	if (!is_decided(&watch) && fl__wait_look(&wait, is_decided, &watch, deadline, cancel)) {
		if (fl__cancel_ends(cancel, wait.ctx))
			return -ECANCELED;
		if (try_take(s, n))
			return 0;
	}
	struct place place = {.node = FL__NODE(&wait)};
	return line_up(s, &place.node, n, n) ? await(s, &place, deadline, cancel) : 0;
}

__attribute__((noinline, cold)) static int acquire_slow(fl_sem *s, uint32_t n, int64_t deadline, fl_cancel *cancel)
{
	struct fl__debug_op op;
	fl__debug_wait_begin(&op, s, FL__DEBUG_SEM);
	const int rc = acquire_waiting(s, n, deadline, cancel);
	fl__debug_wait_end(&op);
	return rc;
}

static _Noreturn void too_many(const fl_sem *s)
{
	fl__panic("fl_sem_release", s, s->bound_ ? "more permits than its bound" : "more than FL_SEM_MAX permits");
}

enum release { DONE, AGAIN, TOO_MANY };

/* Serves the line, and adds what is left; or finds, in the word as it is `now`, that it has no WAITERS any more. */
static enum release release_waking(fl_sem *s, uint32_t n, uint32_t *now)
{
	struct fl__lot lot;
	enum release result = AGAIN;
	fl__lot_open(&lot, s);
	*now =
	    fl__load_relaxed(&s->word_); /* relaxed: WAITERS changes under the lot alone; the CAS decides on the rest */
	if (*now & WAITERS)
		result = settle(s, &lot, n) ? DONE : TOO_MANY;
	fl__lot_close(&lot);
	return result;
}

/* Whether a word has room for `n` permits, and no WAITERS, which is above any bound. */
static bool has_room(const fl_sem *s, uint32_t word, uint32_t n)
{
	const uint32_t bound = bound_of(s);
	return word <= bound && n <= bound - word;
}

/* 0; -EOVERFLOW: `n` are too many, and none was given. */
__attribute__((noinline, cold)) static int release_slow(fl_sem *s, uint32_t n)
{
	enum release result = AGAIN;
	uint32_t seen = fl__load_relaxed(&s->word_); /* relaxed: the CAS decides */
	while (result == AGAIN) {
		if (seen & WAITERS) {
			result = release_waking(s, n, &seen);
		} else if (!has_room(s, seen, n)) {
			result = TOO_MANY;
		} else if (fl__cas_weak_release(&s->word_, &seen, seen + n)) {
			/* release: pairs with the acquire of try_take() and line_up() */
			result = DONE;
		}
	}
	return result == TOO_MANY ? -EOVERFLOW : 0;
}

int fl_sem_init(fl_sem *s, uint32_t permits)
{
	if (permits > FL_SEM_MAX)
		return -EINVAL;
	*s = (fl_sem)FL_SEM_INIT(permits);
	return 0;
}

int fl_sem_init_bounded(fl_sem *s, uint32_t permits, uint32_t bound)
{
	if (bound == 0 || bound > FL_SEM_MAX || permits > bound)
		return -EINVAL;
	*s = (fl_sem){permits, bound};
	return 0;
}

int fl_sem_destroy(fl_sem *s)
{
	return fl__lot_waited(s) ? -EBUSY : 0;
}

int fl_sem_acquire_n_until(fl_sem *s, uint32_t n, int64_t deadline, fl_cancel *cancel)
{
	if (n > bound_of(s))
		return -EINVAL;
	return n == 0 || try_take(s, n) ? 0 : acquire_slow(s, n, deadline, cancel);
}

int fl_sem_acquire_n(fl_sem *s, uint32_t n)
{
	return fl_sem_acquire_n_until(s, n, FL_FOREVER, NULL);
}

int fl_sem_try_acquire_n(fl_sem *s, uint32_t n)
{
	if (n > bound_of(s))
		return -EINVAL;
	if (n == 0 || try_take(s, n))
		return 0;
	/* relaxed: a hint. Enough, but for WAITERS: whether anybody stands there */
	const bool may_be_stale = permits_of(fl__load_relaxed(&s->word_)) >= n;
	return may_be_stale && !line_up(s, NULL, n, n) ? 0 : -EAGAIN;
}

int fl_sem_acquire_until(fl_sem *s, int64_t deadline, fl_cancel *cancel)
{
	return try_take(s, 1) ? 0 : acquire_slow(s, 1, deadline, cancel);
}

int fl_sem_acquire(fl_sem *s)
{
	return fl_sem_acquire_until(s, FL_FOREVER, NULL);
}

int fl_sem_try_acquire(fl_sem *s)
{
	return try_take(s, 1) ? 0 : fl_sem_try_acquire_n(s, 1);
}

int fl_sem_try_release_n(fl_sem *s, uint32_t n)
{
	uint32_t seen = fl__load_relaxed(&s->word_); /* relaxed: the CAS decides */
	/* release: pairs with the acquire of try_take() and line_up() */
	if (n == 0 || (has_room(s, seen, n) && fl__cas_weak_release(&s->word_, &seen, seen + n)))
		return 0;
	return release_slow(s, n);
}

int fl_sem_try_release(fl_sem *s)
{
	return fl_sem_try_release_n(s, 1);
}

void fl_sem_release_n(fl_sem *s, uint32_t n)
{
	if (fl_sem_try_release_n(s, n) != 0)
		too_many(s);
}

void fl_sem_release(fl_sem *s)
{
	uint32_t seen = fl__load_relaxed(&s->word_); /* relaxed: the CAS decides */
	/* As has_room(), with a branch less: where there is no bound, one less than that is above all. release: as above */
	if (__builtin_expect(seen < FL_SEM_MAX && seen <= s->bound_ - 1, 1) &&
	    fl__cas_weak_release(&s->word_, &seen, seen + 1))
		return;
	if (release_slow(s, 1) != 0)
		too_many(s);
}

/* Whether a permit fits. With WAITERS, whose turn it is may be about to have some: no more is known than that they can be counted. */
static bool may_fit(const fl_sem *s, uint32_t word)
{
	return permits_of(word) < (word & WAITERS ? FL_SEM_MAX : bound_of(s));
}

void fl_sem_release_in_handler(fl_sem *s)
{
	uint32_t seen = fl__load_relaxed(&s->word_); /* relaxed: the CAS decides */
	do {
		if (!may_fit(s, seen))
			too_many(s);
		/* release: pairs with the acquire of try_take(), line_up() and settle() */
	} while (!fl__cas_weak_release(&s->word_, &seen, seen + 1));
	if (seen & WAITERS)
		fl__lot_serve_in_handler(s);
}

uint32_t fl_sem_value(const fl_sem *s)
{
	return permits_of(fl__load_relaxed(&s->word_)); /* relaxed: out of date when it returns */
}

static bool on_ready(void *object)
{
	const fl_sem *s = object;
	uint32_t seen = fl__load_acquire(&s->word_); /* pairs with the release in fl_sem_try_release_n() */
	return seen > 0 && !(seen & WAITERS);
}

static bool on_arm(void *object, struct fl__node *node)
{
	return line_up(object, node, 1, 0);
}

const fl_on_type fl__on_sem = {on_ready, on_arm, fl__node_disarm, NULL};
