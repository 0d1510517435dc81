// SPDX-License-Identifier: BSD-2-Clause
/* Expects a pass. Two owners of a std::shared_ptr free the object once. */
#include <cassert>
#include <memory>
#include <thread>

static int destroyed;

struct object {
	~object()
	{
		destroyed++;
	}
};

int main()
{
	{
		auto mine = std::make_shared<object>();
		std::thread other([p = mine]() mutable { p.reset(); });
		mine.reset();
		other.join();
	}
	assert(destroyed == 1);
	return 0;
}
