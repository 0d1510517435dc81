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
 * A listener belongs to the loop on which it was created, and must be freed before that loop. Only
 * the loop's thread may call its functions. Functions that wait may be called only by fibers of the
 * loop. All sockets are close-on-exec. TCP sockets send without delay (TCP_NODELAY).
 *
 * Hosts
 *
 * A host is a numeric address, such as "127.0.0.1", "::1" or "fe80::1%eth0", or a name. A name is
 * looked up by getaddrinfo() on one of up to 16 threads that the loop has for lookups; further
 * lookups are pending. If the caller of a lookup is cancelled or times out, a lookup that has begun
 * continues on its thread until getaddrinfo() returns, which may take half a minute. So 16 of these
 * hold up other lookups of the loop, but no call of fl_blocking_call(). The end of the loop does
 * not wait for them, except where a shared object contains the library, because a shared object may
 * be unloaded. If getaddrinfo() finds no address of a name, the log says why.
 *
 * Results of a lookup
 *
 * Each function that takes a host may return the following errors of the lookup:
 *   -ENOENT        the name does not exist, or has no address (EAI_NONAME, EAI_NODATA,
 *                  EAI_ADDRFAMILY)
 *   -EAGAIN        the name servers do not answer now (EAI_AGAIN), or no thread can be started
 *   -EIO           the name servers refuse (EAI_FAIL), or the error is none of this list
 *   -ENAMETOOLONG  the host is longer than 255 bytes, or getaddrinfo() says so (EAI_OVERFLOW)
 *   -ENOMEM        there is no memory (also EAI_MEMORY)
 *   -EAFNOSUPPORT  the system does not have the family of the address (EAI_FAMILY)
 *   -EINVAL        the host is NULL, or an invalid name (EAI_IDN_ENCODE, EAI_BADFLAGS,
 *                  EAI_SOCKTYPE, EAI_SERVICE)
 *   -EMFILE, -ENFILE, or another error of the system
 *                  getaddrinfo() has failed by it (EAI_SYSTEM)
 */

/*
 * Looks up the addresses of `host`, and stores them with `port` in `list`, in the order in which to
 * try them.
 *
 * The call stores at most `n` addresses, and at most FL_ADDRESSES_MAX. It blocks the calling fiber.
 *
 * Returns:
 *   > 0         the number of addresses that were stored
 *   -ETIMEDOUT  the deadline passed
 *   -ECANCELED  the wait was cancelled
 *   -ENOTSUP    the caller is no fiber of a loop
 *   -EINVAL     `n` is 0
 *   other       an error of the lookup: see "Results of a lookup" in fairlead/net.h
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
	/* The most connections that wait for an accept. 0 means the system's limit. */
	int backlog;
	/* Whether TCP listeners share the port. The system distributes the connections. */
	bool reuse_port;
	/* The mode of a Unix socket's file, such as 0600. 0 means 0777 without the umask's bits. */
	unsigned mode;
	uintptr_t more_[4];
} fl_listen_config;

/*
 * Listens at a TCP port of this machine, and stores the listener in `*l`.
 *
 * `port` 0 means a port that the system chooses: see fl_listener_port(). `host` NULL means all
 * addresses of this machine, of IPv4 and IPv6. A name means the first of its addresses that this
 * machine has, IPv4 before IPv6. `config` may be NULL.
 *
 * The lookup of a name blocks the calling fiber. Otherwise the call never waits.
 *
 * Returns:
 *   0                 the listener was created
 *   -EADDRINUSE       the port is in use
 *   -EADDRNOTAVAIL    the host is no address of this machine
 *   -EINVAL           `backlog` is negative
 *   -EACCES           the user may not listen at this port
 *   -EAFNOSUPPORT     the system does not have the family of the address
 *   -EMFILE, -ENFILE  the process, or the system, has too many descriptors
 *   -ENOMEM           there is no memory
 *   -ENOSPC           the user's limit of watched descriptors is reached
 *   -ECANCELED        the lookup was cancelled
 *   -ENOTSUP          the thread runs no loop; or the host is a name, and the caller is no fiber
 *   other             an error of the lookup: see "Results of a lookup" in fairlead/net.h
 */
FL_API FL_MUST_CHECK int fl_listener_open_tcp(fl_listener **l, const char *host, uint16_t port,
                                              const fl_listen_config *config);

/*
 * Listens at a path, or at an abstract name, which begins with '@', and stores the listener in
 * `*l`.
 *
 * The user of a connecting process needs the right to write the socket file. The file gets its
 * `mode`, whatever the umask is, before any process can connect. Any user may connect to an
 * abstract name: check fl_stream_peer_credentials(). `config` may be NULL.
 *
 * fl_listener_close() and fl_listener_free() remove the socket file, unless another socket has
 * replaced it. If a stale socket file is at the path, the call removes it first. To find out
 * whether a file is stale, it makes a short connection to the process that listens there. The call
 * never waits.
 *
 * Returns:
 *   0                  the listener was created
 *   -EADDRINUSE        a process listens there, has a socket of another kind there, or is just
 *                      opening the path
 *   -ENOTSOCK          the file is no socket
 *   -ENAMETOOLONG      the path is longer than 107 bytes
 *   -EINVAL            the path is NULL or ""; or `mode` is above 0777, or is not 0 for an abstract
 *                      name; or `backlog` is negative
 *   -ENOENT, -ENOTDIR  the folder does not exist
 *   -EACCES, -EROFS    the user may not write in the folder, or nobody may
 *   -EMFILE, -ENFILE   the process, or the system, has too many descriptors
 *   -ENOMEM            there is no memory
 *   -ENOSPC            the user's limit of watched descriptors is reached
 *   -ENOTSUP           the thread runs no loop
 *   other              an error of the system for the path
 *
 * If several processes call this for one path at the same time, one of them gets the path: the call
 * locks a file `path`.lock by flock(). On a file system without such locks several calls may
 * succeed, and only one of the listeners keeps the path.
 */
