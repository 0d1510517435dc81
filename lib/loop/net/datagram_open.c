/* SPDX-License-Identifier: BSD-2-Clause */
/* Opens, connects and configures datagram sockets. datagram.c sends and receives. */
#include "core/base/panic.h"
#include "core/base/sys.h"
#include "core/hooks.h"
#include "datagram.h"
#include "fd/net_sys.h"
#include <errno.h>
#include <net/if.h>

#ifndef IP_MULTICAST_ALL
#define IP_MULTICAST_ALL 49
#endif
#ifndef IPV6_MULTICAST_ALL
#define IPV6_MULTICAST_ALL 29
#endif

void fl_datagram_close(fl_datagram *d)
{
	if (d->io.fd >= 0)
		fl__io_close_bound(&d->io, &d->file);
}

void fl_datagram_free(fl_datagram *d)
{
	if (!d)
		return;
	fl__hook_ends(d);
	if (d->calls > 0)
		fl__panic("fl_datagram_free", d, FL__IN_USE("a fiber"));
	fl_datagram_close(d);
	fl__free(d);
}

static void datagram_read_options(fl_datagram *d)
{
	const bool v6 = d->family == AF_INET6;
	int value = 0;
	if (v6 && fl__net_sys.get_option(d->io.fd, IPPROTO_IPV6, IPV6_V6ONLY, &value) == 0)
		d->ipv6_only = value != 0;
	value = 0;
	if (d->family != AF_UNIX)
		(void)fl__net_sys.get_option(d->io.fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_RECVERR : IP_RECVERR,
		                             &value);
	d->peer_errors = value != 0;
}

/* Makes the object. After an error the caller still owns `fd`. */
static int datagram_create(fl_datagram **made, fl_loop *l, int fd)
{
	int type, family;
	void *object;
	int rc = fl__net_sys.get_option(fd, SOL_SOCKET, SO_TYPE, &type);
	if (rc == 0)
		rc = fl__net_sys.get_option(fd, SOL_SOCKET, SO_DOMAIN, &family);
	if (rc == 0 && (type != SOCK_DGRAM || (family != AF_INET && family != AF_INET6 && family != AF_UNIX)))
		rc = -EINVAL;
	if (rc != 0)
		return rc;
	rc = fl__io_new(&object, sizeof(fl_datagram), l, fd);
	if (rc != 0)
		return rc;
	fl_datagram *d = object;
	d->family = family;
	datagram_read_options(d);
	*made = d;
	return 0;
}

/* Makes the object. Takes over `fd` and its file, even if it fails. */
static int datagram_create_bound(fl_datagram **made, fl_loop *l, int fd, struct fl__unix_file *file)
{
	const int rc = datagram_create(made, l, fd);
	if (rc != 0) {
		fl__unix_file_remove(file);
		fl__fd_close(fd);
		return fl__net_error(rc);
	}
	(*made)->file = *file;
	return 0;
}

/* Returns the index of the interface with that name, or -ENODEV. */
static int datagram_interface(const char *name)
{
	FL__UNCANCELLED();
	unsigned index = if_nametoindex(name);
	return index > 0 ? (int)index : -ENODEV;
}

static int datagram_prepare(int fd, int family, bool all, const void *datagram_config)
{
	const fl_datagram_config *given = datagram_config, *c = FL__OR_DEFAULTS(given);
	const bool v6 = family == AF_INET6, v4 = !v6 || all;
	const int interface = c->interface ? datagram_interface(c->interface) : 0;
	const struct ip_mreqn by_index = {.imr_ifindex = interface};
	const struct fl__socket_option options[] = {
	    {v6, IPPROTO_IPV6, IPV6_V6ONLY, !all},
	    {c->reuse_port, SOL_SOCKET, SO_REUSEPORT, 1},
	    {c->reuse_address, SOL_SOCKET, SO_REUSEADDR, 1},
	    {c->broadcast, SOL_SOCKET, SO_BROADCAST, 1},
	    {v4 && c->peer_errors, IPPROTO_IP, IP_RECVERR, 1},
	    {v6 && c->peer_errors, IPPROTO_IPV6, IPV6_RECVERR, 1},
	    {v4 && c->no_loopback, IPPROTO_IP, IP_MULTICAST_LOOP, 0},
	    {v6 && c->no_loopback, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 0},
	    {v4 && c->hops > 0, IPPROTO_IP, IP_TTL, c->hops},
	    {v6 && c->hops > 0, IPPROTO_IPV6, IPV6_UNICAST_HOPS, c->hops},
	    {v4 && c->multicast_hops > 0, IPPROTO_IP, IP_MULTICAST_TTL, c->multicast_hops},
	    {v6 && c->multicast_hops > 0, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, c->multicast_hops},
	    {v6 && interface > 0, IPPROTO_IPV6, IPV6_MULTICAST_IF, interface},
	};
	/*
	 * with these options the socket gets datagrams only of its own groups; some systems lack
	 * the options
	 */
	const struct fl__socket_option own_groups[] = {{v4, IPPROTO_IP, IP_MULTICAST_ALL, 0},
	                                               {v6, IPPROTO_IPV6, IPV6_MULTICAST_ALL, 0}};
	(void)fl__net_set_options(fd, own_groups, 2);
	if (interface < 0)
		return interface;
	const int rc = fl__net_set_options(fd, options, FL__COUNT(options));
	if (rc != 0 || interface == 0 || !v4)
		return rc;
	return fl__net_sys.set_struct(fd, IPPROTO_IP, IP_MULTICAST_IF, &by_index, sizeof by_index);
}

