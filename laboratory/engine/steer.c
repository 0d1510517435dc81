/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The search by execution graphs, on the program's side. In the replay a thread may do its next
 * step when the write that the step reads has been done; loads return what the graph says. After
 * that the lowest thread that can go on does a new step. Memory has the last value of each
 * location, in the modification order, of the writes that were done: a plain load without a race
 * sees it. A plain write begins another life of an atomic object, which is another location:
 * without a race, all other accesses happen before the write or after it. So psc has the same
 * cycles, too.
 *
 * Loops that wait. A thread that comes back to a load with the same stack, registers and settings,
 * and that has changed nothing since, would do the same again: it waits. An execution in which it
 * goes on later is one in which it goes on at once, with the newer value; a later write revisits
 * the load. So turns without effect are in no graph but the last one of a thread, which never goes
 * on.
 */
#include "steer.h"
#include "frame.h"
#include "graph.h"
#include "object.h"
#include "posix.h"
#include <stdio.h>

enum { LOCATIONS = 4096, TURNS = 8, DEEPEST = 4096 };

static struct place {
	uintptr_t address;
	uint32_t generation; /* of the execution that has used it last */
	uint8_t size;
	uint16_t top;   /* of its writes that were done, the last in the modification order */
	uint64_t value; /* in memory */
} places[LOCATIONS];
static unsigned n_places;
static uint8_t parents[LAB_GRAPH_THREADS]; /* of each thread: its parent + 1; 0: none yet */
static uint32_t ticks[LAB_GRAPH_EVENTS];   /* the thread's clock at the event */
static const char *refusal;

/* What a thread had when it came to a load. */
struct turn {
	uintptr_t pc, frame;
	unsigned events; /* done before */
	uint32_t done;   /* effects before */
	uint64_t settings;
	size_t size;
	unsigned char stack[DEEPEST];
};
static struct loop {
	uint32_t generation;
	unsigned n;
	struct turn turns[TURNS];
	bool waits, assumes;
	unsigned from; /* its last turn began with this event */
} loops[LAB_GRAPH_THREADS];

static struct loop *loop_of(const struct lab_thread *t)
{
	struct loop *loop = &loops[t->id];
	if (loop->generation != lab.generation) {
		loop->generation = lab.generation;
		loop->n = 0;
		loop->waits = loop->assumes = false;
	}
	return loop;
}

void lab_steer_reset(unsigned faults)
{
	memset(places, 0, sizeof places);
	memset(parents, 0, sizeof parents);
	n_places = 0;
	refusal = NULL;
	lab_graph_reset(faults);
}

const char *lab_steer_refusal(void)
{
	return refusal;
}

void lab_steer_refuse(const char *why)
{
	refusal = why;
	lab_prune();
}

/* --- the choice of a thread --- */

static bool steer_can(const struct lab_thread *t)
{
	const unsigned kind = t->next.kind;
	if (t->state != LAB_READY)
		return false;
	if (kind == LAB_START || kind == LAB_SPAWN || kind == LAB_JOIN ||
	    (kind == LAB_SYNC && t->next.order == LAB_SYNC_DESTROY))
		return true; /* no event */
	if (lab_graph_planned(t->id))
		return lab_graph_may(t->id);
	return lab_graph_is_replayed() && kind != LAB_EXIT;
}

static uint16_t steer_place(uintptr_t address, unsigned size, uint64_t value);

static struct lab_graph_event lock_event(unsigned thread, uintptr_t object)
{
	return (struct lab_graph_event){.kind = LAB_GRAPH_LOCK,
	                                .thread = (uint8_t)thread,
	                                .order = __ATOMIC_ACQUIRE,
	                                .failure = __ATOMIC_ACQUIRE,
	                                .size = 1,
	                                .operand = 1,
	                                .update = lab_update_set,
	                                .location = steer_place(object ^ 1, 1, 0)};
}

/*
 * No thread can go on, but perhaps main can exit. The threads that wait for a lock could have been
 * first.
 */
static void steer_end(void)
{
	bool counts = true;
	LAB_EACH_THREAD (t) {
		if (t->state == LAB_BLOCKED && t->next.kind == LAB_SYNC && t->next.order == LAB_SYNC_LOCK) {
			const struct lab_graph_event e = lock_event(t->id, t->next.address);
			(void)lab_graph_add(&e);
		}
		const struct loop *loop = loop_of(t);
		counts = counts && !loop->assumes;
		for (unsigned i = loop->from; loop->waits && i < lab_graph_count(t->id); i++)
			counts = counts && lab_graph_is_newest(lab_graph_number(t->id, i));
	}
	if (!counts)
		lab_prune();
}

