/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_PROCESS_OS_H
#define FL_PROCESS_OS_H

#include <fairlead/process.h>
#include <stdint.h>

/*
 * What starting and ending processes asks of the system: the continuation of lib/base/sys.h's table, with the same rules.
 * Results are 0, a descriptor or a number, or a negative errno; errno stays as it is. All descriptors are close-on-exec.
 * What a new process does before its exec, or before its task, is not in the table: see setup.c.
 */
struct fl__os {
	int (*fork)(void); /* the child's number; 0 in the child */
	/* A child that shares the caller's memory, and stops the caller's thread until it ends or calls exec: its number. */
	int (*clone)(int (*child)(void *arg), void *stack_end, void *arg, int *pidfd);
	int (*pidfd)(int pid);
	int (*signal)(int pidfd, int signal);
	/* Collects an ended child: 1; 0 when it runs and `wait` is false; -ECHILD when it is not there to be collected. */
	int (*collect)(int pidfd, fl_process_status *status, bool wait);
	/* The same by its number; 0 is any child, and becomes its number. Only where nobody else collects it. */
	int (*collect_number)(int *pid, fl_process_status *status, bool wait);
	int (*pipe)(int ends[2]);
	int (*event)(void);         /* an eventfd */
	int (*child_signals)(void); /* a signalfd for SIGCHLD */
	int (*open)(const char *path, int flags);
	int (*duplicate)(int fd); /* at 3 or above */
	int (*enter)(int directory);
	int (*threads)(void);     /* of this process */
	int (*descriptors)(void); /* how many this process may have */
	const char *self;         /* this program */
	int64_t patience;         /* how long a start waits for an answer, ns */
};

extern struct fl__os fl__os;

/*
 * A fork whose child goes on when it has a pidfd: where SIGCHLD is ignored, a child that has ended is gone, and its number
 * names nothing, or another process. The child's number, with `*pidfd` a descriptor or the negative errno of opening it;
 * 0 in the child; -EMFILE, -ENFILE, -EAGAIN or -ENOMEM, and there is no child. It needs the numbers of two descriptors, of
 * which the pidfd takes one.
 */
int fl__fork_with_pidfd(int *pidfd);

/*
 * The same file with a number above those of the standard streams, which may be free: whoever finds them open takes them for
 * streams. `fd` is closed then; it is the answer itself when it is negative, or high enough, or when there is no other number.
 */
int fl__above(int fd);

/* fl__packet_pair(), above. */
int fl__above_pair(int sockets[2]);

void fl__close(int fd); /* nothing for a negative one; errno stays as it is */

#endif
