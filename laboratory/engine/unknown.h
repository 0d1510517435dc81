/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_UNKNOWN_H
#define STRESS_UNKNOWN_H

#include <stdbool.h>

/*
 * From now on, a call by that object of a function that the model does not have ends the execution.
 * `handle` comes from dlopen().
 */
void lab_unknown_redirect(void *handle);
/*
 * Returns whether the model learns all memory that the functions of other objects touch to which
 * the loaded program refers. For that, each such function touches none, or it is in the list of
 * unknown.c with all that it touches, or the engine replaces it and reports its accesses. A function
 * that the model lacks does not count, since a call of it ends the execution. The result is false if
 * no program is loaded.
 */
bool lab_unknown_described(void);
/* Forbids the word "proved", since the call of this function may touch more than is known. */
void lab_unknown_is_partial(const char *name);
/* the function that was called first of those that touch more than is known, or NULL */
extern const char *lab_unknown_partial;
/* Called before each execution: makes the C library forget what an earlier execution left in it. */
void lab_unknown_reset(void);
/* Whether the object was compiled with -fsanitize=thread. */
bool lab_is_instrumented(void *handle);

/*
 * Whether the object reaches thread-locals by the register of the kernel thread, and not by a call.
 */
bool lab_has_static_tls(void *handle);

#endif
