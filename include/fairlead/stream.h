/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_STREAM_H
#define FAIRLEAD_STREAM_H

#include <fairlead/address.h>
#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/time.h>
#include <sys/types.h>
#include <sys/uio.h>

FL_BEGIN_DECLS

/*
 * A stream is a connected socket (TCP or Unix), a pipe, a terminal or the like, which fibers read
 * and write.
 *
 *     static int echo(void *connection) // a fiber
 *     {
 *             FL_SCOPED(fl_stream) *s = connection; // closed when the scope ends
 *             char line[4096];
 *             ssize_t n;
 *             int rc = 0;
 *             while (rc == 0 && (n = fl_stream_read_line(s, line, sizeof line)) > 0)
 *                     rc = fl_stream_write(s, line, (size_t)n);
 *             return rc != 0 ? rc : (int)n; // 0 at the end of the stream
 *     }
 *
 * fl_listener_accept() and fl_stream_connect_tcp() make streams (fairlead/net.h).
 *
 * Loop and fibers
 *
 * A stream belongs to the loop on which it was created, and must be freed before the loop. Only the
 * loop's thread may call its functions, and only fibers of the loop may call those that block. One
 * fiber may read while another writes, but no two may read, or write, at the same time.
 *
 * Results
 *
 * In addition to its own list, each function that reads, writes or ends a stream may return
 * -ETIMEDOUT, -ECANCELED, -ENOMEM, -EFAULT, or:
 *   -EBUSY         another fiber uses this direction of the stream
 *   -ECONNRESET    the peer has reset the connection, and written bytes may be lost
 *   -ECONNABORTED  fl_stream_abort() was called, or the peer's system stopped answering
 *   -EHOSTUNREACH, or another error of the network
 *                  the connection is broken
 *   -EBADF         the pipe or device is not open in this direction
 *   -EINVAL        the caller may not make this call (see "Loop and fibers"), or a size is above
 *                  PTRDIFF_MAX
 *
 * A read that fails consumes nothing, with one exception (fl_stream_got()). A write that fails may
 * have written fl_stream_written() bytes. After -ECONNRESET, -ECONNABORTED or an error of the
 * network, later writes return the same error. So do later reads, after they have returned the
 * bytes that had come, which fl_stream_abort() drops.
 */
typedef struct fl_stream fl_stream;

/* A stream buffers at most this many bytes, except after a larger read has failed. */
#define FL_STREAM_LIMIT 65536u
#define FL_STREAM_FDS_MAX 253u /* descriptors of one send: the system's limit */

/*
 * Creates a stream of the descriptor `fd` on the calling thread's loop. The stream owns `fd`; after
 * an error you still own it. Returns 0, -ENOMEM, -ENOSPC, -ENOTSUP, or:
 *   -EBADF              `fd` is not open
 *   -EPERM              `fd` is always ready, such as a regular file: use fl_blocking_call()
 *   -EINVAL, -ENOTCONN  `fd` is a socket of another kind, or is not connected
 *   -EEXIST             the loop watches `fd` already
 *
 * `fd` becomes close-on-exec, unless it is 0, 1 or 2; a TCP socket gets TCP_NODELAY. A blocking
 * `fd` stays blocking, because other processes may use it. Only devices, and terminals that cannot
 * be opened a second time, become non-blocking.
 */
FL_API FL_MUST_CHECK int fl_stream_from_fd(fl_stream **s, int fd);

/*
 * Creates two connected streams on the calling thread's loop. Returns 0, -ENOMEM, -EMFILE, -ENFILE,
 * -ENOSPC or -ENOTSUP.
 */
FL_API FL_MUST_CHECK int fl_stream_pair(fl_stream *ends[2]);

/*
 * Closes and frees the stream, without waiting. The system still sends the bytes that were written.
 * If the peer of a TCP connection is still sending, closing at once could destroy these bytes, so
 * the library closes the connection in the background, when the peer ends its side or after 5 s.
 * However, after fl_stream_fd() the call closes at once, so read such a stream to its end first.
 *
 * Panics while a fiber reads or writes.
 */
