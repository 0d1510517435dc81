// SPDX-License-Identifier: BSD-2-Clause
/* Expects DATA RACE "count". Two threads count without a lock. */
#include <thread>

static int count;

int main()
{
	std::thread other([] { count++; });
	count++;
	other.join();
	return 0;
}
