/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "death_pipe.h"
#include "new_process.h"
#include <fairlead/process.h>

/* A process that a start has made. */
struct fl__child {
	const struct fl__start_method *method;
	int pid, pidfd;
	/* the fork server reports the end over it; -1 for a child of this process */
	int channel;
	/* the fork server has died without a report, so only the pidfd shows the end */
	bool lost;
	/* the number of the fork server, or 0 for a child of this process */
	uint64_t server;
	int pipes[FL__STREAMS]; /* the caller's ends of the pipes; -1 for none */
	/*
	 * Ends a daemon that is a child of this process. The struct stays in place until the pipe
	 * is closed.
	 */
	struct fl__death_pipe death_pipe;
};

struct fl__start {
	const fl_process_config *config;
	const char *name;
	struct fl__child *child; /* the start fills it in */
	struct fl__setup setup;  /* the descriptors have the caller's numbers */
	/* fl_process_start() closes `opened` and setup.cwd. */
	/* descriptors of `setup` that the start has opened; -1 for none */
	int opened[FL__STREAMS];
	const char *problem;
	const char *where; /* which process has failed; NULL for this one */
	char text[200];
	const struct fl__settings *settings;
	bool refused; /* the fork server may not take on the settings */
};

/* A way to start a process, and what follows from it for the rest of the process's life. */
struct fl__start_method {
	/*
	 * True if the process is sent a request. It then finds its task by name, and may be in
	 * another directory.
	 */
	bool by_request;
	/* True if the process is a child of the fork server, and not of this process. */
	bool by_server;
	/*
	 * Makes the process. Returns 0, or an error, after which there is no process. However,
	 * after -EOWNERDEAD a process that is not a daemon may run all the same.
	 */
	int (*start)(struct fl__start *start);
	/*
	 * Checks whether the process has ended. If so, returns 1 and stores the status, or returns
	 * an error if it is unknown how the process ended. Otherwise returns 0. Not called again
	 * after it has said that the process has ended.
	 */
	int (*look)(struct fl__child *child, fl_process_status *status);
	/*
	 * Called before the handle is freed. `runs` says that the process runs, and `killed`
	 * that it has just been killed.
	 */
	void (*forget)(struct fl__child *child, bool runs, bool killed);
};

extern const struct fl__start_method fl__start_program, fl__start_fork, fl__start_exec, fl__start_fork_server;

/* Starts a process by its method. After an error, `problem` says why. */
int fl__start_process(struct fl__start *start);

/* Sets `problem`. A long text is truncated. */
FL_PRINTF(2, 3) void fl__start_say(struct fl__start *start, const char *format, ...);

/* The look() and forget() of the methods whose processes are children of this process. */
int fl__start_look_at_child(struct fl__child *child, fl_process_status *status);
void fl__start_forget_child(struct fl__child *child, bool runs, bool killed);

/*
 * Checks whether this process may fork. After an error, `*problem` is the reason. Returns
 *   0
 *   -EDEADLK   the process has threads other than the watcher, or the caller is a fiber; logged
 *   an errno   the threads cannot be counted
 */
int fl__process_may_fork(const char **problem);

/* Forks. Returns the child's pid, and 0 in the child, where all signals are blocked. */
int fl__process_fork(int *pidfd);
