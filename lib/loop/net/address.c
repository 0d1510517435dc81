/* SPDX-License-Identifier: BSD-2-Clause */
/* Makes, compares, prints and converts network addresses. */
#include "address.h"
#include "fd/unix_file.h"
#include "net_resolve.h"
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

void fl__address_set(fl_address *a, const void *sockaddr, socklen_t size)
{
	*a = (fl_address){.size = size};
	memcpy(&a->system, sockaddr, size);
}

int fl_address_ip_until(fl_address *a, const char *host, uint16_t port, fl_time deadline, fl_cancel_token *cancel)
{
	fl_address list[FL_ADDRESSES_MAX];
	fl_loop *l = fl__loop_needed(false, "fl_address_ip");
	const int rc = l ? fl__resolve(l, host, port, list, FL_ADDRESSES_MAX, deadline, cancel) : -ENOTSUP;
	if (rc < 0)
		return rc;
	fl__addresses_ipv4_first(list, rc);
	*a = list[0];
	return 0;
}

int fl_address_unix(fl_address *a, const char *path)
{
	struct sockaddr_un un;
	int size = fl__unix_address(&un, path);
	if (size < 0)
		return size;
	fl__address_set(a, &un, (socklen_t)size);
	return 0;
}

static int address_print_ip(const fl_address *a, char *text, size_t size)
{
	const struct sockaddr_in6 *v6 = (const void *)&a->system;
	const struct sockaddr_in *v4 = (const void *)&a->system;
	const bool is_v6 = a->system.ss_family == AF_INET6;
	const unsigned port = ntohs(*fl__port_in(FL__MUTABLE(a)));
	char host[INET6_ADDRSTRLEN + sizeof "%4294967295"];
	(void)inet_ntop(a->system.ss_family, is_v6 ? (const void *)&v6->sin6_addr : &v4->sin_addr, host, sizeof host);
	if (is_v6 && v6->sin6_scope_id != 0)
		(void)sprintf(host + strlen(host), "%%%u", v6->sin6_scope_id);
	return port == 0 ? snprintf(text, size, "%s", host)
	                 : snprintf(text, size, is_v6 ? "[%s]:%u" : "%s:%u", host, port);
}

/* A path need not end in a NUL. */
static int address_print_unix(const fl_address *a, char *text, size_t size)
{
	const struct sockaddr_un *un = (const void *)&a->system;
	const int n = FL__MAX((int)a->size - (int)offsetof(struct sockaddr_un, sun_path), 0);
	const bool is_abstract = n > 1 && un->sun_path[0] == '\0';
	return snprintf(text, size, "%s%.*s", is_abstract ? "@" : "", n - is_abstract, un->sun_path + is_abstract);
}

int fl_address_text(const fl_address *a, char *text, size_t size)
{
	const int family = a->size > 0 ? a->system.ss_family : AF_UNSPEC;
	int n = 0;
	if (size > 0)
		text[0] = '\0';
	if (family == AF_INET || family == AF_INET6)
		n = address_print_ip(a, text, size);
	else if (family == AF_UNIX)
		n = address_print_unix(a, text, size);
	return (size_t)n < size ? 0 : -ENOSPC;
}

bool fl_address_is_equal(const fl_address *a, const fl_address *b)
{
	const struct sockaddr_in *a4 = (const void *)&a->system, *b4 = (const void *)&b->system;
	const struct sockaddr_in6 *a6 = (const void *)&a->system, *b6 = (const void *)&b->system;
	if (a->size != b->size || a->size == 0)
		return a->size == b->size;
	if (a->system.ss_family != b->system.ss_family)
		return false;
	if (a->system.ss_family == AF_INET)
		return a4->sin_port == b4->sin_port && a4->sin_addr.s_addr == b4->sin_addr.s_addr;
	if (a->system.ss_family == AF_INET6)
		return a6->sin6_port == b6->sin6_port && a6->sin6_scope_id == b6->sin6_scope_id &&
		       memcmp(&a6->sin6_addr, &b6->sin6_addr, sizeof a6->sin6_addr) == 0;
	return memcmp(&a->system, &b->system, a->size) == 0;
}

in_port_t *fl__port_in(fl_address *a)
{
	void *system = &a->system;
	return a->system.ss_family == AF_INET ? &((struct sockaddr_in *)system)->sin_port
	                                      : &((struct sockaddr_in6 *)system)->sin6_port;
}

void fl__addresses_ipv4_first(fl_address *list, int n)
{
	for (int i = 0, next = 0; i < n; i++) {
		const fl_address a = list[i];
		if (a.system.ss_family != AF_INET)
			continue;
		memmove(&list[next + 1], &list[next], (size_t)(i - next) * sizeof *list);
		list[next++] = a;
	}
}

void fl__address_from_system(fl_address *a, socklen_t size)
{
	const struct sockaddr_in6 six = *(const struct sockaddr_in6 *)(const void *)&a->system;
	a->size = size;
	if (size <= offsetof(struct sockaddr_un, sun_path)) {
		a->size = 0; /* the address of an unnamed Unix socket */
	} else if (six.sin6_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&six.sin6_addr)) {
		struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = six.sin6_port};
		memcpy(&v4.sin_addr, &six.sin6_addr.s6_addr[12], sizeof v4.sin_addr);
		fl__address_set(a, &v4, sizeof v4);
	}
}

int fl__address_get(fl_address *a, int fd, int (*get)(int fd, struct sockaddr *address, socklen_t *size))
{
	socklen_t size = sizeof a->system;
	const int rc = get(fd, fl__sockaddr(a), &size);
	if (rc == 0)
		fl__address_from_system(a, size);
	return rc;
}
