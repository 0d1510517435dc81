/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef BENCH_RWLOCKS_H
#define BENCH_RWLOCKS_H

#include "shim.h"

#include <stdlib.h>

/*
 * The workloads of readers-writer locks, for C and C++: a read looks at two words that must be
 * alike, a write adds one to both. The threads take operations by the hundred until all are taken,
 * one of them, or every tenth, a write. In `100ns` an operation works for 100 ns under the lock, and
 * for 200 to 400 ns after it; in the others there is nothing between.
 */
typedef struct rw_data {
	uint64_t one, two; /* under the lock */
	BENCH_ALIGNED uint64_t taken;
} rw_data;

enum { RW_BATCH = 100 };

static inline void rw_look(const rw_data *data)
{
	const volatile uint64_t *one = &data->one, *two = &data->two;
	if (*one != *two)
		bench_fail("a reader saw a writer's half");
}

/* The compiler must compute `work`. */
static inline void rw_use(uint64_t work)
{
	__asm__ volatile("" : : "r"(work));
}

static inline void rw_check(const rw_data *data, uint64_t writes)
{
	if (data->one != writes || data->two != writes)
		bench_fail("counted %llu writes of %llu", (unsigned long long)data->one, (unsigned long long)writes);
}

/* The runs of one implementation; its statements are on `m`, a pointer to `type`. */
#define RW_BENCH(impl, type, init, read, read_unlock, write, write_unlock)                                             \
	struct impl##_rw {                                                                                             \
		rw_data data;                                                                                          \
		BENCH_ALIGNED type lock;                                                                               \
	};                                                                                                             \
	static void *impl##_rw_setup(int threads, uint64_t total)                                                      \
	{                                                                                                              \
		struct impl##_rw *s = (struct impl##_rw *)bench_alloc(sizeof *s);                                      \
		type *m = &s->lock;                                                                                    \
		(void)threads;                                                                                         \
		(void)total;                                                                                           \
		init;                                                                                                  \
		return s;                                                                                              \
	}                                                                                                              \
	static void impl##_rw_read(bench_thread *t)                                                                    \
	{                                                                                                              \
		struct impl##_rw *s = (struct impl##_rw *)t->state;                                                    \
		type *m = &s->lock;                                                                                    \
		for (uint64_t i = 0; i < t->total; i++) {                                                              \
			read;                                                                                          \
			rw_look(&s->data);                                                                             \
			read_unlock;                                                                                   \
		}                                                                                                      \
	}                                                                                                              \
	static void impl##_rw_write(bench_thread *t)                                                                   \
	{                                                                                                              \
		struct impl##_rw *s = (struct impl##_rw *)t->state;                                                    \
		type *m = &s->lock;                                                                                    \
		for (uint64_t i = 0; i < t->total; i++) {                                                              \
			write;                                                                                         \
			s->data.one++;                                                                                 \
			s->data.two++;                                                                                 \
			write_unlock;                                                                                  \
		}                                                                                                      \
	}                                                                                                              \
	/* `rounds`: of bench_work() in each operation; between two operations two to four times as many. */           \
	static inline                                                                                                  \
	    __attribute__((always_inline)) void impl##_rw_mixed(bench_thread *t, unsigned every, unsigned rounds)      \
	{                                                                                                              \
		struct impl##_rw *s = (struct impl##_rw *)t->state;                                                    \
		type *m = &s->lock;                                                                                    \
		uint64_t i, work = 0;                                                                                  \
		while ((i = __atomic_fetch_add(&s->data.taken, RW_BATCH, __ATOMIC_RELAXED)) < t->total) {              \
			for (uint64_t end = i + RW_BATCH < t->total ? i + RW_BATCH : t->total; i < end; i++) {         \
				if (i % every == 0) {                                                                  \
					write;                                                                         \
					s->data.one++;                                                                 \
					s->data.two++;                                                                 \
					work = bench_work(work, rounds);                                               \
					write_unlock;                                                                  \
				} else {                                                                               \
					read;                                                                          \
					rw_look(&s->data);                                                             \
					work = bench_work(work, rounds);                                               \
					read_unlock;                                                                   \
				}                                                                                      \
				work = bench_work(work, (2 + i % 3) * rounds);                                         \
			}                                                                                              \
		}                                                                                                      \
		rw_use(work);                                                                                          \
	}                                                                                                              \
	static void impl##_rw_99(bench_thread *t)                                                                      \
	{                                                                                                              \
		impl##_rw_mixed(t, 100, 0);                                                                            \
	}                                                                                                              \
	__attribute__((unused)) static void impl##_rw_90(bench_thread *t)                                              \
	{                                                                                                              \
		impl##_rw_mixed(t, 10, 0);                                                                             \
	}                                                                                                              \
	__attribute__((unused)) static void impl##_rw_90_100ns(bench_thread *t)                                        \
	{                                                                                                              \
		impl##_rw_mixed(t, 10, bench_rounds());                                                                \
	}

static inline void rw_read_teardown(void *state, uint64_t total)
{
	(void)total;
	rw_check((rw_data *)state, 0);
	free(state);
}

static inline void rw_write_teardown(void *state, uint64_t total)
{
	rw_check((rw_data *)state, total);
	free(state);
}

static inline void rw_99_teardown(void *state, uint64_t total)
{
	rw_check((rw_data *)state, (total + 99) / 100);
	free(state);
}

static inline void rw_90_teardown(void *state, uint64_t total)
{
	rw_check((rw_data *)state, (total + 9) / 10);
	free(state);
}

static inline void rw_90_100ns_teardown(void *state, uint64_t total)
{
	rw_90_teardown(state, total);
}

#define RW_ROW(label, impl, what)                                                                              \
	{                                                                                                              \
		"locks/rw_" #what, label, impl##_rw_setup, impl##_rw_##what, rw_##what##_teardown, 0                    \
	}
#define RW_ALL_ROWS(label, impl)\
	RW_ROW(label, impl, read), RW_ROW(label, impl, write), RW_ROW(label, impl, 99), RW_ROW(label, impl, 90), RW_ROW(label, impl, 90_100ns)

#endif