FL_API void fl_stream_free(fl_stream *s);

/*
 * Ends the stream in both directions at once. Reads and writes, also those in progress, return
 * -ECONNABORTED, and bytes that nobody has read are dropped. The peer of a socket reads what was
 * written, then the end. The peer of a pipe or device notices nothing until the stream is freed.
 */
FL_API void fl_stream_abort(fl_stream *s);

/*
 * Reads the bytes that are available, at most `size`. Blocks the calling fiber while there are
 * none. Returns -EAGAIN, or:
 *   > 0      the number of bytes
 *   0        the end of the stream
 *   -EINVAL  `size` is 0
 *   -ETIMEDOUT, -ECANCELED, -ENOMEM, other
 *            see "Results" in fairlead/stream.h
 */
FL_API FL_MUST_CHECK ssize_t fl_stream_read_some_until(fl_stream *s, void *buffer, size_t size, fl_time deadline,
                                                       fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK ssize_t fl_stream_read_some(fl_stream *_s, void *_buffer, size_t _size)
{
	return fl_stream_read_some_until(_s, _buffer, _size, FL_FOREVER, NULL);
}
FL_API FL_MUST_CHECK ssize_t fl_stream_try_read_some(fl_stream *s, void *buffer, size_t size);

/*
 * Reads `size` bytes, or fewer if the stream ends before. Blocks the calling fiber.
 *
 *     ssize_t n = fl_stream_read_exactly(s, &head, sizeof head);
 *     if (n < (ssize_t)sizeof head)
 *             return (int)(n < 0 ? n : 0); // an error, or the end of the stream
 *
 * Returns:
 *   >= 0     the number of bytes, below `size` only at the end of the stream
 *   -ENOMEM  out of memory; fl_stream_got() bytes may be in `buffer`
 *   -ETIMEDOUT, -ECANCELED, other
 *            see "Results" in fairlead/stream.h
 */
FL_API FL_MUST_CHECK ssize_t fl_stream_read_exactly_until(fl_stream *s, void *buffer, size_t size, fl_time deadline,
                                                          fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK ssize_t fl_stream_read_exactly(fl_stream *_s, void *_buffer, size_t _size)
{
	return fl_stream_read_exactly_until(_s, _buffer, _size, FL_FOREVER, NULL);
}

/*
 * Reads up to and including the first `delimiter`, or to the end of the stream. Blocks the calling
 * fiber. Returns:
 *   > 0        the number of bytes, which end with the delimiter, except at the end of the stream
 *   0          the end of the stream
 *   -EMSGSIZE  the next `size` bytes, or FL_STREAM_LIMIT bytes, have no delimiter
 *   -EINVAL    `size` or `delimiter_size` is 0
 *   -ETIMEDOUT, -ECANCELED, -ENOMEM, other
 *              see "Results" in fairlead/stream.h
 */
FL_API FL_MUST_CHECK ssize_t fl_stream_read_delimited_until(fl_stream *s, void *buffer, size_t size,
                                                            const void *delimiter, size_t delimiter_size,
                                                            fl_time deadline, fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK ssize_t fl_stream_read_delimited(fl_stream *_s, void *_buffer, size_t _size,
                                                         const void *_delimiter, size_t _delimiter_size)
{
	return fl_stream_read_delimited_until(_s, _buffer, _size, _delimiter, _delimiter_size, FL_FOREVER, NULL);
}

/*
 * Reads a line with its newline, which the last line may lack, and stores a NUL after it. Blocks
 * the calling fiber. Returns:
 *   > 0        the number of bytes before the NUL
 *   0          the end of the stream
 *   -EMSGSIZE  the next `size` - 1 bytes, or FL_STREAM_LIMIT bytes, have no newline
 *   -EINVAL    `size` is below 2
 *   -ETIMEDOUT, -ECANCELED, -ENOMEM, other
 *              see "Results" in fairlead/stream.h
 */
FL_INLINE FL_MUST_CHECK ssize_t fl_stream_read_line_until(fl_stream *_s, char *_line, size_t _size, fl_time _deadline,
                                                          fl_cancel_token *_cancel)
{
	ssize_t _n;
	if (_size < 2)
		return -EINVAL;
	_n = fl_stream_read_delimited_until(_s, _line, _size - 1, "\n", 1, _deadline, _cancel);
	if (_n >= 0)
		_line[_n] = '\0';
	return _n;
}
FL_INLINE FL_MUST_CHECK ssize_t fl_stream_read_line(fl_stream *_s, char *_line, size_t _size)
{
	return fl_stream_read_line_until(_s, _line, _size, FL_FOREVER, NULL);
}

/*
 * Returns how many bytes the last read has left in the caller's buffer. This is 0, unless that read
 * has returned -ENOMEM because the stream could not keep the bytes.
 */
FL_API size_t fl_stream_got(const fl_stream *s);

/*
 * Writes all `size` bytes. Blocks the calling fiber while the system has no space. Returns 0, or:
 *   -EPIPE  fl_stream_close_write() was called before, or the peer no longer reads
 *   -ETIMEDOUT, -ECANCELED, -ENOMEM, other
 *           see "Results" in fairlead/stream.h; fl_stream_written() bytes were written
 */
FL_API FL_MUST_CHECK int fl_stream_write_until(fl_stream *s, const void *data, size_t size, fl_time deadline,
                                               fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_stream_write(fl_stream *_s, const void *_data, size_t _size)
{
	return fl_stream_write_until(_s, _data, _size, FL_FOREVER, NULL);
}

/*
 * Does the same as fl_stream_write(), but without waiting: writes the bytes for which the system
 * has space, and returns their number, or -EAGAIN if the system has no space.
 */
FL_API FL_MUST_CHECK ssize_t fl_stream_try_write(fl_stream *s, const void *data, size_t size);

/* Does the same as fl_stream_write() for `n` parts, in their order, as one write. */
FL_API FL_MUST_CHECK int fl_stream_writev_until(fl_stream *s, const struct iovec *parts, size_t n, fl_time deadline,
                                                fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_stream_writev(fl_stream *_s, const struct iovec *_parts, size_t _n)
{
	return fl_stream_writev_until(_s, _parts, _n, FL_FOREVER, NULL);
}

/*
 * Writes 1 or more bytes as fl_stream_write() does, and sends duplicates of `n` descriptors with
 * the first byte, over a Unix socket. Returns 0, -ETOOMANYREFS, or:
 *   -EINVAL   `size` is 0, `n` is above FL_STREAM_FDS_MAX, or a descriptor is of a kind that cannot
 *             be sent
 *   -EBADF    one of the descriptors is not open
 *   -ENOTSUP  the stream is not a Unix socket
 *   -ETIMEDOUT, -ECANCELED, -EPIPE, -ENOMEM, other
 *             an error of fl_stream_write(). Except after -EBUSY and -EINVAL, the descriptors
 *             were sent if fl_stream_written() is not 0
 */
FL_API FL_MUST_CHECK int fl_stream_send_fds_until(fl_stream *s, const void *data, size_t size, const int *fds,
                                                  unsigned n, fl_time deadline, fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_stream_send_fds(fl_stream *_s, const void *_data, size_t _size, const int *_fds,
                                               unsigned _n)
{
	return fl_stream_send_fds_until(_s, _data, _size, _fds, _n, FL_FOREVER, NULL);
}

/*
 * Reads the bytes that are available, at most `size`, and the descriptors that have come with them.
 * Blocks the calling fiber while there are no bytes. Before the call, `*n` is the capacity of
 * `fds`; afterwards it is the number of descriptors, or 0 after an error. They are yours, and
 * close-on-exec.
 *
 * A call returns the descriptors of at most one send, but its bytes may begin with bytes of earlier
 * sends without descriptors, so a message itself must say whether it has descriptors. Read such a
 * stream only by this function, because other reads close descriptors. Returns:
 *   > 0        the number of bytes
 *   0          the end of the stream
 *   -EMSGSIZE  `fds` is too small, and the descriptors were closed
 *   -EMFILE    too few free descriptors; those that came were closed
 *   -ENOTSUP   the stream is not a Unix socket
 *   -EINVAL    `size` is 0
 *   -ENOMEM    out of memory; fl_stream_got() bytes may be in `buffer`
 *   -ETIMEDOUT, -ECANCELED, other
 *              see "Results" in fairlead/stream.h
 */
FL_API FL_MUST_CHECK ssize_t fl_stream_receive_fds_until(fl_stream *s, void *buffer, size_t size, int *fds, unsigned *n,
                                                         fl_time deadline, fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK ssize_t fl_stream_receive_fds(fl_stream *_s, void *_buffer, size_t _size, int *_fds,
                                                      unsigned *_n)
{
	return fl_stream_receive_fds_until(_s, _buffer, _size, _fds, _n, FL_FOREVER, NULL);
}

/*
 * Returns how many bytes the last write has passed to the system, even if it has failed or is still
 * going on. A refused call (-EBUSY, -EINVAL) does not count as a write.
 */
FL_API size_t fl_stream_written(const fl_stream *s);

/*
 * Ends the writing side: the peer reads the bytes that were written, then the end. Reads still
 * work. Returns 0, or:
 *   -EBUSY    a fiber writes
 *   -EPIPE    the connection is gone already
 *   -ENOTSUP  the stream is a terminal, device or FIFO that is also open for reading
 *   -EBADF    the stream is a pipe, terminal or device that is open only for reading
 *   other     see "Results" in fairlead/stream.h
 */
FL_API FL_MUST_CHECK int fl_stream_close_write(fl_stream *s);

/*
 * Returns the descriptor, which the stream owns, or -1 if fl_stream_close_write() has closed a
 * pipe. After this call fl_stream_free() closes at once.
 */
FL_API int fl_stream_fd(fl_stream *s);

/*
 * Stores the peer's address in `*a`, with `size` 0 if the peer has no name, or the stream is not a
 * socket. Returns 0, or -ENOTCONN if the connection is gone.
 */
FL_API FL_MUST_CHECK int fl_stream_peer_address(const fl_stream *s, fl_address *a);

/* Stores the stream's own address in `*a`, and returns 0. */
FL_API FL_MUST_CHECK int fl_stream_local_address(const fl_stream *s, fl_address *a);

/* Says which process is at the other side of a Unix socket. */
typedef struct fl_peer_credentials {
	/*
	 * 0 if the process is not in this PID namespace. Do not decide rights by it: another
	 * process may have this number by now.
	 */
	pid_t pid;
	uid_t uid; /* the effective user */
	gid_t gid; /* the effective group */
} fl_peer_credentials;

/*
 * Stores the credentials of the process that made the other side of a Unix socket, as of its
 * connect(), listen() or socketpair(). Returns 0, or -ENOTSUP if the stream is not a Unix socket.
 */
FL_API FL_MUST_CHECK int fl_stream_peer_credentials(const fl_stream *s, fl_peer_credentials *peer);

/*
 * Makes a pidfd of the process that fl_stream_peer_credentials() names. The pidfd becomes readable
 * when the process ends. It is close-on-exec, and yours. Returns -EMFILE, -ENFILE, or:
 *   >= 0      the descriptor
 *   -ENOTSUP  the stream is not a Unix socket, or the system is older than Linux 6.5
 *   -ESRCH    before Linux 6.16: the process has ended and was reaped
 */
FL_API FL_MUST_CHECK int fl_stream_peer_pidfd(const fl_stream *s);

FL__SCOPED(fl_stream, fl_stream_free)

FL_END_DECLS

#endif
