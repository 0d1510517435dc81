/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_FD_H
#define FAIRLEAD_FD_H

#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/time.h>
#include <stddef.h>
#include <stdint.h>

FL_BEGIN_DECLS

/*
 * Waits for descriptors of others: of a library that has its own, of a device, of a pipe. A thread blocks; a fiber gives way to the
 * others of its loop. Streams (fairlead/stream.h) need none of this.
 *
 *     while ((n = read(fd, buffer, size)) < 0 && errno == EAGAIN)         // fd does not block
 *             if ((rc = fl_fd_wait(fd, FL_FD_IN)) != 0)
 *                     return rc;
 */
enum {
	FL_FD_IN = 1 << 0,  /* there is something to read, a connection to accept, or the end */
	FL_FD_OUT = 1 << 1, /* there is room to write, or the connection stands */
};

/*
 * Waits until an attempt makes sense: `fd` is ready for one of `events`, is at its end, has failed, or cannot be waited for (a file
 * always is ready). Others may have been faster: so the attempt must not block. `fd` stays open meanwhile. Blocks the calling
 * context; observes its cancel scope. Any thread may call it, and many at the same time. Safe after fork.
 * Returns 0; -ECANCELED; -EINVAL: other events, or none; -EBADF: `fd` is negative.
 */
FL_INLINE FL_MUST_CHECK int fl_fd_wait(int fd, unsigned events);

/* The same until `deadline`; a past one looks once. Also returns -ETIMEDOUT. */
FL_API FL_MUST_CHECK int fl_fd_wait_until(int fd, unsigned events, int64_t deadline, fl_cancel_token *cancel);

/* The inline functions. */

FL_INLINE int fl_fd_wait(int _fd, unsigned _events)
{
	return fl_fd_wait_until(_fd, _events, FL_FOREVER, NULL);
}

FL_END_DECLS

#endif
