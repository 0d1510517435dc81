/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "internals.h"

/*
 * The executor that a task of a worker rank finds by fl_executor_current(). Each thread that runs
 * tasks has one. It runs nested tasks at once, on the thread's stack. A task that closes it closes
 * it only for itself, because it is opened again for the next task.
 *
 * fl__mpi_nested_enter() enters the frame of a task. Nested tasks find the regions of the task's
 * executor. Returns 0 or -ENOMEM.
 */
int fl__mpi_nested_enter(struct fl__run *frame, const fl_task_ctx *ctx);
void fl__mpi_nested_leave(struct fl__run *frame);
