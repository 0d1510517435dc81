// SPDX-License-Identifier: BSD-2-Clause
/* Expects CHECK "open == 0". The destructor of a global runs at the end. */
#include <cassert>

static int open;

static struct Log {
	~Log()
	{
		assert(open == 0);
	}
} log_file;

int main()
{
	open++; /* the bug: nobody closes it */
	return 0;
}
