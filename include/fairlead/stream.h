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
 * A stream is a connected socket (TCP or Unix), a pipe, a FIFO, a terminal or another character
 * device that fibers read and write.
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
 * fairlead/net.h makes streams: fl_listener_accept() and fl_stream_connect_tcp().
 *
 * Loop and fibers
 *
 * A stream belongs to the loop on which it was created, and must be freed before that loop. Only
 * the loop's thread may call its functions. Functions that wait may be called only by fibers of the
 * loop. At any time at most one fiber may read, and at most one may write. A fiber whose calls
 * never have to wait still lets other fibers run: from time to time, a call yields to them.
 *
 * Reading and writing
 *
 * A read that searches for a delimiter may receive more bytes than it returns. The bytes after its
 * result stay in the stream for the next read. A read that fails, times out or is cancelled takes
 * no bytes. The bytes that it has received stay in the stream, and the next read gets them.
 * fl_stream_got() describes the one exception. A write that fails, times out or is cancelled may
 * have written a part: fl_stream_written() says how much.
 *
 * Results
 *
 * Each function lists its own results. Functions that read, write or end a stream may also return:
 *   -EBUSY         another fiber is in a read, and this call reads; or another fiber is in a write,
 *                  and this call writes or ends the writing side
 *   -ECONNRESET    the peer has reset the connection, and written bytes may be lost
 *   -ECONNABORTED  fl_stream_abort() was called, or the system got no answers of the peer
 *   -EHOSTUNREACH, or another error of the network
 *                  the connection is broken
 *   -EBADF         the pipe or device is not open in this direction
 *   -EINVAL        the caller is no fiber of the stream's loop; or a size is above PTRDIFF_MAX
 *   -EFAULT        an address of the caller is bad
 *
 * An error of the connection (-ECONNRESET to -EHOSTUNREACH in this list) is lasting: later reads
 * and writes return it, too. Reads first return the bytes that are still in the stream, and a read
 * after the end of the stream returns 0. After fl_stream_abort() the bytes in the stream are lost:
 * all reads and writes return -ECONNABORTED.
 */
typedef struct fl_stream fl_stream;

/*
 * The most bytes that a stream receives ahead of the reads. A read of more bytes that fails may
 * leave more in the stream: all that it has received.
 */
#define FL_STREAM_LIMIT 65536u
#define FL_STREAM_FDS_MAX 253u /* the most descriptors of one send: the system's limit */

/*
 * Creates a stream on the loop that the calling thread runs. The stream owns the descriptor `fd`.
 *
 * The call never waits. It makes `fd` close-on-exec, unless it is 0, 1 or 2, and sets TCP_NODELAY
 * for TCP.
 *
 * Returns:
 *   0          the stream was created
 *   -EBADF     `fd` is not open
 *   -EPERM     `fd` is a regular file, a directory, or a device such as /dev/null: read it by
 *              fl_blocking_call()
 *   -EINVAL    `fd` is a socket, but not a stream socket
 *   -ENOTCONN  `fd` is a socket that is not connected
 *   -EEXIST    the loop watches `fd` already
 *   -ENOMEM    there is no memory
 *   -ENOSPC    the user's limit of watched descriptors is reached
 *   -ENOTSUP   the thread runs no loop
 *
 * After an error the caller still owns `fd`. If `fd` is blocking, it stays blocking: the stream of
 * a pipe or terminal opens the file again through /proc, and uses that descriptor. If a pipe cannot
 * be opened again, its stream uses `fd` itself, and does not change it. Two kinds of files become
 * non-blocking: a terminal that cannot be opened again in this way, such as the master of a
 * pseudo-terminal; and a device that is no terminal.
 */
FL_API FL_MUST_CHECK int fl_stream_from_fd(fl_stream **s, int fd);

