/* SPDX-License-Identifier: BSD-2-Clause */
/* Listeners: where they listen, and what they answer when they cannot. */
#include "fl_streams.h"

#include <netinet/tcp.h>

static int no_delay(int fd)
{
	int value = -1;
	socklen_t size = sizeof value;
	FL_OK(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, &size));
	return value;
}

/* ---- TCP */

FL_NET_TEST(net_listen_tcp)
{
	fl_address peer, own;
	fl_listener *l = fl_test_tcp_listener();
	fl_stream *a = fl_test_client(l), *b = fl_test_accepted(l);
	fl_test_talk(a, b);
	FL_CHECK(no_delay(fl_stream_fd(a)) == 1);
	FL_CHECK(no_delay(fl_stream_fd(b)) == 1);
	const int fds[] = {fl_listener_fd(l), fl_stream_fd(a), fl_stream_fd(b)};
	FL_EACH (i, fds)
		FL_CHECK(fl_test_is_cloexec(fds[i]) && !(fcntl(fds[i], F_GETFL) & O_NONBLOCK) == (i > 0));
	FL_OK(fl_stream_peer_address(a, &peer));
	FL_OK(fl_address_ip(&own, "127.0.0.1", fl_listener_port(l)));
	FL_CHECK(fl_address_is_equal(&peer, &own));
	fl_listener_free(l);
	fl_test_talk(b, a); /* which outlive it */
	fl_stream_free(a);
	fl_stream_free(b);
	fl_listener_free(NULL);
}

static void reach(fl_listener *l, const char *host)
{
	fl_stream *a = fl_test_connected(host, fl_listener_port(l)), *b = fl_test_accepted(l);
	fl_test_talk(a, b);
	fl_stream_free(a);
	fl_stream_free(b);
}

/* Also where there is no IPv6 at all. */
FL_NET_TEST(net_listen_at_all_addresses)
{
	fl_listener *l = fl_test_listener(NULL, 0);
	reach(l, "127.0.0.1");
	reach(l, "127.0.0.2");
	if (fl_test_has_ipv6())
		reach(l, "::1");
	fl_listener_free(l);
	fl__net_sys.socket = fl_test_only_ipv4;
	l = fl_test_listener(NULL, 0);
	reach(l, "127.0.0.1");
	fl_listener_free(l);
	fl_test_no_faults();
}

/* An address serves only its own family: the same port is there for the other one. */
FL_NET_TEST(net_listen_each_family_for_itself)
{
	enum { PORTS = 50 };
	fl_listener *four = NULL, *six = NULL;
	int rc = -EADDRINUSE; /* by another program, perhaps: not at so many ports */
	for (int i = 0; i < PORTS && rc == -EADDRINUSE; i++) {
		fl_listener_free(four);
		four = fl_test_listener("0.0.0.0", 0);
		rc = fl_test_has_ipv6() ? fl_listener_open_tcp(&six, "::", fl_listener_port(four), NULL) : 0;
	}
	FL_CHECK(rc == 0);
	if (six)
		reach(six, "::1");
	reach(four, "127.0.0.1");
	fl_listener_free(six);
	fl_listener_free(four);
}

/* The first of a name's addresses that this machine has, IPv4 first. */
FL_NET_TEST(net_listen_at_a_name)
{
	fl_test_lookup_finds("::1 192.0.2.1 127.0.0.2 127.0.0.3"); /* the second is unassigned: RFC 5737 */
	fl_listener *l = fl_test_listener("some.name", 0);
	reach(l, "127.0.0.2");
	/* the next address is not used when this one has a listener */
	fl_listener *other = NULL;
	FL_RC(fl_listener_open_tcp(&other, "some.name", fl_listener_port(l), NULL), -EADDRINUSE);
	fl_listener_free(l);
	FL_RC(fl_test_asked, 2);
}

FL_NET_TEST(net_listen_at_localhost)
{
	fl_listener *l = fl_test_listener("localhost", 0);
	reach(l, "localhost");
	fl_listener_free(l);
}

FL_NET_TEST(net_listen_port_in_use)
{
	const fl_listen_config together = {.reuse_port = true};
	fl_listener *a = NULL, *b = NULL;
	uint16_t port = 0;
	int fd = fl_test_bound("127.0.0.1", &port);
	fl_listener *l = fl_test_listener("127.0.0.1", port);
	FL_CHECK(fl_listener_port(l) == port);
	FL_RC(fl_listener_open_tcp(&a, "127.0.0.1", port, NULL), -EADDRINUSE);
	FL_RC(fl_listener_open_tcp(&a, NULL, port, NULL), -EADDRINUSE);
	FL_RC(fl_listener_open_tcp(&a, "127.0.0.1", port, &together), -EADDRINUSE);
	reach(l, "127.0.0.1");
	fl_listener_free(l);
	/* Although there were connections. */
	FL_OK(fl_listener_open_tcp(&a, "127.0.0.1", port, &together));
	FL_OK(fl_listener_open_tcp(&b, "127.0.0.1", port, &together));
	fl_listener_free(a);
	reach(b, "127.0.0.1");
	fl_listener_free(b);
	FL_OK(close(fd));
}

static int backlog_seen;

static int see_backlog(int fd, int backlog)
{
	backlog_seen = backlog;
	return fl_test_real_net_sys.listen(fd, backlog);
}

FL_NET_TEST(net_listen_backlog)
{
	fl_listener *l = NULL;
	fl__net_sys.listen = see_backlog;
	fl_listener_free(fl_test_tcp_listener());
	FL_CHECK(backlog_seen >= SOMAXCONN);
	FL_OK(fl_listener_open_tcp(&l, "127.0.0.1", 0, &(fl_listen_config){.backlog = 7}));
	FL_CHECK(backlog_seen == 7);
	fl_listener_free(l);
	fl_test_no_faults();
}

/* ---- faults: each with its code, and nothing left behind */

FL_NET_TEST(net_listen_cancelled)
{
	fl_listener *l = NULL;
	fl_test_lookup_finds("127.0.0.1");
	fl_fiber_cancel(fl_fiber_current());
	FL_RC(fl_listener_open_tcp(&l, "some.name", 0, NULL), -ECANCELED);
	FL_OK(fl_listener_open_tcp(&l, "127.0.0.1", 0, NULL)); /* what can be done at once is done */
	fl_listener_free(l);
}

static void in_callback(void *unused)
{
	fl_listener *l = NULL;
	FL_RC(fl_listener_open_tcp(&l, "localhost", 0, NULL), -ENOTSUP); /* it would have to wait */
	FL_OK(fl_listener_open_tcp(&l, "127.0.0.1", 0, NULL));
	fl_listener_free(l);
	FL_OK(fl_listener_open_unix(&l, fl_test_abstract(), NULL));
	fl_listener_free(l);
}

FL_NET_TEST(net_listen_in_a_callback)
{
	fl_test_in_callback(in_callback, NULL);
}

/* A system call that fails: test_net_errors.c, and each in turn: test_net_sweep.c. */
FL_NET_TEST(net_listen_tcp_refuses)
{
	fl_listener *l = NULL;
	FL_RC(fl_listener_open_tcp(&l, "192.0.2.1", 0, NULL), -EADDRNOTAVAIL); /* nobody's: RFC 5737 */
	FL_RC(fl_listener_open_tcp(&l, "", 0, NULL), -ENOENT);
	/* The first that needs a thread. */
	FL_RC(fl_listener_open_tcp(&l, "no such name", 0, NULL), -ENOENT);
	FL_CHECK(l == NULL);
}
