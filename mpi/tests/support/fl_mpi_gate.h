/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_TEST_MPI_GATE_H
#define FL_TEST_MPI_GATE_H

/* A task that stays in a worker rank until the test releases it. */
#include "fl_mpi.h"

struct gate {
	fl_shm_event entered, open;
	fl_future *held; /* belongs to the test */
};

/* Sets `entered`, and waits for `open`. Its result is whether it was asked to stop. */
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

/* Starts `n` such tasks, and returns when all of them run at the same time. */
static inline struct gate *hold_all(fl_executor *e, unsigned n)
{
	struct gate *gates = FL_IN_ARENA(struct gate, n);
	for (unsigned i = 0; i < n; i++)
		FL_OK(hold_submit(e, &gates[i], &gates[i].held));
	for (unsigned i = 0; i < n; i++)
		FL_OK(fl_shm_event_wait(&gates[i].entered));
	return gates;
}

static inline void let_go(struct gate *gates, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		FL_OK(fl_shm_event_set(&gates[i].open));
		FL_OK(fl_future_wait(gates[i].held));
		fl_future_free(gates[i].held);
	}
}

#endif
