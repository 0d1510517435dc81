/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * Stores the last failure of a task that the calling thread has received, which fl_perror() prints.
 * Returns FL_ETASK. Most calls that return FL_ETASK return the result of this function, but
 * fl_thread_join(), fl_fiber_join() and fl_loop_run() do not call it. `index` is the index of the
 * argument, or FL__NO_INDEX.
 */
int fl__failure_store(size_t index, int error, const char *message);
#define FL__NO_INDEX SIZE_MAX
