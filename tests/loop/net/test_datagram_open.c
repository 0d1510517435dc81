/* SPDX-License-Identifier: BSD-2-Clause */
/* Datagram sockets: how they are opened. */
#include "fl_datagrams.h"

#include <net/if.h>

FL_NET_TEST(datagram_names)
{
	char name[300];
	fl_address a;
	fl_datagram *d = NULL;
	fl_test_lookup_finds("::1 127.0.0.2 127.0.0.3");
	FL_OK(fl_address_ip(&a, "some.name", 5));
	FL_CHECK(fl_test_is_address(&a, "127.0.0.2:5")); /* IPv4 before IPv6 */
	FL_OK(fl_datagram_open_udp(&d, "some.name", 0, NULL));
	a = fl_test_udp_address("127.0.0.2", fl_datagram_port(d));
	fl_address own = fl_test_address_of(d);
	FL_CHECK(fl_address_is_equal(&a, &own));
	fl_datagram_free(d);
	static const int errors[] = {-ENOENT, -EAGAIN, -EIO, -ENOMEM, -EAFNOSUPPORT, -EINVAL, -EMFILE, -ENFILE};
	FL_EACH (i, errors) {
		fl_test_found_n = errors[i];
		FL_RC(fl_address_ip(&a, "some.name", 5), errors[i]);
		FL_RC(fl_datagram_open_udp(&d, "some.name", 5, NULL), errors[i]);
	}
	memset(name, 'x', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	FL_RC(fl_address_ip(&a, name, 5), -ENAMETOOLONG);
	FL_RC(fl_address_ip(&a, NULL, 5), -EINVAL);
}

FL_NET_TEST(datagram_names_cancelled)
{
	fl_address a;
	fl_datagram *d = NULL;
	fl_test_lookup_finds("127.0.0.1");
	FL_RC(fl_address_ip_until(&a, "some.name", 1, FL_NO_WAIT, NULL), -ETIMEDOUT);
	FL_RC(fl_address_ip_until(&a, "some.name", 1, FL_FOREVER, fl_test_requested), -ECANCELED);
	FL_CANCEL_SCOPE(fl_test_requested);
	FL_RC(fl_datagram_open_udp(&d, "some.name", 1, NULL), -ECANCELED);
}

static void in_callback(void *unused)
{
	fl_address a;
	fl_datagram *d = NULL;
	FL_RC(fl_address_ip(&a, "localhost", 1), -ENOTSUP); /* it would have to wait */
	FL_OK(fl_address_ip(&a, "127.0.0.1", 1));
	FL_RC(fl_datagram_open_udp(&d, "localhost", 1, NULL), -ENOTSUP);
	FL_OK(fl_datagram_open_udp(&d, "127.0.0.1", 0, NULL));
	fl_datagram_free(d);
	FL_OK(fl_datagram_open_unix(&d, NULL));
	fl_datagram_free(d);
}

FL_NET_TEST(datagram_in_a_callback)
{
	fl_test_in_callback(in_callback, NULL);
}

/* ---- UDP */

/* port_shared: a port is private, unless both ask for a shared one. */
FL_NET_TEST(datagram_port_shared)
{
	const fl_datagram_config share = {.reuse_port = true}, reuse = {.reuse_address = true};
	const struct sockaddr_in bare = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	fl_datagram *b = NULL, *c = NULL;
	const int on = 1;
	fl_datagram *a = fl_test_udp("127.0.0.1");
	const uint16_t port = fl_datagram_port(a);
	FL_RC(fl_datagram_open_udp(&b, "127.0.0.1", port, NULL), -EADDRINUSE);
	FL_RC(fl_datagram_open_udp(&b, "127.0.0.1", port, &share), -EADDRINUSE);
	FL_RC(fl_datagram_open_udp(&b, "127.0.0.1", port, &reuse), -EADDRINUSE);
	struct sockaddr_in there = bare; /* another program that would take our datagrams */
	there.sin_port = htons(port);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	FL_CHECK(fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0);
	FL_CHECK(bind(fd, (const struct sockaddr *)&there, sizeof there) < 0 && errno == EADDRINUSE && close(fd) == 0);
	fl_datagram_free(a);
	const fl_datagram_config *both[] = {&share, &reuse};
	FL_EACH (i, both) {
		FL_OK(fl_datagram_open_udp(&b, "127.0.0.1", 0, both[i]));
		FL_OK(fl_datagram_open_udp(&c, "127.0.0.1", fl_datagram_port(b), both[i]));
		FL_RC(fl_datagram_port(b), fl_datagram_port(c));
		fl_datagram_free(b);
		fl_datagram_free(c);
	}
}

/* A machine without IPv6. */
FL_NET_TEST(datagram_without_ipv6)
{
	fl__net_sys.socket = fl_test_only_ipv4;
	fl_datagram *d = fl_test_udp(NULL), *other = fl_test_udp("127.0.0.1");
	FL_CHECK(fl_test_is_cloexec(fl_datagram_fd(d)));
	const fl_address to = fl_test_udp_address("127.0.0.1", fl_datagram_port(d)),
			 six = fl_test_udp_address("::1", 1);
	fl_test_sends(other, "x", &to);
	fl_test_gets(d, "x", NULL);
	FL_RC(fl_datagram_send_to(d, "x", 1, &six), -EAFNOSUPPORT);
	fl_test_no_faults();
	fl_datagram_free(d);
	fl_datagram_free(other);
}

static int get(const fl_datagram *d, int level, int option)
{
	int value = -1;
	socklen_t size = sizeof value;
	FL_OK(getsockopt(fl_datagram_fd(d), level, option, &value, &size));
	return value;
}

static int configured(void *unused)
{
	const fl_datagram_config c = {.broadcast = true,
	                              .peer_errors = true,
	                              .no_loopback = true,
	                              .hops = 3,
	                              .multicast_hops = 4,
	                              .interface = "lo"};
	fl_datagram *d = NULL;
	FL_OK(fl_datagram_open_udp(&d, NULL, 0, &c));
	FL_RC(get(d, SOL_SOCKET, SO_BROADCAST), 1);
	FL_RC(get(d, IPPROTO_IP, IP_RECVERR), 1);
	FL_RC(get(d, IPPROTO_IP, IP_MULTICAST_LOOP), 0);
	FL_RC(get(d, IPPROTO_IP, IP_TTL), 3);
	FL_RC(get(d, IPPROTO_IP, IP_MULTICAST_TTL), 4);
	FL_RC(get(d, IPPROTO_IP, IP_MULTICAST_ALL), 0);
	if (d->family == AF_INET6) {
		FL_RC(get(d, IPPROTO_IPV6, IPV6_RECVERR), 1);
		FL_RC(get(d, IPPROTO_IPV6, IPV6_MULTICAST_LOOP), 0);
		FL_RC(get(d, IPPROTO_IPV6, IPV6_UNICAST_HOPS), 3);
		FL_RC(get(d, IPPROTO_IPV6, IPV6_MULTICAST_HOPS), 4);
		FL_RC(get(d, IPPROTO_IPV6, IPV6_MULTICAST_IF), if_nametoindex("lo"));
		FL_RC(get(d, IPPROTO_IPV6, 29), 0); /* IPV6_MULTICAST_ALL */
	}
	fl_datagram_free(d);
	return 0;
}

FL_TEST(datagram_config)
{
	fl_test_needs_groups();
	fl_test_leaves_nothing(configured, NULL);
}

/* ---- Unix */

static void reach(fl_datagram *d, const char *path)
{
	fl_address to;
	fl_datagram *from = fl_test_unix(NULL);
	const fl_address sender = fl_test_address_of(from);
	FL_OK(fl_address_unix(&to, path));
	fl_test_sends(from, "hello", &to);
	fl_test_gets(d, "hello", &sender);
	fl_datagram_free(from);
}

FL_NET_TEST(datagram_unix_paths)
{
	fl_datagram *other = NULL;
	char below[64];
	fl_test_path p = fl_test_path_make();
	fl_datagram *d = fl_test_unix(p.name);
	const fl_address at = fl_test_address_of(d);
	FL_CHECK(fl_test_path_is_there(&p) && fl_test_is_cloexec(fl_datagram_fd(d)) && fl_datagram_port(d) == 0);
	FL_CHECK(fl_test_is_address(&at, p.name));
	reach(d, p.name);
	FL_RC(fl_datagram_open_unix(&other, p.name), -EADDRINUSE);
	FL_TEXT(below, "%s/x", p.name);
	FL_RC(fl_datagram_open_unix(&other, below), -ENOTDIR);
	fl_datagram_free(d);
	FL_CHECK(!fl_test_path_is_there(&p));
	FL_RC(fl_datagram_open_unix(&other, below), -ENOENT);
	FL_RC(fl_datagram_open_unix(&other, p.folder), -ENOTSOCK);
	FL_RC(fl_datagram_open_unix(&other, ""), -EINVAL);
	static const int types[] = {SOCK_DGRAM, SOCK_STREAM};
	FL_EACH (i, types) {
		int fd = fl_test_unix_bound(p.name, types[i], types[i] == SOCK_STREAM);
		FL_RC(fl_datagram_open_unix(&other, p.name), -EADDRINUSE);
		FL_CHECK(close(fd) == 0 && fl_test_path_is_there(&p)); /* a process that was killed leaves this */
		d = fl_test_unix(p.name);
		reach(d, p.name);
		fl_datagram_free(d);
		FL_CHECK(!fl_test_path_is_there(&p));
	}
	fl_test_path_end(&p);
}

FL_NET_TEST(datagram_unix_abstract)
{
	fl_datagram *other = NULL;
	char path[128];
	fl_datagram *d = fl_test_unix(fl_test_abstract());
	reach(d, fl_test_abstract());
	FL_RC(fl_datagram_open_unix(&other, fl_test_abstract()), -EADDRINUSE);
	fl_datagram_free(d);
	d = fl_test_unix(fl_test_abstract());
	fl_datagram_free(d);
	memset(path, 'x', sizeof path);
	path[127] = '\0';
	FL_RC(fl_datagram_open_unix(&other, path), -ENAMETOOLONG);
	FL_CHECK(other == NULL);
}

static fl_datagram *opened;

static int open_at(const char *path)
{
	return fl_datagram_open_unix(&opened, path);
}

static void free_opened(void)
{
	fl_datagram_free(opened);
	opened = NULL;
}

FL_NET_TEST(datagram_unix_leaves_the_files_of_others)
{
	fl_test_unix_leaves_others(open_at, free_opened, SOCK_DGRAM);
	fl_test_path p = fl_test_path_make();
	fl_datagram *d = fl_test_unix(p.name);
	fl_datagram_close(d); /* removes the file, too */
	FL_CHECK(!fl_test_path_is_there(&p));
	fl_datagram_free(d);
	fl_test_path_end(&p);
}

/* ---- from a descriptor */

FL_NET_TEST(datagram_from_a_descriptor)
{
	fl_datagram *d = NULL, *other = NULL;
	int fds[2], on = 1;
	FL_OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds));
	FL_OK(fl_datagram_from_fd(&d, fds[0]));
	FL_CHECK(fl_datagram_fd(d) == fds[0] && fl_test_is_cloexec(fds[0]) && !(fcntl(fds[0], F_GETFL) & O_NONBLOCK));
	FL_RC(fl_datagram_from_fd(&other, fds[0]), -EEXIST);
	FL_CHECK(send(fds[1], "hello", 5, 0) == 5);
	const fl_address unnamed = {.size = 0}, own = fl_test_address_of(d);
	fl_test_gets(d, "hello", &unnamed); /* an unnamed sender */
	FL_CHECK(own.size == 0 && fl_datagram_port(d) == 0);
	FL_OK(fl_datagram_send_to(d, "x", 1, NULL)); /* it was connected already */
	FL_OK(close(fds[1]));
	FL_RC(fl_datagram_send_to(d, "x", 1, NULL), -ECONNREFUSED);
	fl_datagram_free(d);
	for (int family = 0; family < 2; family++) {
		int fd = socket(family ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		if (fd < 0)
			continue; /* no IPv6 */
		FL_OK(setsockopt(fd, family ? IPPROTO_IPV6 : IPPROTO_IP, family ? IPV6_RECVERR : IP_RECVERR, &on,
		                 sizeof on));
		if (family)
			FL_OK(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on));
		FL_OK(fl_datagram_from_fd(&d, fd));
		FL_CHECK(d->peer_errors && d->ipv6_only == (family != 0) && fl_datagram_port(d) == 0);
		FL_OK(fl_datagram_disconnect(d));
		fl_datagram_free(d);
	}
}

