/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All candidate executions of a program with consistent values: each choice of successful
 * compare-exchanges, of a source for each read (rf), and of an order of each location's writes
 * after the initial one (mo). And the outcomes of the consistent ones.
 */
#ifndef RC11_ENUMERATE_H
#define RC11_ENUMERATE_H

#include "axioms.h"

/* Calls visit with each candidate, with rf and mo and nothing derived; `unpruned` keeps all of them. */
void each_candidate(const program *p, bool unpruned, void (*visit)(execution *x, void *context), void *context);

typedef struct {
	outcome values;
	bool prompt; /* one of its consistent executions is: see rc11_prompt() */
} marked_outcome;

typedef struct {
	int count, room, executions, races;
	marked_outcome *list;
} outcome_set;

/* The outcomes of the consistent executions, sorted. */
outcome_set outcomes_of(const program *p, bool unpruned);

/* Sets of outcomes for other producers; added outcomes are neither sorted nor searched. */
void outcomes_add(outcome_set *set, const outcome *values, bool prompt);
marked_outcome *outcomes_find(const outcome_set *set, const outcome *values);
void outcomes_sort(outcome_set *set);
void outcomes_free(outcome_set *set);

#endif
