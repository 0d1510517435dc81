// SPDX-License-Identifier: BSD-2-Clause
// Pools of threads in C++: Boost's, Asio's, oneTBB's, and std::async, which has none.
#include "forks.h"
#include "pools.h"

#define BOOST_THREAD_VERSION 4
#define BOOST_THREAD_PROVIDES_EXECUTORS

#include <atomic>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/thread/executors/basic_thread_pool.hpp>
#include <future>
#include <tbb/blocked_range.h>
#include <tbb/global_control.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>
#include <tbb/task_group.h>

using future = std::future<uint64_t>;

static future *std_futures(size_t n)
{
	return new future[n];
}

static void std_unmake(future *futures)
{
	delete[] futures;
}

template <typename Pool>
static inline uint64_t std_get(Pool *, future *f)
{
	return f->get();
}

// What stands in for a future where the peer has none. Three times as fast for one at a time as a
// mutex with a condition, since a waiting thread polls a few times before it sleeps; a promise
// takes twice as long for many.
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
	c->done.store(1, std::memory_order_release);
	c->done.notify_one();
}

template <typename Pool>
static inline uint64_t completion_get(Pool *, completion *c)
{
	c->done.wait(0, std::memory_order_acquire);
	return c->result;
}

template <typename Pool>
static inline void pool_wait(Pool *, pool_burst *b)
{
	pool_burst_wait(b);
}

// basic_thread_pool with the standard library's packaged_task: the fastest of three futures that
// were tried with it.
namespace boost_pool
{
using type = boost::executors::basic_thread_pool;

static type *open(unsigned workers, size_t)
{
	return new type(workers);
}

static inline void submit(type *pool, future *f, uint64_t arg)
{
	std::packaged_task<uint64_t()> task([arg] { return pool_task(arg); });
	*f = task.get_future();
	pool->submit(std::move(task));
}

static inline void spawn(type *pool, pool_job *job)
{
	pool->submit([job] { pool_job_run(job); });
}

static void close(type *pool)
{
	pool->close();
	pool->join();
	delete pool;
}
} // namespace boost_pool

POOL_BENCH(boost, boost_pool::type, future, boost_pool::open, boost_pool::close, std_futures, std_unmake,
           boost_pool::submit, std_get)
POOL_BURST(boost, boost_pool::type, pool_job, boost_pool::open, boost_pool::close, boost_pool::spawn, pool_wait)

namespace asio_pool
{
using type = boost::asio::thread_pool;

static type *open(unsigned workers, size_t)
{
	return new type(workers);
}

static inline void submit(type *pool, completion *f, uint64_t arg)
{
	f->arg = arg;
	f->done.store(0, std::memory_order_relaxed);
	boost::asio::post(*pool, [f] { complete(f); });
}

static inline void spawn(type *pool, pool_job *job)
{
	boost::asio::post(*pool, [job] { pool_job_run(job); });
}

static void close(type *pool)
{
	pool->join();
	delete pool;
}
} // namespace asio_pool

POOL_BENCH(asio, asio_pool::type, completion, asio_pool::open, asio_pool::close, make_completions, unmake_completions,
           asio_pool::submit, completion_get)
POOL_BURST(asio, asio_pool::type, pool_job, asio_pool::open, asio_pool::close, asio_pool::spawn, pool_wait)

// An arena without a place for the caller. Without the control there would be one thread less than
// CPUs.
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

static inline void submit(type *pool, completion *f, uint64_t arg)
{
	f->arg = arg;
	f->done.store(0, std::memory_order_relaxed);
	pool->arena.enqueue([f] { complete(f); });
}

static void close(type *pool)
{
	delete pool;
}
} // namespace tbb_pool

POOL_BENCH(tbb, tbb_pool::type, completion, tbb_pool::open, tbb_pool::close, make_completions, unmake_completions,
           tbb_pool::submit, completion_get)

// A burst is a task group: the waiting thread works, too, in the place of one of the workers.
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

static type *open(unsigned workers, size_t)
{
	return new type(workers);
}

static inline void spawn(type *pool, pool_job *job)
{
	pool->group.run([job] { job->result = pool_task(job->arg); });
}

static inline void wait(type *pool, pool_burst *)
{
	pool->group.wait();
}

static void close(type *pool)
{
	delete pool;
}
} // namespace tbb_crew

POOL_BURST(tbb, tbb_crew::type, pool_job, tbb_crew::open, tbb_crew::close, tbb_crew::spawn, tbb_crew::wait)

static void tbb_burst_in_arena(bench_thread *t)
{
	auto *s = static_cast<struct tbb_bursts *>(t->state);
	s->pool->arena.execute([=] { tbb_burst_all(s, t->total); });
}

// Fork and join by a task group on the stack, of which the waiting thread runs one side itself;
// loops with the default partitioner.
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
	return tbb_crew::open(workers, 0);
}

static void close(void *pool)
{
	tbb_crew::close(static_cast<tbb_crew::type *>(pool));
}

static tbb::task_arena &arena(void *pool)
{
	return static_cast<tbb_crew::type *>(pool)->arena;
}

static uint64_t fork(void *pool, unsigned n)
{
	return arena(pool).execute([n] { return fib(n); });
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

static const fork_runtime runtime = {open, close, fork, even, uneven, nullptr};
} // namespace tbb_forks

FORK_SETUP(tbb_fork, , &tbb_forks::runtime)
FORK_SETUP(tbb_fork, _even, &tbb_forks::runtime)
FORK_SETUP(tbb_fork, _uneven, &tbb_forks::runtime)

// A thread for each task: there is no pool, and no bound of threads.
namespace async_pool
{
struct type {
};

static type *open(unsigned, size_t)
{
	return new type;
}

static inline void submit(type *, future *f, uint64_t arg)
{
	*f = std::async(std::launch::async, pool_task, arg);
}

static void close(type *pool)
{
	delete pool;
}
} // namespace async_pool

POOL_BENCH(async, async_pool::type, future, async_pool::open, async_pool::close, std_futures, std_unmake,
           async_pool::submit, std_get)

static const bench_row rows[] = {
    POOL_ROWS(boost, "boost"),
    POOL_BURST_ROW(boost, "boost"),
    POOL_ROWS(asio, "boost_asio"),
    POOL_BURST_ROW(asio, "boost_asio"),
    POOL_ROWS(tbb, "tbb"),
    {"exec/burst", "tbb", tbb_burst_setup, tbb_burst_in_arena, tbb_burst_teardown, 0},
    {"exec/group", "tbb", tbb_burst_setup, tbb_burst_in_arena, tbb_burst_teardown, 0},
    FORK_ROW(tbb_fork, "fork_join", , "tbb"),
    FORK_ROW(tbb_fork, "parallel_even", _even, "tbb"),
    FORK_ROW(tbb_fork, "parallel_uneven", _uneven, "tbb"),
    POOL_ROW("submit_get", async, "std_async", async_submit_get),
    POOL_ROW("roundtrip", async, "std_async", async_roundtrip),
    POOL_ROW("roundtrip_idle", async, "std_async", async_roundtrip_idle),
    POOL_ROW("roundtrip_100us", async, "std_async", async_roundtrip_100us),
};
BENCH_ROWS(rows)
