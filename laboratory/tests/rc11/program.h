/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A litmus program, its outcomes, and their text:
 *
 *     P MP+rel+acq
 *     T W x 1 rlx; W y 1 rel
 *     T R y acq; R x rlx
 *     forbidden 1 0 | 1 1
 *     E
 *
 * `W x 1 rlx` stores, `R x acq` loads, `X x 1 ar` exchanges, `A x 1 ar` adds, and `F sc` is a
 * fence. `C x 0 1 sc rlx` compares with 0 and stores 1; the first order is for success and the
 * second for failure, and it fails only because of another value. Everything is 0 at first. An
 * outcome has the values of the operations that read, thread by thread, then `|`, and then the
 * final values of the program's locations. `*` in a verdict is any value. A line that begins with #
 * is a comment.
 *
 * An operation may end with `?HEX`: it reads a value below 64 whose bit is set in that number, or
 * the execution does not exist. With `!HEX`, no later value may be stored, either. A letter may
 * follow: `p` is a plain access, `f` frees the location, `o` is a step on an object such as a lock,
 * `r` is a step of a reader on a readers-writer lock, and `k` is a wait for a futex, which reads the
 * newest value. No fence makes a step with `o`, `r` or `k` synchronize.
 */
#ifndef RC11_PROGRAM_H
#define RC11_PROGRAM_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THREAD_MAX = 4, OP_MAX = 16, LOCATION_MAX = 10, VERDICT_MAX = 16, NAME_MAX_LENGTH = 63, EVENT_LIMIT = 32 };
enum { OUTCOME_MAX = EVENT_LIMIT + LOCATION_MAX, ANY_VALUE = -1, VALUE_LIMIT = 1000 };

/* The orders from REL on release. ACQ acquires, and so do the orders from AR on. */
typedef enum { RLX, ACQ, REL, AR, SC } mem_order;

typedef struct {
	char kind;         /* 'W', 'R', 'X', 'A', 'C' or 'F', as in the text */
	int location;      /* its index in x y z w b m n s c r; -1 for a fence */
	int expected;      /* only for C */
	int value;         /* what W, X and C store, and what A adds */
	mem_order order;   /* for C: the order of a success */
	mem_order failure; /* for C: the order of a failure */
	char rule;         /* '?', '!' or 0, as in the text */
	uint64_t values;   /* what it may read: a bit for each value below 64 */
	char use;          /* 'p', 'f', 'o', 'r', 'k' or 0, as in the text */
} operation;

typedef struct {
	int count;
	operation op[OP_MAX];
} thread_ops;

/*
 * The values that were read, in program order, thread by thread; then the final values of the named
 * locations. The rest is 0.
 */
typedef struct {
	int value[OUTCOME_MAX];
} outcome;

typedef enum { ALLOWED, ALLOWED_LATE, FORBIDDEN } verdict_kind;

typedef struct {
	verdict_kind kind;
	int line;
	outcome pattern; /* has ANY_VALUE where the text has a star */
} verdict;

typedef struct {
	char name[NAME_MAX_LENGTH + 1];
	int thread_count;
	thread_ops thread[THREAD_MAX];
	int verdict_count;
	verdict verdicts[VERDICT_MAX];
} program;

#define FOR_THREADS(t, p) for (int t = 0; t < (p)->thread_count; t++)
#define FOR_LOCATIONS(l) for (int l = 0; l < LOCATION_MAX; l++)

/* Loops over the operations of a thread. */
#define FOR_OPERATIONS_OF(op, thread)                                                                                  \
	for (const operation *op = (thread)->op; op < (thread)->op + (thread)->count; op++)

/* Loops over the operations of the program. */
#define FOR_OPERATIONS(op, p)                                                                                          \
	for (const thread_ops *of_##op = (p)->thread; of_##op < (p)->thread + (p)->thread_count; of_##op++)            \
		FOR_OPERATIONS_OF (op, of_##op)

bool op_reads(const operation *op);
bool op_writes(const operation *op);

bool program_names(const program *p, int location);

bool outcome_matches(const program *p, const outcome *o, const outcome *pattern);
void outcome_print(FILE *file, const program *p, const outcome *o); /* without a newline */
void program_print(FILE *file, const program *p);                   /* P to E, without verdicts */

/* A text that is being read: its name, and the number of the next line for messages. */
typedef struct {
	FILE *file;
	const char *name;
	int line;
} litmus_text;

/*
 * Reads the next program and returns 1; returns 0 at the end of the text. An error in the text ends
 * the process with a message and status 2.
 */
int program_read(litmus_text *from, program *p);

#endif
