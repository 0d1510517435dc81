/* SPDX-License-Identifier: BSD-2-Clause */
/* A name of several addresses: which are tried when, and which error counts. */
#include "fl_streams.h"

/* Attempts, for each last byte of an IPv4 address. */
static unsigned tried[256];
/* The descriptor of the last attempt: further calls of connect() for it check its state. */
static int tried_by[256];

static int see_connect(int fd, const struct sockaddr *address, socklen_t size)
{
	unsigned last = ntohl(((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr) & 255;
	if (address->sa_family == AF_INET) {
		tried[last] += tried_by[last] != fd;
		tried_by[last] = fd;
	}
	return fl_test_real_net_sys.connect(fd, address, size);
}

static void see(void)
{
	memset(tried, 0, sizeof tried);
	memset(tried_by, -1, sizeof tried_by);
	fl__net_sys.connect = see_connect;
}

FL_NET_TEST(net_addresses_second_when_the_first_refuses)
{
	uint16_t port = 0;
	fl_stream *s = NULL;
	int fd = fl_test_bound("127.0.0.1", &port);
	fl_listener *l = fl_test_listener("127.0.0.2", port);
	fl_test_lookup_finds("127.0.0.1 127.0.0.2");
	see();
	FL_OK(fl_stream_connect_tcp(&s, "some.name", port));
	FL_CHECK(tried[1] == 1 && tried[2] == 1);
	fl_test_start_clock();
	fl_stream *other = fl_test_accepted(l);
	fl_test_talk(s, other);
	fl_stream_free(s);
	fl_stream_free(other);
	/* the first answer counts: the others are not tried */
	fl_test_lookup_finds("127.0.0.2 127.0.0.1");
	see();
	FL_OK(fl_stream_connect_tcp(&s, "some.name", port));
	FL_CHECK(tried[1] == 0 && tried[2] == 1);
	fl_stream_free(s);
	fl_listener_free(l);
	FL_RC(fl_stream_connect_tcp(&s, "some.name", port), -ECONNREFUSED);
	FL_CHECK(tried[1] == 1 && tried[2] == 2 && close(fd) == 0);
}

static fl_stream *eager_stream;

static int connect_name(void *port)
{
	return fl_stream_connect_tcp(&eager_stream, "some.name", *(uint16_t *)port);
}

/* The clock stands still: so only the test decides when the second one begins. */
FL_NET_TEST(net_addresses_second_beside_a_silent_one)
{
	uint16_t port = 0;
	int full[2];
	fl_test_stop_clock();
	fl_test_full(full, "127.0.0.1", &port);
	fl_listener *l = fl_test_listener("127.0.0.2", port);
	unsigned fds = fl_test_fds();
	fl_test_lookup_finds("127.0.0.1 127.0.0.2");
	see();
	fl_fiber *f = fl_test_start(connect_name, &port);
	FL_TEST_UNTIL(tried[1] == 1);
	fl__store_relaxed(&fl_test_ahead, FL_MS(249));
	for (int i = 0; i < 1000; i++) /* many reads of the clock */
		FL_OK(fl_sleep(0));
	FL_CHECK(tried[1] == 1 && tried[2] == 0);
	fl__store_relaxed(&fl_test_ahead, FL_MS(250));
	FL_OK(fl_test_join(f));
	FL_CHECK(tried[1] == 1 && tried[2] == 1);
	fl_test_start_clock();
	fl_stream *other = fl_test_accepted(l);
	fl_test_talk(eager_stream, other);
	FL_CHECK(fl_test_fds() == fds + 2); /* the first attempt was closed */
	fl_stream_free(eager_stream);
	fl_stream_free(other);
	fl_listener_free(l);
	fl_test_close_two(full);
}

/* A failed attempt starts the next one at once, though another is still under way. */
FL_NET_TEST(net_addresses_next_when_one_fails)
{
	uint16_t port = 0;
	int full[2];
	fl_test_stop_clock();
	fl_test_full(full, "127.0.0.1", &port);
	int fd = fl_test_bound("127.0.0.2", &port);
	fl_listener *l = fl_test_listener("127.0.0.3", port);
	fl_test_lookup_finds("127.0.0.1 127.0.0.2 127.0.0.3");
	see();
	fl_fiber *f = fl_test_start(connect_name, &port);
	FL_TEST_UNTIL(tried[1] == 1);
	fl__store_relaxed(&fl_test_ahead, FL_MS(250));
	FL_OK(fl_test_join(f));
	FL_CHECK(tried[1] == 1 && tried[2] == 1 && tried[3] == 1);
	fl_test_start_clock();
	fl_stream_free(eager_stream);
	fl_listener_free(l);
	fl_test_close_two(full);
	FL_OK(close(fd));
}

/* Several under way at once: all are closed. */
FL_NET_TEST(net_addresses_cancelled)
{
	uint16_t port = 0;
	int a[2], b[2];
	fl_test_clock_ours();
	fl_test_full(a, "127.0.0.1", &port);
	fl_test_full(b, "127.0.0.2", &port);
	unsigned fds = fl_test_fds();
	fl_test_lookup_finds("127.0.0.1 127.0.0.2");
	fl_fiber *f = fl_test_start(connect_name, &port);
	FL_TEST_UNTIL(fl_test_fds() == fds + 1);
	fl__store_relaxed(&fl_test_ahead, FL_MS(250)); /* relaxed: as above */
	FL_TEST_UNTIL(fl_test_fds() == fds + 2);
	fl_test_cancel(f);
	FL_CHECK(fl_test_fds() == fds);
	fl_test_close_two(a);
	fl_test_close_two(b);
}

/* What each attempt answers, by the last byte of its address; 0: what the system says. */
static int answers[256];

static int answer(int fd, const struct sockaddr *address, socklen_t size)
{
	unsigned last = ntohl(((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr) & 255;
	return answers[last] ? answers[last] : fl_test_real_net_sys.connect(fd, address, size);
}

/* The last address speaks, unless all it says is that this machine has no way to it. */
FL_NET_TEST(net_addresses_errors)
{
	static const int cases[][3] = {
	    {-ECONNREFUSED, -EHOSTUNREACH, -EHOSTUNREACH},
	    {-EHOSTUNREACH, -ECONNREFUSED, -ECONNREFUSED},
	    {-ECONNREFUSED, -ENETUNREACH, -ECONNREFUSED},
	    {-ENETUNREACH, -ECONNREFUSED, -ECONNREFUSED},
	    {-ECONNREFUSED, -EADDRNOTAVAIL, -ECONNREFUSED},
	    {-EADDRNOTAVAIL, -ENETUNREACH, -ENETUNREACH},
	    {-ENETUNREACH, -EADDRNOTAVAIL, -EADDRNOTAVAIL},
	    {-ECONNREFUSED, -ETIMEDOUT, -ETIMEDOUT},
	    {-EAFNOSUPPORT, -ENOBUFS, -ENOMEM},
	};
	fl_stream *s = NULL;
	fl_test_lookup_finds("127.0.0.1 127.0.0.2");
	fl__net_sys.connect = answer;
	FL_EACH (i, cases) {
		memcpy(&answers[1], cases[i], 2 * sizeof *answers);
		FL_RC(fl_stream_connect_tcp(&s, "some.name", 80), cases[i][2]);
	}
}

/* IPv6 and IPv4 in turn, the name's first one first, each family in its order. */
static char order[64];

static int note_and_refuse(int fd, const struct sockaddr *address, socklen_t size)
{
	size_t n = strlen(order);
	const struct sockaddr_in *four = (const void *)address;
	const struct sockaddr_in6 *six = (const void *)address;
	if (address->sa_family == AF_INET)
		(void)snprintf(order + n, sizeof order - n, "%u ", ntohl(four->sin_addr.s_addr) & 255);
	else
		(void)snprintf(order + n, sizeof order - n, "%x ", six->sin6_addr.s6_addr[15]);
	return -ECONNREFUSED;
}

static void try_in_order(const char *addresses, const char *expected)
{
	fl_stream *s = NULL;
	fl_test_lookup_finds(addresses);
	order[0] = '\0';
	FL_RC(fl_stream_connect_tcp(&s, "some.name", 80), -ECONNREFUSED);
	if (strcmp(order, expected) != 0)
		print_error("%s: %s\n", addresses, order);
	FL_CHECK(strcmp(order, expected) == 0);
}

static int any_socket(int family, int type, int protocol)
{
	return fl_test_real_net_sys.socket(AF_INET, type, protocol);
}

FL_NET_TEST(net_addresses_families_in_turn)
{
	fl__net_sys.connect = note_and_refuse;
	fl__net_sys.socket = any_socket; /* also where there is no IPv6 */
	try_in_order("::a ::b ::c 127.0.0.1 127.0.0.2", "a 1 b 2 c ");
	try_in_order("127.0.0.1 127.0.0.2 127.0.0.3 ::a", "1 a 2 3 ");
	try_in_order("127.0.0.1 ::a ::b 127.0.0.2 127.0.0.3 ::c", "1 a 2 b 3 c ");
	try_in_order("::a", "a ");
}
