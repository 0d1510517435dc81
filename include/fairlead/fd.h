/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_FD_H
#define FAIRLEAD_FD_H

#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/fd_events.h>
#include <fairlead/time.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

FL_BEGIN_DECLS

/*
 * Waits for descriptors that are not the library's, until they are ready for what the caller asks
 * for (fairlead/fd_events.h). Streams (fairlead/stream.h) wait by themselves.
 *
 *     while ((n = read(fd, buffer, size)) < 0 && errno == EAGAIN)         // fd is non-blocking
 *             if ((rc = fl_fd_wait(fd, FL_FD_IN)) != 0)
 *                     return rc;
 */

/*
 * Waits until `fd` is ready for one of `events`, is at its end, or has failed. A file counts as
 * ready. The operation after the wait must be non-blocking: another thread may have taken the
 * bytes. `fd` must stay open during the wait. Several threads may wait for one descriptor.
 * Blocks the calling context. Returns 0, -ECANCELED, or:
 *   -EINVAL  `events` is neither FL_FD_IN, nor FL_FD_OUT, nor both
 *   -EBADF   `fd` is negative
 */
FL_API FL_MUST_CHECK int fl_fd_wait_until(int fd, unsigned events, fl_time deadline, fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_fd_wait(int _fd, unsigned _events)
{
	return fl_fd_wait_until(_fd, _events, FL_FOREVER, NULL);
}

/*
 * Reads what there is, up to `size` bytes; waits until there is at least one. The descriptor may be
 * of any kind, blocking or not, and may belong to several processes: its flags stay as they are. If
 * another reader is faster the wait goes on. Blocks the calling context. Returns -ECANCELED, or:
 *   > 0   the number of bytes
 *   0     the end
 *   -EINVAL   `size` is 0 or above PTRDIFF_MAX
 *   -EBADF    not open for reading
 *   any other error of read()
 */
FL_API FL_MUST_CHECK ssize_t fl_fd_read_some_until(int fd, void *buffer, size_t size, fl_time deadline,
                                                   fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK ssize_t fl_fd_read_some(int _fd, void *_buffer, size_t _size)
{
	return fl_fd_read_some_until(_fd, _buffer, _size, FL_FOREVER, NULL);
}

/*
 * Writes some of `size` bytes, as soon as there is space for one; otherwise as fl_fd_read_some().
 * SIGPIPE is never raised. Returns -ECANCELED, or:
 *   > 0   the number of bytes, which may be fewer than `size`; 0 if `size` is 0
 *   -EPIPE    nothing reads any more
 *   -EINVAL   `size` is above PTRDIFF_MAX
 *   -EBADF    not open for writing
 *   any other error of write()
 */
FL_API FL_MUST_CHECK ssize_t fl_fd_write_some_until(int fd, const void *data, size_t size, fl_time deadline,
                                                    fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK ssize_t fl_fd_write_some(int _fd, const void *_data, size_t _size)
{
	return fl_fd_write_some_until(_fd, _data, _size, FL_FOREVER, NULL);
}

FL_END_DECLS

#endif
