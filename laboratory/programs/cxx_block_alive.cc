// SPDX-License-Identifier: BSD-2-Clause
/* Expects a pass. Threads use variables of blocks, at whose ends destructors join the threads. */
#include <stdexcept>
#include <thread>

struct joiner {
	std::thread thread;
	~joiner()
	{
		thread.join();
	}
};

static void add(int *x)
{
	++*x;
}

int main()
{
	for (int i = 0; i < 2; i++) {
		int x = i;
		joiner j{std::thread(add, &x)};
	}
	try {
		int x = 3;
		// NOLINTNEXTLINE(clang-analyzer-deadcode.DeadStores): its destructor runs
		joiner j{std::thread([&] { x++; })};
		throw std::runtime_error("x");
	} catch (...) {
		int x = 1;
		joiner j{std::thread(add, &x)};
	}
	if (int x = 5) {
		joiner j{std::thread(add, &x)};
	}
	int outer = 0;
	auto f = [&] {
		int x = 1;
		joiner j{std::thread([&] { outer += x; })};
		return x;
	};
	return f() - 1;
}
