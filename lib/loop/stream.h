/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_LOOP_STREAM_H
#define FL_LOOP_STREAM_H

#include "io.h"
#include <fairlead/stream.h>
#include <sys/socket.h>
#include <sys/types.h>

/*
 * A stream is a descriptor of its loop (io.h), and bytes that were received and that nobody has read yet. Those are in a buffer
 * that it has only while there are any, or while it receives; one that is not needed is kept by the loop, for the next who needs
 * one: so a line that comes alone costs no allocation, and a stream that is idle no memory.
 */
struct fl__stream_buffer {
	size_t room;
	char bytes[];
};

struct fl_stream {
	struct fl__io io;
	struct fl__stream_buffer *buffer; /* NULL: no bytes */
	size_t from, to;                  /* of its bytes: those that were not read */
	size_t written, got;              /* fl_stream_written(), fl_stream_got() */
	int failed;                       /* what the system has said of the connection, for good; 0: nothing */
	unsigned char eager;              /* attempts, and reads of what is buffered, since a fiber last waited here */
	bool busy[2];                     /* by direction: a fiber is in a call */
	bool short_is_all;                /* a read that gives less than was asked for has left nothing */
	bool ended;                       /* the end was read */
	bool finished;                    /* fl_stream_end() */
	bool aborted;
};

/*
 * A stream of `fd`, which is connected, or soon will be, does not block, and belongs to it from now on. By the thread of `l`. 0,
 * or as fl_stream_from_fd(): -EEXIST, -ENOMEM, -ENOSPC; then `fd` is still the caller's. `protocol`: SO_PROTOCOL's.
 */
int fl__stream_create(fl_stream **s, fl_loop *l, int fd, int protocol);

/* TCP_NODELAY, where it is TCP; who accepts inherits it of the listener. */
void fl__stream_without_delay(int fd);

/* The text of an address: 0, -ENOSPC. */
int fl__stream_address(const struct sockaddr *address, socklen_t length, char *name, size_t size);

/*
 * Whether a call in this direction may begin, which never waits, by any code on the loop's thread: 0; -EBUSY, -EINVAL, -EOWNERDEAD,
 * -ECONNABORTED. Forgets what the last one has told of itself.
 */
int fl__stream_look(fl_stream *s, int direction, size_t size);

/* The same for one that may wait, by a fiber; then nobody else's may begin, until leave. */
int fl__stream_enter(fl_stream *s, int direction, size_t size);

static inline void fl__stream_leave(fl_stream *s, int direction)
{
	s->busy[direction] = false;
}

/*
 * By whoever has entered: waits until an attempt may succeed: 0, -ETIMEDOUT, -ECANCELED, -ECONNABORTED, -ENOMEM. Lets others run
 * first when this stream has kept the thread for long.
 */
int fl__stream_wait(fl_stream *s, int direction, int64_t deadline, fl_cancel *cancel);

/* What an error of the system means for who reads or writes; remembered when it is for good. */
int fl__stream_fail(fl_stream *s, int error);

/* One attempt to receive: > 0; 0: the end; -EAGAIN; an error. */
ssize_t fl__stream_receive(fl_stream *s, void *buffer, size_t size);

/* stream_buffer.c */

static inline size_t fl__stream_buffered(const fl_stream *s)
{
	return s->to - s->from;
}

/* Makes room behind `to`: 0, -ENOMEM. Fewer than FL_STREAM_LIMIT bytes are buffered. */
int fl__stream_make_room(fl_stream *s);

/* Moves up to `size` bytes that were buffered to the reader: how many. */
size_t fl__stream_take(fl_stream *s, void *to, size_t size);

/* Puts bytes back, while none are buffered: 0, -ENOMEM. */
int fl__stream_put_back(fl_stream *s, const void *data, size_t size);

/* Gives the buffer away if it is empty. */
void fl__stream_release(fl_stream *s);

#endif
