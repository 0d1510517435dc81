/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * OpenMP's part of exec_fork.c and of forks.h. meson.build compiles this file with gcc, whichever
 * compiler is used for the program. The asking thread belongs to the team. main.c sets how the
 * other threads of the team wait.
 */
#include "forks.h"

static void *omp_open(unsigned workers)
{
	unsigned *n = malloc(sizeof *n);
	if (n)
		*n = workers;
	return n;
}

static uint64_t fib(unsigned n)
{
	if (n < 2)
		return n;
	uint64_t a, b;
#pragma omp task shared(a) firstprivate(n)
	a = fib(n - 1);
	b = fib(n - 2);
#pragma omp taskwait
	return a + b;
}

static uint64_t omp_fib(void *pool, unsigned n)
{
	uint64_t result = 0;
#pragma omp parallel num_threads(*(unsigned *)pool)
#pragma omp single
	result = fib(n);
	return result;
}

static void board(fork_board *b)
{
	fork_board next[QUEENS_N];
	if (b->rows == QUEENS_N) {
		b->solutions = 1;
		return;
	}
	const size_t n = fork_moves(b, next);
	for (size_t i = 0; i + 1 < n; i++)
#pragma omp task shared(next) firstprivate(i)
		board(&next[i]);
	if (n > 0)
		board(&next[n - 1]);
#pragma omp taskwait
	fork_add_boards(b, next, n);
}

static void omp_queens(void *pool, fork_board *b)
{
#pragma omp parallel num_threads(*(unsigned *)pool)
#pragma omp single
	board(b);
}

static void sky(fork_sky *node)
{
	fork_sky next[SKYNET_BRANCHES];
	if (node->leaves == 1) {
		node->sum = node->first;
		return;
	}
	fork_branches(node, next);
	for (size_t i = 0; i < SKYNET_BRANCHES - 1; i++)
#pragma omp task shared(next) firstprivate(i)
		sky(&next[i]);
	sky(&next[SKYNET_BRANCHES - 1]);
#pragma omp taskwait
	fork_add_sums(node, next);
}

static void omp_skynet(void *pool, fork_sky *node)
{
#pragma omp parallel num_threads(*(unsigned *)pool)
#pragma omp single
	sky(node);
}

/*
 * How many elements a loop hands out at a time. The loop's body is code of the program, so that
 * OpenMP does not get a body that another compiler made better.
 */
enum { PIECE = 4096 };

static void omp_even(void *pool, float *y, const float *x, float a, size_t n)
{
#pragma omp parallel for num_threads(*(unsigned *)pool) schedule(static)
	for (size_t i = 0; i < n; i += PIECE)
		fork_axpy(y, x, a, i, i + PIECE < n ? i + PIECE : n);
}

static void omp_uneven(void *pool, uint64_t *rows, size_t n)
{
#pragma omp parallel for num_threads(*(unsigned *)pool) schedule(dynamic)
	for (size_t i = 0; i < n; i++)
		fork_rows(rows, i, i + 1);
}

static void omp_burst(void *pool, uint64_t *results, uint64_t first, uint64_t n)
{
#pragma omp parallel num_threads(*(unsigned *)pool)
#pragma omp single
	{
		for (uint64_t i = 0; i < n; i++)
#pragma omp task firstprivate(i)
			results[i] = first + i;
#pragma omp taskwait
	}
}

const fork_runtime bench_omp = {omp_open, free, omp_fib, omp_even, omp_uneven, omp_burst, NULL, omp_queens, omp_skynet};
