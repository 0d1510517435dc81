/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Yields with a bounded cost.
 *
 * A thread that waits should yield if it may share its CPU with the thread that it waits for.
 * Usually a yield takes less than a microsecond. But on a CPU where another program computes, a
 * yield takes a whole time slice, 3 to 4 ms. During the slice the yielding thread stays runnable,
 * so no wake brings it back sooner. No system call predicts the cost. So each yield is measured,
 * and each thread has a ration of late yields. A thread that has used up its ration pauses instead.
 * Where a wait may be long, a sleep follows the pauses.
 *
 * A yield is late if it took YIELD_LATE or longer since the last yield on the same CPU by any
 * thread of this process. Threads of one process that have nothing to do yield to those that have.
 * They all come back late, but soon after another one's yield: no time was lost, and a sleep would
 * cost more. If another program had the CPU, the first thread to come back finds no such yield.
 *
 * The ration is a token bucket in one word (the generic cell rate algorithm). A late yield moves
 * `fl__yield_ration`, a time, ahead by YIELD_SHARE times its duration. Yields are barred while the
 * ration is more than YIELD_BURST ahead of the clock. So in the long run late yields take at most 1
 * / YIELD_SHARE of the time of a thread, for slices up to YIELD_MOST / YIELD_SHARE = 16 ms. A slice
 * of 4 ms bars yields for 0.24 s.
 *
 *   word              meaning                            changed
 *   fl__yield_ration  up to when the late yields of      by the thread, after a late yield
 *                     this thread are paid for
 *   yield_last[i]     when a thread last yielded on a    before each yield, by any thread on such
 *                     CPU with this number, modulo       a CPU; relaxed: a single number that
 *                     YIELD_CPUS                         publishes nothing else
 */
#include "atomic.h"
#include "sys.h"
#include <fairlead/time.h>

#define YIELD_LATE FL_US(500)
#define YIELD_BURST FL_MS(20)
#define YIELD_MOST FL_S(1)
enum { YIELD_SHARE = 64, YIELD_PAUSES = 8, YIELD_CPUS = 64 };

_Thread_local int64_t fl__yield_ration;

static struct {
	_Alignas(64) int64_t at;
} yield_last[YIELD_CPUS];

static int64_t *yield_last_here(void)
{
	return &yield_last[(unsigned)fl__sys.cpu() % YIELD_CPUS].at;
}

bool fl__yields_are_barred(int64_t now)
{
	return fl__yield_ration > now + YIELD_BURST;
}

static void yield_use_ration(int64_t took, int64_t now)
{
	const int64_t part = took < YIELD_MOST / YIELD_SHARE ? YIELD_SHARE * took : YIELD_MOST;
	const int64_t from = fl__yield_ration > now ? fl__yield_ration : now;
	fl__yield_ration = fl__min_deadline(from + part, now + YIELD_MOST);
}

int64_t fl__give_way(int64_t now)
{
	if (fl__yields_are_barred(now)) {
		fl__pause(YIELD_PAUSES);
		return fl__sys.now();
	}
	fl__store_relaxed(yield_last_here(), now);
	fl__sys.yield();
	const int64_t after = fl__sys.now();
	if (after - now < YIELD_LATE)
		return after;
	const int64_t last = fl__load_relaxed(yield_last_here());
	const int64_t took = after - (last > now ? last : now);
	if (took >= YIELD_LATE)
		yield_use_ration(took, after);
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
