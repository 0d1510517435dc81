/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_LOOP_NET_SYS_H
#define FL_LOOP_NET_SYS_H

#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>

/*
 * The system calls of sockets. As in lib/base/sys.h, results are 0, a count, a descriptor, or a
 * negative errno; errno keeps its value. New sockets are non-blocking and close-on-exec.
 */
enum { FL__FD_READS = 1, FL__FD_WRITES = 2, FL__FD_TERMINAL_MASTER = 4 };

struct fl__net_sys {
	int (*socket)(int family, int type, int protocol);
	int (*pair)(int sockets[2]); /* AF_UNIX, SOCK_STREAM, connected */
	int (*adopt)(int fd);        /* makes a user's socket non-blocking and close-on-exec */
	void (*close)(int fd);
	int (*shutdown)(int fd, int how);

	/* Of a descriptor that is no socket: FL__FD_... bits, or -EBADF. */
	int (*describe)(int fd);
	/*
	 * Makes such a descriptor non-blocking and close-on-exec. A pipe or a terminal gets an open
	 * file description of its own, where that is possible: other processes keep a blocking one.
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
	int (*accept)(int fd, struct sockaddr *address, socklen_t *size); /* both may be NULL */

	int (*set_option)(int fd, int level, int option, int value);
	int (*set_struct)(int fd, int level, int option, const void *value, socklen_t size);
	int (*get_option)(int fd, int level, int option, int *value);
	int (*get_struct)(int fd, int level, int option, void *value, socklen_t size);
	int (*local)(int fd, struct sockaddr *address, socklen_t *size); /* getsockname() */
	int (*peer)(int fd, struct sockaddr *address, socklen_t *size);  /* getpeername() */
	int (*interface)(const char *name);                              /* its index, or -ENODEV */
};

extern struct fl__net_sys fl__net_sys;

#endif
