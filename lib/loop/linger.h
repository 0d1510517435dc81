/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "loop.h"

/*
 * The lingering close. The loop closes the socket at the peer's end, at an error, or after
 * fl__linger_time. It closes the socket earlier if more than FL__LINGER_MOST sockets would linger,
 * or if the loop ends. The sockets that linger are in the order of their deadlines.
 *
 * Why the free of a stream lingers. A TCP socket that is closed with unread input resets the
 * connection, and the kernel drops what the peer has not acknowledged. So the free ends the
 * writing, and the loop drops the input until the peer's end, for 5 s at most. Where all is read
 * and acknowledged, that costs a recv() and an ioctl(). The sockets that linger belong to the loop,
 * and run no fiber that a group would join or a debugger show. They do not hold up the end of the
 * loop, since a program that has ended its work does not wait for a peer. A stream whose descriptor
 * was asked for does not linger: a shutdown, and the drop of input, would reach the process that
 * has the descriptor, too.
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
 * Closes `fd`, a connected TCP socket of this process alone, which lingers if input is unread or
 * written bytes are not acknowledged, unless there is no memory for that.
 */
void fl__linger_close(fl_loop *l, int fd);

int64_t fl__linger_deadline(const fl_loop *l); /* returns FL__NEVER if no socket lingers */
void fl__linger_check(fl_loop *l);

/* Closes all sockets. */
void fl__linger_end_all(fl_loop *l);
