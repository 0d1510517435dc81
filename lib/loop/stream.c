/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Streams: their life, and what reads and writes have in common. io.h keeps the readiness.
 *
 * A short read of TCP leaves nothing to read, so the next read waits without an attempt. Only
 * urgent data stop such a read early, and the poller reports them to io.c. A read of a Unix socket
 * also stops behind descriptors that came along (unix(7), SCM_RIGHTS), which no event reports.
 */
#include "stream.h"
#include "../base/panic.h"
#include "../base/sys.h"
#include "net_sys.h"
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

enum { EAGER = 64 }; /* attempts of some microseconds each, and reads of buffered bytes */

/* The checks of the stream itself. Resets the count of bytes. */
static int begin(fl_stream *s, int direction, size_t size)
{
	if (size > PTRDIFF_MAX)
		return -EINVAL;
	if (s->busy[direction])
		return -EBUSY;
	*(direction == FL__IO_IN ? &s->got : &s->written) = 0;
	return s->aborted ? -ECONNABORTED : 0;
}

int fl__stream_look(fl_stream *s, int direction, size_t size)
{
	if (fl__loop_is_forked(s->io.loop))
		return -EOWNERDEAD;
	return fl_loop_current() == s->io.loop ? begin(s, direction, size) : -EINVAL;
}

/* A fiber that always finds something at once lets other fibers run from time to time. */
static void give_way(fl_stream *s)
{
	if (++s->eager < EAGER)
		return;
	s->eager = 0;
	fl__fiber_yield();
}

int fl__stream_enter(fl_stream *s, int direction, size_t size)
{
	if (fl__loop_is_forked(s->io.loop))
		return -EOWNERDEAD;
	if (!fl__loop_self(s->io.loop))
		return -EINVAL;
	int rc = begin(s, direction, size);
	if (rc != 0)
		return rc;
	s->busy[direction] = true;
	if (direction == FL__IO_IN && fl__stream_buffered(s) > 0)
		give_way(s); /* the read may need no system call: one line of many */
	s->busy[direction] = !s->aborted;
	return s->aborted ? -ECONNABORTED : 0;
}

int fl__stream_wait(fl_stream *s, int direction, int64_t deadline, fl_cancel_token *cancel)
{
	int rc = 0;
	if (!fl__io_ready(&s->io, direction)) {
		s->eager = 0;
		rc = fl__io_wait(&s->io, direction, deadline, cancel);
	} else {
		give_way(s);
	}
	return rc == 0 && s->aborted ? -ECONNABORTED : rc;
}

int fl__stream_fail(fl_stream *s, int error)
{
	switch (error) {
	case -ENOMEM:
	case -ENOBUFS:
		return -ENOMEM;
	case -EFAULT:
		return error;
	case -EPIPE: /* ends writing alone, unless an earlier error is the reason */
		return s->failed ? s->failed : error;
	case -ETIMEDOUT: /* to the caller that is its own deadline */
		s->failed = -ECONNABORTED;
		break;
	default:
		s->failed = error;
	}
	return s->failed;
}

ssize_t fl__stream_receive(fl_stream *s, void *buffer, size_t size)
{
	ssize_t n;
	if (s->ended)
		return 0;
	do
		n = fl__net_sys.recv(s->io.fd, buffer, size);
	while (n == -EINTR);
	if (n > 0) {
		if ((size_t)n < size && s->short_is_all)
			fl__io_partly_drained(&s->io);
		return n;
	}
	if (n == -EAGAIN)
		fl__io_drained(&s->io, FL__IO_IN);
	else if (n < 0)
		n = fl__stream_fail(s, (int)n);
	else if (s->failed)
		n = s->failed; /* the system reports an error once, and then an end */
	else
		s->ended = true;
	return n;
}

/* Life. */

int fl__stream_create(fl_stream **made, fl_loop *l, int fd, int protocol)
{
	if (fl__loop_is_forked(l))
		return -EOWNERDEAD;
	fl_stream *s = fl__alloc(1, sizeof *s);
	if (!s)
		return -ENOMEM;
	int rc = fl__io_open(&s->io, l, fd);
	if (rc != 0) {
		fl__free(s);
		return rc;
	}
	s->short_is_all = protocol == IPPROTO_TCP;
	*made = s;
	return 0;
}

