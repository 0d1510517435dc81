/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Edges between the steps of a trace: from an earlier step of another thread to a step that depends
 * on it. They lead
 *
 * - from a store to each load, or other atomic access, that has read its value;
 * - from the last step that released an object to a lock, or another acquire, of the object;
 * - from the step that woke a thread to the end of the thread's wait;
 * - from the start of a thread to its first step, and from its end to a join.
 *
 * An edge to a step on an object is left out if an earlier edge to the same thread implies it. A
 * thread that waits forever gets an edge from the step that took what it waits for.
 */
#include "edge.h"
#include "object.h"

static bool edge_is_write(const struct lab_event *e)
{
	return e->op.kind == LAB_STORE || e->op.kind == LAB_RMW || e->op.kind == LAB_OWNER_DIED;
}

bool lab_edge_overlaps(const struct lab_event *a, const struct lab_event *b)
{
	return a->op.address < b->op.address + b->op.size && b->op.address < a->op.address + a->op.size;
}

/*
 * Returns whether the step releases the object of `taker`, so that `taker` can acquire that object.
 */
static bool edge_gives(const struct lab_event *e, const struct lab_event *taker)
{
	if (e->op.kind != LAB_SYNC || e->op.address != taker->op.address || e->result != 0)
		return false;
	switch (e->op.order) {
	case LAB_SYNC_UNLOCK:
	case LAB_SYNC_ABANDON:
	case LAB_SYNC_UP:
	case LAB_SYNC_INIT:
	case LAB_SYNC_ONCE:
	case LAB_SYNC_WRITE:
	case LAB_SYNC_CLOSE:
		return true;
	case LAB_SYNC_ARRIVE:
		return taker->op.order == LAB_SYNC_LEAVE;
	default:
		return false;
	}
}

static bool edge_takes(const struct lab_event *e)
{
	switch (e->op.order) {
	case LAB_SYNC_LOCK:
	case LAB_SYNC_TRYLOCK:
	case LAB_SYNC_RDLOCK:
	case LAB_SYNC_TRYRDLOCK:
	case LAB_SYNC_WRLOCK:
	case LAB_SYNC_TRYWRLOCK:
	case LAB_SYNC_DOWN:
	case LAB_SYNC_TRYDOWN:
	case LAB_SYNC_LEAVE:
	case LAB_SYNC_ONCE:
	case LAB_SYNC_READ:
		return e->result == 0;
	default:
		return false;
	}
}

/*
 * Called for shown[i], which locks a mutex again after a wait for a condition. The wait began with
 * the previous step of the same thread. Returns the last signal or broadcast of that condition
 * since then that has woken a thread, or `i` if there is none.
 */
static unsigned edge_signal(const struct lab_event *const *shown, unsigned i)
{
	unsigned begin = i;
	while (begin-- > 0 && shown[begin]->thread != shown[i]->thread)
		;
	for (unsigned j = i; begin < i && --j > begin;) {
		const struct lab_event *e = shown[j];
		if (e->op.kind == LAB_SYNC && e->op.address == shown[begin]->op.address && e->value > 0 &&
		    (e->op.order == LAB_SYNC_SIGNAL || e->op.order == LAB_SYNC_BROADCAST))
			return j;
	}
	return i;
}

/* Returns whether the step shown[i] depends on shown[j], and how. */
static enum lab_edge edge_between(const struct lab_event *const *shown, unsigned i, unsigned j)
{
	const struct lab_event *to = shown[i], *from = shown[j];
	switch (to->op.kind) {
	case LAB_LOAD:
	case LAB_CAS_FAILED:
	case LAB_RMW:
	case LAB_OWNER_DIED:
		if (to->from == 0 || !edge_is_write(from) || from->step != to->from || !lab_edge_overlaps(from, to))
			return LAB_NO_EDGE;
		return lab_is_acquire(to->op.order) && lab_is_release(from->op.order) ? LAB_SYNCHRONIZES
		                                                                      : LAB_READS_FROM;
	case LAB_FUTEX_DONE:
		return from->op.kind == LAB_FUTEX_WAKE && from->op.address == to->op.address && from->result > 0 &&
		               to->result == 0
		           ? LAB_SYNCHRONIZES
		           : LAB_NO_EDGE;
	case LAB_JOIN:
		return &lab.threads[from->thread] == (const struct lab_thread *)to->op.address ? LAB_SYNCHRONIZES
		                                                                               : LAB_NO_EDGE;
	case LAB_SYNC:
		return edge_takes(to) && edge_gives(from, to) ? LAB_SYNCHRONIZES : LAB_NO_EDGE;
	default:
		return LAB_NO_EDGE;
	}
}

