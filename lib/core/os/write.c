/* SPDX-License-Identifier: BSD-2-Clause */
/* write(), repeated until everything is written. */
#include "../base/sys.h"
#include <limits.h>
#ifndef _WIN32
#include <unistd.h>
#endif

int fl__write_all(int fd, const char *text, size_t size)
{
	while (size > 0) {
		const int n = FL__RETRY((int)FL__SYS_RESULT(write(fd, text, (unsigned)FL__MIN(size, INT_MAX))));
		if (n <= 0)
			return n == 0 ? -EIO : n;
		text += n;
		size -= (size_t)n;
	}
	return 0;
}