struct lab_thread *lab_steer_next(void)
{
	if (!lab_graph_is_replayed() && steer_can(lab.self))
		return lab.self;
	LAB_EACH_THREAD (t)
		if (steer_can(t))
			return t;
	if (!lab_graph_is_replayed())
		lab_steer_refuse("a run that does not follow its graph");
	steer_end();
	LAB_EACH_THREAD (t)
		if (t->state == LAB_READY && t->next.kind == LAB_EXIT)
			return t;
	lab_stuck();
}

/* --- loops that wait --- */

/* What the thread has done so far that outlives a turn of a loop. */
static uint32_t steer_effects(void)
{
	return lab.self->effects + lab.self->changes;
}

/*
 * Whether the thread is where it was. In a loop with one event, what the compiler keeps for a
 * statement may differ: the statement begins anew. But a compare-and-swap that fails writes what
 * the next turn expects, also where the loop is a part of one statement: `x *= 2` of an atomic x.
 */
static bool steer_is_same(const struct turn *turn, uintptr_t frame)
{
	const unsigned char *now = (const unsigned char *)frame;
	if (turn->done != steer_effects() || turn->settings != lab_thread_settings())
		return false;
	if (memcmp(now, turn->stack, turn->size) == 0)
		return true;
	if (lab_graph_count(lab.self->id) != turn->events + 1)
		return false;
	for (size_t i = 0; i < turn->size; i++)
		if (now[i] != turn->stack[i] && (frame + i - lab.expected < sizeof(uint64_t) ||
		                                 !lab_frame_is_temporary(turn->pc, lab.caller, frame + i)))
			return false;
	return true;
}

static void steer_stop(bool assumes)
{
	struct loop *loop = loop_of(lab.self);
	loop->assumes = assumes;
	loop->waits = !assumes;
	lab_thread_park(!assumes);
}

static void steer_turn(uintptr_t pc)
{
	struct loop *loop = loop_of(lab.self);
	const uintptr_t frame = lab.frame;
	size_t room;
	const uintptr_t top = (uintptr_t)lab_stack_of(lab.self->id, &room) + room;
	lab.frame = 0;
	if (frame == 0 || top - frame > DEEPEST)
		return;
	struct turn *turn = loop->turns, *end = loop->turns + loop->n;
	while (turn < end && (turn->pc != pc || turn->frame != frame))
		turn++;
	if (turn < end && steer_is_same(turn, frame)) {
		loop->from = turn->events;
		steer_stop(false);
	}
	if (turn == loop->turns + TURNS)
		return;
	loop->n += turn == end;
	turn->pc = pc;
	turn->frame = frame;
	turn->events = lab_graph_count(lab.self->id);
	turn->done = steer_effects();
	turn->settings = lab_thread_settings();
	turn->size = top - frame;
	memcpy(turn->stack, (const void *)frame, turn->size);
}

void lab_steer_block(void)
{
	steer_stop(true);
}

void lab_steer_announce(const struct lab_op *op)
{
	static char lacks[64];
	if (lab.processes)
		lab_steer_refuse("processes");
	switch (op->kind) {
	case LAB_LOAD:
	case LAB_RMW:
		steer_turn(op->pc);
		break;
	case LAB_STORE:
	case LAB_FENCE:
	case LAB_SPAWN:
	case LAB_INPUT:
	case LAB_EXIT:
		break;
	case LAB_SYNC:
		if (op->order == LAB_SYNC_LOCK || op->order == LAB_SYNC_TRYLOCK || op->order == LAB_SYNC_UNLOCK ||
		    op->order == LAB_SYNC_DESTROY)
			break;
		snprintf(lacks, sizeof lacks, "the step \"%s\"", lab_sync_verb(op->order));
		lab_steer_refuse(lacks);
	default:
		lab_steer_refuse("a futex, or another step that the graphs do not have");
	}
}

/* --- events --- */

static uint16_t steer_place(uintptr_t address, unsigned size, uint64_t value)
{
	unsigned at = (unsigned)((address * 0x9e3779b97f4a7c15u) >> 52);
	while (places[at].address != 0 && places[at].address != address)
		at = (at + 1) % LOCATIONS;
	struct place *p = &places[at];
	if (p->address == 0 && ++n_places == LOCATIONS)
		lab_steer_refuse("more than 4095 atomic objects");
	if (p->generation == lab.generation && p->size != size)
		lab_steer_refuse("atomic accesses of different sizes");
	p->address = address;
	p->size = (uint8_t)size;
	if (p->generation != lab.generation) {
		p->generation = lab.generation;
		p->top = LAB_GRAPH_NONE;
		p->value = value;
		lab_graph_initial(at, value);
	}
	return (uint16_t)at;
}

static bool steer_differs(const struct lab_graph_event *a, const struct lab_graph_event *b)
{
	return a->kind != b->kind || a->location != b->location || a->order != b->order || a->failure != b->failure ||
	       a->size != b->size || a->operand != b->operand || a->expected != b->expected || a->update != b->update ||
	       (a->kind == LAB_GRAPH_WRITE && a->value != b->value);
}

