/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_PROCESS_PACKET_H
#define FL_PROCESS_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/*
 * Packets of bytes and descriptors over a socket of AF_UNIX and SOCK_SEQPACKET. A packet is whole or not there at all: also
 * when its sender is killed, and when several processes send and receive on one end. A packet has at least one byte: of an
 * empty one a receive could not tell whether it is the end.
 */
enum { FL__PACKET_FDS = 253 }; /* the most that the kernel passes with one packet */

/* Two connected sockets, close-on-exec: 0; -EMFILE, -ENFILE, -ENOMEM. */
int fl__packet_pair(int sockets[2]);

/*
 * Sends one packet: `size` bytes and `n_fds` descriptors, of which the caller keeps his own. Waits for space until the
 * deadline; no cancel token is observed. 0; -EPIPE (nobody can receive it; there is no SIGPIPE), -EMSGSIZE (it never fits
 * into the socket's buffer), -ETIMEDOUT, -EINVAL (no byte, or too many descriptors), -EBADF, -ETOOMANYREFS (of the user's
 * descriptors too many are on their way), -ENOBUFS, -ENOMEM.
 */
int fl__packet_send(int socket, const void *data, size_t size, const int *fds, unsigned n_fds, int64_t deadline);

/*
 * Receives one packet into `data`, and its descriptors, close-on-exec, into `fds`: `*n_fds` of them have room, and it becomes
 * how many came (both NULL: no room). Waits until the deadline; no cancel token is observed. 0; -EPIPE (the peer has closed
 * or was killed, and everything was received), -ETIMEDOUT, -ENOMEM. The packet is gone, and its descriptors are closed, after
 * -EMSGSIZE (it has more than `room` bytes), -EMFILE (more descriptors than room, or this process may not have so many),
 * -EBADMSG (an empty packet).
 */
int fl__packet_recv(int socket, void *data, size_t room, size_t *size, int *fds, unsigned *n_fds, int64_t deadline);

/* The two without waiting, in pieces: -EAGAIN where those wait. */
int fl__packet_try_send(int socket, const struct iovec *parts, unsigned n_parts, const int *fds, unsigned n_fds);

struct fl__packet {
	struct iovec *parts; /* where to put the bytes */
	unsigned n_parts;
	int *fds;       /* room for FL__PACKET_FDS; NULL: descriptors are dropped, and do not count as lost */
	size_t size;    /* result: bytes received */
	unsigned n_fds; /* result: descriptors received */
	bool cut;       /* result: it had more bytes */
	bool lost;      /* result: descriptors of it are missing, since this process may not have so many */
};

/*
 * `flags`: 0, or MSG_PEEK, with which the packet stays, and descriptors are duplicates. 0, -EAGAIN, -EPIPE, -EBADMSG (an empty
 * packet), -ENOMEM.
 */
int fl__packet_try_recv(int socket, struct fl__packet *packet, int flags);

#endif
