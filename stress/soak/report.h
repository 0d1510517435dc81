/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SOAK_REPORT_H
#define SOAK_REPORT_H

/* Messages of both soaks: failures and bad options. */
#include <fairlead/defs.h>
#include <stdint.h>

/* Prints the reason, and ends the process with status 1. */
_Noreturn void fail(const char *format, ...) FL_PRINTF(1, 2);

/*
 * The number of an option. If `text` is no number of the range, prints a message and ends the
 * process with status 2.
 */
uint64_t number(const char *option, const char *text, uint64_t least, uint64_t most);

#endif
