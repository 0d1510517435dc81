/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_DATAGRAM_H
#define FAIRLEAD_DATAGRAM_H

#include <fairlead/address.h>
#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/time.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

FL_BEGIN_DECLS

/*
 * A datagram socket (UDP, Unix), by which fibers send and receive messages.
 *
 *     rc = fl_datagram_open_udp(&d, "127.0.0.1", 7000, NULL);         // check
 *     n = fl_datagram_receive(d, request, sizeof request, &from);     // -EMSGSIZE: truncated
 *     rc = fl_datagram_send_to(d, request, (size_t)n, &from);         // UDP may lose it
 *
 * A datagram is sent and received whole, or not at all. It may be empty. A datagram of UDP may be
 * lost, doubled, or overtaken. The sender to a Unix socket waits while the receiver has no room.
 *
 * A socket belongs to the loop on which it was created. Only that loop's thread may call its
 * functions, and only fibers of the loop those that wait. A socket must be freed before its loop.
 * Any number of fibers may send and receive at the same time: each datagram goes to one of them.
 * They wait in FIFO order, except senders to an address of a Unix socket. Calls that never have to
 * wait let other fibers run from time to time. All sockets are close-on-exec.
 *
 * Only -EPIPE and -EOWNERDEAD are permanent. A call that failed, timed out or was cancelled has
 * sent or received nothing, except as the functions for several datagrams say.
 */
typedef struct fl_datagram fl_datagram;

/* A Unix socket uses no field. Without the `reuse_...` fields no other socket can bind the port. */
typedef struct fl_datagram_config {
	bool reuse_port;              /* sockets of one user share a port; the system chooses one */
	bool reuse_address;           /* sockets of any user share a port, as for groups */
	bool broadcast;               /* datagrams may be sent to broadcast addresses */
	bool peer_errors;             /* see fl_datagram_receive() */
	bool no_loopback;             /* this machine gets no copy of datagrams to groups */
	unsigned char hops;           /* to hosts: routers on the way, plus 1; 0: the default */
	unsigned char multicast_hops; /* to groups; 0: the default, 1: this network alone */
	const char *interface;        /* to groups: its name; NULL: that of the system's route */
	uintptr_t more_[4];
} fl_datagram_config;

/*
 * Opens a UDP socket at an address of this machine; `port` 0: the system chooses one. `host` NULL:
 * at all addresses, of IPv4 and IPv6; the socket for a client. `host` a name: at the first of its
 * addresses that this machine has, IPv4 before IPv6. The socket receives from groups that it has
 * joined, by setsockopt() with MCAST_JOIN_GROUP or MCAST_JOIN_SOURCE_GROUP on fl_datagram_fd(). The
 * lookup of a name blocks the calling fiber. Returns 0, -EACCES, -EAFNOSUPPORT, -EMFILE, -ENFILE,
 * -ENOMEM, -ENOSPC, -ECANCELED, -ENOTSUP, or:
 *   -EADDRINUSE     the port is in use
 *   -EADDRNOTAVAIL  no address of this machine
 *   -ENODEV         no such interface
 *   an error of the table in fairlead/net.h
 */
FL_API FL_MUST_CHECK int fl_datagram_open_udp(fl_datagram **d, const char *host, uint16_t port,
                                              const fl_datagram_config *config);

/*
 * Opens a Unix socket at a path, or at an abstract name, which begins with '@'; NULL: at an
 * abstract name that the system chooses, for answers. Any user of this network namespace can send
 * to an abstract name. A stale file is removed first, as by fl_listener_open_unix(), but without its
 * lock: of several processes, perhaps only the last keeps the path. Closing the socket removes its file,
 * unless another socket has replaced it. Returns 0, -EMFILE, -ENFILE, -ENOMEM, -ENOSPC, -ENOTSUP,
 * or:
 *   -EADDRINUSE        a socket is open there, or a process is just opening the path
 *   -ENOTSOCK          the file is no socket
 *   -ENAMETOOLONG      above 107 bytes
 *   -EINVAL            ""
 *   -ENOENT, -ENOTDIR  the folder does not exist
 *   -EACCES, -EROFS, and other errors of the system for the path
 */
FL_API FL_MUST_CHECK int fl_datagram_open_unix(fl_datagram **d, const char *path);

/*
 * Creates an object that owns `fd`, a datagram socket (IPv4, IPv6, Unix), on the loop that the
 * calling thread runs. Makes `fd` close-on-exec, unless it is 0, 1 or 2; a blocking `fd` stays
 * blocking. After an error the caller still owns `fd`. Returns 0, -EBADF, -ENOTSOCK, -ENOMEM,
 * -ENOTSUP, -ENOSPC, or:
 *   -EINVAL   another kind of socket
 *   -EEXIST   the loop watches `fd` already
 */
