/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * RC11's derived relations and its four axioms, under the paper's names, over a complete execution
 * graph.
 */
#ifndef RC11_AXIOMS_H
#define RC11_AXIOMS_H

#include "execution.h"

/* Happens-before; needs rf alone, and grows with it. */
relation rc11_hb(const execution *x);

/* Fills hb, rb, eco and psc from rf and mo. */
void rc11_derive(execution *x);

/* The axioms, cheapest first; what one asks of the derived relations has been filled in. */
typedef struct {
	const char *name;
	bool (*holds)(const execution *x);
} axiom;

enum { AXIOMS = 4 };
extern const axiom rc11_axioms[AXIOMS];

/* The index of the first axiom that a derived execution violates, or AXIOMS if it is consistent. */
int rc11_violated(const execution *x);

/*
 * Whether sb, rf, mo and psc together are acyclic: then an engine that runs events in sequence,
 * with mo in that order, reaches the execution. RC11 also has others (2+2W, S), which are the blind
 * spot of such an engine.
 */
relation rc11_prompt_order(const execution *x);
bool rc11_prompt(const execution *x);

#endif
