/* SPDX-License-Identifier: BSD-2-Clause */
/* Makes a child that executes a program (spawn.c). */
#pragma once

#include "new_process.h"
#include <stdbool.h>

struct fl__spawn {
	struct fl__setup setup;
	const char *const *paths; /* the list ends with NULL */
	char *const *argv, *const *env;
	bool orphan;    /* the child's parent ends at once (fl__spawn()) */
	int pid, pidfd; /* results; both are -1 for an orphan */
	/* set by a child that shares this memory, but not by one with a copy */
	bool shared;
	/* set by the orphan's parent when the orphan has called exec or has ended */
	bool done;
	/* set by a child whose exec failed; an orphan's parent then reaps it */
	bool failed;
	char *stack; /* the lower half is for the orphan */
};

/*
 * Makes a child, and waits for its exec. The child has all attributes of the calling thread that a
 * fork() hands down. Returns 0 or a negative errno.
 *
 * An orphan is the child of a process that ends at once.
 */
int fl__spawn(struct fl__spawn *spawn);
