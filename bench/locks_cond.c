/* SPDX-License-Identifier: BSD-2-Clause */
/* Measures conditions of C: each with the mutex of its library. */
#include "monitor.h"
#include "shim.h"

#include <fairlead/cond.h>
#include <stdlib.h>

static inline void fairlead_wait(fl_cond *c, fl_mutex *m)
{
	BENCH_OK(fl_cond_wait(c, m));
}

MONITOR(fairlead, fl_mutex, fl_cond, fl_mutex_init(m), fl_cond_init(c), fl_mutex_lock(m), fl_mutex_unlock(m),
        fairlead_wait(c, m), fl_cond_signal(c), fl_cond_broadcast(c))

/*
 * The workloads of conditions (monitor.h). In `pingpong`, two threads take turns, and one operation
 * is a turn of each. In `broadcast`, one operation is a round: all threads except one wait; the
 * remaining thread broadcasts when all of them wait; and each of them locks the mutex again before
 * the next round.
 */
#define COND_BENCH(mon)                                                                                                \
	typedef struct cond_##mon##_state {                                                                            \
		BENCH_ALIGNED mon_##mon##_mutex mutex;                                                                 \
		mon_##mon##_cond conds[2];                                                                             \
		uint64_t turn, passed, waiting;                                                                        \
		int threads;                                                                                           \
	} cond_##mon##_state;                                                                                          \
	static void *cond_##mon##_setup(const bench_setting *with)                                                     \
	{                                                                                                              \
		cond_##mon##_state *s = bench_alloc(sizeof *s);                                                        \
		mon_##mon##_mutex_init(&s->mutex);                                                                     \
		mon_##mon##_cond_init(&s->conds[0]);                                                                   \
		mon_##mon##_cond_init(&s->conds[1]);                                                                   \
		s->threads = with->threads;                                                                            \
		return s;                                                                                              \
	}                                                                                                              \
	static void cond_##mon##_pingpong(bench_thread *t)                                                             \
	{                                                                                                              \
		cond_##mon##_state *s = t->state;                                                                      \
		const uint64_t mine = (uint64_t)t->index;                                                              \
		BENCH_EACH (i, t) {                                                                                    \
			mon_##mon##_lock(&s->mutex);                                                                   \
			while (s->turn % 2 != mine)                                                                    \
				mon_##mon##_wait(&s->conds[mine], &s->mutex);                                          \
			s->turn++;                                                                                     \
			mon_##mon##_unlock(&s->mutex);                                                                 \
			mon_##mon##_signal(&s->conds[!mine]);                                                          \
			bench_lap(t);                                                                                  \
		}                                                                                                      \
	}                                                                                                              \
	static void cond_##mon##_broadcast(bench_thread *t)                                                            \
	{                                                                                                              \
		cond_##mon##_state *s = t->state;                                                                      \
		const uint64_t others = (uint64_t)t->threads - 1;                                                      \
		BENCH_EACH (i, t) {                                                                                    \
			mon_##mon##_lock(&s->mutex);                                                                   \
			if (t->index == 0) {                                                                           \
				while (s->waiting < others)                                                            \
					mon_##mon##_wait(&s->conds[0], &s->mutex);                                     \
				s->waiting = 0;                                                                        \
				s->turn++;                                                                             \
				mon_##mon##_broadcast(&s->conds[1]);                                                   \
			} else {                                                                                       \
				if (++s->waiting == others)                                                            \
					mon_##mon##_signal(&s->conds[0]);                                              \
				while (s->turn == i)                                                                   \
					mon_##mon##_wait(&s->conds[1], &s->mutex);                                     \
				s->passed++;                                                                           \
			}                                                                                              \
			mon_##mon##_unlock(&s->mutex);                                                                 \
		}                                                                                                      \
	}                                                                                                              \
	static void cond_##mon##_pingpong_teardown(void *state, uint64_t total)                                        \
	{                                                                                                              \
		cond_##mon##_state *s = state;                                                                         \
		if (s->turn != 2 * total)                                                                              \
			bench_fail("a condition counted %llu turns", (unsigned long long)s->turn);                     \
		free(s);                                                                                               \
	}                                                                                                              \
	static void cond_##mon##_broadcast_teardown(void *state, uint64_t total)                                       \
	{                                                                                                              \
		cond_##mon##_state *s = state;                                                                         \
		if (s->turn != total || s->passed != total * (uint64_t)(s->threads - 1))                               \
			bench_fail("a broadcast let %llu pass", (unsigned long long)s->passed);                        \
		free(s);                                                                                               \
	}

#define COND_ROW(mon, name, what)                                                                                      \
	{                                                                                                              \
		"locks/cond_" name, #mon, cond_##mon##_setup, cond_##mon##_##what, cond_##mon##_##what##_teardown      \
	}
#define COND_ROWS(mon)                                                                                                 \
	COND_ROW(mon, "pingpong_anywhere", pingpong), COND_ROW(mon, "pingpong_apart", pingpong),                       \
	    COND_ROW(mon, "pingpong_together", pingpong), COND_ROW(mon, "broadcast", broadcast)

COND_BENCH(fairlead)
COND_BENCH(pthread)
COND_BENCH(nsync)

static const bench_row rows[] = {
    COND_ROWS(fairlead),
    COND_ROWS(pthread),
    COND_ROWS(nsync),
};
BENCH_ROWS(rows)
