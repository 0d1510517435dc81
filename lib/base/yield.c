/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Yields with a bounded cost.
 *
 * A thread that waits should yield if it may share its CPU with the thread that it waits for.
 * Usually a yield takes less than a microsecond. But on a CPU where another program computes, a
 * yield takes a whole time slice, 3 to 4 ms. During the slice the yielding thread stays runnable,
 * so no wake brings it back sooner. No system call predicts the cost. So each yield is measured. A
 * yield that takes YIELD_LATE or longer is late, and late yields are rationed for the whole
 * process. A thread that finds the ration used up pauses instead.
 *
 * The ration is a token bucket in one word (the generic cell rate algorithm). A late yield moves
 * `fl__yield_ration`, a time, ahead by YIELD_SHARE times its duration. Yields are barred while the
 * ration is more than YIELD_BURST ahead of the clock. So in the long run late yields take at most 1
 * / YIELD_SHARE of the time of each thread, for slices up to YIELD_MOST / YIELD_SHARE = 16 ms. A
 * slice of 4 ms bars yields for 0.24 s; a delay of 0.3 ms by an interrupt bars nothing. A yield to
 * another thread of the same process may be late, too. Then a sleep is as good, and follows the
 * pauses wherever a wait may be long.
 *
 * All accesses are relaxed: the ration publishes nothing else.
 */
#include "atomic.h"
#include "sys.h"
#include <fairlead/time.h>

#define YIELD_LATE FL_US(200)
#define YIELD_BURST FL_MS(20)
#define YIELD_MOST FL_S(1)
enum { YIELD_SHARE = 64, YIELD_PAUSES = 8 };

_Alignas(64) int64_t fl__yield_ration; /* read by all, seldom written */

bool fl__yields_are_barred(int64_t now)
{
	return fl__load_relaxed(&fl__yield_ration) > now + YIELD_BURST;
}

static void yield_use_ration(int64_t took, int64_t now)
{
	const int64_t part = took < YIELD_MOST / YIELD_SHARE ? YIELD_SHARE * took : YIELD_MOST;
	int64_t seen = fl__load_relaxed(&fl__yield_ration), next;
	do
		next = fl__min_deadline((seen > now ? seen : now) + part, now + YIELD_MOST);
	while (next > seen && !fl__cas_weak_relaxed(&fl__yield_ration, &seen, next));
}

int64_t fl__give_way(int64_t now)
{
	if (fl__yields_are_barred(now)) {
		fl__pause(YIELD_PAUSES);
		return fl__sys.now();
	}
	fl__sys.yield();
	const int64_t after = fl__sys.now();
	if (after - now >= YIELD_LATE)
		yield_use_ration(after - now, after);
	return after;
}

void fl__back_off(unsigned round)
{
	enum { DOUBLINGS = 6, YIELDS = 32 };
	if (round < DOUBLINGS)
		fl__pause(1u << round);
	else if (round < DOUBLINGS + YIELDS)
		(void)fl__sys.give_way(fl__sys.now());
	else
		fl__sys.nap();
}
