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
 * A datagram, which may be empty, is sent and received whole or not at all. UDP may lose, duplicate
 * or reorder datagrams.
 *
 * Loop and fibers
 *
 * The rules for streams hold here, too (fairlead/stream.h, "Loop and fibers"), but any number of
 * fibers may send and receive at a time.
 *
 * Except for -EPIPE, an error of a send or a receive concerns that call only.
 */
typedef struct fl_datagram fl_datagram;

/* How a UDP socket is opened. */
typedef struct fl_datagram_config {
	/* Sockets of one user share the port, which is otherwise exclusive. */
	bool reuse_port;
	/* Sockets of any user share the port, as the receivers of a multicast group do. */
	bool reuse_address;
	/* Datagrams may be sent to broadcast addresses. */
	bool broadcast;
	/* Receives return the errors of all peers: see fl_datagram_receive(). */
	bool peer_errors;
	/* Datagrams to multicast groups are not delivered on this machine. */
	bool no_loopback;
	/* How many routers a datagram to a host may pass, plus 1. 0: the default. */
	unsigned char hops;
	/* The same for datagrams to multicast groups. 1: only this network. */
	unsigned char multicast_hops;
	/* The interface for datagrams to multicast groups. NULL: the system's route. */
	const char *interface;
	uintptr_t more_[4];
} fl_datagram_config;

/*
 * Opens a UDP socket at an address of this machine. `host` and `port` mean the same as for
 * fl_listener_open_tcp() (fairlead/net.h); a client passes NULL and 0. The lookup of a name blocks
 * the calling fiber. To join a multicast group, call setsockopt() with MCAST_JOIN_GROUP on
 * fl_datagram_fd(). Returns 0, -EMFILE, -ENFILE, -ENOMEM, -ENOSPC, or:
 *   -EADDRINUSE  the port is in use
 *   -ENODEV      the config names an interface that does not exist
 *   -EADDRNOTAVAIL, -EACCES, -EAFNOSUPPORT, -ENOTSUP, -ECANCELED, other
 *                an error of fl_listener_open_tcp()
 */
FL_API FL_MUST_CHECK int fl_datagram_open_udp(fl_datagram **d, const char *host, uint16_t port,
                                              const fl_datagram_config *config);

/*
 * Opens a Unix datagram socket at a path, or at an abstract name, which begins with '@'. With
 * `path` NULL the system chooses a name, by which others can answer. Any user can send to an
 * abstract name. The file is made, replaced and removed as by fl_listener_open_unix()
 * (fairlead/net.h). Returns 0, -EMFILE, -ENFILE, -ENOMEM, -ENOSPC, -ENOTSUP, or:
 *   -EADDRINUSE  a socket is open there, or a process is just opening the path
 *   -ENOTSOCK, -ENAMETOOLONG, -ENOENT, -ENOTDIR, -EACCES, -EROFS, -EINVAL, other
 *                an error of fl_listener_open_unix()
 */
FL_API FL_MUST_CHECK int fl_datagram_open_unix(fl_datagram **d, const char *path);

/*
 * Creates an fl_datagram that owns the datagram socket `fd`, on the loop that the calling thread
 * runs. Makes `fd` close-on-exec, unless it is 0, 1 or 2. After an error you still own `fd`.
 * Returns 0, -ENOMEM, -ENOSPC, -ENOTSUP, or:
 *   -EBADF     `fd` is not open
 *   -ENOTSOCK  `fd` is not a socket
 *   -EINVAL    `fd` is another kind of socket
 *   -EEXIST    the loop watches `fd` already
 */
FL_API FL_MUST_CHECK int fl_datagram_from_fd(fl_datagram **d, int fd);

/* Closes and frees the socket. Panics while a fiber sends or receives. */
FL_API void fl_datagram_free(fl_datagram *d);

/*
 * Closes the socket and removes its file, so that the port or path is free. Fibers that send or
 * receive get -EPIPE.
 */
