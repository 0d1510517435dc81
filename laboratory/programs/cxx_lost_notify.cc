// SPDX-License-Identifier: BSD-2-Clause
/*
 * Expects LOST WAKEUP "changed". The waiter looks at no flag, so a notification before the wait is
 * lost.
 */
#include <condition_variable>
#include <mutex>
#include <thread>

static std::mutex lock;
static std::condition_variable changed;

int main()
{
	std::thread other([] { changed.notify_one(); });
	{
		std::unique_lock<std::mutex> guard(lock);
		changed.wait(guard);
	}
	other.join();
	return 0;
}
