/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef RC11_COMMANDS_H
#define RC11_COMMANDS_H

#include "program.h"

/*
 * Checks a program's verdicts against its outcomes; prints wrong verdicts and returns their number.
 */
int verify_program(const char *file, const program *p);

/*
 * Checks theorems about the outcomes of every program; prints violations and returns their number.
 */
int selftest_program(const program *p);

/*
 * Lets the engine, a shell command that reads programs from its standard input, run some programs,
 * and compares. Prints each violation and returns their number; -1 if the engine could not be run
 * or its output was not in the format. Adds to *proved the number of programs of which the engine
 * says "proved".
 */
int check_programs(const char *engine, const program *programs, int count, int *proved);

#endif
