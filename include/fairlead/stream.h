/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_STREAM_H
#define FAIRLEAD_STREAM_H

#include <fairlead/cancel.h>
#include <fairlead/defs.h>
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
 * A stream belongs to the loop on which it was made: its functions are for the fibers of that loop, those that never wait for
 * its callbacks, too; and it is freed before its loop. One fiber reads and one writes at a time. Reads that look for something
 * keep what came behind it in the stream, up to FL_STREAM_LIMIT, in memory that is there only while there are such bytes.
 *
 * A read that failed, timed out or was cancelled has taken nothing: the next one gets what had come, and only then the error.
 * A write that did so may have written a part: fl_stream_written(). Errors that any function but try_, free and the names may
 * answer, beside its own:
 *
 *   -ECANCELED, -ETIMEDOUT   as everywhere; -ETIMEDOUT of the _until form alone
 *   -EBUSY         another fiber is reading, or writing
 *   -ECONNRESET    the other side has broken the connection: what was written may be lost
 *   -ECONNABORTED  this side has: fl_stream_abort(), or the system, which gets no answers
 *   -EHOSTUNREACH, and what else the system says of the network
 *   -EINVAL        by no fiber of its loop; sizes above PTRDIFF_MAX
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

/* Breaks the connection, both ways: whoever reads or writes gets -ECONNABORTED, now and later. Never waits. */
FL_API void fl_stream_abort(fl_stream *s);

/*
 * Reads what there is, up to `size` bytes, at least one: how many; 0: the end. Blocks the calling fiber while there is
 * nothing. Also -EINVAL: `size` is 0.
 */
FL_API FL_MUST_CHECK ssize_t fl_stream_read(fl_stream *s, void *buffer, size_t size);
FL_API FL_MUST_CHECK ssize_t fl_stream_read_until(fl_stream *s, void *buffer, size_t size, int64_t deadline,
                                                  fl_cancel *cancel);

/* As fl_stream_read, but -EAGAIN when there is nothing. Never waits. */
FL_API FL_MUST_CHECK ssize_t fl_stream_try_read(fl_stream *s, void *buffer, size_t size);

/*
 * Reads `size` bytes; fewer: there the end came. Blocks the calling fiber meanwhile. Also -ENOMEM: fl_stream_got().
 */
FL_API FL_MUST_CHECK ssize_t fl_stream_read_exactly(fl_stream *s, void *buffer, size_t size);
FL_API FL_MUST_CHECK ssize_t fl_stream_read_exactly_until(fl_stream *s, void *buffer, size_t size, int64_t deadline,
                                                          fl_cancel *cancel);

/*
 * Reads up to and including the first `delimiter`, of `delimiter_size` bytes: how many; at the end of the stream what is left,
 * which then does not end in a delimiter; 0: nothing. Blocks the calling fiber meanwhile. Also -EMSGSIZE: no delimiter in the
 * next `size` bytes, or FL_STREAM_LIMIT, which stay for another read; -EINVAL: `size` or `delimiter_size` is 0; -ENOMEM.
 */
FL_API FL_MUST_CHECK ssize_t fl_stream_read_to(fl_stream *s, void *buffer, size_t size, const void *delimiter,
                                               size_t delimiter_size);
FL_API FL_MUST_CHECK ssize_t fl_stream_read_to_until(fl_stream *s, void *buffer, size_t size, const void *delimiter,
                                                     size_t delimiter_size, int64_t deadline, fl_cancel *cancel);

/*
 * Reads a line with its newline, as fl_stream_read_to, and puts a NUL behind it, which counts for `size` alone; at the end of
 * the stream, too. -EINVAL: `size` is below 2. Also -EMSGSIZE, -ENOMEM.
 */
FL_API FL_MUST_CHECK ssize_t fl_stream_read_line(fl_stream *s, char *line, size_t size);
FL_API FL_MUST_CHECK ssize_t fl_stream_read_line_until(fl_stream *s, char *line, size_t size, int64_t deadline,
                                                       fl_cancel *cancel);

/*
 * Bytes that a read_exactly() which returned -ENOMEM has left in its buffer, and which are in the stream no more: it was above
 * FL_STREAM_LIMIT, had to give up, and there was no memory to put them back. Go on behind them. 0 after any other read.
 */
FL_API size_t fl_stream_got(const fl_stream *s);

/*
 * Writes all. Blocks the calling fiber while the system has no room (back-pressure). 0: the system has it, which is not to say
 * that it arrived. Also -EPIPE: after fl_stream_end(), or the other side does not read any more; -ENOMEM (the system's).
 */
FL_API FL_MUST_CHECK int fl_stream_write(fl_stream *s, const void *data, size_t size);
FL_API FL_MUST_CHECK int fl_stream_write_until(fl_stream *s, const void *data, size_t size, int64_t deadline,
                                               fl_cancel *cancel);

/* As fl_stream_write, but what finds room: how many bytes; -EAGAIN: none. Never waits. */
FL_API FL_MUST_CHECK ssize_t fl_stream_try_write(fl_stream *s, const void *data, size_t size);

/* As fl_stream_write, of `n` parts one after the other. */
FL_API FL_MUST_CHECK int fl_stream_writev(fl_stream *s, const struct iovec *parts, size_t n);
FL_API FL_MUST_CHECK int fl_stream_writev_until(fl_stream *s, const struct iovec *parts, size_t n, int64_t deadline,
                                                fl_cancel *cancel);

/* Bytes that the last write has handed to the system, also when it failed. */
FL_API size_t fl_stream_written(const fl_stream *s);

/*
 * Ends the writing side: the other one reads what was written, then the end. Reading goes on. Again does nothing. Never waits.
 * Returns 0, -EBUSY, -EPIPE (the connection is gone already).
 */
FL_API FL_MUST_CHECK int fl_stream_end(fl_stream *s);

/* The descriptor of `s`, which keeps it: for getsockopt() and such. */
FL_API int fl_stream_fd(const fl_stream *s);

/*
 * The address of the other side, and of this one: "127.0.0.1:7000", "[::1]:7000", or a path; "@name" for an abstract one, "" for
 * none. FL_STREAM_NAME_SIZE bytes suffice. Never waits. Returns 0; -ENOTCONN: the connection is gone; -ENOSPC: `size` is short.
 */
FL_API FL_MUST_CHECK int fl_stream_peer_name(const fl_stream *s, char *name, size_t size);
FL_API FL_MUST_CHECK int fl_stream_name(const fl_stream *s, char *name, size_t size);

static inline void fl__scoped_fl_stream(fl_stream **s)
{
	fl_stream_free(*s);
}

FL_END_DECLS

#endif
