// SPDX-License-Identifier: BSD-2-Clause
/*
 * Expects a pass. A thread formats and reads numbers, and then main does: the library asks for the
 * locale of the C library.
 */
#include <cassert>
#include <iostream>
#include <sstream>
#include <thread>

static void run()
{
	std::ostringstream out;
	out << 1.5 << ' ' << std::this_thread::get_id();
	double read = 0;
	std::istringstream(out.str()) >> read;
	assert(read == 1.5);
}

int main()
{
	std::thread(run).join();
	run();
	std::cout << 2.5 << '\n';
	return 0;
}
