/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include <sys/socket.h>

/*
 * If there is no room for one of the descriptors of a message, a stream or a pipe that receives
 * them closes all of them, returns an error, and keeps the bytes for the next call: half a set is
 * worse than none, and the bytes may say what was meant. A read that expects no descriptors gives
 * the kernel no place for them. Then the kernel closes them, and the read costs no more than any
 * other.
 */

/* Descriptors in the control part of a message over a Unix socket (unix(7), SCM_RIGHTS). */
enum { FL__PASSED_FDS = 253 }; /* the most that the kernel passes with one message */

union fl__passed_fds {
	size_t header; /* has the alignment of struct cmsghdr */
	/* 256: for credentials and a pidfd, if the creator of the socket asked for them */
	char bytes[CMSG_SPACE(sizeof(int) * FL__PASSED_FDS) + 256];
};

/* Makes `control` the control part of `m`, with `n` descriptors, 1 to FL__PASSED_FDS. */
void fl__passed_fds_put(struct msghdr *m, union fl__passed_fds *control, const int *fds, unsigned n);

/*
 * Does what sendmsg() does, also with FL__PASSED_FDS descriptors. Returns the number of bytes, or a
 * negative errno.
 */
ssize_t fl__passed_fds_send(int fd, const struct msghdr *m, int flags);

/* Makes `control` the place for the descriptors of a message that is to be received. */
void fl__passed_fds_expect(struct msghdr *m, union fl__passed_fds *control);

/*
 * Stores the descriptors of a received message in `fds`, which has room for FL__PASSED_FDS, and
 * returns their number. Closes all other descriptors, among them a pidfd. If `m->msg_flags` has
 * MSG_CTRUNC, the process had too few free descriptors, and some are missing.
 */
unsigned fl__passed_fds_take(struct msghdr *m, int *fds);