FL_API FL_MUST_CHECK int fl_datagram_from_fd(fl_datagram **d, int fd);

/*
 * Closes and frees the socket. Panics while a fiber sends or receives. In a forked child it closes
 * only the child's descriptor, and leaves the file.
 */
FL_API void fl_datagram_free(fl_datagram *d);

/*
 * Closes the socket. Fibers that send or receive get -EPIPE within 32 ms. The port or path is free.
 * May be called again.
 */
FL_API void fl_datagram_close(fl_datagram *d);

/*
 * Connects the socket to a peer, to which it sends if no other address is given, and from which
 * alone it receives. Datagrams that have come before are still received. A UDP peer need not exist.
 * May be called again. Returns 0, -EINVAL, or:
 *   -EPIPE         `d` is closed
 *   -EOWNERDEAD    in a forked child
 *   -EAFNOSUPPORT  an address of another family than the socket's; or no address
 *   -ECONNREFUSED, -ENOENT, -EPROTOTYPE, -EPERM
 *                  Unix: no socket is open there; no file; a stream socket; a socket that is
 *                  connected to another peer
 *   -EACCES        a broadcast address, and not `broadcast`; or a file without permission
 *   -ENETUNREACH, -EHOSTUNREACH, and other errors of the system
 *   -EADDRINUSE    from a peer of IPv4 to one of IPv6, or back: as fl_datagram_disconnect()
 */
FL_API FL_MUST_CHECK int fl_datagram_connect(fl_datagram *d, const fl_address *peer);

/*
 * Ends the connection, if there is one. The socket keeps its address. Returns 0, or:
 *   -EPIPE       `d` is closed
 *   -EOWNERDEAD  in a forked child
 *   -EADDRINUSE  another socket has taken the port that the system had chosen; the next send makes
 *                the system choose another one
 *   -EINVAL      the caller does not run the socket's loop
 */
FL_API FL_MUST_CHECK int fl_datagram_disconnect(fl_datagram *d);

/*
 * Sends a datagram of `size` bytes, which may be 0, to an address; NULL, or without one: to the
 * connected peer. Blocks the calling fiber while the system, or a Unix receiver, has no room. Tries
 * a full Unix receiver at an address again at least every 32 ms. Returns -ECANCELED,
 * -EFAULT, or:
 *   0              the system has the datagram. UDP may still lose it
 *   -EPIPE         `d` is closed
 *   -EOWNERDEAD    in a forked child
 *   -ENOTCONN      the socket is not connected
 *   -EMSGSIZE      larger than the protocol, the send buffer or the path allows
 *   -ECONNREFUSED  UDP: the peer has no socket for an earlier datagram (ICMP); this one was not
 *                  sent. Unix: no socket is open there
 *   -ENETUNREACH, -EHOSTUNREACH
 *                  no route; or an ICMP report on an earlier datagram
 *   -EACCES        a broadcast address, and not `broadcast`; or a file without permission
 *   -EAFNOSUPPORT  as fl_datagram_connect()
 *   -ENOENT, -EPROTOTYPE, -EPERM
 *                  Unix: as fl_datagram_connect(). -EPERM for UDP: a packet filter
 *   -ENOMEM        of the system; or the queue of the interface is full, and the datagram is lost
 *   -EINVAL        another loop, or no fiber; UDP: port 0, or a peer out of the local address's
 *                  reach
 */
