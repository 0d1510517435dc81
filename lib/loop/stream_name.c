/* SPDX-License-Identifier: BSD-2-Clause */
/* The addresses of a stream, as text. */
#include "net_sys.h"
#include "stream.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/un.h>

static int print_4(const struct sockaddr_in *a, char *name, size_t size)
{
	char host[INET_ADDRSTRLEN];
	(void)inet_ntop(AF_INET, &a->sin_addr, host, sizeof host);
	return snprintf(name, size, "%s:%u", host, ntohs(a->sin_port));
}

static int print_6(const struct sockaddr_in6 *a, char *name, size_t size)
{
	char host[INET6_ADDRSTRLEN], scope[16] = "";
	(void)inet_ntop(AF_INET6, &a->sin6_addr, host, sizeof host);
	if (a->sin6_scope_id != 0)
		(void)snprintf(scope, sizeof scope, "%%%u", a->sin6_scope_id);
	return snprintf(name, size, "[%s%s]:%u", host, scope, ntohs(a->sin6_port));
}

/* A path need not end in a NUL. An abstract name begins with a NUL. */
static int print_unix(const struct sockaddr_un *a, socklen_t length, char *name, size_t size)
{
	int n = (int)length - (int)offsetof(struct sockaddr_un, sun_path);
	bool is_abstract = n > 1 && a->sun_path[0] == '\0';
	return snprintf(name, size, "%s%.*s", is_abstract ? "@" : "",
	                is_abstract ? n - 1
	                : n > 0     ? n
	                            : 0,
	                a->sun_path + is_abstract);
}

int fl__stream_address(const struct sockaddr *address, socklen_t length, char *name, size_t size)
{
	const void *a = address;
	int n = 0;
	if (size > 0)
		name[0] = '\0';
	if (address->sa_family == AF_INET)
		n = print_4(a, name, size);
	else if (address->sa_family == AF_INET6)
		n = print_6(a, name, size);
	else if (address->sa_family == AF_UNIX)
		n = print_unix(a, length, name, size);
	return (size_t)n < size ? 0 : -ENOSPC;
}

int fl_stream_peer_name(const fl_stream *s, char *name, size_t size)
{
	struct sockaddr_storage address;
	socklen_t length = sizeof address;
	int rc = fl__net_sys.peer(s->io.fd, (struct sockaddr *)&address, &length);
	return rc == 0 ? fl__stream_address((struct sockaddr *)&address, length, name, size) : rc;
}

int fl_stream_name(const fl_stream *s, char *name, size_t size)
{
	struct sockaddr_storage address;
	socklen_t length = sizeof address;
	int rc = fl__net_sys.local(s->io.fd, (struct sockaddr *)&address, &length);
	return rc == 0 ? fl__stream_address((struct sockaddr *)&address, length, name, size) : rc;
}
