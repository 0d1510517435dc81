/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The eventcount, after Reed and Kanodia (1979), Vyukov's of 2008 and folly's EventCount. It differs in that nobody counts
 * waiters: a flag says that there may be some, and a notification that sees it takes it back.
 *
 *   field       meaning                                        set by                          cleared by
 *   WAITERS     somebody has prepared since the last change    prepare(): or                   notify_slow(), with a change
 *               of the epoch, or stands in line                                                of the epoch
 *   LINE        somebody stands in line, or has given up       line_up(), under the lot:       notify_slow(), under the lot,
 *               there; with WAITERS                            CAS, while the epoch is his     when the line is empty
 *   epoch       notifications that saw WAITERS; in steps       notify_slow(): CAS; with LINE   -
 *   (the rest)  of EPOCH                                       a store, under the lot
 *
 * Invariants
 *   1. With LINE set the word changes only under the lot. WAITERS and LINE are cleared only together with a change of the epoch.
 *   2. Dekker (waiter_flag_dekker). The waiter sets WAITERS, fences, looks at the condition; the notifier changes the
 *      condition, fences, looks at WAITERS. The fences are in one order: if the waiter's is first, the notifier sees WAITERS
 *      or an epoch that came after it; if the notifier's is first, the waiter sees the condition.
 *   3. A node enters the line only while the epoch is that of its key, and LINE is set before; so by 1 LINE is set while it is
 *      there, and whoever prepared before a change of the epoch either was in line at that change, and is taken then or
 *      later, or never enters it.
 *   4. Linearization: notify, the change of the epoch, in the same transaction as the takes if there is a line, or its load of
 *      the word when nobody waits; wait, the take, or its look at the epoch.
 *
 * A thread looks at the epoch for a while before it stands in line. Who notifies meanwhile visits no bucket, and ends the
 * waits of all who look: for them one is as good as all.
 *
 * The epoch has 62 bits: at one notification a nanosecond it is back at a key after 146 years. (With 32 bits a waiter that is kept
 * from its CPU between prepare and wait could sleep through 2^32 of them.)
 *
 * Safe mistake: WAITERS without waiters (they found the condition true, or gave up) sends one notification the slow way.
 */
#include "../base/atomic.h"
#include "../wait/lot.h"
#include <errno.h>
#include <fairlead/eventcount.h>
#include <fairlead/time.h>

enum { WAITERS = 1, LINE = 2, EPOCH = 4 };

static uint64_t epoch_of(uint64_t word)
{
	return word & ~(uint64_t)(EPOCH - 1);
}

/* Whether there was a notification after the prepare that made `key`. */
static bool is_over(const fl_eventcount *ec, fl_eventcount_key key)
{
	return epoch_of(fl__load_acquire(&ec->word_)) !=
	       key; /* pairs with the fence in notify(), through notify_slow() */
}

void fl_eventcount_init(fl_eventcount *ec)
{
	ec->word_ = 0;
}

int fl_eventcount_destroy(fl_eventcount *ec)
{
	return fl__lot_waited(ec) ? -EBUSY : 0;
}

fl_eventcount_key fl_eventcount_prepare(fl_eventcount *ec)
{
	uint64_t seen = fl__or_relaxed(&ec->word_, WAITERS); /* relaxed: the fence orders it */
	fl__fence_seq_cst();                                 /* invariant 2; pairs with that in notify() */
	return epoch_of(seen);
}

/* Goes in line; false: the wait is over. */
static bool line_up(fl_eventcount *ec, fl_eventcount_key key, struct fl__node *node)
{
	struct fl__lot lot;
	fl__lot_open(&lot, ec);
	uint64_t seen = fl__load_relaxed(&ec->word_); /* relaxed: the CAS decides */
	bool waits;
	do
		waits = epoch_of(seen) == key;
	/* relaxed: a mark for notify_slow(), which then comes to the lot */
	while (waits && !fl__cas_weak_relaxed(&ec->word_, &seen, seen | LINE));
	if (waits)
		fl__lot_add(&lot, node);
	fl__lot_close(&lot);
	if (!waits)
		(void)fl__load_acquire(&ec->word_); /* as in is_over() */
	return waits;
}

