/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_PROCESS_SETUP_H
#define FL_PROCESS_SETUP_H

#include <fairlead/process.h>
#include <stdbool.h>

enum { FL__STREAMS = 3, FL__SETUP_FDS = FL__STREAMS + FL_PROCESS_FDS_MAX };

/* What a new process sets up before it execs a program or runs its task. */
struct fl__setup {
	int fds[FL__SETUP_FDS]; /* become descriptors 0, 1, 2, 3, ...; -1: closed */
	unsigned n_fds;         /* at least FL__STREAMS */
	bool through_exec;      /* descriptors from 3 on stay open over an exec */
	bool keep_handlers;     /* of fault signals */
	bool stay_blocked;      /* all signals stay blocked */
	int cwd;                /* the new directory; -1: unchanged */
	int parent;             /* the process dies with this parent; 0: does not */
	int keep;               /* one more descriptor to keep open, at a new number; -1: none */
};

/*
 * Called in the new process, with all signals blocked. Closes all other descriptors, and unblocks
 * the signals. Exits if `parent` has ended. Returns 0 or a negative errno. Makes system calls only:
 * another thread of the parent may have locked the C library, and a sanitizer would attribute
 * accesses to the parent.
 */
int fl__setup(struct fl__setup *setup);

#endif
