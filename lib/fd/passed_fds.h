/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include <sys/socket.h>

/*
 * If there is no room for one of a message's descriptors, a stream or a pipe that receives them
 * closes all of them, because half a set is worse than none, and returns an error. It keeps the
 * bytes for the next call, because they may say what was meant. A read that expects no descriptors
 * gives the kernel no place for them. Then the kernel closes them, and the read costs no more than
 * any other.
 */

/* Descriptors in the control part of a message over a Unix socket (unix(7), SCM_RIGHTS). */
enum { FL__PASSED_FDS = 253 }; /* the most that the kernel passes with one message */

union fl__passed_fds {
	size_t header; /* for the alignment of struct cmsghdr */
	/*
	 * the 256 bytes are for credentials and a pidfd, if the creator of the socket asked for
	 * them
	 */
	char bytes[CMSG_SPACE(sizeof(int) * FL__PASSED_FDS) + 256];
};

/* Makes `control` the control part of `m`, with `n` descriptors, 1 to FL__PASSED_FDS. */
void fl__passed_fds_put(struct msghdr *m, union fl__passed_fds *control, const int *fds, unsigned n);

/*
 * Does what sendmsg() does, even with FL__PASSED_FDS descriptors. Returns the number of bytes, or a
 * negative errno.
 */
ssize_t fl__passed_fds_send(int fd, const struct msghdr *m, int flags);

/* Makes `control` the place for the descriptors of the message that `m` will receive. */
void fl__passed_fds_expect(struct msghdr *m, union fl__passed_fds *control);

/*
 * Stores the descriptors of a received message in `fds`, which has room for FL__PASSED_FDS, and
 * returns their number. Closes all other descriptors, such as a pidfd. If `m->msg_flags` contains
 * MSG_CTRUNC, some descriptors are missing, because the process had too few free ones.
 */
unsigned fl__passed_fds_take(struct msghdr *m, int *fds);
