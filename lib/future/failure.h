/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_FUTURE_FAILURE_H
#define FL_FUTURE_FAILURE_H

#include <stddef.h>

/*
 * The last failure of a task that a thread received: fl_perror() prints it for FL_ETASK. Every call
 * that returns FL_ETASK calls one of these two. Both replace the stored failure and return
 * FL_ETASK.
 */
int fl__failure_store(int error, const char *message);

/* The same for the task of argument `index` of several. */
int fl__failure_store_at(size_t index, int error, const char *message);

#endif
