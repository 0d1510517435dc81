/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_PROCESS_FD_SYS_H
#define FL_PROCESS_FD_SYS_H

#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/types.h>

/*
 * The system calls on descriptors of packet, watch and pipe. The table continues that of
 * lib/base/sys.h, with the same rules. Results are 0, a count, a descriptor, or a negative errno;
 * errno keeps its value. New descriptors are close-on-exec.
 */
struct fl__fd_sys {
	int (*pair)(int sockets[2]); /* AF_UNIX, SOCK_SEQPACKET, connected */
	/* Makes `fd` close-on-exec. -EBADF, -ENOTSOCK; -EINVAL: `fd` is no end of such a pair. */
	int (*adopt)(int fd);
	void (*shut)(int socket, int how); /* SHUT_RD, SHUT_WR: for all processes */
	ssize_t (*send)(int socket, const struct msghdr *message, int flags);
	ssize_t (*receive)(int socket, struct msghdr *message, int flags);
	int (*waiting)(int socket); /* bytes to be received */
	/* Returns how many are ready. `timeout`: ns; negative: for ever. */
	int (*poll)(int fd, short events, short *seen, int64_t timeout);
	int (*watch_create)(void); /* an epoll set */
	/* epoll_ctl(); the event's data is `fd`. */
	int (*watch)(int epoll, int op, int fd, uint32_t events);
	/* ms < 0: for ever */
	int (*watch_wait)(int epoll, struct epoll_event *events, int n, int ms);
	int (*memory)(void); /* a sealable memfd */
	ssize_t (*write_at)(int fd, const void *data, size_t size, off_t at);
	ssize_t (*read_at)(int fd, void *data, size_t size, off_t at);
	int (*seal)(int fd);                       /* fixes size and content for ever */
	int (*sealed_size)(int fd, int64_t *size); /* of a memfd sealed so; else -EBADMSG */
};

extern struct fl__fd_sys fl__fd_sys;

/* Closes the descriptors; errno keeps its value. */
void fl__fds_close(const int *fds, unsigned n);

#endif
