/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_TRAFFIC_H
#define STRESS_TRAFFIC_H

#include "model.h"

/*
 * Functions for an execution with lab_config.traffic. They advance the virtual time of the running
 * thread.
 */
void lab_traffic_plain(uintptr_t address, size_t size, bool write, uintptr_t pc);
/*
 * Announces a step on the newest value, and makes it. Without `update`, the step is a load. Returns
 * the old value.
 */
lab_value lab_traffic_atomic(struct lab_op op, lab_update *update, lab_value operand);
bool lab_traffic_cas(struct lab_op op, lab_value *expected, lab_value desired);
/* counts a system call of so many ns; does nothing in an execution without lab_config.traffic */
void lab_traffic_call(int64_t ns);
void lab_traffic_membarrier(void);

/* Called when the running thread makes `thread` ready. */
void lab_traffic_wake(struct lab_thread *thread);
/* Returns the thread that does the next step. */
struct lab_thread *lab_traffic_next(void);

#endif
