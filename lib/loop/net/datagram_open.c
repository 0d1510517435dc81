/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/base/panic.h"
#include "core/base/sys.h"
#include "core/fd/net_sys.h"
#include "datagram.h"
#include <errno.h>
#include <netdb.h>
#include <string.h>

#ifndef IP_MULTICAST_ALL
#define IP_MULTICAST_ALL 49
#endif
#ifndef IPV6_MULTICAST_ALL
#define IPV6_MULTICAST_ALL 29
#endif

/* Life. */

int fl__datagram_create(fl_datagram **made, fl_loop *l, int fd, int family)
{
	if (fl__loop_is_forked(l))
		return -EOWNERDEAD;
	fl_datagram *d = fl__alloc_from(l->allocator, 1, sizeof *d);
	if (!d)
		return -ENOMEM;
	d->family = family;
	int rc = fl__io_open(&d->io, l, fd);
	if (rc != 0) {
		fl__free_to(l->allocator, d);
		return rc;
	}
	*made = d;
	return 0;
}

void fl_datagram_close(fl_datagram *d)
{
	if (d->io.fd >= 0)
		fl__io_close_bound(&d->io, &d->file);
}

void fl_datagram_free(fl_datagram *d)
{
	if (!d)
		return;
	if (d->calls > 0 && !fl__loop_is_forked(d->io.loop))
		fl__panic("fl_datagram_free", d, "a fiber sends or receives");
	fl_datagram_close(d);
	fl__free_to(d->io.loop->allocator, d);
}

/* Options. */

static bool datagram_has_ipv4(int family, bool ipv6_only)
{
	return family == AF_INET || (family == AF_INET6 && !ipv6_only);
}

static int datagram_set_both(int fd, int family, bool ipv6_only, int ipv4_option, int ipv6_option, int value)
{
	int rc = 0;
	if (datagram_has_ipv4(family, ipv6_only))
		rc = fl__net_sys.set_option(fd, IPPROTO_IP, ipv4_option, value);
	if (rc == 0 && family == AF_INET6)
		rc = fl__net_sys.set_option(fd, IPPROTO_IPV6, ipv6_option, value);
	return rc;
}

static int datagram_set_interface(int fd, int family, bool ipv6_only, const char *name)
{
	const int index = fl__net_sys.interface(name);
	const struct ip_mreqn by_index = {.imr_ifindex = index};
	int rc = index < 0 ? index : 0;
	if (rc == 0 && datagram_has_ipv4(family, ipv6_only))
		rc = fl__net_sys.set_struct(fd, IPPROTO_IP, IP_MULTICAST_IF, &by_index, sizeof by_index);
	if (rc == 0 && family == AF_INET6)
		rc = fl__net_sys.set_option(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, index);
	return rc;
}

static int datagram_set_options(int fd, int family, bool ipv6_only, const fl_datagram_config *config)
{
	static const fl_datagram_config defaults = {0};
	const fl_datagram_config *c = config ? config : &defaults;
	int rc = family == AF_INET6 ? fl__net_sys.set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, ipv6_only) : 0;
	if (rc == 0 && c->reuse_port)
		rc = fl__net_sys.set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	if (rc == 0 && c->reuse_address)
		rc = fl__net_sys.set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (rc == 0 && c->broadcast)
		rc = fl__net_sys.set_option(fd, SOL_SOCKET, SO_BROADCAST, 1);
	if (rc == 0 && c->peer_errors)
		rc = datagram_set_both(fd, family, ipv6_only, IP_RECVERR, IPV6_RECVERR, 1);
	if (rc == 0 && c->no_loopback)
		rc = datagram_set_both(fd, family, ipv6_only, IP_MULTICAST_LOOP, IPV6_MULTICAST_LOOP, 0);
	if (rc == 0 && c->hops > 0)
		rc = datagram_set_both(fd, family, ipv6_only, IP_TTL, IPV6_UNICAST_HOPS, c->hops);
	if (rc == 0 && c->multicast_hops > 0)
		rc = datagram_set_both(fd, family, ipv6_only, IP_MULTICAST_TTL, IPV6_MULTICAST_HOPS, c->multicast_hops);
	if (rc == 0 && c->interface)
		rc = datagram_set_interface(fd, family, ipv6_only, c->interface);
	return rc;
}

