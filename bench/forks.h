/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef BENCH_FORKS_H
#define BENCH_FORKS_H

#include "shim.h"

#include <stdlib.h>

/*
 * The workloads of fork and join and of loops in parallel, for C and C++. If an implementation
 * works that way, the asking thread is one of the workers.
 */
enum {
	FORK_N = 30,          /* fib(30), where each call with an argument of 2 and more forks */
	FORK_RESULT = 832040, /* the result of fib(30) */
	FORK_CALLS = 2692537, /* how many calls that takes */
	LOOP_EVEN = 10000000, /* elements of the loop with even work */
	LOOP_CACHED = 100000, /* elements of the loop that is repeated over the same elements */
	LOOP_ROWS = 4000,     /* rows of the loop with uneven work */
	QUEENS_N = 11,        /* queens on a board of 11 by 11; each legal move is a branch */
	QUEENS_RESULT = 2680, /* solutions */
	QUEENS_NODES = 166926,
	SKYNET_BRANCHES = 10, /* how many branches each node except a leaf forks */
	SKYNET_LEAVES = 1000000,
	SKYNET_NODES = 1111111,
};

/* A board with queens in its first rows. */
typedef struct fork_board {
	uint32_t rows, solutions;
	uint8_t column[QUEENS_N];
} fork_board;

/* A tree of sums. The leaves of a node are those from `first` on. */
typedef struct fork_sky {
	uint64_t first, leaves, sum;
} fork_sky;

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The bodies of the loops; all implementations run this code. fork_axpy() computes y += a x for the
 * elements from `from` to `to`. fork_rows() computes rows of a triangle; the number of a row is the
 * number of rounds that it takes.
 */
void fork_axpy(float *y, const float *x, float a, size_t from, size_t to);
void fork_rows(uint64_t *rows, size_t from, size_t to);

/*
 * The searches; all implementations run this code. fork_moves() stores the boards after each legal
 * move, and returns how many. fork_branches() stores the ten branches of a node that is not a leaf.
 * The other two add up what the branches have found.
 */
size_t fork_moves(const fork_board *b, fork_board next[QUEENS_N]);
void fork_add_boards(fork_board *b, const fork_board *next, size_t n);
void fork_branches(const fork_sky *node, fork_sky next[SKYNET_BRANCHES]);
void fork_add_sums(fork_sky *node, const fork_sky *next);

/*
 * An implementation. open(workers) makes the pool, which the other functions get. A function is
 * NULL if the implementation lacks it.
 */
typedef struct fork_runtime {
	void *(*open)(unsigned workers);
	void (*close)(void *pool);
	uint64_t (*fib)(void *pool, unsigned n);
	void (*even)(void *pool, float *y, const float *x, float a, size_t n);
	void (*uneven)(void *pool, uint64_t *rows, size_t n);
	/*
	 * Starts n tasks and waits for all of them. Each task stores its number plus `first` in its
	 * place of `results`.
	 */
	void (*burst)(void *pool, uint64_t *results, uint64_t first, uint64_t n);
	/* calls `run` in a worker */
	void (*inside)(void *pool, void (*run)(bench_thread *t), bench_thread *t);
	/* search the tree below a board or a node; each fork contains all branches of a node */
	void (*queens)(void *pool, fork_board *b);
	void (*skynet)(void *pool, fork_sky *node);
} fork_runtime;

/* These functions are for rows whose `arg` is the runtime. */
void *fork_setup(const bench_setting *with);
void *fork_setup_even(const bench_setting *with);
void *fork_setup_cached(const bench_setting *with);
void *fork_setup_uneven(const bench_setting *with);
void *fork_setup_burst(const bench_setting *with);
void fork_run(bench_thread *t);
void fork_run_even(bench_thread *t);
void fork_run_uneven(bench_thread *t);
void fork_run_queens(bench_thread *t);
void fork_run_skynet(bench_thread *t);
void fork_run_burst(bench_thread *t);
/* begins each burst 1 ms after the end of the one before */
void fork_run_burst_1000(bench_thread *t);
void fork_run_burst_1000_worker(bench_thread *t);
void fork_teardown(void *state, uint64_t total);

#ifdef __cplusplus
}
#endif

#define FORK_ROW_OF(name, label, of, run, role, runtime)                                                               \
	{                                                                                                              \
		"exec/" name, label, fork_setup##of, fork_run##run, fork_teardown, 0, role, runtime                    \
	}
#define FORK_ROW(name, label, of, role, runtime) FORK_ROW_OF(name, label, of, of, role, runtime)
#define BURST_ROWS(label, runtime)                                                                                     \
	FORK_ROW("burst", label, _burst, BENCH_PEER, runtime),                                                         \
	    FORK_ROW_OF("burst_1000", label, _burst, _burst_1000, BENCH_PEER, runtime)
#define SEARCH_ROWS(label, role, runtime)                                                                              \
	FORK_ROW_OF("nqueens", label, , _queens, role, runtime), FORK_ROW_OF("skynet", label, , _skynet, role, runtime)
#define FORK_ROWS(label, role, runtime)                                                                                \
	FORK_ROW("fork_join", label, , role, runtime), FORK_ROW("parallel_even", label, _even, role, runtime),         \
	    FORK_ROW_OF("parallel_cached", label, _cached, _even, role, runtime),                                      \
	    FORK_ROW("parallel_uneven", label, _uneven, role, runtime)

#endif
