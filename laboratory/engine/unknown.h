/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_UNKNOWN_H
#define STRESS_UNKNOWN_H

#include <stdbool.h>
#include <stddef.h>

/*
 * From now on, if that object calls a function that the model does not have, the execution ends.
 * `handle` comes from dlopen(). Returns whether the object was compiled with -fsanitize=thread.
 */
bool lab_unknown_redirect(void *handle);
/* Forbids the word "proved", because this call may touch more than is known. */
void lab_unknown_is_partial(const char *name);
/* the first called function that touches more than is known, or NULL */
extern const char *lab_unknown_partial;
/* Called before each execution: makes the C library forget what an earlier execution left in it. */
void lab_unknown_reset(void);

/* Returns how many functions with the attribute `destructor` the object has. `*functions` gets them. */
size_t lab_destructors_of(void *handle, void (*const **functions)(void));

/*
 * Whether the object finds thread-locals by the register of the kernel thread instead of by a call.
 */
bool lab_has_static_tls(void *handle);

#endif
