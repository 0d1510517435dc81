/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All candidate executions of a program whose values are consistent: each choice of the
 * compare-exchanges that succeed, of a source for each read (rf), and of an order of each
 * location's writes after the initial one (mo). Also the outcomes of those that are consistent.
 */
#ifndef RC11_ENUMERATE_H
#define RC11_ENUMERATE_H

#include "axioms.h"

typedef struct {
	outcome values;
	bool prompt; /* one of its consistent executions is prompt: rc11_prompt() */
} marked_outcome;

typedef struct {
	int count, room, executions, races;
	marked_outcome *list;
} outcome_set;

/*
 * Returns the outcomes of the consistent executions, sorted. With `unpruned`, no candidate is left
 * out early.
 */
outcome_set outcomes_of(const program *p, bool unpruned);

/*
 * For other producers of outcomes: adds one to a set, unless it is there already. It is prompt if any
 * of its executions is. The set is not sorted then.
 */
void outcomes_add(outcome_set *set, const outcome *values, bool prompt);
marked_outcome *outcomes_find(const outcome_set *set, const outcome *values);
void outcomes_sort(outcome_set *set);
void outcomes_free(outcome_set *set);

#endif
