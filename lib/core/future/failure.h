/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_FUTURE_FAILURE_H
#define FL_FUTURE_FAILURE_H

#include <stddef.h>

/*
 * The last failure of a task that a thread received: fl_perror() prints it. Every call that returns
 * FL_ETASK calls one of these two, which return FL_ETASK.
 */
int fl__failure_store(int error, const char *message);

int fl__failure_store_at(size_t index, int error, const char *message);

#endif
