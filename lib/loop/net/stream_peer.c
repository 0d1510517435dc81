/* SPDX-License-Identifier: BSD-2-Clause */
/* Who is at the other end of a Unix stream. */
#include "address.h"
#include "fd/net_sys.h"
#include "stream.h"
#include <errno.h>

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* Linux 6.5; missing in older headers */
#endif

static int stream_peer_address(const fl_stream *s, fl_address *a,
                               int (*get)(int fd, struct sockaddr *address, socklen_t *size))
{
	if (s->is_socket)
		return fl__address_get(a, s->io.fd, get);
	a->size = 0;
	return 0;
}

int fl_stream_peer_address(const fl_stream *s, fl_address *a)
{
	return stream_peer_address(s, a, fl__net_sys.peer);
}

int fl_stream_local_address(const fl_stream *s, fl_address *a)
{
	return stream_peer_address(s, a, fl__net_sys.local);
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
