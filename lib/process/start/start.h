/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "death_pipe.h"
#include "new_process.h"
#include <fairlead/process.h>

struct fl__start {
	const fl_process_config *config;
	const char *name;
	struct fl__setup setup; /* descriptors by the caller's numbers */
	/* fl_process_start() closes `opened` and setup.cwd. */
	int opened[FL__STREAMS]; /* descriptors of `setup` that the start has opened; -1: none */
	int pipes[FL__STREAMS];  /* the handle's ends of pipes; -1: none */
	const char *problem;
	const char *where; /* the failed process; NULL: this one */
	char text[200];
	int pid, pidfd;
	int channel; /* reports the end; -1: a child of this process */
	/* For a daemon that no fork server makes. */
	struct fl__death_pipe *death_pipe;
	const struct fl__settings *settings;
	bool refused;    /* the fork server may not take on the settings */
	uint64_t server; /* the number of the fork server that made the process; 0: none did */
};

int fl__start_process(struct fl__start *start);

/*
 * `*problem`: the reason for an error. Returns
 *   0
 *   -EBUSY     the process has other threads but the watcher, or the caller is a fiber; logged
 *   an errno   the threads cannot be counted
 */
int fl__process_may_fork(const char **problem);

/* Returns the child's pid; 0 in the child, with all signals blocked. */
int fl__process_fork(int *pidfd);
