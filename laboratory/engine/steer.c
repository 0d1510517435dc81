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
 * Objects. The state of a mutex, a semaphore or a condition is a hidden word. Each step on the
 * object is a read-modify-write of the word, or a read if a try fails. So the order of the steps on
 * one object is the modification order of its word. A thread that cannot take a lock or a permit
 * waits, as graph.c says. The word of a condition contains its waiters. A signal takes out one of
 * them, by choice.
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
 * (LINES). README.md has the axiom of lines.
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
#include "steer.h"
#include "frame.h"
#include "layout.h"
#include "object.h"
#include "posix.h"
#include <stdio.h>

enum { LOCATIONS = 4096, TURNS = 8, DEEPEST = 4096, ORDINARY = 32, LINES = LAB_GRAPH_THREADS };

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

/*
 * The `pick` of an unlock by a wait. With HALF, the thread has become a waiter before the unlock.
 * With EARLY it does not become a waiter, because the wait ends at once. The choice of whether a
 * wait ends at once has the `pick` EARLY, too.
 */
enum { HALF = 1, EARLY };

/* Where a thread was when it came to a load. */
struct turn {
	uintptr_t pc, frame;
	unsigned events; /* How many events the thread had done. */
	uint32_t done;   /* How many effects the thread had had. */
	uint64_t settings;
	size_t size;
	unsigned char stack[DEEPEST];
};

/*
 * What is known of a thread in this run. A section begins with the thread's last lock of a mutex.
 * When a run begins, all fields but `last` are 0.
 */
static struct course {
	bool waits, assumes; /* Why the thread has stopped: its loop waits, or it assumes what is false. */
	unsigned from;       /* The number of the event that began the last turn of its loop. */
	const struct lab_object *mutex;
	uint32_t done; /* How many effects the thread had had before the section. */
	bool begun;    /* `firsts` has the first access of the section. */
	/*
	 * The thread has asked to wait on `cond`, and will wait when it is in the same state again.
	 */
	struct lab_object *cond, *with;
	uintptr_t pc;
	bool wrote; /* The section has written plain memory, perhaps on its own stack. */
	/*
	 * The number of the thread's last event that is not a fence. It is LAB_GRAPH_NONE if there
	 * is no such event, or if the thread has since accessed plain memory other than its own
	 * stack.
	 */
	unsigned last;
	uint32_t effects; /* How many effects the thread had had when it did that event. */
	bool enqueues;    /* The thread is between the two events of one step, a wait for a futex. */
	unsigned reads;   /* How many readers-writer locks the thread holds for reading. */
	/* `awaits`: the wait is an await. `early`: an ordinary wait ends spuriously. */
	bool awaits, early;
	enum { ASLEEP, WOKEN, REPEATED } woken;
	unsigned n_turns; /* How many turns were noted; a ring keeps the last ones. */
} courses[LAB_GRAPH_THREADS];
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
 * thread. LINES is also in here if the graphs contain the writers that wait for readers-writer
 * locks.
 */
static uintptr_t ordinary[ORDINARY];
static unsigned n_ordinary;
/* This search has found an await or has ended a run at an outdated read; it begins anew. */
static bool has_awaits, has_outdated, begins_anew;

static struct course *course_of(const struct lab_thread *t)
{
	return &courses[t->id];
}

static bool is_ordinary(uintptr_t what)
{
	for (unsigned i = 0; i < n_ordinary; i++)
		if (ordinary[i] == what)
			return true;
	return n_ordinary == ORDINARY;
}

/*
 * From now on, waits by this call, or with this mutex, or of the thread with this number, are
 * ordinary. If this may change what the search has done, the search begins anew.
 */
static void steer_is_ordinary(uintptr_t what)
{
	if (is_ordinary(what))
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

static uint16_t steer_place(uintptr_t address, unsigned size, uint64_t value);

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

static struct lab_graph_event object_event(unsigned thread, const struct lab_object *o, unsigned step)
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
	    .location = steer_place(o->address ^ (step == LAB_SYNC_ENQUEUE ? 3 : 1) ^ (uintptr_t)o->lives << 48, 8,
	                            o->kind == LAB_SEM ? o->count : 0)};
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
		    steps[t->next.order].kind == LAB_GRAPH_LOCK) {
			const struct lab_graph_event e = object_event(t->id, t->object, t->next.order);
			/* A reader behind no writer could have come later. */
			if (t->can == lab_never)
				counts = counts && lab_rwlock_has_writer(t->object);
			else
				(void)lab_graph_add(&e);
		}
		const struct course *c = course_of(t);
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
		if (course_of(t)->enqueues && steer_can(t))
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

