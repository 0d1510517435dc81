/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lists the candidate executions of a program. First it is chosen which compare-exchanges succeed,
 * then a source for each read, and then an order of the writes to each location. Candidates that
 * coherence or atomicity forbid in any case are left out early, unless the caller wants all.
 */
#include "enumerate.h"

typedef struct {
	execution x;
	bool unpruned;
	/* the part of mo that coherence and atomicity determine */
	relation forced_mo;
	void (*visit)(execution *, void *);
	void *context;
} enumeration;

/* Whether the values that are already known are allowed by the operations. */
static bool values_fit(const enumeration *e)
{
	const execution *x = &e->x;
	FOR_EVENTS(read, x->reads)
	{
		int value = execution_value(x, read);
		const operation *op = x->event[read].op;
		if (value == UNKNOWN_VALUE)
			continue;
		if ((op->rule && (value < 0 || !(op->values >> value & 1))) ||
		    (op->kind == 'C' && (value == op->expected) != (x->rmw.row[read] != 0)))
			return false;
	}
	return true;
}

/*
 * Returns the pairs of writes w, v to one location that coherence puts in this order, for any mo: w
 * is, or is read by, an event that happens before v or before a read of v. A read-modify-write
 * comes directly after its source.
 */
static relation forced_mo(const execution *x, relation hb)
{
	/* from a write to itself and to its reads */
	relation seen = rel_or(rel_id(x->writes), x->rf);
	relation forced = rel_and(rel_seq(rel_seq(seen, hb), rel_inverse(seen)), x->same_loc);
	forced = rel_minus(forced, rel_id(x->all));
	return rel_plus(rel_or(forced, rel_seq(x->rf, x->rmw)));
}

/* Whether no two operations that read and write have the same source. */
static bool sources_differ(const execution *x)
{
	event_set taken = 0;
	FOR_EVENTS(read, x->reads)
	{
		int source = x->event[read].source;
		if (!x->rmw.row[read] || source < 0)
			continue;
		if (taken & bit((unsigned)source))
			return false;
		taken |= bit((unsigned)source);
	}
	return true;
}

/*
 * Checks early whether some choice of the open parts may be consistent. hb only grows with further
 * choices.
 */
static bool promising(enumeration *e)
{
	const execution *x = &e->x;
	if (e->unpruned)
		return true;
	if (!sources_differ(x) || !rel_acyclic(rel_or(x->sb, x->rf)))
		return false;
	relation hb = rc11_hb(x);
	if (!rel_irreflexive(hb))
		return false;
	e->forced_mo = forced_mo(x, hb);
	return rel_irreflexive(e->forced_mo);
}

static void finished(enumeration *e)
{
	FOR_EVENTS(read, e->x.reads)
	if (e->x.event[read].op->rule == '!' && e->x.mo.row[e->x.event[read].source])
		return;
	e->visit(&e->x, e->context);
}

/*
 * Puts the writes of `open`, which are to one location, into each order after those of `placed`.
 * Then goes on to the next location.
 */
static void order_writes(enumeration *e, int location, event_set placed, event_set open)
{
	execution *x = &e->x;
	while (!open) {
		if (++location == LOCATION_MAX) {
			finished(e);
			return;
		}
		event_set writes = x->at[location] & x->writes;
		/* the initial write is the first event of its location */
		placed = writes & -writes;
		open = writes & ~placed;
	}
	FOR_EVENTS(w, open)
	{
		if (!rel_empty(rel_between(open, e->forced_mo, bit(w))))
			continue;
		FOR_EVENTS(before, placed)
		rel_add(&x->mo, before, w);
		order_writes(e, location, placed | bit(w), open & ~bit(w));
		FOR_EVENTS(undo, placed)
		x->mo.row[undo] &= ~bit(w);
	}
}

/* Gives each read of `open` every source. */
static void choose_sources(enumeration *e, event_set open)
{
	execution *x = &e->x;
	if (!open) {
		/* A value that is still unknown depends on itself, and occurs in no execution. */
		FOR_EVENTS(r, x->reads)
		if (execution_value(x, r) == UNKNOWN_VALUE)
			return;
		order_writes(e, -1, 0, 0);
		return;
	}
	unsigned read = lowest(open);
	FOR_EVENTS(write, x->at[x->event[read].location] & x->writes & ~x->rmw.row[read])
	{
		x->event[read].source = (int)write;
		rel_add(&x->rf, write, read);
		if (values_fit(e) && promising(e))
			choose_sources(e, open & ~bit(read));
		x->rf.row[write] &= ~bit(read);
		x->event[read].source = -1;
	}
}

/*
 * Calls visit with each candidate, which has rf and mo, and nothing derived. With `unpruned`, no
 * candidate is left out early.
 */
static void each_candidate(const program *p, bool unpruned, void (*visit)(execution *x, void *context), void *context)
{
	unsigned compares = 0;
	FOR_OPERATIONS (op, p)
		compares += op->kind == 'C';
	enumeration e = {.unpruned = unpruned, .visit = visit, .context = context};
	for (unsigned succeeding = 0; succeeding < 1u << compares; succeeding++) {
		execution_begin(&e.x, p, succeeding);
		if (promising(&e))
			choose_sources(&e, e.x.reads);
	}
}

marked_outcome *outcomes_find(const outcome_set *set, const outcome *values)
{
	for (int i = 0; i < set->count; i++)
		if (!memcmp(&set->list[i].values, values, sizeof *values))
			return &set->list[i];
	return NULL;
}

void outcomes_add(outcome_set *set, const outcome *values, bool prompt)
{
	marked_outcome *known = outcomes_find(set, values);
	if (known) {
		known->prompt |= prompt;
		return;
	}
	if (set->count == set->room) {
		set->room = set->room ? 2 * set->room : 64;
		set->list = realloc(set->list, (size_t)set->room * sizeof *set->list);
		if (!set->list)
			abort();
	}
	set->list[set->count++] = (marked_outcome){*values, prompt};
}

static int compare_outcomes(const void *one, const void *other)
{
	const outcome *a = &((const marked_outcome *)one)->values, *b = &((const marked_outcome *)other)->values;
	for (int i = 0; i < OUTCOME_MAX; i++)
		if (a->value[i] != b->value[i])
			return a->value[i] < b->value[i] ? -1 : 1;
	return 0;
}

void outcomes_sort(outcome_set *set)
{
	if (set->count)
		qsort(set->list, (size_t)set->count, sizeof *set->list, compare_outcomes);
}

void outcomes_free(outcome_set *set)
{
	free(set->list);
	*set = (outcome_set){.count = 0};
}

static void collect(execution *x, void *context)
{
	outcome_set *set = context;
	outcome values = execution_outcome(x);
	rc11_derive(x);
	if (!rc11_consistent(x))
		return;
	set->executions++;
	set->races += rc11_races(x);
	outcomes_add(set, &values, rc11_prompt(x));
}

outcome_set outcomes_of(const program *p, bool unpruned)
{
	outcome_set set = {.count = 0};
	each_candidate(p, unpruned, collect, &set);
	outcomes_sort(&set);
	return set;
}
