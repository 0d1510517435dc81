/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The search by execution graphs; this file runs the program along the graphs. While a run replays
 * its graph, a thread may do its next step when the write that the step reads has been done; loads
 * return what the graph says. After that, the lowest thread that can go on does a new step. Memory
 * has, for each location, the value of the write that is last in the modification order among the
 * writes that were done: a plain load without a race sees that value. A plain write begins another
 * life of an atomic object, and each life is a separate location. Without a race, all other
 * accesses happen before the plain write or after it, so psc has the same cycles, too.
 *
 * Loops that wait. A thread may come back to a load with the same stack, registers and settings as
 * in some earlier turn, and with nothing changed since. It would do the same again, so it waits. If
 * it goes on later, this is the same execution as one in which it goes on at once with the newer
 * value; a later write revisits the load. So turns without effect are in no graph, except for the
 * last turn of a thread that never goes on.
 *
 * A try that fails, such as a trylock, only loads, so a loop of tries waits, too.
 *
 * A read-modify-write that writes the value that it reads is not an effect of a turn. Take an
 * execution with such a turn. Without the turn, the reads of its write read the same value from the
 * write before it, which has the same place in all other orders. Happens-before and psc only lose
 * edges. So the execution without the turn is consistent, has the same values, and has at least the
 * same races.
 *
 * Outdated reads. Let a thread T stop for good, because a turn of its loop has had no effect, or
 * because what it assumes is false. Let r be the last event of T that is not a fence. Let r be a
 * read that was not the free way to add the event: when r was added, its location had a newer
 * value, or r is a weak compare-and-swap that fails spuriously. Let T have done nothing since r
 * that another thread could notice. Then the run ends at once. No event of another thread depends
 * on r, now or later.
 *
 *   - No execution that counts is lost. Later writes revisit neither r nor a read that was added
 *     before r, since r is not free (graph_is_free()). So each graph that would follow from this
 *     run has r and the newer value, and T stops in it. It does not count: an assumption is false,
 *     or T waits forever although its read could have seen another value.
 *
 *   - No failure is lost. Let P be the events on which a failure depends, in a run that would
 *     follow. P is a consistent graph without r. Extend P by free events as far as possible. Where
 *     the newest value of the location changes, let T read again, until T goes on or has read the
 *     newest value in the end. Do the same for each other thread that has stopped at an outdated
 *     read. The result contains P, so it fails, too. The search comes to this result as it comes to
 *     each graph, and by runs that do not end early, because no thread has an outdated read there.
 *     This also covers a thread that waits forever: T is reported in the run in which it has read
 *     the newest value.
 *
 *   - No race with r itself is lost. Let w be a plain write or a free that is not ordered with r,
 *     and let P be w and the events on which w depends. In the result, r reads the newest value of
 *     its life of the object. What happens after w is not part of that life, so w does not happen
 *     before r there. Nor does r happen before w, because P does not contain r.
 *
 * "Nothing that another thread could notice" is this: T has had no effect, has accessed no plain
 * memory other than its own stack, and has done no event but fences. Without the first two, a race
 * with what T does after the old value might be lost. An access of T to its own stack can only race
 * with the use of that stack by another thread. As soon as a run has such a use, the search begins
 * anew, and no run ends early for T. The argument requires that T stops in each graph that would
 * follow. Therefore a run goes on if T stops because its next event is not consistent yet, as may
 * happen to a wait for a futex.
 *
 * Leaving out turns without effect also leaves out executions in which an earlier turn has read an
 * old value, and a later turn another value. Such an execution has the values of the execution that
 * has only the last turn. An acquire in the earlier turn only adds to happens-before, and allows
 * nothing more.
 *
 * Waits for conditions. Call "section" what a thread does from the lock of a mutex to the wait with
 * that mutex. The wait is an await if the section only reads, and if the thread, after the wait and
 * before any new step, comes to where it was at the section's first access, with the same stack and
 * registers. An example is `lock; while (!ready) wait;`. What the thread read before a later access
 * could be old after the wait. Let a signal or a broadcast end the await, and let no other waiter
 * be one that could have been woken instead of the thread: the thread was the only waiter, or all
 * were woken. Compare that execution E with the execution E' in which the thread locks the mutex
 * for the first time only when, in E, it locks the mutex after the wait. In E' the wake does not
 * find this waiter, and everything else is as in E, because the section wrote nothing, and the
 * thread goes on from the same state. Happens-before only loses the edges from the section. So E'
 * shows what E shows, with one wait less.
 *
 * In E the thread never goes on, and E does not count. All other threads do go on in E, because
 * their later steps may revisit earlier ones. In other words, the search explores a program whose
 * threads stop after such a wake. Whether a thread stops depends only on what its own steps depend
 * on, so each graph of this program still comes once. An await that ends spuriously is treated like
 * E. A waiter that no wake reached is still asleep, so a deadlock is found in E itself.
 *
 * This argument requires that no thread can tell that the section took place. A trylock can tell,
 * because it fails while the section holds the mutex. Other threads can also tell if the section
 * writes to the thread's stack, which is not an effect, and they use that stack. A wait that is not
 * an await is ordinary: each way in which it may end is explored, and a spurious wakeup is a
 * choice. If an ordinary wait ends spuriously, and the thread waits again without an effect, the
 * wait is left to the other searches.
 *
 * It becomes known only afterwards whether a wait is an await. Therefore the call returns at once,
 * with the mutex held, and the thread waits when it comes to that state again (lab_steer_access()).
 * If it does anything else before, the site is noted as a site of ordinary waits, and the search
 * begins anew.
 *
 * What the compiler keeps for a statement does not count as state there, because the thread has
 * accessed nothing since the call returned, so a new statement begins. (This would be wrong if the
 * call were an operand of an expression that reads memory before the call.) What the callers of the
 * function have in registers does count: lab_frame_is_temporary() tells where the function saved
 * it.
 */
