/* SPDX-License-Identifier: BSD-2-Clause */
/* Datagrams to groups, and to all of a network: over the loopback interface alone. */
#include "fl_datagrams.h"

#include <net/if.h>

static char all_ipv4[] = "0.0.0.0", local[] = "127.0.0.1", letter[] = "x";
static const char group[] = "239.255.7.1", other_group[] = "239.255.7.2";

static fl_datagram *open_with(const char *host, uint16_t port, const fl_datagram_config *c)
{
	fl_datagram *d = NULL;
	FL_GIVES(fl_datagram_open_udp(&d, host, port, c), 0);
	return d;
}

static void gets_none(fl_datagram *d)
{
	char got[8];
	FL_GIVES(fl_datagram_try_receive(d, got, sizeof got, NULL), -EAGAIN);
}

/*
 * Each receiver that has joined gets a copy. multicast_foreign: one that has joined another group,
 * or none, gets nothing, though they share the port.
 */
static int to_groups(void *host)
{
	const fl_datagram_config receiver = {.reuse_address = true}, sender = {.interface = "lo"};
	fl_datagram *a = open_with(host, 0, &receiver);
	const uint16_t port = fl_datagram_port(a);
	fl_datagram *b = open_with(host, port, &receiver), *c = open_with(host, port, &receiver),
		    *none = open_with(host, port, &receiver), *s = open_with(host, 0, &sender);
	const fl_datagram_address to = fl_test_udp_address(group, port);
	FL_GIVES(fl_datagram_join(a, group, "lo", NULL), 0);
	FL_GIVES(fl_datagram_join(b, group, "lo", NULL), 0);
	FL_GIVES(fl_datagram_join(c, other_group, "lo", NULL), 0);
	FL_GIVES(fl_datagram_send_to(s, "group", 5, &to), 0);
	fl_test_gets(a, "group", NULL);
	fl_test_gets(b, "group", NULL);
	gets_none(c);
	gets_none(none);
	FL_GIVES(fl_datagram_leave(b, group, "lo", NULL), 0);
	FL_GIVES(fl_datagram_send_to(s, "group", 5, &to), 0);
	fl_test_gets(a, "group", NULL);
	gets_none(b);
	fl_datagram_free(a);
	fl_datagram_free(b);
	fl_datagram_free(c);
	fl_datagram_free(none);
	fl_datagram_free(s);
	return 0;
}

FL_TEST(datagram_groups)
{
	fl_test_needs_groups();
	fl_test_leaves_nothing(to_groups, all_ipv4);
	fl_test_leaves_nothing(to_groups, NULL); /* a socket of both families */
}

static int from_sources(void *host)
{
	const fl_datagram_config sender = {.interface = "lo"};
	fl_datagram *d = open_with(host, 0, NULL);
	fl_datagram *s1 = open_with("127.0.0.1", 0, &sender), *s2 = open_with("127.0.0.2", 0, &sender);
	const fl_datagram_address to = fl_test_udp_address(group, fl_datagram_port(d)), from1 = fl_test_address_of(s1);
	FL_GIVES(fl_datagram_join(d, group, "lo", "127.0.0.1"), 0);
	FL_GIVES(fl_datagram_send_to(s2, "no", 2, &to), 0);
	FL_GIVES(fl_datagram_send_to(s1, "yes", 3, &to), 0);
	fl_test_gets(d, "yes", &from1);
	FL_GIVES(fl_datagram_join(d, group, "lo", "127.0.0.2"), 0);
	FL_GIVES(fl_datagram_join(d, group, "lo", "127.0.0.2"), -EADDRINUSE);
	FL_GIVES(fl_datagram_send_to(s2, "two", 3, &to), 0);
	fl_test_gets(d, "two", NULL);
	FL_GIVES(fl_datagram_leave(d, group, "lo", "127.0.0.1"), 0);
	FL_GIVES(fl_datagram_leave(d, group, "lo", "127.0.0.1"), -EADDRNOTAVAIL);
	FL_GIVES(fl_datagram_send_to(s1, "no", 2, &to), 0);
	gets_none(d);
	FL_GIVES(fl_datagram_leave(d, group, "lo", "127.0.0.2"), 0);
	FL_GIVES(fl_datagram_join(d, group, "lo", "::1"), -EINVAL);
	FL_GIVES(fl_datagram_join(d, group, "lo", "no address"), -EINVAL);
	fl_datagram_free(d);
	fl_datagram_free(s1);
	fl_datagram_free(s2);
	return 0;
}

