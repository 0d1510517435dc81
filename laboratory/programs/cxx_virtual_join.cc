// SPDX-License-Identifier: BSD-2-Clause
/*
 * Expects a pass. A destructor joins the thread that calls a virtual function of its object. The
 * destructor sets the pointer to the virtual functions first, but to the value that it has.
 */
#include <cassert>
#include <thread>

class counter
{
	int count = 0;
	std::thread thread{[this] { step(); }};

      public:
	virtual void step()
	{
		count++;
	}
	virtual ~counter()
	{
		thread.join();
		assert(count == 1);
	}
};

int main()
{
	counter counts;
	return 0;
}
