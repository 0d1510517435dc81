/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_LIN_RUN_H
#define STRESS_LIN_RUN_H

#include "lab.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the runners need of the programs of FL_LIN. Natively and in the model its test is one like others. */

/* Before the runs of `test`, of whatever kind it is. */
void lab_lin_use(const struct lab_test *test);

/* Of a FL_LIN alone: in place of the test's setup. */
void lab_lin_setup(void *state);

/* Draws a program; `below` draws a number below n. */
typedef unsigned lab_lin_below(unsigned n);
void lab_lin_draw(uint8_t *picks, bool small, lab_lin_below *below);
/* So many picks make one. */
unsigned lab_lin_places(void);
/* The one that the executions to come have, but for replays. */
extern uint8_t lab_lin_program[];

/* The bytes of the test's state that its own code may touch. */
size_t lab_state_size(const struct lab_test *test);

/* "put(11)", or with `ended` "-> 0": the call at that place of the model's program. */
void lab_lin_say(unsigned place, int64_t result, bool ended, char *text, size_t size);

#endif
