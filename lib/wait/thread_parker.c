/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The parker of threads: one word per wait, and a futex on it.
 *
 *   park_word     meaning                             set by                          cleared by
 *   0 EMPTY       no unpark, not asleep               fl__wait_begin()                -
 *   1 UNPARKED    unparked, for good                  unpark(), swap                  nobody
 *   3 ASLEEP      the thread is or goes to sleep      park(), CAS from EMPTY          unpark(); park() at its deadline
 *
 * The unpark's swap is its last access to the wait; the futex_wake after it uses the address alone and may hit memory that
 * is gone (EFAULT) or another futex (a spurious wake, which every sleeper tolerates). ASLEEP is no value of lock.c's words,
 * so that a debugger can tell who sleeps on what.
 *
 * The spin. A futex wake across cores costs 25 us on a virtual machine, one on the same core 2 us, a spin hand-off 0.3 us
 * when the partner runs on another core, and for ever when it waits for this one. So a waiter looks some times, then
 * yields between looks, for a bounded time, and only then sleeps. Two bounds follow success, each context's own:
 *
 *   time     halves when the spin was in vain, down to SPIN_LEAST, and doubles when it paid, up to SPIN_MOST, which is about
 *            the cost of the wake it saves (so a wait costs at most twice the best choice in hindsight: Karlin et al., 1991)
 *   looks    before the first yield: doubles, up to LOOKS_MOST, when one of them found it, for then the partner runs on another
 *            core; halves, down to LOOKS_LEAST, when it took a yield, for then the partner may have waited for this core, where
 *            looks alone are lost time. They are LOOKS_MOST again in one spin of TRIAL, to find out that partners have moved.
 */
#include "../base/atomic.h"
#include "../base/sys.h"
#include "lot.h"
#include <errno.h>
#include <fairlead/time.h>

enum { EMPTY = 0, UNPARKED = 1, ASLEEP = 3 };
enum { LOOKS_LEAST = 4, LOOKS_MOST = 64, TRIAL = 64 };
enum { SPIN_LEAST = 2000, SPIN_MOST = 25000 }; /* in ns */

/* The looks before the first yield. */
static bool look_at_once(struct fl__ctx *ctx, bool (*look)(const void *what), const void *what)
{
	unsigned looks = ctx->spins++ % TRIAL == 0 ? LOOKS_MOST : ctx->looks;
	for (unsigned i = 0; i < looks; i++) {
		if (look(what)) {
			ctx->looks = 2 * looks < LOOKS_MOST ? 2 * looks : LOOKS_MOST;
			return true;
		}
		fl__sys.relax();
	}
	ctx->looks = looks / 2 > LOOKS_LEAST ? looks / 2 : LOOKS_LEAST;
	return false;
}

bool fl__spin(struct fl__ctx *ctx, bool (*look)(const void *what), const void *what, int64_t deadline)
{
	if (look_at_once(ctx, look, what))
		return true;
	if (ctx->spin_ns == 0)
		ctx->spin_ns = SPIN_MOST;
	int64_t now = fl__sys.now();
	int64_t limit = fl__min_deadline(now + ctx->spin_ns, deadline);
	for (; now < limit; now = fl__sys.now()) {
		fl__sys.yield();
		if (look(what)) {
			ctx->spin_ns = fl__min_deadline(2 * ctx->spin_ns, SPIN_MOST);
			return true;
		}
	}
	ctx->spin_ns = ctx->spin_ns / 2 > SPIN_LEAST ? ctx->spin_ns / 2 : SPIN_LEAST;
	return false;
}

static bool unparked(const void *wait)
{
	/* relaxed: park() acquires, once it has seen it */
	return fl__load_relaxed(&((const struct fl__wait *)wait)->park_word) == UNPARKED;
}

/* Sleeps until the unpark or the deadline; true when there was an unpark. */
static bool sleep_until(struct fl__wait *wait, int64_t deadline)
{
	uint32_t expected = EMPTY;
	/* relaxed: nothing is published by going to sleep; what the unpark publishes park() acquires */
	if (!fl__cas_relaxed(&wait->park_word, &expected, ASLEEP))
		return true;
	while (!unparked(wait)) {
		/* Whatever it answers: the word says whether there was an unpark, and the clock whether time is up. */
		(void)fl__sys.futex_wait(&wait->park_word, ASLEEP, deadline);
		expected = ASLEEP;
		if (fl__is_past(deadline) && fl__cas_relaxed(&wait->park_word, &expected, EMPTY)) /* relaxed: as above */
			return false;
	}
	return true;
}

static int park(struct fl__wait *wait, int64_t deadline)
{
	if ((wait->patient || !fl__spin(wait->ctx, unparked, wait, deadline)) && !sleep_until(wait, deadline))
		return -ETIMEDOUT;
	(void)fl__load_acquire(&wait->park_word); /* pairs with the swap in unpark(), whichever access saw it */
	return 0;
}

static void unpark(struct fl__wait *wait)
{
	/* release: what the waker wrote; pairs with unparked(). The last access to the wait. */
	if (fl__swap_release(&wait->park_word, UNPARKED) == ASLEEP)
		(void)fl__sys.futex_wake(&wait->park_word, 1);
}

const struct fl__ctx_ops fl__thread_parker = {park, unpark, unpark, NULL, NULL};
