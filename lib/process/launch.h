/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_PROCESS_LAUNCH_H
#define FL_PROCESS_LAUNCH_H

#include "setup.h"
#include <fairlead/process.h>
#include <stdint.h>

/* One start: what the caller of fl_process_start() wants, and the results of the start method. */
struct fl__launch {
	const fl_process_config *config;
	const char *name;
	struct fl__setup setup; /* descriptors by the caller's numbers */
	int own[2];             /* descriptors opened for this start; -1: none */
	const char *problem;    /* what failed, for the log */
	const char *where;      /* the process that failed; NULL: this one */
	char text[80];          /* buffer for a formatted `problem` */
	int pid, pidfd;         /* of the new process */
	int channel;            /* reports the end; -1: a child of this process */
};

/* The magic numbers of messages between a process and those that it starts. */
enum { FL__MAGIC_HELLO = 0x464c4831, FL__MAGIC_START, FL__MAGIC_REPLY, FL__MAGIC_END };

/* Reports how a process ended: the last message on its channel. */
struct fl__end {
	uint32_t magic, size;
	int32_t code, signal;
};

/* The role of this program when it is started again. */
enum fl__role { FL__ROLE_FORK_SERVER, FL__ROLE_TASK };

/* Whether fl_main() was called, so that this program can be started again. */
bool fl__may_start_again(void);

/* The number of forks between the program's first process and this one. */
extern uint32_t fl__process_forks;

/* The start methods. Each returns 0, or a negative errno and sets `problem`. */
int fl__start_program(struct fl__launch *launch);
int fl__start_by_exec(struct fl__launch *launch);
int fl__start_by_fork(struct fl__launch *launch);
int fl__start_by_fork_server(struct fl__launch *launch);

/* In a forked child: drop what belongs to the parent. */
void fl__fork_server_after_fork(void);
void fl__manager_after_fork(void);

#endif
