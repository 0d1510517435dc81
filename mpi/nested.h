/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "internals.h"

/*
 * The executor that a task of a worker rank finds by fl_executor_current(). Each thread has one,
 * which runs nested tasks at once, on the thread's stack. A task closes it only for itself.
 *
 * fl__mpi_nested_enter() enters the frame of a task, whose regions nested tasks find. Returns 0,
 * -ENOMEM.
 */
int fl__mpi_nested_enter(struct fl__run *frame, const fl_task_ctx *ctx);
void fl__mpi_nested_leave(struct fl__run *frame);
