/* SPDX-License-Identifier: BSD-2-Clause */
// TBB's bounded queue: its calls that block, and those that do not.
#include "rings.h"

#include <tbb/concurrent_queue.h>

namespace
{
using queue = tbb::concurrent_bounded_queue<uint64_t>;

queue *open()
{
	queue *q = new queue;
	q->set_capacity(QUEUE_CAPACITY);
	return q;
}

void close(queue *q)
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
} // namespace

#define TBB_PUT(q, item) ((q)->try_push(item))
#define TBB_GET(q, item) (*(item) = 0, (q)->try_pop(*(item)))
QUEUE_BENCH(tbb, queue, open(), close, put, get)
RING_BENCH(tbb_ring, queue, open(), close, TBB_PUT, TBB_GET)

static const bench_row rows[] = {QUEUE_ROWS(tbb, 0), RING_ROWS(tbb_ring, "tbb", 0)};
BENCH_ROWS(rows)
