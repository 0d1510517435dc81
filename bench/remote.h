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
 * A row that another program measures: one that is written in another language, or where the start
 * is what counts. It says "ready" when it has set up and warmed up. It answers each line, of which
 * the first number is one of operations, by the nanoseconds that they took and the 99th percentile
 * of single ones (0: none is meant). It ends when its input does.
 */
typedef struct bench_remote {
	pid_t pid;
	FILE *to, *from;
} bench_remote;

/* Starts it and waits until it is ready; `command` ends with NULL, and begins with a path. */
bench_remote *bench_remote_open(const char *const *command);

/*
 * Lets it do t->total operations, or run for `span` ns unless that is 0, and fills in `t`. Returns
 * the ns of CPU time that it says it used.
 */
int64_t bench_remote_ask(bench_remote *r, bench_thread *t, int64_t span);

/* Waits for its end; bench_fail when it failed. */
void bench_remote_close(bench_remote *r);

/* For rows whose `arg` is a command. */
void *bench_remote_setup(const bench_setting *with);
void bench_remote_run(bench_thread *t);
void bench_remote_teardown(void *state, uint64_t total);

/* Likewise, where each operation is the only one of a program: with bench_setup_arg(). */
void bench_remote_run_each(bench_thread *t);

/*
 * Rows that are measured in a process of their own, which is this program once more: where the
 * processor time or the memory of the whole process is what counts, where a runtime can be set up
 * once only, and where what one row leaves behind, such as threads that still spin, would take time
 * from the next. open() starts it, and it sets the row up; bench_remote_close() ends it, after the
 * row's teardown. serve(), in that process, answers until its input ends, and returns the exit
 * status.
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
