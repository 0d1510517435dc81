/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_PROCESS_SPAWN_H
#define FL_PROCESS_SPAWN_H

#include "new_process.h"
#include <stdbool.h>

/* One exec, of the first file in `paths` that can be run. */
struct fl__spawn {
	struct fl__setup setup;
	const char *const *paths; /* ends with NULL */
	char *const *argv, *const *env;
	int pid, pidfd; /* results */
	bool shared;    /* set by a child that shares this memory; a copy cannot */
};

/*
 * Makes a child of the calling thread, and waits for its exec. The child has all attributes of the
 * thread that a fork() hands down. Returns 0 or a negative errno.
 */
int fl__spawn(struct fl__spawn *spawn);

#endif
