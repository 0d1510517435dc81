/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The steps on objects in a run along a graph (steer.c): locks, semaphores, barriers, conditions
 * and futexes.
 *
 * The state of a mutex, a semaphore or a condition is a hidden word. Each step on the object is a
 * read-modify-write of the word, or a read if a try fails. So the order of the steps on one object
 * is the modification order of its word. A thread that cannot take a lock or a permit waits, as
 * graph.c says. The word of a condition contains its waiters. A signal takes out one of them, by
 * choice. Which waits for conditions are in no graph, steer.c says at "Waits for conditions".
 *
 * A wait for a lock or a permit with a deadline is a try. The search may let any time pass before
 * each step, and no step of a graph reads a clock. So the deadline may come whenever the thread
 * cannot go on, and a wait that times out shows what a failed try shows: it has read that the lock
 * is held, or that there is no permit, and it orders nothing. A thread that waits successfully
 * needs no graph of its own: if it gets the lock in the end, this is an execution in which it comes
 * later.
 *
 * Readers-writer locks. The hidden word contains the number of readers, or WRITER. A lock for
 * reading waits until it reads another value than WRITER, and adds 1. A lock for writing waits
 * until it reads 0, and adds WRITER. So the order of all steps on one lock is the modification
 * order of its word, as for a mutex. Happens-before differs from that of an atomic word: a lock for
 * writing knows what all unlocks before it knew, but a lock for reading knows only what the last
 * unlock by a writer knew (message_to() in graph.c).
 *
 * A reader that comes while a writer waits may enqueue behind the writer (posix_rwlock.c). If the
 * writer gets the lock in the end, the reader locks after it, and that execution is one in which
 * the reader comes later. So the graphs need such a reader in two cases only: it times out at its
 * deadline although no writer holds the lock, or it waits forever because a thread that holds the
 * lock for reading waits for this reader. As soon as a run has a lock for reading with a deadline,
 * or a thread that waits while it holds a lock for reading, the search begins anew with lines
 * (LAB_STEER_LINES). README.md has the axiom of lines.
 *
 * Futexes. README.md has the axiom of a wait, and says why a wait that ends by time is no update of
 * the queue. The comparison, the choice of an early end, and the update of the queue follow each
 * other at once (`enqueues`). The comparison may have read an old value, so that the update is not
 * consistent at the end of the queue. Then no later step of another thread makes it consistent. The
 * update revisits the wakes that came too early, and the thread stops in this run, which does not
 * count. A wait that ends early is not an effect of a turn of a loop.
 *
 * Barriers. If no more threads use a barrier than wait there for each other, each round contains
 * all of them, in whatever order they come. So a round is one step: the arrivals of two threads are
 * not ordered with each other, and each thread that leaves knows what all threads did before they
 * came. These steps of a thread are events without a location, so that psc knows them. POSIX does
 * not say which thread is the serial one: this is a choice of the lowest thread, when all have
 * come. A barrier that more threads use is left to the other searches, because there the order
 * decides which threads meet.
 */
#include "object.h"
#include "posix.h"
#include "steer_run.h"

static lab_value update_add(lab_value value, lab_value operand)
{
	return value + operand;
}

enum { WRITER = 1 << 16 }; /* A writer adds this to the word of a readers-writer lock. */

/*
 * The state of an object is a hidden word. For a mutex it is 1 while the mutex is held; for a
 * semaphore, its permits; for a condition, its waiters; for a readers-writer lock, its readers, or
 * WRITER.
 */
