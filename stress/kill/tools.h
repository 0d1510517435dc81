/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_KILL_TOOLS_H
#define STRESS_KILL_TOOLS_H

#include "core/base/atomic.h"
#include <fairlead/time.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Functions for the campaigns and the soaks. */

/* Returns the next number of the random sequence whose state is `*seed`. */
uint64_t draw(uint64_t *seed);

/* Returns the monotonic time, which is the same in all processes. */
int64_t time_now(void);

void pause_for(int64_t ns);

/* Prints the reason, and ends the process with status 1. */
void fail(const char *what, ...) __attribute__((noreturn, format(printf, 1, 2)));

/*
 * These read what /proc says of a process: one of its files, how many entries a folder has, a
 * number of its status, and how many children the process has.
 */
FILE *proc_open(int pid, const char *file);
unsigned proc_entries(int pid, const char *what);
unsigned long proc_status(int pid, const char *name);
unsigned proc_children(int pid);

/* An option of a program. A table of options ends with an empty one. */
struct argument {
	const char *name;
	uint64_t *to;
	uint64_t least, most; /* the limits of its number; a flag has none, and sets 1 */
};

/*
 * Reads the options. --help prints `usage` and ends the process with status 0. A wrong argument
 * ends the process with a message and status 2.
 */
void read_arguments(int argc, char **argv, const char *usage, const struct argument *known);

#endif