FL_API void fl_datagram_close(fl_datagram *d);

/*
 * Connects the socket to a peer, without waiting: sends without an address go to it, and only its
 * datagrams are received, except those that arrived before. A UDP peer need not exist. Returns 0,
 * or:
 *   -EPIPE         `d` is closed
 *   -EINVAL        the caller does not run the socket's loop
 *   -EAFNOSUPPORT  `peer` is not an address for this kind of socket
 *   -EACCES        `peer` is a broadcast address, and the config lacks `broadcast`; or, Unix, the
 *                  user may not write the file
 *   -ECONNREFUSED  Unix: no socket is open there
 *   -ENOENT        Unix: there is no such file
 *   -EPROTOTYPE    Unix: a stream socket is there
 *   -EPERM         Unix: the socket there is connected to another peer
 *   -ENETUNREACH, -EHOSTUNREACH
 *                  there is no route to the peer
 *   -EADDRINUSE    the port that the system had chosen was lost in a change between IPv4 and IPv6
 *   other          an error of the system
 */
FL_API FL_MUST_CHECK int fl_datagram_connect(fl_datagram *d, const fl_address *peer);

/*
 * Ends the connection, if there is one. The socket keeps its address. Returns 0, or:
 *   -EPIPE       `d` is closed
 *   -EINVAL      the caller does not run the socket's loop
 *   -EADDRINUSE  another socket has taken the port that the system had chosen; the next send
 *                chooses another
 */
FL_API FL_MUST_CHECK int fl_datagram_disconnect(fl_datagram *d);

/*
 * Sends a datagram of `size` bytes to an address or, if `to` is NULL, to the connected peer. Blocks
 * the calling fiber while the system, or a Unix receiver, has no space. Returns 0, -EAGAIN,
 * -ETIMEDOUT, -ECANCELED, -EPIPE, -EFAULT, or:
 *   -ENOTCONN      no address is given, and the socket is not connected
 *   -EMSGSIZE      the datagram is larger than the protocol, the send buffer or the path allows
 *   -EAFNOSUPPORT, -EACCES, -ENOENT, -EPROTOTYPE
 *                  the address cannot be used: see fl_datagram_connect()
 *   -ECONNREFUSED  Unix: no socket is open there. UDP: there was none for an earlier datagram
 *                  (ICMP), and this datagram was not sent
 *   -ENETUNREACH, -EHOSTUNREACH
 *                  there is no route to the peer, or was none for an earlier datagram (ICMP)
 *   -EPERM         Unix: the socket there is connected to another peer. UDP: a packet filter
 *                  forbids the datagram
 *   -ENOMEM        out of memory; or the queue of the network interface is full, and the datagram
 *                  is lost
 *   -EINVAL        UDP: the port is 0, or the socket's own address cannot reach the peer
 */
