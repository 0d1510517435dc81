/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_PROCESS_MANAGER_H
#define FL_PROCESS_MANAGER_H

#include "setup.h"
#include <stdbool.h>

/*
 * The manager: a thread that lives from the first exec'd child until the process exits or the
 * library is unloaded. It makes all exec'd children, since the kernel kills a child that is to die
 * with its parent when the *thread* that made it ends; and it collects the children whose handles
 * were given up. It blocks all signals, and sleeps in the kernel while there is nothing to do.
 */

/* One exec: of the first of `paths` that there is. */
struct fl__spawn {
	struct fl__setup setup;
	const char *const *paths; /* up to a NULL */
	char *const *argv, *const *env;
	int pid, pidfd; /* results */
	bool shared;    /* set by a child that shares this memory, and has no copy of it */
};

/* Has the manager make a child, and waits until it has called exec: 0, or the errno of whatever failed, exec included. */
int fl__manager_spawn(struct fl__spawn *spawn);

/*
 * Takes over a child of this process, by its pidfd: collects it when it ends. `killed`: it has been
 * sent SIGKILL, so that even the end of the manager waits for it.
 */
void fl__manager_adopt(int pidfd, bool killed);

/* How many threads of this process are the manager: 0 or 1. */
unsigned fl__manager_threads(void);

/* On the manager: does it. `stack_end`: of FL__SPAWN_STACK bytes for the child. spawn.c. */
enum { FL__SPAWN_STACK = 64 << 10 };
int fl__spawn(struct fl__spawn *spawn, void *stack_end);

#endif