#include "frame.h"
#include "layout.h"
#include "object.h"
#include "posix.h"
#include "steer_run.h"
#include <stdio.h>

enum { LOCATIONS = 4096, TURNS = 8, DEEPEST = 4096, ORDINARY = 32 };

static struct place {
	uintptr_t address;
	uint32_t generation; /* The generation of the execution that used the place last. */
	uint8_t size;
	/* The last write in the modification order, among the writes that were done. */
	uint16_t top;
	uint64_t value; /* The value in memory. */
} places[LOCATIONS];
static unsigned n_places;
/* For each thread, its parent + 1, or 0 while no parent is known. */
static uint8_t parents[LAB_GRAPH_THREADS];
static uint32_t ticks[LAB_GRAPH_EVENTS]; /* For each event, the clock of its thread. */
static const char *refusal;

/* Where a thread was when it came to a load. */
struct turn {
	uintptr_t pc, frame;
	unsigned events; /* How many events the thread had done. */
	uint32_t done;   /* How many effects the thread had had. */
	uint64_t settings;
	size_t size;
	unsigned char stack[DEEPEST];
};

static struct lab_course courses[LAB_GRAPH_THREADS];
static struct turn turns[LAB_GRAPH_THREADS][TURNS], firsts[LAB_GRAPH_THREADS];
/*
 * Uses of a thread's stack by another thread. The end of a frame is not an event, so another
 * thread's use of the frame must happen before that end. Otherwise, another order of the same graph
 * has the use after the end.
 */
static struct lent {
	uint32_t clock; /* The user's clock after the last use, or 0 if there was none. */
	uintptr_t lowest;
} lent[LAB_GRAPH_THREADS][LAB_GRAPH_THREADS]; /* The first index is the owner, the second one the user. */
/*
 * What makes a wait ordinary: the site of a call, the address of a mutex, or the number of a
 * thread. LAB_STEER_LINES is also in here if the graphs contain the writers that wait for
 * readers-writer locks.
 */
static uintptr_t ordinary[ORDINARY];
static unsigned n_ordinary;
/* This search has found an await or has ended a run at an outdated read; it begins anew. */
static bool has_awaits, has_outdated, begins_anew;

struct lab_course *lab_course_of(const struct lab_thread *t)
{
	return &courses[t->id];
}

bool lab_steer_is_ordinary(uintptr_t what)
{
	for (unsigned i = 0; i < n_ordinary; i++)
		if (ordinary[i] == what)
			return true;
	return n_ordinary == ORDINARY;
}

void lab_steer_make_ordinary(uintptr_t what)
{
	if (lab_steer_is_ordinary(what))
		return;
	ordinary[n_ordinary++] = what;
	begins_anew = has_awaits || (has_outdated && what < LAB_GRAPH_THREADS);
	if (begins_anew)
		lab_prune();
}

