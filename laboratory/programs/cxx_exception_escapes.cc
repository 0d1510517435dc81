// SPDX-License-Identifier: BSD-2-Clause
/* Expects CRASH "abort". An exception leaves the function of a thread. */
#include <stdexcept>
#include <thread>

int main()
{
	std::thread other([] { throw std::runtime_error("not caught"); });
	other.join();
	return 0;
}
