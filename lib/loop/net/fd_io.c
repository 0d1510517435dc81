/* SPDX-License-Identifier: BSD-2-Clause */
#include "fd_io.h"
#include "core/base/panic.h"
#include <errno.h>

#define FD_IO_IN_EVENTS (EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLET)

static void fd_io_set_ready(struct fl__io *io, int direction)
{
	struct fl__node *node = io->waiting[direction];
	io->ready[direction] = true;
	if (!node)
		return;
	io->waiting[direction] = NULL;
	(void)fl__node_wake(node); /* valid: a waiter that gives up clears `waiting` */
}

static void fd_io_on_events(void *source, uint32_t events)
{
	struct fl__io *io = source;
	const uint32_t end = EPOLLERR | EPOLLHUP;
	if (events & (end | EPOLLRDHUP | EPOLLPRI))
		io->over = true;
	if (events & (EPOLLIN | EPOLLRDHUP | EPOLLPRI | end))
		fd_io_set_ready(io, FL__IO_IN);
	if (events & (EPOLLOUT | end))
		fd_io_set_ready(io, FL__IO_OUT);
}

int fl__io_open(struct fl__io *io, fl_loop *l, int fd)
{
	*io = (struct fl__io){.source.fire = fd_io_on_events, .loop = l, .fd = fd, .ready = {true, true}};
	return fl__loop_add(l, fd, FD_IO_IN_EVENTS, &io->source);
}

void fl__io_close(struct fl__io *io, const char *function)
{
	if (io->waiting[FL__IO_IN] || io->waiting[FL__IO_OUT])
		fl__panic(function, io, "a fiber waits for it");
	fl__loop_remove(io->loop, io->fd, &io->source);
}

void fl__io_set_ready(struct fl__io *io)
{
	fd_io_set_ready(io, FL__IO_IN);
	fd_io_set_ready(io, FL__IO_OUT);
}

void fl__io_drained(struct fl__io *io, int direction)
{
	io->ready[direction] = false;
	if (direction == FL__IO_IN)
		io->over = false; /* -EAGAIN: neither an end nor an error is pending */
}

void fl__io_partly_drained(struct fl__io *io)
{
	io->ready[FL__IO_IN] = io->over;
}

/* Makes the poller report FL__IO_OUT, too. */
static int fd_io_watch_out(struct fl__io *io)
{
	if (io->outward)
		return 0;
	int rc = fl__loop_modify(io->loop, io->fd, FD_IO_IN_EVENTS | EPOLLOUT, &io->source);
	io->outward = rc == 0;
	return rc;
}

int fl__io_wait(struct fl__io *io, int direction, int64_t deadline, fl_cancel_token *cancel)
{
	struct fl__wait wait;
	struct fl__node node = FL__NODE(&wait);
	if (io->ready[direction])
		return 0;
	if (io->waiting[direction])
		return -EBUSY;
	if (fl__loop_is_forked(io->loop) || !fl__loop_self(io->loop))
		return -EINVAL;
	int rc = direction == FL__IO_OUT ? fd_io_watch_out(io) : 0;
	if (rc != 0)
		return rc;
	fl__wait_begin(&wait, FL__DEBUG_DESCRIPTOR, (void *)(uintptr_t)io->fd);
	io->waiting[direction] = &node;
	rc = fl__wait_sleep(&wait, deadline, cancel);
	if (rc != 0 && io->waiting[direction] == &node)
		io->waiting[direction] = NULL;
	return rc;
}
