/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_PROCESS_SYS_H
#define FL_PROCESS_SYS_H

#include "core/fd/net_sys.h"
#include <fairlead/process.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/types.h>

/*
 * System calls for processes and descriptors, with the rules of lib/core/base/sys.h. Results are 0,
 * a descriptor, a count, or a negative errno. New descriptors are close-on-exec. new_process.c has
 * the calls of a new process.
 */

struct fl__process_sys {
	int (*fork)(void); /* the child's pid; 0 in the child */
	/*
	 * Makes a child in the caller's memory. Returns its pid after its exec or end. Where memory
	 * cannot be shared, forks, and returns at once. `pidfd` NULL: the child ends without an
	 * exec, and is reaped here. wait() passes over it, and its end sends no signal, unless it
	 * is a fork.
	 */
	int (*clone)(int (*child)(void *arg), void *stack_end, void *arg, int *pidfd);
	int (*pidfd)(int pid);
	int (*signal)(int pidfd, int signal);
	/* `pid` leads or has led the group. -ESRCH: it has no member. */
	int (*signal_group)(int pidfd, int pid, int signal);
	/* 1: reaped; 0, without `wait`: the child runs; -ECHILD: no such child. */
	int (*reap)(int pidfd, fl_process_status *status, bool wait);
	/* By pid, which no other code may reap. `*pid` 0: any child; stores its pid. */
	int (*reap_by_pid)(int *pid, fl_process_status *status, bool wait);
	int (*pipe)(int ends[2]);
	int (*eventfd)(void);
	int (*child_signals)(void); /* a signalfd for SIGCHLD */
	int (*open)(const char *path, int flags);
	bool (*exists)(int directory, const char *path); /* `path` may be relative to `directory` */
	int (*duplicate)(int fd);                        /* to 3 or above */
	int (*change_directory)(int directory);
	int (*count_threads)(void); /* of this process */
	int (*fd_limit)(void);      /* of this process */
	const char *program;
	int64_t answer_timeout; /* of a start, in ns */
};

extern struct fl__process_sys fl__process_sys;

struct fl__fd_sys {
	int (*pair)(int sockets[2]); /* AF_UNIX, SOCK_SEQPACKET, connected */
	/* -EBADF, -ENOTSOCK; -EINVAL: `fd` is no end of such a pair. */
	int (*adopt)(int fd);
	void (*shut)(int socket, int how); /* SHUT_RD, SHUT_WR: for all processes */
	ssize_t (*send)(int socket, const struct msghdr *message, int flags);
	ssize_t (*receive)(int socket, struct msghdr *message, int flags);
	int (*waiting)(int socket); /* bytes to be received */
	/* `timeout`: ns; negative: for ever. */
	int (*poll)(struct pollfd *fds, unsigned n, int64_t timeout);
	int (*epoll_create)(void);
	/* The event's data is `fd`. */
	int (*epoll_control)(int epoll, int op, int fd, uint32_t events);
	/* ms < 0: for ever */
	int (*epoll_wait)(int epoll, struct epoll_event *events, int n, int ms);
	int (*memfd)(void); /* sealable */
	/* -EFBIG: above RLIMIT_FSIZE. */
	ssize_t (*write_at)(int fd, const void *data, size_t size, off_t at);
	ssize_t (*read_at)(int fd, void *data, size_t size, off_t at);
	int (*seal)(int fd); /* fixes size and content */
	/* -EBADMSG: `fd` is no memfd sealed against shrinks and writes. */
	int (*sealed_size)(int fd, int64_t *size);
};

extern struct fl__fd_sys fl__fd_sys;

/* Does not wait. 1: ready; 0; a negative errno. */
static inline int fl__fd_poll(int fd, short events)
{
	struct pollfd p = {.fd = fd, .events = events};
	return fl__fd_sys.poll(&p, 1, 0);
}

/*
 * Forks a child that waits until its pidfd is open: where SIGCHLD is ignored, an ended child's pid
 * may name another process. Needs two free descriptors, of which the pidfd takes one. Returns
 *   the child's pid   `*pidfd` is open; or it is an errno, and the child was killed, not reaped
 *   0                 in the child
 *   -EMFILE, -ENFILE, -EAGAIN, -ENOMEM   no child
 */
int fl__fork_with_pidfd(int *pidfd);

/*
 * If a standard stream is closed, other code would use a descriptor of its number as the stream.
 * Returns `fd` itself if `fd` is negative, high enough, or cannot be moved.
 */
int fl__fd_above_streams(int fd);

/* fl__packet_pair(), moved by fl__fd_above_streams(). */
int fl__packet_pair_above_streams(int sockets[2]);

/* errno keeps its value. */
void fl__fds_close(const int *fds, unsigned n);

#endif
