/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_MPI_NESTED_H
#define FL_MPI_NESTED_H

#include "core/exec/executor.h"

/*
 * The executor that a task of a worker rank finds by fl_executor_current(). Each thread has one,
 * which runs nested tasks at once, on the thread's stack. A task closes it only for itself.
 *
 * fl__mpi_nested_enter() enters the frame of a task, whose regions nested tasks find. Returns 0,
 * -ENOMEM.
 */
int fl__mpi_nested_enter(struct fl__run *frame, const fl_task_ctx *ctx);
void fl__mpi_nested_leave(struct fl__run *frame);

#endif
