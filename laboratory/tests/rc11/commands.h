/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef RC11_COMMANDS_H
#define RC11_COMMANDS_H

#include "program.h"

/*
 * Checks a program's verdicts against its outcomes. Prints the wrong verdicts, and returns their
 * number.
 */
int verify_program(const char *file, const program *p);

/*
 * Checks theorems about the outcomes of every program. Prints violations, and returns their number.
 */
int selftest_program(const char *file, const program *p);

#endif
