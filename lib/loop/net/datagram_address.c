/* SPDX-License-Identifier: BSD-2-Clause */
#include "datagram.h"
#include "stream.h"
#include <errno.h>
#include <string.h>

int fl_datagram_address_udp_until(fl_datagram_address *a, const char *host, uint16_t port, fl_time deadline,
                                  fl_cancel_token *cancel)
{
	struct fl__address list[FL_ADDRESSES_MAX];
	fl_loop *l = fl__loop_needed(false, "fl_datagram_address_udp");
	const int rc = l ? fl__resolve(l, host, port, list, FL_ADDRESSES_MAX, deadline, cancel) : -ENOTSUP;
	if (rc < 0)
		return rc;
	fl__addresses_ipv4_first(list, rc);
	*a = (fl_datagram_address){.size = list[0].size};
	memcpy(&a->system, &list[0].at, list[0].size);
	fl__datagram_address_from_system(a, a->size);
	return 0;
}

int fl_datagram_address_unix(fl_datagram_address *a, const char *path)
{
	struct sockaddr_un un;
	int size = fl__unix_address(&un, path);
	if (size < 0)
		return size;
	*a = (fl_datagram_address){.size = (socklen_t)size};
	memcpy(&a->system, &un, (size_t)size);
	return 0;
}

int fl_datagram_address_text(const fl_datagram_address *a, char *text, size_t size)
{
	static const struct sockaddr none = {.sa_family = AF_UNIX};
	return fl__stream_address(a->size > 0 ? (const struct sockaddr *)&a->system : &none, a->size, text, size);
}

bool fl_datagram_address_is_equal(const fl_datagram_address *a, const fl_datagram_address *b)
{
	if (a->size != b->size || a->size == 0)
		return a->size == b->size;
	if (a->system.ss_family != b->system.ss_family)
		return false;
	if (a->system.ss_family == AF_INET || a->system.ss_family == AF_INET6)
		return fl__is_same_address(&a->system, &b->system);
	return memcmp(&a->system, &b->system, a->size) == 0;
}

static void datagram_map(struct sockaddr_in6 *to, const struct sockaddr_in *from)
{
	*to = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = from->sin_port};
	to->sin6_addr.s6_addr[10] = to->sin6_addr.s6_addr[11] = 0xff;
	memcpy(&to->sin6_addr.s6_addr[12], &from->sin_addr, sizeof from->sin_addr);
}

static void datagram_unmap(struct sockaddr_in *to, const struct sockaddr_in6 *from)
{
	*to = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = from->sin6_port};
	memcpy(&to->sin_addr, &from->sin6_addr.s6_addr[12], sizeof to->sin_addr);
}

int fl__datagram_address_to_system(const fl_datagram *d, const fl_datagram_address *a, struct sockaddr_storage *system)
{
	if (a->size < sizeof a->system.ss_family || a->size > sizeof a->system)
		return -EAFNOSUPPORT;
	if (a->system.ss_family == d->family) {
		memcpy(system, &a->system, a->size);
		return (int)a->size;
	}
	if (a->system.ss_family != AF_INET || d->family != AF_INET6 || d->ipv6_only ||
	    a->size < sizeof(struct sockaddr_in))
		return -EAFNOSUPPORT;
	datagram_map((struct sockaddr_in6 *)system, (const struct sockaddr_in *)&a->system);
	return sizeof(struct sockaddr_in6);
}

void fl__datagram_address_from_system(fl_datagram_address *a, socklen_t size)
{
	const struct sockaddr_in6 six = *(const struct sockaddr_in6 *)&a->system;
	a->size = size;
	if (size <= offsetof(struct sockaddr_un, sun_path)) {
		a->size = 0; /* an unnamed Unix socket */
	} else if (six.sin6_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&six.sin6_addr)) {
		datagram_unmap((struct sockaddr_in *)&a->system, &six);
		a->size = sizeof(struct sockaddr_in);
	}
}
