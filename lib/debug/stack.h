/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_DEBUG_STACK_H
#define FL_DEBUG_STACK_H

#include "symbols.h"
#include <stddef.h>
#include <stdint.h>

enum { FL__FRAMES = 16 };

/* The innermost return addresses; the first NULL ends them. */
struct fl__stack_trace {
	uintptr_t at[FL__FRAMES];
};

/* The caller's stack, without its `skip` innermost frames, of which this function is none. Takes no memory. */
void fl__stack_take(struct fl__stack_trace *stack, int skip);

/* Learns which files are loaded, for what follows. Takes the loader's lock: not in a signal handler. */
void fl__stack_modules(void);

/*
 * What is at a return address: "function+0x12", else "file+0x12", else the number. The function's name alone is left in `function`:
 * NULL where it is not known. May be called from a signal handler.
 */
void fl__stack_frame(struct fl__symbols *symbols, uintptr_t at, char *text, size_t size, const char **function);

#endif
