/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_USER_H
#define STRESS_USER_H

#include "lab.h"

/*
 * The functions of <fairlead/stress.h> outside of a model execution: on real threads, native or
 * under chaos. user.c calls these functions of laboratory/native if no execution of the model is
 * under way.
 */
unsigned native_choose(unsigned n);
void native_relax(void);
int native_wait(const void *word, uint32_t expected, int64_t deadline);
int native_wake(const void *word, int n);
void native_fail(const char *file, int line, const char *what); /* also called for assert() */
bool native_outcome(enum fl_stress_expect expect, bool holds, const char *label);
/* Reports a wrong sample and the reason. The first report becomes the result. */
void native_wrong(enum lab_verdict verdict, const char *message, const char *details);
/*
 * Ends the run with `verdict`. Any thread may call this function. Only the first call counts; other
 * callers wait until the process ends.
 */
_Noreturn void native_give_up(enum lab_verdict verdict, const char *message);

/*
 * Called before each instrumented atomic operation of a real run, and before a wake by
 * fl_stress_futex_wake(), with the return address of the call. While it is NULL, nothing is called.
 * It changes only while no actor runs.
 */
extern void (*lab_chaos)(uintptr_t pc);

#endif
