/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The mutex: a word, and a line in the lot for those who must sleep.
 *
 *   bit         meaning                               set by                                 cleared by
 *   LOCKED      somebody holds it                     lock: CAS                              unlock: CAS, or under the lot
 *   WAITERS     somebody may stand in line            lock_slow(), under the lot             unlock_slow(), under the lot
 *   HAND        reserved: the lock is handed over     -                                      -
 *               to the waiter that is awake
 *   AWAKE       not 0: a waiter was woken for this    unlock_waking(), under the lot: the    that waiter, when it takes the
 *   (the rest)  lock and has neither taken it nor     count of forks plus one                lock (CAS) or goes back in line
 *               gone back in line                                                            (CAS under the lot)
 *
 * Invariants
 *   1. Linearization: lock, the CAS that sets LOCKED; unlock, the CAS or store that clears it, which is also the last
 *      access of the unlock to the mutex.
 *   2. While LOCKED and WAITERS are set, nobody but the holder changes LOCKED, WAITERS is not cleared, and AWAKE is changed
 *      only under the lot. So under the lot the holder may store the word.
 *   3. At most one woken waiter is in flight (AWAKE): an unlock that sees it wakes nobody. The waiter that is awake either
 *      takes the lock, and its own unlock wakes the next; or goes back in line under LOCKED, clearing AWAKE, and the
 *      holder's unlock wakes the next. A waiter whose time is up was not woken (lot.c, invariant 2), so it owes nobody.
 *      So while the mutex is free and somebody stands in line, AWAKE is set.
 *   4. WAITERS is set under the lot only while LOCKED, together with entering the line.
 *
 * A forked child inherits the word, but neither the line nor the waiter that was awake. AWAKE with another count of forks
 * than this process has is nobody's: it counts as 0, and the next unlock that wakes somebody overwrites it.
 *
 * Safe mistake: WAITERS without a line (all gave up) sends one unlock the slow way, which clears it.
 * Fairness: woken in FIFO order; a running thread may overtake the one that is awake. A fiber first lets the others of its thread
 * run: give_way().
 */
#include "../base/atomic.h"
#include "../base/panic.h"
#include "../base/sys.h"
#include "../wait/lot.h"
#include <errno.h>
#include <fairlead/mutex.h>
#include <fairlead/time.h>

enum { LOCKED = 1, WAITERS = 2, AWAKE_UNIT = 8 };
static const uint32_t AWAKE = ~(uint32_t)(AWAKE_UNIT - 1);

/* The AWAKE bits of a waiter that was woken in this process. */
static uint32_t awake_here(void)
{
	/* relaxed: changes in a child alone, before it has threads */
	return (fl__load_relaxed(&fl__fork_count) + 1) * AWAKE_UNIT;
}

/* Whether a waiter is awake that will come for the lock. */
static bool is_one_awake(uint32_t word)
{
	return (word & AWAKE) == awake_here();
}

/* Takes the lock if it is free, giving up the bits `mine`. */
static bool take_if_free(fl_mutex *m, uint32_t mine)
{
	uint32_t seen = fl__load_relaxed(&m->word_); /* relaxed: the CAS decides */
	while (!(seen & LOCKED))
		/* acquire: pairs with the release in unlock */
		if (fl__cas_weak_acquire(&m->word_, &seen, (seen | LOCKED) & ~mine))
			return true;
	return false;
}

/*
 * A holder on another CPU is about to unlock, more often than not: looks a few times, as long as nobody sleeps yet. The
 * pauses double, since each look takes the line of the word away from the holder, who needs it.
 */
static bool take_spinning(fl_mutex *m)
{
	enum { LOOKS = 7 };
	for (int i = 0; i < LOOKS; i++) {
		if (take_if_free(m, 0))
			return true;
		if (fl__load_relaxed(&m->word_) & WAITERS) /* relaxed: a hint */
			return false;
		for (int pauses = 1 << i; pauses > 0; pauses--)
			fl__sys.relax();
	}
	return false;
}

/* Under the lot: goes in line, unless the mutex has become free. */
static bool line_up(fl_mutex *m, struct fl__node *node, uint32_t mine)
{
	struct fl__lot lot;
	fl__lot_open(&lot, m);
	uint32_t seen = fl__load_relaxed(&m->word_); /* relaxed: the CAS decides */
	bool waits = false;
	/* relaxed: the lot's lock orders it before the holder's look at the line */
	while ((seen & LOCKED) && !waits)
		waits = fl__cas_weak_relaxed(&m->word_, &seen, (seen | WAITERS) & ~mine);
	if (waits)
		fl__lot_add(&lot, node);
	fl__lot_close(&lot); /* from here on the node is a waker's: it may be taken already */
	return waits;
}

