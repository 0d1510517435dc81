/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_PROCESS_LAUNCH_H
#define FL_PROCESS_LAUNCH_H

#include "setup.h"
#include <fairlead/process.h>
#include <stdint.h>

/* One start, as the caller of fl_process_start() wants it; the ways to start fill in what comes of it. */
struct fl__launch {
	const fl_process_config *config;
	const char *name;
	struct fl__setup setup; /* the descriptors have the caller's numbers */
	int own[2];             /* opened for it; -1: none */
	const char *problem;    /* what failed, for the log */
	const char *where;      /* it failed, when not in this process */
	char text[80];          /* room for a problem with a number in it */
	int pid, pidfd;         /* of the new process */
	int channel;            /* tells how it has ended; -1: it is a child of this process */
};

/* What a process says that was made to run a task, and what its maker says about it. Over its own channel. */
enum { FL__MAGIC_HELLO = 0x464c4831, FL__MAGIC_START, FL__MAGIC_REPLY, FL__MAGIC_END };

/* How a process has ended; the last word on its channel. */
struct fl__end {
	uint32_t magic, size;
	int32_t code, signal;
};

/* The program started once more, as what? */
enum fl__role { FL__ROLE_ZYGOTE, FL__ROLE_TASK };

/* Whether fl_main() was called here, so that this program may be started once more. */
bool fl__may_start_again(void);

/* How often this process has forked away from the one that the program began in. */
extern uint32_t fl__process_forks;

/* The ways to start: 0, or the negative errno, with `problem`. */
int fl__start_program(struct fl__launch *launch);
int fl__start_by_exec(struct fl__launch *launch);
int fl__start_by_fork(struct fl__launch *launch);
int fl__start_by_zygote(struct fl__launch *launch);

/* Forgets what belongs to the parent, in a forked child. */
void fl__zygote_after_fork(void);
void fl__manager_after_fork(void);

#endif