/*
 * Returns the step that started the thread of shown[i]. Returns `i` if shown[i] is not the first
 * step of its thread, or if the start is not in the trace.
 */
static unsigned edge_start(const struct lab_event *const *shown, unsigned i)
{
	unsigned start = i;
	for (unsigned j = i; j-- > 0;) {
		if (shown[j]->thread == shown[i]->thread)
			return i;
		if (shown[j]->op.kind == LAB_SPAWN && shown[j]->op.address == shown[i]->thread)
			start = j;
	}
	return start;
}

/*
 * Returns whether an edge from shown[j] to shown[i] would tell nothing new, because an edge to an
 * earlier step of the thread of shown[i] already shows that shown[j] happens before shown[i].
 * `steps` contains the edges of the earlier steps.
 */
static bool edge_is_implied(const struct lab_event *const *shown, unsigned i, unsigned j, const struct lab_step *steps)
{
	for (unsigned k = j + 1; k < i; k++)
		if (shown[k]->thread == shown[i]->thread && steps[k].edge == LAB_SYNCHRONIZES && steps[k].from >= j &&
		    shown[steps[k].from]->thread == shown[j]->thread)
			return true;
	return false;
}

void lab_edge_find(const struct lab_event *const *shown, unsigned i, struct lab_step *steps)
{
	const struct lab_event *e = shown[i];
	struct lab_step *step = &steps[i];
	step->failing = e->raced;
	for (unsigned j = i; j-- > 0 && step->edge == LAB_NO_EDGE;) {
		if (shown[j]->thread == e->thread)
			continue;
		step->edge = edge_between(shown, i, j);
		step->from = j;
	}
	unsigned other = i;
	if (e->op.kind == LAB_SYNC && e->op.order == LAB_SYNC_RELOCK)
		other = edge_signal(shown, i);
	else if (step->edge == LAB_NO_EDGE)
		other = edge_start(shown, i);
	if (other < i) {
		step->edge = LAB_SYNCHRONIZES;
		step->from = other;
	}
	if (step->edge == LAB_SYNCHRONIZES && e->op.kind == LAB_SYNC && edge_is_implied(shown, i, step->from, steps)) {
		step->edge = LAB_NO_EDGE;
		step->from = 0;
	}
}

/* Returns the last step at which `owner` took the object, or `n` if this trace has no such step. */
static unsigned edge_taken(const struct lab_event *const *shown, unsigned n, const struct lab_thread *owner,
                           uintptr_t address)
{
	for (unsigned i = n; i-- > 0;)
		if (shown[i]->thread == owner->id && shown[i]->op.kind == LAB_SYNC && shown[i]->op.address == address &&
		    edge_takes(shown[i]))
			return i;
	return n;
}

static const char *edge_wanted(const struct lab_thread *t)
{
	if (t->object)
		return lab_text("%s %s", t->object->kind == LAB_COND ? "waits for" : "wants",
		                lab_object_name(t->object));
	if (t->next.kind == LAB_JOIN)
		return lab_text("waits for the end of %s", lab.threads[t->joins].name);
	return t->futex ? lab_text("sleeps on %s", lab_address_name(t->futex)) : "sleeps";
}

/* If a signal came before its wait, marks the signal as part of the failure. */
static void edge_mark(const struct lab_event *const *shown, unsigned n, const struct lab_place *signal,
                      struct lab_step *steps)
{
	for (unsigned i = n; i-- > 0;) {
		if (shown[i]->thread != signal->thread || shown[i]->op.pc != signal->pc)
			continue;
		steps[i].failing = true;
		return;
	}
}

unsigned lab_edge_waits(const struct lab_event *const *shown, unsigned n, struct lab_step *all)
{
	struct lab_step *steps = &all[n];
	unsigned written = 0;
	if (lab.verdict != LAB_DEADLOCK && lab.verdict != LAB_LOST_WAKEUP)
		return 0;
	LAB_EACH_THREAD (t) {
		const struct lab_thread *owner = lab_object_blocker(t);
		if (t->state != LAB_BLOCKED)
			continue;
		struct lab_step *step = &steps[written++];
		*step = (struct lab_step){
		    .thread = t->id, .what = edge_wanted(t), .value = "", .failing = t->next.kind != LAB_JOIN};
		const unsigned taken = owner && t->object ? edge_taken(shown, n, owner, t->object->address) : n;
		if (t->object && t->object->kind == LAB_COND && t->object->wasted.pc)
			edge_mark(shown, n, &t->object->wasted, all);
		if (taken < n) {
			step->edge = LAB_WAITS_FOR;
			step->from = taken;
		}
	}
	return written;
}
