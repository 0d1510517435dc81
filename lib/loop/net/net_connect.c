/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Connects by "happy eyeballs" (RFC 8305): the fiber begins the next attempt when an attempt has
 * failed or connect_stagger has passed.
 *
 * The fiber calls connect() again to learn the state of an attempt. SO_ERROR does not distinguish
 * an attempt under way from a connected one.
 */
#include "fd/net_sys.h"
#include "fd/unix_file.h"
#include "net_resolve.h"
#include "stream.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>

static const int64_t connect_stagger = FL_MS(250);

struct connect_state {
	fl_loop *loop;
	const fl_address *list;
	unsigned n, begun;         /* the number of attempts, and of those that have begun */
	int fds[FL_ADDRESSES_MAX]; /* the sockets of the attempts; -1 for one that failed */
	int error;                 /* the error of a failed attempt, or 0 */
	fl_time next;              /* when the next attempt is due */
};

static bool connect_is_local_error(int error)
{
	return error == -EAFNOSUPPORT || error == -EADDRNOTAVAIL || error == -ENETUNREACH;
}

static void connect_note_error(struct connect_state *c, int error)
{
	if (c->error == 0 || !connect_is_local_error(error) || connect_is_local_error(c->error))
		c->error = error;
	c->next = FL_NO_WAIT;
}

static bool connect_is_self(int fd, const fl_address *to)
{
	fl_address own;
	if (fl__address_get(&own, fd, fl__net_sys.local) != 0)
		return false;
	if (own.system.ss_family == AF_INET6) /* the system ignores the interface of most addresses */
		((struct sockaddr_in6 *)&own.system)->sin6_scope_id =
		    ((const struct sockaddr_in6 *)&to->system)->sin6_scope_id;
	return fl_address_is_equal(to, &own);
}

/*
 * If nobody listens, a socket may get the very port that it connects to, and so be connected to
 * itself. That blocks the port, even for a minute after the connection has ended. The second
 * connect() frees the port.
 */
static int connect_refuse_self(int fd, const fl_address *to)
{
	const struct sockaddr none = {.sa_family = AF_UNSPEC};
	if (!connect_is_self(fd, to))
		return 0;
	(void)fl__net_sys.connect(fd, &none, sizeof none);
	return -ECONNREFUSED;
}

/*
 * Returns 0 if the socket is connected, -EALREADY if the attempt is under way, or the attempt's
 * error.
 */
static int connect_call(int fd, const fl_address *to)
{
	int rc = fl__net_sys.connect(fd, fl__sockaddr(to), to->size);
	/* over the loopback the socket is connected by now */
	if (rc == -EINPROGRESS || rc == -EALREADY)
		rc = fl__net_sys.connect(fd, fl__sockaddr(to), to->size);
	if (rc == -EISCONN)
		rc = 0;
	else if (rc == -EINPROGRESS || rc == -EINTR)
		rc = -EALREADY;
	return rc == 0 ? connect_refuse_self(fd, to) : rc;
}

static void connect_begin_next(struct connect_state *c)
{
	const unsigned i = c->begun++;
	c->next = fl_after(connect_stagger);
	c->fds[i] = fl__net_sys.socket(c->list[i].system.ss_family, SOCK_STREAM, IPPROTO_TCP);
	if (c->fds[i] < 0)
		connect_note_error(c, fl__net_error(c->fds[i]));
}

/*
 * Returns the descriptor of a connected attempt, or -EALREADY. Closes failed attempts. Stores the
 * attempts under way in `waiting`.
 */
static int connect_check_all(struct connect_state *c, struct pollfd *waiting, unsigned *n)
{
	*n = 0;
	for (unsigned i = 0; i < c->begun; i++) {
		const int fd = c->fds[i];
		if (fd < 0)
			continue;
		const int rc = connect_call(fd, &c->list[i]);
		if (rc == -EALREADY) {
			waiting[(*n)++] = (struct pollfd){.fd = fd, .events = POLLOUT};
			continue;
		}
		c->fds[i] = -1;
		if (rc == 0)
			return fd;
		fl__fd_close(fd);
		connect_note_error(c, fl__net_error(rc));
	}
	return -EALREADY;
}

/* Waits for an event, or until the next attempt is due. */
static int connect_wait(const struct connect_state *c, const struct pollfd *waiting, unsigned n, fl_time deadline,
                        fl_cancel_token *cancel)
{
	const fl_time next = c->begun < c->n ? c->next : FL_FOREVER;
	const int rc =
	    fl__loop_wait_fds(c->loop, waiting, n, FL__DEBUG_CONNECTION, c, fl__earlier(deadline, next), cancel);
	return rc == -ETIMEDOUT && fl__expiry(next) < fl__expiry(deadline) ? 0 : rc;
}

static int connect_any(struct connect_state *c, fl_time deadline, fl_cancel_token *cancel)
{
	for (;;) {
		struct pollfd waiting[FL_ADDRESSES_MAX];
		unsigned n;
		const int fd = connect_check_all(c, waiting, &n);
		if (fd >= 0)
			return fd;
		if (c->begun < c->n && fl__is_expired(c->next)) {
			connect_begin_next(c);
			continue;
		}
		const int rc = n > 0 ? connect_wait(c, waiting, n, deadline, cancel) : c->error;
		if (rc != 0)
			return rc;
	}
}

static void connect_mix_families(fl_address *list, unsigned n)
{
	for (unsigned i = 1; i < n; i++) {
		unsigned other = i;
		while (other < n && list[other].system.ss_family == list[i - 1].system.ss_family)
			other++;
		if (other == n)
			return;
		const fl_address a = list[other];
		memmove(&list[i + 1], &list[i], (other - i) * sizeof *list);
		list[i] = a;
	}
}

/* Clears O_NONBLOCK, which fl__net_sys.socket() set so that connect() did not wait. */
static void connect_let_wait(int fd)
{
	(void)fcntl(fd, F_SETFL, 0); /* this cannot fail for an open descriptor */
}

/* Takes over the connected `fd`, even if it fails. */
static int connect_make_stream(fl_stream **s, fl_loop *l, int fd, int protocol)
{
	int rc = fl__stream_create(s, l, fd, protocol);
	if (rc == 0)
		connect_let_wait(fd);
	else
		fl__fd_close(fd);
	return rc;
}

int fl_stream_connect_tcp_until(fl_stream **s, const char *host, uint16_t port, fl_time deadline,
                                fl_cancel_token *cancel)
{
	fl_address list[FL_ADDRESSES_MAX];
	struct connect_state c = {
	    .loop = fl__loop_needed(true, "fl_stream_connect_tcp"), .list = list, .next = FL_NO_WAIT};
	int rc = c.loop ? fl__resolve(c.loop, host, port, list, FL_ADDRESSES_MAX, deadline, cancel) : -ENOTSUP;
	if (rc < 0)
		return rc;
	c.n = (unsigned)rc;
	connect_mix_families(list, c.n);
	rc = connect_any(&c, deadline, cancel);
	fl__fds_close(c.fds, c.begun);
	if (rc < 0)
		return rc;
	fl__stream_without_delay(rc);
	return connect_make_stream(s, c.loop, rc, IPPROTO_TCP);
}

int fl_stream_connect_unix_until(fl_stream **s, const char *path, fl_time deadline, fl_cancel_token *cancel)
{
	fl_loop *l = fl__loop_needed(true, "fl_stream_connect_unix");
	const int fd = l ? fl__unix_connect(SOCK_STREAM, path, deadline, cancel) : -ENOTSUP;
	return fd < 0 ? fd : connect_make_stream(s, l, fd, 0);
}
