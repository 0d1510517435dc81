// SPDX-License-Identifier: BSD-2-Clause
/* Expects a pass. std::async returns its result by a std::future. */
#include <cassert>
#include <future>

int main()
{
	std::future<int> result = std::async(std::launch::async, [] { return 42; });
	assert(result.get() == 42);
	return 0;
}