FL_TEST(datagram_groups_by_source)
{
	fl_test_needs_groups();
	fl_test_leaves_nothing(from_sources, all_ipv4);
	fl_test_leaves_nothing(from_sources, NULL);
}

static int no_struct(int fd, int level, int option, const void *value, socklen_t size)
{
	(void)fd, (void)level, (void)option, (void)value, (void)size;
	return fault;
}

static int cannot_join(void *unused)
{
	const fl_datagram_config on_lo = {.interface = "lo"};
	fl_datagram *none = NULL;
	(void)unused;
	fl_datagram *d = fl_test_udp("0.0.0.0"), *u = fl_test_unix(NULL);
	FL_GIVES(fl_datagram_join(d, group, "lo", NULL), 0);
	FL_GIVES(fl_datagram_join(d, group, "lo", NULL), -EADDRINUSE);
	FL_GIVES(fl_datagram_join(d, group, "no such one", NULL), -ENODEV);
	FL_GIVES(fl_datagram_leave(d, group, "no such one", NULL), -ENODEV);
	FL_GIVES(fl_datagram_leave(d, other_group, "lo", NULL), -EADDRNOTAVAIL);
	FL_GIVES(fl_datagram_join(d, "127.0.0.1", "lo", NULL), -EINVAL); /* no group */
	FL_GIVES(fl_datagram_join(d, "some.name", "lo", NULL), -EINVAL);
	FL_GIVES(fl_datagram_join(d, NULL, "lo", NULL), -EINVAL);
	FL_GIVES(fl_datagram_leave(d, "some.name", "lo", NULL), -EINVAL);
	FL_GIVES(fl_datagram_join(d, "ff02::7", "lo", NULL), -EAFNOSUPPORT);
	FL_GIVES(fl_datagram_leave(d, "ff02::7", "lo", NULL), -EAFNOSUPPORT);
	FL_GIVES(fl_datagram_join(u, group, "lo", NULL), -EAFNOSUPPORT);
	if (fl_test_has_ipv6()) {
		fl_datagram *six = fl_test_udp("::1");
		FL_GIVES(fl_datagram_join(six, group, "lo", NULL), -EAFNOSUPPORT);
		fl_datagram_free(six);
	}
	fl__net_sys.set_struct = no_struct;
	static const int errors[][2] = {{-ENOBUFS, -ENOMEM}, {-ENOMEM, -ENOMEM}, {-ENODEV, -ENODEV}};
	for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
		fault = errors[i][0];
		FL_GIVES(fl_datagram_join(d, other_group, NULL, NULL), errors[i][1]);
		FL_GIVES(fl_datagram_join(d, other_group, NULL, "127.0.0.1"), errors[i][1]);
		FL_GIVES(fl_datagram_open_udp(&none, "0.0.0.0", 0, &on_lo), errors[i][1]);
	}
	fl_test_no_faults();
	FL_CHECK(none == NULL);
	fl_datagram_free(d);
	fl_datagram_free(u);
	return 0;
}

FL_TEST(datagram_cannot_join)
{
	fl_test_needs_groups();
	fl_test_leaves_nothing(cannot_join, NULL);
}