struct watch {
	const fl_eventcount *eventcount;
	fl_eventcount_key key;
};

static bool is_changed(const void *what)
{
	const struct watch *watch = what;
	/* relaxed: who has seen it acquires in is_over() */
	return epoch_of(fl__load_relaxed(&watch->eventcount->word_)) != watch->key;
}

int fl_eventcount_wait_until(fl_eventcount *ec, fl_eventcount_key key, int64_t deadline, fl_cancel *cancel)
{
	if (is_over(ec, key))
		return 0;
	struct fl__wait wait;
	fl__wait_begin(&wait);
	const struct watch watch = {ec, key};
	if (fl__wait_look(&wait, is_changed, &watch, deadline, cancel) && is_over(ec, key))
		return 0;
	struct fl__node node = FL__NODE(&wait);
	if (!line_up(ec, key, &node))
		return 0;
	int rc = fl__wait_sleep(&wait, deadline, cancel);
	if (rc != 0)
		fl__lot_leave(&node);
	return rc;
}

int fl_eventcount_wait(fl_eventcount *ec, fl_eventcount_key key)
{
	return fl_eventcount_wait_until(ec, key, FL_FOREVER, NULL);
}

int fl_eventcount_try_wait(fl_eventcount *ec, fl_eventcount_key key)
{
	return is_over(ec, key) ? 0 : -EAGAIN;
}

/* With somebody in line: true; false when LINE was gone before it came to it. */
static bool notify_line(fl_eventcount *ec, size_t max)
{
	struct fl__lot lot;
	fl__lot_open(&lot, ec);
	const uint64_t seen = fl__load_relaxed(&ec->word_); /* relaxed: invariant 1 */
	if (seen & LINE) {
		fl__lot_take(&lot, max, 0);
		fl__tsan_release(&ec->word_);
		/* relaxed: the fence in notify() releases what came before; pairs with is_over(). The last access. */
		fl__store_relaxed(&ec->word_, epoch_of(seen) + EPOCH + (fl__lot_more(&lot) ? WAITERS | LINE : 0));
	}
	fl__lot_close(&lot);
	return seen & LINE;
}

__attribute__((noinline, cold)) static void notify_slow(fl_eventcount *ec, size_t max)
{
	/* relaxed: the CAS decides; without WAITERS, invariant 2 holds for this load, too */
	uint64_t seen = fl__load_relaxed(&ec->word_);
	while (seen & WAITERS) {
		if (!(seen & LINE)) {
			fl__tsan_release(&ec->word_);
			/* relaxed: as in notify_line(), also the last access */
			if (fl__cas_weak_relaxed(&ec->word_, &seen, epoch_of(seen) + EPOCH))
				return;
		} else if (notify_line(ec, max)) {
			return;
		} else {
			seen = fl__load_relaxed(&ec->word_); /* relaxed: as above */
		}
	}
}

static void notify(fl_eventcount *ec, size_t max)
{
	fl__fence_seq_cst(); /* invariant 2; pairs with that in fl_eventcount_prepare(), and with is_over() */
	/* relaxed: the fence orders it */
	if (__builtin_expect(fl__load_relaxed(&ec->word_) & WAITERS, 0))
		notify_slow(ec, max);
}

void fl_eventcount_notify(fl_eventcount *ec)
{
	notify(ec, 1);
}

void fl_eventcount_notify_all(fl_eventcount *ec)
{
	notify(ec, FL__ALL);
}

static bool on_ready(void *object)
{
	const fl_eventcount_watch *watch = object;
	return is_over(watch->eventcount, watch->key);
}

static bool on_arm(void *object, struct fl__node *node)
{
	const fl_eventcount_watch *watch = object;
	return line_up(watch->eventcount, watch->key, node);
}

const fl_on_type fl__on_eventcount = {on_ready, on_arm, fl__node_disarm, NULL};
