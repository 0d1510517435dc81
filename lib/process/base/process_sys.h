/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "core/base/sys.h"
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
 * a descriptor, a count, or a negative errno. New descriptors are close-on-exec, and above 2 if
 * fl__fd_above_streams() can move them. However, the pidfd of clone() is moved by the caller.
 * new_process.c has the calls of a new process.
 */

struct fl__process_sys {
	/* returns the child's pid, and 0 in the child */
	int (*fork)(void);
	/*
	 * Makes a child that shares the caller's memory. Returns its pid after the child has
	 * executed a program or ended. Where memory cannot be shared, the function forks, and with
	 * a `pidfd` it then returns at once. If `pidfd` is NULL, the child must end without an
	 * exec, and the function reaps it. Such a child is not found by a wait() of another thread,
	 * and sends no signal when it ends, unless it was forked.
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
	int (*count_threads)(void); /* the threads of this process */
	/*
	 * syscall(), for setting up a new process. Because that process may share this process's
	 * memory, a replacement must be a function that may run there (FL__RAW of
	 * start/new_process.h).
	 */
	long (*raw)(long number, ...);
	const char *program;
	/* how long a start waits for an answer, in ns; FL_PROCESS_FORK waits without a limit */
	int64_t answer_timeout;
	/* after how many ns a wait for a process checks whether the process is stopped */
	int64_t first_look;
};

extern struct fl__process_sys fl__process_sys;

/* The calls that no test replaces. */

/* Sends a signal to a group that `pid` leads or has led. Returns -ESRCH if the group is empty. */
int fl__process_signal_group(int pidfd, int pid, int signal);

/*
 * Returns true if the process is stopped by a signal, and stores whether it is in the background of
 * its terminal. Returns false if there is no /proc.
 */
bool fl__process_is_stopped(int pid, bool *in_background);

/*
 * Returns the resident memory of a process without the pages of files and of shared memory, in
 * bytes. This is RssAnon of /proc/PID/status, but it is read from /proc/PID/statm, which the kernel
 * writes faster. Returns 0 if the process has ended, or without /proc.
 */
uint64_t fl__process_memory(int pid);

/*
 * Returns 1 if the child was reaped; 0 if it runs and `wait` is false; -ECHILD if there is no such
 * child; or another negative errno if the kernel refuses the call. `status` may be NULL.
 */
int fl__process_reap(int pidfd, fl_process_status *status, bool wait);

/*
 * Reaps a child by its pid; no other code may reap this child. If `*pid` is 0, reaps any child,
 * and stores its pid.
 */
int fl__process_reap_by_pid(int *pid, fl_process_status *status, bool wait);

/*
 * Opens an empty input: /dev/null or, if that cannot be opened, the reading end of a pipe without a
 * writer. Writes to this end return -EBADF.
 */
int fl__null_open(void);

/* `path` may be relative to `directory` */
bool fl__file_exists(int directory, const char *path);

int fl__fd_waiting(int socket); /* returns how many bytes can be received */

struct fl__fd_sys {
	/*
	 * Makes a connected pair of AF_UNIX sockets of type SOCK_SEQPACKET. Returns 0, -EMFILE,
	 * -ENFILE, -ENOMEM or -ENOBUFS.
	 */
	int (*pair)(int sockets[2]);
	/* `timeout` is in ns; if it is negative, waits forever. */
	int (*poll)(struct pollfd *fds, unsigned n, int64_t timeout);
	int (*epoll_create)(void);
	/* The event's data is `fd`. */
	int (*epoll_control)(int epoll, int op, int fd, uint32_t events);
	/* a negative `ms` waits forever */
	int (*epoll_wait)(int epoll, struct epoll_event *events, int n, int ms);
	int (*memfd)(void); /* returns a memfd that can be sealed */
	/* write_at() returns -EFBIG above RLIMIT_FSIZE, and raises no SIGXFSZ. */
	ssize_t (*write_at)(int fd, const void *data, size_t size, off_t at);
	ssize_t (*read_at)(int fd, void *data, size_t size, off_t at);
	int (*seal)(int fd); /* called by fl__memfd_seal() only */
	/* Returns -EBADMSG if `fd` is not a memfd that is sealed against shrinks and writes. */
	int (*sealed_size)(int fd, int64_t *size);
};

extern struct fl__fd_sys fl__fd_sys;

/* Returns 1 if the descriptor is ready, 0 if not, or a negative errno. Does not wait. */
static inline int fl__fd_poll(int fd, short events)
{
	struct pollfd p = {.fd = fd, .events = events};
	return FL__RETRY(fl__fd_sys.poll(&p, 1, 0));
}

/*
 * Forks a child that waits until its pidfd is open. If the child did not wait, it might end before
 * that, and if SIGCHLD is ignored, its pid might then belong to another process. Needs two free
 * descriptors, one of them for the pidfd. Returns
 *   the child's pid
 *   0                 in the child
 *   -EMFILE, -ENFILE, -EAGAIN, -ENOMEM, -ENOBUFS, -ENOSYS   there is no child
 */
int fl__fork_with_pidfd(int *pidfd);

/*
 * Moves `fd` above the standard streams. If a standard stream is closed, a new descriptor may get
 * its number, and other code would use that descriptor as the stream. Returns the new descriptor.
 * Returns `fd` itself if it is negative, high enough, or cannot be moved.
 */
int fl__fd_above_streams(int fd);
