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
 * What the files packet, watch and pipe ask of the system about descriptors: the continuation of lib/base/sys.h's table,
 * with the same rules. Results are 0, a count or a descriptor, or a negative errno; errno stays as it is. All descriptors
 * are made close-on-exec.
 */
struct fl__fd_sys {
	int (*pair)(int sockets[2]); /* AF_UNIX, SOCK_SEQPACKET, connected */
	int (*adopt)(
	    int fd); /* makes it close-on-exec: 0; -EBADF, -ENOTSOCK, -EINVAL when it is not the end of such a pair */
	void (*shut)(int socket, int how); /* SHUT_RD, SHUT_WR: for all who have it */
	ssize_t (*send)(int socket, const struct msghdr *message, int flags);
	ssize_t (*receive)(int socket, struct msghdr *message, int flags);
	int (*waiting)(int socket); /* bytes of the packets that wait in it */
	int (*poll)(int fd, short events, short *seen,
	            int64_t timeout);                             /* ns; negative: for ever. How many are ready */
	int (*watch_create)(void);                                /* an epoll */
	int (*watch)(int epoll, int op, int fd, uint32_t events); /* epoll_ctl; the event's data is the descriptor */
	int (*watch_wait)(int epoll, struct epoll_event *events, int n, int ms); /* ms: negative is for ever */
	int (*memory)(void);                                                     /* a memfd that can be sealed */
	ssize_t (*write_at)(int fd, const void *data, size_t size, off_t at);
	ssize_t (*read_at)(int fd, void *data, size_t size, off_t at);
	int (*seal)(int fd);                       /* no other size, no other content, for ever */
	int (*sealed_size)(int fd, int64_t *size); /* of a memfd that is sealed so; else -EBADMSG */
};

extern struct fl__fd_sys fl__fd_sys;

/* Closes them; errno stays as it is. */
void fl__fds_close(const int *fds, unsigned n);

#endif
