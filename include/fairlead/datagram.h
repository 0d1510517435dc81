/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_DATAGRAM_H
#define FAIRLEAD_DATAGRAM_H

#include <fairlead/address.h>
#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/time.h>
#include <sys/types.h>

FL_BEGIN_DECLS

/*
 * A datagram socket (UDP or Unix), by which fibers send and receive messages.
 *
 *     fl_datagram *d;
 *     int rc = fl_datagram_open_udp(&d, "127.0.0.1", 7000, NULL);
 *     while (rc == 0) { // echo
 *             ssize_t n = fl_datagram_receive(d, request, sizeof request, &from);
 *             rc = n < 0 ? (int)n : fl_datagram_send_to(d, request, (size_t)n, &from);
 *     }
 *
 * A datagram is sent and received whole, or not at all. It may be empty. A datagram of UDP may be
 * lost, duplicated or reordered. The sender to a Unix socket waits while the receiver has no space.
 *
 * Loop and fibers
 *
 * A socket belongs to the loop on which it was created, and must be freed before that loop. Only
 * the loop's thread may call its functions. Functions that wait may be called only by fibers of the
 * loop. Any number of fibers may send and receive at the same time, and each datagram goes to one
 * of them. They wait in FIFO order, except senders to an address of a Unix socket. A fiber whose
 * calls never have to wait still lets other fibers run: from time to time, a call yields to them.
 * All sockets are close-on-exec.
 *
 * Errors
 *
 * After -EPIPE (the socket is closed), all later sends, receives, connects and disconnects return
 * the same. Any other error concerns one call. A call that fails, times out or is cancelled has
 * sent or received nothing, except that a receive with -EMSGSIZE has received a part of the
 * datagram. The functions for several datagrams say how many they have moved.
 */
typedef struct fl_datagram fl_datagram;

/*
 * How a UDP socket is opened. A Unix socket uses none of the fields. Unless `reuse_port` or
 * `reuse_address` is set, no other socket can bind the port.
 */
typedef struct fl_datagram_config {
	/* Sockets of one user share the port. The system chooses the one that gets a datagram. */
	bool reuse_port;
	/* Sockets of any user share the port, as the receivers of a multicast group do. */
	bool reuse_address;
	/* Datagrams may be sent to broadcast addresses. */
	bool broadcast;
	/* Receives return the errors of all peers: see fl_datagram_receive(). */
	bool peer_errors;
	/* Datagrams to multicast groups are not delivered on this machine. */
	bool no_loopback;
	/* For datagrams to hosts: the most routers on the way, plus 1. 0 means the default. */
	unsigned char hops;
	/* The hop limit of datagrams to multicast groups. 1 means this network alone. */
	unsigned char multicast_hops;
	/* The interface for datagrams to multicast groups. NULL means the system's route. */
	const char *interface;
	uintptr_t more_[4];
} fl_datagram_config;

/*
 * Opens a UDP socket at an address of this machine, and stores it in `*d`.
 *
 * `port` 0 means a port that the system chooses: see fl_datagram_port(). `host` NULL means all
 * addresses of this machine, of IPv4 and IPv6, and is right for a client. A name means the first of
 * its addresses that this machine has, IPv4 before IPv6. `config` may be NULL.
 *
 * The lookup of a name blocks the calling fiber. Otherwise the call never waits.
 *
 * Returns:
 *   0                 the socket is open
 *   -EADDRINUSE       the port is in use
 *   -EADDRNOTAVAIL    the host is no address of this machine
 *   -ENODEV           the config names an interface that does not exist
 *   -EACCES           the user may not bind this port
 *   -EAFNOSUPPORT     the system does not have the family of the address
 *   -EMFILE, -ENFILE  the process, or the system, has too many descriptors
 *   -ENOMEM           there is no memory
 *   -ENOSPC           the user's limit of watched descriptors is reached
 *   -ECANCELED        the lookup was cancelled
 *   -ENOTSUP          the thread runs no loop; or the host is a name, and the caller is no fiber
 *   other             an error of the lookup: see "Results of a lookup" in fairlead/net.h
 *
 * To receive from a multicast group, join it: call setsockopt() with MCAST_JOIN_GROUP or
 * MCAST_JOIN_SOURCE_GROUP on fl_datagram_fd(). The socket receives only from groups that it has
 * joined.
 */
FL_API FL_MUST_CHECK int fl_datagram_open_udp(fl_datagram **d, const char *host, uint16_t port,
                                              const fl_datagram_config *config);

