/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_EXPLORE_H
#define STRESS_EXPLORE_H

#include "choice.h"

/* The common properties of two executions that fail in the same way. */
struct lab_signature {
	enum lab_verdict verdict;
	uintptr_t what;
};

static inline struct lab_signature lab_signature(void)
{
	return (struct lab_signature){lab.verdict, lab.signature};
}

/*
 * Whether the failure with lab.signature and lab.at is in lab_config.known: by its memory or locks,
 * else by its code.
 */
bool lab_failure_is_known(enum lab_verdict verdict);
/* Runs `schedule`; returns true if it fails with `signature`. lab_taken has its choices. */
bool lab_replay_fails(const struct lab_schedule *schedule, struct lab_signature signature);

/* Shrinks `schedule`, which fails with `signature`, as far as possible. */
void lab_shrink(struct lab_schedule *schedule, struct lab_signature signature, int64_t until);

/* The recorded execution as the steps of a result. */
void lab_trace(struct lab_result *result);

#endif
