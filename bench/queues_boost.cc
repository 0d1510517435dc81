/* SPDX-License-Identifier: BSD-2-Clause */
/* Boost's rings that do not block, of fixed capacity. */
#include "rings.h"

#include <boost/lockfree/queue.hpp>
#include <boost/lockfree/spsc_queue.hpp>

namespace
{
using spsc = boost::lockfree::spsc_queue<uint64_t, boost::lockfree::capacity<QUEUE_CAPACITY>>;
using mpmc = boost::lockfree::queue<uint64_t, boost::lockfree::capacity<QUEUE_CAPACITY>>;

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

static const bench_row rows[] = {SPSC_ROWS(boost_spsc, "boost"), RING_ROWS(boost_mpmc, "boost", 0)};
BENCH_ROWS(rows)
