/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_NET_H
#define FAIRLEAD_NET_H

#include <fairlead/address.h>
#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/stream.h>
#include <fairlead/time.h>

FL_BEGIN_DECLS

/*
 * Listeners accept connections, and connects make them. Both create streams (fairlead/stream.h).
 *
 *     static int serve(void *arg); // a fiber that gets the fl_stream, and frees it
 *
 *     fl_listener *l;
 *     fl_stream *s;
 *     int rc = fl_listener_open_tcp(&l, "127.0.0.1", 7000, NULL); // the server
 *     while (rc == 0 && (rc = fl_listener_accept(l, &s)) == 0)
 *             rc = fl_group_start(&clients, serve, s);
 *
 *     rc = fl_stream_connect_tcp(&s, "localhost", 7000); // a client
 *
 * The rules for streams hold for listeners, too (fairlead/stream.h, "Loop and fibers"). TCP sends
 * without delay (TCP_NODELAY).
 *
 * Hosts
 *
 * A host is a numeric address, such as "127.0.0.1", "::1" or "fe80::1%eth0", or a name. A loop
 * looks up names by getaddrinfo() on up to 16 threads, which a cancel or a timeout does not
 * interrupt, so 16 such lookups hold up further ones for up to half a minute.
 *
 * Results of a lookup
 *
 * Each function that takes a host may return -ENOMEM, or:
 *   -ENOENT                  the name does not exist, or has no address; the log says why
 *   -EAGAIN                  the name servers do not answer now, or no thread can be started
 *   -EIO                     the name servers refuse, or another error of getaddrinfo()
 *   -ENAMETOOLONG            the host is longer than 255 bytes, or too long for getaddrinfo()
 *   -EAFNOSUPPORT            the system does not have the family of the address
 *   -EINVAL                  the host is NULL, or an invalid name
 *   -EMFILE, -ENFILE, other  an error of the system
 */

/*
 * Looks up `host`, and stores its addresses with `port` in `list`, in the order in which to try
 * them: at most `n`, and at most FL_ADDRESSES_MAX. Blocks the calling fiber. Returns -ETIMEDOUT,
 * -ECANCELED, -ENOTSUP, or:
 *   > 0      the number of addresses that were stored
 *   -EINVAL  `n` is 0
 *   other    see "Results of a lookup" in fairlead/net.h
 */