FL_API FL_MUST_CHECK int fl_listener_open_unix(fl_listener **l, const char *path, const fl_listen_config *config);

/*
 * Closes and frees the listener. `l` may be NULL. The call never waits.
 *
 * The call panics while a fiber accepts.
 */
FL_API void fl_listener_free(fl_listener *l);

/*
 * Stops listening, so that the port or path is free. It never waits. The call may be repeated.
 *
 * A fiber that accepts, and each later accept, gets -EPIPE. Connections that were not accepted are
 * reset.
 */
FL_API void fl_listener_close(fl_listener *l);

/*
 * Accepts a connection, and stores its stream in `*s`.
 *
 * The call blocks the calling fiber while there is no connection. One fiber at a time may accept.
 * Connections that broke before they were accepted are skipped.
 *
 * Returns:
 *   0                 the connection was accepted
 *   -ETIMEDOUT        the deadline passed
 *   -ECANCELED        the wait was cancelled
 *   -EPIPE            the listener is closed
 *   -EBUSY            another fiber accepts
 *   -EMFILE, -ENFILE  the process, or the system, has too many descriptors
 *   -ENOMEM           there is no memory
 *   -ENOSPC           the user's limit of watched descriptors is reached
 *   -EINVAL           the caller is no fiber of the listener's loop
 *
 * After -EMFILE, -ENFILE, -ENOMEM and -ENOSPC the connection remains for the next call. That call
 * lets other fibers run first, so a loop of accepts does not starve them.
 */
FL_API FL_MUST_CHECK int fl_listener_accept_until(fl_listener *l, fl_stream **s, fl_time deadline,
                                                  fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_listener_accept(fl_listener *_l, fl_stream **_s)
{
	return fl_listener_accept_until(_l, _s, FL_FOREVER, NULL);
}

/*
 * Accepts a connection if there is one. It never waits. Callbacks of the loop may call it.
 *
 * Returns:
 *   0        the connection was accepted
 *   -EAGAIN  there is no connection
 *   other    an error of fl_listener_accept()
 */
FL_INLINE FL_MUST_CHECK int fl_listener_try_accept(fl_listener *_l, fl_stream **_s)
{
	return fl_listener_accept_until(_l, _s, FL__TRY, NULL);
}

/* Returns the TCP port, or 0 for a Unix listener. */
FL_API uint16_t fl_listener_port(const fl_listener *l);

/*
 * Returns the descriptor of the listener, which the listener owns; or -1 if it is closed.
 *
 * The descriptor is non-blocking. Use it for getsockname() and similar calls.
 */
FL_API int fl_listener_fd(const fl_listener *l);

/*
 * Connects to a TCP port of `host`, and stores the stream in `*s`.
 *
 * The call tries the addresses of a name in turn, IPv6 and IPv4 alternately. The next attempt
 * begins when an attempt has failed, or after 250 ms while that attempt goes on (RFC 8305). The
 * first connection wins. The call blocks the calling fiber.
 *
 * Returns:
 *   0                 the connection was made
 *   -ETIMEDOUT        the deadline passed, which limits lookup and connect together; or the system
 *                     gave up, after minutes
 *   -ECANCELED        the wait was cancelled
 *   -ECONNREFUSED, -EHOSTUNREACH, -ENETUNREACH, -EADDRNOTAVAIL
 *                     all attempts failed. The code is that of the last failure, except that a
 *                     failure at the remote side is reported in preference to a failure on this
 *                     machine
 *   -EMFILE, -ENFILE  the process, or the system, has too many descriptors
 *   -ENOMEM           there is no memory
 *   -ENOSPC           the user's limit of watched descriptors is reached
 *   -ENOTSUP          the caller is no fiber of a loop
 *   other             an error of the lookup ("Results of a lookup" in fairlead/net.h), or of the
 *                     system
 */
FL_API FL_MUST_CHECK int fl_stream_connect_tcp_until(fl_stream **s, const char *host, uint16_t port, fl_time deadline,
                                                     fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_stream_connect_tcp(fl_stream **_s, const char *_host, uint16_t _port)
{
	return fl_stream_connect_tcp_until(_s, _host, _port, FL_FOREVER, NULL);
}

/*
 * Connects to the Unix listener at a path, or at an abstract name, which begins with '@', and
 * stores the stream in `*s`.
 *
 * The call blocks the calling fiber while the listener's backlog is full, and tries again at least
 * every 32 ms.
 *
 * Returns:
 *   0                 the connection was made
 *   -ETIMEDOUT        the deadline passed
 *   -ECANCELED        the wait was cancelled
 *   -ENOENT           the path does not exist
 *   -ECONNREFUSED     no process listens there
 *   -EACCES           the user may not write the socket file, or search its folder
 *   -ENAMETOOLONG     the path is longer than 107 bytes
 *   -EINVAL           the path is NULL or ""
 *   -ENOTSOCK         the file is no socket
 *   -EPROTOTYPE       the socket is no stream socket
 *   -EMFILE, -ENFILE  the process, or the system, has too many descriptors
 *   -ENOMEM           there is no memory
 *   -ENOSPC           the user's limit of watched descriptors is reached
 *   -ENOTSUP          the caller is no fiber of a loop
 *   other             an error of the system
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