/*
 * Opens a Unix datagram socket at a path, or at an abstract name, which begins with '@', and stores
 * it in `*d`.
 *
 * `path` NULL means an abstract name that the system chooses, by which others can answer. Any user
 * of this network namespace can send to an abstract name. fl_datagram_close() and
 * fl_datagram_free() remove the socket file, unless another socket has replaced it. A stale socket
 * file is removed first. The call never waits.
 *
 * Returns:
 *   0                  the socket is open
 *   -EADDRINUSE        a socket is open there, or a process is just opening the path
 *   -ENOTSOCK          the file is no socket
 *   -ENAMETOOLONG      the path is longer than 107 bytes
 *   -EINVAL            the path is ""
 *   -ENOENT, -ENOTDIR  the folder does not exist
 *   -EACCES, -EROFS    the user may not write in the folder, or nobody may
 *   -EMFILE, -ENFILE   the process, or the system, has too many descriptors
 *   -ENOMEM            there is no memory
 *   -ENOSPC            the user's limit of watched descriptors is reached
 *   -ENOTSUP           the thread runs no loop
 *   other              an error of the system for the path
 *
 * If several processes call this for one path at the same time, one of them gets the path, as with
 * fl_listener_open_unix() (fairlead/net.h).
 */
FL_API FL_MUST_CHECK int fl_datagram_open_unix(fl_datagram **d, const char *path);

/*
 * Creates an fl_datagram that owns `fd`, a datagram socket of IPv4, IPv6 or Unix, on the loop that
 * the calling thread runs.
 *
 * The call never waits. It makes `fd` close-on-exec, unless it is 0, 1 or 2. A blocking `fd` stays
 * blocking. After an error the caller still owns `fd`.
 *
 * Returns:
 *   0          the object was created
 *   -EBADF     `fd` is not open
 *   -ENOTSOCK  `fd` is no socket
 *   -EINVAL    `fd` is another kind of socket
 *   -EEXIST    the loop watches `fd` already
 *   -ENOMEM    there is no memory
 *   -ENOSPC    the user's limit of watched descriptors is reached
 *   -ENOTSUP   the thread runs no loop
 */
FL_API FL_MUST_CHECK int fl_datagram_from_fd(fl_datagram **d, int fd);

/*
 * Closes and frees the socket. `d` may be NULL. The call never waits.
 *
 * The call panics while a fiber sends or receives.
 */
FL_API void fl_datagram_free(fl_datagram *d);

/*
 * Closes the socket, so that the port or path is free. It never waits. The call may be repeated.
 *
 * Fibers that send or receive get -EPIPE within 32 ms.
 */
FL_API void fl_datagram_close(fl_datagram *d);

/*
 * Connects the socket to a peer: sends without another address go to the peer, and only datagrams
 * of the peer are received.
 *
 * Datagrams that have come before are still received. A UDP peer need not exist. The call never
 * waits. The call may be repeated, also with another peer.
 *
 * Returns:
 *   0              the socket is connected
 *   -EPIPE         `d` is closed
 *   -EINVAL        the caller does not run the socket's loop
 *   -EAFNOSUPPORT  `peer` is no address, or one of another family than the socket's
 *   -ECONNREFUSED  Unix: no socket is open there
 *   -ENOENT        Unix: there is no such file
 *   -EPROTOTYPE    Unix: a stream socket is there
 *   -EPERM         Unix: the socket there is connected to another peer
 *   -EACCES        `peer` is a broadcast address, and the config lacks `broadcast`; or, Unix, the
 *                  user may not write the file
 *   -ENETUNREACH, -EHOSTUNREACH
 *                  there is no route to the peer
 *   -EADDRINUSE    the previous peer was of IPv4 and the new peer is of IPv6, or the reverse. So
 *                  the call disconnected first, and meanwhile another socket has taken the port
 *                  that the system had chosen
 *   other          an error of the system
 */
FL_API FL_MUST_CHECK int fl_datagram_connect(fl_datagram *d, const fl_address *peer);

/*
 * Ends the connection, if there is one. The socket keeps its address. The call never waits.
 *
 * Returns:
 *   0            the socket is not connected
 *   -EPIPE       `d` is closed
 *   -EINVAL      the caller does not run the socket's loop
 *   -EADDRINUSE  another socket has taken the port that the system had chosen. The next send makes
 *                the system choose another port
 */
FL_API FL_MUST_CHECK int fl_datagram_disconnect(fl_datagram *d);

