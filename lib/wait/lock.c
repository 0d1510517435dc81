/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The lock under the lot: a futex mutex, and a mark for signal handlers.
 *
 *   bit       meaning                            set by                                               cleared by
 *   HELD      somebody holds it                  fl__lock(), CAS from FREE, or by an or before it     fl__unlock()
 *                                                sleeps and when it wakes; fl__lock_or_defer()
 *   DEFERRED  whoever holds it has something     fl__lock_or_defer(), CAS, while it is HELD           fl__unlock()
 *             to do when it unlocks
 *   SLEEPERS  maybe somebody sleeps              fl__lock(), with HELD, as there                      fl__unlock()
 *
 * Safe mistake: SLEEPERS without sleepers costs one needless futex_wake. Sections under it are a few instructions long, so
 * a short spin nearly always suffices; the yields are for a holder that lost its CPU; the sleep is for the worst.
 */
#include "lock.h"
#include "../base/atomic.h"
#include "../base/sys.h"
#include <fairlead/time.h>

/* With SLEEPERS it is no value of the parkers' words, so that a debugger can tell who sleeps on what. */
enum { FREE = 0, HELD = 1, DEFERRED = 2, SLEEPERS = 8, SPINS = 32, YIELDS = 16 };

static bool spin(uint32_t *word)
{
	for (int i = 0; i < SPINS + YIELDS; i++) {
		uint32_t expected = FREE;
		/* relaxed look, then acquire: pairs with the release in fl__unlock() */
		if (fl__load_relaxed(word) == FREE && fl__cas_acquire(word, &expected, HELD))
			return true;
		if (i < SPINS)
			fl__sys.relax();
		else
			(void)fl__sys.give_way(fl__sys.now());
	}
	return false;
}

void fl__lock(uint32_t *word)
{
	uint32_t expected = FREE;
	if (fl__cas_acquire(word, &expected, HELD)) /* pairs with the release in fl__unlock() */
		return;
	if (spin(word))
		return;
	uint32_t seen;
	while ((seen = fl__or_acquire(word, HELD | SLEEPERS)) != FREE) /* pairs with the release in fl__unlock() */
		(void)fl__sys.futex_wait(word, seen | HELD | SLEEPERS, FL_FOREVER); /* whatever it says: look again */
}

bool fl__try_lock(uint32_t *word)
{
	uint32_t expected = FREE;
	return fl__cas_acquire(word, &expected, HELD); /* pairs with the release in fl__unlock() */
}

bool fl__lock_or_defer(uint32_t *word)
{
	uint32_t seen = fl__load_relaxed(word); /* relaxed: a CAS decides */
	for (;;) {
		if (seen == FREE) {
			if (fl__cas_weak_acquire(word, &seen, HELD)) /* pairs with the release in fl__unlock() */
				return true;
		} else if (fl__cas_weak_release(word, &seen, seen | DEFERRED)) {
			/* release: pairs with the acquire of whoever locks it next, since unlocks continue its sequence */
			return false;
		}
	}
}

bool fl__unlock(uint32_t *word)
{
	const uint32_t before = fl__swap_release(word, FREE); /* pairs with every acquire in this file */
	if (before & SLEEPERS)
		(void)fl__sys.futex_wake(word, 1);
	return before & DEFERRED;
}
