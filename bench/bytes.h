/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef BENCH_BYTES_H
#define BENCH_BYTES_H

#include "process.h"
#include "shim.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Results of 64 B, 64 KiB and 64 MiB, one at a time: the task fills all bytes with its number, and
 * the caller, who owns them, looks at each page.
 */
typedef struct bytes_pair bytes_pair;
typedef struct bytes_way {
	size_t size;
	void *(*take)(bytes_pair *p, uint64_t i); /* asks for number `i`, waits, and returns the bytes */
	void (*put_back)(bytes_pair *p, void *bytes);
	void (*open)(bytes_pair *p); /* makes `own`; NULL: there is none */
	void (*close)(bytes_pair *p);
	void (*give)(bytes_pair *p, uint64_t i); /* the other side of take(), in a partner; NULL: there is none */
	const void *type;                        /* of the task */
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

/* For rows whose `arg` is a bytes_way. */
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
