/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_USER_H
#define STRESS_USER_H

#include "lab.h"
#include <stdbool.h>
#include <stdint.h>

/*
 * What the functions of <fairlead/stress.h> do outside a model execution: in real threads, native or under chaos. The engine
 * defines those functions (user.c) and calls this table where no execution of the model is under way. stress/native has it.
 */
struct lab_native_ops {
	unsigned (*choose)(unsigned n);
	unsigned (*ops)(unsigned n);
	void (*relax)(void);
	int (*futex_wait)(const void *word, uint32_t expected, int64_t deadline);
	int (*futex_wake)(const void *word, int n);
	int64_t (*now)(void);
	void (*fail)(const char *file, int line, const char *what); /* also for assert() */
	/* One sample is wrong, and why; the first that says so is told. */
	void (*wrong)(enum lab_verdict verdict, const char *message, const char *details);
	bool (*outcome)(enum fl_stress_expect expect, bool holds, const char *label);
};

extern const struct lab_native_ops *lab_native; /* never NULL */

/*
 * Called by each instrumented atomic operation that runs for real, before it, with its return address; NULL: nothing to
 * call. Set while no thread of a module runs.
 */
extern void (*lab_chaos)(uintptr_t pc);

#endif