/* Frees the stream, and leaves the descriptor open. */
static void destroy(fl_stream *s)
{
	if (!fl__loop_is_forked(s->io.loop))
		fl__io_close(&s->io, "fl_stream_free");
	s->from = s->to;
	fl__stream_release(s);
	fl__free(s);
}

void fl_stream_free(fl_stream *s)
{
	if (!s)
		return;
	if ((s->busy[FL__IO_IN] || s->busy[FL__IO_OUT]) && !fl__loop_is_forked(s->io.loop))
		fl__panic("fl_stream_free", s, "a fiber reads or writes it");
	int fd = s->io.fd;
	destroy(s);
	fl__net_sys.close(fd);
}

void fl__stream_without_delay(int fd)
{
	(void)fl__net_sys.set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1); /* fails unless it is TCP */
}

/* Checks that `fd` is a connected stream socket, and stores its protocol. */
static int look_at(int fd, int *protocol)
{
	struct sockaddr_storage address;
	socklen_t size = sizeof address;
	int type;
	int rc = fl__net_sys.get_option(fd, SOL_SOCKET, SO_TYPE, &type);
	if (rc == 0 && type != SOCK_STREAM)
		rc = -EINVAL;
	if (rc == 0)
		rc = fl__net_sys.get_option(fd, SOL_SOCKET, SO_PROTOCOL, protocol);
	if (rc == 0)
		rc = fl__net_sys.peer(fd, (struct sockaddr *)&address, &size);
	return rc;
}

int fl_stream_from_fd(fl_stream **made, int fd)
{
	fl_loop *l = fl_loop_current();
	fl_stream *s;
	int protocol;
	if (!l)
		return fl__loop_needed("fl_stream_from_fd", FL__A_LOOP);
	int rc = look_at(fd, &protocol);
	if (rc == 0)
		rc = fl__stream_create(&s, l, fd, protocol);
	if (rc != 0)
		return rc;
	rc = fl__net_sys.adopt(fd);
	if (rc != 0) {
		destroy(s);
		return rc;
	}
	if (protocol == IPPROTO_TCP)
		fl__stream_without_delay(fd);
	*made = s;
	return 0;
}

int fl_stream_pair(fl_stream *ends[2])
{
	fl_loop *l = fl_loop_current();
	fl_stream *a;
	int sockets[2];
	if (!l)
		return fl__loop_needed("fl_stream_pair", FL__A_LOOP);
	int rc = fl__net_sys.pair(sockets);
	if (rc != 0)
		return rc == -ENOBUFS ? -ENOMEM : rc;
	rc = fl__stream_create(&a, l, sockets[0], 0);
	if (rc == 0) {
		rc = fl__stream_create(&ends[1], l, sockets[1], 0);
		if (rc != 0)
			destroy(a);
	}
	if (rc != 0) {
		fl__net_sys.close(sockets[0]);
		fl__net_sys.close(sockets[1]);
		return rc;
	}
	ends[0] = a;
	return 0;
}

/* The events of the shutdown wake the waiters. */
void fl_stream_abort(fl_stream *s)
{
	if (fl__loop_is_forked(s->io.loop))
		return;
	s->aborted = true;
	/* fails if the connection is gone, which was an event, too */
	(void)fl__net_sys.shutdown(s->io.fd, SHUT_RDWR);
}

int fl_stream_close_write(fl_stream *s)
{
	size_t written = s->written;
	int rc = fl__stream_look(s, FL__IO_OUT, 0);
	if (rc != 0)
		return rc;
	s->written = written; /* this call is no write */
	if (!s->finished)
		rc = fl__net_sys.shutdown(s->io.fd, SHUT_WR);
	if (rc != 0)
		return s->failed ? s->failed : -EPIPE;
	s->finished = true;
	return 0;
}

int fl_stream_fd(const fl_stream *s)
{
	return s->io.fd;
}
