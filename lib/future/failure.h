/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_FUTURE_FAILURE_H
#define FL_FUTURE_FAILURE_H

#include <stddef.h>

/*
 * The failure of a task that a thread was told of last: fl_perror() prints it for FL_ETASK. Every
 * call that returns FL_ETASK does so by one of these two, which remember the failure in place of
 * the one before. Both return FL_ETASK.
 */
int fl__failure(int error, const char *message);

/* The same of the task of argument `index`, of several. */
int fl__failure_at(size_t index, int error, const char *message);

#endif
