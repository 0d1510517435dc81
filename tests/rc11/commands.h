/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef RC11_COMMANDS_H
#define RC11_COMMANDS_H

#include "program.h"

/* Checks a program's verdicts against its outcomes; prints those that are wrong and returns how many. */
int verify_program(const char *file, const program *p);

/* Checks what must hold of the outcomes of every program; prints what does not and returns how much. */
int selftest_program(const program *p);

/* Has the engine, a shell command that reads programs from its standard input, run some programs, and compares. Prints
   each violation and returns how many; -1 if the engine could not be run or did not answer in its format. */
int check_programs(const char *engine, const program *programs, int count);

#endif
