/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_PROCESS_MANAGER_H
#define FL_PROCESS_MANAGER_H

#include "setup.h"
#include <stdbool.h>

/*
 * The manager thread lives from the first exec'd child until the process exits or the library is
 * unloaded. The manager thread makes all exec'd children: the kernel kills a child that is to die
 * with its parent when the *thread* that made the child ends. The manager thread also reaps the
 * children whose handles were freed, blocks all signals, and sleeps in the kernel while idle.
 */

/* One exec, of the first file in `paths` that can be run. */
struct fl__spawn {
	struct fl__setup setup;
	const char *const *paths; /* ends with NULL */
	char *const *argv, *const *env;
	int pid, pidfd; /* results */
	bool shared;    /* set by a child that shares this memory; a copy cannot */
};

/* Makes a child, and waits for its exec. Returns 0, or the errno of what failed, exec included. */
int fl__manager_spawn(struct fl__spawn *spawn);

/*
 * Takes over the pidfd of a child, and reaps the child when it ends. `killed`: the child was sent
 * SIGKILL, so even the end of the manager thread waits for it.
 */
void fl__manager_adopt(int pidfd, bool killed);

/* Returns the number of manager threads: 0 or 1. */
unsigned fl__manager_threads(void);

/* Makes the child, on the manager thread (spawn.c). `stack_end`: end of FL__SPAWN_STACK bytes. */
enum { FL__SPAWN_STACK = 64 << 10 };
int fl__spawn(struct fl__spawn *spawn, void *stack_end);

#endif
