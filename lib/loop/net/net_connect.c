/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * "Happy eyeballs" (RFC 8305) in a simple form, by one fiber. It begins the next attempt when one
 * has failed or connect_stagger has passed. The first that succeeds wins.
 *
 * The fiber calls connect() again for the state of an attempt. Linux answers 0 or EISCONN:
 * connected; EALREADY: under way; else the attempt's error. SO_ERROR does not distinguish an
 * attempt under way from a connected one. Over the loopback the second connect() needs no poller.
 */
#include "core/base/sys.h"
#include "core/fd/net_sys.h"
#include "core/fd/unix_file.h"
#include "net_resolve.h"
#include "stream.h"
#include <errno.h>
#include <string.h>

static const int64_t connect_stagger = FL_MS(250);

struct connect_state;

struct connect_attempt {
	struct fl__poller_source source;
	struct connect_state *c;
	const struct fl__address *to;
	int fd;       /* -1: failed, or not begun */
	bool watched; /* by the poller */
};

struct connect_state {
	fl_loop *loop;
	struct fl__node *waiting; /* the fiber; NULL: it runs */
	unsigned n, begun;        /* attempts; how many have begun */
	unsigned under_way;
	int error;    /* of the failed attempts; 0: none */
	int64_t next; /* when the next attempt is due; 0: at once */
	struct connect_attempt attempts[FL_ADDRESSES_MAX];
};

static void connect_on_event(void *source, uint32_t events)
{
	struct connect_attempt *a = source;
	(void)events;
	fl__loop_wake(a->c->waiting);
}

/* The caller owns the descriptor then. */
static int connect_release(struct connect_attempt *a)
{
	int fd = a->fd;
	if (a->watched)
		fl__loop_remove(a->c->loop, fd, &a->source);
	a->fd = -1;
	a->c->under_way--;
	return fd;
}

static bool connect_is_local_error(int error)
{
	return error == -EAFNOSUPPORT || error == -EADDRNOTAVAIL || error == -ENETUNREACH;
}

static void connect_note_error(struct connect_state *c, int error)
{
	if (c->error == 0 || !connect_is_local_error(error) || connect_is_local_error(c->error))
		c->error = error;
	c->next = 0;
}

static bool connect_is_self(const struct connect_attempt *a)
{
	struct fl__address own = {.size = sizeof own.at};
	if (fl__net_sys.local(a->fd, &own.at.any, &own.size) != 0)
		return false;
	if (own.at.any.sa_family == AF_INET6) /* the system ignores the interface of most addresses */
		own.at.v6.sin6_scope_id = a->to->at.v6.sin6_scope_id;
	return fl__is_same_address(&a->to->at, &own.at);
}

/*
 * Without a listener, a socket may get the port that it connects to, and be connected with itself.
 * That blocks the port, for a minute after its end, too. The second connect() frees it.
 */
static int connect_refuse_self(const struct connect_attempt *a)
{
	const struct sockaddr none = {.sa_family = AF_UNSPEC};
	if (!connect_is_self(a))
		return 0;
	(void)fl__net_sys.connect(a->fd, &none, sizeof none);
	return -ECONNREFUSED;
}

/* 0: connected; -EALREADY: under way; else the attempt's error. */
static int connect_call(const struct connect_attempt *a)
{
	int rc = fl__net_sys.connect(a->fd, &a->to->at.any, a->to->size);
	if (rc == -EISCONN)
		rc = 0;
	else if (rc == -EINPROGRESS || rc == -EINTR)
		rc = -EALREADY;
	return rc == 0 ? connect_refuse_self(a) : rc;
}

/* Returns -EALREADY, or an error. */
static int connect_watch(struct connect_attempt *a)
{
	int rc = a->watched ? 0 : fl__loop_add(a->c->loop, a->fd, EPOLLOUT | EPOLLET, &a->source);
	a->watched = rc == 0;
	return rc == 0 ? -EALREADY : rc;
}

/* -EALREADY, also if the attempt has failed. */
static int connect_conclude(struct connect_attempt *a, int rc)
{
	if (rc == -EALREADY)
		rc = connect_watch(a);
	if (rc == 0)
		return connect_release(a);
	if (rc != -EALREADY) {
		fl__net_close(connect_release(a));
		connect_note_error(a->c, fl__net_error(rc));
	}
	return -EALREADY;
}

