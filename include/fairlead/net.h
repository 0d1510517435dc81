/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_NET_H
#define FAIRLEAD_NET_H

#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/stream.h>
#include <fairlead/time.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

FL_BEGIN_DECLS

/*
 * Listeners and connections: where streams (fairlead/stream.h) come from.
 *
 *     static int server(void *arg)
 *     {
 *             FL_SCOPED(fl_listener) *l = NULL;
 *             FL_SCOPED(fl_group) clients = FL_GROUP_INIT(NULL);
 *             fl_stream *s;
 *             int rc = fl_listen_tcp(&l, "127.0.0.1", 7000, NULL);
 *             while (!rc && !(rc = fl_accept(l, &s)))
 *                     rc = fl_group_start(&clients, serve, s);
 *             return rc;
 *     }
 *
 *     rc = fl_connect_tcp(&s, "localhost", 7000);             // check
 *
 * A listener belongs to the loop on which it was made: its functions are for that loop's thread, those that wait for its fibers,
 * and it is freed before the loop. All sockets are close-on-exec; those of TCP send without delay (TCP_NODELAY).
 *
 * Hosts are numeric ("127.0.0.1", "::1", "fe80::1%eth0"), which never takes time, or names, which are looked up with
 * getaddrinfo() on the loop's threads (fairlead/to_thread.h), behind what they have to do. A lookup that is cancelled or times
 * out goes on there, unheard, and the end of the loop waits for it. What a lookup may answer, wherever a host is taken:
 *
 *   -ENOENT        there is no such name, or it has no address (EAI_NONAME, EAI_NODATA, EAI_ADDRFAMILY)
 *   -EAGAIN        the name servers do not answer now (EAI_AGAIN); or no thread can be started
 *   -EIO           they will not answer (EAI_FAIL, and what is not in this table)
 *   -ENAMETOOLONG  above 255 bytes (also EAI_OVERFLOW)
 *   -ENOMEM        (also EAI_MEMORY)
 *   -EAFNOSUPPORT  a family that the system does not have (EAI_FAMILY)
 *   -EINVAL        NULL; a name that cannot be one (EAI_IDN_ENCODE, EAI_BADFLAGS, EAI_SOCKTYPE, EAI_SERVICE)
 *   -EMFILE, -ENFILE, and what else the system says (EAI_SYSTEM: the negative errno)
 */

/* An address as text: "127.0.0.1", "::1", "fe80::1%eth0". */
typedef struct fl_address {
	char text[64];
} fl_address;

/*
 * Looks up the addresses of `host`, in the order in which they should be tried, and stores up to `n` of them, and up to
 * FL_ADDRESSES_MAX. Each is a host for the functions below. Blocks the calling fiber. Observes its cancel scope.
 * Returns how many it has stored, or an error of the table above; -EINVAL: `n` is 0; -ECANCELED; -ENOTSUP outside of a loop's
 * fibers.
 */
FL_INLINE FL_MUST_CHECK int fl_resolve(const char *host, fl_address *list, unsigned n);
#define FL_ADDRESSES_MAX 32u /* the others of a name are not known here */

/* As fl_resolve; also returns -ETIMEDOUT. */
FL_API FL_MUST_CHECK int fl_resolve_until(const char *host, fl_address *list, unsigned n, int64_t deadline,
                                          fl_cancel_token *cancel);

typedef struct fl_listener fl_listener;

typedef struct fl_listen_config {
	int backlog;     /* connections that the system keeps until they are accepted; 0: as many as it allows */
	bool reuse_port; /* several listeners, of as many threads, share a TCP port, and the system its connections */
} fl_listen_config;

/*
 * Listens at a port of this machine; `port` 0: the system chooses one. `host` NULL: at all addresses, of IPv4 and IPv6. A name:
 * at the first of its addresses that this machine has, those of IPv4 first; then it blocks the calling fiber, and observes its
 * cancel scope; else it never waits. `config` may be NULL.
 * Returns 0; -EADDRINUSE: somebody listens there; -EADDRNOTAVAIL: no address of this machine; -EACCES; -EAFNOSUPPORT; -EMFILE,
 * -ENFILE, -ENOMEM; -ENOSPC (the user's limit of watched descriptors); an error of the table above; -ECANCELED; -ENOTSUP when the
 * thread runs no loop, and outside of its fibers for a name.
 */
FL_API FL_MUST_CHECK int fl_listen_tcp(fl_listener **l, const char *host, uint16_t port,
                                       const fl_listen_config *config);

/*
 * Listens at a path, or at an abstract name, when it begins with '@'. The file is removed when the listener is closed, unless it
 * is another's by then. A socket that is there already, and at which nobody listens, is one that a process left behind: it is
 * removed first. To find that out somebody who does listen gets a connection that ends at once; and of several who begin at the
 * same time at such a path only the last may keep it. `config` may be NULL. Never waits.
 * Returns 0; -EADDRINUSE: somebody listens there, or it is no socket; -ENAMETOOLONG: above 107 bytes; -EINVAL: NULL or "";
 * -ENOENT, -ENOTDIR: no such folder; -EACCES, -EROFS, and what else the system says of the path; -EMFILE, -ENFILE, -ENOMEM,
 * -ENOSPC; -ENOTSUP when the thread runs no loop.
 */
