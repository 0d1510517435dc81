/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_DATAGRAMS_H
#define FL_DATAGRAMS_H

/*
 * Datagram sockets in tests, over the loopback interface only. A case is a fiber that leaves
 * nothing behind (fl_streams.h):
 *
 *     FL_NET_TEST(datagram_echoes)
 *     {
 *             fl_datagram *d = fl_test_udp("127.0.0.1");
 *             ...
 *             fl_datagram_free(d);
 *     }
 */
#include "fl_streams.h"

#include "loop/net/datagram.h"

/* For cases that choose an interface for groups, which qemu-user does not support. */
static inline void fl_test_needs_groups(void)
{
	const struct ip_mreqn any = {.imr_ifindex = 0};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	FL_CHECK(fd >= 0);
	int rc = setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &any, sizeof any) == 0 ? 0 : errno;
	FL_OK(close(fd));
	if (rc == ENOPROTOOPT)
		FL_SKIP("the emulator has no groups of an interface");
	assert_int_equal(rc, 0);
}

static inline fl_datagram *fl_test_udp(const char *host)
{
	fl_datagram *d = NULL;
	FL_OK(fl_datagram_open_udp(&d, host, 0, NULL));
	FL_CHECK(fl_datagram_port(d) != 0 && fl_datagram_fd(d) >= 0);
	return d;
}

static inline fl_datagram *fl_test_unix(const char *path)
{
	fl_datagram *d = NULL;
	FL_OK(fl_datagram_open_unix(&d, path));
	return d;
}

static inline fl_address fl_test_udp_address(const char *host, uint16_t port)
{
	fl_address a;
	FL_OK(fl_address_ip(&a, host, port));
	return a;
}

static inline fl_address fl_test_address_of(const fl_datagram *d)
{
	fl_address a;
	FL_OK(fl_datagram_local_address(d, &a));
	return a;
}

/* Two sockets of one kind, each of which can send to the other's address. */
typedef struct fl_test_two {
	fl_datagram *a, *b;
	fl_address to_a, to_b;
} fl_test_two;

typedef void fl_test_two_datagrams(const fl_test_two *t);

static inline int fl_test_run_two(fl_datagram *a, fl_datagram *b, fl_test_two_datagrams *function)
{
	const fl_test_two t = {a, b, fl_test_address_of(a), fl_test_address_of(b)};
	function(&t);
	fl_datagram_free(a);
	fl_datagram_free(b);
	return 0;
}

static inline int fl_test_two_udp(void *function)
{
	return fl_test_run_two(fl_test_udp("127.0.0.1"), fl_test_udp("127.0.0.1"), *(fl_test_two_datagrams **)function);
}

static inline int fl_test_two_udp_ipv6(void *function)
{
	if (!fl_test_has_ipv6())
		return 0;
	return fl_test_run_two(fl_test_udp("::1"), fl_test_udp("::1"), *(fl_test_two_datagrams **)function);
}

static inline int fl_test_two_unix(void *function)
{
	return fl_test_run_two(fl_test_unix(NULL), fl_test_unix(NULL), *(fl_test_two_datagrams **)function);
}

static inline void fl_test_with_two_unix(fl_test_two_datagrams *function)
{
	fl_test_leaves_nothing(fl_test_two_unix, &function);
}

static inline void fl_test_each_two(fl_test_two_datagrams *function)
{
	fl_test_leaves_nothing(fl_test_two_udp, &function);
	fl_test_leaves_nothing(fl_test_two_udp_ipv6, &function);
	fl_test_with_two_unix(function);
}

#define FL_DATAGRAM_TEST(name) FL_TEST_WITH(name, fl_test_each_two, const fl_test_two *t)

/*
 * Checks that each send and each receive that may wait returns the error. The inline forms without
 * a deadline call these functions.
 */
static inline void fl_test_each_wait_gives(fl_datagram *d, const fl_address *to, int error)
{
	char got[8];
	fl_datagram_message m = {.data = got, .size = sizeof got, .address = *to};
	FL_RC(fl_datagram_send_to_until(d, "x", 1, NULL, FL_NO_WAIT, NULL), error); /* to the peer */
	FL_RC(fl_datagram_send_to_until(d, "x", 1, to, FL_NO_WAIT, NULL), error);
	FL_RC(fl_datagram_send_many_until(d, &m, 1, NULL, FL_NO_WAIT, NULL), error);
	FL_RC(fl_datagram_receive_until(d, got, sizeof got, NULL, FL_NO_WAIT, NULL), error);
	FL_RC(fl_datagram_receive_many_until(d, &m, 1, FL_NO_WAIT, NULL), error); /* -EINVAL, -EPIPE, -EOWNERDEAD */
}

/* Checks the same for all other sends and receives. */
static inline void fl_test_each_try_gives(fl_datagram *d, const fl_address *to, int error)
{
	char got[8];
	fl_datagram_message m = {.data = got, .size = sizeof got, .address = *to};
	FL_RC(fl_datagram_try_send_to(d, "x", 1, to), error);
	FL_RC(fl_datagram_try_send_many(d, &m, 1, NULL), error);
	FL_RC(fl_datagram_try_receive(d, got, sizeof got, NULL), error);
	FL_RC(fl_datagram_try_receive_many(d, &m, 1), error); /* -EINVAL, -EPIPE, -EOWNERDEAD */
}

/* Checks the same for every send and receive. */
static inline void fl_test_each_call_gives(fl_datagram *d, const fl_address *to, int error)
{
	fl_test_each_wait_gives(d, to, error);
	fl_test_each_try_gives(d, to, error);
}

static inline void fl_test_sends(fl_datagram *d, const char *text, const fl_address *to)
{
	FL_OK(fl_datagram_send_to(d, text, strlen(text), to));
}

/* Receives a text from a sender. If the time limit passes, the test has failed. */
static inline void fl_test_gets(fl_datagram *d, const char *text, const fl_address *from)
{
	char got[64];
	fl_address sender;
	FL_RC(fl_datagram_receive_until(d, got, sizeof got, &sender, fl_after(FL_S(60)), NULL), strlen(text));
	FL_CHECK(memcmp(got, text, strlen(text)) == 0);
	FL_CHECK(!from || fl_address_is_equal(&sender, from));
}

static inline bool fl_test_datagram_waits(const fl_datagram *d, int direction)
{
	return d->io.waiting[direction] != NULL;
}

#endif