/* Returns as connect_conclude(). */
static int connect_begin_next(struct connect_state *c)
{
	struct connect_attempt *a = &c->attempts[c->begun++];
	a->fd = fl__net_sys.socket(a->to->at.any.sa_family, SOCK_STREAM, IPPROTO_TCP);
	if (a->fd < 0) {
		connect_note_error(c, fl__net_error(a->fd));
		return -EALREADY;
	}
	c->under_way++;
	c->next = fl_after(connect_stagger);
	int rc = connect_call(a);
	return connect_conclude(a, rc == -EALREADY ? connect_call(a) : rc);
}

/* Returns as connect_conclude(). */
static int connect_check_all(struct connect_state *c)
{
	int fd = -EALREADY;
	for (unsigned i = 0; i < c->begun && fd < 0; i++) {
		struct connect_attempt *a = &c->attempts[i];
		if (a->fd >= 0)
			fd = connect_conclude(a, connect_call(a));
	}
	return fd;
}

/* For an event, or until the next attempt is due. Returns 0, -ETIMEDOUT, -ECANCELED. */
static int connect_wait(struct connect_state *c, int64_t deadline, fl_cancel_token *cancel)
{
	const int64_t next = c->begun < c->n ? c->next : FL_FOREVER;
	int rc = fl__loop_await(&c->waiting, FL__DEBUG_CONNECTION, c, fl__min_deadline(deadline, next), cancel);
	return rc == -ETIMEDOUT && next < deadline ? 0 : rc;
}

static int connect_any(struct connect_state *c, int64_t deadline, fl_cancel_token *cancel)
{
	for (;;) {
		int fd = connect_check_all(c);
		if (fd < 0 && c->begun < c->n && fl__is_expired(c->next)) {
			fd = connect_begin_next(c);
			if (fd < 0)
				continue;
		}
		if (fd >= 0)
			return fd;
		if (c->under_way == 0)
			return c->error;
		int rc = connect_wait(c, deadline, cancel);
		if (rc != 0)
			return rc;
	}
}

static void connect_close_all(struct connect_state *c)
{
	for (unsigned i = 0; i < c->begun; i++)
		if (c->attempts[i].fd >= 0)
			fl__net_close(connect_release(&c->attempts[i]));
}

static void connect_mix_families(struct fl__address *list, unsigned n)
{
	for (unsigned i = 1; i < n; i++) {
		unsigned other = i;
		while (other < n && list[other].at.any.sa_family == list[i - 1].at.any.sa_family)
			other++;
		if (other == n)
			return;
		const struct fl__address a = list[other];
		memmove(&list[i + 1], &list[i], (other - i) * sizeof *list);
		list[i] = a;
	}
}

/* Owns the connected `fd`, or closes it after an error. */
static int connect_make_stream(fl_stream **s, fl_loop *l, int fd, int protocol)
{
	int rc = fl__stream_create(s, l, fd, protocol);
	if (rc == 0)
		fl__net_let_wait(fd);
	else
		fl__net_close(fd);
	return rc;
}

int fl_connect_tcp_until(fl_stream **s, const char *host, uint16_t port, int64_t deadline, fl_cancel_token *cancel)
{
	struct fl__address list[FL_ADDRESSES_MAX];
	struct connect_state c = {.loop = fl__loop_needed(true, "fl_connect_tcp")};
	int rc = c.loop ? fl__resolve(c.loop, host, port, list, FL_ADDRESSES_MAX, deadline, cancel) : -ENOTSUP;
	if (rc < 0)
		return rc;
	c.n = (unsigned)rc;
	connect_mix_families(list, c.n);
	for (unsigned i = 0; i < c.n; i++)
		c.attempts[i] =
		    (struct connect_attempt){.source.fire = connect_on_event, .c = &c, .to = &list[i], .fd = -1};
	rc = connect_any(&c, deadline, cancel);
	connect_close_all(&c);
	if (rc < 0)
		return rc;
	fl__stream_without_delay(rc);
	return connect_make_stream(s, c.loop, rc, IPPROTO_TCP);
}

int fl_connect_unix_until(fl_stream **s, const char *path, int64_t deadline, fl_cancel_token *cancel)
{
	struct sockaddr_un address;
	fl_loop *l = fl__loop_needed(true, "fl_connect_unix");
	const int size = l ? fl__unix_address(&address, path) : -ENOTSUP;
	if (size < 0)
		return size;
	int fd = fl__net_sys.socket(AF_UNIX, SOCK_STREAM, 0);
	if (fd < 0)
		return fl__net_error(fd);
	int rc = fl__unix_connect(fd, &address, (socklen_t)size, deadline, cancel);
	if (rc != 0) {
		fl__net_close(fd);
		return rc;
	}
	return connect_make_stream(s, l, fd, 0);
}