/* A system call that fails: test_net_errors.c, and each in turn: test_net_sweep.c. */

FL_NET_TEST(datagram_open_udp_refuses)
{
	static const fl_datagram_config options[] = {{.reuse_port = true},    {.reuse_address = true},
	                                             {.broadcast = true},     {.peer_errors = true},
	                                             {.no_loopback = true},   {.hops = 9},
	                                             {.multicast_hops = true}};
	fl_datagram *d = NULL;
	FL_RC(fl_datagram_open_udp(&d, "192.0.2.1", 0, NULL), -EADDRNOTAVAIL); /* nobody's: RFC 5737 */
	FL_RC(fl_datagram_open_udp(&d, NULL, 0, &(fl_datagram_config){.interface = "no such one"}), -ENODEV);
	fl_test_fails(CALL(set_option), -ENOPROTOOPT);
	FL_EACH (i, options)
		FL_RC(fl_datagram_open_udp(&d, "127.0.0.1", 0, &options[i]), -ENOPROTOOPT);
	FL_CHECK(d == NULL);
	FL_OK(fl_datagram_open_udp(&d, "127.0.0.1", 0, NULL)); /* IP_MULTICAST_ALL is not everywhere */
	fl_datagram_free(d);
	fl_test_no_faults();
}

FL_NET_TEST(datagram_from_another_descriptor)
{
	fl_datagram *d = NULL;
	int ends[2];
	FL_RC(fl_datagram_from_fd(&d, -1), -EBADF);
	FL_OK(pipe(ends));
	FL_RC(fl_datagram_from_fd(&d, ends[0]), -ENOTSOCK);
	fl_test_close_two(ends);
	FL_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
	FL_RC(fl_datagram_from_fd(&d, ends[0]), -EINVAL);
	fl_test_close_two(ends);
	FL_OK(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends));
	fl__sys.alloc = fl_test_no_memory;
	FL_RC(fl_datagram_from_fd(&d, ends[0]), -ENOMEM);
	fl__sys.alloc = fl_test_counting_alloc;
	fl_test_close_two(ends);
	FL_CHECK(d == NULL);
}