/*
 * Refuses datagrams to multicast groups that only other sockets have joined. Some systems lack
 * this.
 */
static void datagram_set_own_groups(int fd, int family, bool ipv6_only)
{
	(void)datagram_set_both(fd, family, ipv6_only, IP_MULTICAST_ALL, IPV6_MULTICAST_ALL, 0);
}

/* UDP. */

static int datagram_open_at(fl_datagram **made, fl_loop *l, const struct fl__address *a, bool all,
                            const fl_datagram_config *config)
{
	const int family = a->at.any.sa_family;
	const bool ipv6_only = family == AF_INET6 && !all;
	int fd = fl__net_sys.socket(family, SOCK_DGRAM, IPPROTO_UDP);
	if (fd < 0)
		return fl__net_error(fd);
	int rc = datagram_set_options(fd, family, ipv6_only, config);
	if (rc == 0) {
		datagram_set_own_groups(fd, family, ipv6_only);
		rc = fl__net_sys.bind(fd, &a->at.any, a->size);
	}
	if (rc == 0)
		rc = fl__datagram_create(made, l, fd, family);
	if (rc != 0) {
		fl__net_sys.close(fd);
		return fl__net_error(rc);
	}
	(*made)->ipv6_only = ipv6_only;
	(*made)->peer_errors = config && config->peer_errors;
	return 0;
}

int fl_datagram_open_udp(fl_datagram **made, const char *host, uint16_t port, const fl_datagram_config *config)
{
	struct fl__address list[FL_ADDRESSES_MAX];
	fl_loop *l;
	int n = 0, rc = fl__net_enter(&l, false, "fl_datagram_open_udp");
	if (rc == 0)
		rc = n = fl__local_addresses(l, host, port, list);
	if (rc < 0)
		return rc;
	rc = -EADDRNOTAVAIL;
	for (int i = 0; i < n && (rc == -EADDRNOTAVAIL || rc == -EAFNOSUPPORT); i++)
		rc = datagram_open_at(made, l, &list[i], !host, config);
	return rc;
}

/* Unix. */

/* NULL: an abstract name that the system chooses. */
static int datagram_bind_path(struct fl__unix_file *file, int fd, const char *path, const struct sockaddr_un *a,
                              socklen_t size)
{
	if (path)
		return fl__unix_file_bind(file, fd, SOCK_DGRAM, path, a, size);
	return fl__net_sys.bind(fd, (const struct sockaddr *)a, sizeof a->sun_family);
}

int fl_datagram_open_unix(fl_datagram **made, const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	struct fl__unix_file file = {0};
	fl_loop *l;
	int rc = fl__net_enter(&l, false, "fl_datagram_open_unix");
	int size = rc == 0 && path ? fl__unix_address(&a, path) : rc;
	if (size < 0)
		return size;
	int fd = fl__net_sys.socket(AF_UNIX, SOCK_DGRAM, 0);
	if (fd < 0)
		return fl__net_error(fd);
	rc = datagram_bind_path(&file, fd, path, &a, (socklen_t)size);
	fl__unix_file_settle(&file);
	if (rc == 0)
		rc = fl__datagram_create(made, l, fd, AF_UNIX);
	if (rc != 0) {
		fl__unix_file_remove(&file);
		fl__net_sys.close(fd);
		return fl__net_error(rc);
	}
	(*made)->file = file;
	return 0;
}

static int datagram_check_fd(int fd, int *family)
{
	int type;
	int rc = fl__net_sys.get_option(fd, SOL_SOCKET, SO_TYPE, &type);
	if (rc == 0)
		rc = fl__net_sys.get_option(fd, SOL_SOCKET, SO_DOMAIN, family);
	if (rc == 0 && (type != SOCK_DGRAM || (*family != AF_INET && *family != AF_INET6 && *family != AF_UNIX)))
		rc = -EINVAL;
	return rc;
}

