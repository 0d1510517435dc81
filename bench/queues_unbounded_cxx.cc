// SPDX-License-Identifier: BSD-2-Clause
// The unbounded queues of C++: queues_unbounded.h has the workload.
#include "moodycamel.h"
#include "queues_unbounded.h"

#include <tbb/concurrent_queue.h>

namespace
{
// One of TBB's for each type of item; it has no bulk.
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

// moodycamel's: items of one producer in order, of several in none.
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

#define CXX_BENCH(impl, item)                                                                                          \
	UNBOUNDED_BENCH(impl, item, impl##_queue<item>, open<impl##_queue<item>>, close, impl##_put, impl##_get)

CXX_BENCH(tbb, item_8)
CXX_BENCH(tbb, item_64)
CXX_BENCH(moodycamel, item_8)
CXX_BENCH(moodycamel, item_64)

static const bench_row rows[] = {
    UNBOUNDED_ROWS(tbb),
    UNBOUNDED_ROWS(moodycamel),
    UNBOUNDED_ROW("mpsc", tbb, item_8, mpsc),
    UNBOUNDED_ROW("mpsc", moodycamel, item_8, mpsc),
};
BENCH_ROWS(rows)
