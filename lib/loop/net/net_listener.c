/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Only an accept() that finds no connection clears the readiness (fd_io.h): one that lacks a
 * descriptor needs no new event. An accepted connection that lacks the memory to become a stream is
 * `held`.
 */
#include "core/base/panic.h"
#include "core/base/sys.h"
#include "core/fd/net_sys.h"
#include "core/fd/unix_file.h"
#include "net_resolve.h"
#include "stream.h"
#include <errno.h>
#include <limits.h>
#include <string.h>

enum { LISTENER_EAGER = 32 }; /* accepts in a row, of some ten microseconds each */

struct fl_listener {
	struct fl__io io;
	int held;     /* without a stream; -1: none */
	int protocol; /* of the streams */
	uint16_t port;
	bool busy; /* a fiber accepts */
	struct fl__unix_file file;
};

/* Accepting. */

/* accept() must be called again (accept(2)). */
static bool listener_is_broken_connection(int error)
{
	switch (error) {
	case -EINTR:
	case -ECONNABORTED:
	case -EPROTO:
	case -ENETDOWN:
	case -ENOPROTOOPT:
	case -EHOSTDOWN:
	case -ENONET:
	case -EHOSTUNREACH:
	case -ENETUNREACH:
	case -ETIMEDOUT:
		return true;
	default:
		return false;
	}
}

static int listener_accept_fd(fl_listener *l)
{
	int fd;
	do
		fd = fl__net_sys.accept(l->io.fd, NULL, NULL);
	while (listener_is_broken_connection(fd));
	if (fd == -EAGAIN)
		fl__io_drained(&l->io, FL__IO_IN);
	return fl__net_error(fd);
}

/* -EAGAIN: no connection is pending. */
static int listener_take(fl_listener *l, fl_stream **s)
{
	if (l->held < 0) {
		int fd = listener_accept_fd(l);
		if (fd < 0)
			return fd;
		l->held = fd;
	}
	int rc = fl__stream_create(s, l->io.loop, l->held, l->protocol);
	if (rc == 0)
		l->held = -1;
	return rc;
}

static int listener_may_accept(const fl_listener *l, bool waits)
{
	const int rc = fl__io_check(&l->io, waits);
	if (rc != 0 || l->busy)
		return rc != 0 ? rc : -EBUSY;
	return l->io.fd < 0 ? -EPIPE : 0;
}

int fl_try_accept(fl_listener *l, fl_stream **s)
{
	int rc = listener_may_accept(l, false);
	return rc == 0 ? listener_take(l, s) : rc;
}

static int listener_take_or_wait(fl_listener *l, fl_stream **s, int64_t deadline, fl_cancel_token *cancel)
{
	int rc = 0;
	fl__io_give_way(&l->io, LISTENER_EAGER);
	while (rc == 0) {
		if (l->io.fd < 0)
			return -EPIPE;
		rc = listener_take(l, s);
		if (rc != -EAGAIN) {
			l->io.eager = rc == 0 ? l->io.eager + 1 : LISTENER_EAGER;
			return rc;
		}
		rc = fl__io_wait(&l->io, FL__IO_IN, deadline, cancel);
	}
	return rc;
}

int fl_accept_until(fl_listener *l, fl_stream **s, int64_t deadline, fl_cancel_token *cancel)
{
	int rc = listener_may_accept(l, true);
	if (rc != 0)
		return rc;
	l->busy = true;
	rc = listener_take_or_wait(l, s, deadline, cancel);
	l->busy = false;
	return rc;
}

/* Life. */

void fl_listener_close(fl_listener *l)
{
	if (l->io.fd < 0)
		return;
	if (l->held >= 0)
		fl__net_sys.close(l->held);
	fl__io_close_bound(&l->io, &l->file);
}

void fl_listener_free(fl_listener *l)
{
	if (!l)
		return;
	if (l->busy && !fl__loop_is_forked(l->io.loop))
		fl__panic("fl_listener_free", l, "a fiber accepts");
	fl_listener_close(l);
	fl__free_to(l->io.loop->allocator, l);
}

uint16_t fl_listener_port(const fl_listener *l)
{
	return l->port;
}

int fl_listener_fd(const fl_listener *l)
{
	return l->io.fd;
}

/* Owns the bound `fd`, unless there is an error. */
static int listener_listen(fl_listener *l, fl_loop *loop, int fd, const fl_listen_config *config)
{
	int rc = fl__net_sys.listen(fd, config && config->backlog > 0 ? config->backlog : INT_MAX);
	if (rc == 0)
		rc = fl__io_open(&l->io, loop, fd);
	return fl__net_error(rc);
}

/* TCP. */

