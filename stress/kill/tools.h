/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_KILL_TOOLS_H
#define STRESS_KILL_TOOLS_H

#include <stdint.h>

/* Functions for both campaigns. */

/* The next number of the sequence with the state `*seed`. */
uint64_t draw(uint64_t *seed);

/* Monotonic time, equal in all processes. */
int64_t time_now(void);

/* Prints a message, and ends the process with status 9. */
void fail(const char *what, ...) __attribute__((noreturn, format(printf, 1, 2)));

#endif
