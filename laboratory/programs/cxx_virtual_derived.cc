// SPDX-License-Identifier: BSD-2-Clause
/*
 * Expects DATA RACE "_vptr". The destructor of the base class joins the thread, which may call the
 * virtual function when the derived class is already destroyed.
 */
#include <thread>

struct service {
	std::thread thread;
	virtual void step()
	{
	}
	void start()
	{
		thread = std::thread([this] { step(); });
	}
	virtual ~service()
	{
		thread.join();
	}
};

struct counter : service {
	int count = 0;
	void step() override
	{
		count++;
	}
};

int main()
{
	counter counts;
	counts.start();
	return 0;
}
