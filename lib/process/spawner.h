/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_PROCESS_SPAWNER_H
#define FL_PROCESS_SPAWNER_H

#include "new_process.h"
#include <stdbool.h>

/*
 * The spawner is a thread that makes all exec'd children, and reaps the children whose handles were
 * freed. It lives from the first such child until the process exits or the library is unloaded: the
 * kernel kills a daemon when the *thread* that made it ends. The spawner blocks all signals.
 */

/* One exec, of the first file in `paths` that can be run. */
struct fl__spawn {
	struct fl__setup setup;
	const char *const *paths; /* ends with NULL */
	char *const *argv, *const *env;
	int pid, pidfd; /* results */
	bool shared;    /* set by a child that shares this memory; a copy cannot */
};

/* Makes a child, and waits for its exec. Returns 0 or a negative errno. */
int fl__spawner_spawn(struct fl__spawn *spawn);

/*
 * Takes over the pidfd of a child, and reaps the child when it ends. `killed`: the child was sent
 * SIGKILL, so even the end of the spawner waits for it.
 */
void fl__spawner_adopt(int pidfd, bool killed);

/* Returns the number of spawner threads: 0 or 1. */
unsigned fl__spawner_threads(void);

/* In a forked child: drops what belongs to the parent's spawner. */
void fl__spawner_after_fork(void);

#endif
