/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_DEBUG_BACKTRACE_H
#define FL_DEBUG_BACKTRACE_H

#include "symbols.h"
#include <stddef.h>
#include <stdint.h>

enum { FL__BACKTRACE_FRAMES = 16 };

/* The innermost return addresses, up to the first 0. */
struct fl__backtrace {
	uintptr_t at[FL__BACKTRACE_FRAMES];
};

/*
 * Stores the caller's stack without its `skip` innermost frames; this function's own frame does not
 * count. Takes no memory.
 */
void fl__backtrace_take(struct fl__backtrace *stack, int skip);

/*
 * Records the loaded files for fl__backtrace_describe(). Takes the loader's lock: not for signal
 * handlers.
 */
void fl__backtrace_learn_modules(void);

/*
 * Describes a return address: "function+0x12", else "file(+0x12)", else the number. `*function`: the
 * function's name; NULL: unknown. Safe in a signal handler.
 */
void fl__backtrace_describe(struct fl__symbols *symbols, uintptr_t at, char *text, size_t size, const char **function);

/*
 * Describes an object: "variable+0x12 at 0x1234", else "file(+0x12) at 0x1234", else "0x1234". Safe
 * in a signal handler.
 */
void fl__backtrace_describe_object(struct fl__symbols *symbols, const void *object, char *text, size_t size);

#endif