/*
 * Sends a datagram of `size` bytes, which may be 0, to an address, or to the connected peer.
 *
 * If `to` is NULL, the datagram goes to the connected peer. The call blocks the calling fiber while
 * the system, or a Unix receiver, has no space. A full Unix receiver at an address is tried again
 * at least every 32 ms.
 *
 * Returns:
 *   0              the system has the datagram. UDP may still lose it
 *   -ETIMEDOUT     the deadline passed
 *   -ECANCELED     the wait was cancelled
 *   -EPIPE         `d` is closed
 *   -ENOTCONN      no address is given, and the socket is not connected
 *   -EMSGSIZE      the datagram is larger than the protocol, the send buffer or the path allows
 *   -ECONNREFUSED  UDP: the peer has reported (by ICMP) that it had no socket for an earlier
 *                  datagram, and this datagram was not sent. Unix: no socket is open there
 *   -ENETUNREACH, -EHOSTUNREACH
 *                  there is no route to the peer; or ICMP has reported this for an earlier datagram
 *   -EACCES        the address is a broadcast address, and the config lacks `broadcast`; or, Unix,
 *                  the user may not write the file
 *   -EAFNOSUPPORT  `to` is no address, or one of another family than the socket's
 *   -ENOENT        Unix: there is no such file
 *   -EPROTOTYPE    Unix: a stream socket is there
 *   -EPERM         Unix: the socket there is connected to another peer. UDP: a packet filter
 *                  forbids the datagram
 *   -ENOMEM        the system has no memory; or the queue of the network interface is full, and the
 *                  datagram is lost
 *   -EINVAL        the caller is no fiber of the socket's loop; or, UDP, the port is 0, or the
 *                  socket's own address cannot reach the peer
 *   -EFAULT        an address of the caller is bad
 */