static const struct {
	uint8_t kind, order;
	bool differs, shares; /* The fields of the same name of the event. */
	/*
	 * What the step adds to the word if the word is `expected`, or, with `differs`, if it is
	 * not.
	 */
	uint64_t add;
	uint64_t expected;
} steps[LAB_SYNCS] = {
    [LAB_SYNC_LOCK] = {LAB_GRAPH_LOCK, __ATOMIC_ACQUIRE, .add = 1},
    [LAB_SYNC_RELOCK] = {LAB_GRAPH_LOCK, __ATOMIC_ACQUIRE, .add = 1},
    [LAB_SYNC_TRYLOCK] = {LAB_GRAPH_SWAP, __ATOMIC_ACQUIRE, .add = 1},
    [LAB_SYNC_UNLOCK] = {LAB_GRAPH_WRITE, __ATOMIC_RELEASE},
    [LAB_SYNC_RDLOCK] = {LAB_GRAPH_LOCK, __ATOMIC_ACQUIRE, true, true, 1, WRITER},
    [LAB_SYNC_TRYRDLOCK] = {LAB_GRAPH_SWAP, __ATOMIC_ACQUIRE, true, true, 1, WRITER},
    [LAB_SYNC_RDUNLOCK] = {LAB_GRAPH_UPDATE, __ATOMIC_RELEASE, false, true, UINT64_MAX},
    [LAB_SYNC_ENQUEUE] = {LAB_GRAPH_ENQUEUE},
    [LAB_SYNC_WRLOCK] = {LAB_GRAPH_LOCK, __ATOMIC_ACQUIRE, .add = WRITER},
    [LAB_SYNC_TRYWRLOCK] = {LAB_GRAPH_SWAP, __ATOMIC_ACQUIRE, .add = WRITER},
    [LAB_SYNC_DOWN] = {LAB_GRAPH_LOCK, __ATOMIC_ACQUIRE, true, .add = UINT64_MAX},
    [LAB_SYNC_TRYDOWN] = {LAB_GRAPH_SWAP, __ATOMIC_ACQUIRE, true, .add = UINT64_MAX},
    [LAB_SYNC_UP] = {LAB_GRAPH_UPDATE, __ATOMIC_RELEASE, .add = 1},
    [LAB_SYNC_VALUE] = {LAB_GRAPH_READ},
    [LAB_SYNC_WAIT] = {LAB_GRAPH_ENQUEUE},
    [LAB_SYNC_SIGNAL] = {LAB_GRAPH_SIGNAL},
    [LAB_SYNC_BROADCAST] = {LAB_GRAPH_SIGNAL},
    [LAB_SYNC_ARRIVE] = {.kind = LAB_GRAPH_FENCE},
    [LAB_SYNC_LEAVE] = {.kind = LAB_GRAPH_CHOICE},
};

unsigned lab_steer_kind(unsigned step)
{
	return steps[step].kind;
}

struct lab_graph_event lab_steer_object_event(unsigned thread, const struct lab_object *o, unsigned step)
{
	return (struct lab_graph_event){
	    .kind = steps[step].kind,
	    .thread = (uint8_t)thread,
	    .order = steps[step].order,
	    .size = 8,
	    .differs = steps[step].differs,
	    .shares = steps[step].shares,
	    .hidden = true,
	    .expected = steps[step].expected,
	    .operand = steps[step].add,
	    .update = update_add,
	    .location = lab_steer_place(o->address ^ (step == LAB_SYNC_ENQUEUE ? 3 : 1) ^ (uintptr_t)o->lives << 48, 8,
	                                o->kind == LAB_SEM ? o->count : 0)};
}

/* --- locks and semaphores --- */

static unsigned steer_step(const struct lab_object *o, unsigned step)
{
	if (o->robust)
		lab_steer_refuse("a robust mutex");
	struct lab_graph_event e = lab_steer_object_event(lab.self->id, o, step);
	const unsigned event = lab_steer_event(&e);
	if (step == LAB_SYNC_LOCK || step == LAB_SYNC_RELOCK) {
		struct lab_course *c = lab_course_of(lab.self);
		c->mutex = o;
		c->early = c->early && step == LAB_SYNC_RELOCK;
		c->done = lab_steer_effects();
		c->begun = false;
		c->wrote = false;
	}
	if (steps[step].shares && lab_graph_event(event)->writes)
		lab_course_of(lab.self)->reads += (unsigned)steps[step].add;
	return event;
}

void lab_steer_step(const struct lab_object *o, unsigned step)
{
	if (lab.steered)
		(void)steer_step(o, step);
}

unsigned lab_steer_try(const struct lab_object *o, unsigned step)
{
	lab_steer_make_ordinary(o->address);
	lab.self->effects--; /* A try that fails only reads. */
	const unsigned event = steer_step(o, step);
	const bool writes = lab_graph_event(event)->writes;
	lab.self->effects += writes;
	return step == LAB_SYNC_VALUE ? (unsigned)lab_graph_read(event) : writes;
}

uint64_t lab_steer_line(const struct lab_object *o, uint64_t add, uintptr_t pc)
{
	if (!lab.steered || !lab_steer_is_ordinary(LAB_STEER_LINES))
		return 0;
	lab_point(lab_sync_op(LAB_SYNC_ENQUEUE, o->address, pc));
	struct lab_graph_event e = lab_steer_object_event(lab.self->id, o, LAB_SYNC_ENQUEUE);
	e.pick = LAB_WAIT_HALF;
	e.operand = add;
	return lab_graph_read(lab_steer_event(&e));
}

bool lab_steer_is_behind(const struct lab_object *o, bool timed, uintptr_t pc)
{
	const unsigned effects = lab.self->effects;
	if (timed)
		lab_steer_make_lines();
	if (!lab_steer_is_ordinary(LAB_STEER_LINES) || lab_steer_choose(2, LAB_WAIT_EARLY) == 0)
		return false;
	if (lab_steer_line(o, 0, pc) == 0)
		lab_steer_stop(true);
	lab.self->effects = effects;
	return true;
}

/* --- barriers --- */

