/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_KILL_TOOLS_H
#define STRESS_KILL_TOOLS_H

#include <stdint.h>

/* What both campaigns use. */

/* The next number of a sequence that `*seed` begins. */
uint64_t draw(uint64_t *seed);

/* Monotonic, the same in all processes. */
int64_t time_now(void);

/* Says what, and ends the process with status 9. */
void fail(const char *what, ...) __attribute__((noreturn, format(printf, 1, 2)));

#endif
