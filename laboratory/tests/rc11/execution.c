/* SPDX-License-Identifier: BSD-2-Clause */
/* Makes the execution graph of a program, and finds the values in it. */
#include "execution.h"

_Static_assert((int)EVENT_LIMIT == (int)EVENT_MAX, "what the parser admits fits into a relation");

static unsigned add_event(execution *x, event e, char kind)
{
	unsigned n = (unsigned)x->count++;
	e.source = -1;
	x->event[n] = e;
	x->all |= bit(n);
	if (kind == 'R')
		x->reads |= bit(n);
	if (kind == 'W')
		x->writes |= bit(n);
	if (kind == 'F')
		x->fences |= bit(n);
	if (e.location >= 0)
		x->at[e.location] |= bit(n);
	if (e.order == SC)
		x->sc |= bit(n);
	if (e.order >= REL)
		x->at_least_rel |= bit(n);
	if (e.order == ACQ || e.order >= AR)
		x->at_least_acq |= bit(n);
	return n;
}

/*
 * These two return the orders of the halves of an operation that reads and writes. With rel, the
 * read is relaxed; with acq, the write is.
 */
static mem_order read_half(mem_order o)
{
	return o == REL ? RLX : o == AR ? ACQ : o;
}

static mem_order write_half(mem_order o)
{
	return o == ACQ ? RLX : o == AR ? REL : o;
}

static void add_operation(execution *x, event e, bool fails)
{
	mem_order order = e.op->order;
	e.location = e.op->location;
	if (e.op->kind == 'F' || !op_reads(e.op) || !op_writes(e.op)) {
		e.order = order;
		add_event(x, e, e.op->kind);
	} else if (fails) {
		e.order = e.op->failure;
		add_event(x, e, 'R');
	} else {
		e.order = read_half(order);
		unsigned read = add_event(x, e, 'R');
		e.order = write_half(order);
		rel_add(&x->rmw, read, add_event(x, e, 'W'));
	}
}

void execution_begin(execution *x, const program *p, unsigned succeeding)
{
	*x = (execution){.program = p};
	unsigned compares = 0;
	FOR_LOCATIONS (l)
		if (program_names(p, l))
			add_event(x, (event){.thread = INITIAL, .location = l, .order = RLX}, 'W');
	FOR_THREADS (t, p)
		for (int i = 0; i < p->thread[t].count; i++) {
			const operation *op = &p->thread[t].op[i];
			bool fails = op->kind == 'C' && !(succeeding >> compares++ & 1);
			add_operation(x, (event){.thread = t, .index = i, .op = op}, fails);
		}
	for (unsigned a = 0; a < (unsigned)x->count; a++)
		for (unsigned b = 0; b < (unsigned)x->count; b++) {
			const event *from = &x->event[a], *to = &x->event[b];
			if (to->thread != INITIAL && (from->thread == INITIAL || (from->thread == to->thread && a < b)))
				rel_add(&x->sb, a, b);
			if (from->location >= 0 && from->location == to->location)
				rel_add(&x->same_loc, a, b);
		}
	x->sb_loc = rel_and(x->sb, x->same_loc);
}

/*
 * Returns the value of a read. It is found by walking back over additions to a store. If that takes
 * more steps than there are events, the value depends on itself.
 */
static int value_read(const execution *x, unsigned read)
{
	int sum = 0;
	for (int steps = 0; steps <= x->count; steps++) {
		int source = x->event[read].source;
		if (source < 0)
			return UNKNOWN_VALUE;
		const operation *op = x->event[source].op;
		if (!op)
			return sum;
		sum += op->value;
		if (op->kind != 'A')
			return sum;
		/* the half that reads comes before the half that writes */
		read = (unsigned)source - 1;
	}
	return UNKNOWN_VALUE;
}

int execution_value(const execution *x, unsigned e)
{
	if (x->reads & bit(e))
		return value_read(x, e);
	const operation *op = x->event[e].op;
	if (!op || op->kind != 'A')
		return op ? op->value : 0;
	int read = value_read(x, e - 1);
	return read == UNKNOWN_VALUE ? UNKNOWN_VALUE : read + op->value;
}

outcome execution_outcome(const execution *x)
{
	outcome o = {{0}};
	int values = 0;
	FOR_EVENTS(read, x->reads)
	o.value[values++] = execution_value(x, read);
	FOR_LOCATIONS (l) {
		event_set writes = x->at[l] & x->writes;
		if (!writes)
			continue;
		FOR_EVENTS(w, writes)
		if (!x->mo.row[w])
			o.value[values] = execution_value(x, w);
		values++;
	}
	return o;
}
