// SPDX-License-Identifier: BSD-2-Clause
// TBB's bounded queue: its calls that block, and those that do not.
#include "queues_items.h"

#include <tbb/concurrent_queue.h>

namespace
{
template <class Item>
using queue_of = tbb::concurrent_bounded_queue<Item>;
using queue = queue_of<uint64_t>;

template <class Item>
queue_of<Item> *open()
{
	auto *q = new queue_of<Item>;
	q->set_capacity(QUEUE_CAPACITY);
	return q;
}

template <class Queue>
void close(Queue *q)
{
	delete q;
}

void put(queue *q, uint64_t item)
{
	q->push(item);
}

uint64_t get(queue *q)
{
	uint64_t item = 0; // the compiler does not see that it is set, here and below
	q->pop(item);
	return item;
}

// No calls for several.
template <class Item>
void put_items(queue_of<Item> *q, const Item *items, size_t n)
{
	for (size_t i = 0; i < n; i++)
		q->push(items[i]);
}

template <class Item>
size_t get_items(queue_of<Item> *q, Item *items, size_t n)
{
	size_t got = 1;
	q->pop(items[0]);
	while (got < n && q->try_pop(items[got]))
		got++;
	return got;
}
} // namespace

#define TBB_PUT(q, item) ((q)->try_push(item))
#define TBB_GET(q, item) (*(item) = 0, (q)->try_pop(*(item)))
QUEUE_BENCH(tbb, queue, open<uint64_t>(), close, put, get)
TRIP_BENCH(tbb, queue, open<uint64_t>(), close, put, get)
RING_BENCH(tbb_ring, queue, open<uint64_t>(), close, TBB_PUT, TBB_GET)

#define TBB_PUT_ITEM(q, item) ((q)->try_push(*(item)))
#define TBB_GET_ITEM(q, item) ((q)->try_pop(*(item)))
#define TBB_ITEMS(item)                                                                                                \
	ITEMS_BENCH(tbb, item, queue_of<item>, open<item>(), close, put_items, get_items)                              \
	ITEMS_ONE_BY_ONE(tbb_ring, item, queue_of<item>, TBB_PUT_ITEM, TBB_GET_ITEM)                                   \
	RING_ITEMS_BENCH(tbb_ring, item, queue_of<item>, open<item>(), close, tbb_ring_##item##_try_put,               \
	                 tbb_ring_##item##_try_get)

TBB_ITEMS(item_8)
TBB_ITEMS(item_64)

ITEMS_BENCH(tbb_unbounded, item_8, queue_of<item_8>, new queue_of<item_8>, close, put_items, get_items)

static const bench_row rows[] = {
    QUEUE_ROWS(tbb, 0),
    TRIP_ROWS(tbb),
    ITEMS_ROWS("mpmc", "tbb", tbb, 0),
    ITEMS_UNBOUNDED_ROW("tbb", tbb_unbounded),
    RING_ROWS(tbb_ring, "tbb", 0),
    ITEMS_ROWS("ring", "tbb", tbb_ring, 0),
};
BENCH_ROWS(rows)