FL_API FL_MUST_CHECK int fl_datagram_send_to_until(fl_datagram *d, const void *data, size_t size, const fl_address *to,
                                                   fl_time deadline, fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_datagram_send_to(fl_datagram *_d, const void *_data, size_t _size, const fl_address *_to)
{
	return fl_datagram_send_to_until(_d, _data, _size, _to, FL_FOREVER, NULL);
}
FL_INLINE FL_MUST_CHECK int fl_datagram_send_until(fl_datagram *_d, const void *_data, size_t _size, fl_time _deadline,
                                                   fl_cancel_token *_cancel)
{
	return fl_datagram_send_to_until(_d, _data, _size, NULL, _deadline, _cancel);
}
FL_INLINE FL_MUST_CHECK int fl_datagram_send(fl_datagram *_d, const void *_data, size_t _size)
{
	return fl_datagram_send_to_until(_d, _data, _size, NULL, FL_FOREVER, NULL);
}

/* As fl_datagram_send_to(): -EAGAIN if there is no room. Callbacks of the loop may call it. */
FL_API FL_MUST_CHECK int fl_datagram_try_send_to(fl_datagram *d, const void *data, size_t size, const fl_address *to);

/*
 * Receives a datagram. Stores its sender in `from`, which may be NULL. Blocks the calling fiber
 * while there is none. Returns the size of the datagram, 0 for an empty one, -ENOMEM, -ECANCELED,
 * -EFAULT, -EINVAL, or:
 *   -EPIPE         `d` is closed
 *   -EOWNERDEAD    in a forked child
 *   -EMSGSIZE      the datagram is larger than `size`. The buffer has its first `size` bytes, and
 *                  the rest is lost; `from` is stored
 *   -ECONNREFUSED, -EHOSTUNREACH, -ENETUNREACH, and other errors of the network
 *                  a sent datagram did not arrive (ICMP): on a connected socket; or with
 *                  `peer_errors`, to `from`
 *
 * With `peer_errors` receives, but not sends, return the errors of all peers, also unconnected.
 */
FL_API FL_MUST_CHECK ssize_t fl_datagram_receive_until(fl_datagram *d, void *buffer, size_t size, fl_address *from,
                                                       fl_time deadline, fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK ssize_t fl_datagram_receive(fl_datagram *_d, void *_buffer, size_t _size, fl_address *_from)
{
	return fl_datagram_receive_until(_d, _buffer, _size, _from, FL_FOREVER, NULL);
}

/* As fl_datagram_receive(): -EAGAIN if there is no datagram. Callbacks of the loop may call it. */
FL_API FL_MUST_CHECK ssize_t fl_datagram_try_receive(fl_datagram *d, void *buffer, size_t size, fl_address *from);

/* One of several datagrams that are sent or received together. */
typedef struct fl_datagram_message {
	void *data;
	size_t size;        /* bytes to send; or the size of the buffer at `data` */
	size_t received;    /* set by a receive: bytes that `data` has now */
	size_t lost;        /* set by a receive: bytes that did not fit; 0: all did */
	fl_address address; /* where to; `size` 0: to the connected peer. Or the sender */
} fl_datagram_message;

/*
 * Sends `n` datagrams in order. Stores in `sent`, which may be NULL, how many were sent. Blocks the
 * calling fiber as fl_datagram_send_to(). Returns 0 if all were sent; else the error of the first
 * that was not, as fl_datagram_send_to(). Those after it were not sent. An error of the network for
 * an earlier one may go unreported.
 */
FL_API FL_MUST_CHECK int fl_datagram_send_many_until(fl_datagram *d, const fl_datagram_message *list, unsigned n,
                                                     unsigned *sent, fl_time deadline, fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_datagram_send_many(fl_datagram *_d, const fl_datagram_message *_list, unsigned _n,
                                                  unsigned *_sent)
{
	return fl_datagram_send_many_until(_d, _list, _n, _sent, FL_FOREVER, NULL);
}

/* As fl_datagram_send_many(): -EAGAIN when there is no more room. */
FL_API FL_MUST_CHECK int fl_datagram_try_send_many(fl_datagram *d, const fl_datagram_message *list, unsigned n,
                                                   unsigned *sent);

/*
 * Receives available datagrams, 1 to `n`, and at most FL_DATAGRAM_MANY. Blocks the calling fiber
 * while there are none. Sets `received`, `lost` and `address` of each. A datagram that does not fit
 * is no error: see `lost`. Returns the number of datagrams, or:
 *   -EINVAL  `n` is 0
 *   an error as fl_datagram_receive(); the address of list[0] is the `from` of that function
 */
FL_API FL_MUST_CHECK int fl_datagram_receive_many_until(fl_datagram *d, fl_datagram_message *list, unsigned n,
                                                        fl_time deadline, fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_datagram_receive_many(fl_datagram *_d, fl_datagram_message *_list, unsigned _n)
{
	return fl_datagram_receive_many_until(_d, _list, _n, FL_FOREVER, NULL);
}
#define FL_DATAGRAM_MANY 32u

/* As fl_datagram_receive_many(): -EAGAIN if there is no datagram. */
FL_API FL_MUST_CHECK int fl_datagram_try_receive_many(fl_datagram *d, fl_datagram_message *list, unsigned n);

/* The UDP port; 0: a Unix socket, or not bound. */
FL_API uint16_t fl_datagram_port(const fl_datagram *d);

/*
 * Stores the socket's own address. An unnamed Unix socket has none: `size` 0. Returns 0; -EPIPE: `d`
 * is closed.
 */
FL_API FL_MUST_CHECK int fl_datagram_address_of(const fl_datagram *d, fl_address *a);

/* Stores the address of the connected peer. Returns 0; -ENOTCONN; -EPIPE: `d` is closed. */
FL_API FL_MUST_CHECK int fl_datagram_peer_of(const fl_datagram *d, fl_address *a);

/* The descriptor, which `d` keeps: for setsockopt() and the like, not for connect(). -1: closed. */
FL_API int fl_datagram_fd(const fl_datagram *d);

FL__SCOPED(fl_datagram, fl_datagram_free)

FL_END_DECLS

#endif
