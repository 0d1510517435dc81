/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "core/hooks.h"
#include "symbols.h"
#include <stddef.h>
#include <stdint.h>

/* Stores the caller's stack, without its `skip` innermost frames and the frame of this function. */
void fl__backtrace_take(struct fl__backtrace *stack, int skip);

/*
 * Prepares fl__backtrace_describe(). Signal handlers must not call it, because it takes the
 * loader's lock.
 */
void fl__backtrace_learn_modules(void);

/*
 * Describes a return address as "function+0x12", as "file(+0x12)" if the function is unknown, or as
 * a number. Sets `*function` to the name, or NULL. Async-signal-safe.
 */
void fl__backtrace_describe(struct fl__symbols *symbols, uintptr_t at, char *text, size_t size, const char **function);

/*
 * Describes an object as "variable+0x12 at 0x1234", "file(+0x12) at 0x1234" or "0x1234".
 * Async-signal-safe.
 */
void fl__backtrace_describe_object(struct fl__symbols *symbols, const void *object, char *text, size_t size);
