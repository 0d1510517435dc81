/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The lock under the lot: a futex mutex of three states.
 *
 *   0 FREE       nobody holds it      set by fl__unlock()
 *   1 HELD       held, no sleepers    set by fl__lock(), CAS from FREE
 *   2 CONTENDED  held, maybe sleepers set by fl__lock() before it sleeps, and when it wakes
 *
 * Safe mistake: CONTENDED without sleepers costs one needless futex_wake. Sections under it are a few instructions long, so
 * a short spin nearly always suffices; the yields are for a holder that lost its CPU; the sleep is for the worst.
 */
#include "lock.h"
#include "../base/atomic.h"
#include "../base/sys.h"
#include <fairlead/time.h>

enum { FREE = 0, HELD = 1, CONTENDED = 2, SPINS = 32, YIELDS = 16 };

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
			fl__sys.yield();
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
	while (fl__swap_acquire(word, CONTENDED) != FREE)              /* pairs with the release in fl__unlock() */
		(void)fl__sys.futex_wait(word, CONTENDED, FL_FOREVER); /* whatever it says: look again */
}

bool fl__try_lock(uint32_t *word)
{
	uint32_t expected = FREE;
	return fl__cas_acquire(word, &expected, HELD); /* pairs with the release in fl__unlock() */
}

void fl__unlock(uint32_t *word)
{
	if (fl__swap_release(word, FREE) == CONTENDED) /* pairs with every acquire in fl__lock() */
		(void)fl__sys.futex_wake(word, 1);
}
