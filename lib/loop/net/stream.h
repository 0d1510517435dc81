/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "fd_io.h"
#include <fairlead/stream.h>
#include <sys/socket.h>
#include <sys/types.h>

/*
 * A buffer exists only while there are received bytes, or the stream receives. The loop keeps one
 * for the next stream.
 */
struct fl__stream_buffer {
	size_t size;
	char bytes[];
};

struct fl_stream {
	struct fl__io io;
	struct fl__stream_buffer *buffer; /* NULL: no bytes */
	size_t from, to;                  /* bytes[from, to) are not read yet */
	size_t written, got;              /* fl_stream_written(), fl_stream_got() */
	int own;                          /* to read and write: io.fd, or another */
	int failed;                       /* permanent; 0: none */
	bool busy[2];                     /* by direction: a fiber is in a call */
	bool is_socket;
	bool reads, writes; /* it is open in that direction */
	bool is_master;     /* of a terminal: -EIO is the end */
	bool is_tcp;
	bool ended;    /* a read has found the end */
	bool finished; /* fl_stream_close_write() */
	bool aborted;
	bool wrote;    /* a write has written a byte */
	bool fd_given; /* by fl_stream_fd(), perhaps to other processes */
};

/*
 * Called by the thread of `l`. `fd`: a socket that is or soon will be connected, or no socket.
 * `protocol`: the value of SO_PROTOCOL; -1: no socket. Returns 0; or -EEXIST, -ENOMEM, -ENOSPC,
 * and the caller still owns `fd`.
 */
int fl__stream_create(fl_stream **s, fl_loop *l, int fd, int protocol);

/* Sets TCP_NODELAY if `fd` is a TCP socket. An accepted socket inherits it. */
void fl__stream_without_delay(int fd);

bool fl__stream_is_unix(const fl_stream *s);

static inline size_t fl__stream_buffered(const fl_stream *s)
{
	return s->to - s->from;
}