/* The running thread does the event. Returns its number. */
static unsigned steer_event(struct lab_graph_event *e)
{
	struct lab_thread *self = lab.self;
	const struct lab_graph_event *planned = lab_graph_planned(self->id);
	e->thread = (uint8_t)self->id;
	if (planned && steer_differs(planned, e))
		lab_steer_refuse("a step that differs from the same step of an earlier run");
	if (!planned && lab_graph_is_full())
		lab_steer_refuse("a graph that is too large");
	const unsigned i = planned ? lab_graph_replay(self->id) : lab_graph_add(e);
	ticks[i] = lab_clock_of(self);
	const struct lab_graph_clock *past = lab_graph_past(i);
	for (unsigned t = 0; t < lab.n_threads; t++) {
		if (t == self->id || past->at[t] == 0)
			continue;
		const uint32_t known = ticks[lab_graph_number(t, past->at[t] - 1u)];
		if (self->view.at[t].hb < known)
			self->view.at[t].hb = known;
	}
	return i;
}

static uint16_t steer_life(const struct lab_location *location, const struct lab_op *op)
{
	return steer_place(op->address ^ (uintptr_t)location->lives << 48, op->size,
	                   (uint64_t)lab_peek(op->address, op->size));
}

/*
 * The event is on the location. Where memory has another value, code without instrumentation wrote
 * that value.
 */
static struct lab_graph_event steer_on(struct lab_location *location, const struct lab_op *op, unsigned kind)
{
	for (const struct lab_location *l = lab_cell(location->address)->locations; l; l = l->next)
		if (l != location && l->address < location->address + location->size &&
		    location->address < l->address + l->size)
			lab_steer_refuse("atomic accesses of different sizes");
	uint16_t at = steer_life(location, op);
	if (places[at].value != (uint64_t)lab_peek(op->address, op->size)) {
		if (!lab_is_stack(op->address)) /* else it is another object of a later frame */
			lab_met(LAB_MET_UNSEEN);
		lab_location_plain_write(lab_cell(op->address), op->address, op->size);
		at = steer_life(location, op);
	}
	return (struct lab_graph_event){.kind = (uint8_t)kind, .order = op->order, .size = op->size, .location = at};
}

/* The event wrote: memory gets the value if it is the last in the modification order. */
static void steer_wrote(struct lab_location *location, const struct lab_op *op, unsigned i)
{
	const struct lab_graph_event *e = lab_graph_event(i);
	struct place *p = &places[e->location];
	lab.self->effects++;
	location->by[lab.self->id].wrote = lab_clock_of(lab.self);
	location->by[lab.self->id].wrote_pc = op->pc;
	if (p->top != LAB_GRAPH_NONE && lab_graph_event(p->top)->mo > e->mo)
		return;
	p->top = (uint16_t)i;
	lab_poke(op->address, op->size, e->value);
	p->value = (uint64_t)lab_peek(op->address, op->size);
}

static uint64_t steer_read(struct lab_location *location, const struct lab_op *op, unsigned i)
{
	location->by[lab.self->id].read = lab_clock_of(lab.self);
	location->by[lab.self->id].read_pc = op->pc;
	const uint64_t value = lab_graph_read(i);
	lab_hash(value);
	return value;
}

lab_value lab_steer_load(struct lab_location *location, const struct lab_op *op)
{
	if (lab_is_tls(op->address))
		return lab_peek(op->address, op->size);
	struct lab_graph_event e = steer_on(location, op, LAB_GRAPH_READ);
	return steer_read(location, op, steer_event(&e));
}

void lab_steer_store(struct lab_location *location, const struct lab_op *op, lab_value value)
{
	if (lab_is_tls(op->address)) {
		lab.self->effects++;
		lab_poke(op->address, op->size, value);
		return;
	}
	struct lab_graph_event e = steer_on(location, op, LAB_GRAPH_WRITE);
	e.value = (uint64_t)value;
	steer_wrote(location, op, steer_event(&e));
}

lab_value lab_steer_rmw(struct lab_location *location, const struct lab_op *op, lab_update *update, lab_value operand)
{
	if (lab_is_tls(op->address)) {
		const lab_value old = lab_peek(op->address, op->size);
		lab.self->effects++;
		lab_poke(op->address, op->size, update(old, operand));
		return old;
	}
	struct lab_graph_event e = steer_on(location, op, LAB_GRAPH_UPDATE);
	e.operand = (uint64_t)operand;
	e.update = update;
	const unsigned i = steer_event(&e);
	steer_wrote(location, op, i);
	return steer_read(location, op, i);
}

