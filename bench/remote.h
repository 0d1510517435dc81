/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef BENCH_REMOTE_H
#define BENCH_REMOTE_H

#include "shim.h"

#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * A row that another program measures, because it is written in another language, or because the
 * start of a program is measured. The program sets up and warms up, and says "ready". It gets lines
 * whose first number says how many operations to make. It answers each line with the nanoseconds
 * that they took, and the 99th percentile of single operations (0: not measured). It ends when its
 * input ends.
 */
typedef struct bench_remote {
	pid_t pid;
	FILE *to, *from;
} bench_remote;

/*
 * Starts the program, and waits until it is ready. `command` begins with a path, and ends with
 * NULL.
 */
bench_remote *bench_remote_open(const char *const *command);

/*
 * Lets the program make t->total operations, or run for `span` ns if that is not 0, and fills in
 * `t`. Returns how many ns of CPU time the program says that it used.
 */
int64_t bench_remote_ask(bench_remote *r, bench_thread *t, int64_t span);

/* Waits until the program ends, and calls bench_fail() if it failed. */
void bench_remote_close(bench_remote *r);

/* These functions are for rows whose `arg` is a command. */
void *bench_remote_setup(const bench_setting *with);
void bench_remote_run(bench_thread *t);
void bench_remote_teardown(void *state, uint64_t total);

/*
 * For rows whose `arg` is a command, and in which each operation needs a new program. The row's
 * setup is bench_setup_arg().
 */
void bench_remote_run_each(bench_thread *t);

/*
 * A row may be measured in a separate process, which runs this program once more. There are three
 * reasons: the processor time or the memory of the whole process is measured; a runtime can be set
 * up only once; or what the row leaves behind, such as spinning threads, would take time from the
 * next row. bench_alone_open() starts the process, which sets the row up. bench_remote_close() ends
 * it, after the row's teardown. In that process, bench_alone_serve() answers until its input ends,
 * and returns the exit status.
 */
bench_remote *bench_alone_open(const bench_row *row, int threads);
int bench_alone_serve(const bench_row *row, int threads);

#define BENCH_COMMAND(...) ((const char *const[]){__VA_ARGS__, NULL})
#define BENCH_REMOTE_ROW(name, implementation, fixed, ...)                                                             \
	{                                                                                                              \
		name, implementation, bench_remote_setup, bench_remote_run, bench_remote_teardown, fixed,              \
		    .arg = BENCH_COMMAND(__VA_ARGS__)                                                                  \
	}
#define BENCH_REMOTE_ROW_EACH(name, implementation, fixed, ...)                                                        \
	{                                                                                                              \
		name, implementation, bench_setup_arg, bench_remote_run_each, bench_no_teardown, fixed,                \
		    .arg = BENCH_COMMAND(__VA_ARGS__)                                                                  \
	}

#ifdef __cplusplus
}
#endif

#endif
