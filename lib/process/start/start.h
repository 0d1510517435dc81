/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "death_pipe.h"
#include "new_process.h"
#include <fairlead/process.h>

/* A process that a start has made. */
struct fl__child {
	const struct fl__start_method *method;
	int pid, pidfd;
	int channel;            /* the fork server reports the end over it; -1: a child of this process */
	bool lost;              /* the fork server has died without a report: only the pidfd shows the end */
	uint64_t server;        /* the number of the fork server; 0: a child of this process */
	int pipes[FL__STREAMS]; /* the caller's ends; -1: none */
	/* Ends a daemon that is a child of this process. The struct stays in place while the pipe is open. */
	struct fl__death_pipe death_pipe;
};

struct fl__start {
	const fl_process_config *config;
	const char *name;
	struct fl__child *child; /* made by the start */
	struct fl__setup setup;  /* descriptors by the caller's numbers */
	/* fl_process_start() closes `opened` and setup.cwd. */
	int opened[FL__STREAMS]; /* descriptors of `setup` that the start has opened; -1: none */
	const char *problem;
	const char *where; /* the failed process; NULL: this one */
	char text[200];
	const struct fl__settings *settings;
	bool refused; /* the fork server may not take on the settings */
};

/* A way to start a process, and what follows from it for the life of the process. */
struct fl__start_method {
	/* The process is sent a request: it finds its task by name, and may be in another directory. */
	bool by_request;
	/* The process is a child of the fork server, else of this process. */
	bool by_server;
	/* Makes the process. Returns 0; or an error, after which there is no process. */
	int (*start)(struct fl__start *start);
	/*
	 * Whether the process has ended. Returns 1, and stores the status; 0: it runs; or an error:
	 * it has ended, and how is not known. Returns the same from the first end on.
	 */
	int (*look)(struct fl__child *child, fl_process_status *status);
	/* The handle is about to be freed. `runs`: the process runs; `killed`: it has just been killed. */
	void (*forget)(struct fl__child *child, bool runs, bool killed);
};

extern const struct fl__start_method fl__start_program, fl__start_fork, fl__start_exec, fl__start_fork_server;

/* Starts a process by its method. After an error, `problem` says why. */
int fl__start_process(struct fl__start *start);

/* Sets `problem`. A long text is cut. */
FL_PRINTF(2, 3) void fl__start_say(struct fl__start *start, const char *format, ...);

/* These are look() and forget() of the methods whose processes are children of this process. */
int fl__start_look_at_child(struct fl__child *child, fl_process_status *status);
void fl__start_forget_child(struct fl__child *child, bool runs, bool killed);

/*
 * Whether this process may fork. `*problem`: the reason for an error. Returns
 *   0
 *   -EDEADLK   the process has other threads but the watcher, or the caller is a fiber; logged
 *   an errno   the threads cannot be counted
 */
int fl__process_may_fork(const char **problem);

/* Returns the child's pid; 0 in the child, with all signals blocked. */
int fl__process_fork(int *pidfd);
