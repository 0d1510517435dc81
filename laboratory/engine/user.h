/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_USER_H
#define STRESS_USER_H

#include "lab.h"

/*
 * The functions of <fairlead/stress.h> outside of a model execution: on real threads, native or
 * under chaos. The engine (user.c) defines these functions, and calls this table if no execution of
 * the model is under way. laboratory/native has the table.
 */
struct lab_native_ops {
	unsigned (*choose)(unsigned n);
	unsigned (*ops)(unsigned n);
	void (*relax)(void);
	int (*futex_wait)(const void *word, uint32_t expected, int64_t deadline);
	int (*futex_wake)(const void *word, int n);
	int64_t (*now)(void);
	void (*fail)(const char *file, int line, const char *what); /* also called for assert() */
	/* Reports a wrong sample with the reason. The first report is shown. */
	void (*wrong)(enum lab_verdict verdict, const char *message, const char *details);
	bool (*outcome)(enum fl_stress_expect expect, bool holds, const char *label);
};

extern const struct lab_native_ops *lab_native; /* never NULL */

/*
 * Called before each instrumented atomic operation of a real run, and before a wake by
 * fl_stress_futex_wake(), with the return address of the call. While it is NULL, nothing is called.
 * It changes only while no actor runs.
 */
extern void (*lab_chaos)(uintptr_t pc);

#endif