/*
 * Creates two streams that are connected with each other, on the loop that the calling thread runs.
 *
 * The call never waits.
 *
 * Returns:
 *   0                 the streams are in `ends`
 *   -ENOMEM           there is no memory
 *   -EMFILE, -ENFILE  the process, or the system, has too many descriptors
 *   -ENOSPC           the user's limit of watched descriptors is reached
 *   -ENOTSUP          the thread runs no loop
 */
FL_API FL_MUST_CHECK int fl_stream_pair(fl_stream *ends[2]);

/*
 * Closes and frees the stream. The system still sends the bytes that were written. `s` may be NULL.
 *
 * The call never waits. It panics while a fiber reads or writes.
 *
 * A TCP connection on which bytes were written is not closed at once while it has unread input, or
 * bytes that the peer has not acknowledged: a close could reset the connection, and the peer would
 * lose what was written. Instead the call ends the writing side, and the loop reads and drops what
 * the peer still sends. The loop closes the connection when one of these comes first: the peer ends
 * its side; the connection breaks; 5 s have passed; 256 later connections wait in the same way; or
 * the loop is freed.
 *
 * The connection is closed at once in three cases:
 *
 * - A read has returned the end of the stream, or an error of the connection has come.
 * - fl_stream_fd() was called. So after a call of fl_stream_fd(), read the stream to its end before
 *   you free it.
 * - There is no memory for the wait, or the user's limit of watched descriptors is reached.
 */
FL_API void fl_stream_free(fl_stream *s);

/*
 * Ends the use of the stream at once, in both directions.
 *
 * The call never waits. Reads and writes, also those in progress, return -ECONNABORTED. The peer of
 * a socket reads the bytes that were written, then the end. The peer of a pipe or a device sees
 * nothing before the stream is freed.
 */
FL_API void fl_stream_abort(fl_stream *s);

/*
 * Reads the bytes that are available: at least 1, and at most `size`.
 *
 * The call blocks the calling fiber while no byte is available.
 *
 * Returns:
 *   > 0         the number of bytes
 *   0           the end of the stream
 *   -ETIMEDOUT  the deadline passed
 *   -ECANCELED  the wait was cancelled
 *   -ENOMEM     there is no memory
 *   -EINVAL     `size` is 0
 *   other       one of the errors that every stream may return: see "Results" in fairlead/stream.h
 */
