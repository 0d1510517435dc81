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
struct fl__net_sys {
	int (*socket)(int family, int type, int protocol);
	int (*pair)(int sockets[2]); /* AF_UNIX, SOCK_STREAM, connected */
	int (*adopt)(int fd);        /* makes a user's socket non-blocking and close-on-exec */
	void (*close)(int fd);
	int (*shutdown)(int fd, int how);

	ssize_t (*recv)(int fd, void *buffer, size_t size);
	ssize_t (*send)(int fd, const void *data, size_t size); /* no SIGPIPE */
	ssize_t (*sendmsg)(int fd, const struct msghdr *message);

	int (*connect)(int fd, const struct sockaddr *address, socklen_t size);
	int (*bind)(int fd, const struct sockaddr *address, socklen_t size);
	int (*listen)(int fd, int backlog);
	int (*accept)(int fd, struct sockaddr *address, socklen_t *size); /* both may be NULL */

	int (*set_option)(int fd, int level, int option, int value);
	int (*get_option)(int fd, int level, int option, int *value);
	int (*local)(int fd, struct sockaddr *address, socklen_t *size); /* getsockname() */
	int (*peer)(int fd, struct sockaddr *address, socklen_t *size);  /* getpeername() */
};

extern struct fl__net_sys fl__net_sys;

#endif
