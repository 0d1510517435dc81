// SPDX-License-Identifier: BSD-2-Clause
// The peers of Boost, in the same workloads as those in C (queues.h, exec.h). Names as in C, where they stand alone.
#include "exec.h"
#include "queues.h"

#define BOOST_THREAD_VERSION 4
#define BOOST_THREAD_PROVIDES_EXECUTORS

#include <boost/lockfree/queue.hpp>
#include <boost/thread/concurrent_queues/sync_bounded_queue.hpp>
#include <boost/thread/executors/basic_thread_pool.hpp>
#include <future>
#include <sched.h>

namespace boost_queue
{
using type = boost::concurrent::sync_bounded_queue<uint64_t>;

inline void put(type *q, uint64_t item)
{
	q->push_back(item);
}

inline uint64_t get(type *q)
{
	uint64_t item;
	q->pull_front(item);
	return item;
}

inline void close(type *q)
{
	delete q;
}
} // namespace boost_queue

QUEUE_BENCH(boost, boost_queue::type, new boost_queue::type(QUEUE_CAPACITY), boost_queue::close, boost_queue::put,
            boost_queue::get)
TRIP_BENCH(boost, boost_queue::type, new boost_queue::type(QUEUE_CAPACITY), boost_queue::close, boost_queue::put,
           boost_queue::get)

// Does not block: who finds it full or empty lets another thread have the CPU.
namespace lockfree_queue
{
using type = boost::lockfree::queue<uint64_t, boost::lockfree::capacity<QUEUE_CAPACITY>>;

inline void put(type *q, uint64_t item)
{
	while (!q->push(item))
		sched_yield();
}

inline uint64_t get(type *q)
{
	uint64_t item;
	while (!q->pop(item))
		sched_yield();
	return item;
}

inline void close(type *q)
{
	delete q;
}
} // namespace lockfree_queue

QUEUE_BENCH(boost_lockfree, lockfree_queue::type, new lockfree_queue::type, lockfree_queue::close, lockfree_queue::put,
            lockfree_queue::get)

// basic_thread_pool with the standard library's packaged_task: the fastest of five pairs that were tried, of this pool and
// Asio's with Boost's future, the standard library's, and a promise.
namespace boost_pool
{
using type = boost::executors::basic_thread_pool;
using future = std::future<uint64_t>;

inline void submit(type *pool, future *f, uint64_t arg)
{
	std::packaged_task<uint64_t()> task([arg] { return arg; });
	*f = task.get_future();
	pool->submit(std::move(task));
}

inline uint64_t get(type *, future *f)
{
	return f->get();
}

inline void close(type *pool, future *futures)
{
	pool->close();
	pool->join();
	delete pool;
	delete[] futures;
}
} // namespace boost_pool

EXEC_BENCH(boost_exec, boost_pool::type, boost_pool::future, s->pool = new boost_pool::type(EXEC_WORKERS);
           s->futures = new boost_pool::future[EXEC_BATCH], boost_pool::close(s->pool, s->futures), boost_pool::submit,
           boost_pool::get)

static const bench_row rows[] = {
    QUEUE_ROWS(boost, 0),
    TRIP_ROWS(boost),
    QUEUE_ROWS(boost_lockfree, 0),
    EXEC_ROWS(boost_exec, "boost"),
};
BENCH_ROWS(rows)
