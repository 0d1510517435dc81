/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Listeners. Only an accept() that finds no connection clears the readiness (fd_io.h), because if
 * accept() fails for want of a free descriptor, no further event may come. If there is no memory to
 * make a stream of an accepted connection, the connection is kept in `held`.
 */
#include "core/base/panic.h"
#include "core/base/sys.h"
#include "core/hooks.h"
#include "fd/net_sys.h"
#include "fd/unix_file.h"
#include "net_resolve.h"
#include "stream.h"
#include <errno.h>
#include <limits.h>

enum { LISTENER_EAGER = 32 }; /* accepts in a row, which take about ten microseconds each */

struct fl_listener {
	struct fl__io io;
	int held;     /* an accepted connection that is not a stream yet, or -1 */
	int protocol; /* the protocol of the streams */
	uint16_t port;
	bool busy; /* true while a fiber accepts */
	struct fl__unix_file file;
};

/* Returns true if accept() must be called again after this error (accept(2)). */
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

/* Returns 0; or -EAGAIN if no connection is pending; or an error. */
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

static int listener_take_or_wait(fl_listener *l, fl_stream **s, fl_time deadline, fl_cancel_token *cancel)
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

int fl_listener_accept_until(fl_listener *l, fl_stream **s, fl_time deadline, fl_cancel_token *cancel)
{
	const bool waits = !fl__is_try(deadline);
	int rc = listener_may_accept(l, waits);
	if (rc != 0)
		return rc;
	if (!waits)
		return listener_take(l, s);
	l->busy = true;
	rc = listener_take_or_wait(l, s, deadline, cancel);
	l->busy = false;
	return rc;
}

void fl_listener_close(fl_listener *l)
{
	if (l->io.fd < 0)
		return;
	fl__fd_close(l->held);
	fl__io_close_bound(&l->io, &l->file);
}

void fl_listener_free(fl_listener *l)
{
	if (!l)
		return;
	fl__hook_ends(l);
	if (l->busy)
		fl__panic("fl_listener_free", l, FL__IN_USE("a fiber"));
	fl_listener_close(l);
	fl__free(l);
}

uint16_t fl_listener_port(const fl_listener *l)
{
	return l->port;
}

int fl_listener_fd(const fl_listener *l)
{
	return l->io.fd;
}

/* Takes over the listening `fd` and its file, even if it fails. */
static int listener_create(fl_listener **made, fl_loop *loop, int fd, int protocol, struct fl__unix_file *file)
{
	void *object;
	const int rc = fl__io_new(&object, sizeof(fl_listener), loop, fd);
	if (rc != 0) {
		fl__unix_file_remove(file);
		fl__fd_close(fd);
		return rc;
	}
	fl_listener *l = object;
	l->held = -1;
	l->protocol = protocol;
	l->file = *file;
	*made = l;
	return 0;
}

static bool listener_config_is_valid(const fl_listen_config *config)
{
	return !config || config->backlog >= 0;
}

static int listener_backlog(const fl_listen_config *config)
{
	return config && config->backlog > 0 ? config->backlog : INT_MAX;
}

static int listener_prepare(int fd, int family, bool all, const void *listen_config)
{
	const fl_listen_config *config = listen_config;
	const struct fl__socket_option options[] = {
	    /* so that ended connections do not block the port */
	    {true, SOL_SOCKET, SO_REUSEADDR, 1},
	    {config && config->reuse_port, SOL_SOCKET, SO_REUSEPORT, 1},
	    {family == AF_INET6, IPPROTO_IPV6, IPV6_V6ONLY, !all},
	};
	fl__stream_without_delay(fd); /* an accepted socket inherits it */
	return fl__net_set_options(fd, options, FL__COUNT(options));
}

int fl_listener_open_tcp(fl_listener **made, const char *host, uint16_t port, const fl_listen_config *config)
{
	fl_address a;
	struct fl__unix_file none = {0};
	if (!listener_config_is_valid(config))
		return -EINVAL;
	fl_loop *loop = fl__loop_needed(false, "fl_listener_open_tcp");
	const int fd = loop ? fl__net_open(loop, host, port, SOCK_STREAM, listener_prepare, config) : -ENOTSUP;
	if (fd < 0)
		return fd;
	int rc = fl__address_get(&a, fd, fl__net_sys.local);
	if (rc == 0)
		rc = fl__net_sys.listen(fd, listener_backlog(config));
	if (rc != 0) {
		fl__fd_close(fd);
		return fl__net_error(rc);
	}
	rc = listener_create(made, loop, fd, IPPROTO_TCP, &none);
	if (rc == 0)
		(*made)->port = ntohs(*fl__port_in(&a));
	return rc;
}

int fl_listener_open_unix(fl_listener **made, const char *path, const fl_listen_config *config)
{
	struct fl__unix_file file = {0};
	if (!listener_config_is_valid(config))
		return -EINVAL;
	fl_loop *loop = fl__loop_needed(false, "fl_listener_open_unix");
	const int fd =
	    loop ? fl__unix_open(&file, SOCK_STREAM, path, config ? config->mode : 0, listener_backlog(config))
		 : -ENOTSUP;
	return fd < 0 ? fd : listener_create(made, loop, fd, 0, &file);
}
