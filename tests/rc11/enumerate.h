/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All candidate executions of a program: each choice of which compare-exchanges succeed, of a source for each read
 * (rf), and of an order of each location's writes behind the initial one (mo), in which the values work out. And the
 * outcomes of the consistent ones.
 */
#ifndef RC11_ENUMERATE_H
#define RC11_ENUMERATE_H

#include "axioms.h"

typedef struct {
	bool
	    unpruned; /* also candidates of which it shows early that they violate coherence, atomicity or no-thin-air */
	const outcome *only; /* candidates with this outcome alone; NULL: with any */
} search;

/* Calls visit with each candidate, rf and mo filled in and nothing derived, until it returns false. */
void each_candidate(const program *p, search s, bool (*visit)(execution *x, void *context), void *context);

typedef struct {
	outcome values;
	bool prompt; /* one of its consistent executions is: see rc11_prompt() */
} marked_outcome;

typedef struct {
	int count, room;
	marked_outcome *list;
} outcome_set;

/* The outcomes of the consistent executions, sorted. */
outcome_set outcomes_of(const program *p, bool unpruned);

/* Sets as such, for the other ways to produce outcomes; added ones are neither sorted nor searched for. */
void outcomes_add(outcome_set *set, const outcome *values, bool prompt);
marked_outcome *outcomes_find(const outcome_set *set, const outcome *values);
void outcomes_sort(outcome_set *set);
void outcomes_free(outcome_set *set);

#endif