FL_API FL_MUST_CHECK int fl_net_resolve_until(const char *host, uint16_t port, fl_address *list, unsigned n,
                                              fl_time deadline, fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_net_resolve(const char *_host, uint16_t _port, fl_address *_list, unsigned _n)
{
	return fl_net_resolve_until(_host, _port, _list, _n, FL_FOREVER, NULL);
}
#define FL_ADDRESSES_MAX 32u /* further addresses of a name are ignored */

typedef struct fl_listener fl_listener;

typedef struct fl_listen_config {
	/* The most connections that wait for an accept. 0: the system's limit. */
	int backlog;
	/* Whether TCP listeners share the port. */
	bool reuse_port;
	/*
	 * The mode that a Unix socket's file has from its start, such as 0600. 0: 0777 without the
	 * umask's bits.
	 */
	unsigned mode;
	uintptr_t more_[4];
} fl_listen_config;

/*
 * Listens at a TCP port of this machine. The lookup of a name blocks the calling fiber.
 *
 * `port` 0 means that the system chooses: see fl_listener_port(). `host` NULL means all addresses
 * of this machine. A name means the first of its addresses that this machine has, IPv4 before IPv6.
 * Returns 0, -EMFILE, -ENFILE, -ENOMEM, -ENOSPC, -ECANCELED, or:
 *   -EADDRINUSE     the port is in use
 *   -EADDRNOTAVAIL  the host is not an address of this machine
 *   -EINVAL         `backlog` is negative
 *   -EACCES         the user may not listen at this port
 *   -ENOTSUP        the thread runs no loop; or the host is a name, and the caller is not a fiber
 *   other           see "Results of a lookup" in fairlead/net.h
 */
FL_API FL_MUST_CHECK int fl_listener_open_tcp(fl_listener **l, const char *host, uint16_t port,
                                              const fl_listen_config *config);

/*
 * Listens at a path, or at an abstract name, which begins with '@'.
 *
 * Clients need the right to write the socket file (`mode`). Any user may connect to an abstract
 * name: check fl_stream_peer_credentials().
 *
 * The call replaces a socket file at which no process listens. It tests this by a short connection,
 * which a process that listens will accept, and locks a file `path`.lock meanwhile.
 * fl_listener_close() and fl_listener_free() remove the socket file, unless another socket has
 * replaced it. Returns 0, -EMFILE, -ENFILE, -ENOMEM, -ENOSPC, -ENOTSUP, or:
 *   -EADDRINUSE        a process has a socket there, or is just opening the path
 *   -ENOTSOCK          the file is not a socket
 *   -ENAMETOOLONG      the path is longer than 107 bytes
 *   -EINVAL            the path is NULL or ""; or `mode` is above 0777, or is not 0 for an abstract
 *                      name; or `backlog` is negative
 *   -ENOENT, -ENOTDIR  the folder does not exist
 *   -EACCES, -EROFS    the user may not write in the folder, or nobody may
 *   other              an error of the system for the path
 */
FL_API FL_MUST_CHECK int fl_listener_open_unix(fl_listener **l, const char *path, const fl_listen_config *config);

/* Closes and frees the listener. Panics while a fiber accepts. */
FL_API void fl_listener_free(fl_listener *l);

/*
 * Stops listening, so that the port or path is free. A fiber that accepts, and each later accept,
 * gets -EPIPE. Connections that were not accepted are reset.
 */
FL_API void fl_listener_close(fl_listener *l);

/*
 * Accepts a connection as the stream `*s`. Blocks the calling fiber while there is none. After an
 * error other than -EPIPE, the connection remains for the next call. Returns 0, -EAGAIN, -EMFILE,
 * -ENFILE, -ENOMEM, -ENOSPC, -ETIMEDOUT, -ECANCELED, -EINVAL, or:
 *   -EPIPE  the listener is closed
 *   -EBUSY  another fiber accepts
 */
FL_API FL_MUST_CHECK int fl_listener_accept_until(fl_listener *l, fl_stream **s, fl_time deadline,
                                                  fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_listener_accept(fl_listener *_l, fl_stream **_s)
{
	return fl_listener_accept_until(_l, _s, FL_FOREVER, NULL);
}
FL_INLINE FL_MUST_CHECK int fl_listener_try_accept(fl_listener *_l, fl_stream **_s)
{
	return fl_listener_accept_until(_l, _s, FL__TRY, NULL);
}

/* Returns the TCP port, or 0 for a Unix listener. */
FL_API uint16_t fl_listener_port(const fl_listener *l);

/* Returns the non-blocking descriptor, which the listener owns, or -1 if it is closed. */
FL_API int fl_listener_fd(const fl_listener *l);

/*
 * Connects to a TCP port of `host`. Blocks the calling fiber.
 *
 * The call tries the addresses of a name, IPv6 and IPv4 alternately. The next attempt begins when
 * one has failed, or after 250 ms (RFC 8305). The first connection wins. Returns 0, -ECANCELED,
 * -EMFILE, -ENFILE, -ENOMEM, -ENOSPC, -ENOTSUP, or:
 *   -ETIMEDOUT  the deadline passed, or the system gave up, after minutes
 *   -ECONNREFUSED, -EHOSTUNREACH, -ENETUNREACH, -EADDRNOTAVAIL
 *               all attempts failed: the code of the last one that failed at the remote side or, if
 *               none did, of the last
 *   other       an error of the system or the lookup ("Results of a lookup" in fairlead/net.h)
 */
FL_API FL_MUST_CHECK int fl_stream_connect_tcp_until(fl_stream **s, const char *host, uint16_t port, fl_time deadline,
                                                     fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_stream_connect_tcp(fl_stream **_s, const char *_host, uint16_t _port)
{
	return fl_stream_connect_tcp_until(_s, _host, _port, FL_FOREVER, NULL);
}

/*
 * Connects to the Unix listener at a path, or at an abstract name, which begins with '@'. Blocks
 * the calling fiber while the listener's backlog is full. Returns 0, -ETIMEDOUT, -ECANCELED,
 * -EMFILE, -ENFILE, -ENOMEM, -ENOSPC, -ENOTSUP, or:
 *   -ENOENT                 the path does not exist
 *   -ECONNREFUSED           no process listens there
 *   -EACCES                 the user may not write the socket file, or search its folder
 *   -ENAMETOOLONG           the path is longer than 107 bytes
 *   -EINVAL                 the path is NULL or ""
 *   -ENOTSOCK, -EPROTOTYPE  the file is not a socket, or not a stream socket
 *   other                   an error of the system
 */
FL_API FL_MUST_CHECK int fl_stream_connect_unix_until(fl_stream **s, const char *path, fl_time deadline,
                                                      fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_stream_connect_unix(fl_stream **_s, const char *_path)
{
	return fl_stream_connect_unix_until(_s, _path, FL_FOREVER, NULL);
}

FL__SCOPED(fl_listener, fl_listener_free)

FL_END_DECLS

#endif
