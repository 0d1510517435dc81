/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_PROCESS_DEATH_PIPE_H
#define FL_PROCESS_DEATH_PIPE_H

#include <stdbool.h>

/*
 * A death pipe ends a child when this process ends, SIGKILL included. This process alone keeps both
 * ends open. The child asks for SIGKILL at an event of either end (F_SETOWN, F_SETSIG, O_ASYNC).
 * When this process ends the kernel closes one end first, and that is an event of the other end.
 *
 * PR_SET_PDEATHSIG is different: it ends the child with the *thread* that made the child.
 */
struct fl__death_pipe {
	int ends[2];
	bool open; /* false: zeroed memory is a pipe that was never opened */
	struct fl__death_pipe *next, **link;
};

/* Opens the pipe, close-on-exec: 0, -EMFILE, -ENFILE. The struct stays in place until the close. */
int fl__death_pipe_open(struct fl__death_pipe *d);

/* Closes the pipe if it is open: the child, if it still runs, is killed. */
void fl__death_pipe_close(struct fl__death_pipe *d);

/*
 * Keeps `d` open in a child that this thread forks from now on, for fl__new_process_setup(). All
 * other death pipes are closed there: a copy of an end would keep the children alive. NULL: none.
 */
void fl__death_pipe_keep(const struct fl__death_pipe *d);

#endif
