/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "new_process.h"
#include <stdbool.h>

struct fl__spawn {
	struct fl__setup setup;
	const char *const *paths; /* ends with NULL */
	char *const *argv, *const *env;
	bool orphan;    /* see fl__spawn() */
	int pid, pidfd; /* results; -1: of an orphan */
	bool shared;    /* set by a child in this memory, not by one in a copy */
	bool done;      /* set by the parent of an orphan that has called exec or has ended */
	bool failed;    /* set by the child; an orphan's parent reaps it then */
	char *stack;    /* the lower half is the orphan's */
};

/*
 * Waits for the exec of a child, which has all attributes of the calling thread that a fork() hands
 * down. Returns 0 or a negative errno.
 *
 * An orphan is the child of a process that ends at once.
 */
int fl__spawn(struct fl__spawn *spawn);
