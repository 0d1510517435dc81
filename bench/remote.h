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
 * is what counts. It says "ready" when it has set up and warmed up; then it answers each line with
 * a number of operations by the nanoseconds that they took and the 99th percentile of single ones
 * (0: none is meant). It ends when its input does.
 */
typedef struct bench_remote {
	pid_t pid;
	FILE *to, *from;
} bench_remote;

/* Starts it and waits until it is ready; `command` ends with NULL, and begins with a path. */
bench_remote *bench_remote_open(const char *const *command);

/* Lets it do `n` operations: returns their nanoseconds. */
int64_t bench_remote_ask(bench_remote *r, uint64_t n, int64_t *p99);

/* Waits for its end; bench_fail when it failed. */
void bench_remote_close(bench_remote *r);

/* For rows whose `arg` is a command. */
void *bench_remote_setup(const bench_setting *with);
void bench_remote_run(bench_thread *t);
void bench_remote_teardown(void *state, uint64_t total);

/* Likewise, where each operation is the only one of a program: with bench_setup_arg(). */
void bench_remote_run_each(bench_thread *t);

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
