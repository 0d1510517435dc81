// SPDX-License-Identifier: BSD-2-Clause
/* Expects a pass. A static variable of a function is initialised once. */
#include <atomic>
#include <cassert>
#include <thread>

static std::atomic<int> made;

static int &shared()
{
	static int value = 41 + ++made;
	return value;
}

int main()
{
	std::thread other([] { assert(shared() == 42); });
	assert(shared() == 42);
	other.join();
	assert(made == 1);
	return 0;
}
