// SPDX-License-Identifier: BSD-2-Clause
// Executors in C++: oneTBB as a pool of threads, for fork and join, and for loops in parallel.
#include "forks.h"
#include "pools.h"

#include <atomic>
#include <tbb/blocked_range.h>
#include <tbb/global_control.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>
#include <tbb/task_group.h>

// What stands in for a future where the peer has none: an atomic word, on which the waiting thread
// polls a few times before it sleeps. So it is three times as fast as a mutex with a condition
// where there is one task at a time. A promise takes twice as long for many tasks. In the rows
// `tbb_yield` the waiting thread yields before it sleeps, and a task notifies only a thread that
// sleeps.
enum : int { PENDING, DONE, ASLEEP };
struct completion {
	std::atomic<int> done;
	uint64_t arg, result;
};

static completion *make_completions(size_t n)
{
	return new completion[n]();
}

static void unmake_completions(completion *c)
{
	delete[] c;
}

static inline void complete(completion *c)
{
	c->result = pool_task(c->arg);
	c->done.store(DONE, std::memory_order_release);
	c->done.notify_one();
}

static inline void complete_or_wake(completion *c)
{
	c->result = pool_task(c->arg);
	if (c->done.exchange(DONE, std::memory_order_acq_rel) == ASLEEP)
		c->done.notify_one();
}

static inline uint64_t completion_get_patiently(void *, completion *c)
{
	for (int i = 0; i < BENCH_YIELDS && c->done.load(std::memory_order_acquire) == PENDING; i++)
		sched_yield();
	int seen = PENDING;
	if (c->done.compare_exchange_strong(seen, ASLEEP, std::memory_order_acq_rel))
		while (c->done.load(std::memory_order_acquire) == ASLEEP)
			c->done.wait(ASLEEP, std::memory_order_acquire);
	return c->result;
}

static inline uint64_t completion_get(void *, completion *c)
{
	c->done.wait(PENDING, std::memory_order_acquire);
	return c->result;
}

// The arena has no place for the calling thread. Without the control, the arena would have one
// thread less than there are CPUs.
namespace tbb_pool
{
struct type {
	explicit type(unsigned workers)
	    : control(tbb::global_control::max_allowed_parallelism, workers + 1), arena(static_cast<int>(workers), 0)
	{
		arena.initialize();
	}

	tbb::global_control control;
	tbb::task_arena arena;
};

static type *open(unsigned workers, size_t)
{
	return new type(workers);
}

template <void complete_one(completion *)>
static inline void submit(type *pool, completion *f, uint64_t arg)
{
	f->arg = arg;
	f->done.store(PENDING, std::memory_order_relaxed);
	pool->arena.enqueue([f] { complete_one(f); });
}

static void close(type *pool)
{
	delete pool;
}
} // namespace tbb_pool

POOL_BENCH(tbb, tbb_pool::type, completion, tbb_pool::open, tbb_pool::close, make_completions, unmake_completions,
           tbb_pool::submit<complete>, completion_get)
POOL_BENCH(tbb_yield, tbb_pool::type, completion, tbb_pool::open, tbb_pool::close, make_completions, unmake_completions,
           tbb_pool::submit<complete_or_wake>, completion_get_patiently)

// A burst is a task group. The waiting thread works, too, in the place of one of the workers.
namespace tbb_crew
{
struct type {
	explicit type(unsigned workers)
	    : control(tbb::global_control::max_allowed_parallelism, workers), arena(static_cast<int>(workers), 1)
	{
	}

	tbb::global_control control;
	tbb::task_arena arena;
	tbb::task_group group;
};

} // namespace tbb_crew

// Fork and join is a task group on the stack; the waiting thread runs one side itself. Loops use
// the default partitioner.
namespace tbb_forks
{
static uint64_t fib(unsigned n)
{
	if (n < 2)
		return n;
	uint64_t a, b;
	tbb::task_group group;
	group.run([&a, n] { a = fib(n - 1); });
	b = fib(n - 2);
	group.wait();
	return a + b;
}

static void *open(unsigned workers)
{
	return new tbb_crew::type(workers);
}

static void close(void *pool)
{
	delete static_cast<tbb_crew::type *>(pool);
}

static tbb::task_arena &arena(void *pool)
{
	return static_cast<tbb_crew::type *>(pool)->arena;
}

static uint64_t fork(void *pool, unsigned n)
{
	return arena(pool).execute([n] { return fib(n); });
}

static void board(fork_board *b)
{
	fork_board next[QUEENS_N];
	if (b->rows == QUEENS_N) {
		b->solutions = 1;
		return;
	}
	const size_t n = fork_moves(b, next);
	if (n > 0) {
		tbb::task_group group;
		for (size_t i = 0; i + 1 < n; i++)
			group.run([&next, i] { board(&next[i]); });
		group.run_and_wait([&next, n] { board(&next[n - 1]); });
	}
	fork_add_boards(b, next, n);
}

static void sky(fork_sky *node)
{
	if (node->leaves == 1) {
		node->sum = node->first;
		return;
	}
	fork_sky next[SKYNET_BRANCHES];
	fork_branches(node, next);
	tbb::task_group group;
	for (size_t i = 0; i < SKYNET_BRANCHES - 1; i++)
		group.run([&next, i] { sky(&next[i]); });
	group.run_and_wait([&next] { sky(&next[SKYNET_BRANCHES - 1]); });
	fork_add_sums(node, next);
}

static void queens(void *pool, fork_board *b)
{
	arena(pool).execute([b] { board(b); });
}

static void skynet(void *pool, fork_sky *node)
{
	arena(pool).execute([node] { sky(node); });
}

using range = tbb::blocked_range<size_t>;

static void even(void *pool, float *y, const float *x, float a, size_t n)
{
	arena(pool).execute(
	    [=] { tbb::parallel_for(range(0, n), [=](const range &r) { fork_axpy(y, x, a, r.begin(), r.end()); }); });
}

static void uneven(void *pool, uint64_t *rows, size_t n)
{
	arena(pool).execute(
	    [=] { tbb::parallel_for(range(0, n), [=](const range &r) { fork_rows(rows, r.begin(), r.end()); }); });
}

static void burst(void *pool, uint64_t *results, uint64_t first, uint64_t n)
{
	tbb::task_group &group = static_cast<tbb_crew::type *>(pool)->group;
	arena(pool).execute([&] {
		for (uint64_t i = 0; i < n; i++)
			group.run([=] { results[i] = pool_task(first + i); });
		group.wait();
	});
}

static void inside(void *pool, void (*run)(bench_thread *t), bench_thread *t)
{
	arena(pool).execute([=] { run(t); });
}

static const fork_runtime runtime = {open, close, fork, even, uneven, burst, inside, queens, skynet};
} // namespace tbb_forks

static const bench_row rows[] = {
    POOL_ROWS(tbb),
    POOL_ROWS(tbb_yield),
    BURST_ROWS("tbb", &tbb_forks::runtime),
    FORK_ROW_OF("burst_1000_worker", "tbb", _burst, _burst_1000_worker, BENCH_PEER, &tbb_forks::runtime),
    FORK_ROW("group", "tbb", _burst, BENCH_PEER, &tbb_forks::runtime),
    FORK_ROWS("tbb", BENCH_PEER, &tbb_forks::runtime),
    SEARCH_ROWS("tbb", BENCH_PEER, &tbb_forks::runtime),
};
BENCH_ROWS(rows)
