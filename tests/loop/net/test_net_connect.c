/* SPDX-License-Identifier: BSD-2-Clause */
/* Connections: which addresses are tried, and which attempts give up when. */
#include "fl_streams.h"

/* The attempt has ended when this returns: the loopback may answer late. */
static int connect_to_the_end(int fd, const struct sockaddr *address, socklen_t size)
{
	const int rc = fl_test_real_net_sys.connect(fd, address, size);
	if (rc == -EINPROGRESS)
		FL_RC(poll(&(struct pollfd){fd, POLLOUT, 0}, 1, 60000), 1);
	return rc;
}

FL_NET_TEST(net_connect_refused)
{
	uint16_t port = 0;
	fl_stream *s = NULL;
	int fd = fl_test_bound("127.0.0.1", &port); /* a port of this test, without a listener */
	FL_RC(fl_stream_connect_tcp(&s, "127.0.0.1", port), -ECONNREFUSED);
	/* Known at once. */
	fl__net_sys.connect = connect_to_the_end;
	FL_RC(fl_stream_connect_tcp_until(&s, "127.0.0.1", port, FL_NO_WAIT, NULL), -ECONNREFUSED);
	FL_CHECK(s == NULL && close(fd) == 0);
}

/* As Linux does after an earlier request. */
static int second_connect(int fd, const struct sockaddr *address, socklen_t size)
{
	int rc = fl_test_real_net_sys.connect(fd, address, size);
	return rc == 0 ? -EISCONN : rc;
}

/* The same, when it is not known at once: by an event. */
FL_NET_TEST(net_connect_by_an_event)
{
	uint16_t port = 0;
	fl_stream *s = NULL;
	int fd = fl_test_bound("127.0.0.1", &port);
	fl_listener *l = fl_test_tcp_listener();
	const struct fl_test_fault second = {.calls = CALL(connect), .error = -EALREADY, .only = 2};
	fl_test_fails_by(second);
	FL_RC(fl_stream_connect_tcp(&s, "127.0.0.1", port), -ECONNREFUSED);
	fl_test_fails_by(second);
	FL_OK(fl_stream_connect_tcp(&s, "127.0.0.1", fl_listener_port(l)));
	fl_stream *other = fl_test_accepted(l);
	fl_test_talk(s, other);
	fl_stream_free(s);
	fl__net_sys.connect = second_connect;
	FL_OK(fl_stream_connect_tcp(&s, "127.0.0.1", fl_listener_port(l)));
	fl_test_no_faults();
	fl_stream_free(s);
	fl_stream_free(other);
	fl_listener_free(l);
	FL_OK(close(fd));
}

/* What can be done at once is done. */
FL_NET_TEST(net_connect_after_the_deadline)
{
	fl_stream *s = NULL;
	fl_listener *l = fl_test_tcp_listener();
	fl__net_sys.connect = connect_to_the_end;
	fl_fiber_cancel(fl_fiber_current());
	FL_OK(fl_stream_connect_tcp_until(&s, "127.0.0.1", fl_listener_port(l), FL_NO_WAIT, NULL));
	fl_stream_free(s);
	fl_listener_free(l);
}

/* ---- no answer */

typedef struct to {
	uint16_t port;
	fl_time deadline;
} to;

static int connect_it(void *where)
{
	const to *t = where;
	fl_stream *s = NULL;
	int rc = fl_stream_connect_tcp_until(&s, "127.0.0.1", t->port, t->deadline, NULL);
	fl_stream_free(s);
	return rc;
}

FL_NET_TEST(net_connect_cancelled)
{
	to t = {0, FL_FOREVER};
	int full[2];
	fl_stream *s = NULL;
	fl_test_full(full, "127.0.0.1", &t.port);
	unsigned fds = fl_test_fds();
	FL_RC(fl_stream_connect_tcp_until(&s, "127.0.0.1", t.port, fl_test_soon(), NULL), -ETIMEDOUT);
	FL_RC(fl_stream_connect_tcp_until(&s, "127.0.0.1", t.port, FL_NO_WAIT, NULL), -ETIMEDOUT);
	FL_CHECK(fl_test_fds() == fds);
	fl_fiber *f = fl_test_start(connect_it, &t);
	fl_test_settle();
	FL_CHECK(fl_test_fds() == fds + 1); /* it waits */
	fl_test_cancel(f);
	FL_CHECK(fl_test_fds() == fds);
	fl_fiber_cancel(fl_fiber_current());
	FL_RC(fl_stream_connect_tcp(&s, "127.0.0.1", t.port), -ECANCELED);
	FL_CHECK(fl_test_fds() == fds && s == NULL);
	fl_test_close_two(full);
}

/* Many that are cancelled while they wait, with their loop. */
FL_NET_TEST(net_connect_at_the_end_of_the_loop)
{
	static to t = {0, FL_FOREVER};
	static int full[2];
	t.port = 0;
	fl_test_full(full, "127.0.0.1", &t.port);
	for (int i = 0; i < 20; i++)
		fl_fiber_detach(fl_test_start(connect_it, &t));
	fl_test_settle();
	fl_test_close_two(full);
}

FL_NET_TEST(net_connect_by_name)
{
	fl_listener *l = fl_test_listener(NULL, 0);
	fl_stream *a = fl_test_connected("localhost", fl_listener_port(l)), *b = fl_test_accepted(l);
	fl_test_talk(a, b);
	fl_stream_free(a);
	fl_stream_free(b);
	fl_listener_free(l);
	fl_stream *s = NULL;
	FL_RC(fl_stream_connect_tcp(&s, "no such name", 80), -ENOENT);
	FL_RC(fl_stream_connect_tcp(&s, NULL, 80), -EINVAL);
	FL_RC(fl_stream_connect_tcp(&s, "", 80), -ENOENT);
}

/* ---- the system gives a socket the very port that it is to reach */

static int bind_first(int fd, const struct sockaddr *address, socklen_t size)
{
	struct sockaddr_storage a;
	memcpy(&a, address, size);
	(void)fl_test_real_net_sys.set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	/* As if by chance; the second time it is bound already. */
	(void)bind(fd, (struct sockaddr *)&a, size);
	(void)fl_test_real_net_sys.set_option(fd, SOL_SOCKET, SO_REUSEADDR, 0);
	return fl_test_real_net_sys.connect(fd, address, size);
}

static void connect_with_itself(const char *host)
{
	uint16_t port = 0;
	fl_stream *s = NULL;
	int fd = fl_test_bound(host, &port);
	fl__net_sys.connect = bind_first;
	FL_RC(fl_stream_connect_tcp(&s, host, port), -ECONNREFUSED);
	fl_test_no_faults();
	fl_listener_free(fl_test_listener(host, port)); /* the port is free */
	FL_OK(close(fd));
}

FL_NET_TEST(net_connect_with_itself)
{
	connect_with_itself("127.0.0.1");
	if (fl_test_has_ipv6())
		connect_with_itself("::1");
}
