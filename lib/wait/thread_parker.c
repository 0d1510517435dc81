/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The parker of threads: one word per wait, and a futex on it.
 *
 *   park_word     meaning                           set by                  cleared by
 *   0 EMPTY       no unpark, not asleep             fl__wait_begin()        -
 *   1 UNPARKED    unparked, for good                parker_unpark(), swap          -
 *   3 ASLEEP      the thread sleeps or is about to  parker_park(), CAS from EMPTY  parker_unpark(); parker_park() at its
 *                                                                           deadline
 *
 * The unpark's swap is its last access to the wait. The futex_wake after it uses only the address.
 * The memory may be freed (EFAULT), or hold another futex, whose sleepers tolerate the spurious
 * wakeup. ASLEEP differs from the values of lock.c's words: a debugger can tell the sleepers apart.
 *
 * The spin before the sleep. A futex wake across CPUs takes 5 to 35 us on a virtual machine, a wake
 * on the same CPU 2 us. A hand-off to a thread that spins on another CPU takes 0.2 us. A hand-off
 * to a thread that spins on the partner's own CPU never comes. A spin has two phases. Both adapt to
 * earlier spins of the same context:
 *
 *   pauses   `looks` looks with a pause between them. The number doubles, up to PARKER_LOOKS_MOST, when a
 *            look succeeds: then the partner runs on another CPU. The number halves, down to
 *            PARKER_LOOKS_LEAST, when all looks fail: then the partner may need this CPU. Each TRIAL-th
 *            spin makes PARKER_LOOKS_MOST looks, to find out that a partner has moved.
 *   yields   between looks, for `spin_ns`. That time halves after a failure, down to PARKER_SPIN_LEAST,
 *            and doubles after a success, up to PARKER_SPIN_MOST, about the cost of the saved wake. So a
 *            wait costs at most twice the best choice in hindsight (Karlin et al., 1991).
 *
 * The bound of Karlin et al. holds if a spin costs only its own duration. A yield on a CPU that
 * another program wants costs a time slice. So yield.c rations late yields. Once the ration is used
 * up, the second phase pauses instead. Pauses cannot help a partner that needs this CPU. So if a
 * thread on the same CPU ended the last sleep (`beside`), a spin while yields are barred is one
 * look, and in each TRIAL-th spin the first phase. The trial finds out when the kernel has moved a
 * partner.
 *
 *   machine                            the wait costs at most, beside the best choice in hindsight
 *   idle                               a spin of PARKER_SPIN_MOST, if the partner comes later
 *   CPUs wanted by other programs      the same, and 1 / 64 of the time for late yields
 *   both partners on one such CPU      the trials
 *   more threads than CPUs             yields while they are short, else as beside other programs
 *   a CPU quota                        as above; a spin uses the quota, at most PARKER_SPIN_MOST of it
 */
#include "../base/atomic.h"
#include "../base/sys.h"
#include "lot.h"
#include <errno.h>
#include <fairlead/time.h>

enum { PARKER_EMPTY = 0, PARKER_UNPARKED = 1, PARKER_ASLEEP = 3 };
enum { PARKER_LOOKS_LEAST = 4, PARKER_LOOKS_MOST = 64, PARKER_TRIAL = 64 };
enum { PARKER_SPIN_LEAST = 2000, PARKER_SPIN_MOST = 25000 }; /* in ns */

static bool parker_spin_with_pauses(struct fl__ctx *ctx, bool (*look)(const void *what), const void *what, bool trial)
{
	const unsigned looks = trial ? PARKER_LOOKS_MOST : ctx->looks;
	for (unsigned i = 0; i < looks; i++) {
		if (look(what)) {
			ctx->looks = 2 * looks < PARKER_LOOKS_MOST ? 2 * looks : PARKER_LOOKS_MOST;
			ctx->beside = false;
			return true;
		}
		fl__sys.relax();
	}
	ctx->looks = looks / 2 > PARKER_LOOKS_LEAST ? looks / 2 : PARKER_LOOKS_LEAST;
	return false;
}

static bool parker_spin_with_yields(struct fl__ctx *ctx, bool (*look)(const void *what), const void *what,
                                    int64_t deadline)
{
	if (ctx->spin_ns == 0)
		ctx->spin_ns = PARKER_SPIN_MOST;
	int64_t now = fl__sys.now();
	int64_t limit = fl__min_deadline(now + ctx->spin_ns, deadline);
	while (now < limit) {
		now = fl__sys.give_way(now);
		if (look(what)) {
			ctx->spin_ns = fl__min_deadline(2 * ctx->spin_ns, PARKER_SPIN_MOST);
			return true;
		}
	}
	ctx->spin_ns = ctx->spin_ns / 2 > PARKER_SPIN_LEAST ? ctx->spin_ns / 2 : PARKER_SPIN_LEAST;
	return false;
}

bool fl__spin(struct fl__ctx *ctx, bool (*look)(const void *what), const void *what, int64_t deadline)
{
	const bool trial = ctx->spins++ % PARKER_TRIAL == 0;
	/* the partner seems to need this CPU */
	if (ctx->beside && fl__yields_are_barred(fl__sys.now()))
		return trial ? parker_spin_with_pauses(ctx, look, what, true) : look(what);
	return parker_spin_with_pauses(ctx, look, what, trial) || parker_spin_with_yields(ctx, look, what, deadline);
}

static bool parker_is_unparked(const void *wait)
{
	/* relaxed: parker_park() acquires after it */
	return fl__load_relaxed(&((const struct fl__wait *)wait)->park_word) == PARKER_UNPARKED;
}

/* Sleeps until the unpark or the deadline; true when there was an unpark. */
static bool parker_sleep_until(struct fl__wait *wait, int64_t deadline)
{
	uint32_t expected = PARKER_EMPTY;
	/* relaxed: going to sleep publishes nothing; parker_park() acquires what the unpark publishes */
	if (!fl__cas_relaxed(&wait->park_word, &expected, PARKER_ASLEEP))
		return true;
	while (!parker_is_unparked(wait)) {
		/* The result is ignored: the word shows an unpark, and the clock the deadline. */
		(void)fl__sys.futex_wait(&wait->park_word, PARKER_ASLEEP, deadline);
		expected = PARKER_ASLEEP;
		if (fl__is_past(deadline) &&
		    fl__cas_relaxed(&wait->park_word, &expected, PARKER_EMPTY)) /* relaxed: as above */
			return false;
	}
	return true;
}

static int parker_park(struct fl__wait *wait, int64_t deadline)
{
	if ((wait->patient || !fl__spin(wait->ctx, parker_is_unparked, wait, deadline)) &&
	    !parker_sleep_until(wait, deadline))
		return -ETIMEDOUT;
	/* pairs with the swap in parker_unpark(), whichever load saw its value */
	(void)fl__load_acquire(&wait->park_word);
	if (wait->waker_cpu >= 0)
		wait->ctx->beside = wait->waker_cpu == fl__sys.cpu();
	return 0;
}

static void parker_unpark(struct fl__wait *wait)
{
	if (fl__load_relaxed(&wait->park_word) == PARKER_ASLEEP) /* relaxed: a hint */
		wait->waker_cpu = fl__sys.cpu();
	/* release: what the waking thread wrote; pairs with parker_park(). The last access to the wait. */
	if (fl__swap_release(&wait->park_word, PARKER_UNPARKED) == PARKER_ASLEEP)
		(void)fl__sys.futex_wake(&wait->park_word, 1);
}

const struct fl__ctx_ops fl__thread_parker = {parker_park, parker_unpark, parker_unpark, NULL, NULL};
