// SPDX-License-Identifier: BSD-2-Clause
// Measures Boost.Context and Boost.Fiber in the workloads of fiber.h and loop.h.
#include "loop.h"

#include <boost/context/fiber.hpp>
#include <boost/fiber/buffered_channel.hpp>
#include <boost/fiber/fiber.hpp>
#include <boost/fiber/operations.hpp>
#include <boost/fiber/pooled_fixedsize_stack.hpp>

#include <algorithm>
#include <vector>

namespace boost_flow
{
struct type {
	fiber_count count;
	boost::context::fiber there;
};

inline type *open()
{
	type *s = new type{};
	s->there = boost::context::fiber([s](boost::context::fiber &&here) {
		for (;;) {
			s->count.trips++;
			here = std::move(here).resume();
		}
		return std::move(here);
	});
	return s;
}

inline void go(type *s)
{
	s->there = std::move(s->there).resume();
}

inline void close(type *s)
{
	delete s; // this also unwinds the other flow's stack
}
} // namespace boost_flow

FIBER_SWITCH_BENCH(boost_context, boost_flow::type, boost_flow::open, boost_flow::go, boost_flow::close)

static void boost_yield(bench_thread *t)
{
	auto *work = static_cast<fiber_work *>(t->state);
	auto yield_all = [t, work] {
		while (work->done < t->total) {
			work->done++;
			boost::this_fiber::yield();
		}
	};
	boost::fibers::fiber a(yield_all), b(yield_all);
	a.join();
	b.join();
}

// The thread's own flow is a fiber of Boost, too. So it can join other fibers without starting one
// for itself.
static void boost_spawn_join(bench_thread *t)
{
	auto *work = static_cast<fiber_work *>(t->state);
	boost::fibers::pooled_fixedsize_stack stacks(64 * 1024);
	BENCH_EACH (i, t)
		boost::fibers::fiber(std::allocator_arg, stacks, [work] { work->done++; }).join();
}

static void boost_run_group(fiber_work *work, boost::fibers::pooled_fixedsize_stack &stacks,
                            std::vector<boost::fibers::fiber> &group, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		group.emplace_back(std::allocator_arg, stacks, [work] { work->done++; });
	for (auto &f : group)
		f.join();
	group.clear();
}

static void boost_group(bench_thread *t)
{
	auto *work = static_cast<fiber_work *>(t->state);
	boost::fibers::pooled_fixedsize_stack stacks(64 * 1024);
	std::vector<boost::fibers::fiber> group;
	boost_run_group(work, stacks, group, LOOP_GROUP);
	work->done = 0;
	const int64_t begin = bench_now();
	for (uint64_t left = t->total, n; left > 0; left -= n) {
		n = std::min<uint64_t>(left, LOOP_GROUP);
		boost_run_group(work, stacks, group, n);
	}
	t->took = bench_now() - begin;
}

// A channel of Boost holds one item less than its size.
static void boost_channel(bench_thread *t)
{
	auto *work = static_cast<fiber_work *>(t->state);
	boost::fibers::buffered_channel<uint64_t> there(2), back(2);
	boost::fibers::fiber returns([&] {
		BENCH_EACH (i, t)
			back.push(there.value_pop());
	});
	boost::fibers::fiber sends([&] {
		BENCH_EACH (i, t) {
			there.push(i);
			if (back.value_pop() != i)
				bench_fail("a channel lost an item");
			work->done++;
		}
	});
	sends.join();
	returns.join();
}

static const bench_row rows[] = {
    FIBER_SWITCH_ROW(boost_context),
    FIBER_WORK_ROW("fiber/yield", "boost_fiber", boost_yield),
    FIBER_WORK_ROW("loop/spawn_join", "boost_fiber", boost_spawn_join),
    FIBER_WORK_ROW("loop/group_20000", "boost_fiber", boost_group, 10 * LOOP_GROUP),
    FIBER_WORK_ROW("loop/pingpong", "boost_fiber", boost_channel),
};
BENCH_ROWS(rows)
