/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include <errno.h>
#include <sys/socket.h>
#include <sys/types.h>

/*
 * The system calls of sockets. Results are as in lib/core/base/sys.h; errno keeps its value. Calls
 * on a connected stream or a datagram socket pass MSG_DONTWAIT, because the socket itself is
 * blocking, for the sake of processes that inherit it (docs/decisions/nonblocking-descriptors.md).
 * Other sockets are non-blocking.
 */
enum { FL__FD_READS = 1, FL__FD_WRITES = 2, FL__FD_TERMINAL_MASTER = 4 };

struct fl__net_sys {
	int (*socket)(int family, int type, int protocol); /* close-on-exec */
	int (*pair)(int sockets[2]);                       /* AF_UNIX, SOCK_STREAM, connected, close-on-exec */
	int (*adopt)(int fd);                              /* makes a user's socket close-on-exec, but not 0, 1 and 2 */
	int (*shutdown)(int fd, int how);

	/* Returns FL__FD_... bits, or -EBADF. */
	int (*describe)(int fd);
	/*
	 * Does what `adopt` does, for a descriptor that is not a socket. Returns the descriptor for
	 * `read` and `write`: usually a second one, for a new non-blocking open file description of
	 * the same pipe or terminal. Returns `fd` itself if it is already non-blocking or is not
	 * opened again, because it is another kind of file or the master of a terminal, or because
	 * open() fails. In that case a blocking `fd` becomes non-blocking, unless it is a pipe
	 * (try_io.h).
	 */
	int (*adopt_other)(int fd);
	ssize_t (*read)(int fd, void *buffer, size_t size);
	ssize_t (*write)(int fd, const struct iovec *parts, int n); /* no SIGPIPE */

	ssize_t (*recv)(int fd, void *buffer, size_t size);
	ssize_t (*send)(int fd, const void *data, size_t size); /* no SIGPIPE */
	ssize_t (*sendmsg)(int fd, const struct msghdr *message);
	ssize_t (*recvmsg)(int fd, struct msghdr *message, int flags);
	int (*sendmmsg)(int fd, struct mmsghdr *messages, unsigned n); /* how many, or an error */
	int (*recvmmsg)(int fd, struct mmsghdr *messages, unsigned n, int flags);

	int (*connect)(int fd, const struct sockaddr *address, socklen_t size);
	int (*bind)(int fd, const struct sockaddr *address, socklen_t size);
	int (*listen)(int fd, int backlog);
	/* The new socket is close-on-exec. Both pointers may be NULL. */
	int (*accept)(int fd, struct sockaddr *address, socklen_t *size);

	int (*set_option)(int fd, int level, int option, int value);
	int (*set_struct)(int fd, int level, int option, const void *value, socklen_t size);
	int (*get_option)(int fd, int level, int option, int *value);
	int (*get_struct)(int fd, int level, int option, void *value, socklen_t size);
	int (*local)(int fd, struct sockaddr *address, socklen_t *size); /* getsockname() */
	int (*peer)(int fd, struct sockaddr *address, socklen_t *size);  /* getpeername() */
};

extern struct fl__net_sys fl__net_sys;

/* The calls that no test replaces. */

/* Both ignore negative descriptors. */
void fl__fd_close(int fd);
void fl__fds_close(const int *fds, unsigned n);

/* Returns the documented error for a result of fl__net_sys: -ENOMEM for -ENOBUFS. */
static inline int fl__net_error(int rc)
{
	return rc == -ENOBUFS ? -ENOMEM : rc;
}
