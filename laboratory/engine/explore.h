/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_EXPLORE_H
#define STRESS_EXPLORE_H

#include "choice.h"

/* What two executions have in common that fail in the same way. */
struct lab_signature {
	enum lab_verdict verdict;
	uintptr_t what;
};

static inline struct lab_signature lab_signature(void)
{
	return (struct lab_signature){lab.verdict, lab.signature};
}

/* Whether the last execution has failed with that signature. */
static inline bool lab_failed_with(struct lab_signature signature)
{
	return lab.failed && lab.verdict == signature.verdict && lab.signature == signature.what;
}

/*
 * Whether the failure with lab.signature and lab.at is among lab_config.known. It is compared by
 * its memory or its locks if it has these, else by its code. Two races of the same lines on fields
 * that lie close together are one failure.
 */
bool lab_failure_is_known(enum lab_verdict verdict);
/* Runs `schedule`. Returns true if it fails with `signature`. lab_taken then has the choices. */
bool lab_replay_fails(const struct lab_schedule *schedule, struct lab_signature signature);

/* Makes `schedule`, which fails with `signature`, as short as possible until the time is up. */
void lab_shrink(struct lab_schedule *schedule, struct lab_signature signature, int64_t until);

/* Puts the steps of the recorded execution into a result. */
void lab_trace(struct lab_result *result);

#endif
