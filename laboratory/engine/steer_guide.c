/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Repeats a failure that the search by graphs has found, by the usual engine: puts the events of
 * the graph into an order, the guide, and makes each choice so that the engine follows the guide.
 * So the failure has a schedule, like those of the other searches.
 */
#include "object.h"
#include "steer_run.h"

static uint16_t guide[LAB_GRAPH_EVENTS];
static unsigned n_guide, at_guide, guided_last;
static unsigned asked; /* How many faults, or waiters, the last step has asked for. */
/* For each thread, where in the guide the search for its next input begins. */
static unsigned inputs[LAB_GRAPH_THREADS];

static bool guide_is_event(const struct lab_op *op)
{
	return op->kind == LAB_LOAD || op->kind == LAB_STORE || op->kind == LAB_RMW || op->kind == LAB_FUTEX_WAIT ||
	       op->kind == LAB_FUTEX_WAKE || (op->kind == LAB_FENCE && op->order != __ATOMIC_RELAXED) ||
	       (op->kind == LAB_SYNC && lab_steer_kind(op->order) && op->order != LAB_SYNC_LEAVE &&
	        op->order != LAB_SYNC_ENQUEUE);
}

/*
 * Returns whether the event is an input of its thread. The other choices are those of a wait, and
 * those of a thread that leaves a barrier: there, `expected` of the lowest thread has all threads.
 */
static bool guide_is_input(const struct lab_graph_event *e)
{
	return e->kind == LAB_GRAPH_CHOICE && !e->expected && e->operand > 1 && e->pick != LAB_WAIT_EARLY;
}

/* Before this step all threads have come to a barrier. Lets the serial thread come last. */
static void guide_serial(unsigned leaves)
{
	const struct lab_graph_event *e = lab_graph_event(guide[leaves]);
	uint64_t threads = e->expected;
	for (uint64_t before = e->value; before > 0; before--)
		threads &= threads - 1;
	unsigned at = leaves - 1;
	while (lab_graph_event(guide[at])->thread != (unsigned)__builtin_ctzll(threads))
		at--;
	const uint16_t comes = guide[at];
	for (; at + 1 < leaves; at++)
		guide[at] = guide[at + 1];
	guide[at] = comes;
}

/* Returns the last event of the guide that was done. */
static const struct lab_graph_event *guide_last(void)
{
	return at_guide > 0 ? lab_graph_event(guide[at_guide - 1]) : NULL;
}

bool lab_steer_guide(void)
{
	const unsigned n = lab_graph_order(guide);
	n_guide = 0;
	for (unsigned i = 0; i < n; i++) {
		const struct lab_graph_event *e = lab_graph_event(guide[i]);
		/* The usual engine has no step of its own for these events. */
		if ((e->kind != LAB_GRAPH_SIGNAL && e->pick == LAB_WAIT_HALF) || e->kind == LAB_GRAPH_WOKEN)
			continue;
		guide[n_guide++] = guide[i];
		if (e->kind == LAB_GRAPH_CHOICE && e->expected)
			guide_serial(n_guide - 1);
	}
	at_guide = 0;
	memset(inputs, 0, sizeof inputs);
	guided_last = lab.self->id;
	return n_guide > 0;
}

/* Returns the choice of how a wait for a futex ends, given the first event of the wait. */
static unsigned guide_end(const struct lab_graph_event *e)
{
	return (unsigned)lab_graph_event(lab_graph_number(e->thread, e->index + 1u))->value;
}

unsigned lab_steer_guide_thread(lab_set set, unsigned usual)
{
	const struct lab_graph_event *e = guide_last();
	/* A wait that ends at its deadline does so at once. */
	if (e && e->kind == LAB_GRAPH_COMPARE && lab_in(set, e->thread) && lab.threads[e->thread].futex &&
	    !guide_end(e))
		return e->thread;
	while (at_guide < n_guide && lab_graph_event(guide[at_guide])->kind == LAB_GRAPH_CHOICE)
		at_guide++;
	const unsigned wanted = at_guide < n_guide ? lab_graph_event(guide[at_guide])->thread : guided_last;
	if (lab_in(set, wanted))
		return wanted;
	for (lab_set rest = set & lab.ready; rest; rest &= rest - 1)
		if (!guide_is_event(&lab.threads[lab_lowest(rest)].next))
			return lab_lowest(rest);
	return usual;
}

void lab_steer_guide_step(void)
{
	if (at_guide < n_guide && guide_is_event(&lab.self->next) &&
	    lab_graph_event(guide[at_guide])->thread == lab.self->id)
		at_guide++;
	asked = 0;
}

unsigned lab_steer_guide_choice(enum lab_choice_kind kind, unsigned n)
{
	const struct lab_graph_event *e = guide_last();
	if (kind == LAB_PICK_FAULT && e && e->kind == LAB_GRAPH_COMPARE)
		return guide_end(e) == ++asked;
	if (kind == LAB_PICK_FAULT)
		return e && ((e->kind == LAB_GRAPH_SWAP && e->unusual && !e->writes) ||
		             (e->kind == LAB_GRAPH_WRITE && e->pick == LAB_WAIT_EARLY));
	if (kind == LAB_PICK_INPUT) {
		/* The guide contains no reader that enqueues. */
		const unsigned end = lab.self->next.order == LAB_SYNC_RDLOCK ? 0 : n_guide;
		for (unsigned *i = &inputs[lab.self->id]; *i < end;) {
			e = lab_graph_event(guide[(*i)++]);
			if (e->thread == lab.self->id && guide_is_input(e))
				return (unsigned)e->value;
		}
		return 0;
	}
	if (kind == LAB_PICK_WAITER) {
		/* The waiters before this one have left the queue. */
		unsigned pick = e ? e->pick : 0;
		for (unsigned i = 0; i < asked; i++)
			pick &= pick - 1;
		return pick ? (unsigned)__builtin_ctz(pick) - asked++ : 0;
	}
	if (kind != LAB_PICK_STALE || !e || e->writes)
		return 0;
	/* How many newer values the load, or the compare-and-swap that fails, could have seen. */
	unsigned back = 0;
	const unsigned from = e->rf == LAB_GRAPH_NONE ? 0 : lab_graph_event(e->rf)->mo;
	uint64_t newest = lab_graph_read(guide[at_guide - 1]);
	unsigned last = from;
	for (unsigned i = 0; i + 1 < at_guide; i++) {
		const struct lab_graph_event *w = lab_graph_event(guide[i]);
		if (!w->writes || w->location != e->location || w->mo <= from)
			continue;
		back += e->kind == LAB_GRAPH_READ || w->value != e->expected;
		if (w->mo > last) {
			last = w->mo;
			newest = w->value;
		}
	}
	back += e->kind == LAB_GRAPH_SWAP && newest == e->expected;
	return back < n ? back : n - 1;
}
