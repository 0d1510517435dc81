/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef BENCH_BYTES_H
#define BENCH_BYTES_H

#include "process.h"
#include "shim.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The workload of results of 64 B, 64 KiB and 64 MiB, one at a time. The task fills all bytes with
 * its number. The caller then owns the bytes, and checks one byte of each page.
 */
typedef struct bytes_pair bytes_pair;
typedef struct bytes_way {
	size_t size;
	/* asks for number `i`, waits, and returns the bytes */
	void *(*take)(bytes_pair *p, uint64_t i);
	void (*put_back)(bytes_pair *p, void *bytes);
	void (*open)(bytes_pair *p); /* makes `own`; NULL if the way has no `own` */
	void (*close)(bytes_pair *p);
	/* what the partner does for each take(); NULL if there is no partner */
	void (*give)(bytes_pair *p, uint64_t i);
	const void *type; /* the task type of the executor's ways */
} bytes_way;

struct bytes_pair {
	const bytes_way *way;
	size_t size;
	uint64_t total, next;
	pid_t partner;
	pipe_channel there, back;
	void *shared; /* memory of `size` bytes */
	void *own;
	BENCH_ALIGNED uint64_t asked;
	BENCH_ALIGNED uint64_t answered;
};

/* These three are for rows whose `arg` is a bytes_way. */
void *bytes_setup(const bench_setting *with);
void bytes_run(bench_thread *t);
void bytes_teardown(void *state, uint64_t total);

#define BYTES_ROW(name, label, role, ...)                                                                              \
	{                                                                                                              \
		name, label, bytes_setup, bytes_run, bytes_teardown, 0, role, __VA_ARGS__                              \
	}

#ifdef __cplusplus
}
#endif

#endif
