/* SPDX-License-Identifier: BSD-2-Clause */
/* Waits for a descriptor, whose readiness is tracked in user space (fd_io.h). */
#include "fd_io.h"
#include "fd/net_sys.h"
#include <errno.h>

#define FD_IO_IN_EVENTS (EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLET)

static void fd_io_set_ready(struct fl__io *io, int direction)
{
	io->ready[direction] = true;
	fl__loop_wake(io->waiting[direction]);
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

int fl__io_new(void **object, size_t size, fl_loop *l, int fd)
{
	struct fl__io *io = fl__alloc(1, size);
	if (!io)
		return -ENOMEM;
	*io = (struct fl__io){.source.fire = fd_io_on_events, .loop = l, .fd = fd, .ready = {true, true}};
	const int rc = fl__loop_add(l, fd, FD_IO_IN_EVENTS, &io->source);
	if (rc == 0)
		*object = io;
	else
		fl__free(io);
	return rc;
}

void fl__io_set_ready(struct fl__io *io)
{
	fd_io_set_ready(io, FL__IO_IN);
	fd_io_set_ready(io, FL__IO_OUT);
}

int fl__io_close(struct fl__io *io)
{
	const int fd = io->fd;
	fl__io_set_ready(io);
	fl__loop_remove(io->loop, fd, &io->source);
	io->fd = -1;
	return fd;
}

void fl__io_close_bound(struct fl__io *io, struct fl__unix_file *file)
{
	const int fd = fl__io_close(io);
	fl__unix_file_remove(file);
	fl__fd_close(fd);
}

int fl__io_check(const struct fl__io *io, bool waits)
{
	return (waits ? fl__loop_self(io->loop) != NULL : fl_loop_current() == io->loop) ? 0 : -EINVAL;
}

void fl__io_give_way(struct fl__io *io, unsigned most)
{
	if (io->eager < most)
		return;
	io->eager = 0;
	fl__fiber_yield();
}

void fl__io_drained(struct fl__io *io, int direction)
{
	io->ready[direction] = false;
	if (direction == FL__IO_IN)
		io->over = false; /* -EAGAIN says that neither an end nor an error is pending */
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

int fl__io_wait(struct fl__io *io, int direction, fl_time deadline, fl_cancel_token *cancel)
{
	if (io->ready[direction])
		return 0;
	io->eager = 0;
	int rc = direction == FL__IO_OUT ? fd_io_watch_out(io) : 0;
	if (rc != 0)
		return rc;
	return fl__loop_await(&io->waiting[direction], FL__DEBUG_DESCRIPTOR, (void *)(uintptr_t)io->fd, deadline,
	                      cancel);
}
