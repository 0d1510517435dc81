/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The semaphore: permits in the low 31 bits, WAITERS in the top one.
 *
 *   field       meaning                     changed by
 *   permits     free ones                   acquire: CAS - n, while nobody is in line; release: CAS + n, while nobody is; in a
 *                                           signal handler at any time; settle() under the lot
 *   WAITERS     somebody may be in line     set by line_up() under the lot, while there are too few permits, or a line;
 *                                           cleared by settle() under the lot, when the line is empty
 *   bound_      the most permits; 0: FL_SEM_MAX    by the initialisers alone
 *
 * Invariants
 *   1. Linearization: acquire, its CAS, or the take that hands it its permits; release, its CAS (the last access), which for
 *      the permits that it hands over comes in the same transaction as the takes.
 *   2. Permits are conserved: release(n) = those handed over + those added; who gave up was not taken, so it holds none.
 *   3. Nobody sleeps beside permits that are enough for him, unless others stand before him: a node enters the line only in a
 *      transaction that also sets WAITERS; with WAITERS set the word changes only in a transaction (release, or a waiter that
 *      gives up) that serves the line before it ends; or by a signal handler's CAS, which only adds to the permits, and is
 *      followed by such a transaction, the handler's own or that of whoever it has interrupted or met. So whoever stands first
 *      wants more than there is, when all releases are over.
 *   4. A line means WAITERS. While it is set nobody takes past the line, not even by a try: so who waits for many is not
 *      starved by those who want one.
 *
 * A signal handler's last access to the semaphore is its CAS, too: what follows touches it only if it has a line, and then it
 * is there. (In its place may be another: settle() is right for any.)
 *
 * Safe mistake: WAITERS without a line sends one release, or one try that could succeed, the slow way. So it is in the child
 * of a fork.
 */
#include "../base/atomic.h"
#include "../base/panic.h"
#include "../wait/lot.h"
#include <errno.h>
#include <fairlead/sem.h>
#include <fairlead/time.h>

static const uint32_t WAITERS = 0x80000000u;

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
		if (fl__cas_weak_acquire(&s->word_, &seen, seen - n)) /* pairs with the release in fl_sem_release_n() */
			return true;
	return false;
}

/* For how many permits a node stands in line. An observer takes none, but is woken for one. */
static uint32_t need_of(const struct fl__node *node)
{
	return node->observer ? 1 : node->value;
}

/* Hands over to whose turn it is, from the `left` permits; whether somebody is left in line. */
static bool hand_over(struct fl__lot *lot, uint32_t *left)
{
	const struct fl__node *first;
	while ((first = fl__lot_first(lot)) != NULL && need_of(first) <= *left) {
		const uint32_t need = need_of(first);
		if (fl__lot_take_first(lot, need))
			*left -= need;
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
	bool more = hand_over(lot, &left);
	const bool fits = left <= bound_of(s) && n <= bound_of(s) - left;
	if (fits && n > 0) {
		left += n;
		more = hand_over(lot, &left);
	}
	for (;;) {
		const uint32_t before = permits_of(seen);
		/* release: pairs with the acquire of try_take() and line_up(). acquire: with a signal handler's release */
		if (fl__cas_weak_acq_rel(&s->word_, &seen, left | (more ? WAITERS : 0)))
			return fits;
		left += permits_of(seen) - before; /* a signal handler's: while WAITERS is set nobody else changes it */
		more = hand_over(lot, &left);
	}
}

/* For a signal handler, on behalf of a line that is not empty, so that WAITERS is set. */
static void serve(struct fl__lot *lot)
{
	(void)settle((fl_sem *)(uintptr_t)lot->key, lot, 0);
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
		waits = !alone || permits_of(seen) < need;
		next = permits_of(seen) - take; /* and no WAITERS, which would be a stale one */
		if (waits)
			next = node ? seen | WAITERS : seen;
		/* acquire: for a permit, pairs with the release in fl_sem_release_n() */
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

static int acquire_slow(fl_sem *s, uint32_t n, int64_t deadline, fl_cancel *cancel)
{
	struct fl__wait wait;
	fl__wait_begin(&wait);
	const struct watch watch = {s, n};
	if (!is_decided(&watch) && fl__wait_look(&wait, is_decided, &watch, deadline, cancel) && try_take(s, n))
		return 0;
	struct fl__node node = FL__NODE(&wait);
	if (!line_up(s, &node, n, n))
		return 0;
	int rc = fl__wait_sleep(&wait, deadline, cancel);
	if (rc != 0)
		leave(s, &node);
	return rc;
}

static _Noreturn void too_many(const fl_sem *s)
{
	fl__panic("fl_sem_release", s, s->bound_ ? "more permits than its bound" : "more than FL_SEM_MAX permits");
}

/* The word, which has no WAITERS, with `n` permits more; panics when there are too many. */
static uint32_t add_permits(const fl_sem *s, uint32_t word, uint32_t n)
{
	const uint32_t bound = bound_of(s);
	if (word > bound || n > bound - word)
		too_many(s);
	return word + n;
}

enum release { DONE, AGAIN, TOO_MANY };

/* Serves the line, and adds what is left. */
static enum release release_waking(fl_sem *s, uint32_t n)
{
	struct fl__lot lot;
	enum release result = AGAIN;
	fl__lot_open(&lot, s);
	if (fl__load_relaxed(&s->word_) & WAITERS) /* relaxed: it changes under the lot alone */
		result = settle(s, &lot, n) ? DONE : TOO_MANY;
	fl__lot_close(&lot);
	return result;
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

void fl_sem_release_n(fl_sem *s, uint32_t n)
{
	if (n == 0)
		return;
	uint32_t seen = fl__load_relaxed(&s->word_); /* relaxed: the CAS decides */
	for (;;) {
		if (seen & WAITERS) {
			const enum release result = release_waking(s, n);
			if (result == DONE)
				return;
			if (result == TOO_MANY)
				too_many(s);
			seen = fl__load_relaxed(&s->word_); /* relaxed: as above */
		} else if (fl__cas_weak_release(&s->word_, &seen, add_permits(s, seen, n))) {
			/* release: pairs with the acquire of try_take() and line_up() */
			return;
		}
	}
}

void fl_sem_release(fl_sem *s)
{
	fl_sem_release_n(s, 1);
}

/* Whether a permit fits. With WAITERS, whose turn it is may be about to have some: no more is known than that they can be counted. */
static bool has_room(const fl_sem *s, uint32_t word)
{
	return permits_of(word) < (word & WAITERS ? FL_SEM_MAX : bound_of(s));
}

void fl_sem_release_in_handler(fl_sem *s)
{
	uint32_t seen = fl__load_relaxed(&s->word_); /* relaxed: the CAS decides */
	do {
		if (!has_room(s, seen))
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
	uint32_t seen = fl__load_acquire(&s->word_); /* pairs with the release in fl_sem_release_n() */
	return seen > 0 && !(seen & WAITERS);
}

static bool on_arm(void *object, struct fl__node *node)
{
	return line_up(object, node, 1, 0);
}

const fl_on_type fl__on_sem = {on_ready, on_arm, fl__node_disarm, NULL};