/*
 * A fiber that unlocks, locks again, and holds the mutex while it waits for other things, would always come before the one that
 * it has woken, which shares its thread: so that comes first.
 */
static void give_way(const fl_mutex *m)
{
	const uint32_t seen = fl__load_relaxed(&m->word_); /* relaxed: a hint */
	if ((seen & LOCKED) || !is_one_awake(seen))
		return;
	const struct fl__ctx *ctx = fl__ctx_get();
	if (ctx->ops->yield)
		ctx->ops->yield();
}

__attribute__((noinline, cold)) static int lock_slow(fl_mutex *m, int64_t deadline, fl_cancel *cancel)
{
	uint32_t mine = 0; /* AWAKE while this waiter is the one that was woken */
	give_way(m);
	if (take_spinning(m))
		return 0;
	for (;;) {
		if (take_if_free(m, mine))
			return 0;
		struct fl__wait wait;
		fl__wait_begin(&wait);
		struct fl__node node = FL__NODE(&wait);
		if (!line_up(m, &node, mine))
			continue;
		int rc = fl__wait_sleep(&wait, deadline, cancel);
		if (rc != 0) {
			fl__lot_leave(&node);
			return rc;
		}
		mine = AWAKE;
	}
}

/* Frees the mutex and wakes the first in line; for the holder, while nobody is awake. */
static void unlock_waking(fl_mutex *m)
{
	struct fl__lot lot;
	fl__lot_open(&lot, m);
	uint32_t free = fl__lot_take(&lot, 1, 0) ? awake_here() : 0;
	if (fl__lot_more(&lot))
		free |= WAITERS;
	fl__store_release(&m->word_, free); /* invariant 2; pairs with the acquire in lock; the last access */
	fl__lot_close(&lot);
}

__attribute__((noinline, cold)) static void unlock_slow(fl_mutex *m)
{
	uint32_t seen = fl__load_relaxed(&m->word_); /* relaxed: ours while we hold it */
	for (;;) {
		if (!(seen & LOCKED))
			fl__panic("fl_mutex_unlock", m, "not locked");
		if ((seen & WAITERS) && !is_one_awake(seen)) {
			unlock_waking(m);
			return;
		}
		/* release: pairs with the acquire in lock; the last access */
		if (fl__cas_weak_release(&m->word_, &seen, seen & ~(uint32_t)LOCKED))
			return;
	}
}

void fl_mutex_init(fl_mutex *m)
{
	m->word_ = 0;
}

int fl_mutex_destroy(fl_mutex *m)
{
	/* acquire: what follows the last unlock; pairs with its release */
	uint32_t seen = fl__load_acquire(&m->word_);
	return (seen & LOCKED) || is_one_awake(seen) || fl__lot_waited(m) ? -EBUSY : 0;
}

void fl_mutex_lock(fl_mutex *m)
{
	uint32_t expected = 0;
	if (__builtin_expect(fl__cas_acquire(&m->word_, &expected, LOCKED), 1)) /* pairs with the release in unlock */
		return;
	(void)lock_slow(m, FL_FOREVER, FL_SHIELDED); /* 0: neither timed nor cancelled */
}

int fl_mutex_try_lock(fl_mutex *m)
{
	return take_if_free(m, 0) ? 0 : -EBUSY;
}

int fl_mutex_lock_until(fl_mutex *m, int64_t deadline, fl_cancel *cancel)
{
	uint32_t expected = 0;
	if (fl__cas_acquire(&m->word_, &expected, LOCKED)) /* pairs with the release in unlock */
		return 0;
	return lock_slow(m, deadline, cancel);
}

void fl_mutex_unlock(fl_mutex *m)
{
	uint32_t expected = LOCKED;
	if (__builtin_expect(fl__cas_release(&m->word_, &expected, 0), 1)) /* pairs with the acquire in lock */
		return;
	unlock_slow(m);
}

bool fl_mutex_is_locked(const fl_mutex *m)
{
	return fl__load_relaxed(&m->word_) & LOCKED; /* relaxed: out of date when it returns */
}
