/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_LIN_RUN_H
#define STRESS_LIN_RUN_H

#include "lab.h"

/*
 * The runners' interface to the programs of FL_LIN. Natively and in the model such a test is like
 * any other.
 */

/* Before the runs of `test`, of any kind. */
void lab_lin_use(const struct lab_test *test);

/* For FL_LIN only: replaces the setup of the test. */
void lab_lin_setup(void *state);

/* Draws a program; `below` draws a number below n. */
typedef unsigned lab_lin_below(unsigned n);
void lab_lin_draw(uint8_t *picks, bool small, lab_lin_below *below);
/* The number of picks of a program. */
unsigned lab_lin_places(void);
/* Sets the program of the next executions; a replay ignores it. */
extern uint8_t lab_lin_program[];

/* The bytes of the state that the test's own code may touch. */
size_t lab_state_size(const struct lab_test *test);

/* "put(11)", or with `ended` "-> 0": the call at that place of the model's program. */
void lab_lin_say(unsigned place, int64_t result, bool ended, char *text, size_t size);

#endif
