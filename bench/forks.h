/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef BENCH_FORKS_H
#define BENCH_FORKS_H

#include "shim.h"

#include <stdlib.h>

/*
 * Work that forks and joins, and loops in parallel, for C and C++. The thread that asks is one of
 * the workers where that is how the implementation does it.
 */
enum {
	FORK_N = 30,          /* fib(30), where each call with an argument of 2 and more forks */
	FORK_RESULT = 832040, /* of it */
	FORK_CALLS = 2692537, /* that it takes */
	LOOP_EVEN = 10000000, /* elements of the loop with even work */
	LOOP_ROWS = 4000,     /* of the loop with uneven work */
};

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The bodies of the loops, the same code for all: y += a x, for elements; rows of a triangle, each
 * of as many rounds as its number. The modules of OpenMP find them in the program.
 */
__attribute__((visibility("default"))) void fork_axpy(float *y, const float *x, float a, size_t from, size_t to);
__attribute__((visibility("default"))) void fork_rows(uint64_t *rows, size_t from, size_t to);

/*
 * An implementation. open(workers) makes what the others are given; NULL where it has none of a
 * kind.
 */
typedef struct fork_runtime {
	void *(*open)(unsigned workers);
	void (*close)(void *pool);
	uint64_t (*fib)(void *pool, unsigned n);
	void (*even)(void *pool, float *y, const float *x, float a, size_t n);
	void (*uneven)(void *pool, uint64_t *rows, size_t n);
	/*
	 * Starts n tasks, of which each stores its number plus `first` in its place of `results`,
	 * and waits for all.
	 */
	void (*burst)(void *pool, uint64_t *results, uint64_t first, uint64_t n);
} fork_runtime;

/* For the rows of an implementation: setup is one of these with its runtime. */
void *fork_setup(const fork_runtime *runtime, int threads);
void *fork_setup_even(const fork_runtime *runtime, int threads);
void *fork_setup_uneven(const fork_runtime *runtime, int threads);
void *fork_setup_burst(const fork_runtime *runtime, int threads);
void fork_run(bench_thread *t);
void fork_run_even(bench_thread *t);
void fork_run_uneven(bench_thread *t);
void fork_run_burst(bench_thread *t);
void fork_teardown(void *state, uint64_t total);

#ifdef __cplusplus
}
#endif

/*
 * FORK_BENCH(impl, runtime): the functions of its rows; `runtime` is an expression. FORK_ROW(case,
 * name, impl, of).
 */
#define FORK_SETUP(impl, of, runtime)                                                                                  \
	static void *impl##_setup##of(int threads, uint64_t total)                                                     \
	{                                                                                                              \
		(void)total;                                                                                           \
		return fork_setup##of(runtime, threads);                                                               \
	}
#define FORK_ROW(impl, name, of, label)                                                                                \
	{                                                                                                              \
		"exec/" name, label, impl##_setup##of, fork_run##of, fork_teardown, 0                                  \
	}

#endif
