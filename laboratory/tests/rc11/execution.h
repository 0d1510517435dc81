/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An execution graph has events, and the relations of "Repairing Sequential Consistency in C/C++11"
 * (Lahav, Vafeiadis, Kang, Hur, Dreyer; PLDI 2017) between them, under the paper's names. A
 * read-modify-write is two events, which rmw joins.
 */
#ifndef RC11_EXECUTION_H
#define RC11_EXECUTION_H

#include "program.h"
#include "relation.h"

enum { INITIAL = -1, UNKNOWN_VALUE = -1 };

typedef struct {
	/* its operation; for thread INITIAL, the initial store to its location */
	int thread, index;
	const operation *op; /* NULL for an initial store */
	int location;        /* -1 for a fence */
	mem_order order;
	int source; /* for a read: the event that it reads from, or -1 while that is open */
} event;

typedef struct {
	const program *program;
	int count;
	event event[EVENT_MAX];

	/* These follow from the program, and from which of its compare-exchanges succeed. */
	event_set all, reads, writes, fences, at_least_rel, at_least_acq, sc, at[LOCATION_MAX];
	relation sb, same_loc, sb_loc, rmw;

	relation rf, mo; /* what the enumeration chooses */

	relation hb, rb, eco, psc; /* what follows from rf and mo (axioms.h) */
} execution;

/*
 * Makes the graph without rf and mo in which the compare-exchanges with a set bit succeed. They are
 * counted in program order.
 */
void execution_begin(execution *x, const program *p, unsigned succeeding);

/*
 * Returns the value that a write stores or a read reads. That is UNKNOWN_VALUE if it depends on a
 * read without a source, or on itself.
 */
int execution_value(const execution *x, unsigned e);

/*
 * Returns the values that the execution's reads read, and the final values of its locations. rf and
 * mo must be complete.
 */
outcome execution_outcome(const execution *x);

#endif
