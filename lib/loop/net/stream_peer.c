/* SPDX-License-Identifier: BSD-2-Clause */
#include "fd/net_sys.h"
#include "stream.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/un.h>

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* Linux 6.5; missing in older headers */
#endif

static int stream_peer_print_ipv4(const struct sockaddr_in *a, char *name, size_t size)
{
	char host[INET_ADDRSTRLEN];
	(void)inet_ntop(AF_INET, &a->sin_addr, host, sizeof host);
	return snprintf(name, size, "%s:%u", host, ntohs(a->sin_port));
}

static int stream_peer_print_ipv6(const struct sockaddr_in6 *a, char *name, size_t size)
{
	char host[INET6_ADDRSTRLEN], scope[16] = "";
	(void)inet_ntop(AF_INET6, &a->sin6_addr, host, sizeof host);
	if (a->sin6_scope_id != 0)
		(void)snprintf(scope, sizeof scope, "%%%u", a->sin6_scope_id);
	return snprintf(name, size, "[%s%s]:%u", host, scope, ntohs(a->sin6_port));
}

/* A path need not end in a NUL. */
static int stream_peer_print_unix(const struct sockaddr_un *a, socklen_t length, char *name, size_t size)
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
		n = stream_peer_print_ipv4(a, name, size);
	else if (address->sa_family == AF_INET6)
		n = stream_peer_print_ipv6(a, name, size);
	else if (address->sa_family == AF_UNIX)
		n = stream_peer_print_unix(a, length, name, size);
	return (size_t)n < size ? 0 : -ENOSPC;
}

static int stream_peer_text(const fl_stream *s, int (*get)(int fd, struct sockaddr *address, socklen_t *length),
                            char *name, size_t size)
{
	struct sockaddr_storage address = {.ss_family = AF_UNIX};
	socklen_t length = sizeof address.ss_family; /* no name */
	int rc = 0;
	if (s->is_socket) {
		length = sizeof address;
		rc = get(s->io.fd, (struct sockaddr *)&address, &length);
	}
	return rc == 0 ? fl__stream_address((struct sockaddr *)&address, length, name, size) : rc;
}

int fl_stream_peer_name(const fl_stream *s, char *name, size_t size)
{
	return stream_peer_text(s, fl__net_sys.peer, name, size);
}

int fl_stream_name(const fl_stream *s, char *name, size_t size)
{
	return stream_peer_text(s, fl__net_sys.local, name, size);
}

bool fl__stream_is_unix(const fl_stream *s)
{
	int family;
	return s->is_socket && fl__net_sys.get_option(s->io.fd, SOL_SOCKET, SO_DOMAIN, &family) == 0 &&
	       family == AF_UNIX;
}

int fl_stream_peer_credentials(const fl_stream *s, fl_peer_credentials *peer)
{
	struct ucred c;
	if (!fl__stream_is_unix(s))
		return -ENOTSUP;
	int rc = fl__net_sys.get_struct(s->io.fd, SOL_SOCKET, SO_PEERCRED, &c, sizeof c);
	if (rc == 0)
		*peer = (fl_peer_credentials){c.pid, c.uid, c.gid};
	return rc;
}

int fl_stream_peer_pidfd(const fl_stream *s)
{
	int fd;
	if (!fl__stream_is_unix(s))
		return -ENOTSUP;
	int rc = fl__net_sys.get_option(s->io.fd, SOL_SOCKET, SO_PEERPIDFD, &fd);
	if (rc == 0)
		return fd;
	return rc == -ENOPROTOOPT ? -ENOTSUP : rc == -EINVAL || rc == -ENODATA ? -ESRCH : rc;
}
