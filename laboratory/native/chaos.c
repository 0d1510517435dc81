/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The disturbances of chaos. Before an instrumented atomic operation, and before a wait or a wake,
 * there is often nothing, sometimes a short delay or a yield, and seldom a sleep or a move to
 * another CPU. Some sites are slow for a whole batch, because most bugs need a thread that stays in
 * one place for long. The library's futex also ends waits without a reason.
 */
#include "../engine/door.h"
#include "native.h"
#include <sched.h>
#include <time.h>

static unsigned faults;
static bool delays;
static _Atomic uint32_t slow; /* decides which sites are slow; changes with each batch */
static struct fl__sys below;  /* the module's own table */

/* Moves the thread to some CPU, or lets it run on all of them. */
static void change_cpu(void)
{
	uint32_t draw = native_draw();
	native_place(draw % 2 == 0 ? -1 : (int)(draw >> 16));
}

static void sleep_ns(long ns)
{
	struct timespec t = {0, ns};
	(void)nanosleep(&t, NULL);
}

/* Returns whether the site is slow. In each batch, about one site in eight is slow. */
static bool is_slow(uintptr_t pc)
{
	uint32_t hash = ((uint32_t)pc ^ atomic_load_explicit(&slow, memory_order_relaxed)) * 2654435769u;
	return hash >> 29 == 0;
}

/*
 * Returns the place from which a function of the table was called. The call is disturbed like an
 * atomic operation at that place.
 */
#define PLACE ((uintptr_t)__builtin_return_address(0))

static void disturb(uintptr_t pc)
{
	if (!delays)
		return;
	int before = errno;
	uint32_t draw = native_draw();
	if (is_slow(pc) && draw % 4 == 0)
		native_pause((draw >> 8) % 4096);
	else if (draw % 16 == 0)
		native_pause((draw >> 8) % 128);
	else if (draw % 127 == 1)
		(void)sched_yield();
	else if (draw % 8191 == 2)
		sleep_ns(1 + (draw >> 16));
	else if (draw % 32749 == 3)
		change_cpu();
	errno = before;
}

void native_chaos_batch(void)
{
	atomic_store_explicit(&slow, native_draw(), memory_order_relaxed);
}

enum { NO_FAULT = 1 };

/*
 * Decides whether a wait ends at once, without a reason, and then returns the result of the wait.
 * Otherwise disturbs the beginning of the wait, and returns NO_FAULT.
 */
static int fault(uintptr_t pc)
{
	uint32_t draw = faults ? native_draw() : UINT32_MAX;
	if ((faults & LAB_FAULT_SPURIOUS) && draw % 16 == 0)
		return 0;
	if ((faults & LAB_FAULT_EINTR) && draw % 16 == 1)
		return -EINTR;
	if ((faults & LAB_FAULT_EAGAIN) && draw % 16 == 2)
		return -EAGAIN;
	disturb(pc);
	return NO_FAULT;
}

static int chaos_wait(int (*wait)(const uint32_t *, uint32_t, int64_t), const void *word, uint32_t expected,
                      int64_t deadline)
{
	int rc = fault(PLACE);
	return rc == NO_FAULT ? wait(word, expected, deadline) : rc;
}

static int sys_wait(const uint32_t *word, uint32_t expected, int64_t deadline)
{
	return chaos_wait(below.futex_wait, word, expected, deadline);
}

static int sys_wake(const uint32_t *word, int n)
{
	disturb(PLACE);
	return below.futex_wake(word, n);
}

static int sys_shared_wait(const uint32_t *word, uint32_t expected, int64_t deadline)
{
	return chaos_wait(below.shared_wait, word, expected, deadline);
}

static int sys_shared_wake(const uint32_t *word, int n)
{
	disturb(PLACE);
	return below.shared_wake(word, n);
}

static int sys_wait_many(struct fl__futex *words, unsigned n, int64_t deadline)
{
	int rc = fault(PLACE);
	return rc == NO_FAULT ? below.wait_many(words, n, deadline) : rc;
}

int native_wait(const void *word, uint32_t expected, int64_t deadline)
{
	return chaos_wait(native_futex_wait, word, expected, deadline);
}

int native_wake(const void *word, int n)
{
	disturb(PLACE);
	return native_futex_wake(word, n);
}

void native_chaos_start(void)
{
	if (!native_config->chaos)
		return;
	const struct lab_door *door = lab_door_of(native_test->module);
	faults = native_config->faults;
	delays = native_config->delays;
	if (door) {
		below = *door->sys;
		door->sys->futex_wait = sys_wait;
		door->sys->futex_wake = sys_wake;
		door->sys->shared_wait = sys_shared_wait;
		door->sys->shared_wake = sys_shared_wake;
		door->sys->wait_many = sys_wait_many;
	}
	if (delays)
		lab_chaos = disturb;
}
