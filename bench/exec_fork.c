/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Measures fork and join, loops in parallel, and bursts of tasks, for Fairlead and for OpenMP,
 * whose functions are in exec_omp.c. The rows of TBB are in exec_cxx.cc.
 */
#include "forks.h"
#include "pools.h"

#include <fairlead/executor.h>
#include <fairlead/group.h>
#include <fairlead/latch.h>
#include <fairlead/parallel.h>
#include <fairlead/task.h>

/* --- Fairlead --- */

static void *fairlead_open(unsigned workers)
{
	fl_executor *e = NULL;
	BENCH_OK(fl_thread_executor_create(&e, &(fl_executor_config){.workers = workers}));
	return e;
}

static void fairlead_close(void *pool)
{
	fl_executor_free(pool);
}

typedef struct fib_call {
	uint64_t n, result;
} fib_call;

static int fairlead_fork(void *arg)
{
	fib_call *call = arg;
	if (call->n < 2) {
		call->result = call->n;
		return 0;
	}
	fib_call a = {.n = call->n - 1}, b = {.n = call->n - 2};
	int rc = fl_parallel_invoke(fairlead_fork, &a, fairlead_fork, &b);
	call->result = a.result + b.result;
	return rc;
}

FL_TASK(bench_fib, uint64_t, uint64_t)
{
	fib_call call = {.n = *arg};
	int rc = fairlead_fork(&call);
	*result = call.result;
	return rc;
}

static uint64_t fairlead_fib(void *pool, unsigned n)
{
	uint64_t result = 0;
	fl_future *f;
	BENCH_OK(bench_fib_submit(pool, n, &f));
	BENCH_OK(bench_fib_get(f, &result));
	fl_future_free(f);
	return result;
}

static int fairlead_board(void *arg)
{
	fork_board *b = arg, next[QUEENS_N];
	if (b->rows == QUEENS_N) {
		b->solutions = 1;
		return 0;
	}
	const size_t n = fork_moves(b, next);
	const int rc = fl_parallel_invoke_all(fairlead_board, next, n, sizeof next[0]);
	fork_add_boards(b, next, n);
	return rc;
}

static int fairlead_sky(void *arg)
{
	fork_sky *node = arg, next[SKYNET_BRANCHES];
	if (node->leaves == 1) {
		node->sum = node->first;
		return 0;
	}
	fork_branches(node, next);
	const int rc = fl_parallel_invoke_all(fairlead_sky, next, SKYNET_BRANCHES, sizeof next[0]);
	fork_add_sums(node, next);
	return rc;
}

FL_TASK(bench_board, fork_board *, void)
{
	return fairlead_board(*arg);
}

FL_TASK(bench_sky, fork_sky *, void)
{
	return fairlead_sky(*arg);
}

static void fairlead_queens(void *pool, fork_board *b)
{
	fl_future *f;
	BENCH_OK(bench_board_submit(pool, b, &f));
	BENCH_OK(bench_board_get(f));
	fl_future_free(f);
}

static void fairlead_skynet(void *pool, fork_sky *node)
{
	fl_future *f;
	BENCH_OK(bench_sky_submit(pool, node, &f));
	BENCH_OK(bench_sky_get(f));
	fl_future_free(f);
}

struct loop {
	void *y;
	const float *x;
	float a;
};

static int even_body(void *state, size_t from, size_t to)
{
	const struct loop *loop = state;
	fork_axpy(loop->y, loop->x, loop->a, from, to);
	return 0;
}

static int uneven_body(void *state, size_t from, size_t to)
{
	const struct loop *loop = state;
	fork_rows(loop->y, from, to);
	return 0;
}

static void fairlead_even(void *pool, float *y, const float *x, float a, size_t n)
{
	BENCH_OK(fl_parallel_for(pool, 0, n, even_body, &(struct loop){y, x, a}, NULL));
}

static void fairlead_uneven(void *pool, uint64_t *rows, size_t n)
{
	BENCH_OK(fl_parallel_for(pool, 0, n, uneven_body, &(struct loop){.y = rows}, NULL));
}

/* A burst consists of tasks without futures; a latch counts them down. */
typedef struct burst_job {
	fl_latch *latch;
	uint64_t arg, *result;
} burst_job;

FL_TASK(bench_count_down, burst_job *, void)
{
	*(*arg)->result = pool_task((*arg)->arg);
	fl_latch_count_down((*arg)->latch, 1);
	return 0;
}

