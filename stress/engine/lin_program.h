/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_LIN_PROGRAM_H
#define STRESS_LIN_PROGRAM_H

#include "lab.h"
#include <fairlead/stress_lin.h>
#include <stdbool.h>
#include <stdint.h>

/* The shape of a program, and what its picks mean. */
enum { LIN_EACH = 9, LIN_THREADS = FL_STRESS_ACTORS, LIN_AFTER = LIN_THREADS + 1 };

unsigned lin_threads_of(const struct fl_lin *t);
unsigned lin_each_of(const struct fl_lin *t);
unsigned lin_before_of(const struct fl_lin *t);
unsigned lin_after_of(const struct fl_lin *t);
/* Why there cannot be programs of that shape; NULL. */
const char *lin_problem_of(const struct fl_lin *t);

/* Makes the menu of the test that is going to run; what is wrong with it, or NULL. Of others than FL_LIN: nothing. */
const char *lin_program_use(const struct lab_test *test);
/* How many different picks there are, "none" among them. */
unsigned lin_picks(void);

/* Of a pick that is a call. */
const struct fl_lin_op *lin_op_of(uint8_t pick);
int64_t lin_arg_of(uint8_t pick, unsigned place);
/* Of any. */
bool lin_is_heard(uint8_t pick);
/* Thread and number of the call at that place; 0 is main before the threads, LIN_AFTER main after them. */
void lin_place_of(unsigned place, unsigned *thread, unsigned *number);

#endif
