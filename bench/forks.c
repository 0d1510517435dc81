/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The workloads of fork and join, of loops in parallel and of bursts (forks.h), for any
 * implementation: their setup, their runs, and the checks of their results.
 */
#include "forks.h"

#include "pools.h"

void fork_axpy(float *y, const float *x, float a, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		y[i] += a * x[i];
}

void fork_rows(uint64_t *rows, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		rows[i] = bench_work(i, (unsigned)i);
}

static bool is_legal(const fork_board *b, unsigned column)
{
	for (unsigned row = 0; row < b->rows; row++) {
		const unsigned d = b->rows - row, there = b->column[row];
		if (there == column || there + d == column || there == column + d)
			return false;
	}
	return true;
}

size_t fork_moves(const fork_board *b, fork_board next[QUEENS_N])
{
	size_t n = 0;
	for (unsigned column = 0; column < QUEENS_N; column++)
		if (is_legal(b, column)) {
			next[n] = *b;
			next[n].column[next[n].rows++] = (uint8_t)column;
			n++;
		}
	return n;
}

void fork_add_boards(fork_board *b, const fork_board *next, size_t n)
{
	b->solutions = 0;
	for (size_t i = 0; i < n; i++)
		b->solutions += next[i].solutions;
}

void fork_branches(const fork_sky *node, fork_sky next[SKYNET_BRANCHES])
{
	const uint64_t leaves = node->leaves / SKYNET_BRANCHES;
	for (uint64_t i = 0; i < SKYNET_BRANCHES; i++)
		next[i] = (fork_sky){node->first + i * leaves, leaves, 0};
}

void fork_add_sums(fork_sky *node, const fork_sky *next)
{
	node->sum = 0;
	for (size_t i = 0; i < SKYNET_BRANCHES; i++)
		node->sum += next[i].sum;
}

/* The state of a row. A row sets the fields that it needs; the others are NULL. */
typedef struct fork_state {
	const fork_runtime *runtime;
	void *pool;
	float *x, *y;
	uint64_t *rows, *expected, *results;
	size_t n; /* number of elements of x, and of y */
	uint64_t loops;
} fork_state;

void *fork_setup(const bench_setting *with)
{
	fork_state *s = bench_alloc(sizeof *s);
	s->runtime = with->arg;
	s->pool = s->runtime->open((unsigned)with->threads);
	if (s->runtime->fib && s->runtime->fib(s->pool, 20) != 6765)
		bench_fail("fib(20) is wrong");
	return s;
}

void fork_run(bench_thread *t)
{
	fork_state *s = t->state;
	do {
		if (s->runtime->fib(s->pool, FORK_N) != FORK_RESULT)
			bench_fail("fib(30) is wrong");
		t->done += FORK_CALLS;
	} while (bench_now() < t->until);
}

void fork_run_queens(bench_thread *t)
{
	const fork_state *s = t->state;
	do {
		fork_board root = {0};
		s->runtime->queens(s->pool, &root);
		if (root.solutions != QUEENS_RESULT)
			bench_fail("the number of solutions is wrong");
		t->done += QUEENS_NODES;
	} while (bench_now() < t->until);
}

void fork_run_skynet(bench_thread *t)
{
	const fork_state *s = t->state;
	do {
		fork_sky root = {.leaves = SKYNET_LEAVES};
		s->runtime->skynet(s->pool, &root);
		if (root.sum != (uint64_t)SKYNET_LEAVES * (SKYNET_LEAVES - 1) / 2)
			bench_fail("the sum is wrong");
		t->done += SKYNET_NODES;
	} while (bench_now() < t->until);
}

static void *setup_even(const bench_setting *with, size_t n)
{
	fork_state *s = fork_setup(with);
	s->n = n;
	s->x = bench_alloc(n * sizeof *s->x);
	s->y = bench_alloc(n * sizeof *s->y);
	for (size_t i = 0; i < n; i++)
		s->x[i] = (float)(i % 4);
	s->runtime->even(s->pool, s->y, s->x, 1, n);
	s->loops = 1;
	return s;
}

