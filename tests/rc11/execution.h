/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An execution graph: events, and the relations of "Repairing Sequential Consistency in C/C++11" (Lahav, Vafeiadis,
 * Kang, Hur, Dreyer; PLDI 2017) between them, under the paper's names. What reads and writes is two events, joined by
 * rmw.
 */
#ifndef RC11_EXECUTION_H
#define RC11_EXECUTION_H

#include "program.h"
#include "relation.h"

enum { INITIAL = -1, UNKNOWN_VALUE = -1 };

typedef struct {
	int thread, index;   /* which operation it is of; thread INITIAL: the initial store to its location */
	const operation *op; /* NULL for an initial store */
	int location;        /* -1 for a fence */
	mem_order order;
	int source; /* of a read: the event that it reads from, or -1 while that is open */
} event;

typedef struct {
	const program *program;
	int count;
	event event[EVENT_MAX];

	/* Fixed by the program, and by which of its compare-exchanges succeed. */
	event_set all, reads, writes, fences, at_least_rel, at_least_acq, sc, at[LOCATION_MAX];
	relation sb, same_loc, sb_loc, rmw;

	relation rf, mo; /* what the enumeration chooses */

	relation hb, rb, eco, psc; /* what follows from these: see axioms.h */
} execution;

/* The graph without rf and mo, in which the compare-exchanges succeed whose bits (counted in program order) are set. */
void execution_begin(execution *x, const program *p, unsigned succeeding);

/* What a write stores or a read reads; UNKNOWN_VALUE if it rests on a read that has no source, or on itself. */
int execution_value(const execution *x, unsigned e);

/* The values that its reads read and its locations hold in the end, rf and mo being complete. */
outcome execution_outcome(const execution *x);

/* The operations with what they read and from where, in an order that respects `order`; then mo of each location. */
void execution_print(FILE *file, const execution *x, relation order);

#endif
