/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theorems that must hold for every program: three of the paper's kind, checked against a small
 * interleaver without relations; and that early pruning loses no outcome.
 */
#include "commands.h"

#include "enumerate.h"

/* a program with this many candidates or more is not listed without pruning */
enum { MANY_CANDIDATES = 30000 };

typedef struct {
	const program *program;
	int at[THREAD_MAX];
	int memory[LOCATION_MAX];
	int read[THREAD_MAX][OP_MAX], read_count[THREAD_MAX];
	outcome_set outcomes;
} machine;

static outcome outcome_reached(const machine *m)
{
	outcome o = {{0}};
	int values = 0;
	FOR_THREADS (t, m->program)
		for (int i = 0; i < m->read_count[t]; i++)
			o.value[values++] = m->read[t][i];
	FOR_LOCATIONS (l)
		if (program_names(m->program, l))
			o.value[values++] = m->memory[l];
	return o;
}

static void step(machine *m, int t)
{
	const operation *op = &m->program->thread[t].op[m->at[t]++];
	if (op->kind == 'F')
		return;
	int old = m->memory[op->location];
	if (op_reads(op))
		m->read[t][m->read_count[t]++] = old;
	if (op->kind == 'A')
		m->memory[op->location] = old + op->value;
	else if (op->kind == 'W' || op->kind == 'X' || (op->kind == 'C' && old == op->expected))
		m->memory[op->location] = op->value;
}

/* Runs every interleaving of the operations that are left. */
static void interleave(machine *m)
{
	bool ended = true;
	FOR_THREADS (t, m->program) {
		if (m->at[t] == m->program->thread[t].count)
			continue;
		ended = false;
		machine before = *m;
		step(m, t);
		interleave(m);
		before.outcomes = m->outcomes;
		*m = before;
	}
	outcome o = outcome_reached(m);
	if (ended)
		outcomes_add(&m->outcomes, &o, true);
}

static outcome_set interleavings_of(const program *p)
{
	machine m = {.program = p};
	interleave(&m);
	outcomes_sort(&m.outcomes);
	return m.outcomes;
}

static bool subset(const outcome_set *of, const outcome_set *all)
{
	for (int i = 0; i < of->count; i++) {
		const marked_outcome *there = outcomes_find(all, &of->list[i].values);
		if (!there || (of->list[i].prompt && !there->prompt))
			return false;
	}
	return true;
}

static bool same(const outcome_set *one, const outcome_set *other)
{
	return subset(one, other) && subset(other, one);
}

/* Compares two sets, frees one of them, and says what does not hold. */
static int expect(bool holds, const program *p, const char *what, outcome_set *used)
{
	outcomes_free(used);
	if (holds)
		return 0;
	printf("does not hold: %s\n", what);
	program_print(stdout, p);
	return 1;
}

static program with_orders(const program *p, mem_order order)
{
	program all = *p;
	FOR_THREADS (t, &all)
		for (int i = 0; i < all.thread[t].count; i++)
			if (all.thread[t].op[i].kind != 'F')
				all.thread[t].op[i].order = all.thread[t].op[i].failure = order;
	return all;
}

/* Returns the program with all orders relaxed, and with an SC fence between any two operations. */
static program with_fences(const program *p)
{
	program relaxed = with_orders(p, RLX), all = relaxed;
	FOR_THREADS (t, &all) {
		thread_ops *to = &all.thread[t];
		to->count = 0;
		FOR_OPERATIONS_OF (op, &relaxed.thread[t]) {
			if (op->kind == 'F')
				continue;
			if (to->count)
				to->op[to->count++] = (operation){.kind = 'F', .location = -1, .order = SC};
			to->op[to->count++] = *op;
		}
	}
	return all;
}

/* Returns the most candidates that there can be: sources of reads, times orders of writes. */
static double candidates(const program *p)
{
	double product = 1;
	FOR_LOCATIONS (l) {
		int reads = 0, writes = 0;
		FOR_OPERATIONS (op, p) {
			reads += op->location == l && op_reads(op);
			writes += op->location == l && op_writes(op);
		}
		for (int i = 0; i < reads; i++)
			product *= writes + 1;
		for (int i = 1; i <= writes; i++)
			product *= i;
	}
	return product;
}

int selftest_program(const char *file, const program *p)
{
	(void)file;
	outcome_set outcomes = outcomes_of(p, false), interleaved = interleavings_of(p), other;
	program sc = with_orders(p, SC), fenced = with_fences(p);
	int wrong = 0;
	other = outcomes_of(p, candidates(p) < MANY_CANDIDATES);
	wrong += expect(same(&outcomes, &other), p, "pruning loses nothing", &other);
	wrong += expect(subset(&interleaved, &outcomes), p, "each interleaving is an execution", &other);
	other = outcomes_of(&sc, false);
	wrong += expect(subset(&other, &outcomes), p, "stronger orders allow no more", &(outcome_set){.count = 0});
	wrong += expect(same(&other, &interleaved), &sc, "all SC: interleavings", &other);
	other = outcomes_of(&fenced, false);
	wrong += expect(same(&other, &interleaved), &fenced, "SC fences: interleavings", &other);
	outcomes_free(&outcomes);
	outcomes_free(&interleaved);
	return wrong;
}
