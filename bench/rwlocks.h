/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef BENCH_RWLOCKS_H
#define BENCH_RWLOCKS_H

#include "shim.h"

#include <stdlib.h>

/*
 * The workloads of readers-writer locks, for C and C++. A read looks at two words, which must be
 * equal. A write adds one to both. In the mixed cases the threads take operations by the hundred,
 * until all are taken. In `99`, one of 100 operations is a write, and in `90` one of 10; `100` has
 * only one write, the first operation of the run. In `90_100ns` an operation works for 100 ns under
 * the lock, and for 200 to 400 ns after it. In the other cases, there is nothing between two
 * operations.
 */
typedef struct rw_data {
	uint64_t one, two; /* guarded by the lock */
	BENCH_ALIGNED uint64_t taken;
} rw_data;

enum { RW_BATCH = 100 };

static inline void rw_look(const rw_data *data)
{
	const volatile uint64_t *one = &data->one, *two = &data->two;
	if (*one != *two)
		bench_fail("a reader saw a writer's half");
}

/* Makes the compiler compute `work`. */
static inline void rw_use(uint64_t work)
{
	__asm__ volatile("" : : "r"(work));
}

static inline void rw_check(const rw_data *data, uint64_t writes)
{
	if (data->one != writes || data->two != writes)
		bench_fail("counted %llu writes of %llu", (unsigned long long)data->one, (unsigned long long)writes);
}

/* Defines the functions of one implementation. The statements are on `m`, a pointer to `type`. */
#define RW_BENCH(impl, type, init, read, read_unlock, write, write_unlock)                                             \
	typedef struct impl##_rw {                                                                                     \
		rw_data data;                                                                                          \
		BENCH_ALIGNED type lock;                                                                               \
	} impl##_rw;                                                                                                   \
	static void *impl##_rw_setup(const bench_setting *with)                                                        \
	{                                                                                                              \
		impl##_rw *s = (impl##_rw *)bench_alloc(sizeof *s);                                                    \
		type *m = &s->lock;                                                                                    \
		init;                                                                                                  \
		return s;                                                                                              \
	}                                                                                                              \
	static void impl##_rw_read(bench_thread *t)                                                                    \
	{                                                                                                              \
		impl##_rw *s = (impl##_rw *)t->state;                                                                  \
		type *m = &s->lock;                                                                                    \
		BENCH_EACH (i, t) {                                                                                    \
			read;                                                                                          \
			rw_look(&s->data);                                                                             \
			read_unlock;                                                                                   \
		}                                                                                                      \
	}                                                                                                              \
	static void impl##_rw_write(bench_thread *t)                                                                   \
	{                                                                                                              \
		impl##_rw *s = (impl##_rw *)t->state;                                                                  \
		type *m = &s->lock;                                                                                    \
		BENCH_EACH (i, t) {                                                                                    \
			write;                                                                                         \
			s->data.one++;                                                                                 \
			s->data.two++;                                                                                 \
			write_unlock;                                                                                  \
		}                                                                                                      \
	}                                                                                                              \
	/*                                                                                                             \
	 * Each operation has `rounds` of bench_work(); between two operations are two to four times                   \
	 * as many.                                                                                                    \
	 */                                                                                                            \
	static inline                                                                                                  \
	    __attribute__((always_inline)) void impl##_rw_mixed(bench_thread *t, unsigned every, unsigned rounds)      \
	{                                                                                                              \
		impl##_rw *s = (impl##_rw *)t->state;                                                                  \
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
	RW_RUN(impl, 100, 1 << 30, 0)                                                                                  \
	RW_RUN(impl, 99, 100, 0)                                                                                       \
	RW_RUN(impl, 90, 10, 0)                                                                                        \
	RW_RUN(impl, 90_100ns, 10, bench_rounds())

#define RW_RUN(impl, name, every, rounds)                                                                              \
	__attribute__((unused)) static void impl##_rw_##name(bench_thread *t)                                          \
	{                                                                                                              \
		impl##_rw_mixed(t, every, rounds);                                                                     \
	}

/* Defines a teardown. `writes` is how many of the `total` operations were writes. */
#define RW_TEARDOWN(name, writes)                                                                                      \
	static inline void rw_##name##_teardown(void *state, uint64_t total)                                           \
	{                                                                                                              \
		rw_check((rw_data *)state, writes);                                                                    \
		free(state);                                                                                           \
	}
RW_TEARDOWN(read, 0)
RW_TEARDOWN(write, total)
RW_TEARDOWN(100, total > 0)
RW_TEARDOWN(99, (total + 99) / 100)
RW_TEARDOWN(90, (total + 9) / 10)
#define rw_90_100ns_teardown rw_90_teardown

#define RW_ROW(impl, role, what)                                                                                       \
	{                                                                                                              \
		"locks/rw_" #what, #impl, impl##_rw_setup, impl##_rw_##what, rw_##what##_teardown, 0, role             \
	}
#define RW_ALL(impl, role)                                                                                             \
	RW_ROW(impl, role, read), RW_ROW(impl, role, write), RW_ROW(impl, role, 100), RW_ROW(impl, role, 99),          \
	    RW_ROW(impl, role, 90), RW_ROW(impl, role, 90_100ns)

#endif
