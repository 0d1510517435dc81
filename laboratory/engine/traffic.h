/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_TRAFFIC_H
#define STRESS_TRAFFIC_H

#include "model.h"

/* In an execution with lab_config.traffic; these take virtual time of the running thread: */
void lab_traffic_plain(uintptr_t address, size_t size, bool write, uintptr_t pc);
/* Announces a step on the newest value and does it, without `update` as a load; returns the old value. */
lab_value lab_traffic_atomic(struct lab_op op, lab_update *update, lab_value operand);
bool lab_traffic_cas(struct lab_op op, lab_value *expected, lab_value desired);
void lab_traffic_call(int64_t ns); /* a system call; without effect in other executions */
void lab_traffic_membarrier(void);

/* The running thread makes the thread ready. */
void lab_traffic_wake(struct lab_thread *thread);
/* The thread that does the next step. */
struct lab_thread *lab_traffic_next(void);

#endif
