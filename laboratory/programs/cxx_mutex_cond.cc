// SPDX-License-Identifier: BSD-2-Clause
/* Expects a pass. A thread hands a value over by std::mutex and std::condition_variable. */
#include <cassert>
#include <condition_variable>
#include <mutex>
#include <thread>

static std::mutex lock;
static std::condition_variable changed;
static int value;

int main()
{
	std::thread other([] {
		const std::lock_guard<std::mutex> guard(lock);
		value = 1;
		changed.notify_one();
	});
	{
		std::unique_lock<std::mutex> guard(lock);
		changed.wait(guard, [] { return value != 0; });
		assert(value == 1);
	}
	other.join();
	return 0;
}