int fl_datagram_open_udp(fl_datagram **made, const char *host, uint16_t port, const fl_datagram_config *config)
{
	struct fl__unix_file none = {0};
	fl_loop *l = fl__loop_needed(false, "fl_datagram_open_udp");
	const int fd = l ? fl__net_open(l, host, port, SOCK_DGRAM, datagram_prepare, config) : -ENOTSUP;
	return fd < 0 ? fd : datagram_create_bound(made, l, fd, &none);
}

int fl_datagram_open_unix(fl_datagram **made, const char *path)
{
	struct fl__unix_file file = {0};
	fl_loop *l = fl__loop_needed(false, "fl_datagram_open_unix");
	const int fd = l ? fl__unix_open(&file, SOCK_DGRAM, path, 0, 0) : -ENOTSUP;
	return fd < 0 ? fd : datagram_create_bound(made, l, fd, &file);
}

int fl_datagram_from_fd(fl_datagram **made, int fd)
{
	fl_loop *l = fl__loop_needed(false, "fl_datagram_from_fd");
	fl_datagram *d;
	int rc = l ? datagram_create(&d, l, fd) : -ENOTSUP;
	if (rc != 0)
		return rc;
	rc = fl__net_sys.adopt(fd);
	if (rc != 0) {
		(void)fl__io_close(&d->io);
		fl__free(d);
		return rc;
	}
	*made = d;
	return 0;
}

int fl_datagram_local_address(const fl_datagram *d, fl_address *a)
{
	return d->io.fd < 0 ? -EPIPE : fl__address_get(a, d->io.fd, fl__net_sys.local);
}

int fl_datagram_peer_address(const fl_datagram *d, fl_address *a)
{
	return d->io.fd < 0 ? -EPIPE : fl__address_get(a, d->io.fd, fl__net_sys.peer);
}

/* Stores the address as the system has it. Returns the port in network byte order, or 0. */
static in_port_t datagram_local(const fl_datagram *d, fl_address *a)
{
	a->size = sizeof a->system;
	if (d->family == AF_UNIX || d->io.fd < 0 || fl__net_sys.local(d->io.fd, fl__sockaddr(a), &a->size) != 0)
		return 0;
	return *fl__port_in(a);
}

uint16_t fl_datagram_port(const fl_datagram *d)
{
	fl_address a;
	return ntohs(datagram_local(d, &a));
}

int fl_datagram_fd(const fl_datagram *d)
{
	return d->io.fd;
}

static int datagram_connect_to(const fl_datagram *d, const void *address, socklen_t size)
{
	return fl__datagram_error(FL__RETRY(fl__net_sys.connect(d->io.fd, address, size)));
}

/* Disconnects. The system then takes back a port that it has chosen, so binds the socket again. */
static int datagram_disconnect(const fl_datagram *d)
{
	const struct sockaddr none = {.sa_family = AF_UNSPEC};
	fl_address a;
	const in_port_t port = datagram_local(d, &a);
	int rc = datagram_connect_to(d, &none, sizeof none);
	if (rc != 0 || port == 0 || datagram_local(d, &a) == port)
		return rc;
	*fl__port_in(&a) = port;
	return fl__datagram_error(fl__net_sys.bind(d->io.fd, fl__sockaddr(&a), a.size));
}

/*
 * Returns true if a connected socket would change between IPv4 and IPv6, which the system refuses.
 */
static bool datagram_changes_family(const fl_datagram *d, const fl_address *peer)
{
	fl_address before;
	return d->family == AF_INET6 && fl_datagram_peer_address(d, &before) == 0 &&
	       before.system.ss_family != peer->system.ss_family;
}

int fl_datagram_connect(fl_datagram *d, const fl_address *peer)
{
	struct sockaddr_storage name;
	int rc = fl__datagram_check(d, false);
	if (rc != 0)
		return rc;
	int size = fl__datagram_address_to_system(d, peer, &name);
	if (size < 0)
		return size;
	if (datagram_changes_family(d, peer))
		rc = datagram_disconnect(d);
	return rc == 0 ? datagram_connect_to(d, &name, (socklen_t)size) : rc;
}

int fl_datagram_disconnect(fl_datagram *d)
{
	int rc = fl__datagram_check(d, false);
	return rc == 0 ? datagram_disconnect(d) : rc;
}
