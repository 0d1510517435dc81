/* SPDX-License-Identifier: BSD-2-Clause */
/* Datagrams to groups, and to all of a network: over the loopback interface alone. */
#include "fl_datagrams.h"

#include <net/if.h>

static char all_ipv4[] = "0.0.0.0", local[] = "127.0.0.1", letter[] = "x";
static const char group[] = "239.255.7.1", other_group[] = "239.255.7.2";

static fl_datagram *open_with(const char *host, uint16_t port, const fl_datagram_config *c)
{
	fl_datagram *d = NULL;
	FL_OK(fl_datagram_open_udp(&d, host, port, c));
	return d;
}

/* Joins or leaves a group of IPv4 on the loopback interface. */
static void change_group(const fl_datagram *d, int option, const char *to)
{
	struct group_req request = {.gr_interface = if_nametoindex("lo")};
	const fl_address a = fl_test_udp_address(to, 1);
	memcpy(&request.gr_group, &a.system, sizeof a.system);
	FL_OK(setsockopt(fl_datagram_fd(d), IPPROTO_IP, option, &request, sizeof request));
}

static void gets_none(fl_datagram *d)
{
	char got[8];
	FL_RC(fl_datagram_try_receive(d, got, sizeof got, NULL), -EAGAIN);
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
	const fl_address to = fl_test_udp_address(group, port);
	change_group(a, MCAST_JOIN_GROUP, group);
	change_group(b, MCAST_JOIN_GROUP, group);
	change_group(c, MCAST_JOIN_GROUP, other_group);
	fl_test_sends(s, "group", &to);
	fl_test_gets(a, "group", NULL);
	fl_test_gets(b, "group", NULL);
	gets_none(c);
	gets_none(none);
	change_group(b, MCAST_LEAVE_GROUP, group);
	fl_test_sends(s, "group", &to);
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

FL_NET_TEST(datagram_cannot_choose_an_interface)
{
	static const int errors[][2] = {{-ENOBUFS, -ENOMEM}, {-ENOMEM, -ENOMEM}, {-ENODEV, -ENODEV}};
	const fl_datagram_config on_lo = {.interface = "lo"};
	fl_datagram *none = NULL;
	FL_EACH (i, errors) {
		fl_test_fails(CALL(set_struct), errors[i][0]);
		FL_RC(fl_datagram_open_udp(&none, "0.0.0.0", 0, &on_lo), errors[i][1]);
	}
	fl_test_no_faults();
	FL_CHECK(none == NULL);
}

/* Of IPv6: to join and to leave; to send needs a route, which the loopback interface seldom has. */
static int loopback(void *unused)
{
	const fl_datagram_config quiet = {.interface = "lo", .no_loopback = true}, loud = {.interface = "lo"};
	fl_datagram *d = fl_test_udp("0.0.0.0"), *s = open_with("0.0.0.0", 0, &quiet),
		    *t = open_with("0.0.0.0", 0, &loud);
	const fl_address to = fl_test_udp_address(group, fl_datagram_port(d));
	change_group(d, MCAST_JOIN_GROUP, group);
	fl_test_sends(t, "loud", &to);
	fl_test_gets(d, "loud", NULL);
	FL_OK(fl_datagram_connect(t, &to)); /* a group may be a peer */
	FL_OK(fl_datagram_send_to(t, "peer", 4, NULL));
	fl_test_gets(d, "peer", NULL);
	fl_test_sends(s, "quiet", &to); /* on lo the interface itself brings it back */
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
	const fl_address to = fl_test_udp_address("127.255.255.255", fl_datagram_port(d));
	m.address = to;
	FL_RC(fl_datagram_send_to_until(not_allowed, "x", 1, &to, FL_NO_WAIT, NULL), -EACCES);
	FL_RC(fl_datagram_try_send_to(not_allowed, "x", 1, &to), -EACCES);
	FL_RC(fl_datagram_send_many(not_allowed, &m, 1, NULL), -EACCES);
	fl_test_sends(s, "all", &to);
	fl_test_gets(d, "all", NULL);
	FL_OK(fl_datagram_connect(s, &to));
	FL_OK(fl_datagram_send_to(s, "all", 3, NULL));
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
