/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_NET_H
#define FAIRLEAD_NET_H

#include <fairlead/address.h>
#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/stream.h>
#include <fairlead/time.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

FL_BEGIN_DECLS

/*
 * Listeners and connections, which create streams (fairlead/stream.h).
 *
 *     rc = fl_listener_open_tcp(&l, "127.0.0.1", 7000, NULL);        // check
 *     while (!rc && !(rc = fl_listener_accept(l, &s)))
 *             rc = fl_group_start(&clients, serve, s);
 *
 *     rc = fl_stream_connect_tcp(&s, "localhost", 7000);             // check
 *
 * A listener belongs to the loop on which it was created. Only that loop's thread may call its
 * functions, and only fibers of the loop those that wait. A listener must be freed before its loop.
 * All sockets are close-on-exec. TCP sockets send without delay (TCP_NODELAY).
 *
 * A host is a numeric address ("127.0.0.1", "::1", "fe80::1%eth0") or a name. A name is looked up
 * by getaddrinfo() on the loop's threads (fl_to_thread()). A lookup goes on there after a cancel or
 * timeout of its caller, and the end of the loop waits for it. A failed lookup is logged. Errors of
 * a lookup, in each function that takes a host:
 *   -ENOENT        no such name, or no address (EAI_NONAME, EAI_NODATA, EAI_ADDRFAMILY)
 *   -EAGAIN        no answer now (EAI_AGAIN); or no thread can be started
 *   -EIO           the name servers refuse (EAI_FAIL), or a code that is not in this table
 *   -ENAMETOOLONG  above 255 bytes (also EAI_OVERFLOW)
 *   -ENOMEM        (also EAI_MEMORY)
 *   -EAFNOSUPPORT  a family that the system does not have (EAI_FAMILY)
 *   -EINVAL        NULL, or an invalid name (EAI_IDN_ENCODE, EAI_BADFLAGS, EAI_SOCKTYPE,
 *                  EAI_SERVICE)
 *   -EMFILE, -ENFILE, and other errors of the system (EAI_SYSTEM: the negative errno)
 */

/*
 * Looks up the addresses of `host`, in the order in which to try them, and stores them with `port`:
 * at most `n`, and at most FL_ADDRESSES_MAX. Blocks the calling fiber. Returns the number of stored addresses, -ECANCELED,
 * -ENOTSUP, or:
 *   -EINVAL     `n` is 0
 *   an error of the table above
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
	int backlog;     /* connections that wait for an accept; 0: the system's limit */
	bool reuse_port; /* TCP listeners share a port, and the system distributes the connections */
	unsigned mode;   /* of a Unix socket's file: 0600, say; 0: 0777 without the bits of the umask */
	uintptr_t more_[4];
} fl_listen_config;

/*
 * Listens at a TCP port of this machine; `port` 0: the system chooses one. `host` NULL: at all
 * addresses, of IPv4 and IPv6; a name: at the first of its addresses that this machine has, IPv4
 * before IPv6. The lookup of a name blocks the calling fiber. Returns 0, -EACCES, -EAFNOSUPPORT,
 * -EMFILE, -ENFILE, -ENOMEM, -ENOSPC, -ECANCELED, -ENOTSUP, or:
 *   -EADDRINUSE     the port is in use
 *   -EADDRNOTAVAIL  no address of this machine
 *   an error of the table above
 */
FL_API FL_MUST_CHECK int fl_listener_open_tcp(fl_listener **l, const char *host, uint16_t port,
                                              const fl_listen_config *config);

/*
 * Listens at a path, or at an abstract name, which begins with '@'. Closing the listener removes
 * the socket file, unless another socket has replaced it. A stale socket file is removed first; the
 * check makes a short connection to a process that listens there. Of several processes that call
 * this for one path at the same time, one gets the path: the call locks a file `path`.lock by
 * flock(). On a file system without such locks, several may succeed, and only one keeps the path.
 *
 * The user of a connecting process needs the right to write the file. `mode` does not depend on the
 * umask, and is set before any process can connect. Any user may connect to an abstract name
 * (fl_stream_peer_credentials()). Returns 0, -EMFILE, -ENFILE, -ENOMEM, -ENOSPC, -ENOTSUP, or:
 *   -EADDRINUSE        a process listens there, or is just opening the path
 *   -ENOTSOCK          the file is no socket
 *   -ENAMETOOLONG      above 107 bytes
 *   -EINVAL            NULL or ""; a mode with an abstract name, or above 0777
 *   -ENOENT, -ENOTDIR  the folder does not exist
 *   -EACCES, -EROFS, and other errors of the system for the path
 */
