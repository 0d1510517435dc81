/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_UNKNOWN_H
#define STRESS_UNKNOWN_H

#include <stdbool.h>

/*
 * From now on a call by that object, of dlopen(), of a function that the model does not have ends
 * the execution.
 */
void lab_unknown_redirect(void *handle);
/* Whether it was compiled with -fsanitize=thread. */
bool lab_is_instrumented(void *handle);

#endif
