/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_STREAM_H
#define FAIRLEAD_STREAM_H

#include <errno.h>
#include <fairlead/address.h>
#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/time.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

FL_BEGIN_DECLS

/*
 * A stream: a connected socket (TCP, Unix; fairlead/net.h), a pipe, a FIFO, a terminal or another
 * character device that fibers read and write.
 *
 *     FL_SCOPED(fl_stream) *s = arg;                          // closed when the scope ends
 *     char line[4096];
 *     ssize_t n;
 *     while ((n = fl_stream_read_line_until(s, line, sizeof line, fl_after(FL_S(30)), NULL)) > 0)
 *             rc = fl_stream_write(s, line, n);               // check
 *
 * A stream belongs to the loop on which it was created. Only that loop's thread may call its
 * functions, and only fibers of the loop those that wait. A stream must be freed before its loop.
 * One fiber reads and one writes at a time. A read that searches keeps the bytes behind its result
 * in the stream, at most FL_STREAM_LIMIT. Calls that never have to wait let other fibers run from
 * time to time.
 *
 * A read that failed, timed out or was cancelled has taken no bytes (fl_stream_got() has one
 * exception): the next read gets the bytes that have come, and only then the error. A write that
 * failed, timed out or was cancelled may have written a part: fl_stream_written(). Functions that
 * read, write or end a stream also return -EFAULT, or:
 *   -EOWNERDEAD    in a forked child
 *   -EBUSY         another fiber is reading, or writing
 *   -ECONNRESET    a reset by the peer: written bytes may be lost. Permanent
 *   -ECONNABORTED  fl_stream_abort(), or the system got no answers. Permanent
 *   -EHOSTUNREACH, and other errors of the network. Permanent
 *   -EBADF         a pipe or a device that is not open in this direction
 *   -EINVAL        the caller is no fiber of its loop; a size above PTRDIFF_MAX
 */
typedef struct fl_stream fl_stream;

#define FL_STREAM_LIMIT 65536u /* bytes */
#define FL_STREAM_FDS_MAX 253u /* of one send; the system's limit */

/*
 * Creates a stream that owns `fd` on the loop that the calling thread runs. Makes `fd`
 * close-on-exec, unless it is 0, 1 or 2, and sets TCP_NODELAY for TCP. A blocking `fd` stays
 * blocking, except a terminal or device that cannot be opened again through /proc, as the stream of
 * a pipe or terminal does. After an error the caller still owns `fd`. Returns 0, -EBADF, -ENOTCONN,
 * -ENOMEM, -ENOTSUP, -ENOSPC, or:
 *   -EPERM    a regular file, a directory, /dev/null: read it by fl_to_thread()
 *   -EINVAL   a socket, but no stream socket
 *   -EEXIST   the loop watches `fd` already
 */
FL_API FL_MUST_CHECK int fl_stream_from_fd(fl_stream **s, int fd);

/*
 * Creates two streams that are connected with each other. Returns 0, or as fl_stream_from_fd():
 * -ENOTSUP, -ENOMEM, -ENOSPC; or -EMFILE, -ENFILE.
 */
FL_API FL_MUST_CHECK int fl_stream_pair(fl_stream *ends[2]);

/*
 * Closes and frees the stream. The system still sends the written bytes. Panics while a fiber reads
 * or writes. In a forked child it closes only the child's descriptor.
 *
 * If a TCP connection has unread input, the call ends the writing, and the loop drops what the peer
 * still sends, until the peer's end, for 5 s, until 256 later connections do the same, or until the
 * loop is freed. After fl_stream_fd() the descriptor is closed at once: read to the end before.
 */
FL_API void fl_stream_free(fl_stream *s);

/*
 * Ends the connection at once, in both directions. Reads and writes return -ECONNABORTED. The peer
 * reads the written bytes, then the end.
 */
FL_API void fl_stream_abort(fl_stream *s);

/*
 * Reads available bytes, 1 to `size`. Blocks the calling fiber while there are none. Returns the
 * number of bytes, -ECANCELED, -ENOMEM, or:
 *   0        the end
 *   -EINVAL  `size` is 0
 */
