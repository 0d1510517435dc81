/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "../loop.h"
#include "fd/unix_file.h"

/*
 * A descriptor that fibers of one loop read and write, one at a time in each direction. It is
 * registered once, edge-triggered; the first wait for FL__IO_OUT adds EPOLLOUT.
 *
 *     for (;;) {
 *             n = recv(io->fd, ...);                          // never waits
 *             if (n != -EAGAIN)
 *                     break;
 *             fl__io_drained(io, FL__IO_IN);
 *             rc = fl__io_wait(io, FL__IO_IN, deadline, cancel);
 *     }
 *
 * `ready` has an element for each direction. If it is false and an attempt would succeed, the
 * poller still has an edge to report. So a fiber that waits until `ready` is true misses nothing.
 * `ready` begins as true, and each edge sets it. -EAGAIN clears it. A short read of TCP also clears
 * it, since later bytes make an edge of their own (epoll(7)). `over` marks the cases where a short
 * read must not clear `ready`: an end or an error, which may come with the last bytes in one edge;
 * and urgent data, where a read stops early.
 *
 * Registering a descriptor only once saves system calls, and so does keeping its state (ready,
 * drained, at its end) in user space. If a TCP stream returned less than was asked for, it is
 * drained, so the next read waits without an attempt. An echo server makes as many system calls as
 * one that is written by hand: one to read, one to write, and its share of one wait. Other
 * libraries that bring their own descriptors get the level-triggered watches that they expect.
 *
 * O_NONBLOCK belongs to the open file description, which is shared by all processes that inherit a
 * descriptor. So the library does not set it on anything that a process can inherit, except a
 * device, or a terminal that cannot be opened again. For the same reason the descriptors 0, 1 and 2
 * do not become close-on-exec (docs/decisions/nonblocking-descriptors.md).
 */
enum { FL__IO_IN, FL__IO_OUT };

struct fl__io {
	struct fl__poller_source source;
	fl_loop *loop;
	struct fl__node *waiting[2]; /* an element for each direction; NULL for no waiter */
	int fd;                      /* -1 when it is closed */
	unsigned eager;              /* calls or datagrams since a fiber last waited here */
	bool ready[2];
	bool over;    /* an end, an error, or urgent data of the peer */
	bool outward; /* a fiber has waited for FL__IO_OUT */
};

/*
 * Makes an object of `size` bytes, zeroed except its first member, the struct fl__io of `fd`.
 * Returns 0, -ENOMEM, or the error of epoll_ctl(). After an error the caller still owns `fd`.
 */
FL_MUST_CHECK int fl__io_new(void **object, size_t size, fl_loop *l, int fd);

/*
 * Ends the registration, and wakes the waiters. Returns the descriptor, which the caller closes.
 */
int fl__io_close(struct fl__io *io);

/* Does the work of fl__io_close(), removes the file of the socket, and closes the descriptor. */
void fl__io_close_bound(struct fl__io *io, struct fl__unix_file *file);

/*
 * Returns 0 if the calling context may call a function of the object and, if `waits` is true, may
 * wait in it. Otherwise returns -EINVAL.
 */
int fl__io_check(const struct fl__io *io, bool waits);

/* Lets other fibers run after `most` calls without a wait. */
void fl__io_give_way(struct fl__io *io, unsigned most);

/* Notes that attempts in both directions may succeed, and wakes the waiters. */
void fl__io_set_ready(struct fl__io *io);

void fl__io_drained(struct fl__io *io, int direction); /* called after -EAGAIN */
void fl__io_partly_drained(struct fl__io *io);         /* called after a short read of TCP */

/*
 * Waits until an attempt may succeed. One fiber of the loop may wait in each direction. Returns 0,
 * -ETIMEDOUT, -ECANCELED or -ENOMEM.
 */
int fl__io_wait(struct fl__io *io, int direction, fl_time deadline, fl_cancel_token *cancel);
