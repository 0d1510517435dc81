/* SPDX-License-Identifier: BSD-2-Clause */
/* This file has the functions of <fairlead/stress.h> for real threads. */
#include "native.h"
#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { OUTCOMES = 64 };

_Thread_local struct native_random native_random __attribute__((tls_model("initial-exec")));

/*
 * Only the thread that checks outcomes writes these variables. A thread that gives up reads them,
 * whatever the thread that checks does meanwhile.
 */
static struct lab_outcome outcomes[OUTCOMES];
static unsigned n_outcomes, next_outcome;
static bool decided;

static uint64_t last_seed;
static _Atomic unsigned strangers;

/*
 * Returns a state for the random numbers of a thread, so that similar seeds give different numbers.
 * The state 0 is that of a thread without a seed.
 */
static uint64_t mixed(uint64_t seed, unsigned thread)
{
	uint64_t state = seed + thread * UINT64_C(0x9e3779b97f4a7c15);
	return lab_splitmix(&state) | 1;
}

void native_seed(uint64_t seed, unsigned thread)
{
	if (thread == 0)
		last_seed = seed; /* the leader stores it before there is another thread */
	native_random.state = mixed(seed, thread);
}

void native_seed_stranger(struct native_random *r)
{
	r->state = mixed(last_seed, NATIVE_THREADS + atomic_fetch_add(&strangers, 1));
}

int native_futex_wait(const uint32_t *word, uint32_t expected, int64_t deadline)
{
	struct timespec t = {deadline / 1000000000, deadline % 1000000000};
	long rc = syscall(SYS_futex, word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, expected,
	                  deadline == INT64_MAX ? NULL : &t, NULL, FUTEX_BITSET_MATCH_ANY);
	return rc == 0 ? 0 : -errno;
}

int native_futex_wake(const void *word, int n)
{
	long rc = syscall(SYS_futex, word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, n, NULL, NULL, 0);
	return rc >= 0 ? (int)rc : -errno;
}

void native_shared_wait(const void *word, uint32_t expected)
{
	(void)syscall(SYS_futex, word, FUTEX_WAIT, expected, NULL, NULL, 0);
}

void native_shared_wake(const void *word)
{
	(void)syscall(SYS_futex, word, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

void native_pause(unsigned turns)
{
	for (volatile unsigned i = turns; i > 0; i--)
		;
}

void native_outcomes_begin(void)
{
	next_outcome = 0;
	decided = false;
}

bool native_outcome_known(void)
{
	return decided;
}

unsigned native_outcomes(const struct lab_outcome **all)
{
	*all = outcomes;
	return n_outcomes;
}

const char *native_forbidden(void)
{
	for (unsigned i = 0; i < n_outcomes; i++)
		if (outcomes[i].expect == FL_STRESS_FORBIDDEN && outcomes[i].count > 0)
			return outcomes[i].label;
	return NULL;
}

/*
 * Returns the outcome of the macro with that label. The macros of a test come in the same order
 * each time, so the search begins at the outcome after the last one, which is nearly always the
 * right one.
 */
static struct lab_outcome *outcome_of(enum fl_stress_expect expect, const char *label)
{
	for (unsigned i = 0; i < n_outcomes; i++) {
		struct lab_outcome *o = &outcomes[(next_outcome + i) % n_outcomes];
		if (o->label == label && o->expect == expect) {
			next_outcome = (next_outcome + i + 1) % n_outcomes;
			return o;
		}
	}
	if (n_outcomes == OUTCOMES)
		native_give_up(LAB_CHECK, "more than 64 outcomes");
	outcomes[n_outcomes] = (struct lab_outcome){.label = label, .expect = expect};
	next_outcome = 0;
	return &outcomes[n_outcomes++];
}

static bool ops_outcome(enum fl_stress_expect expect, bool holds, const char *label)
{
	struct lab_outcome *o = outcome_of(expect, label);
	o->count += holds;
	decided = decided || holds;
	return holds;
}

static void ops_fail(const char *file, int line, const char *what)
{
	/*
	 * If two threads fail at the same time, their messages may be mixed, which is acceptable.
	 */
	static char message[512];
	snprintf(message, sizeof message, "%s:%d: %s", file, line, what);
	native_give_up(LAB_CHECK, message);
}

static unsigned ops_choose(unsigned n)
{
	return n > 1 ? native_draw(&native_random) % n : 0;
}

static unsigned ops_ops(unsigned n)
{
	return n;
}

static void ops_relax(void)
{
	if (native_draw(&native_random) % 16 == 0)
		(void)sched_yield(); /* the thread for which this one waits may need the CPU */
	else
		native_pause(8);
}

static int ops_futex_wait(const void *word, uint32_t expected, int64_t deadline)
{
	return native_chaos_wait(native_futex_wait, word, expected, deadline);
}

static int ops_futex_wake(const void *word, int n)
{
	if (lab_chaos)
		lab_chaos((uintptr_t)__builtin_return_address(0));
	return native_futex_wake(word, n);
}

static const struct lab_native_ops ops = {
    .choose = ops_choose,
    .ops = ops_ops,
    .relax = ops_relax,
    .futex_wait = ops_futex_wait,
    .futex_wake = ops_futex_wake,
    .now = lab_clock_ns,
    .fail = ops_fail,
    .wrong = native_wrong,
    .outcome = ops_outcome,
};

const struct lab_native_ops *lab_native = &ops;
