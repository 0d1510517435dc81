// SPDX-License-Identifier: BSD-2-Clause moodycamel's queues, in the workloads of bounded queues:
// items of one producer in order, of several in none.
#include "moodycamel.h"
#include "queues_items.h"

namespace
{
template <class Queue>
void close(Queue *q)
{
	delete q;
}

// moodycamel's that blocks has no bound.
template <class Item>
using moodycamel_queue = moodycamel::BlockingConcurrentQueue<Item>;

template <class Item>
void moodycamel_put(moodycamel_queue<Item> *q, const Item *items, size_t n)
{
	if (n == 1 ? !q->enqueue(items[0]) : !q->enqueue_bulk(items, n))
		bench_fail("moodycamel: no memory");
}

template <class Item>
size_t moodycamel_get(moodycamel_queue<Item> *q, Item *items, size_t n)
{
	if (n > 1)
		return q->wait_dequeue_bulk(items, n);
	q->wait_dequeue(items[0]);
	return 1;
}

inline void moodycamel_put_one(moodycamel_queue<uint64_t> *q, uint64_t item)
{
	moodycamel_put(q, &item, 1);
}

inline uint64_t moodycamel_get_one(moodycamel_queue<uint64_t> *q)
{
	uint64_t item;
	q->wait_dequeue(item);
	return item;
}

// The one that does not has memory for so many items, and a block of 32 more for each producer.
template <class Item>
using moodycamel_ring = moodycamel::ConcurrentQueue<Item>;

template <class Item>
moodycamel_ring<Item> *moodycamel_ring_open()
{
	return new moodycamel_ring<Item>(QUEUE_CAPACITY, 0, QUEUE_THREADS_MAX / 2);
}

template <class Item>
size_t moodycamel_ring_put(moodycamel_ring<Item> *q, const Item *items, size_t n)
{
	return n == 1 ? q->try_enqueue(items[0]) : q->try_enqueue_bulk(items, n) ? n : 0;
}

template <class Item>
size_t moodycamel_ring_get(moodycamel_ring<Item> *q, Item *items, size_t n)
{
	return n == 1 ? q->try_dequeue(items[0]) : q->try_dequeue_bulk(items, n);
}
} // namespace

QUEUE_BENCH(moodycamel, moodycamel_queue<uint64_t>, new moodycamel_queue<uint64_t>, close, moodycamel_put_one,
            moodycamel_get_one)
TRIP_BENCH(moodycamel, moodycamel_queue<uint64_t>, new moodycamel_queue<uint64_t>, close, moodycamel_put_one,
           moodycamel_get_one)
ITEMS_BENCH(moodycamel, item_8, moodycamel_queue<item_8>, new moodycamel_queue<item_8>, close, moodycamel_put,
            moodycamel_get)
ITEMS_BENCH(moodycamel, item_64, moodycamel_queue<item_64>, new moodycamel_queue<item_64>, close, moodycamel_put,
            moodycamel_get)

#define MOODYCAMEL_TRY_PUT(q, item) ((q)->try_enqueue(item))
#define MOODYCAMEL_TRY_GET(q, item) ((q)->try_dequeue(*(item)))
RING_BENCH(moodycamel_ring, moodycamel_ring<uint64_t>, moodycamel_ring_open<uint64_t>(), close, MOODYCAMEL_TRY_PUT,
           MOODYCAMEL_TRY_GET)
RING_ITEMS_BENCH(moodycamel_ring, item_8, moodycamel_ring<item_8>, moodycamel_ring_open<item_8>(), close,
                 moodycamel_ring_put, moodycamel_ring_get)
RING_ITEMS_BENCH(moodycamel_ring, item_64, moodycamel_ring<item_64>, moodycamel_ring_open<item_64>(), close,
                 moodycamel_ring_put, moodycamel_ring_get)

static const bench_row rows[] = {
    QUEUE_ROWS(moodycamel, 0),
    TRIP_ROWS(moodycamel),
    ITEMS_ROWS("mpmc", "moodycamel", moodycamel, 0),
    ITEMS_UNBOUNDED_ROW("moodycamel", moodycamel),
    RING_ROWS(moodycamel_ring, "moodycamel", 0),
    ITEMS_ROWS("ring", "moodycamel", moodycamel_ring, 0),
};
BENCH_ROWS(rows)
