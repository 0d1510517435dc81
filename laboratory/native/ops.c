/* SPDX-License-Identifier: BSD-2-Clause */
/* The functions of <fairlead/stress.h> for real threads. */
#include "native.h"
#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

bool native_decided;

static _Thread_local uint64_t random_state; /* 0 in a thread without a seed */
static _Atomic unsigned strangers;

/* The first number becomes the state, so that similar seeds give different numbers. */
void native_seed(unsigned thread)
{
	/* constructors draw before there is a run */
	uint64_t state = (native_config ? native_config->seed : 0) + thread * UINT64_C(0x9e3779b97f4a7c15);
	random_state = lab_splitmix(&state) | 1;
}

uint32_t native_draw(void)
{
	if (random_state == 0)
		native_seed(NATIVE_THREADS + atomic_fetch_add(&strangers, 1));
	return (uint32_t)(lab_splitmix(&random_state) >> 32);
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

bool native_outcome(enum fl_stress_expect expect, bool holds, const char *label)
{
	lab_outcome_of(expect, label)->count += holds;
	native_decided = native_decided || holds;
	return holds;
}

void native_fail(const char *file, int line, const char *what)
{
	/*
	 * If two threads fail at the same time, their messages may be mixed, which is acceptable.
	 */
	static char message[512];
	snprintf(message, sizeof message, "%s:%d: %s", file, line, what);
	native_give_up(LAB_CHECK, message);
}

unsigned native_choose(unsigned n)
{
	return n > 1 ? native_draw() % n : 0;
}

void native_relax(void)
{
	if (native_draw() % 16 == 0)
		(void)sched_yield(); /* the thread for which this one waits may need the CPU */
	else
		native_pause(8);
}