void lab_steer_arrive(struct lab_object *o)
{
	struct lab_graph_event e = {.kind = LAB_GRAPH_FENCE, .location = LAB_GRAPH_NONE};
	unsigned users = 0;
	(void)lab_steer_event(&e);
	lab_object_by(o)->changed = 1;
	LAB_EACH_THREAD (t)
		users += o->by[t->id].changed;
	if (users > o->limit)
		lab_steer_refuse("a barrier that more threads use than wait there for each other");
}

bool lab_steer_leave(const struct lab_object *o)
{
	struct lab_thread *self = lab.self;
	struct lab_graph_event e = {.kind = LAB_GRAPH_CHOICE, .operand = 1, .location = LAB_GRAPH_NONE};
	if (o->count < o->limit) {
		(void)lab_steer_event(&e);
		return self->result > 0;
	}
	e.operand = o->limit;
	LAB_EACH_THREAD (t) {
		if (t != self && t->object != o)
			continue;
		e.expected |= UINT64_C(1) << t->id;
		lab_graph_join(self->id, t->id);
	}
	/* How many of the threads that leave have lower numbers than the serial thread. */
	unsigned before = (unsigned)lab_graph_event(lab_steer_event(&e))->value;
	LAB_EACH_THREAD (t) {
		if (!(e.expected >> t->id & 1))
			continue;
		t->result = before-- == 0;
		lab_graph_join(t->id, self->id);
	}
	return self->result > 0;
}

/* --- conditions --- */

static void steer_unlock(const struct lab_object *mutex, uint8_t how)
{
	struct lab_graph_event e = lab_steer_object_event(lab.self->id, mutex, LAB_SYNC_UNLOCK);
	e.pick = how;
	(void)lab_steer_event(&e);
}

static lab_value update_enqueue(lab_value queue, lab_value waiter)
{
	return queue | waiter << 4 * lab_graph_waiters((uint64_t)queue);
}

/* Returns the waiters of a queue whose bits are set in `pick`. */
static lab_value queue_part(lab_value queue, lab_value pick)
{
	lab_value part = 0;
	for (unsigned i = 0; queue >> 4 * i; i++)
		if (pick >> i & 1)
			part = update_enqueue(part, queue >> 4 * i & 15);
	return part;
}

static lab_value update_dequeue(lab_value queue, lab_value pick)
{
	return queue_part(queue, ~pick);
}

void lab_steer_enqueue(const struct lab_object *cond, const struct lab_object *mutex, uintptr_t pc)
{
	struct lab_thread *self = lab.self;
	struct lab_course *c = lab_course_of(self);
	c->woken = LAB_WAIT_SLEEPS;
	if (!c->awaits && c->early) {
		c->woken = LAB_WAIT_WOKEN;
		steer_unlock(mutex, LAB_WAIT_EARLY);
		return;
	}
	struct lab_graph_event e = lab_steer_object_event(self->id, cond, LAB_SYNC_WAIT);
	if (self->id == LAB_GRAPH_THREADS - 1)
		lab_steer_refuse("a wait for a condition by so many threads");
	e.update = update_enqueue;
	e.operand = self->id + 1;
	(void)lab_steer_event(&e);
	lab_point(lab_sync_op(LAB_SYNC_UNLOCK, mutex->address, pc));
	steer_unlock(mutex, LAB_WAIT_HALF);
}

bool lab_steer_is_woken(void)
{
	const struct lab_course *c = lab_course_of(lab.self);
	if (c->woken == LAB_WAIT_REPEATED)
		lab_thread_park(false);
	return c->woken == LAB_WAIT_WOKEN;
}

/*
 * The running thread takes up to `n` waiters out of a queue. Returns their numbers + 1, four bits
 * for each waiter. `*event` gets the number of the event.
 */
static uint64_t steer_dequeue(struct lab_graph_event *e, unsigned n, unsigned *event)
{
	e->operand = e->pick = (uint16_t)((1u << (n < LAB_GRAPH_THREADS ? n : LAB_GRAPH_THREADS)) - 1);
	e->update = update_dequeue;
	*event = lab_steer_event(e);
	return (uint64_t)queue_part(lab_graph_read(*event), lab_graph_event(*event)->pick);
}

unsigned lab_steer_wake(struct lab_object *cond, bool all)
{
	struct lab_graph_event e = lab_steer_object_event(lab.self->id, cond, LAB_SYNC_SIGNAL);
	unsigned event;
	uint64_t woken = steer_dequeue(&e, all ? LAB_GRAPH_THREADS : 1, &event);
	const unsigned n = lab_graph_waiters(lab_graph_read(event));
	for (; woken; woken >>= 4) {
		struct lab_thread *t = &lab.threads[(woken & 15) - 1];
		const bool sleeps = t->object == cond && t->state == LAB_BLOCKED;
		const bool repeats = lab_course_of(t)->awaits && (all || n == 1);
		lab_course_of(t)->woken = repeats ? LAB_WAIT_REPEATED : LAB_WAIT_WOKEN;
		if (repeats)
			lab_course_of(t)->assumes = true;
		else
			lab_graph_cause(t->id, event);
		if (sleeps && repeats)
			t->object = NULL;
		else if (sleeps)
			lab_cond_woken(cond, t);
	}
	return n;
}

