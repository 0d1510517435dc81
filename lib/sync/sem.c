/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The semaphore: permits in the low 31 bits, WAITERS in the top one.
 *
 *   field       meaning                     changed by
 *   permits     free ones                   acquire: CAS - 1; release: CAS + n
 *   WAITERS     somebody may be in line     set by line_up() under the lot, while there is no permit;
 *                                           cleared by release_waking() under the lot, when the line is empty
 *
 * Invariants
 *   1. Linearization: acquire, its CAS, or the take that hands it a permit; release, its CAS (the last access), which for
 *      the permits that it hands over comes in the same transaction as the takes.
 *   2. Permits are conserved: release(n) = n handed over + added; who gave up was not taken, so it holds none.
 *   3. Nobody sleeps beside a free permit: a node enters the line only while permits == 0, in a transaction that also sets
 *      WAITERS; with WAITERS set, permits are added only in a transaction that has first served the line. So the word is
 *      permits or WAITERS, never both, and with WAITERS set it changes only under the lot.
 *
 * Safe mistake: WAITERS without a line sends one release the slow way.
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

static bool try_take(fl_sem *s)
{
	uint32_t seen = fl__load_relaxed(&s->word_); /* relaxed: the CAS decides */
	while (permits_of(seen) > 0)
		if (fl__cas_weak_acquire(&s->word_, &seen, seen - 1)) /* pairs with the release in fl_sem_release_n() */
			return true;
	return false;
}

/* Goes in line; false when there were permits, of which it took `take`. */
static bool line_up(fl_sem *s, struct fl__node *node, uint32_t take)
{
	struct fl__lot lot;
	fl__lot_open(&lot, s);
	uint32_t seen = fl__load_relaxed(&s->word_); /* relaxed: the CAS decides */
	for (;;) {
		uint32_t next = permits_of(seen) > 0 ? seen - take : WAITERS;
		/* acquire: for a permit, pairs with the release in fl_sem_release_n() */
		if (fl__cas_weak_acquire(&s->word_, &seen, next))
			break;
	}
	bool waits = permits_of(seen) == 0;
	if (waits)
		fl__lot_add(&lot, node);
	fl__lot_close(&lot);
	return waits;
}

/* There is a permit; or somebody stands in line, so that this one has to, too. */
static bool is_decided(const void *what)
{
	const fl_sem *s = what;
	return fl__load_relaxed(&s->word_) != 0; /* relaxed: try_take() and line_up() acquire */
}

static int acquire_slow(fl_sem *s, int64_t deadline, fl_cancel *cancel)
{
	struct fl__wait wait;
	fl__wait_begin(&wait);
	if (fl__wait_look(&wait, is_decided, s, deadline, cancel) && try_take(s))
		return 0;
	struct fl__node node = FL__NODE(&wait);
	if (!line_up(s, &node, 1))
		return 0;
	int rc = fl__wait_sleep(&wait, deadline, cancel);
	if (rc != 0)
		fl__lot_leave(&node);
	return rc;
}

/* The word with `n` permits more; panics when there are too many. */
static uint32_t add_permits(const fl_sem *s, uint32_t word, uint32_t n)
{
	if (n > FL_SEM_MAX - permits_of(word))
		fl__panic("fl_sem_release", s, "more than FL_SEM_MAX permits");
	return word + n;
}

/* Serves the line, and adds what is left; false when WAITERS was gone before it came to it. */
static bool release_waking(fl_sem *s, uint32_t n)
{
	struct fl__lot lot;
	fl__lot_open(&lot, s);
	/* relaxed: WAITERS changes under the lot alone, and while it is set nothing else of the word does (invariant 3) */
	bool waited = fl__load_relaxed(&s->word_) & WAITERS;
	if (waited) {
		uint32_t left = n - (uint32_t)fl__lot_take(&lot, n, 0);
		/* release: pairs with the acquire of try_take() and line_up(); the last access */
		fl__store_release(&s->word_, fl__lot_more(&lot) ? WAITERS : left);
	}
	fl__lot_close(&lot);
	return waited;
}

int fl_sem_init(fl_sem *s, uint32_t permits)
{
	if (permits > FL_SEM_MAX)
		return -EINVAL;
	s->word_ = permits;
	return 0;
}

int fl_sem_destroy(fl_sem *s)
{
	return fl__lot_waited(s) ? -EBUSY : 0;
}

int fl_sem_acquire_until(fl_sem *s, int64_t deadline, fl_cancel *cancel)
{
	return try_take(s) ? 0 : acquire_slow(s, deadline, cancel);
}

int fl_sem_acquire(fl_sem *s)
{
	return fl_sem_acquire_until(s, FL_FOREVER, NULL);
}

int fl_sem_try_acquire(fl_sem *s)
{
	return try_take(s) ? 0 : -EAGAIN;
}

void fl_sem_release_n(fl_sem *s, uint32_t n)
{
	if (n == 0)
		return;
	uint32_t seen = fl__load_relaxed(&s->word_); /* relaxed: the CAS decides */
	for (;;) {
		uint32_t next = add_permits(s, seen, n);
		/* release: pairs with the acquire of try_take() and line_up() */
		if (!(seen & WAITERS) && fl__cas_weak_release(&s->word_, &seen, next))
			return;
		if ((seen & WAITERS) && release_waking(s, n))
			return;
		seen = fl__load_relaxed(&s->word_); /* relaxed: as above */
	}
}

void fl_sem_release(fl_sem *s)
{
	fl_sem_release_n(s, 1);
}

uint32_t fl_sem_value(const fl_sem *s)
{
	return permits_of(fl__load_relaxed(&s->word_)); /* relaxed: out of date when it returns */
}

static bool on_ready(void *object)
{
	const fl_sem *s = object;
	return permits_of(fl__load_acquire(&s->word_)) > 0; /* pairs with the release in fl_sem_release_n() */
}

static bool on_arm(void *object, struct fl__node *node)
{
	return line_up(object, node, 0);
}

const fl_on_type fl__on_sem = {on_ready, on_arm, fl__node_disarm, NULL};