FL_API FL_MUST_CHECK int fl_datagram_send_to_until(fl_datagram *d, const void *data, size_t size, const fl_address *to,
                                                   fl_time deadline, fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_datagram_send_to(fl_datagram *_d, const void *_data, size_t _size, const fl_address *_to)
{
	return fl_datagram_send_to_until(_d, _data, _size, _to, FL_FOREVER, NULL);
}

/*
 * Does the same as fl_datagram_send_to() if there is space, and never waits. Callbacks of the loop
 * may call it.
 *
 * Returns:
 *   0        the system has the datagram. UDP may still lose it
 *   -EAGAIN  there is no space
 *   other    an error of fl_datagram_send_to()
 */
FL_INLINE FL_MUST_CHECK int fl_datagram_try_send_to(fl_datagram *_d, const void *_data, size_t _size,
                                                    const fl_address *_to)
{
	return fl_datagram_send_to_until(_d, _data, _size, _to, FL__TRY, NULL);
}

/*
 * Receives a datagram into `buffer`, and stores its sender in `from`, which may be NULL.
 *
 * The call blocks the calling fiber while no datagram is available.
 *
 * Returns:
 *   >= 0        the size of the datagram; 0 for an empty one
 *   -ETIMEDOUT  the deadline passed
 *   -ECANCELED  the wait was cancelled
 *   -EPIPE      `d` is closed
 *   -EMSGSIZE   the datagram is larger than `size`. The buffer has its first `size` bytes, and the
 *               rest is lost. `from` is stored
 *   -ECONNREFUSED, -EHOSTUNREACH, -ENETUNREACH, or another error of the network
 *                ICMP has reported that a datagram of this socket did not arrive. That datagram was
 *                sent to the connected peer; or, with `peer_errors`, to `from`
 *   -EINVAL      the caller is no fiber of the socket's loop
 *   -ENOMEM      there is no memory
 *   -EFAULT      an address of the caller is bad
 *
 * With `peer_errors` of the config, receives return the network's errors of all peers, also on a
 * socket that is not connected. Sends then pass over them: a send returns such an error only if it
 * finds eight in a row.
 */
FL_API FL_MUST_CHECK ssize_t fl_datagram_receive_until(fl_datagram *d, void *buffer, size_t size, fl_address *from,
                                                       fl_time deadline, fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK ssize_t fl_datagram_receive(fl_datagram *_d, void *_buffer, size_t _size, fl_address *_from)
{
	return fl_datagram_receive_until(_d, _buffer, _size, _from, FL_FOREVER, NULL);
}

/*
 * Does the same as fl_datagram_receive() if there is a datagram, and never waits. Callbacks of the
 * loop may call it.
 *
 * Returns:
 *   >= 0     the size of the datagram; 0 for an empty one
 *   -EAGAIN  there is no datagram
 *   other    an error of fl_datagram_receive()
 */
FL_INLINE FL_MUST_CHECK ssize_t fl_datagram_try_receive(fl_datagram *_d, void *_buffer, size_t _size, fl_address *_from)
{
	return fl_datagram_receive_until(_d, _buffer, _size, _from, FL__TRY, NULL);
}

/* One of several datagrams that are sent or received together. */
typedef struct fl_datagram_message {
	void *data;
	size_t size;     /* the bytes to send, or the size of the buffer at `data` */
	size_t received; /* set by a receive: the bytes that `data` has now */
	size_t lost;     /* set by a receive: the bytes that did not fit */
	/*
	 * In a send, the address of the receiver; with `size` 0 it is the connected peer. In a
	 * receive, the address of the sender.
	 */
	fl_address address;
} fl_datagram_message;

/*
 * Sends `n` datagrams in order, and stores in `*sent` how many were sent. `sent` may be NULL.
 *
 * The call blocks the calling fiber while the system, or a Unix receiver, has no space.
 *
 * Returns:
 *   0               all were sent
 *   another result  of fl_datagram_send_to(), for the first datagram that was not sent. The
 *                   datagrams behind it were not sent
 *
 * An error that the network reports for an earlier datagram may get lost.
 */
FL_API FL_MUST_CHECK int fl_datagram_send_many_until(fl_datagram *d, const fl_datagram_message *list, unsigned n,
                                                     unsigned *sent, fl_time deadline, fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_datagram_send_many(fl_datagram *_d, const fl_datagram_message *_list, unsigned _n,
                                                  unsigned *_sent)
{
	return fl_datagram_send_many_until(_d, _list, _n, _sent, FL_FOREVER, NULL);
}

/*
 * Does the same as fl_datagram_send_many() for the datagrams for which there is space, and never
 * waits.
 *
 * Returns:
 *   0        all were sent
 *   -EAGAIN  there is no space for the rest
 *   other    an error of fl_datagram_send_to(), for the first datagram that was not sent
 */
FL_INLINE FL_MUST_CHECK int fl_datagram_try_send_many(fl_datagram *_d, const fl_datagram_message *_list, unsigned _n,
                                                      unsigned *_sent)
{
	return fl_datagram_send_many_until(_d, _list, _n, _sent, FL__TRY, NULL);
}

/*
 * Receives the datagrams that are available: at least 1, at most `n`, and at most FL_DATAGRAM_MANY.
 *
 * The call sets `received`, `lost` and `address` of each. A datagram that does not fit is no error:
 * `lost` says how many bytes it has lost, or 1 if the system does not say how many. The call blocks
 * the calling fiber while no datagram is available.
 *
 * Returns:
 *   > 0      the number of datagrams
 *   -EINVAL  `n` is 0
 *   other    an error of fl_datagram_receive(). The address that it calls `from` is that of list[0]
 */
FL_API FL_MUST_CHECK int fl_datagram_receive_many_until(fl_datagram *d, fl_datagram_message *list, unsigned n,
                                                        fl_time deadline, fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_datagram_receive_many(fl_datagram *_d, fl_datagram_message *_list, unsigned _n)
{
	return fl_datagram_receive_many_until(_d, _list, _n, FL_FOREVER, NULL);
}
#define FL_DATAGRAM_MANY 32u

/*
 * Does the same as fl_datagram_receive_many() if there is a datagram, and never waits. Callbacks of
 * the loop may call it.
 *
 * Returns:
 *   > 0      the number of datagrams
 *   -EAGAIN  there is no datagram
 *   other    an error of fl_datagram_receive_many()
 */
FL_INLINE FL_MUST_CHECK int fl_datagram_try_receive_many(fl_datagram *_d, fl_datagram_message *_list, unsigned _n)
{
	return fl_datagram_receive_many_until(_d, _list, _n, FL__TRY, NULL);
}

/* Returns the UDP port; 0 for a Unix socket, and for a socket that is closed or not bound. */
FL_API uint16_t fl_datagram_port(const fl_datagram *d);

/*
 * Stores the socket's own address in `*a`. An unnamed Unix socket has none, and `size` of the
 * address is 0. The call never waits.
 *
 * Returns:
 *   0       the address was stored
 *   -EPIPE  `d` is closed
 */
FL_API FL_MUST_CHECK int fl_datagram_local_address(const fl_datagram *d, fl_address *a);

/*
 * Stores the address of the connected peer in `*a`. It never waits.
 *
 * Returns:
 *   0          the address was stored
 *   -ENOTCONN  the socket is not connected
 *   -EPIPE     `d` is closed
 */
FL_API FL_MUST_CHECK int fl_datagram_peer_address(const fl_datagram *d, fl_address *a);

/*
 * Returns the descriptor of the socket, which the socket owns; or -1 if it is closed.
 *
 * Use the descriptor for setsockopt() and similar calls, but not for connect().
 */
FL_API int fl_datagram_fd(const fl_datagram *d);

FL__SCOPED(fl_datagram, fl_datagram_free)

FL_END_DECLS

#endif
