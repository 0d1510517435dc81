/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_STREAM_H
#define FAIRLEAD_STREAM_H

#include <errno.h>
#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/time.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

FL_BEGIN_DECLS

/*
 * Stream: a connected socket (TCP, Unix) that fibers read and write in straight lines. fairlead/net.h makes them.
 *
 *     FL_SCOPED(fl_stream) *s = arg;                          // closed when the scope ends
 *     char line[4096];
 *     ssize_t n;
 *     while ((n = fl_stream_read_line_until(s, line, sizeof line, fl_after(FL_S(30)), NULL)) > 0)
 *             rc = fl_stream_write(s, line, n);               // check
 *
 * A stream belongs to the loop on which it was made: its functions are for the fibers of that loop, and those that never wait
 * for its callbacks, too; it is freed before its loop. One fiber reads and one writes at a time. Reads that look for something
 * keep what came behind it in the stream, up to FL_STREAM_LIMIT, in memory that is there only while there are such bytes. A
 * stream that always finds something lets other fibers run from time to time.
 *
 * A read that failed, timed out or was cancelled has taken nothing: the next one gets what had come, and only then the error.
 * A write that did so may have written a part: fl_stream_written(). Besides what is said there, all that read, write or end
 * may return
 *
 *   -EBUSY         another fiber is reading, or writing
 *   -ECONNRESET    the other side has broken the connection: what was written may be lost. For good
 *   -ECONNABORTED  this side has, by fl_stream_abort(), or the system, which gets no answers. For good
 *   -EHOSTUNREACH, or what else the system says of the network. For good
 *   -EFAULT        a bad address
 *   -EINVAL        by no fiber of its loop; a size above PTRDIFF_MAX
 *   -EOWNERDEAD    in a forked child
 */
typedef struct fl_stream fl_stream;

#define FL_STREAM_LIMIT 65536u   /* bytes */
#define FL_STREAM_NAME_SIZE 128u /* bytes */

/*
 * Takes over `fd`, a connected stream socket, on the loop that the calling thread runs: it is made non-blocking and
 * close-on-exec, and sends without delay (TCP_NODELAY). On error it stays the caller's. Never waits.
 * Returns 0; -ENOTSUP when the thread runs no loop; -EBADF, -ENOTSOCK; -EINVAL: another kind of socket; -ENOTCONN; -EEXIST: the
 * loop watches it already; -ENOMEM; -ENOSPC (the user's limit of watched descriptors).
 */
FL_API FL_MUST_CHECK int fl_stream_from_fd(fl_stream **s, int fd);

/* Makes two streams that are connected with each other. Never waits. Returns 0, -ENOTSUP, -ENOMEM, -ENOSPC, -EMFILE, -ENFILE. */
FL_API FL_MUST_CHECK int fl_stream_pair(fl_stream *ends[2]);

/*
 * Closes and frees; the system goes on sending what was written. NULL does nothing. Panics while a fiber reads or writes.
 * Never waits. In a forked child it closes the child's descriptor alone.
 */
FL_API void fl_stream_free(fl_stream *s);

/*
 * Ends the connection at once, both ways: whoever reads or writes gets -ECONNABORTED, now and later. The other side reads what
 * was written, then the end. Never waits.
 */
FL_API void fl_stream_abort(fl_stream *s);

/*
 * Reads what there is, up to `size` bytes, at least one. Blocks the calling fiber while there is nothing. Observes its cancel
 * scope. Returns how many; 0: the end; -ECANCELED; -EINVAL: `size` is 0; -ENOMEM (the system's).
 */
FL_INLINE FL_MUST_CHECK ssize_t fl_stream_read(fl_stream *s, void *buffer, size_t size);

/* As fl_stream_read; also returns -ETIMEDOUT, and -ECANCELED for `cancel`. */
FL_API FL_MUST_CHECK ssize_t fl_stream_read_until(fl_stream *s, void *buffer, size_t size, int64_t deadline,
                                                  fl_cancel_token *cancel);

