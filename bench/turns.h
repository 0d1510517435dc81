/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef BENCH_TURNS_H
#define BENCH_TURNS_H

#include "shim.h"

#include <stdlib.h>

/*
 * The workload of two threads that hand a turn to and fro, for C and C++. One operation is a round
 * trip. An object of `type` carries the turn in one direction: give(x) says that it is the other
 * thread's turn, and take(x) waits for that. init(x) makes such an object from zeroes, with nothing
 * given.
 */

/*
 * The data that are handed over with the turn. They are plain, so that the count becomes wrong if a
 * hand-over lets both threads pass.
 */
typedef struct turn_data {
	uint64_t count;
} turn_data;

static inline void turn_teardown(void *state, uint64_t total)
{
	turn_data *data = (turn_data *)state;
	bench_counted("turns", data->count, 2 * total);
	free(state);
}

#define TURN_LOOP(impl, type, give, take)                                                                              \
	typedef struct impl##_turns {                                                                                  \
		turn_data data;                                                                                        \
		BENCH_ALIGNED type ping;                                                                               \
		BENCH_ALIGNED type pong;                                                                               \
	} impl##_turns;                                                                                                \
	static void impl##_turns_run(bench_thread *t)                                                                  \
	{                                                                                                              \
		impl##_turns *s = (impl##_turns *)t->state;                                                            \
		BENCH_EACH (i, t) {                                                                                    \
			if (t->index == 0) {                                                                           \
				s->data.count++;                                                                       \
				give(&s->ping);                                                                        \
				take(&s->pong);                                                                        \
				bench_lap(t);                                                                          \
			} else {                                                                                       \
				take(&s->ping);                                                                        \
				s->data.count++;                                                                       \
				give(&s->pong);                                                                        \
			}                                                                                              \
		}                                                                                                      \
	}

/* Defines the workload of two threads. */
#define TURN_BENCH(impl, type, init, give, take)                                                                       \
	TURN_LOOP(impl, type, give, take)                                                                              \
	static void *impl##_turns_setup(const bench_setting *with)                                                     \
	{                                                                                                              \
		impl##_turns *s = (impl##_turns *)bench_alloc(sizeof *s);                                              \
		init(&s->ping);                                                                                        \
		init(&s->pong);                                                                                        \
		return s;                                                                                              \
	}

#define TURN_ROW(name, label, impl)                                                                                    \
	{                                                                                                              \
		name, label, impl##_turns_setup, impl##_turns_run, turn_teardown                                       \
	}
/* `of` is "locks/sem_pingpong" or "locks/event_pingpong", for example. */
#define TURN_ROWS(of, label, impl)                                                                                     \
	TURN_ROW(of "_anywhere", label, impl), TURN_ROW(of "_apart", label, impl), TURN_ROW(of "_together", label, impl)

#endif
