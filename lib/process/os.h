/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_PROCESS_OS_H
#define FL_PROCESS_OS_H

#include <fairlead/process.h>
#include <stdint.h>

/*
 * The system calls that start and end processes. The table continues that of lib/base/sys.h, with
 * the same rules. Results are 0, a descriptor, a number, or a negative errno; errno keeps its
 * value. New descriptors are close-on-exec. setup.c has the calls of a new process before its exec
 * or its task.
 */
struct fl__os {
	int (*fork)(void); /* the child's pid; 0 in the child */
	/* Makes a child in the caller's memory. Returns its pid after its exec or end. */
	int (*clone)(int (*child)(void *arg), void *stack_end, void *arg, int *pidfd);
	int (*pidfd)(int pid);
	int (*signal)(int pidfd, int signal);
	/* Reaps a child: 1; 0: the child runs, and `wait` is false; -ECHILD: no such child. */
	int (*collect)(int pidfd, fl_process_status *status, bool wait);
	/* The same by pid; 0: any child, and stores its pid. No other code may reap it. */
	int (*collect_number)(int *pid, fl_process_status *status, bool wait);
	int (*pipe)(int ends[2]);
	int (*event)(void);         /* an eventfd */
	int (*child_signals)(void); /* a signalfd for SIGCHLD */
	int (*open)(const char *path, int flags);
	int (*duplicate)(int fd); /* to 3 or above */
	int (*enter)(int directory);
	int (*threads)(void);     /* of this process */
	int (*descriptors)(void); /* the limit of this process */
	const char *self;         /* this program */
	int64_t patience;         /* how long a start waits for an answer, ns */
};

extern struct fl__os fl__os;

/*
 * Forks a child that waits until its pidfd is open: where SIGCHLD is ignored, an ended child is
 * gone, and its pid names no process or another one. Needs two free descriptors, of which the pidfd
 * takes one. Returns
 *   the child's pid   `*pidfd` is open, or is an errno: then the child was killed, not reaped
 *   0                 in the child
 *   -EMFILE, -ENFILE, -EAGAIN, -ENOMEM   no child
 */
int fl__fork_with_pidfd(int *pidfd);

/*
 * Moves `fd` above the numbers of the standard streams, which may be closed: other code would take
 * `fd` for a stream. Returns `fd` itself if it is negative, high enough, or cannot be moved.
 */
int fl__above(int fd);

/* fl__packet_pair(), moved by fl__above(). */
int fl__above_pair(int sockets[2]);

void fl__close(int fd); /* ignores a negative `fd`; errno keeps its value */

#endif
