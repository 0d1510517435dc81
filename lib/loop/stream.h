/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_LOOP_STREAM_H
#define FL_LOOP_STREAM_H

#include "fd_io.h"
#include <fairlead/stream.h>
#include <sys/socket.h>
#include <sys/types.h>

/*
 * A stream is a descriptor of its loop (io.h), and the bytes that were received and not read yet.
 * The bytes are in a buffer, which the stream has only while there are any, or while it receives.
 * The loop keeps one unused buffer for the next stream that needs one. So a line that comes alone
 * costs no allocation, and an idle stream no memory.
 */
struct fl__stream_buffer {
	size_t room;
	char bytes[];
};

struct fl_stream {
	struct fl__io io;
	struct fl__stream_buffer *buffer; /* NULL: no bytes */
	size_t from, to;                  /* bytes[from, to) of the buffer were not read yet */
	size_t written, got;              /* fl_stream_written(), fl_stream_got() */
	int failed;                       /* the permanent error of the connection; 0: none */
	unsigned char eager;              /* attempts, and buffered reads, since the last wait */
	bool busy[2];                     /* by direction: a fiber is in a call */
	bool short_is_all;                /* a short read leaves nothing to read */
	bool ended;                       /* a read has found the end */
	bool finished;                    /* fl_stream_close_write() */
	bool aborted;
};

/*
 * Makes a stream that owns `fd`, which is connected, or soon will be, and does not block. By the
 * thread of `l`. `protocol`: SO_PROTOCOL's. Returns 0, or as fl_stream_from_fd(): -EEXIST, -ENOMEM,
 * -ENOSPC; then the caller still owns `fd`.
 */
int fl__stream_create(fl_stream **s, fl_loop *l, int fd, int protocol);

/* Sets TCP_NODELAY, if `fd` is a TCP socket. An accepted socket inherits it from the listener. */
void fl__stream_without_delay(int fd);

/* Stores the text of an address: 0, -ENOSPC. */
int fl__stream_address(const struct sockaddr *address, socklen_t length, char *name, size_t size);

/*
 * Whether a call that never waits may begin in this direction. By any code on the loop's thread.
 * Returns 0, -EBUSY, -EINVAL, -EOWNERDEAD, -ECONNABORTED. Forgets what the last call has told of
 * itself (fl_stream_written(), fl_stream_got()).
 */
int fl__stream_look(fl_stream *s, int direction, size_t size);

/* The same for a call that may wait, by a fiber. After 0 no other call may begin until leave. */
int fl__stream_enter(fl_stream *s, int direction, size_t size);

static inline void fl__stream_leave(fl_stream *s, int direction)
{
	s->busy[direction] = false;
}

/*
 * After enter: waits until an attempt may succeed. Returns 0, -ETIMEDOUT, -ECANCELED,
 * -ECONNABORTED, -ENOMEM. Lets other fibers run first when this stream has kept the thread for
 * long.
 */
int fl__stream_wait(fl_stream *s, int direction, int64_t deadline, fl_cancel_token *cancel);

/* What an error of the system means for a call; the stream remembers a permanent one. */
int fl__stream_fail(fl_stream *s, int error);

/* One attempt to receive. Returns the number of bytes; 0: the end; -EAGAIN; an error. */
ssize_t fl__stream_receive(fl_stream *s, void *buffer, size_t size);

/* stream_buffer.c */

static inline size_t fl__stream_buffered(const fl_stream *s)
{
	return s->to - s->from;
}

/* Makes room behind `to`: 0, -ENOMEM. Fewer than FL_STREAM_LIMIT bytes are buffered. */
int fl__stream_make_room(fl_stream *s);

/* Moves up to `size` buffered bytes to the reader. Returns how many. */
size_t fl__stream_take(fl_stream *s, void *to, size_t size);

/* Puts bytes back, while none are buffered: 0, -ENOMEM. */
int fl__stream_put_back(fl_stream *s, const void *data, size_t size);

/* Gives up the buffer if it is empty. */
void fl__stream_release(fl_stream *s);

#endif