bool lab_steer_cas(struct lab_location *location, const struct lab_op *op, int failure, lab_value *expected,
                   lab_value desired, bool weak)
{
	if (lab_is_tls(op->address)) {
		const lab_value old = lab_peek(op->address, op->size);
		const bool same = old == *expected;
		if (same)
			lab_poke(op->address, op->size, desired);
		lab.self->effects++;
		*expected = old;
		return same;
	}
	struct lab_graph_event e = steer_on(location, op, LAB_GRAPH_SWAP);
	e.failure = (uint8_t)failure;
	e.operand = (uint64_t)desired;
	e.expected = (uint64_t)*expected;
	e.update = lab_update_set;
	e.weak = weak && lab_may_fault(LAB_FAULT_WEAK);
	const unsigned i = steer_event(&e);
	const bool done = lab_graph_event(i)->writes;
	if (done) {
		lab_race_atomic(lab_cell(op->address), op->address, op->size, true, op->pc);
		steer_wrote(location, op, i);
	}
	*expected = steer_read(location, op, i);
	return done;
}

void lab_steer_fence(int order)
{
	if (order == __ATOMIC_RELAXED)
		return;
	struct lab_graph_event e = {.kind = LAB_GRAPH_FENCE, .order = (uint8_t)order, .location = LAB_GRAPH_NONE};
	(void)steer_event(&e);
}

unsigned lab_steer_choose(unsigned n)
{
	lab_point((struct lab_op){.kind = LAB_INPUT});
	struct lab_graph_event e = {.kind = LAB_GRAPH_CHOICE, .operand = n, .location = LAB_GRAPH_NONE};
	return (unsigned)lab_graph_event(steer_event(&e))->value;
}

/* --- threads and locks --- */

void lab_steer_start(const struct lab_thread *child)
{
	if (child->id >= LAB_GRAPH_THREADS)
		lab_steer_refuse("more than 16 threads");
	/* The events of a thread are known by its number. */
	if (parents[child->id] != 0 && parents[child->id] != lab.self->id + 1)
		lab_steer_refuse("threads whose numbers depend on the order in which they are started");
	parents[child->id] = (uint8_t)(lab.self->id + 1);
	lab_graph_start(lab.self->id, child->id);
}

void lab_steer_join(const struct lab_thread *ended)
{
	lab_graph_join(lab.self->id, ended->id);
}

void lab_steer_exit(void)
{
	lab_point((struct lab_op){.kind = LAB_EXIT});
}

void lab_steer_lock(uintptr_t object)
{
	struct lab_graph_event e = lock_event(lab.self->id, object);
	(void)steer_event(&e);
}

bool lab_steer_trylock(uintptr_t object)
{
	struct lab_graph_event e = lock_event(lab.self->id, object);
	e.kind = LAB_GRAPH_SWAP;
	const bool done = lab_graph_event(steer_event(&e))->writes;
	lab.self->effects += done;
	return done;
}

void lab_steer_unlock(uintptr_t object)
{
	struct lab_graph_event e = lock_event(lab.self->id, object);
	e.kind = LAB_GRAPH_WRITE;
	e.order = __ATOMIC_RELEASE;
	e.value = e.operand = 0;
	(void)steer_event(&e);
}

/* --- a failure, in the words of the old engine --- */

static uint16_t guide[LAB_GRAPH_EVENTS];
static unsigned n_guide, at_guide, guided_last;

static bool guide_is_event(const struct lab_op *op)
{
	return op->kind == LAB_LOAD || op->kind == LAB_STORE || op->kind == LAB_RMW ||
	       (op->kind == LAB_FENCE && op->order != __ATOMIC_RELAXED) ||
	       (op->kind == LAB_SYNC && op->order != LAB_SYNC_DESTROY);
}

bool lab_steer_guide(void)
{
	n_guide = lab_graph_order(guide);
	at_guide = 0;
	guided_last = lab.self->id;
	return n_guide > 0;
}

unsigned lab_steer_guide_thread(lab_set set, unsigned usual)
{
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
}

unsigned lab_steer_guide_choice(enum lab_choice_kind kind, unsigned n)
{
	const struct lab_graph_event *e = at_guide > 0 ? lab_graph_event(guide[at_guide - 1]) : NULL;
	if (kind == LAB_PICK_FAULT)
		return e && e->kind == LAB_GRAPH_SWAP && e->unusual && !e->writes;
	if (kind == LAB_PICK_INPUT) {
		for (unsigned i = at_guide; i < n_guide; i++)
			if (lab_graph_event(guide[i])->kind == LAB_GRAPH_CHOICE &&
			    lab_graph_event(guide[i])->thread == lab.self->id)
				return (unsigned)lab_graph_event(guide[i])->value;
		return 0;
	}
	if (kind != LAB_PICK_STALE || !e || e->writes)
		return 0;
	/* How many newer values the load, or the failing swap, could have seen. */
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
