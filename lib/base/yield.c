/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Yields whose cost is bounded.
 *
 * A thread that waits and may share its CPU with the thread it waits for does best to yield: a
 * yield takes less than a microsecond, also while nothing else wants the CPU. But on a CPU where
 * another program computes, a yield takes a whole time slice, 3 to 4 ms. The yielding thread stays
 * runnable during the slice, so no wake brings it back sooner. No system call predicts which case
 * it will be. So each yield is measured. A yield that takes YIELD_LATE or longer is late, and late yields
 * are rationed for the whole process: a thread that finds the ration used up pauses instead of
 * yielding.
 *
 * The ration is a token bucket in one word (the generic cell rate algorithm of ATM networks): a
 * late yield moves `fl__yield_ration`, a time, ahead by YIELD_SHARE times what the yield took, and yields
 * are barred while the ration is more than YIELD_BURST ahead of the clock. So late yields take at most
 * 1 / YIELD_SHARE of the time of each thread in the long run, whatever the length of the slices, up to
 * YIELD_MOST / YIELD_SHARE = 16 ms. A slice of 4 ms bars yields for 0.24 s; a yield that an interrupt makes
 * late by 0.3 ms bars nothing. A yield that hands the CPU to a thread of the same process for long
 * is late, too: a sleep is as good then, and wherever a wait may be long, a sleep follows the
 * pauses. RocksDB's write_thread.cc measures its yields, too, for each call site.
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
