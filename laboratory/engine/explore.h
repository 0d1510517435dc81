/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_EXPLORE_H
#define STRESS_EXPLORE_H

#include "choice.h"

/* Whether the last execution has failed with the verdict and the signature of lab_result.failure. */
bool lab_failed_again(void);

/*
 * Whether the failure with lab.signature and lab.at is among lab_config.known. Failures are
 * compared by their memory or locks if they have any, otherwise by their code. Two races of the
 * same lines on fields that lie close together are one failure.
 */
bool lab_failure_is_known(enum lab_verdict verdict);
/* Runs `schedule`. Returns whether it fails in that way. lab_taken then has the choices. */
bool lab_replay_fails(const struct lab_schedule *schedule);

/* Makes `schedule`, which fails in that way, as short as possible until the time is up. */
void lab_shrink(struct lab_schedule *schedule, int64_t until);

/* Puts the steps of the recorded execution into a result. */
void lab_trace(struct lab_result *result);

#endif
