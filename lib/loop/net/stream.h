/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "fd_io.h"
#include <fairlead/stream.h>
#include <sys/socket.h>
#include <sys/types.h>

/*
 * A stream has a buffer only while it holds received bytes or is receiving. The loop keeps one free
 * buffer for the next stream.
 */
struct fl__stream_buffer {
	size_t size;
	char bytes[];
};

struct fl_stream {
	struct fl__io io;
	struct fl__stream_buffer *buffer; /* NULL while there are no bytes */
	size_t from, to;                  /* bytes[from, to) are not read yet */
	size_t written, got;              /* what fl_stream_written() and fl_stream_got() return */
	int own;                          /* the descriptor to read and write: io.fd, or another */
	int failed;                       /* a permanent error, or 0 */
	bool busy[2];                     /* for each direction: a fiber is in a call */
	bool is_socket;
	bool reads, writes; /* the descriptor is open in that direction */
	bool is_master;     /* the master of a terminal, where -EIO is the end */
	bool is_tcp;
	bool ended;    /* a read has found the end */
	bool finished; /* set by fl_stream_close_write() */
	bool aborted;
	bool wrote;    /* a write has written a byte */
	bool fd_given; /* given out by fl_stream_fd(), perhaps to other processes */
};

/*
 * Makes a stream. Called by the thread of `l`. `fd` is either a socket that is or soon will be
 * connected, or not a socket. `protocol` is the value of SO_PROTOCOL, or -1 if `fd` is not a
 * socket. Returns 0,
 * -EEXIST, -EPERM, -ENOMEM or -ENOSPC. After an error the caller still owns `fd`.
 */
int fl__stream_create(fl_stream **s, fl_loop *l, int fd, int protocol);

/* Sets TCP_NODELAY if `fd` is a TCP socket. An accepted socket inherits it. */
void fl__stream_without_delay(int fd);

bool fl__stream_is_unix(const fl_stream *s);

static inline size_t fl__stream_buffered(const fl_stream *s)
{
	return s->to - s->from;
}
