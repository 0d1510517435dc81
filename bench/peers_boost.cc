// SPDX-License-Identifier: BSD-2-Clause The peers of Boost, in the same workloads as those in C
// (queues.h). Names as in C, where they stand alone. Its pools: exec_cxx.cc.
#include "queues.h"

#define BOOST_THREAD_VERSION 4

#include <boost/lockfree/queue.hpp>
#include <boost/thread/concurrent_queues/sync_bounded_queue.hpp>
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

// Does not block: a thread that finds it full or empty yields the CPU.
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

static const bench_row rows[] = {
    QUEUE_ROWS(boost, 0),
    TRIP_ROWS(boost),
    QUEUE_ROWS(boost_lockfree, 0),
};
BENCH_ROWS(rows)
