/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The parker of threads. It has one word for each wait, which is also the futex on which the thread
 * sleeps, unless the wait has a common futex.
 *
 *   PARKER_      meaning                        set by                  cleared by
 *   0 EMPTY      no unpark yet, not asleep      fl__wait_begin(); the   fl__thread_unpark();
 *                                               thread at its deadline  parker_sleep_until()
 *   1 UNPARKED   unparked, for good             fl__thread_unpark(),    -
 *                                               swap; before a park,
 *                                               cond_wake_spinner(),
 *                                               store
 *   3 ASLEEP     the thread sleeps, or is       parker_sleep_until(),   fl__thread_unpark(); the
 *                about to                       CAS from EMPTY          thread at its deadline
 *
 * Rules
 *   1. The swap in fl__thread_unpark() is the last access to the wait. A futex_wake of the wait's
 *      word after the swap only uses its address. If the memory was freed, this wakes no thread. If
 *      it contains another futex by then, that futex's sleepers tolerate the spurious wakeup.
 *   2. The swap releases, and parker_park() acquires with a load after it has seen UNPARKED.
 *      Therefore every other access to the word may be relaxed.
 *   3. Waits that end together have a common futex, which is part of the static parking lot, so
 *      that one system call wakes all of them. At a barrier, 16 threads next to busy loops then
 *      take half of the time for a round. The call also spuriously wakes the sleepers of other
 *      waits of the bucket that have the common futex. The waking thread first unparks all waits,
 *      then changes the futex's word, and then wakes. A sleeper reads the futex's word, and then
 *      its own word. If its own word is not UNPARKED yet, the futex's word has yet to change, and
 *      that change ends the sleep. Only lot_unpark_all() unparks waits with a common futex.
 *   4. ASLEEP differs from the values with which a thread sleeps on a lock of lock.c, so that a
 *      debugger can tell the sleepers apart.
 *
 * Spinning before the sleep. The partner is the thread that ends the wait. A spin has two phases,
 * which adapt to earlier waits of the context:
 *
 *   pauses   some polls with a pause between them. Their number doubles, up to PARKER_POLLS_MOST,
 *            when a poll succeeds, because then the partner runs on another CPU. It halves, down to
 *            PARKER_POLLS_LEAST, when all polls fail, because the partner may need this CPU.
 *   yields   polls with a yield between them, for `spin_ns`. That time doubles after a success, up
 *            to PARKER_SPIN_MOST. It halves after a failure, down to PARKER_SPIN_LEAST, unless the
 *            deadline ended the spin.
 *
 * A thread that slept learns from the waking thread the time T from the beginning of its second
 * phase to the unpark. If the second phase succeeds, T is the duration of that phase. The gain of a
 * wait is PARKER_SPIN_MOST - T, because a sleep is assumed to cost PARKER_SPIN_MOST, and a spin
 * that lasts until the unpark costs T. The gain is at least -PARKER_SPIN_MOST. It is added to
 * `saved`, the sum of the gains, which stays between -PARKER_SPIN_MOST and PARKER_SAVED_MOST. After
 * a wait with a positive sum, `spin_ns` is PARKER_SPIN_MOST. If the sum is negative and `spin_ns`
 * is PARKER_SPIN_LEAST, there is no second phase, because on Linux 6.18 a thread that has yielded
 * preempts others less often when it is woken. A failed spin from which the thread learns nothing
 * sets `saved` to 0.
 *
 * A pause cannot help a partner that needs this CPU. Therefore, while yields are barred
 * (base/yield.c), a thread that was last woken by a thread on its own CPU (`waker_on_this_cpu`)
 * polls only once. But because the partner may have moved to another CPU since then, each
 * PARKER_TRIAL-th spin runs the first phase nevertheless, with the most polls.
 *
 * Why a thread spins. Waking a thread on another CPU costs 5 to 30 us on the machines of
 * bench/results, but a hand-off to a spinning thread costs far less than 1 us. So a wait must spin,
 * but not for long: each wait that lets other threads run calls fl__sys.give_way(), and a wait that
 * may be long ends in a sleep. A thread that waits for one word (a permit, an event, a latch) polls
 * that word for a while before it enqueues itself, so that a release in that time is one CAS and
 * visits no bucket. Waiters are first in, first out, from the enqueue on, and a thread does not
 * spin on the word while the queue has waiters. docs/decisions/adaptive-spin.md has the bound of
 * the costs, and the alternatives.
 */
