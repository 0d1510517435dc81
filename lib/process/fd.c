/* SPDX-License-Identifier: BSD-2-Clause */
#include "watch.h"
#include <errno.h>
#include <fairlead/fd.h>
#include <fairlead/time.h>

int fl_fd_wait_until(int fd, unsigned events, int64_t deadline, fl_cancel_token *cancel)
{
	if (events == 0 || (events & ~(unsigned)(FL_FD_IN | FL_FD_OUT)))
		return -EINVAL;
	if (fd < 0)
		return -EBADF; /* poll() would wait for ever */
	const int bits = (events & FL_FD_IN ? POLLIN | POLLRDHUP : 0) | (events & FL_FD_OUT ? POLLOUT : 0);
	return fl__fd_wait(fd, (short)bits, deadline, cancel);
}
