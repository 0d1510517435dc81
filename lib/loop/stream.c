/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Streams: their life, and what reads and writes have in common. What is known of readiness is io.h's. A short read says that
 * there is no more, so that the next one waits without asking: in TCP, where it stops early at urgent data alone, which io.c
 * is told of. In Unix sockets it also stops behind descriptors that came along (unix(7), SCM_RIGHTS), which nobody tells.
 */
#include "stream.h"
#include "../base/panic.h"
#include "../base/sys.h"
#include "net_sys.h"
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

enum { EAGER = 64 }; /* attempts, each of some microseconds, and reads of what is buffered */

/* What is asked of the stream itself. */
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

/* What finds something at once lets the others run from time to time. */
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
		give_way(s); /* it may need nothing of the system: one line of many */
	s->busy[direction] = !s->aborted;
	return s->aborted ? -ECONNABORTED : 0;
}

int fl__stream_wait(fl_stream *s, int direction, int64_t deadline, fl_cancel *cancel)
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
	case -EPIPE: /* the end of writing alone, unless it stands for what was told before */
		return s->failed ? s->failed : error;
	case -ETIMEDOUT: /* means something else here */
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
		n = s->failed; /* the system tells an error once, to whoever comes first, and then an end */
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

/* Without its descriptor. */
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
	(void)fl__net_sys.set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1); /* fails where it is none */
}

/* Whether it is a connected stream socket. */
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

/* Whoever waits is woken by the events of it. */
void fl_stream_abort(fl_stream *s)
{
	if (fl__loop_is_forked(s->io.loop))
		return;
	s->aborted = true;
	(void)fl__net_sys.shutdown(s->io.fd, SHUT_RDWR); /* fails when the connection is gone: that was an event, too */
}

int fl_stream_end(fl_stream *s)
{
	size_t written = s->written;
	int rc = fl__stream_look(s, FL__IO_OUT, 0);
	if (rc != 0)
		return rc;
	s->written = written; /* it is no write */
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