/* Returns how much of what the thread has done so far outlives a turn of a loop. */
static uint32_t steer_effects(void)
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
	if (turn->done != steer_effects() || turn->settings != lab_thread_settings())
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

/* From now on, the graphs contain the writers that wait for a readers-writer lock. */
static void steer_has_lines(void)
{
	has_awaits |= !is_ordinary(LINES);
	steer_is_ordinary(LINES);
}

/*
 * Called when the thread waits for another thread, or for a time. If it holds a lock for reading,
 * readers may have to enqueue behind a writer that waits for this thread.
 */
static void steer_waits(void)
{
	if (course_of(lab.self)->reads > 0)
		steer_has_lines();
}

/*
 * Called when the running thread is about to stop for good. Ends the run if the thread's last event
 * is an outdated read, and the thread has done nothing since: see "Outdated reads" above.
 */
static void steer_end_if_outdated(void)
{
	const struct course *c = course_of(lab.self);
	const unsigned id = lab.self->id;
	if (c->last == LAB_GRAPH_NONE || c->effects != steer_effects() || lab_graph_planned(id) || is_ordinary(id) ||
	    !lab_graph_is_outdated(c->last))
		return;
	has_outdated = lab.outdated = true;
	lab_prune();
}

static void steer_stop(bool assumes)
{
	struct course *c = course_of(lab.self);
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
	turn->done = steer_effects();
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
	struct course *c = course_of(lab.self);
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
			steer_stop(false);
		}
	}
	turn_note(&turns[lab.self->id][c->n_turns++ % TURNS], pc, frame, size);
}

void lab_steer_block(void)
{
	steer_end_if_outdated();
	steer_stop(true);
}

bool lab_steer_again(void)
{
	return begins_anew;
}

void lab_steer_announce(const struct lab_op *op)
{
	static char lacks[64];
	const unsigned kind = steps[op->order].kind;
	if (lab.processes)
		lab_steer_refuse("processes");
	struct course *c = course_of(lab.self);
	if (op->kind != LAB_LOAD && c->cond)
		steer_is_ordinary(c->pc);
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

/* The running thread does the event. Returns the number of the event. */
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
	if (i == LAB_GRAPH_NONE)
		steer_stop(true);
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
		struct course *c = course_of(self);
		c->last = i;
		c->effects = steer_effects();
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
	return steer_place(op->address ^ (uintptr_t)location->lives << 48 ^ owner << 43, op->size,
	                   (uint64_t)lab_peek(op->address, op->size));
}

/*
 * Returns the place of the location. If memory differs from the location's value, code without
 * instrumentation wrote it.
 */
static uint16_t steer_on(struct lab_location *location, const struct lab_op *op)
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
	e.location = steer_on(location, op);
	const unsigned i = steer_event(&e);
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
	(void)steer_event(&e);
}

unsigned lab_steer_choose(unsigned n, uint8_t how)
{
	lab_point((struct lab_op){.kind = LAB_INPUT});
	struct lab_graph_event e = {.kind = LAB_GRAPH_CHOICE, .operand = n, .location = LAB_GRAPH_NONE, .pick = how};
	return (unsigned)lab_graph_event(steer_event(&e))->value;
}

/* --- stacks --- */