FL_API FL_MUST_CHECK ssize_t fl_stream_read_some_until(fl_stream *s, void *buffer, size_t size, fl_time deadline,
                                                       fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK ssize_t fl_stream_read_some(fl_stream *_s, void *_buffer, size_t _size)
{
	return fl_stream_read_some_until(_s, _buffer, _size, FL_FOREVER, NULL);
}

/* As fl_stream_read_some(): -EAGAIN if there are no bytes. */
FL_API FL_MUST_CHECK ssize_t fl_stream_try_read_some(fl_stream *s, void *buffer, size_t size);

/*
 * Reads `size` bytes. Blocks the calling fiber until they have come. Returns `size`; fewer bytes at
 * the end of the stream; or
 *   -ECANCELED
 *   -ENOMEM     see fl_stream_got()
 */
FL_API FL_MUST_CHECK ssize_t fl_stream_read_exactly_until(fl_stream *s, void *buffer, size_t size, fl_time deadline,
                                                          fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK ssize_t fl_stream_read_exactly(fl_stream *_s, void *_buffer, size_t _size)
{
	return fl_stream_read_exactly_until(_s, _buffer, _size, FL_FOREVER, NULL);
}

/*
 * Reads up to and including the first `delimiter`, of `delimiter_size` bytes; at the end of the
 * stream the rest. Blocks the calling fiber until the bytes have come. Returns the number of bytes,
 * -ECANCELED, -ENOMEM, or:
 *   0          the end
 *   -EMSGSIZE  no delimiter in the next `size` bytes, or in FL_STREAM_LIMIT; the bytes stay
 *   -EINVAL    `size` or `delimiter_size` is 0
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
 * As fl_stream_read_delimited() with a newline, and stores a NUL behind the line: one of the `size`
 * bytes, not counted in the result. -EINVAL: `size` is below 2.
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
 * How many bytes the last read has left in the caller's buffer and not in the stream: not 0 only
 * after -ENOMEM of fl_stream_read_exactly() of more than FL_STREAM_LIMIT bytes, or of
 * fl_stream_receive_fds().
 */
FL_API size_t fl_stream_got(const fl_stream *s);

/*
 * Writes all bytes. Blocks the calling fiber while the system has no room (back-pressure). Returns
 * -ECANCELED, or:
 *   0        the system has the bytes; the peer may not have received them
 *   -EPIPE   after fl_stream_close_write(), or the peer no longer reads
 *   -ENOMEM  of the system
 */
FL_API FL_MUST_CHECK int fl_stream_write_until(fl_stream *s, const void *data, size_t size, fl_time deadline,
                                               fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_stream_write(fl_stream *_s, const void *_data, size_t _size)
{
	return fl_stream_write_until(_s, _data, _size, FL_FOREVER, NULL);
}

/*
 * Writes the bytes for which there is room. Returns the number of written bytes, or as
 * fl_stream_write():
 *   -EAGAIN  there is no room
 *   -EPIPE   after fl_stream_close_write(), or the peer no longer reads
 */
FL_API FL_MUST_CHECK ssize_t fl_stream_try_write(fl_stream *s, const void *data, size_t size);

/*
 * As fl_stream_write(), of `n` parts in order. Returns 0, -ECANCELED, -ENOMEM, or:
 *   -EPIPE  after fl_stream_close_write(), or the peer no longer reads
 */
FL_API FL_MUST_CHECK int fl_stream_writev_until(fl_stream *s, const struct iovec *parts, size_t n, fl_time deadline,
                                                fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_stream_writev(fl_stream *_s, const struct iovec *_parts, size_t _n)
{
	return fl_stream_writev_until(_s, _parts, _n, FL_FOREVER, NULL);
}

/*
 * As fl_stream_write() of 1 or more bytes, with `n` descriptors, which the caller keeps, over a
 * Unix socket. The receiver gets the descriptors with the first byte. They were sent if
 * fl_stream_written() is not 0. Returns 0, -ECANCELED, -ENOMEM, -ETOOMANYREFS, or:
 *   -EPIPE         after fl_stream_close_write(), or the peer no longer reads
 *   -EINVAL        no byte; `n` above FL_STREAM_FDS_MAX; or a descriptor of a kind that cannot be
 *                  sent
 *   -EBADF         one of the descriptors is not open
 *   -ENOTSUP       no Unix socket
 */
FL_API FL_MUST_CHECK int fl_stream_send_fds_until(fl_stream *s, const void *data, size_t size, const int *fds,
                                                  unsigned n, fl_time deadline, fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_stream_send_fds(fl_stream *_s, const void *_data, size_t _size, const int *_fds,
                                               unsigned _n)
{
	return fl_stream_send_fds_until(_s, _data, _size, _fds, _n, FL_FOREVER, NULL);
}

/*
 * As fl_stream_read_some(), with the descriptors that have come along, which then belong to the caller
 * and are close-on-exec. `*n` is the room in `fds` before the call, and the number of descriptors
 * after it; 0 after an error. One call returns the descriptors of at most one send, perhaps with
 * bytes of earlier sends: the bytes must tell which message has them. Read such a stream only with
 * this function: other reads close the descriptors that they receive. Returns the number of bytes,
 * -ECANCELED, or:
 *   0          the end
 *   -EMSGSIZE  there is no room for all descriptors. They are closed; the bytes stay
 *   -EMFILE    too few free descriptors for all. They are closed; the bytes stay
 *   -ENOTSUP   no Unix socket
 *   -EINVAL    `size` is 0
 *   -ENOMEM    of the system; or no memory to keep the bytes after one of the errors above:
 *              fl_stream_got() of them are in `buffer`
 */
FL_API FL_MUST_CHECK ssize_t fl_stream_receive_fds_until(fl_stream *s, void *buffer, size_t size, int *fds, unsigned *n,
                                                         fl_time deadline, fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK ssize_t fl_stream_receive_fds(fl_stream *_s, void *_buffer, size_t _size, int *_fds,
                                                      unsigned *_n)
{
	return fl_stream_receive_fds_until(_s, _buffer, _size, _fds, _n, FL_FOREVER, NULL);
}

/* How many bytes the last write has passed to the system, also if it has failed or is not over. */
FL_API size_t fl_stream_written(const fl_stream *s);

/*
 * Ends the writing side: the peer reads the written bytes, then the end. Reads still work. May be
 * called again. Returns 0, or:
 *   -EBUSY    a fiber writes
 *   -EPIPE    the connection is gone already
 *   -ENOTSUP  a terminal or a device that is also open for reading
 *   -EBADF    a pipe that is open only for reading
 */
FL_API FL_MUST_CHECK int fl_stream_close_write(fl_stream *s);

/*
 * The descriptor, which `s` keeps; fl_stream_free() then closes it at once. It blocks, unless
 * fl_stream_from_fd() got a non-blocking one. -1: fl_stream_close_write() has closed a pipe.
 */
FL_API int fl_stream_fd(fl_stream *s);

/*
 * Stores the peer's address, with `size` 0 if the peer is an unnamed Unix socket, or `s` is no
 * socket. Returns 0, or:
 *   -ENOTCONN  the connection is gone
 */
FL_API FL_MUST_CHECK int fl_stream_peer_of(const fl_stream *s, fl_address *a);

/* As fl_stream_peer_of(), for the stream's own address. Returns 0. */
FL_API FL_MUST_CHECK int fl_stream_address_of(const fl_stream *s, fl_address *a);

/* The process at the other side of a Unix socket. */
typedef struct fl_peer_credentials {
	pid_t pid; /* 0: not in this PID namespace. Not for checks: numbers are reused */
	uid_t uid; /* effective user and group */
	gid_t gid;
} fl_peer_credentials;

/*
 * Stores the credentials of the process that made the other side of a Unix socket, as of its
 * connect, listen or socketpair(). Returns 0, or:
 *   -ENOTSUP  no Unix socket
 */
FL_API FL_MUST_CHECK int fl_stream_peer_credentials(const fl_stream *s, fl_peer_credentials *peer);

/*
 * Makes a pidfd of the process of fl_stream_peer_credentials(). Readable once the process has ended
 * (fl_fd_wait()). The caller closes it; it is close-on-exec. Returns the descriptor, -EMFILE,
 * -ENFILE, or:
 *   -ENOTSUP          no Unix socket, or the system cannot (before Linux 6.5)
 *   -ESRCH            the process has ended, and was reaped (before Linux 6.16)
 */
FL_API FL_MUST_CHECK int fl_stream_peer_pidfd(const fl_stream *s);

FL__SCOPED(fl_stream, fl_stream_free)

FL_END_DECLS

#endif
