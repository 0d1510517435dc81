// SPDX-License-Identifier: BSD-2-Clause
/* Expects DATA RACE "". Two threads assign to one std::shared_ptr without a lock. */
#include <memory>
#include <thread>

static std::shared_ptr<int> shared;

int main()
{
	std::thread other([] { shared = std::make_shared<int>(1); });
	shared = std::make_shared<int>(2);
	other.join();
	return 0;
}
