// SPDX-License-Identifier: BSD-2-Clause
/* Expects CRASH "abort". The destructor of a joinable std::thread ends the program. */
#include <thread>

int main()
{
	std::thread other([] {});
	return 0;
}