static void datagram_read_options(fl_datagram *d)
{
	int value = 0;
	if (d->family == AF_INET6 && fl__net_sys.get_option(d->io.fd, IPPROTO_IPV6, IPV6_V6ONLY, &value) == 0)
		d->ipv6_only = value != 0;
	value = 0;
	if (d->family == AF_INET)
		(void)fl__net_sys.get_option(d->io.fd, IPPROTO_IP, IP_RECVERR, &value);
	else if (d->family == AF_INET6)
		(void)fl__net_sys.get_option(d->io.fd, IPPROTO_IPV6, IPV6_RECVERR, &value);
	d->peer_errors = value != 0;
}

int fl_datagram_from_fd(fl_datagram **made, int fd)
{
	fl_loop *l = fl_loop_current();
	fl_datagram *d;
	int family;
	if (!l)
		return fl__loop_needed("fl_datagram_from_fd", FL__A_LOOP);
	int rc = datagram_check_fd(fd, &family);
	if (rc == 0)
		rc = fl__datagram_create(&d, l, fd, family);
	if (rc != 0)
		return rc;
	rc = fl__net_sys.adopt(fd);
	if (rc != 0) {
		(void)fl__io_close(&d->io);
		fl__free_to(l->allocator, d);
		return rc;
	}
	datagram_read_options(d);
	*made = d;
	return 0;
}

/* Addresses. */

static int datagram_get_address(const fl_datagram *d, fl_datagram_address *a,
                                int (*get)(int fd, struct sockaddr *address, socklen_t *size))
{
	socklen_t size = sizeof a->system;
	if (d->io.fd < 0)
		return -EPIPE;
	int rc = get(d->io.fd, (struct sockaddr *)&a->system, &size);
	if (rc == 0)
		fl__datagram_address_from_system(a, size);
	return rc;
}

int fl_datagram_address_of(const fl_datagram *d, fl_datagram_address *a)
{
	return datagram_get_address(d, a, fl__net_sys.local);
}

int fl_datagram_peer_of(const fl_datagram *d, fl_datagram_address *a)
{
	return datagram_get_address(d, a, fl__net_sys.peer);
}

static in_port_t *datagram_port_in(struct sockaddr_storage *a)
{
	return a->ss_family == AF_INET ? &((struct sockaddr_in *)a)->sin_port : &((struct sockaddr_in6 *)a)->sin6_port;
}

/* Returns the port in network byte order; 0: none. */
static in_port_t datagram_local(const fl_datagram *d, struct sockaddr_storage *a, socklen_t *size)
{
	*size = sizeof *a;
	if (d->family == AF_UNIX || d->io.fd < 0 || fl__net_sys.local(d->io.fd, (struct sockaddr *)a, size) != 0)
		return 0;
	return *datagram_port_in(a);
}

uint16_t fl_datagram_port(const fl_datagram *d)
{
	struct sockaddr_storage a;
	socklen_t size;
	return ntohs(datagram_local(d, &a, &size));
}

int fl_datagram_fd(const fl_datagram *d)
{
	return d->io.fd;
}

/* Connections. */

static int datagram_connect_to(const fl_datagram *d, const void *address, socklen_t size)
{
	int rc;
	do
		rc = fl__net_sys.connect(d->io.fd, address, size);
	while (rc == -EINTR);
	return fl__datagram_error(rc);
}

/* A disconnect takes away a port that the system has chosen: bind() gets it again. */
static int datagram_disconnect(const fl_datagram *d)
{
	const struct sockaddr none = {.sa_family = AF_UNSPEC};
	struct sockaddr_storage a;
	socklen_t size;
	const in_port_t port = datagram_local(d, &a, &size);
	int rc = datagram_connect_to(d, &none, sizeof none);
	if (rc != 0 || port == 0 || datagram_local(d, &a, &size) == port)
		return rc;
	*datagram_port_in(&a) = port;
	return fl__datagram_error(fl__net_sys.bind(d->io.fd, (const struct sockaddr *)&a, size));
}

/* The system refuses a new peer of the other family of IP. */
static bool datagram_changes_family(const fl_datagram *d, const fl_datagram_address *peer)
{
	fl_datagram_address before;
	return d->family == AF_INET6 && fl_datagram_peer_of(d, &before) == 0 &&
	       before.system.ss_family != peer->system.ss_family;
}

int fl_datagram_connect(fl_datagram *d, const fl_datagram_address *peer)
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