FL_API FL_MUST_CHECK int fl_listen_unix(fl_listener **l, const char *path, const fl_listen_config *config);

/*
 * Closes and frees. NULL does nothing. Panics while a fiber accepts. Never waits. In a forked child it closes the child's
 * descriptor alone, and leaves the file.
 */
FL_API void fl_listener_free(fl_listener *l);

/*
 * Ends listening: who waits to accept, and who tries later, gets -EPIPE; connections that were not accepted are broken; the port
 * or path is free. Again does nothing. Never waits.
 */
FL_API void fl_listener_close(fl_listener *l);

/*
 * Accepts a connection. Blocks the calling fiber while there is none; one fiber at a time. Observes its cancel scope. Connections
 * that were broken before they were accepted are passed over. After an error the connection is still there for a later call, which
 * need not wait for another; of those that lack something other fibers run first, so that they may give it back.
 * Returns 0; -EMFILE, -ENFILE (no more descriptors), -ENOMEM, -ENOSPC (the user's limit of watched descriptors); -ECANCELED;
 * -EPIPE: closed; -EBUSY: another fiber accepts; -EINVAL: by no fiber of its loop; -EOWNERDEAD in a forked child.
 */
FL_INLINE FL_MUST_CHECK int fl_accept(fl_listener *l, fl_stream **s);

/* As fl_accept, but -EAGAIN when there is none. Never waits. For callbacks of its loop, too. */
FL_API FL_MUST_CHECK int fl_try_accept(fl_listener *l, fl_stream **s);

/* As fl_accept; also returns -ETIMEDOUT. */
FL_API FL_MUST_CHECK int fl_accept_until(fl_listener *l, fl_stream **s, int64_t deadline, fl_cancel_token *cancel);

/* The port of TCP; 0: another kind. Never waits. */
FL_API uint16_t fl_listener_port(const fl_listener *l);

/* The descriptor of `l`, which keeps it: for getsockname() and such; -1: closed. Never waits. */
FL_API int fl_listener_fd(const fl_listener *l);

/*
 * Connects to a port of `host`. The addresses of a name are tried one after the other, IPv6 and IPv4 in turn: the next as soon as
 * one has failed, or beside it after 250 ms (RFC 8305); the first that answers counts. Blocks the calling fiber. Observes its
 * cancel scope. An error closes all that was begun.
 * Returns 0; what the last address has answered, unless that was only that this machine has no way to it: -ECONNREFUSED,
 * -EHOSTUNREACH, -ENETUNREACH, -EADDRNOTAVAIL, -ETIMEDOUT (the system gave up, after minutes), and what else it says; an error of
 * the table above; -ECANCELED; -EMFILE, -ENFILE, -ENOMEM; -ENOSPC (the user's limit of watched descriptors); -ENOTSUP outside of
 * a loop's fibers.
 */
FL_INLINE FL_MUST_CHECK int fl_connect_tcp(fl_stream **s, const char *host, uint16_t port);

/* As fl_connect_tcp; -ETIMEDOUT also at the deadline, which is for the lookup, too. */
FL_API FL_MUST_CHECK int fl_connect_tcp_until(fl_stream **s, const char *host, uint16_t port, int64_t deadline,
                                              fl_cancel_token *cancel);

/*
 * Connects to a path, or an abstract name, when it begins with '@'. Blocks the calling fiber while the listener has as many
 * connections waiting as it keeps: then it asks again, every 50 ms at least. Observes its cancel scope.
 * Returns 0; -ENOENT: no such path; -ECONNREFUSED: nobody listens there; -EACCES, and what else the system says;
 * -ENAMETOOLONG: above 107 bytes; -EINVAL: NULL or ""; -EPROTOTYPE: not a stream's; -ECANCELED; -EMFILE, -ENFILE, -ENOMEM,
 * -ENOSPC; -ENOTSUP outside of a loop's fibers.
 */
FL_INLINE FL_MUST_CHECK int fl_connect_unix(fl_stream **s, const char *path);

/* As fl_connect_unix; also returns -ETIMEDOUT. */
FL_API FL_MUST_CHECK int fl_connect_unix_until(fl_stream **s, const char *path, int64_t deadline,
                                               fl_cancel_token *cancel);

static inline void fl__scoped_fl_listener(fl_listener **_l)
{
	fl_listener_free(*_l);
}

/* The inline functions. */

FL_INLINE int fl_resolve(const char *_host, fl_address *_list, unsigned _n)
{
	return fl_resolve_until(_host, _list, _n, FL_FOREVER, NULL);
}

FL_INLINE int fl_accept(fl_listener *_l, fl_stream **_s)
{
	return fl_accept_until(_l, _s, FL_FOREVER, NULL);
}

FL_INLINE int fl_connect_tcp(fl_stream **_s, const char *_host, uint16_t _port)
{
	return fl_connect_tcp_until(_s, _host, _port, FL_FOREVER, NULL);
}

FL_INLINE int fl_connect_unix(fl_stream **_s, const char *_path)
{
	return fl_connect_unix_until(_s, _path, FL_FOREVER, NULL);
}

FL_END_DECLS

#endif