static int listener_set_options(int fd, const struct fl__address *a, bool all, const fl_listen_config *config)
{
	/* SO_REUSEADDR: ended connections do not block the port */
	int rc = fl__net_sys.set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (rc == 0 && config && config->reuse_port)
		rc = fl__net_sys.set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	if (rc == 0 && a->at.any.sa_family == AF_INET6)
		rc = fl__net_sys.set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, !all);
	fl__stream_without_delay(fd); /* an accepted socket inherits it */
	return rc;
}

static int listener_find_port(fl_listener *l, int fd)
{
	struct fl__address a = {.size = sizeof a.at};
	int rc = fl__net_sys.local(fd, &a.at.any, &a.size);
	if (rc == 0)
		l->port = ntohs(a.at.any.sa_family == AF_INET ? a.at.v4.sin_port : a.at.v6.sin6_port);
	return rc;
}

static int listener_listen_at(fl_listener *l, fl_loop *loop, const struct fl__address *a, bool all,
                              const fl_listen_config *config)
{
	int fd = fl__net_sys.socket(a->at.any.sa_family, SOCK_STREAM, IPPROTO_TCP);
	if (fd < 0)
		return fl__net_error(fd);
	int rc = listener_set_options(fd, a, all, config);
	if (rc == 0)
		rc = fl__net_sys.bind(fd, &a->at.any, a->size);
	if (rc == 0)
		rc = listener_find_port(l, fd);
	if (rc == 0)
		rc = listener_listen(l, loop, fd, config);
	if (rc != 0)
		fl__net_sys.close(fd);
	return fl__net_error(rc);
}

static int listener_listen_at_first(fl_listener *l, fl_loop *loop, const struct fl__address *list, int n, bool all,
                                    const fl_listen_config *config)
{
	int rc = -EADDRNOTAVAIL;
	for (int i = 0; i < n && (rc == -EADDRNOTAVAIL || rc == -EAFNOSUPPORT); i++)
		rc = listener_listen_at(l, loop, &list[i], all, config);
	return rc;
}

static fl_listener *listener_new(const fl_loop *loop)
{
	fl_listener *l = fl__alloc_from(loop->allocator, 1, sizeof *l);
	if (l)
		l->held = -1;
	return l;
}

int fl_listen_tcp(fl_listener **made, const char *host, uint16_t port, const fl_listen_config *config)
{
	struct fl__address list[FL_ADDRESSES_MAX];
	fl_loop *loop;
	int n = 0, rc = fl__net_enter(&loop, false, "fl_listen_tcp");
	if (rc == 0)
		rc = n = fl__local_addresses(loop, host, port, list);
	if (rc < 0)
		return rc;
	fl_listener *l = listener_new(loop);
	if (!l)
		return -ENOMEM;
	l->protocol = IPPROTO_TCP;
	rc = listener_listen_at_first(l, loop, list, n, !host, config);
	if (rc != 0) {
		fl__free_to(loop->allocator, l);
		return rc;
	}
	*made = l;
	return 0;
}

/* Unix. */

static int listener_listen_at_path(fl_listener *l, fl_loop *loop, const char *path, const struct sockaddr_un *a,
                                   socklen_t size, const fl_listen_config *config)
{
	int fd = fl__net_sys.socket(AF_UNIX, SOCK_STREAM, 0);
	if (fd < 0)
		return fl__net_error(fd);
	int rc = fl__unix_file_bind(&l->file, fd, SOCK_STREAM, path, a, size);
	if (rc == 0 && config && config->mode != 0)
		rc = fl__unix_sys.set_mode(path, config->mode); /* before listen: nothing can connect */
	if (rc == 0)
		rc = listener_listen(l, loop, fd, config);
	fl__unix_file_settle(&l->file);
	if (rc != 0) {
		fl__unix_file_remove(&l->file);
		fl__net_sys.close(fd);
	}
	return fl__net_error(rc);
}

int fl_listen_unix(fl_listener **made, const char *path, const fl_listen_config *config)
{
	struct sockaddr_un a;
	fl_loop *loop;
	int rc = fl__net_enter(&loop, false, "fl_listen_unix");
	int size = rc == 0 ? fl__unix_address(&a, path) : rc;
	if (size < 0)
		return size;
	if (config && config->mode != 0 && (path[0] == '@' || config->mode > FL__MODE_MAX))
		return -EINVAL;
	fl_listener *l = listener_new(loop);
	if (!l)
		return -ENOMEM;
	rc = listener_listen_at_path(l, loop, path, &a, (socklen_t)size, config);
	if (rc != 0) {
		fl__free_to(loop->allocator, l);
		return rc;
	}
	*made = l;
	return 0;
}
