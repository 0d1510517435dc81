/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "fd/passed_fds.h"
#include <fairlead/time.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/*
 * Packets of bytes and descriptors over an AF_UNIX socket of type SOCK_SEQPACKET. A packet arrives
 * whole or not at all, even if its sender is killed, or several processes use one end. It has at
 * least one byte, because a receiver could not tell an empty packet from the end.
 */
enum { FL__PACKET_FDS = FL__PASSED_FDS };
#define FL__NO_USER UINT32_MAX

/*
 * Sends `size` bytes and `n_fds` descriptors, which the caller keeps. Waits for space. Observes no
 * cancel token. Returns
 *   0
 *   -EPIPE         the peer has closed (SIGPIPE is not raised)
 *   -EMSGSIZE      the packet never fits into the socket's buffer
 *   -ETIMEDOUT     the deadline has passed
 *   -EINVAL        there is no byte; there are too many descriptors; or one is of a kind that
 *                  cannot be sent
 *   -EBADF         a descriptor is not open
 *   -ETOOMANYREFS  too many of the user's descriptors are in flight
 *   -ENOBUFS       the kernel has no memory
 *   -ENOMEM        the kernel has no memory
 */
int fl__packet_send(int socket, const void *data, size_t size, const int *fds, unsigned n_fds, fl_time deadline);

/*
 * Receives bytes into `data`, which has `room` bytes, and descriptors (close-on-exec) into `fds`,
 * which has `*n_fds` elements. Sets `*size` and `*n_fds` to their numbers. `fds` and `n_fds` may be
 * NULL. Observes no cancel token. Returns
 *   0
 *   -EPIPE      the peer has ended, and everything was received
 *   -ETIMEDOUT  the deadline has passed
 *   -ENOMEM     the kernel has no memory
 *   -EMSGSIZE   the packet has more than `room` bytes
 *   -EMFILE     it has more descriptors than `fds` can hold, or than this process may have
 *   -EBADMSG    it is empty
 * After the last three, the packet is gone and its descriptors are closed. After -EMSGSIZE and
 * -EMFILE, `*size` says how many bytes have come into `data`.
 */
int fl__packet_recv(int socket, void *data, size_t room, size_t *size, int *fds, unsigned *n_fds, fl_time deadline);

/* Sends a packet of at least one byte. Returns -EAGAIN instead of waiting. */
int fl__packet_try_send(int socket, const struct iovec *parts, unsigned n_parts, const int *fds, unsigned n_fds);

struct fl__packet {
	struct iovec *parts;
	unsigned n_parts;
	/* memory for FL__PACKET_FDS descriptors, or NULL to drop them */
	int *fds;
	size_t size;    /* result */
	unsigned n_fds; /* result */
	bool cut;       /* a result: the packet had more bytes than `parts` can hold */
	/* a result: descriptors are missing, because this process has reached its limit */
	bool lost;
	/*
	 * a result: the sender's user id, if SO_PASSCRED was set before, and `fds` is not NULL;
	 * otherwise FL__NO_USER
	 */
	uint32_t user;
};

/*
 * Receives a packet, and never waits. `flags` is 0 or MSG_PEEK. With MSG_PEEK the packet stays in
 * the socket, and the descriptors are duplicates. Returns 0, -EAGAIN, -EPIPE, -EBADMSG (the packet
 * is empty) or -ENOMEM.
 */
int fl__packet_try_recv(int socket, struct fl__packet *packet, int flags);