void lab_steer_reset(unsigned faults)
{
	memset(places, 0, sizeof places);
	memset(parents, 0, sizeof parents);
	n_places = 0;
	refusal = NULL;
	has_awaits = has_outdated = begins_anew = false;
	lab_graph_reset(faults);
}

bool lab_steer_begin(void)
{
	memset(courses, 0, sizeof courses);
	LAB_EACH (i, courses)
		courses[i].last = LAB_GRAPH_NONE;
	memset(lent, 0, sizeof lent);
	return lab_graph_next();
}

unsigned lab_steer_learnt(void)
{
	unsigned n = n_places + n_ordinary + has_awaits + has_outdated + lab_graph_is_bounded();
	LAB_EACH (i, parents)
		n += parents[i] > 0;
	return n;
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
		return true; /* These steps are no events. */
	if (lab_graph_planned(t->id))
		return lab_graph_may(t->id);
	return lab_graph_is_replayed() && kind != LAB_EXIT;
}

/*
 * Called when no thread can go on, except perhaps that main can exit. For each thread that waits
 * for a lock, adds the lock to the graph, because the thread could have been the first to take it.
 * A thread that has stopped behind a lock because what it assumes is false waits for no object.
 */
static void steer_end(void)
{
	bool counts = true;
	LAB_EACH_THREAD (t) {
		if (t->state == LAB_BLOCKED && t->object && t->next.kind == LAB_SYNC &&
		    lab_steer_kind(t->next.order) == LAB_GRAPH_LOCK) {
			const struct lab_graph_event e = lab_steer_object_event(t->id, t->object, t->next.order);
			/* A reader behind no writer could have come later. */
			if (t->can == lab_never)
				counts = counts && lab_rwlock_has_writer(t->object);
			else
				(void)lab_graph_add(&e);
		}
		const struct lab_course *c = lab_course_of(t);
		/* A wait that no wake has ended ends at its deadline. This is in another graph. */
		counts = counts && !c->assumes && !t->expires;
		for (unsigned i = c->from; c->waits && i < lab_graph_count(t->id); i++)
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
		if (lab_course_of(t)->enqueues && steer_can(t))
			return t;
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

uint32_t lab_steer_effects(void)
{
	return lab.self->effects + lab.self->changes;
}

/*
 * Returns the place of the note that says in which execution the program last wrote to that byte of
 * the running thread's stack.
 */
static uint32_t *steer_writes(uintptr_t address)
{
	static uint32_t executions[LAB_GRAPH_THREADS][DEEPEST];
	return &executions[lab.self->id][address % DEEPEST];
}

/*
 * Whether the thread is where it was. What the compiler keeps for a statement may differ if the
 * statement begins anew. However, a compare-and-swap that fails writes what the next turn expects,
 * and this counts even if the loop is a part of one statement, such as `x *= 2` of an atomic x.
 */
static bool steer_is_same(const struct turn *turn, uintptr_t frame, bool anew)
{
	const unsigned char *now = (const unsigned char *)frame;
	if (turn->done != lab_steer_effects() || turn->settings != lab_thread_settings())
		return false;
	if (memcmp(now, turn->stack, turn->size) == 0)
		return true;
	for (size_t i = 0; i < turn->size; i++)
		if (now[i] != turn->stack[i] && (!anew || frame + i - lab.expected < sizeof(uint64_t) ||
		                                 !lab_frame_is_temporary(turn->pc, lab.caller, frame + i, i,
		                                                         *steer_writes(frame + i) == lab.generation)))
			return false;
	return true;
}

void lab_steer_make_lines(void)
{
	has_awaits |= !lab_steer_is_ordinary(LAB_STEER_LINES);
	lab_steer_make_ordinary(LAB_STEER_LINES);
}

/*
 * Called when the thread waits for another thread, or for a time. If it holds a lock for reading,
 * readers may have to enqueue behind a writer that waits for this thread.
 */
static void steer_waits(void)
{
	if (lab_course_of(lab.self)->reads > 0)
		lab_steer_make_lines();
}

/*
 * Called when the running thread is about to stop for good. Ends the run if the thread's last event
 * is an outdated read, and the thread has done nothing since: see "Outdated reads" above.
 */
static void steer_end_if_outdated(void)
{
	const struct lab_course *c = lab_course_of(lab.self);
	const unsigned id = lab.self->id;
	if (c->last == LAB_GRAPH_NONE || c->effects != lab_steer_effects() || lab_graph_planned(id) ||
	    lab_steer_is_ordinary(id) || !lab_graph_is_outdated(c->last))
		return;
	has_outdated = lab.outdated = true;
	lab_prune();
}

void lab_steer_stop(bool assumes)
{
	struct lab_course *c = lab_course_of(lab.self);
	c->assumes = assumes;
	c->waits = !assumes;
	lab_thread_park(!assumes);
}

/*
 * Returns how many bytes of stack there are from the frame on, or 0 if there are too many or the
 * frame is not known.
 */
static size_t steer_stack(uintptr_t frame)
{
	size_t room;
	const uintptr_t top = (uintptr_t)lab_stack_of(lab.self->id, &room) + room;
	return frame == 0 || top - frame > DEEPEST ? 0 : top - frame;
}

static void turn_note(struct turn *turn, uintptr_t pc, uintptr_t frame, size_t size)
{
	turn->pc = pc;
	turn->frame = frame;
	turn->events = lab_graph_count(lab.self->id);
	turn->done = lab_steer_effects();
	turn->settings = lab_thread_settings();
	turn->size = size;
	memcpy(turn->stack, (const void *)frame, size);
}

/*
 * Stops the thread if its loop has come back to where it was. If the loop has only one event, a
 * statement begins anew.
 */
static void steer_turn(uintptr_t pc)
{
	struct lab_course *c = lab_course_of(lab.self);
	const uintptr_t frame = lab.frame;
	const size_t size = steer_stack(frame);
	lab.frame = 0;
	if (size == 0)
		return;
	for (unsigned i = 0; i < TURNS && i < c->n_turns; i++) {
		const struct turn *turn = &turns[lab.self->id][i];
		if (turn->pc == pc && turn->frame == frame &&
		    steer_is_same(turn, frame, lab_graph_count(lab.self->id) == turn->events + 1)) {
			c->from = turn->events;
			steer_waits();
			steer_end_if_outdated();
			lab_steer_stop(false);
		}
	}
	turn_note(&turns[lab.self->id][c->n_turns++ % TURNS], pc, frame, size);
}

void lab_steer_block(void)
{
	steer_end_if_outdated();
	lab_steer_stop(true);
}

bool lab_steer_again(void)
{
	return begins_anew;
}

void lab_steer_announce(const struct lab_op *op)
{
	static char lacks[64];
	const unsigned kind = lab_steer_kind(op->order);
	if (lab.processes)
		lab_steer_refuse("processes");
	struct lab_course *c = lab_course_of(lab.self);
	if (op->kind != LAB_LOAD && c->cond)
		lab_steer_make_ordinary(c->pc);
	if (op->kind != LAB_LOAD && !c->begun)
		c->mutex = NULL; /* The section begins with a step that is not an access. */
	switch (op->kind) {
	case LAB_LOAD:
		lab_steer_access(op->pc, 0, 0);
		steer_turn(op->pc);
		break;
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
		if (kind == LAB_GRAPH_LOCK || op->order == LAB_SYNC_WAIT || op->order == LAB_SYNC_ARRIVE)
			steer_waits();
		if (kind == LAB_GRAPH_SWAP || kind == LAB_GRAPH_READ || op->order == LAB_SYNC_ENQUEUE)
			steer_turn(op->pc);
		if (kind || op->order == LAB_SYNC_DESTROY)
			break;
		snprintf(lacks, sizeof lacks, "the step \"%s\"", lab_sync_verb(op->order));
		lab_steer_refuse(lacks);
	default:
		lab_steer_refuse("a futex, or another step that the graphs do not have");
	}
}

/* --- waits that may be awaits --- */

void lab_steer_wait(struct lab_object *cond, struct lab_object *mutex, uintptr_t pc)
{
	const struct lab_thread *self = lab.self;
	struct lab_course *c = lab_course_of(self);
	c->awaits = !lab_steer_is_ordinary(mutex->address) && c->mutex == mutex && c->done == lab_steer_effects() &&
	            c->begun && !lab_steer_is_ordinary(pc) && !(c->wrote && lab_steer_is_ordinary(self->id));
	has_awaits |= c->awaits;
	if (!c->awaits && c->early && c->done == lab_steer_effects())
		lab_steer_refuse("a spurious wakeup and a round of a loop without effect that is no await");
	if (c->awaits) {
		c->cond = cond;
		c->with = mutex;
		c->pc = pc;
		return;
	}
	c->early = lab_may_fault(LAB_FAULT_SPURIOUS) && lab_steer_choose(2, LAB_WAIT_EARLY) == 1;
	(void)lab_cond_begin(cond, mutex, INT64_MAX, pc);
}

void lab_steer_access(uintptr_t pc, uintptr_t address, size_t written)
{
	struct lab_course *c = lab_course_of(lab.self);
	struct turn *first = &firsts[lab.self->id];
	const uintptr_t frame = lab.frame, caller = lab.caller;
	const size_t size = steer_stack(frame);
	c->wrote |= written > 0;
	if (address &&
	    (!lab.program || address - (uintptr_t)lab.self->id * LAB_STACK_SIZE - LAB_STACKS >= LAB_STACK_SIZE))
		c->last = LAB_GRAPH_NONE;
	for (size_t i = 0; lab_is_stack(address) && i < written; i++)
		*steer_writes(address + i) = lab.generation;
	if (!c->mutex || (!c->cond && c->begun))
		return;
	if (c->cond) {
		const struct lab_op op = lab.self->next;
		struct lab_object *cond = c->cond;
		if (first->pc != pc || first->frame != frame || !steer_is_same(first, frame, true))
			lab_steer_make_ordinary(c->pc);
		c->cond = NULL;
		(void)lab_cond_begin(cond, c->with, INT64_MAX, c->pc);
		lab.self->next = op;
		lab.frame = frame;
		lab.caller = caller;
	}
	c->begun = size > 0;
	turn_note(first, pc, frame, size);
	if (!c->begun)
		c->mutex = NULL;
}

void lab_steer_fail(void)
{
	if (lab_course_of(lab.self)->cond)
		lab_steer_make_ordinary(lab_course_of(lab.self)->pc);
}

/* --- events --- */

uint16_t lab_steer_place(uintptr_t address, unsigned size, uint64_t value)
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

unsigned lab_steer_event(struct lab_graph_event *e)
{
	struct lab_thread *self = lab.self;
	const struct lab_graph_event *planned = lab_graph_planned(self->id);
	e->thread = (uint8_t)self->id;
	if (planned && steer_differs(planned, e))
		lab_steer_refuse("a step that differs from the same step of an earlier run");
	if (!planned && lab_graph_is_full())
		lab_steer_refuse("a graph that is too large");
	const unsigned i = planned ? lab_graph_replay(self->id) : lab_graph_add(e);
	if (i == LAB_GRAPH_NONE)
		lab_steer_stop(true);
	ticks[i] = lab_clock_of(self);
	const struct lab_graph_clock *past = lab_graph_past(i);
	for (unsigned t = 0; t < lab.n_threads; t++) {
		if (t == self->id || past->at[t] == 0)
			continue;
		const uint32_t known = ticks[lab_graph_number(t, past->at[t] - 1u)];
		if (self->view.at[t].hb < known)
			self->view.at[t].hb = known;
	}
	if (e->kind != LAB_GRAPH_FENCE) {
		struct lab_course *c = lab_course_of(self);
		c->last = i;
		c->effects = lab_steer_effects();
	}
	return i;
}

static uint16_t steer_life(const struct lab_location *location, const struct lab_op *op)
{
	/*
	 * All threads have their thread-locals at the same addresses. Here, each thread has its own
	 * places for them.
	 */
	const uintptr_t owner = lab_is_tls(op->address) ? lab.self->id + 1 : 0;
	return lab_steer_place(op->address ^ (uintptr_t)location->lives << 48 ^ owner << 43, op->size,
	                       (uint64_t)lab_peek(op->address, op->size));
}

uint16_t lab_steer_place_of(struct lab_location *location, const struct lab_op *op)
{
	for (const struct lab_location *l = lab_cell(location->address)->locations; l; l = l->next)
		if (l != location && lab_overlaps(l, location->address, location->size))
			lab_steer_refuse("atomic accesses of different sizes");
	const uint16_t at = steer_life(location, op);
	if (places[at].value == (uint64_t)lab_peek(op->address, op->size))
		return at;
	/* On a stack, it may be another object of a later frame. */
	if (!lab_is_stack(op->address))
		lab_met(LAB_MET_UNSEEN);
	lab_location_plain_write(lab_cell(op->address), op->address, op->size);
	return steer_life(location, op);
}

/* The event wrote. If it is the last one in the modification order, memory gets its value. */
static void steer_wrote(struct lab_location *location, const struct lab_op *op, const struct lab_graph_event *e,
                        unsigned i)
{
	struct place *p = &places[e->location];
	lab.self->effects += !e->reads || e->value != lab_graph_read(i);
	location->by[lab.self->id].wrote = lab_clock_of(lab.self);
	location->by[lab.self->id].wrote_pc = op->pc;
	if (p->top != LAB_GRAPH_NONE && lab_graph_event(p->top)->mo > e->mo)
		return;
	p->top = (uint16_t)i;
	lab_poke(op->address, op->size, e->value);
	p->value = (uint64_t)lab_peek(op->address, op->size);
}

bool lab_steer_atomic(struct lab_location *location, const struct lab_op *op, struct lab_graph_event e,
                      lab_value *value)
{
	e.order = op->order;
	e.size = op->size;
	e.location = lab_steer_place_of(location, op);
	const unsigned i = lab_steer_event(&e);
	const struct lab_graph_event *done = lab_graph_event(i);
	if (done->writes && e.kind == LAB_GRAPH_SWAP)
		lab_race_atomic(lab_cell(op->address), op->address, op->size, true, op->pc);
	if (done->writes)
		steer_wrote(location, op, done, i);
	if (!done->reads)
		return true;
	location->by[lab.self->id].read = lab_clock_of(lab.self);
	location->by[lab.self->id].read_pc = op->pc;
	*value = lab_graph_read(i);
	lab_hash((uint64_t)*value);
	return done->writes;
}

void lab_steer_fence(int order)
{
	if (order == __ATOMIC_RELAXED)
		return;
	struct lab_graph_event e = {.kind = LAB_GRAPH_FENCE, .order = (uint8_t)order, .location = LAB_GRAPH_NONE};
	(void)lab_steer_event(&e);
}

unsigned lab_steer_choose(unsigned n, uint8_t how)
{
	lab_point((struct lab_op){.kind = LAB_INPUT});
	struct lab_graph_event e = {.kind = LAB_GRAPH_CHOICE, .operand = n, .location = LAB_GRAPH_NONE, .pick = how};
	return (unsigned)lab_graph_event(lab_steer_event(&e))->value;
}

/* --- stacks --- */

void lab_steer_lent(unsigned owner, uintptr_t address)
{
	struct lent *l = &lent[owner][lab.self->id];
	lab_steer_make_ordinary(owner); /* The user may write there before the owner waits. */
	if (l->clock == 0 || address < l->lowest)
		l->lowest = address;
	l->clock = lab_clock_after(lab.self);
}

void lab_steer_return(uintptr_t end)
{
	LAB_EACH_THREAD (t) {
		struct lent *l = &lent[lab.self->id][t->id];
		if (l->clock == 0 || l->lowest >= end)
			continue;
		if (!lab_is_known(t->id, l->clock))
			lab_steer_refuse("a use of a stack that is not ordered before the end of its frame");
		l->lowest = end;
	}
}

/* --- threads --- */

void lab_steer_start(const struct lab_thread *child)
{
	if (child->id >= LAB_GRAPH_THREADS)
		lab_steer_refuse("more than 16 threads");
	/*
	 * The events of a thread are identified by the thread's number, so the number must not
	 * depend on the order of starts.
	 */
	if (parents[child->id] != 0 && parents[child->id] != lab.self->id + 1)
		lab_steer_refuse("threads whose numbers depend on the order in which they are started");
	parents[child->id] = (uint8_t)(lab.self->id + 1);
	lab_graph_start(lab.self->id, child->id);
}

void lab_steer_join(const struct lab_thread *ended)
{
	steer_waits();
	lab_graph_join(lab.self->id, ended->id);
}

void lab_steer_exit(void)
{
	lab_point((struct lab_op){.kind = LAB_EXIT});
}
