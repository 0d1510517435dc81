/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_FD_H
#define FAIRLEAD_FD_H

#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/fd_events.h>
#include <fairlead/private/part_process.h>
#include <fairlead/time.h>
#include <sys/types.h>

FL_BEGIN_DECLS

/*
 * Waits for descriptors that are not the library's, and reads and writes them.
 *
 *     while ((n = read(fd, buffer, size)) < 0 && errno == EAGAIN) { // `fd` is non-blocking
 *             int rc = fl_fd_wait(fd, FL_FD_IN);
 *             if (rc != 0)
 *                     return rc;
 *     }
 *
 * fl_fd_read_some() and fl_fd_write_some() take any kind of descriptor, blocking or not, and leave
 * its flags as they are, so that other processes may share it. However, on a blocking pipe before
 * Linux 6.4, neither a deadline nor a cancel ends a call if another reader or writer comes first.
 */

/*
 * Waits until `fd` is ready for one of `events` (FL_FD_IN, FL_FD_OUT or both;
 * fairlead/fd_events.h), is at its end, or has failed. A file counts as ready. Blocks the calling
 * context.
 *
 * `fd` must stay open during the wait. If several threads wait for one descriptor, the operation
 * after the wait must be non-blocking, because another thread may have taken the bytes. Returns 0,
 * -ETIMEDOUT, -ECANCELED, or:
 *   -EINVAL  `events` is 0, or has another bit
 *   -EBADF   `fd` is negative
 */
FL_API FL_MUST_CHECK int fl_fd_wait_until(int fd, unsigned events, fl_time deadline, fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_fd_wait(int _fd, unsigned _events)
{
	return fl_fd_wait_until(_fd, _events, FL_FOREVER, NULL);
}

/*
 * Reads the bytes that are available: at least 1, and at most `size`. Blocks the calling context
 * while there are none. Returns -ETIMEDOUT, -ECANCELED, or:
 *   > 0      the number of bytes
 *   0        the end
 *   -EINVAL  `size` is 0 or above PTRDIFF_MAX
 *   -EBADF   `fd` is not open for reading
 *   other    an error of read()
 */
FL_API FL_MUST_CHECK ssize_t fl_fd_read_some_until(int fd, void *buffer, size_t size, fl_time deadline,
                                                   fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK ssize_t fl_fd_read_some(int _fd, void *_buffer, size_t _size)
{
	return fl_fd_read_some_until(_fd, _buffer, _size, FL_FOREVER, NULL);
}

/*
 * Writes the bytes for which there is space: at least 1, and at most `size`. Blocks the calling
 * context while there is no space. Returns -ETIMEDOUT, -ECANCELED, or:
 *   > 0      the number of bytes
 *   0        `size` is 0
 *   -EPIPE   the other end is closed
 *   -EINVAL  `size` is above PTRDIFF_MAX
 *   -EBADF   `fd` is not open for writing
 *   other    an error of write()
 */
FL_API FL_MUST_CHECK ssize_t fl_fd_write_some_until(int fd, const void *data, size_t size, fl_time deadline,
                                                    fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK ssize_t fl_fd_write_some(int _fd, const void *_data, size_t _size)
{
	return fl_fd_write_some_until(_fd, _data, _size, FL_FOREVER, NULL);
}

FL_END_DECLS

#endif
