/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Eventcounts: a notification without waiters, after a store that a waiter would look for; and two
 * threads that hand a turn to and fro (turns.h), with a flag and an eventcount a direction.
 */
#include "turns.h"

#include <ck_ec.h>
#include <fairlead/eventcount.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* What is waited for: a number of turns, which one thread counts up and the other counts off. */
typedef struct flag {
	atomic_uint given;
	BENCH_ALIGNED unsigned taken;
} flag;

static inline void flag_give(flag *f)
{
	unsigned given = atomic_load_explicit(&f->given, memory_order_relaxed);
	atomic_store_explicit(&f->given, given + 1, memory_order_release);
}

static inline bool flag_take(flag *f)
{
	bool there = atomic_load_explicit(&f->given, memory_order_acquire) != f->taken;
	f->taken += there;
	return there;
}

typedef struct fairlead_turn {
	flag flag;
	BENCH_ALIGNED fl_eventcount ec;
} fairlead_turn;

static inline void fairlead_init(fairlead_turn *x)
{
	fl_eventcount_init(&x->ec);
}

static inline void fairlead_give(fairlead_turn *x)
{
	flag_give(&x->flag);
	fl_eventcount_notify(&x->ec);
}

static inline void fairlead_take(fairlead_turn *x)
{
	while (!flag_take(&x->flag)) {
		fl_eventcount_key key = fl_eventcount_prepare(&x->ec);
		if (flag_take(&x->flag))
			return;
		if (fl_eventcount_wait(&x->ec, key))
			bench_fail("fl_eventcount_wait");
	}
}

/* Concurrency Kit leaves the clock and the kernel's calls to its user. */
static int ck_turn_clock(const struct ck_ec_ops *ops, struct timespec *out)
{
	(void)ops;
	return clock_gettime(CLOCK_MONOTONIC, out);
}

static void ck_turn_wait(const struct ck_ec_wait_state *state, const uint32_t *word, uint32_t expected,
                         const struct timespec *deadline)
{
	(void)state;
	syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, expected, deadline, NULL, FUTEX_BITSET_MATCH_ANY);
}

static void ck_turn_wake(const struct ck_ec_ops *ops, const uint32_t *word)
{
	(void)ops;
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

static const struct ck_ec_ops ck_turn_ops = {.gettime = ck_turn_clock, .wait32 = ck_turn_wait, .wake32 = ck_turn_wake};
static const struct ck_ec_mode ck_turn_mode = {.ops = &ck_turn_ops, .single_producer = false};

typedef struct ck_turn {
	flag flag;
	BENCH_ALIGNED ck_ec32_t ec;
} ck_turn;

static inline void ck_turn_init(ck_turn *x)
{
	ck_ec32_init(&x->ec, 0);
}

static inline void ck_turn_give(ck_turn *x)
{
	flag_give(&x->flag);
	ck_ec32_inc(&x->ec, &ck_turn_mode);
}

static inline void ck_turn_take(ck_turn *x)
{
	while (!flag_take(&x->flag)) {
		uint32_t value = ck_ec32_value(&x->ec);
		if (flag_take(&x->flag))
			return;
		ck_ec32_wait(&x->ec, &ck_turn_mode, value, NULL);
	}
}

/* The least that lets a notifier see that no thread waits: a fence between the store and a look. */
typedef struct fence_turn {
	flag flag;
	BENCH_ALIGNED atomic_uint waiters;
} fence_turn;

static inline void fence_init(fence_turn *x)
{
	atomic_init(&x->waiters, 0);
}

static inline void fence_give(fence_turn *x)
{
	flag_give(&x->flag);
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load_explicit(&x->waiters, memory_order_relaxed) != 0)
		bench_fail("nobody waits");
}

#define IDLE_BENCH(impl, type, init, give)                                                                             \
	static void *impl##_idle_setup(int threads, uint64_t total)                                                    \
	{                                                                                                              \
		type *x = bench_alloc(sizeof *x);                                                                      \
		(void)threads;                                                                                         \
		(void)total;                                                                                           \
		init(x);                                                                                               \
		return x;                                                                                              \
	}                                                                                                              \
	static void impl##_idle_run(bench_thread *t)                                                                   \
	{                                                                                                              \
		type *x = t->state;                                                                                    \
		for (uint64_t i = 0; i < t->total; i++)                                                                \
			give(x);                                                                                       \
	}

static void idle_teardown(void *state, uint64_t total)
{
	flag *f = state;
	if (f->given != (unsigned)total)
		bench_fail("gave %u times", f->given);
	free(state);
}

IDLE_BENCH(fairlead, fairlead_turn, fairlead_init, fairlead_give)
IDLE_BENCH(ck_turn, ck_turn, ck_turn_init, ck_turn_give)
IDLE_BENCH(fence, fence_turn, fence_init, fence_give)
TURN_BENCH(fairlead, fairlead_turn, fairlead_init, fairlead_give, fairlead_take)
TURN_BENCH(ck_turn, ck_turn, ck_turn_init, ck_turn_give, ck_turn_take)

#define IDLE_ROW(label, impl)                                                                                          \
	{                                                                                                              \
		"locks/eventcount_idle", label, impl##_idle_setup, impl##_idle_run, idle_teardown, 0                   \
	}

static const bench_row rows[] = {
    IDLE_ROW("fairlead", fairlead),
    IDLE_ROW("ck_ec", ck_turn),
    IDLE_ROW("fence", fence),
    TURN_ROWS("locks/eventcount_pingpong", "fairlead", fairlead),
    TURN_ROWS("locks/eventcount_pingpong", "ck_ec", ck_turn),
};
BENCH_ROWS(rows)