FL_API FL_MUST_CHECK int fl_listener_open_unix(fl_listener **l, const char *path, const fl_listen_config *config);

/*
 * Closes and frees the listener. Panics while a fiber accepts. In a forked child it closes only the
 * child's descriptor, and leaves the file.
 */
FL_API void fl_listener_free(fl_listener *l);

/*
 * Stops listening. A fiber that accepts, and each later call, gets -EPIPE. Connections that were
 * not accepted are reset. The port or path is free. May be called again.
 */
FL_API void fl_listener_close(fl_listener *l);

/*
 * Accepts a connection. Blocks the calling fiber while there is none. One fiber at a time. Skips
 * broken connections. After an error the connection remains for the next call, which lets other
 * fibers run first. Returns 0, -ENOMEM, -ECANCELED, -EMFILE, -ENFILE, -ENOSPC, -EINVAL, or:
 *   -EPIPE       the listener is closed
 *   -EBUSY       another fiber accepts
 *   -EOWNERDEAD  in a forked child
 */
FL_API FL_MUST_CHECK int fl_listener_accept_until(fl_listener *l, fl_stream **s, fl_time deadline,
                                                  fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_listener_accept(fl_listener *_l, fl_stream **_s)
{
	return fl_listener_accept_until(_l, _s, FL_FOREVER, NULL);
}

/* As fl_listener_accept(): -EAGAIN if there is no connection. Callbacks of the loop may call it. */
FL_API FL_MUST_CHECK int fl_listener_try_accept(fl_listener *l, fl_stream **s);

/* The TCP port; 0: a Unix listener. */
FL_API uint16_t fl_listener_port(const fl_listener *l);

/* The descriptor, which `l` keeps: for getsockname() and the like. Non-blocking; -1: closed. */
FL_API int fl_listener_fd(const fl_listener *l);

/*
 * Connects to a TCP port of `host`. Tries the addresses of a name in turn, alternating IPv6 and
 * IPv4, the next when one has failed, or after 250 ms in parallel (RFC 8305). Blocks the calling
 * fiber. Returns 0, -ECANCELED, -EMFILE, -ENFILE, -ENOMEM, -ENOSPC, -ENOTSUP, or:
 *   -ECONNREFUSED, -EHOSTUNREACH, -ENETUNREACH, -EADDRNOTAVAIL
 *               the last attempt failed, preferably with an error of the remote side
 *   -ETIMEDOUT  the system gave up, after minutes; or the deadline, which includes the lookup
 *   an error of the table above, or another error of the system
 */
FL_API FL_MUST_CHECK int fl_stream_connect_tcp_until(fl_stream **s, const char *host, uint16_t port, fl_time deadline,
                                                     fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_stream_connect_tcp(fl_stream **_s, const char *_host, uint16_t _port)
{
	return fl_stream_connect_tcp_until(_s, _host, _port, FL_FOREVER, NULL);
}

/*
 * Connects to a path, or to an abstract name, which begins with '@'. Blocks the calling fiber while
 * the listener's backlog is full, and tries again at least every 32 ms. Returns 0, -ECANCELED,
 * -EMFILE, -ENFILE, -ENOMEM, -ENOSPC, -ENOTSUP, or:
 *   -ENOENT        the path does not exist
 *   -ECONNREFUSED  no process listens there
 *   -EACCES, and other errors of the system
 *   -ENAMETOOLONG  above 107 bytes
 *   -EINVAL        NULL or ""
 *   -ENOTSOCK      the file is no socket
 *   -EPROTOTYPE    not a stream socket
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
