/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "core/hooks.h"
#include "symbols.h"
#include <stddef.h>
#include <stdint.h>

/* The caller's stack without its `skip` innermost frames and this function's own. */
void fl__backtrace_take(struct fl__backtrace *stack, int skip);

/* For fl__backtrace_describe(). Takes the loader's lock: not for signal handlers. */
void fl__backtrace_learn_modules(void);

/*
 * A return address: "function+0x12", else "file(+0x12)", else the number. `*function`: the name, or
 * NULL. Async-signal-safe.
 */
void fl__backtrace_describe(struct fl__symbols *symbols, uintptr_t at, char *text, size_t size, const char **function);

/* "variable+0x12 at 0x1234", else "file(+0x12) at 0x1234", else "0x1234". Async-signal-safe. */
void fl__backtrace_describe_object(struct fl__symbols *symbols, const void *object, char *text, size_t size);
