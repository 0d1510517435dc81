// SPDX-License-Identifier: BSD-2-Clause
// Measures the queues of C++ libraries, in the same workloads as those of C.
#include "queues_items.h"
#include "queues_unbounded.h"

#include <boost/lockfree/spsc_queue.hpp>
#include <tbb/concurrent_queue.h>
#include <xenium/vyukov_bounded_queue.hpp>

// In its newer packages, moodycamel's queue has the header in one more folder.
#if __has_include(<concurrentqueue/moodycamel/concurrentqueue.h>)
#include <concurrentqueue/moodycamel/concurrentqueue.h>
#else
#include <concurrentqueue/concurrentqueue.h>
#endif

namespace
{
// A queue of TBB for each type of item. TBB has no call for several items.
template <typename Item>
using tbb_queue = tbb::concurrent_queue<Item>;

template <typename Item>
void tbb_put(tbb_queue<Item> *q, const Item *items, size_t n)
{
	for (size_t i = 0; i < n; i++)
		q->push(items[i]);
}

template <typename Item>
size_t tbb_get(tbb_queue<Item> *q, Item *items, size_t n)
{
	size_t got = 0;
	while (got < n && q->try_pop(items[got]))
		got++;
	return got;
}

// moodycamel's queue: it keeps the items of one producer in order, and no order between producers.
template <typename Item>
using moodycamel_queue = moodycamel::ConcurrentQueue<Item>;

template <typename Item>
void moodycamel_put(moodycamel_queue<Item> *q, const Item *items, size_t n)
{
	if (n == 1 ? !q->enqueue(items[0]) : !q->enqueue_bulk(items, n))
		bench_fail("moodycamel: no memory");
}

template <typename Item>
size_t moodycamel_get(moodycamel_queue<Item> *q, Item *items, size_t n)
{
	return n == 1 ? q->try_dequeue(items[0]) : q->try_dequeue_bulk(items, n);
}

// TBB's queue that blocks, with and without a bound.
template <typename Item>
using tbb_blocking = tbb::concurrent_bounded_queue<Item>;

tbb_blocking<uint64_t> *tbb_bounded()
{
	auto *q = new tbb_blocking<uint64_t>;
	q->set_capacity(QUEUE_CAPACITY);
	return q;
}

uint64_t tbb_get_one(tbb_blocking<uint64_t> *q)
{
	uint64_t item = 0; // the compiler does not see that it is set
	q->pop(item);
	return item;
}

void tbb_put_item(tbb_blocking<item_8> *q, const item_8 *items, size_t)
{
	q->push(items[0]);
}

size_t tbb_get_item(tbb_blocking<item_8> *q, item_8 *items, size_t)
{
	q->pop(items[0]);
	return 1;
}

using boost_spsc = boost::lockfree::spsc_queue<uint64_t, boost::lockfree::capacity<QUEUE_CAPACITY>>;

template <typename Queue>
Queue *open(uint64_t)
{
	return new Queue;
}

template <typename Queue>
void close(Queue *q)
{
	delete q;
}
} // namespace

#define PUSH(q, item) ((q)->push(item))
#define POP(q, item) ((q)->pop(*(item)))
TRIP_BENCH(tbb, tbb_blocking<uint64_t>, tbb_bounded(), close, PUSH, tbb_get_one)
ITEMS_BENCH(tbb_blocking, item_8, tbb_blocking<item_8>, new tbb_blocking<item_8>, close, tbb_put_item, tbb_get_item)
RING_BENCH(boost_spsc, boost_spsc, new boost_spsc, close, PUSH, POP)

// The queue has memory for so many items, and for a block of 32 more for each producer.
using moodycamel_bounded = moodycamel_queue<uint64_t>;
#define TRY_PUT(q, item) ((q)->try_enqueue(item))
#define TRY_GET(q, item) ((q)->try_dequeue(*(item)))
RING_BENCH(moodycamel_ring, moodycamel_bounded, new moodycamel_bounded(QUEUE_CAPACITY, 0, QUEUE_THREADS_MAX / 2), close,
           TRY_PUT, TRY_GET)

// These are the calls of the ring that do not wait for a call in progress.
using vyukov_ring = xenium::vyukov_bounded_queue<uint64_t>;
#define VYUKOV_PUT(q, item) ((q)->try_push_weak(item))
#define VYUKOV_GET(q, item) ((q)->try_pop_weak(*(item)))
RING_BENCH(vyukov, vyukov_ring, new vyukov_ring(QUEUE_CAPACITY), close, VYUKOV_PUT, VYUKOV_GET)

#define CXX_BENCH(impl, item)                                                                                          \
	UNBOUNDED_BENCH(impl, item, impl##_queue<item>, open<impl##_queue<item>>, close, impl##_put, impl##_get)
CXX_BENCH(tbb, item_8)
CXX_BENCH(tbb, item_64)
CXX_BENCH(moodycamel, item_8)
CXX_BENCH(moodycamel, item_64)

static const bench_row rows[] = {
    TRIP_ROWS(tbb),
    ITEMS_UNBOUNDED_ROW("tbb", tbb_blocking),
    QUEUE_PAIR_ROWS("spsc", "boost", boost_spsc),
    QUEUE_ROWS("ring_uncontended", "ring", "moodycamel", moodycamel_ring, 0, BENCH_WEAKER),
    QUEUE_ROWS("ring_uncontended", "ring", "vyukov", vyukov, 0, BENCH_PEER),
    UNTYPED_ROWS("vyukov", vyukov, 0),
    MPSC_ROWS("vyukov", vyukov),
    UNBOUNDED_ROWS(tbb, BENCH_PEER),
    UNBOUNDED_ROWS(moodycamel, BENCH_WEAKER),
    UNBOUNDED_ROW("mpsc", "tbb", tbb, item_8, mpsc, BENCH_PEER),
    UNBOUNDED_ROW("mpsc", "moodycamel", moodycamel, item_8, mpsc, BENCH_WEAKER),
};
BENCH_ROWS(rows)
