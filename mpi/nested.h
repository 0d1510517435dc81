/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "internals.h"

/*
 * The executor that a task of a worker rank finds by fl_executor_current(). Each thread that runs
 * tasks has one. It runs nested tasks at once, on the stack of the thread. A task that closes it
 * closes it only for itself: it is open again for the next task.
 *
 * fl__mpi_nested_enter() enters the frame of a task. Nested tasks find the regions of the task's
 * executor. It returns 0, or -ENOMEM.
 */
int fl__mpi_nested_enter(struct fl__run *frame, const fl_task_ctx *ctx);
void fl__mpi_nested_leave(struct fl__run *frame);
