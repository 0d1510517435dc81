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
 * `W x 1 rlx` stores, `R x acq` loads, `X x 1 ar` exchanges, `A x 1 ar` adds, `F sc` is a fence.
 * `C x 0 1 sc rlx` compares with 0 and stores 1 (order if it succeeds, order if it fails; it fails
 * only for another value). Everything is 0 at first. An outcome has the values of the reading
 * operations, thread by thread, then `|`, then the final values of the program's locations. `*` in
 * a verdict is any value. A line that begins with # is a comment.
 *
 * An operation may end with `?HEX`: it reads a value below 64 whose bit is set in that number, or the
 * execution does not exist. With `!HEX` no later value may be stored, either. A letter may follow: `p`
 * is a plain access, `f` frees the location, `r` is a step of a reader on a readers-writer lock, and
 * `k` is a wait for a futex, which reads the newest value.
 */
#ifndef RC11_PROGRAM_H
#define RC11_PROGRAM_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THREAD_MAX = 4, OP_MAX = 16, LOCATION_MAX = 9, VERDICT_MAX = 16, NAME_MAX_LENGTH = 63, EVENT_LIMIT = 32 };
enum { OUTCOME_MAX = EVENT_LIMIT + LOCATION_MAX, ANY_VALUE = -1, VALUE_LIMIT = 1000 };

typedef enum { RLX, ACQ, REL, AR, SC } mem_order;

typedef struct {
	char kind;         /* 'W', 'R', 'X', 'A', 'C', 'F': as in the text */
	int location;      /* from 0 on: x y z w m n s c r; -1 for a fence */
	int expected;      /* C alone */
	int value;         /* what W, X and C store, what A adds */
	mem_order order;   /* of C: when it succeeds */
	mem_order failure; /* C alone */
	char rule;         /* '?', '!', 0: as in the text */
	uint64_t values;   /* what it may read, a bit for each value below 64 */
	char use;          /* 'p', 'f', 'r', 'k', 0: as in the text */
} operation;

typedef struct {
	int count;
	operation op[OP_MAX];
} thread_ops;

/*
 * Values read in program order, thread by thread, then the final values of the named locations; the
 * rest is 0.
 */
typedef struct {
	int value[OUTCOME_MAX];
} outcome;

typedef enum { ALLOWED, ALLOWED_LATE, FORBIDDEN } verdict_kind;

typedef struct {
	verdict_kind kind;
	int line;
	outcome pattern; /* ANY_VALUE where the text has a star */
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

/* Each operation of a thread. */
#define FOR_OPERATIONS_OF(op, thread)                                                                                  \
	for (const operation *op = (thread)->op; op < (thread)->op + (thread)->count; op++)

/* Each operation of the program. */
#define FOR_OPERATIONS(op, p)                                                                                          \
	for (const thread_ops *of_##op = (p)->thread; of_##op < (p)->thread + (p)->thread_count; of_##op++)            \
		FOR_OPERATIONS_OF (op, of_##op)

bool op_reads(const operation *op);
bool op_writes(const operation *op);

bool program_names(const program *p, int location);

bool outcome_matches(const program *p, const outcome *o, const outcome *pattern);
void outcome_print(FILE *file, const program *p, const outcome *o); /* without a newline */
void program_print(FILE *file, const program *p);                   /* P to E, without verdicts */

/* A text that is being read: its name and the number of the next line, for messages. */
typedef struct {
	FILE *file;
	const char *name;
	int line;
} litmus_text;

/*
 * The next program: 1; the end of the text: 0. An error in the text ends the process with status 2
 * and a message.
 */
int program_read(litmus_text *from, program *p);

#endif
