// SPDX-License-Identifier: BSD-2-Clause
/* Expects a pass. A call of std::call_once that throws is no call; the next one runs. */
#include <cassert>
#include <mutex>
#include <thread>

static std::once_flag once;
static int calls, made;

static void make()
{
	if (++calls == 1)
		throw 1;
	made++;
}

static void call()
{
	for (;;) {
		try {
			std::call_once(once, make);
			return;
		} catch (int) {
		}
	}
}

int main()
{
	std::thread other(call);
	call();
	other.join();
	assert(made == 1 && calls == 2);
	return 0;
}
