/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_DEBUG_STACK_H
#define FL_DEBUG_STACK_H

#include "symbols.h"
#include <stddef.h>
#include <stdint.h>

enum { FL__FRAMES = 16 };

/* The innermost return addresses, up to the first 0. */
struct fl__stack_trace {
	uintptr_t at[FL__FRAMES];
};

/*
 * Stores the caller's stack without its `skip` innermost frames; this function's own frame does not
 * count. Takes no memory.
 */
void fl__stack_take(struct fl__stack_trace *stack, int skip);

/*
 * Records the loaded files for fl__stack_frame(). Takes the loader's lock: not for signal handlers.
 */
void fl__stack_modules(void);

/*
 * Describes a return address: "function+0x12", else "file+0x12", else the number. `*function`: the
 * function's name; NULL: unknown. Safe in a signal handler.
 */
void fl__stack_frame(struct fl__symbols *symbols, uintptr_t at, char *text, size_t size, const char **function);

#endif
