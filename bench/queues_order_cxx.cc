// SPDX-License-Identifier: BSD-2-Clause
// LIFO and priority queues of C++: queues_order.h has the workload.
#include "queues_order.h"

#define BOOST_THREAD_VERSION 4

#include <boost/lockfree/stack.hpp>
#include <boost/thread/concurrent_queues/sync_priority_queue.hpp>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <queue>
#include <stack>
#include <tbb/concurrent_priority_queue.h>
#include <utility>
#include <vector>

namespace
{
template <class Queue>
void close(Queue *q)
{
	delete q;
}

// The textbook once more, around the containers that C++ has: a signal only when a thread waits,
// none twice.
template <class Held>
class Monitor
{
      public:
	void put(uint64_t item)
	{
		std::unique_lock<std::mutex> lock(mutex_);
		while (held_.size() == QUEUE_CAPACITY) {
			putters_++;
			space_.wait(lock);
		}
		held_.add(item);
		settle(lock, getters_, items_);
	}

	uint64_t get()
	{
		std::unique_lock<std::mutex> lock(mutex_);
		while (held_.size() == 0) {
			getters_++;
			items_.wait(lock);
		}
		uint64_t item = held_.take();
		settle(lock, putters_, space_);
		return item;
	}

      private:
	static void settle(std::unique_lock<std::mutex> &lock, unsigned &waiting, std::condition_variable &what)
	{
		bool wake = waiting > 0;
		waiting -= wake;
		lock.unlock();
		if (wake)
			what.notify_one();
	}

	std::mutex mutex_;
	std::condition_variable items_, space_;
	unsigned getters_ = 0, putters_ = 0;
	Held held_;
};

struct Newest {
	std::stack<uint64_t, std::vector<uint64_t>> items;

	size_t size() const
	{
		return items.size();
	}

	void add(uint64_t item)
	{
		items.push(item);
	}

	uint64_t take()
	{
		uint64_t item = items.top();
		items.pop();
		return item;
	}
};

// std::priority_queue does not keep the order of equals; a number beside the key does.
struct Least {
	using keyed = std::pair<uint64_t, uint64_t>;
	std::priority_queue<keyed, std::vector<keyed>, std::greater<keyed>> items;
	uint64_t number = 0;

	size_t size() const
	{
		return items.size();
	}

	void add(uint64_t item)
	{
		items.emplace(item, number++);
	}

	uint64_t take()
	{
		uint64_t item = items.top().first;
		items.pop();
		return item;
	}
};

using std_lifo = Monitor<Newest>;
using std_priority = Monitor<Least>;

// Does not block; waits as rings.h has it.
using boost_stack = boost::lockfree::stack<uint64_t, boost::lockfree::capacity<QUEUE_CAPACITY>>;

void boost_stack_put(boost_stack *q, uint64_t item)
{
	for (unsigned turns = 0; !q->push(item);)
		ring_back_off(&turns);
}

uint64_t boost_stack_get(boost_stack *q)
{
	uint64_t item = 0;
	for (unsigned turns = 0; !q->pop(item);)
		ring_back_off(&turns);
	return item;
}

// Unbounded, and without an order of equals.
using boost_priority =
    boost::concurrent::sync_priority_queue<uint64_t, boost::csbl::vector<uint64_t>, std::greater<uint64_t>>;

// The same, and does not block.
using tbb_priority = tbb::concurrent_priority_queue<uint64_t, std::greater<uint64_t>>;

uint64_t tbb_priority_get(tbb_priority *q)
{
	uint64_t item = 0;
	for (unsigned turns = 0; !q->try_pop(item);)
		ring_back_off(&turns);
	return item;
}
} // namespace

#define PUT(q, item) ((q)->put(item))
#define GET(q) ((q)->get())
#define PUSH(q, item) ((q)->push(item))
#define PULL(q) ((q)->pull())
ORDER_BENCH(std_lifo, std_lifo, new std_lifo, close, PUT, GET)
ORDER_BENCH(std_priority, std_priority, new std_priority, close, PUT, GET)
ORDER_BENCH(boost_stack, boost_stack, new boost_stack, close, boost_stack_put, boost_stack_get)
ORDER_BENCH(boost_priority, boost_priority, new boost_priority, close, PUSH, PULL)
ORDER_BENCH(tbb_priority, tbb_priority, new tbb_priority, close, PUSH, tbb_priority_get)

static const bench_row rows[] = {
    ORDER_ROW("lifo", "std", std_lifo),         ORDER_ROW("lifo", "boost_lockfree", boost_stack),
    ORDER_ROW("priority", "std", std_priority), ORDER_ROW("priority", "boost", boost_priority),
    ORDER_ROW("priority", "tbb", tbb_priority),
};
BENCH_ROWS(rows)
