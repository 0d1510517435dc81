/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_KILL_TOOLS_H
#define STRESS_KILL_TOOLS_H

#include "core/base/atomic.h"
#include <fairlead/time.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Functions for the campaigns and the soaks. */

/* The next number of the sequence with the state `*seed`. */
uint64_t draw(uint64_t *seed);

/* Monotonic time, equal in all processes. */
int64_t time_now(void);

void pause_for(int64_t ns);

/* Prints the reason, and ends the process with status 1. */
void fail(const char *what, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* Of a process: a file of /proc/PID, entries of a folder, a number of its status, children. */
FILE *proc_open(int pid, const char *file);
unsigned proc_entries(int pid, const char *what);
unsigned long proc_status(int pid, const char *name);
unsigned proc_children(int pid);

/* An option of a program; a table of them ends with an empty one. */
struct argument {
	const char *name;
	uint64_t *to;
	uint64_t least, most; /* of its number; a flag, which sets 1, has none */
};

/*
 * Reads the options. --help prints `usage` and ends the process with status 0; a wrong argument
 * ends the process with a message and status 2.
 */
void read_arguments(int argc, char **argv, const char *usage, const struct argument *known);

#endif
