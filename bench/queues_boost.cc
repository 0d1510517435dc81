/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Boost's rings that do not block, of fixed capacity; and its queue that does, where peers_boost.cc
 * does not have it.
 */
#include "queues_items.h"

#define BOOST_THREAD_VERSION 4

#include <boost/lockfree/queue.hpp>
#include <boost/lockfree/spsc_queue.hpp>
#include <boost/thread/concurrent_queues/sync_bounded_queue.hpp>
#include <boost/thread/concurrent_queues/sync_queue.hpp>

namespace
{
using spsc = boost::lockfree::spsc_queue<uint64_t, boost::lockfree::capacity<QUEUE_CAPACITY>>;
using mpmc = boost::lockfree::queue<uint64_t, boost::lockfree::capacity<QUEUE_CAPACITY>>;

template <class Item>
using mpmc_of = boost::lockfree::queue<Item, boost::lockfree::capacity<QUEUE_CAPACITY>>;

// No calls for several.
template <class Item>
using blocking_of = boost::concurrent::sync_bounded_queue<Item>;

template <class Item>
void blocking_put(blocking_of<Item> *q, const Item *items, size_t n)
{
	for (size_t i = 0; i < n; i++)
		q->push_back(items[i]);
}

template <class Item>
size_t blocking_get(blocking_of<Item> *q, Item *items, size_t)
{
	q->pull_front(items[0]);
	return 1;
}

using unbounded = boost::concurrent::sync_queue<item_8>;

void unbounded_put(unbounded *q, const item_8 *items, size_t n)
{
	for (size_t i = 0; i < n; i++)
		q->push(items[i]);
}

size_t unbounded_get(unbounded *q, item_8 *items, size_t)
{
	q->pull(items[0]);
	return 1;
}

template <class T>
void close(T *q)
{
	delete q;
}
} // namespace

#define BOOST_PUT(q, item) ((q)->push(item))
#define BOOST_GET(q, item) ((q)->pop(*(item)))
RING_BENCH(boost_spsc, spsc, new spsc, close, BOOST_PUT, BOOST_GET)
RING_BENCH(boost_mpmc, mpmc, new mpmc, close, BOOST_PUT, BOOST_GET)

#define BOOST_PUT_ITEM(q, item) ((q)->push(*(item)))
ITEMS_ONE_BY_ONE(boost_ring, item_8, mpmc_of<item_8>, BOOST_PUT_ITEM, BOOST_GET)
ITEMS_ONE_BY_ONE(boost_ring, item_64, mpmc_of<item_64>, BOOST_PUT_ITEM, BOOST_GET)
RING_ITEMS_BENCH(boost_ring, item_8, mpmc_of<item_8>, new mpmc_of<item_8>, close, boost_ring_item_8_try_put,
                 boost_ring_item_8_try_get)
RING_ITEMS_BENCH(boost_ring, item_64, mpmc_of<item_64>, new mpmc_of<item_64>, close, boost_ring_item_64_try_put,
                 boost_ring_item_64_try_get)

ITEMS_BENCH(blocking, item_8, blocking_of<item_8>, new blocking_of<item_8>(QUEUE_CAPACITY), close, blocking_put,
            blocking_get)
ITEMS_BENCH(blocking, item_64, blocking_of<item_64>, new blocking_of<item_64>(QUEUE_CAPACITY), close, blocking_put,
            blocking_get)

ITEMS_BENCH(unbounded, item_8, unbounded, new unbounded, close, unbounded_put, unbounded_get)

static const bench_row rows[] = {
    SPSC_ROWS(boost_spsc, "boost"),
    RING_ROWS(boost_mpmc, "boost", 0),
    ITEMS_ROWS("ring", "boost", boost_ring, 0),
    ITEMS_ROWS("mpmc", "boost", blocking, 0),
    ITEMS_UNBOUNDED_ROW("boost", unbounded),
};
BENCH_ROWS(rows)
