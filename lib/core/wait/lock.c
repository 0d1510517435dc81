/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The lock of the parking lot's buckets, and of other short sections (lock.h). It is a mutex on a
 * futex, with a mark for signal handlers.
 *
 *   LOCK_     meaning                     set by                                     cleared by
 *   HELD      the lock is held            fl__lock(): CAS from FREE, or `or` before  fl__unlock()
 *                                         each sleep and after each wake;
 *                                         fl__try_lock(); fl__lock_or_defer()
 *   DEFERRED  the holder has work to do   fl__lock_or_defer(), CAS, while HELD       fl__unlock()
 *             when it unlocks
 *   SLEEPERS  a waiter may be asleep      fl__lock(), in the same `or` as HELD       fl__unlock()
 *
 * Because the locked sections are short, a waiter spins before it sleeps. It also yields a few
 * times, in case the holder has lost its CPU.
 *
 * Invariant
 *   1. An acquire of this file pairs with the release in fl__unlock(). A relaxed load only chooses
 *      the expected value of a compare-and-swap, which fails if the value is stale.
 */
#include "lock.h"
#include "../base/atomic.h"
#include "../base/sys.h"

/*
 * HELD | SLEEPERS differs from the values of park words, so that a debugger can tell sleepers
 * apart.
 */
enum { LOCK_FREE = 0, LOCK_HELD = 1, LOCK_DEFERRED = 2, LOCK_SLEEPERS = 8, LOCK_SPINS = 32, LOCK_YIELDS = 16 };

static bool lock_spin(uint32_t *word)
{
	for (int i = 0; i < LOCK_SPINS + LOCK_YIELDS; i++) {
		uint32_t expected = LOCK_FREE;
		/* relaxed load, acquire on success: invariant 1 */
		if (fl__load_relaxed(word) == LOCK_FREE && fl__cas_acquire(word, &expected, LOCK_HELD))
			return true;
		if (i < LOCK_SPINS)
			fl__sys.relax();
		else
			(void)fl__sys.give_way(fl__sys.now());
	}
	return false;
}

void fl__lock(uint32_t *word)
{
	uint32_t expected = LOCK_FREE;
	if (fl__cas_acquire(word, &expected, LOCK_HELD)) /* acquire: invariant 1 */
		return;
	if (lock_spin(word))
		return;
	uint32_t seen;
	/* acquire: invariant 1 */
	while ((seen = fl__or_acquire(word, LOCK_HELD | LOCK_SLEEPERS)) != LOCK_FREE)
		/* The result is ignored, because the loop checks the word. */
		(void)fl__sys.futex_wait(word, seen | LOCK_HELD | LOCK_SLEEPERS, FL__NEVER);
}

bool fl__try_lock(uint32_t *word)
{
	uint32_t expected = LOCK_FREE;
	return fl__cas_acquire(word, &expected, LOCK_HELD); /* acquire: invariant 1 */
}

bool fl__lock_or_defer(uint32_t *word)
{
	uint32_t seen = fl__load_relaxed(word); /* relaxed: invariant 1 */
	for (;;) {
		if (seen == LOCK_FREE) {
			/* acquire: invariant 1 */
			if (fl__cas_weak_acquire(word, &seen, LOCK_HELD))
				return true;
		} else if (fl__cas_weak_release(word, &seen, seen | LOCK_DEFERRED)) {
			/*
			 * release: pairs with the acquire of the next lock, because the swap in
			 * fl__unlock() continues the release sequence
			 */
			return false;
		}
	}
}

bool fl__unlock(uint32_t *word)
{
	/* release: invariant 1 */
	const uint32_t before = fl__swap_release(word, LOCK_FREE);
	if (before & LOCK_SLEEPERS)
		(void)fl__sys.futex_wake(word, 1);
	return before & LOCK_DEFERRED;
}
