/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_PROCESS_SPAWN_H
#define FL_PROCESS_SPAWN_H

#include "new_process.h"
#include <stdbool.h>

/*
 * The parent of a hidden process: a child of this process whose end sends no signal, and which
 * wait() passes over. An exec would give it SIGCHLD, so it never calls one: it shares this
 * process's memory, or has a copy if its child is a fork. It has no descriptors, and a filter of
 * system calls (seccomp); it reaps the hidden process, and ends. Where there is none, `pidfd` is
 * the process's.
 */
struct fl__intermediate {
	int pidfd;
	void *stack; /* unmapped after the end; NULL: the memory is not shared */
};

/* One exec, of the first file in `paths` that can be run; or one fork. */
struct fl__spawn {
	struct fl__setup setup;
	const char *const *paths; /* ends with NULL; NULL: a fork */
	char *const *argv, *const *env;
	int pid, pidfd;                       /* results */
	bool shared;                          /* set by a child that shares this memory; a copy cannot */
	struct fl__intermediate intermediate; /* a result, of a hidden process */
};

/*
 * Makes a child of the calling thread, and waits for its exec. The child has all attributes of the
 * thread that a fork() hands down. Returns 0 or a negative errno.
 */
int fl__spawn(struct fl__spawn *spawn);

/*
 * The same, as the child of an intermediate. Where there can be none, the process is a child of the
 * calling thread, and wait() sees it.
 */
int fl__spawn_hidden(struct fl__spawn *spawn);

/*
 * Forks a hidden process from a copy of this one, by fork(), and with all signals blocked in the
 * new process. Only in a process with one thread beside the reaper. `spawn` is zero. Returns 0 in
 * the new process; the pid, with the results in `spawn`; or a negative errno. Where there can be no
 * intermediate, the process is a child of this one.
 */
int fl__fork_hidden(struct fl__spawn *spawn);

/* Frees what an intermediate has left. `stack` may be NULL. */
void fl__intermediate_free(void *stack);

#endif
