/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "loop.h"

/*
 * The lingering close. The loop closes the socket at the peer's end, at an error, or after
 * fl__linger_time. It closes a socket earlier if more than FL__LINGER_MOST sockets would linger, or
 * if the loop ends. The lingering sockets are listed in the order of their deadlines.
 *
 * Why fl_stream_free() lingers. If a TCP socket is closed with unread input, it resets the
 * connection, and the kernel drops what the peer has not acknowledged. So fl_stream_free() ends the
 * writing, and the loop drops the input until the peer closes, for 5 s at most. If everything is
 * read and acknowledged, the check costs only a recv() and an ioctl(). A lingering socket belongs
 * to the loop, and needs no fiber that a group would join or a debugger would show. It does not
 * hold up the end of the loop, since a program that has ended its work does not wait for a peer. A
 * stream whose descriptor was asked for does not linger, because the shutdown and the dropping of
 * input would also affect a process that has the descriptor.
 */
struct fl__linger {
	struct fl__poller_source source;
	fl_loop *loop;
	struct fl__linger *next, *prev;
	fl_time deadline;
	int fd;
};

/* The loop closes the oldest socket when more than this number would linger. */
enum { FL__LINGER_MOST = 256 };

extern int64_t fl__linger_time; /* ns; tests change it */

/*
 * Closes `fd`, a connected TCP socket that only this process has. The socket lingers if input is
 * unread or written bytes are not acknowledged, unless there is no memory for lingering.
 */
void fl__linger_close(fl_loop *l, int fd);

int64_t fl__linger_deadline(const fl_loop *l); /* returns FL__NEVER if no socket lingers */
void fl__linger_check(fl_loop *l);

/* Closes all sockets. */
void fl__linger_end_all(fl_loop *l);