static void fairlead_burst(void *pool, uint64_t *results, uint64_t first, uint64_t n)
{
	static BENCH_ALIGNED fl_latch latch;
	static BENCH_ALIGNED burst_job jobs[POOL_BATCH];
	BENCH_OK(fl_latch_init(&latch, (uint32_t)n));
	for (uint64_t i = 0; i < n; i++) {
		jobs[i] = (burst_job){&latch, first + i, &results[i]};
		BENCH_OK(bench_count_down_submit(pool, &jobs[i], NULL));
	}
	BENCH_OK(fl_latch_wait(&latch));
}

/* A burst by a group: all members are submitted, and then the group is joined. */
FL_TASK(bench_member, uint64_t, uint64_t)
{
	*result = pool_task(*arg);
	return 0;
}

static void fairlead_group(void *pool, uint64_t *results, uint64_t first, uint64_t n)
{
	fl_group group = FL_GROUP_INIT(pool);
	for (uint64_t i = 0; i < n; i++)
		BENCH_OK(fl_group_submit(&group, &bench_member, &(uint64_t){first + i}, &results[i]));
	BENCH_OK(fl_group_join(&group));
	fl_group_destroy(&group);
}

struct inside {
	void (*run)(bench_thread *t);
	bench_thread *t;
};

FL_TASK(bench_inside, struct inside, void)
{
	arg->run(arg->t);
	return 0;
}

static void fairlead_inside(void *pool, void (*run)(bench_thread *t), bench_thread *t)
{
	fl_future *f;
	if (bench_inside_submit(pool, (struct inside){run, t}, &f) || bench_inside_get(f))
		bench_fail("a task that submits");
	fl_future_free(f);
}

static const fork_runtime fairlead = {fairlead_open,  fairlead_close,  fairlead_fib,    fairlead_even,  fairlead_uneven,
                                      fairlead_burst, fairlead_inside, fairlead_queens, fairlead_skynet};
static const fork_runtime fairlead_groups = {.open = fairlead_open, .close = fairlead_close, .burst = fairlead_group};

extern const fork_runtime bench_omp; /* defined in exec_omp.c */

/*
 * The floor row of fork and join: the calling thread makes the same calls itself, without a pool.
 */
static void *calls_open(unsigned workers)
{
	return NULL;
}

static void calls_close(void *pool)
{
}

static uint64_t calls_fib(void *pool, unsigned n)
{
	return n < 2 ? n : calls_fib(pool, n - 1) + calls_fib(pool, n - 2);
}

static void calls_queens(void *pool, fork_board *b)
{
	fork_board next[QUEENS_N];
	if (b->rows == QUEENS_N) {
		b->solutions = 1;
		return;
	}
	const size_t n = fork_moves(b, next);
	for (size_t i = 0; i < n; i++)
		calls_queens(pool, &next[i]);
	fork_add_boards(b, next, n);
}

static void calls_skynet(void *pool, fork_sky *node)
{
	fork_sky next[SKYNET_BRANCHES];
	if (node->leaves == 1) {
		node->sum = node->first;
		return;
	}
	fork_branches(node, next);
	for (size_t i = 0; i < SKYNET_BRANCHES; i++)
		calls_skynet(pool, &next[i]);
	fork_add_sums(node, next);
}

static const fork_runtime calls = {
    .open = calls_open, .close = calls_close, .fib = calls_fib, .queens = calls_queens, .skynet = calls_skynet};

static const bench_row rows[] = {
    FORK_ROWS("fairlead", BENCH_PEER, &fairlead),
    BURST_ROWS("fairlead", &fairlead),
    FORK_ROW_OF("burst_1000_worker", "fairlead", _burst, _burst_1000_worker, BENCH_PEER, &fairlead),
    FORK_ROW("group", "fairlead", _burst, BENCH_PEER, &fairlead_groups),
    FORK_ROW("fork_join", "calls", , BENCH_FLOOR, &calls),
    SEARCH_ROWS("fairlead", BENCH_PEER, &fairlead),
    SEARCH_ROWS("calls", BENCH_FLOOR, &calls),
    SEARCH_ROWS("libgomp", BENCH_PEER, &bench_omp),
    FORK_ROWS("libgomp", BENCH_PEER, &bench_omp),
    BURST_ROWS("libgomp", &bench_omp),
    FORK_ROW("group", "libgomp", _burst, BENCH_PEER, &bench_omp),
};
BENCH_ROWS(rows)
