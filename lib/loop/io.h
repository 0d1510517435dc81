/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_LOOP_IO_H
#define FL_LOOP_IO_H

#include "loop.h"

/*
 * A descriptor that fibers of one loop read and write, each direction by one at a time. It is registered once, edge-triggered: so
 * what is known of it is kept here, and a wait makes no system call but the loop's own.
 *
 *     for (;;) {
 *             n = recv(io->fd, ...);                          // without waiting
 *             if (n != -EAGAIN)
 *                     break;
 *             fl__io_drained(io, FL__IO_IN);
 *             rc = fl__io_wait(io, FL__IO_IN, deadline, cancel);
 *     }
 *
 * `ready`: what an attempt may succeed with; it may be wrong in that direction alone. Set at first, and by each edge; cleared by
 * whoever has found the descriptor drained, that is by -EAGAIN. A stream that gave less than was asked for is drained, too: what
 * comes later is an edge of its own (epoll(7)). Except at its end, which may come with the last bytes, in one edge, and at urgent
 * data, where a read stops early: `over`.
 */
enum { FL__IO_IN, FL__IO_OUT };

struct fl__io {
	struct fl__source source;
	fl_loop *loop;
	struct fl__node *waiting[2]; /* by direction; NULL: nobody */
	int fd;
	bool ready[2];
	bool over;    /* the other side has ended, or failed, or sent urgent data */
	bool outward; /* the poller tells when there is room: since the first time that somebody waited for it */
};

/* Registers `fd`, which does not block, with `l`: 0, or the error of epoll_ctl(). Closing it is left to the caller. */
int fl__io_open(struct fl__io *io, fl_loop *l, int fd);

/* Nobody waits for it: else a panic in the name of `function`. */
void fl__io_close(struct fl__io *io, const char *function);

void fl__io_drained(struct fl__io *io, int direction); /* after -EAGAIN */
void fl__io_partly_drained(struct fl__io *io);         /* after a read of a stream that gave less than was asked for */

/* Whether an attempt may succeed now. */
static inline bool fl__io_ready(const struct fl__io *io, int direction)
{
	return io->ready[direction];
}

/*
 * By a fiber of the loop: waits until an attempt may succeed. 0, -ETIMEDOUT, -ECANCELED; -EBUSY: another waits in that direction;
 * -EINVAL: not a fiber of its loop; -ENOMEM.
 */
int fl__io_wait(struct fl__io *io, int direction, int64_t deadline, fl_cancel *cancel);

#endif
