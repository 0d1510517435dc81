/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_LIN_RUN_H
#define STRESS_LIN_RUN_H

#include "lab.h"

/*
 * The runners' interface to the programs of FL_LIN. Such a test is like any other, natively and in
 * the model.
 */

/* Called before the runs of `test`, whichever kind it has. */
void lab_lin_use(const struct lab_test *test);

/* The setup of an FL_LIN, which replaces the setup of the test. */
void lab_lin_setup(void *state);

/* Draws a program. `below` draws a number below n. */
typedef unsigned lab_lin_below(unsigned n);
void lab_lin_draw(uint8_t *picks, bool small, lab_lin_below *below);
/* Returns how many picks a program has. */
unsigned lab_lin_places(void);
/* The program of the next executions. A replay ignores it. */
extern uint8_t lab_lin_program[];

/* Returns how many bytes of the state the test's own code may touch. */
size_t lab_state_size(const struct lab_test *test);

/*
 * Writes the call at that place of the model's program, such as "put(11)", or, with `ended`, its
 * result, such as "-> 0".
 */
void lab_lin_say(unsigned place, int64_t result, bool ended, char *text, size_t size);

#endif
