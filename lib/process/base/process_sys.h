/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "fd/net_sys.h"
#include <fairlead/process.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/types.h>

/*
 * System calls for processes and descriptors, with the rules of lib/core/base/sys.h. Results are 0,
 * a descriptor, a count, or a negative errno. New descriptors are close-on-exec and above 2.
 * new_process.c has the calls of a new process.
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
	int (*pipe)(int ends[2]);
	int (*eventfd)(void);
	int (*signalfd)(const sigset_t *signals); /* non-blocking */
	/* pthread_sigmask() */
	int (*mask)(int how, const sigset_t *signals, sigset_t *before);
	int (*open)(const char *path, int flags);
	int (*count_threads)(void); /* of this process */
	const char *program;
	int64_t answer_timeout; /* of a start, in ns */
};

extern struct fl__process_sys fl__process_sys;

/* The calls that no test replaces. */

/* `pid` leads or has led the group. -ESRCH: it has no member. */
int fl__process_signal_group(int pidfd, int pid, int signal);

/* 1: reaped; 0, without `wait`: the child runs; -ECHILD: no such child. `status` may be NULL. */
int fl__process_reap(int pidfd, fl_process_status *status, bool wait);

/* By pid, which no other code may reap. `*pid` 0: any child; stores its pid. */
int fl__process_reap_by_pid(int *pid, fl_process_status *status, bool wait);

/*
 * An input without bytes: /dev/null; where that cannot be opened, a pipe without a writer, to which
 * writes return -EBADF.
 */
int fl__null_open(void);

bool fl__file_exists(int directory, const char *path); /* `path` may be relative to `directory` */

int fl__fd_waiting(int socket); /* bytes to be received */

struct fl__fd_sys {
	/* AF_UNIX, SOCK_SEQPACKET, connected. 0, -EMFILE, -ENFILE, -ENOMEM, -ENOBUFS. */
	int (*pair)(int sockets[2]);
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
	int (*seal)(int fd); /* fl__memfd_seal() is the caller */
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
 *   the child's pid
 *   0                 in the child
 *   -EMFILE, -ENFILE, -EAGAIN, -ENOMEM, -ENOSYS   no child
 */
int fl__fork_with_pidfd(int *pidfd);

/*
 * If a standard stream is closed, other code would use a descriptor of its number as the stream.
 * Returns `fd` itself if `fd` is negative, high enough, or cannot be moved.
 */
int fl__fd_above_streams(int fd);