FL_API FL_MUST_CHECK ssize_t fl_stream_read_some_until(fl_stream *s, void *buffer, size_t size, fl_time deadline,
                                                       fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK ssize_t fl_stream_read_some(fl_stream *_s, void *_buffer, size_t _size)
{
	return fl_stream_read_some_until(_s, _buffer, _size, FL_FOREVER, NULL);
}

/*
 * Reads the bytes that are available, at most `size`. It never waits. Callbacks of the loop may
 * call it.
 *
 * Returns:
 *   > 0      the number of bytes
 *   0        the end of the stream
 *   -EAGAIN  there are no bytes
 *   other    an error of fl_stream_read_some()
 */
FL_API FL_MUST_CHECK ssize_t fl_stream_try_read_some(fl_stream *s, void *buffer, size_t size);

/*
 * Reads `size` bytes, or fewer if the stream ends before.
 *
 * The call blocks the calling fiber until the bytes have come.
 *
 * Returns:
 *   `size`            all bytes were read
 *   less than `size`  the stream has ended after so many bytes, which may be 0
 *   -ETIMEDOUT        the deadline passed
 *   -ECANCELED        the wait was cancelled
 *   -ENOMEM           there is no memory; fl_stream_got() bytes may be in `buffer`
 *   other             one of the errors that every stream may return: see "Results" in
 *                     fairlead/stream.h
 */
FL_API FL_MUST_CHECK ssize_t fl_stream_read_exactly_until(fl_stream *s, void *buffer, size_t size, fl_time deadline,
                                                          fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK ssize_t fl_stream_read_exactly(fl_stream *_s, void *_buffer, size_t _size)
{
	return fl_stream_read_exactly_until(_s, _buffer, _size, FL_FOREVER, NULL);
}

/*
 * Reads up to the first `delimiter`, and including it. At the end of the stream it reads the rest.
 *
 * `delimiter` has `delimiter_size` bytes. The call blocks the calling fiber until the bytes have
 * come.
 *
 * Returns:
 *   > 0         the number of bytes. They end with the delimiter, except at the end of the stream
 *   0           the end of the stream
 *   -ETIMEDOUT  the deadline passed
 *   -ECANCELED  the wait was cancelled
 *   -EMSGSIZE   the next `size` bytes, or the next FL_STREAM_LIMIT bytes, have no delimiter. The
 *               bytes stay in the stream
 *   -EINVAL     `size` or `delimiter_size` is 0
 *   -ENOMEM     there is no memory
 *   other       one of the errors that every stream may return: see "Results" in fairlead/stream.h
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
 * Reads a line, with its newline, and stores a NUL behind it.
 *
 * The NUL is one of the `size` bytes, and is not counted in the result. At the end of the stream
 * the last line may lack its newline. The call blocks the calling fiber until the line has come.
 *
 * Returns:
 *   > 0         the number of bytes before the NUL
 *   0           the end of the stream
 *   -ETIMEDOUT  the deadline passed
 *   -ECANCELED  the wait was cancelled
 *   -EMSGSIZE   the next `size` - 1 bytes, or the next FL_STREAM_LIMIT bytes, have no newline. The
 *               bytes stay in the stream
 *   -EINVAL     `size` is below 2
 *   -ENOMEM     there is no memory
 *   other       one of the errors that every stream may return: see "Results" in fairlead/stream.h
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
 * Returns how many bytes the last read has received and left in the caller's buffer, because it
 * could not keep them in the stream. A call that was refused is no read. The list of refused calls
 * at fl_stream_written() holds for reads, too.
 *
 * The result is above 0 only after a read that returned -ENOMEM, and only of two kinds:
 * fl_stream_read_exactly() of more than FL_STREAM_LIMIT bytes, and fl_stream_receive_fds().
 */
FL_API size_t fl_stream_got(const fl_stream *s);

/*
 * Writes all `size` bytes.
 *
 * The call blocks the calling fiber while the system has no space for them (back-pressure).
 *
 * Returns:
 *   0           the system has the bytes. The peer may not have received them yet
 *   -ETIMEDOUT  the deadline passed; fl_stream_written() bytes were written
 *   -ECANCELED  the wait was cancelled; fl_stream_written() bytes were written
 *   -EPIPE      fl_stream_close_write() has closed the writing side, or the peer no longer reads
 *   -ENOMEM     the system has no memory
 *   other       one of the errors that every stream may return: see "Results" in fairlead/stream.h
 */
FL_API FL_MUST_CHECK int fl_stream_write_until(fl_stream *s, const void *data, size_t size, fl_time deadline,
                                               fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_stream_write(fl_stream *_s, const void *_data, size_t _size)
{
	return fl_stream_write_until(_s, _data, _size, FL_FOREVER, NULL);
}

/*
 * Writes the bytes for which the system has space, at most `size`. It never waits. Callbacks of the
 * loop may call it.
 *
 * Returns:
 *   >= 0     the number of bytes that were written. 0 only if `size` is 0
 *   -EAGAIN  there is no space for a byte
 *   -EPIPE   fl_stream_close_write() has closed the writing side, or the peer no longer reads
 *   other    an error of fl_stream_write()
 */
FL_API FL_MUST_CHECK ssize_t fl_stream_try_write(fl_stream *s, const void *data, size_t size);

/*
 * Writes `n` parts in their order, as one write.
 *
 * The call blocks the calling fiber while the system has no space for them (back-pressure).
 *
 * Returns:
 *   0           the system has the bytes. The peer may not have received them yet
 *   -ETIMEDOUT  the deadline passed; fl_stream_written() bytes were written
 *   -ECANCELED  the wait was cancelled; fl_stream_written() bytes were written
 *   -EPIPE      fl_stream_close_write() has closed the writing side, or the peer no longer reads
 *   -ENOMEM     the system has no memory
 *   other       one of the errors that every stream may return: see "Results" in fairlead/stream.h
 */
FL_API FL_MUST_CHECK int fl_stream_writev_until(fl_stream *s, const struct iovec *parts, size_t n, fl_time deadline,
                                                fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_stream_writev(fl_stream *_s, const struct iovec *_parts, size_t _n)
{
	return fl_stream_writev_until(_s, _parts, _n, FL_FOREVER, NULL);
}

/*
 * Writes 1 or more bytes, and sends `n` descriptors with them, over a Unix socket.
 *
 * The caller keeps the descriptors. The receiver gets duplicates of them with the first byte. After
 * -EINVAL, -EBADF, -EBUSY, -ENOTSUP and -ETOOMANYREFS the descriptors were not sent. After any
 * other error the descriptors were sent if the stream is a socket and fl_stream_written() is not 0.
 * The call blocks the calling fiber while the system has no space (back-pressure).
 *
 * Returns:
 *   0              the system has the bytes and the descriptors
 *   -ETIMEDOUT     the deadline passed; fl_stream_written() bytes were written
 *   -ECANCELED     the wait was cancelled; fl_stream_written() bytes were written
 *   -EPIPE         fl_stream_close_write() has closed the writing side, or the peer no longer reads
 *   -EINVAL        `size` is 0; `n` is above FL_STREAM_FDS_MAX; or a descriptor is of a kind that
 *                  cannot be sent
 *   -EBADF         one of the descriptors is not open
 *   -ENOTSUP       the stream is no Unix socket
 *   -ETOOMANYREFS  too many descriptors of this user were sent and not yet received (RLIMIT_NOFILE)
 *   -ENOMEM        the system has no memory
 *   other          one of the errors that every stream may return: see "Results" in
 *                  fairlead/stream.h
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
 *
 * The descriptors belong to the caller, and are close-on-exec. Before the call `*n` is the capacity
 * of `fds`. Afterwards it is the number of descriptors, and 0 after an error. The call blocks the
 * calling fiber while there are no bytes.
 *
 * One call returns the descriptors of at most one send. The bytes that it returns may begin with
 * bytes of earlier sends. So your protocol must say in the bytes which message has descriptors.
 * Read a stream that carries descriptors only with this function, since other reads close the
 * descriptors that they receive.
 *
 * Returns:
 *   > 0         the number of bytes
 *   0           the end of the stream
 *   -ETIMEDOUT  the deadline passed
 *   -ECANCELED  the wait was cancelled
 *   -EMSGSIZE   `fds` is too small. The descriptors are closed, and the bytes stay in the stream
 *   -EMFILE     the process has too few free descriptors. The descriptors are closed, and the bytes
 *               stay in the stream
 *   -ENOTSUP    the stream is no Unix socket
 *   -EINVAL     `size` is 0
 *   -ENOMEM     the system has no memory; or there is no memory to keep the bytes after -EMSGSIZE
 *               or -EMFILE, and fl_stream_got() of them are in `buffer`
 *   other       one of the errors that every stream may return: see "Results" in fairlead/stream.h
 */
FL_API FL_MUST_CHECK ssize_t fl_stream_receive_fds_until(fl_stream *s, void *buffer, size_t size, int *fds, unsigned *n,
                                                         fl_time deadline, fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK ssize_t fl_stream_receive_fds(fl_stream *_s, void *_buffer, size_t _size, int *_fds,
                                                      unsigned *_n)
{
	return fl_stream_receive_fds_until(_s, _buffer, _size, _fds, _n, FL_FOREVER, NULL);
}

/*
 * Returns how many bytes the last write has passed to the system, also if the write has failed or
 * is still going on. A call that was refused is no write. The following calls were refused:
 *
 * - each call that returned -EBUSY;
 * - a call that returned -EINVAL because its caller was no fiber of the loop, because of a size, or
 *   because of the number of descriptors;
 * - a call that returned -EBADF because the stream is not open for writing;
 * - a call that returned -EPIPE because fl_stream_close_write() has closed the pipe.
 */
FL_API size_t fl_stream_written(const fl_stream *s);

/*
 * Ends the writing side: the peer reads the bytes that were written, then the end. Reads still
 * work.
 *
 * The call never waits. The call may be repeated.
 *
 * Returns:
 *   0         the writing side is ended
 *   -EBUSY    a fiber writes
 *   -EPIPE    the connection is gone already
 *   -ENOTSUP  the stream is a terminal, a device or a FIFO that is open for reading, too
 *   -EBADF    the stream is a pipe, a terminal or a device that is open only for reading
 *   other     one of the errors that every stream may return: see "Results" in fairlead/stream.h
 */
FL_API FL_MUST_CHECK int fl_stream_close_write(fl_stream *s);

/*
 * Returns the descriptor of the stream, which the stream still owns; or -1 if
 * fl_stream_close_write() has closed a pipe.
 *
 * The descriptor is blocking, unless fl_stream_from_fd() got a non-blocking descriptor, or has made
 * its descriptor non-blocking (the comment of fl_stream_from_fd() says when). After this call
 * fl_stream_free() closes the descriptor at once.
 */
FL_API int fl_stream_fd(fl_stream *s);

/*
 * Stores the peer's address in `*a`. It never waits.
 *
 * `size` of the address is 0 if the peer is an unnamed Unix socket, or the stream is no socket.
 *
 * Returns:
 *   0          the address was stored
 *   -ENOTCONN  the connection is gone
 */
FL_API FL_MUST_CHECK int fl_stream_peer_address(const fl_stream *s, fl_address *a);

/*
 * Stores the stream's own address in `*a`, and returns 0. It never waits.
 *
 * `size` of the address is 0 if the stream is an unnamed Unix socket, or no socket.
 */
FL_API FL_MUST_CHECK int fl_stream_local_address(const fl_stream *s, fl_address *a);

/* What fl_stream_peer_credentials() stores about the process at the other side of a Unix socket. */
typedef struct fl_peer_credentials {
	/*
	 * 0 if the process is not in this PID namespace. Do not use it to check rights, since
	 * another process may have got the number.
	 */
	pid_t pid;
	uid_t uid; /* the effective user */
	gid_t gid; /* the effective group */
} fl_peer_credentials;

/*
 * Stores the credentials of the process that made the other side of a Unix socket. It never waits.
 *
 * The credentials are those that the process had when it called connect(), listen() or
 * socketpair().
 *
 * Returns:
 *   0         the credentials were stored
 *   -ENOTSUP  the stream is no Unix socket
 */
FL_API FL_MUST_CHECK int fl_stream_peer_credentials(const fl_stream *s, fl_peer_credentials *peer);

/*
 * Makes a pidfd of the process that fl_stream_peer_credentials() names.
 *
 * The pidfd becomes readable once the process has ended: wait by fl_fd_wait(). It is close-on-exec,
 * and the caller closes it. The call never waits.
 *
 * Returns:
 *   >= 0              the descriptor
 *   -ENOTSUP          the stream is no Unix socket, or the system is older than Linux 6.5
 *   -ESRCH            the process has ended and was reaped, on a system before Linux 6.16
 *   -EMFILE, -ENFILE  the process, or the system, has too many descriptors
 */
FL_API FL_MUST_CHECK int fl_stream_peer_pidfd(const fl_stream *s);

FL__SCOPED(fl_stream, fl_stream_free)

FL_END_DECLS

#endif
