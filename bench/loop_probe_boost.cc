// SPDX-License-Identifier: BSD-2-Clause
// Fibers of Boost.Fiber that wait, for the row of their memory.
#include "loop_probe.h"

#include <boost/fiber/condition_variable.hpp>
#include <boost/fiber/fiber.hpp>
#include <boost/fiber/mutex.hpp>
#include <boost/fiber/operations.hpp>
#include <boost/fiber/protected_fixedsize_stack.hpp>
#include <vector>

extern "C" int64_t boost_idle(std::size_t n)
{
	// as large as the stacks of Fairlead's fibers
	boost::fibers::protected_fixedsize_stack stacks(112 * 1024);
	boost::fibers::mutex mutex;
	boost::fibers::condition_variable changed;
	bool over = false;
	std::vector<boost::fibers::fiber> fibers(n);
	const int64_t before = bench_resident(getpid());
	for (auto &fiber : fibers)
		fiber = boost::fibers::fiber(std::allocator_arg, stacks, [&] {
			std::unique_lock<boost::fibers::mutex> lock(mutex);
			changed.wait(lock, [&] { return over; });
		});
	boost::this_fiber::yield();
	const int64_t bytes = bench_resident(getpid()) - before;
	{
		std::unique_lock<boost::fibers::mutex> lock(mutex);
		over = true;
	}
	changed.notify_all();
	for (auto &fiber : fibers)
		fiber.join();
	return bytes;
}