/* As fl_stream_read, but when there is nothing returns -EAGAIN. Never waits. */
FL_API FL_MUST_CHECK ssize_t fl_stream_try_read(fl_stream *s, void *buffer, size_t size);

/*
 * Reads `size` bytes. Blocks the calling fiber until they are there. Observes its cancel scope. Returns `size`; fewer: there the
 * end came; -ECANCELED; -ENOMEM: see fl_stream_got().
 */
FL_INLINE FL_MUST_CHECK ssize_t fl_stream_read_exactly(fl_stream *s, void *buffer, size_t size);

/* As fl_stream_read_exactly; also returns -ETIMEDOUT, and -ECANCELED for `cancel`. */
FL_API FL_MUST_CHECK ssize_t fl_stream_read_exactly_until(fl_stream *s, void *buffer, size_t size, int64_t deadline,
                                                          fl_cancel_token *cancel);

/*
 * Reads up to and including the first `delimiter`, of `delimiter_size` bytes; at the end of the stream what is left, which then
 * does not end in a delimiter. Blocks the calling fiber until it is there. Observes its cancel scope. Returns
 *   how many bytes; 0: the end
 *   -EMSGSIZE   no delimiter in the next `size` bytes, or in FL_STREAM_LIMIT. They stay, for another read
 *   -ECANCELED
 *   -EINVAL     `size` or `delimiter_size` is 0
 *   -ENOMEM
 */
FL_INLINE FL_MUST_CHECK ssize_t fl_stream_read_to(fl_stream *s, void *buffer, size_t size, const void *delimiter,
                                                  size_t delimiter_size);

/* As fl_stream_read_to; also returns -ETIMEDOUT, and -ECANCELED for `cancel`. */
FL_API FL_MUST_CHECK ssize_t fl_stream_read_to_until(fl_stream *s, void *buffer, size_t size, const void *delimiter,
                                                     size_t delimiter_size, int64_t deadline, fl_cancel_token *cancel);

/*
 * As fl_stream_read_to with a newline, and puts a NUL behind the line, also behind an empty one at the end; it is one of the
 * `size` bytes, and does not count in the result. -EINVAL: `size` is below 2.
 */
FL_INLINE FL_MUST_CHECK ssize_t fl_stream_read_line(fl_stream *s, char *line, size_t size);

/* As fl_stream_read_line; also returns -ETIMEDOUT, and -ECANCELED for `cancel`. */
FL_INLINE FL_MUST_CHECK ssize_t fl_stream_read_line_until(fl_stream *s, char *line, size_t size, int64_t deadline,
                                                          fl_cancel_token *cancel);

/*
 * For a read_exactly() of more than FL_STREAM_LIMIT that returned -ENOMEM: it had to give up, and had no memory to put back what
 * it had. So many bytes are in its buffer, and in the stream no more: go on behind them. 0 after any other read. Never waits.
 */
FL_API size_t fl_stream_got(const fl_stream *s);

/*
 * Writes all. Blocks the calling fiber while the system has no room (back-pressure). Observes its cancel scope. Returns
 *   0          the system has it, which is not to say that it arrived
 *   -EPIPE     after fl_stream_close_write(), or the other side does not read any more
 *   -ECANCELED
 *   -ENOMEM    (the system's)
 */
FL_INLINE FL_MUST_CHECK int fl_stream_write(fl_stream *s, const void *data, size_t size);

/* As fl_stream_write; also returns -ETIMEDOUT, and -ECANCELED for `cancel`. */
FL_API FL_MUST_CHECK int fl_stream_write_until(fl_stream *s, const void *data, size_t size, int64_t deadline,
                                               fl_cancel_token *cancel);

/* As fl_stream_write of what finds room: returns how many bytes; -EAGAIN: none; also -EPIPE. Never waits. */
FL_API FL_MUST_CHECK ssize_t fl_stream_try_write(fl_stream *s, const void *data, size_t size);

