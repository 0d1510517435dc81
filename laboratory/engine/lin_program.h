/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_LIN_PROGRAM_H
#define STRESS_LIN_PROGRAM_H

#include "lab.h"
#include <fairlead/stress_lin.h>

/* The shape of a program, and the meaning of its picks. */
enum { LIN_EACH = 9, LIN_THREADS = FL_STRESS_ACTORS, LIN_AFTER = LIN_THREADS + 1 };

/*
 * Replaces each 0 of the test by the usual number. Returns the reason why programs of that shape
 * cannot exist, or NULL if they can.
 */
const char *lin_shape(struct fl_lin *t);

/*
 * Makes the menu of the next test. Returns its error, or NULL. For tests other than FL_LIN, it does
 * nothing.
 */
const char *lin_program_use(const struct lab_test *test);
/* Returns the number of different picks, "no call" included. */
unsigned lin_picks(void);

/* The pick must be that of a call. */
const struct fl_lin_op *lin_op_of(uint8_t pick);
int64_t lin_arg_of(uint8_t pick, unsigned place);
/* Accepts any pick. */
bool lin_is_heard(uint8_t pick);
/*
 * Returns the thread and the number of the call at that place. Thread 0 is main before the threads,
 * and LIN_AFTER is main after them.
 */
struct lin_place {
	unsigned thread, number;
};
struct lin_place lin_place_of(unsigned place);

#endif