FL_API FL_MUST_CHECK int fl_datagram_send_to_until(fl_datagram *d, const void *data, size_t size, const fl_address *to,
                                                   fl_time deadline, fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_datagram_send_to(fl_datagram *_d, const void *_data, size_t _size, const fl_address *_to)
{
	return fl_datagram_send_to_until(_d, _data, _size, _to, FL_FOREVER, NULL);
}
FL_INLINE FL_MUST_CHECK int fl_datagram_try_send_to(fl_datagram *_d, const void *_data, size_t _size,
                                                    const fl_address *_to)
{
	return fl_datagram_send_to_until(_d, _data, _size, _to, FL__TRY, NULL);
}

/*
 * Receives a datagram into `buffer`, and stores its sender in `from`, which may be NULL. Blocks the
 * calling fiber while no datagram is available. Returns -EAGAIN, -ETIMEDOUT, -ECANCELED, -EPIPE,
 * -EINVAL, -ENOMEM, -EFAULT, or:
 *   >= 0       the size of the datagram
 *   -EMSGSIZE  the datagram is larger than `size`, and its rest is lost
 *   -ECONNREFUSED, -EHOSTUNREACH, -ENETUNREACH, or another error of the network
 *              an earlier datagram to the connected peer did not arrive (ICMP); or, with
 *              `peer_errors` of the config, an earlier datagram to the peer `from`
 */
FL_API FL_MUST_CHECK ssize_t fl_datagram_receive_until(fl_datagram *d, void *buffer, size_t size, fl_address *from,
                                                       fl_time deadline, fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK ssize_t fl_datagram_receive(fl_datagram *_d, void *_buffer, size_t _size, fl_address *_from)
{
	return fl_datagram_receive_until(_d, _buffer, _size, _from, FL_FOREVER, NULL);
}
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
	 * in a send the receiver's address, whose `size` 0 means the connected peer; in a receive
	 * the sender's address
	 */
	fl_address address;
} fl_datagram_message;

/*
 * Sends `n` datagrams in order, waiting as fl_datagram_send_to() does, and stores in `*sent`, which
 * may be NULL, how many were sent. Returns 0, or an error of fl_datagram_send_to() for the first
 * datagram that was not sent; later ones were not sent either.
 */
FL_API FL_MUST_CHECK int fl_datagram_send_many_until(fl_datagram *d, const fl_datagram_message *list, unsigned n,
                                                     unsigned *sent, fl_time deadline, fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_datagram_send_many(fl_datagram *_d, const fl_datagram_message *_list, unsigned _n,
                                                  unsigned *_sent)
{
	return fl_datagram_send_many_until(_d, _list, _n, _sent, FL_FOREVER, NULL);
}
FL_INLINE FL_MUST_CHECK int fl_datagram_try_send_many(fl_datagram *_d, const fl_datagram_message *_list, unsigned _n,
                                                      unsigned *_sent)
{
	return fl_datagram_send_many_until(_d, _list, _n, _sent, FL__TRY, NULL);
}

/*
 * Receives the datagrams that are available, at most `n` and at most FL_DATAGRAM_MANY, and sets
 * `received`, `lost` and `address` of each. Blocks the calling fiber while there are none. If the
 * system does not say how many bytes were lost, `lost` is 1. Returns:
 *   > 0      the number of datagrams
 *   -EINVAL  `n` is 0
 *   other    an error of fl_datagram_receive(), whose `from` is the address of list[0]
 */
FL_API FL_MUST_CHECK int fl_datagram_receive_many_until(fl_datagram *d, fl_datagram_message *list, unsigned n,
                                                        fl_time deadline, fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_datagram_receive_many(fl_datagram *_d, fl_datagram_message *_list, unsigned _n)
{
	return fl_datagram_receive_many_until(_d, _list, _n, FL_FOREVER, NULL);
}
#define FL_DATAGRAM_MANY 32u
FL_INLINE FL_MUST_CHECK int fl_datagram_try_receive_many(fl_datagram *_d, fl_datagram_message *_list, unsigned _n)
{
	return fl_datagram_receive_many_until(_d, _list, _n, FL__TRY, NULL);
}

/* Returns the UDP port, or 0 if there is none. */
FL_API uint16_t fl_datagram_port(const fl_datagram *d);

/*
 * Stores the socket's own address in `*a`, whose `size` is 0 for an unnamed Unix socket. Returns 0,
 * or -EPIPE if `d` is closed.
 */
FL_API FL_MUST_CHECK int fl_datagram_local_address(const fl_datagram *d, fl_address *a);

/*
 * Stores the address of the connected peer in `*a`. Returns 0, -ENOTCONN if there is none, or
 * -EPIPE if `d` is closed.
 */
FL_API FL_MUST_CHECK int fl_datagram_peer_address(const fl_datagram *d, fl_address *a);

/*
 * Returns the descriptor, which the socket owns, or -1 if it is closed. Do not call connect() with
 * it.
 */
FL_API int fl_datagram_fd(const fl_datagram *d);

FL__SCOPED(fl_datagram, fl_datagram_free)

FL_END_DECLS

#endif
