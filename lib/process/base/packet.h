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
 * least one byte: a receiver could not tell an empty packet from the end.
 */
enum { FL__PACKET_FDS = FL__PASSED_FDS };
#define FL__NO_USER UINT32_MAX

/*
 * Sends `size` bytes and `n_fds` descriptors, which the caller keeps. Waits for space. Observes no
 * cancel token. Returns
 *   0
 *   -EPIPE         the peer has closed (SIGPIPE is not raised)
 *   -EMSGSIZE      the packet never fits into the socket's buffer
 *   -ETIMEDOUT
 *   -EINVAL        no byte, or too many descriptors
 *   -EBADF
 *   -ETOOMANYREFS  too many of the user's descriptors are in flight
 *   -ENOBUFS, -ENOMEM
 */
int fl__packet_send(int socket, const void *data, size_t size, const int *fds, unsigned n_fds, fl_time deadline);

/*
 * Receives bytes into `data`, and descriptors (close-on-exec) into `fds`, which has room for
 * `*n_fds`. Sets `*size` and `*n_fds` to their numbers. `fds` and `n_fds` may be NULL. Observes no
 * cancel token. Returns
 *   0
 *   -EPIPE      the peer has ended, and everything was received
 *   -ETIMEDOUT, -ENOMEM
 *   -EMSGSIZE   the packet has more than `room` bytes
 *   -EMFILE     it has more descriptors than room, or than this process may have
 *   -EBADMSG    it is empty
 * After the last three, the packet is gone and its descriptors are closed.
 */
int fl__packet_recv(int socket, void *data, size_t room, size_t *size, int *fds, unsigned *n_fds, fl_time deadline);

/* Never waits (-EAGAIN). Requires at least one byte. */
int fl__packet_try_send(int socket, const struct iovec *parts, unsigned n_parts, const int *fds, unsigned n_fds);

struct fl__packet {
	struct iovec *parts;
	unsigned n_parts;
	int *fds;       /* room for FL__PACKET_FDS; NULL: drops the descriptors */
	size_t size;    /* result */
	unsigned n_fds; /* result */
	bool cut;       /* result: the packet had more bytes */
	bool lost;      /* descriptors are missing, over this process's limit */
	/* The sender, if SO_PASSCRED was set before; else FL__NO_USER. */
	uint32_t user;
};

/*
 * Never waits. `flags`: 0, or MSG_PEEK: the packet stays, and the descriptors are duplicates.
 * Returns 0, -EAGAIN, -EPIPE, -EBADMSG (an empty packet), -ENOMEM.
 */
int fl__packet_try_recv(int socket, struct fl__packet *packet, int flags);