/* Of IPv6: to join and to leave; to send needs a route, which the loopback interface seldom has. */
static int ipv6_groups(void *unused)
{
	const fl_datagram_config on_lo = {.interface = "lo"};
	(void)unused;
	if (!fl_test_has_ipv6())
		return 0;
	fl_datagram *d = open_with(NULL, 0, &on_lo);
	const fl_datagram_address to = fl_test_udp_address("ff02::7:7", fl_datagram_port(d));
	FL_GIVES(fl_datagram_join(d, "ff02::7:7", "lo", NULL), 0);
	FL_GIVES(fl_datagram_join(d, "ff02::7:7", "lo", NULL), -EADDRINUSE);
	int rc = fl_datagram_send_to(d, "six", 3, &to);
	if (rc == 0)
		fl_test_gets(d, "six", NULL);
	else
		FL_CHECK(rc == -ENETUNREACH || rc == -EADDRNOTAVAIL || rc == -EHOSTUNREACH);
	FL_GIVES(fl_datagram_leave(d, "ff02::7:7%lo", NULL, NULL), 0); /* the interface of the address */
	FL_GIVES(fl_datagram_leave(d, "ff02::7:7", "lo", NULL), -EADDRNOTAVAIL);
	FL_GIVES(fl_datagram_join(d, "ff32::7:7", "lo", "::1"), 0);
	FL_GIVES(fl_datagram_leave(d, "ff32::7:7", "lo", "::1"), 0);
	fl_datagram_free(d);
	return 0;
}

FL_TEST(datagram_groups_of_ipv6)
{
	fl_test_needs_groups();
	fl_test_leaves_nothing(ipv6_groups, NULL);
}

static int loopback(void *unused)
{
	const fl_datagram_config quiet = {.interface = "lo", .no_loopback = true}, loud = {.interface = "lo"};
	(void)unused;
	fl_datagram *d = fl_test_udp("0.0.0.0"), *s = open_with("0.0.0.0", 0, &quiet),
		    *t = open_with("0.0.0.0", 0, &loud);
	const fl_datagram_address to = fl_test_udp_address(group, fl_datagram_port(d));
	FL_GIVES(fl_datagram_join(d, group, "lo", NULL), 0);
	FL_GIVES(fl_datagram_send_to(t, "loud", 4, &to), 0);
	fl_test_gets(d, "loud", NULL);
	FL_GIVES(fl_datagram_connect(t, &to), 0); /* a group may be a peer */
	FL_GIVES(fl_datagram_send(t, "peer", 4), 0);
	fl_test_gets(d, "peer", NULL);
	FL_GIVES(fl_datagram_send_to(s, "quiet", 5, &to), 0); /* on lo the interface itself brings it back */
	fl_datagram_free(d);
	fl_datagram_free(s);
	fl_datagram_free(t);
	return 0;
}

FL_TEST(datagram_group_as_a_peer)
{
	fl_test_needs_groups();
	fl_test_leaves_nothing(loopback, NULL);
}

static int to_all(void *host)
{
	const fl_datagram_config broadcast = {.broadcast = true};
	fl_datagram_message m = {.data = letter, .size = 1};
	fl_datagram *d = open_with("0.0.0.0", 0, NULL), *s = open_with(host, 0, &broadcast),
		    *not_allowed = fl_test_udp(host);
	const fl_datagram_address to = fl_test_udp_address("127.255.255.255", fl_datagram_port(d));
	m.address = to;
	FL_GIVES(fl_datagram_send_to(not_allowed, "x", 1, &to), -EACCES);
	FL_GIVES(fl_datagram_send_to_until(not_allowed, "x", 1, &to, 0, NULL), -EACCES);
	FL_GIVES(fl_datagram_try_send_to(not_allowed, "x", 1, &to), -EACCES);
	FL_GIVES(fl_datagram_send_many(not_allowed, &m, 1, NULL), -EACCES);
	FL_GIVES(fl_datagram_send_to(s, "all", 3, &to), 0);
	fl_test_gets(d, "all", NULL);
	FL_GIVES(fl_datagram_connect(s, &to), 0);
	FL_GIVES(fl_datagram_send(s, "all", 3), 0);
	fl_test_gets(d, "all", NULL);
	fl_datagram_free(d);
	fl_datagram_free(s);
	fl_datagram_free(not_allowed);
	return 0;
}

FL_TEST(datagram_broadcast)
{
	fl_test_leaves_nothing(to_all, local);
	fl_test_leaves_nothing(to_all, NULL);
}
