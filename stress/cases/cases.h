/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_CASES_H
#define STRESS_CASES_H

#include "core/sync/mutex.h"
#include "core/sync/rwlock.h"
#include <fairlead/event.h>
#include <fairlead/stress.h>
#include <stdatomic.h>
#include <stdlib.h>

/*
 * Declarations for all scenarios. The comment of a scenario says what must hold and, where that is
 * not obvious, what would break it. The operation under test must order the accesses to plain
 * fields of a state; otherwise the model reports a race on them. Atomic fields are always relaxed,
 * so they order nothing.
 */
#define LOOK(p) atomic_load_explicit((p), memory_order_relaxed)
#define SET(p, v) atomic_store_explicit((p), (v), memory_order_relaxed)
#define COUNT(p) ((void)atomic_fetch_add_explicit((p), 1, memory_order_relaxed))

/* Returns a deadline that real threads reach at about the time at which the other threads act. */
static inline fl_time soon(void)
{
	return fl_after(FL_US(20));
}

/* Waits as long as one turn of a lock's first waiter lasts, whatever wakes come meanwhile. */
#define TURN FL_MS(1)
static inline void let_a_turn_pass(void)
{
	const uint32_t never = 0;
	const int64_t end = fl_stress_now() + TURN;
	while (fl_stress_now() < end)
		(void)fl_stress_futex_wait(&never, 0, end);
}

/* Returns zeroed memory of the execution. The outcome, or an actor, frees it. */
static inline void *make(size_t size)
{
	void *memory = calloc(1, size);
	if (!memory)
		abort();
	return memory;
}

/*
 * A task calls this to keep its worker busy. The worker counts as running, so no other worker takes
 * its place.
 */
static inline void hold_until_set(const fl_event *open)
{
	while (!fl_event_is_set(open))
		fl_stress_relax();
}

/*
 * Checks that the caller has taken at most 64 steps since its step number `*since`. The next check
 * counts from here on.
 */
static inline void within_64(uint32_t *since)
{
	uint32_t now = fl_stress_steps();
	FL_STRESS_CHECK(now - *since <= 64);
	*since = now;
}

/* Makes a call that must succeed. */
#define OK(call) FL_STRESS_CHECK((call) == 0)

/*
 * Makes a call that moves many items, and returns how many it has moved. The call's result is
 * ignored.
 */
#define MOVED(call, ...)                                                                                               \
	__extension__({                                                                                                \
		size_t moved_ = SIZE_MAX;                                                                              \
		(void)!call(__VA_ARGS__, &moved_);                                                                     \
		moved_;                                                                                                \
	})

/*
 * Two actors that differ in a number: `one` calls function(s, 0), and `two` calls function(s, 1).
 */
#define TWO_ACTORS(test, function)                                                                                     \
	FL_STRESS_ACTOR(test, one)                                                                                     \
	{                                                                                                              \
		function(s, 0);                                                                                        \
	}                                                                                                              \
	FL_STRESS_ACTOR(test, two)                                                                                     \
	{                                                                                                              \
		function(s, 1);                                                                                        \
	}
#define THREE_ACTORS(test, function)                                                                                   \
	TWO_ACTORS(test, function)                                                                                     \
	FL_STRESS_ACTOR(test, three)                                                                                   \
	{                                                                                                              \
		function(s, 2);                                                                                        \
	}

/*
 * A scenario in one line. Its state `t` has the given type, and is set up and ended by the given
 * statements. Its one to four actors call the given functions with the state.
 */
#define SCENARIO(test, type, begin, end, ...)                                                                          \
	struct test {                                                                                                  \
		type t;                                                                                                \
	};                                                                                                             \
	FL_STRESS_SETUP(test)                                                                                          \
	{                                                                                                              \
		begin;                                                                                                 \
	}                                                                                                              \
	SCENARIO_PICK(__VA_ARGS__, SCENARIO_4, SCENARIO_3, SCENARIO_2, SCENARIO_1, )                                   \
	(test, __VA_ARGS__)                                                                                            \
	{                                                                                                              \
		end;                                                                                                   \
	}
#define SCENARIO_PICK(one, two, three, four, macro, ...) macro
#define SCENARIO_ACTOR(test, actor, function)                                                                          \
	FL_STRESS_ACTOR(test, actor)                                                                                   \
	{                                                                                                              \
		function(&s->t);                                                                                       \
	}
#define SCENARIO_1(test, one)                                                                                          \
	SCENARIO_ACTOR(test, first, one)                                                                               \
	FL_STRESS(test, first)
#define SCENARIO_ACTORS(test, one, two)                                                                                \
	SCENARIO_ACTOR(test, first, one)                                                                               \
	SCENARIO_ACTOR(test, second, two)
#define SCENARIO_2(test, one, two)                                                                                     \
	SCENARIO_ACTORS(test, one, two)                                                                                \
	FL_STRESS(test, first, second)
#define SCENARIO_3(test, one, two, three)                                                                              \
	SCENARIO_ACTORS(test, one, two)                                                                                \
	SCENARIO_ACTOR(test, third, three)                                                                             \
	FL_STRESS(test, first, second, third)
#define SCENARIO_4(test, one, two, three, four)                                                                        \
	SCENARIO_ACTORS(test, one, two)                                                                                \
	SCENARIO_ACTOR(test, third, three)                                                                             \
	SCENARIO_ACTOR(test, fourth, four)                                                                             \
	FL_STRESS(test, first, second, third, fourth)

#endif
