/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_EDGE_H
#define STRESS_EDGE_H

#include "model.h"

/*
 * Edges between the steps of a trace, for reports that draw them. `shown` has the events of the
 * trace, in their order.
 */

/*
 * Fills in steps[i]: the edge that leads to shown[i] from an earlier step of another thread, and
 * whether shown[i] is half of a race. The steps before steps[i] must be complete.
 */
void lab_edge_find(const struct lab_event *const *shown, unsigned i, struct lab_step *steps);

/*
 * Called when an execution has ended without progress. After the `n` steps of the trace, it writes
 * a step for each blocked thread, which says what the thread waits for and has an edge from the
 * step that took it. It also marks a signal that came before its wait. Returns how many steps it
 * has written, at most LAB_THREADS.
 */
unsigned lab_edge_waits(const struct lab_event *const *shown, unsigned n, struct lab_step *all);

/* Prints a text for a step. The text is never freed. */
char *lab_text(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Whether the two accesses have a byte in common. */
bool lab_edge_overlaps(const struct lab_event *a, const struct lab_event *b);

#endif
