/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Yields at a bounded cost. Where two partners share a CPU, a hand-off needs a yield. But on a CPU
 * where another program computes, a yield takes a time slice of 3 to 4 ms, and no wake ends it.
 * Therefore each yield by fl__sys.give_way() is measured, and each thread has a ration of time for
 * late yields. If the ration is used up, the thread's yields are barred: it pauses instead.
 *
 * A yield that takes YIELD_LATE or longer is late, unless it took less than YIELD_SLICE and another
 * thread of the process yielded on the same CPU just before it returned.
 *
 * The ration is a token bucket in one word, `fl__yield_ration`, which is a time. A late yield
 * advances it by YIELD_SHARE times the duration of the yield. Yields are barred while the ration is
 * more than YIELD_BURST ahead of the clock. So late yields take at most 1/YIELD_SHARE = 1/64 of a
 * thread's time, if none takes longer than YIELD_MOST / YIELD_SHARE = 16 ms. A new thread starts
 * with the newest ration of the process, because otherwise each new thread would first lose a
 * slice.
 *
 * A late yield that is shorter than YIELD_SLICE counts only YIELD_SHORT_SHARE times its duration,
 * because usually a related process had the CPU. Such yields take at most 1/8 of a thread's time.
 *
 *   word              meaning                            changed
 *   fl__yield_ration  a time; yields of this thread are  by the thread: at its first use, from
 *                     barred while it is more than       fl__yield_newest; after a late yield
 *                     YIELD_BURST in the future; 0
 *                     means that the thread is new
 *   fl__yield_newest  the ration that changed last       by any thread, after a late yield
 *   yield_last[i]     when a thread last yielded on a    before each yield, by any thread on such
 *                     CPU whose number is i modulo       a CPU
 *                     YIELD_CPUS; the low bits are the
 *                     number of the CPU
 *
 * Rule
 *   1. All accesses to fl__yield_newest and yield_last are relaxed, because each word is a number
 *      that publishes nothing else, and an old value only makes a ration less exact.
 */
#include "atomic.h"
#include "sys.h"

#define YIELD_LATE FL_US(500)
#define YIELD_SLICE FL_MS(3)
#define YIELD_BURST FL_MS(20)
#define YIELD_MOST FL_S(1)
enum { YIELD_SHARE = 64, YIELD_SHORT_SHARE = 8, YIELD_PAUSES = 8, YIELD_CPUS = 64, YIELD_CPU_MASK = 0x3ff };

_Thread_local int64_t fl__yield_ration FL__INITIAL_EXEC;
int64_t fl__yield_newest;

static struct {
	_Alignas(64) int64_t at;
} yield_last[YIELD_CPUS];

bool fl__yields_are_barred(int64_t now)
{
	if (fl__yield_ration == 0)
		fl__yield_ration = fl__load_relaxed(&fl__yield_newest) | 1; /* relaxed: rule 1 */
	/*
	 * A ration that is more than YIELD_MOST ahead comes from another clock, for example in a
	 * process that was restored from a checkpoint.
	 */
	const int64_t ahead = fl__yield_ration - now;
	return ahead > YIELD_BURST && ahead <= YIELD_MOST;
}

static void yield_use_ration(int64_t took, int64_t now)
{
	const int share = took < YIELD_SLICE ? YIELD_SHORT_SHARE : YIELD_SHARE;
	const int64_t part = took < YIELD_MOST / share ? share * took : YIELD_MOST;
	const int64_t from = FL__MAX(fl__yield_ration, now);
	fl__yield_ration = fl__min_deadline(from + part, now + YIELD_MOST);
	fl__store_relaxed(&fl__yield_newest, fl__yield_ration); /* relaxed: rule 1 */
}

/* Returns whether a thread of this process yielded on the CPU just before `now`. */
static bool yield_was_for_own_process(int cpu, int64_t now)
{
	/* relaxed: rule 1 */
	const int64_t last = fl__load_relaxed(&yield_last[cpu % YIELD_CPUS].at);
	return (last & YIELD_CPU_MASK) == (cpu & YIELD_CPU_MASK) && now - last < YIELD_LATE;
}

int64_t fl__give_way(int64_t now)
{
	if (fl__yields_are_barred(now)) {
		fl__pause(YIELD_PAUSES);
		return fl__sys.now();
	}
	const int cpu = fl__sys.cpu(); /* negative if unknown */
	if (cpu >= 0)                  /* relaxed: rule 1 */
		fl__store_relaxed(&yield_last[cpu % YIELD_CPUS].at,
		                  (now & ~(int64_t)YIELD_CPU_MASK) | (cpu & YIELD_CPU_MASK));
	fl__sys.yield();
	const int64_t after = fl__sys.now(), took = after - now;
	if (took >= YIELD_SLICE || (took >= YIELD_LATE && (cpu < 0 || !yield_was_for_own_process(cpu, after))))
		yield_use_ration(took, after);
	return after;
}

void fl__back_off(unsigned round)
{
	if (round < FL__BACK_OFF_YIELDS)
		fl__pause(1u << round);
	else if (round < FL__BACK_OFF_NAPS)
		(void)fl__sys.give_way(fl__sys.now());
	else
		fl__sys.nap();
}
