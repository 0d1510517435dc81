/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * RC11's derived relations and its four axioms, under the paper's names, over a complete execution
 * graph.
 */
#ifndef RC11_AXIOMS_H
#define RC11_AXIOMS_H

#include "execution.h"

extern bool rc11_cxx20; /* release sequences are those of C++20 */

/* Whether the execution has a data race, or a use that does not happen before the free. */
bool rc11_races(const execution *x);

/* Returns happens-before. It needs only rf, and grows with it. */
relation rc11_hb(const execution *x);

/* Computes hb, rb, eco and psc from rf and mo. */
void rc11_derive(execution *x);

/*
 * Whether a derived execution satisfies the axioms, and the waits for futexes in it find the newest
 * value.
 */
bool rc11_consistent(const execution *x);

/*
 * Whether sb, rf, mo and psc together are acyclic. If they are, an engine that runs events in
 * sequence, with mo in that order, reaches the execution. RC11 also has others (2+2W, S), which are
 * the blind spot of such an engine.
 */
bool rc11_prompt(const execution *x);

#endif