#include "../base/atomic.h"
#include "../base/sys.h"
#include "lot.h"
#include <limits.h>

enum { PARKER_EMPTY = 0, PARKER_UNPARKED = 1, PARKER_ASLEEP = 3 };
enum { PARKER_POLLS_LEAST = 4, PARKER_POLLS_MOST = 64, PARKER_TRIAL = 64 };
enum { PARKER_SPIN_LEAST = 2000, PARKER_SPIN_MOST = 40000 }; /* in ns */
enum { PARKER_SAVED_MOST = 2 * PARKER_SPIN_MOST };

static bool parker_spin_with_pauses(struct fl__ctx *ctx, bool (*is_ready)(const void *what), const void *what,
                                    bool trial)
{
	const unsigned polls = trial ? PARKER_POLLS_MOST : ctx->polls;
	for (unsigned i = 0; i < polls; i++) {
		if (is_ready(what)) {
			ctx->polls = FL__MIN(2 * polls, PARKER_POLLS_MOST);
			ctx->waker_on_this_cpu = false;
			return true;
		}
		fl__sys.relax();
	}
	ctx->polls = FL__MAX(ctx->polls / 2, PARKER_POLLS_LEAST);
	return false;
}

/* `needed` is how long a second phase would have taken until the end of the wait. */
static void parker_learn(struct fl__ctx *ctx, uint32_t needed)
{
	enum { MOST = PARKER_SPIN_MOST };
	const int32_t saved = ctx->saved + MOST - (int32_t)FL__MIN(needed, 2 * MOST);
	ctx->saved = saved > PARKER_SAVED_MOST ? PARKER_SAVED_MOST : saved < -MOST ? -MOST : saved;
	if (saved > 0)
		ctx->spin_ns = MOST;
	ctx->spun_at = 0;
}

static bool parker_spin_with_yields(struct fl__ctx *ctx, bool (*is_ready)(const void *what), const void *what,
                                    fl_time deadline)
{
	if (ctx->spin_ns == 0)
		ctx->spin_ns = PARKER_SPIN_MOST;
	int64_t now = fl__sys.now();
	ctx->spun_at = (uint32_t)now | 1;
	if (ctx->saved < 0 && ctx->spin_ns == PARKER_SPIN_LEAST)
		return false;
	const int64_t begin = now, end = now + ctx->spin_ns, limit = fl__min_deadline(end, fl__expiry(deadline));
	while (now < limit) {
		now = fl__sys.give_way(now);
		if (is_ready(what)) {
			parker_learn(ctx, (uint32_t)(now - begin));
			ctx->spin_ns = FL__MIN(2 * ctx->spin_ns, PARKER_SPIN_MOST);
			return true;
		}
	}
	if (limit == end) /* otherwise the deadline ended the spin */
		ctx->spin_ns = FL__MAX(ctx->spin_ns / 2, PARKER_SPIN_LEAST);
	return false;
}

bool fl__spin(struct fl__ctx *ctx, bool (*is_ready)(const void *what), const void *what, fl_time deadline)
{
	if (!fl__may_poll())
		return is_ready(what);
	const bool trial = ctx->spins++ % PARKER_TRIAL == 0;
	if (ctx->spun_at != 0) /* nothing was learned from the last failed spin */
		ctx->saved = 0;
	ctx->spun_at = 0;
	/* The partner probably needs this CPU. */
	if (ctx->waker_on_this_cpu && fl__yields_are_barred(fl__sys.now()))
		return trial ? parker_spin_with_pauses(ctx, is_ready, what, true) : is_ready(what);
	return parker_spin_with_pauses(ctx, is_ready, what, trial) ||
	       parker_spin_with_yields(ctx, is_ready, what, deadline);
}

