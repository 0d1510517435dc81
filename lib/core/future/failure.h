/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * Stores the last failure of a task that the calling thread has received, which fl_perror() prints.
 * Called by every function that returns FL_ETASK for a task. Returns FL_ETASK. `index` is the index
 * of the argument, or FL__NO_INDEX.
 */
int fl__failure_store(size_t index, int error, const char *message);
#define FL__NO_INDEX SIZE_MAX
