/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_PROCESS_SETUP_H
#define FL_PROCESS_SETUP_H

#include <fairlead/process.h>
#include <stdbool.h>

enum { FL__STREAMS = 3, FL__SETUP_FDS = FL__STREAMS + FL_PROCESS_FDS_MAX };

/* What a new process makes of what it inherits, before it execs a program or runs its task. */
struct fl__setup {
	int fds[FL__SETUP_FDS]; /* what become its descriptors 0, 1, 2, 3, ...; -1: closed */
	unsigned n_fds;         /* FL__STREAMS at least */
	bool through_exec;      /* those from 3 on are open after an exec */
	bool keep_handlers;     /* of faults */
	bool stay_blocked;      /* all signals stay blocked */
	int cwd;                /* its directory; -1: as it is */
	int parent;             /* dies with this process, which has made it; 0: does not */
	int keep;               /* one descriptor more that stays open, and has another number then; -1: none */
};

/*
 * To be called in the new process, with all signals blocked. Closes every other descriptor; at last no signal is blocked. It does not
 * return when the parent has gone meanwhile. 0, or the negative errno of what failed. Calls the system alone: nothing of
 * the C library that another thread may have locked, and nothing that a sanitizer would take for the parent's doing.
 */
int fl__setup(struct fl__setup *setup);

#endif
