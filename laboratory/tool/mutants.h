/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_TOOL_MUTANTS_H
#define STRESS_TOOL_MUTANTS_H

#include "tool.h"

/* A place with an atomic operation, and the scenarios that reach it. */
struct place {
	uintptr_t *pcs;
	size_t n_pcs;
	const char *operation, *order;
	unsigned weaker;
	const char *file, *function;
	int line;
	size_t *reached_by; /* indexes of scenarios */
	size_t n_reached_by;
};

struct scenario {
	struct job baseline;
	unsigned kills;
};

/* A place that is one step weaker. */
struct mutant {
	const struct place *place;
	unsigned step;
	size_t *order; /* the scenarios that reach the place, the most promising first */
	size_t next;   /* the index in `order` of the next scenario */
	struct job job;
	int64_t left; /* how much of its time is left */
	int64_t spent;
	bool over, killed;
	size_t killer; /* index of the scenario */
	enum lab_verdict verdict;
	const char *explained; /* the reason why it may survive, or NULL */
};

struct hunt {
	const struct options *options;
	struct scenario *scenarios;
	struct place *places;
	struct mutant *mutants;
	size_t n_scenarios, n_places, n_mutants;
	size_t killed, explained, over;
	double seconds;
};

bool is_of_interest(const struct options *o, const char *file);
void mutant_print(FILE *to, const struct hunt *hunt, const struct mutant *m);
/* Reads the reasons of known survivors. Returns false if the file cannot be read. */
bool mutants_explain(struct hunt *hunt);
/* Prints the rest of the report. Returns the exit status. */
int mutants_report(const struct hunt *hunt);

#endif
