/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_KILL_STEPS_H
#define STRESS_KILL_STEPS_H

#include <stdbool.h>
#include <stdint.h>

/* The functions that abi.c calls. Each campaign implements them. */

/* Returns whether the calling process dies at a step. */
bool is_armed(void);

/* Called before the step that returns to `pc`. */
void step(uintptr_t pc);

/* Called after an atomic store to a word whose value was `before`. */
void stored(uintptr_t address, uint64_t before);

/* Plain writes and copies to this memory are steps. */
extern uintptr_t region_begin, region_end;

#endif
