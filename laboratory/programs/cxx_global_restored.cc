// SPDX-License-Identifier: BSD-2-Clause
/* Expects a pass. The C++ library changes a global container, whose nodes a constructor has made. */
#include <atomic>
#include <cassert>
#include <set>
#include <thread>

static std::set<int> numbers{1, 2, 3, 4, 5, 6};
static std::atomic<int> turns;

int main()
{
	std::thread other([] { turns++; });
	turns++;
	other.join();
	assert(numbers.count(3) == 1);
	numbers.erase(3);
	numbers.erase(1);
	assert(numbers.count(3) == 0);
	return 0;
}
