/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_TEST_MPI_GATE_H
#define FL_TEST_MPI_GATE_H

/* A task that stays in a worker rank until the test lets it go. */
#include "fl_mpi.h"

struct gate {
	fl_shm_event entered, open;
};

/* Sets `entered`, and waits for `open`. The result: whether the task was asked to stop. */
FL_TASK_STATIC(hold, struct gate *, int)
{
	FL_OK(fl_shm_event_set(&(*arg)->entered));
	FL_OK(fl_shm_event_wait_until(&(*arg)->open, FL_FOREVER, FL_SHIELDED));
	*result = fl_task_is_cancelled(ctx);
	return 0;
}

static inline struct gate *new_gate(void)
{
	return FL_IN_ARENA(struct gate, 1);
}

#endif