void lab_steer_lent(unsigned owner, uintptr_t address)
{
	struct lent *l = &lent[owner][lab.self->id];
	steer_is_ordinary(owner); /* The user may write there before the owner waits. */
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

/* --- threads and locks --- */

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

static unsigned steer_step(const struct lab_object *o, unsigned step)
{
	if (o->robust)
		lab_steer_refuse("a robust mutex");
	struct lab_graph_event e = object_event(lab.self->id, o, step);
	const unsigned event = steer_event(&e);
	if (step == LAB_SYNC_LOCK || step == LAB_SYNC_RELOCK) {
		struct course *c = course_of(lab.self);
		c->mutex = o;
		c->early = c->early && step == LAB_SYNC_RELOCK;
		c->done = steer_effects();
		c->begun = false;
		c->wrote = false;
	}
	if (steps[step].shares && lab_graph_event(event)->writes)
		course_of(lab.self)->reads += (unsigned)steps[step].add;
	return event;
}

void lab_steer_step(const struct lab_object *o, unsigned step)
{
	if (lab.steered)
		(void)steer_step(o, step);
}

unsigned lab_steer_try(const struct lab_object *o, unsigned step)
{
	steer_is_ordinary(o->address);
	lab.self->effects--; /* A try that fails only reads. */
	const unsigned event = steer_step(o, step);
	const bool writes = lab_graph_event(event)->writes;
	lab.self->effects += writes;
	return step == LAB_SYNC_VALUE ? (unsigned)lab_graph_read(event) : writes;
}

uint64_t lab_steer_line(const struct lab_object *o, uint64_t add, uintptr_t pc)
{
	if (!lab.steered || !is_ordinary(LINES))
		return 0;
	lab_point(lab_sync_op(LAB_SYNC_ENQUEUE, o->address, pc));
	struct lab_graph_event e = object_event(lab.self->id, o, LAB_SYNC_ENQUEUE);
	e.pick = HALF;
	e.operand = add;
	return lab_graph_read(steer_event(&e));
}

bool lab_steer_is_behind(const struct lab_object *o, bool timed, uintptr_t pc)
{
	const unsigned effects = lab.self->effects;
	if (timed)
		steer_has_lines();
	if (!is_ordinary(LINES) || lab_steer_choose(2, EARLY) == 0)
		return false;
	if (lab_steer_line(o, 0, pc) == 0)
		steer_stop(true);
	lab.self->effects = effects;
	return true;
}

/* --- barriers --- */

void lab_steer_arrive(struct lab_object *o)
{
	struct lab_graph_event e = {.kind = LAB_GRAPH_FENCE, .location = LAB_GRAPH_NONE};
	unsigned users = 0;
	(void)steer_event(&e);
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
		(void)steer_event(&e);
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
	unsigned before = (unsigned)lab_graph_event(steer_event(&e))->value;
	LAB_EACH_THREAD (t) {
		if (!(e.expected >> t->id & 1))
			continue;
		t->result = before-- == 0;
		lab_graph_join(t->id, self->id);
	}
	return self->result > 0;
}

/* --- conditions --- */

void lab_steer_wait(struct lab_object *cond, struct lab_object *mutex, uintptr_t pc)
{
	const struct lab_thread *self = lab.self;
	struct course *c = course_of(self);
	c->awaits = !is_ordinary(mutex->address) && c->mutex == mutex && c->done == steer_effects() && c->begun &&
	            !is_ordinary(pc) && !(c->wrote && is_ordinary(self->id));
	has_awaits |= c->awaits;
	if (!c->awaits && c->early && c->done == steer_effects())
		lab_steer_refuse("a spurious wakeup and a round of a loop without effect that is no await");
	if (c->awaits) {
		c->cond = cond;
		c->with = mutex;
		c->pc = pc;
		return;
	}
	c->early = lab_may_fault(LAB_FAULT_SPURIOUS) && lab_steer_choose(2, EARLY) == 1;
	(void)lab_cond_begin(cond, mutex, INT64_MAX, pc);
}

void lab_steer_access(uintptr_t pc, uintptr_t address, size_t written)
{
	struct course *c = course_of(lab.self);
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
			steer_is_ordinary(c->pc);
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
	if (course_of(lab.self)->cond)
		steer_is_ordinary(course_of(lab.self)->pc);
}

static void steer_unlock(const struct lab_object *mutex, uint8_t how)
{
	struct lab_graph_event e = object_event(lab.self->id, mutex, LAB_SYNC_UNLOCK);
	e.pick = how;
	(void)steer_event(&e);
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
	struct course *c = course_of(self);
	c->woken = ASLEEP;
	if (!c->awaits && c->early) {
		c->woken = WOKEN;
		steer_unlock(mutex, EARLY);
		return;
	}
	struct lab_graph_event e = object_event(self->id, cond, LAB_SYNC_WAIT);
	if (self->id == LAB_GRAPH_THREADS - 1)
		lab_steer_refuse("a wait for a condition by so many threads");
	e.update = update_enqueue;
	e.operand = self->id + 1;
	(void)steer_event(&e);
	lab_point(lab_sync_op(LAB_SYNC_UNLOCK, mutex->address, pc));
	steer_unlock(mutex, HALF);
}

bool lab_steer_is_woken(void)
{
	const struct course *c = course_of(lab.self);
	if (c->woken == REPEATED)
		lab_thread_park(false);
	return c->woken == WOKEN;
}

/*
 * The running thread takes up to `n` waiters out of a queue. Returns their numbers + 1, four bits
 * for each waiter. `*event` gets the number of the event.
 */
static uint64_t steer_dequeue(struct lab_graph_event *e, unsigned n, unsigned *event)
{
	e->operand = e->pick = (uint16_t)((1u << (n < LAB_GRAPH_THREADS ? n : LAB_GRAPH_THREADS)) - 1);
	e->update = update_dequeue;
	*event = steer_event(e);
	return (uint64_t)queue_part(lab_graph_read(*event), lab_graph_event(*event)->pick);
}

unsigned lab_steer_wake(struct lab_object *cond, bool all)
{
	struct lab_graph_event e = object_event(lab.self->id, cond, LAB_SYNC_SIGNAL);
	unsigned event;
	uint64_t woken = steer_dequeue(&e, all ? LAB_GRAPH_THREADS : 1, &event);
	const unsigned n = lab_graph_waiters(lab_graph_read(event));
	for (; woken; woken >>= 4) {
		struct lab_thread *t = &lab.threads[(woken & 15) - 1];
		const bool sleeps = t->object == cond && t->state == LAB_BLOCKED;
		const bool repeats = course_of(t)->awaits && (all || n == 1);
		course_of(t)->woken = repeats ? REPEATED : WOKEN;
		if (repeats)
			course_of(t)->assumes = true;
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
	    .kind = kind, .size = 8, .hidden = true, .location = steer_place(word ^ 2, 8, 0)};
}

int lab_steer_futex_wait(uintptr_t word, uint32_t expected, int64_t deadline, uintptr_t pc)
{
	struct lab_thread *self = lab.self;
	struct course *c = course_of(self);
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
	                            .location = steer_on(location, &op)};
	location->by[self->id].slept = lab_clock_of(self);
	const unsigned compare = steer_event(&e), effects = self->effects;
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
	const unsigned pick = lab_steer_choose(1 + ends, EARLY);
	c->enqueues = pick == sleeps;
	if (pick != sleeps) {
		self->effects = effects; /* A waiting loop is back where it was. */
		return pick == 0 ? -ETIMEDOUT : pick == wakes ? 0 : -EINTR;
	}
	lab_point(lab_sync_op(LAB_SYNC_WAIT, word, pc));
	e = futex_event(word, LAB_GRAPH_ENQUEUE);
	e.pick = HALF;
	e.update = update_enqueue;
	e.operand = self->id + 1;
	(void)steer_event(&e);
	c->enqueues = false;
	self->expected = expected;
	self->futex = word;
	self->expires = timed;
	lab_block();
	self->expires = false;
	e.kind = LAB_GRAPH_WOKEN;
	e.rf = (uint16_t)self->result; /* The number of the wake. */
	(void)steer_event(&e);
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

/* --- a failure, by the usual engine --- */

static uint16_t guide[LAB_GRAPH_EVENTS];
static unsigned n_guide, at_guide, guided_last;
static unsigned asked; /* How many faults, or waiters, the last step has asked for. */
/* For each thread, where in the guide the search for its next input begins. */
static unsigned inputs[LAB_GRAPH_THREADS];

static bool guide_is_event(const struct lab_op *op)
{
	return op->kind == LAB_LOAD || op->kind == LAB_STORE || op->kind == LAB_RMW || op->kind == LAB_FUTEX_WAIT ||
	       op->kind == LAB_FUTEX_WAKE || (op->kind == LAB_FENCE && op->order != __ATOMIC_RELAXED) ||
	       (op->kind == LAB_SYNC && steps[op->order].kind && op->order != LAB_SYNC_LEAVE &&
	        op->order != LAB_SYNC_ENQUEUE);
}

/*
 * Returns whether the event is an input of its thread. The other choices are those of a wait, and
 * those of a thread that leaves a barrier: there, `expected` of the lowest thread has all threads.
 */
static bool guide_is_input(const struct lab_graph_event *e)
{
	return e->kind == LAB_GRAPH_CHOICE && !e->expected && e->operand > 1 && e->pick != EARLY;
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
		if ((e->kind != LAB_GRAPH_SIGNAL && e->pick == HALF) || e->kind == LAB_GRAPH_WOKEN)
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
		             (e->kind == LAB_GRAPH_WRITE && e->pick == EARLY));
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