void *fork_setup_even(const bench_setting *with)
{
	return setup_even(with, LOOP_EVEN);
}

void *fork_setup_cached(const bench_setting *with)
{
	return setup_even(with, LOOP_CACHED);
}

void fork_run_even(bench_thread *t)
{
	fork_state *s = t->state;
	do {
		for (size_t i = 0; i < LOOP_EVEN; i += s->n, s->loops++)
			s->runtime->even(s->pool, s->y, s->x, 1, s->n);
		t->done += LOOP_EVEN;
	} while (bench_now() < t->until);
}

void *fork_setup_uneven(const bench_setting *with)
{
	fork_state *s = fork_setup(with);
	s->rows = bench_alloc(LOOP_ROWS * sizeof *s->rows);
	s->expected = bench_alloc(LOOP_ROWS * sizeof *s->expected);
	fork_rows(s->expected, 0, LOOP_ROWS);
	s->runtime->uneven(s->pool, s->rows, LOOP_ROWS);
	return s;
}

void fork_run_uneven(bench_thread *t)
{
	fork_state *s = t->state;
	do {
		s->rows[LOOP_ROWS - 1] = 0;
		s->runtime->uneven(s->pool, s->rows, LOOP_ROWS);
		if (s->rows[LOOP_ROWS - 1] != s->expected[LOOP_ROWS - 1])
			bench_fail("a row was not computed");
		t->done += LOOP_ROWS;
	} while (bench_now() < t->until);
}

void *fork_setup_burst(const bench_setting *with)
{
	fork_state *s = fork_setup(with);
	s->results = bench_alloc(POOL_BATCH * sizeof *s->results);
	s->runtime->burst(s->pool, s->results, 0, POOL_BATCH);
	return s;
}

static void check_burst(const fork_state *s, uint64_t first, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		if (s->results[i] != first + i)
			bench_fail("a task of a burst was not run");
}

void fork_run_burst(bench_thread *t)
{
	fork_state *s = t->state;
	for (uint64_t first = 0, n = POOL_BATCH; first < t->total; first += n) {
		if (n > t->total - first)
			n = t->total - first;
		s->runtime->burst(s->pool, s->results, first, n);
		check_burst(s, first, n);
	}
}

void fork_run_burst_1000(bench_thread *t)
{
	enum { TASKS = 1000, PAUSE_US = 1000 };
	fork_state *s = t->state;
	for (; bench_now() < t->until; t->done++) {
		bench_sleep(PAUSE_US);
		int64_t start = bench_now();
		if (t->laps)
			bench_lap_begin(t->laps);
		s->runtime->burst(s->pool, s->results, t->done, TASKS);
		bench_lap(t);
		t->took += bench_now() - start;
		check_burst(s, t->done, TASKS);
	}
}

void fork_run_burst_1000_worker(bench_thread *t)
{
	const fork_state *s = t->state;
	s->runtime->inside(s->pool, fork_run_burst_1000, t);
}

/*
 * Each loop has added x to y once. The numbers are small integers, so the sums in float are exact.
 */
static void check_even(const fork_state *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->y[i] != s->x[i] * (float)s->loops)
			bench_fail("an element was not computed, or twice");
}

static void check_uneven(const fork_state *s)
{
	for (size_t i = 0; i < LOOP_ROWS; i++)
		if (s->rows[i] != s->expected[i])
			bench_fail("a row was not computed");
}

void fork_teardown(void *state, uint64_t total)
{
	fork_state *s = state;
	if (s->y)
		check_even(s);
	if (s->rows)
		check_uneven(s);
	s->runtime->close(s->pool);
	free(s->x);
	free(s->y);
	free(s->rows);
	free(s->expected);
	free(s->results);
	free(s);
}
