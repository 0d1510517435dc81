/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * The last failure of a task that a thread received: fl_perror() prints it. Every call that returns
 * FL_ETASK calls this function, which returns FL_ETASK. `index`: of the argument, or FL__NO_INDEX.
 */
int fl__failure_store(size_t index, int error, const char *message);
#define FL__NO_INDEX SIZE_MAX