static bool parker_is_unparked(const void *wait)
{
	/* relaxed: rule 2 */
	return fl__load_relaxed(&((const struct fl__wait *)wait)->park_word) == PARKER_UNPARKED;
}

/* Returns true when the wait was unparked, or false if its deadline passed first. */
static bool parker_sleep_until(struct fl__wait *wait, fl_time deadline)
{
	uint32_t expected = PARKER_EMPTY;
	/* relaxed: the CAS publishes nothing, and parker_park() acquires (rule 2) */
	if (!fl__cas_relaxed(&wait->park_word, &expected, PARKER_ASLEEP))
		return true;
	const struct fl__worker_ops *worker = wait->ctx->worker_ops;
	int64_t doze_at = worker && worker->doze ? fl__sys.now() + FL__DOZE_AFTER : FL__NEVER;
	bool unparked = false, dozes = false;
	const uint32_t *futex = fl__wait_futex(wait);
	for (;;) {
		/*
		 * acquire: pairs with the release in fl__thread_wake_together(), and keeps this
		 * load before the load of the wait's word (rule 3)
		 */
		const uint32_t seen = fl__load_acquire(futex);
		if ((unparked = parker_is_unparked(wait)))
			break;
		/* The result is ignored, because the loop checks the word and the clock. */
		(void)fl__sys.futex_wait(futex, seen, fl__min_deadline(fl__expiry(deadline), doze_at));
		expected = PARKER_ASLEEP;
		if (fl__is_expired(deadline) &&
		    fl__cas_relaxed(&wait->park_word, &expected, PARKER_EMPTY)) /* relaxed: rule 2 */
			break;
		if (doze_at != FL__NEVER && doze_at <= fl__sys.now()) {
			doze_at = worker->doze(wait, true);
			dozes = true;
		}
	}
	if (dozes)
		(void)worker->doze(wait, false);
	return unparked;
}

static int parker_park(struct fl__wait *wait, fl_time deadline)
{
	if ((wait->no_spin || !fl__spin(wait->ctx, parker_is_unparked, wait, deadline)) &&
	    !parker_sleep_until(wait, deadline))
		return -ETIMEDOUT;
	/*
	 * acquire: pairs with the release in fl__thread_unpark(). A relaxed load or CAS saw the
	 * value before.
	 */
	(void)fl__load_acquire(&wait->park_word);
	if (wait->waker_cpu >= 0) {
		wait->ctx->waker_on_this_cpu = wait->waker_cpu == fl__sys.cpu();
		if (wait->ctx->spun_at != 0)
			parker_learn(wait->ctx, wait->unparked_at - wait->ctx->spun_at);
	}
	return 0;
}

bool fl__thread_unpark(struct fl__wait *wait)
{
	/* relaxed: a stale value only costs what the waiter would learn from these fields */
	if (fl__load_relaxed(&wait->park_word) == PARKER_ASLEEP) {
		wait->unparked_at = (uint32_t)fl__sys.now();
		wait->waker_cpu = (int16_t)fl__sys.cpu();
	}
	/*
	 * release: pairs with the acquire in parker_park(), for all that the waking thread wrote.
	 * This is the last access to the wait (rule 1).
	 */
	return fl__swap_release(&wait->park_word, PARKER_UNPARKED) == PARKER_ASLEEP;
}

void fl__thread_wake_together(uint32_t *common)
{
	/*
	 * release: pairs with the acquire in parker_sleep_until(). A sleeper that sees this number
	 * sees the unparks (rule 3).
	 */
	(void)fl__add_release(common, 1);
	(void)fl__sys.futex_wake(common, INT_MAX);
}

static void parker_unpark(struct fl__wait *wait)
{
	if (fl__thread_unpark(wait))
		(void)fl__sys.futex_wake(&wait->park_word, 1);
}

const struct fl__ctx_ops fl__thread_parker = {parker_park, parker_unpark, parker_unpark, NULL, NULL};