/* --- futexes --- */

/* Makes an event on the queue of the waiters for the futex. */
static struct lab_graph_event futex_event(uintptr_t word, uint8_t kind)
{
	if (lab_is_tls(word) || lab.self->id == LAB_GRAPH_THREADS - 1)
		lab_steer_refuse("a futex that is thread-local, or is used by so many threads");
	return (struct lab_graph_event){
	    .kind = kind, .size = 8, .hidden = true, .location = lab_steer_place(word ^ 2, 8, 0)};
}

int lab_steer_futex_wait(uintptr_t word, uint32_t expected, int64_t deadline, uintptr_t pc)
{
	struct lab_thread *self = lab.self;
	struct lab_course *c = lab_course_of(self);
	const struct lab_op op = {LAB_LOAD, 4, __ATOMIC_RELAXED, word, pc};
	const bool expired = deadline <= lab.now, timed = !expired && deadline != INT64_MAX;
	if (timed && !(lab_config.fault_mask & LAB_FAULT_TIMEOUT))
		lab_steer_refuse("a wait with a deadline, where timeouts are switched off");
	lab_point(op);
	lab_heap_check(word, 4, false, pc);
	struct lab_cell *cell = lab_cell(word);
	/* The graphs do not order a plain write, or the written value, with the comparison. */
	for (uint32_t i = 0; i < cell->n_records; i++) {
		const struct lab_record *r = lab_record_at(cell, i);
		if (r->write && r->mask & 15u << (word & 7) && !lab_is_known(r->thread, r->clock))
			lab_steer_refuse("a futex that is written plainly");
	}
	struct lab_location *location = lab_location_at(cell, word, 4);
	struct lab_graph_event e = {.kind = LAB_GRAPH_COMPARE,
	                            .order = op.order,
	                            .size = op.size,
	                            .hidden = true,
	                            .location = lab_steer_place_of(location, &op)};
	location->by[self->id].slept = lab_clock_of(self);
	const unsigned compare = lab_steer_event(&e), effects = self->effects;
	if (lab_graph_read(compare) != expected)
		return -EAGAIN;
	(void)lab_fault(LAB_FAULT_EAGAIN); /* The graphs do not contain this fault. */
	if (expired)
		return -ETIMEDOUT;
	/*
	 * Either the wait ends without a wake, by a signal, or at its deadline, or the thread
	 * sleeps. The usual choice is the deadline, because a loop of such waits may wait forever.
	 */
	const unsigned wakes = lab_may_fault(LAB_FAULT_SPURIOUS), signals = lab_may_fault(LAB_FAULT_EINTR);
	const unsigned ends = wakes + signals + timed, sleeps = timed ? ends : 0;
	c->enqueues = true;
	const unsigned pick = lab_steer_choose(1 + ends, LAB_WAIT_EARLY);
	c->enqueues = pick == sleeps;
	if (pick != sleeps) {
		self->effects = effects; /* A waiting loop is back where it was. */
		return pick == 0 ? -ETIMEDOUT : pick == wakes ? 0 : -EINTR;
	}
	lab_point(lab_sync_op(LAB_SYNC_WAIT, word, pc));
	e = futex_event(word, LAB_GRAPH_ENQUEUE);
	e.pick = LAB_WAIT_HALF;
	e.update = update_enqueue;
	e.operand = self->id + 1;
	(void)lab_steer_event(&e);
	c->enqueues = false;
	self->expected = expected;
	self->futex = word;
	self->expires = timed;
	lab_block();
	self->expires = false;
	e.kind = LAB_GRAPH_WOKEN;
	e.rf = (uint16_t)self->result; /* The number of the wake. */
	(void)lab_steer_event(&e);
	return 0;
}

int lab_steer_futex_wake(uintptr_t word, int n, uintptr_t pc)
{
	lab_point(lab_sync_op(LAB_SYNC_SIGNAL, word, pc));
	struct lab_graph_event e = futex_event(word, LAB_GRAPH_SIGNAL);
	unsigned event;
	uint64_t woken = steer_dequeue(&e, (unsigned)n, &event);
	const unsigned count = lab_graph_waiters(woken);
	for (; woken; woken >>= 4) {
		struct lab_thread *t = &lab.threads[(woken & 15) - 1];
		t->result = (int)event;
		t->futex = 0;
		lab_ready(t);
	}
	return (int)count;
}