/* As fl_stream_write, of `n` parts one after the other. Returns 0, -EPIPE, -ECANCELED, -ENOMEM. */
FL_INLINE FL_MUST_CHECK int fl_stream_writev(fl_stream *s, const struct iovec *parts, size_t n);

/* As fl_stream_writev; also returns -ETIMEDOUT, and -ECANCELED for `cancel`. */
FL_API FL_MUST_CHECK int fl_stream_writev_until(fl_stream *s, const struct iovec *parts, size_t n, int64_t deadline,
                                                fl_cancel_token *cancel);

/* Bytes that the last write has handed to the system, also when it failed, or still goes on. Never waits. */
FL_API size_t fl_stream_written(const fl_stream *s);

/*
 * Ends the writing side: the other one reads what was written, then the end. Reading goes on. Again does nothing. Never waits.
 * Returns 0, -EBUSY, -EPIPE (the connection is gone already).
 */
FL_API FL_MUST_CHECK int fl_stream_close_write(fl_stream *s);

/* The descriptor of `s`, which keeps it: for getsockopt() and such. Never waits. */
FL_API int fl_stream_fd(const fl_stream *s);

/*
 * The address of the other side: "127.0.0.1:7000", "[::1]:7000", or a path; "@name" for an abstract one, "" for none.
 * FL_STREAM_NAME_SIZE bytes suffice. Never waits. Returns 0; -ENOTCONN: the connection is gone; -ENOSPC: `size` does not.
 */
FL_API FL_MUST_CHECK int fl_stream_peer_name(const fl_stream *s, char *name, size_t size);

/* The address of this side, likewise. Never waits. Returns 0, -ENOSPC. */
FL_API FL_MUST_CHECK int fl_stream_name(const fl_stream *s, char *name, size_t size);

static inline void fl__scoped_fl_stream(fl_stream **_s)
{
	fl_stream_free(*_s);
}

/* The inline functions. */

FL_INLINE ssize_t fl_stream_read(fl_stream *_s, void *_buffer, size_t _size)
{
	return fl_stream_read_until(_s, _buffer, _size, FL_FOREVER, NULL);
}

FL_INLINE ssize_t fl_stream_read_exactly(fl_stream *_s, void *_buffer, size_t _size)
{
	return fl_stream_read_exactly_until(_s, _buffer, _size, FL_FOREVER, NULL);
}

FL_INLINE ssize_t fl_stream_read_to(fl_stream *_s, void *_buffer, size_t _size, const void *_delimiter,
                                    size_t _delimiter_size)
{
	return fl_stream_read_to_until(_s, _buffer, _size, _delimiter, _delimiter_size, FL_FOREVER, NULL);
}

FL_INLINE ssize_t fl_stream_read_line(fl_stream *_s, char *_line, size_t _size)
{
	return fl_stream_read_line_until(_s, _line, _size, FL_FOREVER, NULL);
}

FL_INLINE ssize_t fl_stream_read_line_until(fl_stream *_s, char *_line, size_t _size, int64_t _deadline,
                                            fl_cancel_token *_cancel)
{
	ssize_t _n;
	if (_size < 2)
		return -EINVAL;
	_n = fl_stream_read_to_until(_s, _line, _size - 1, "\n", 1, _deadline, _cancel);
	if (_n >= 0)
		_line[_n] = '\0';
	return _n;
}

FL_INLINE int fl_stream_write(fl_stream *_s, const void *_data, size_t _size)
{
	return fl_stream_write_until(_s, _data, _size, FL_FOREVER, NULL);
}

FL_INLINE int fl_stream_writev(fl_stream *_s, const struct iovec *_parts, size_t _n)
{
	return fl_stream_writev_until(_s, _parts, _n, FL_FOREVER, NULL);
}

FL_END_DECLS

#endif
