/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Model threads. A thread announces each step before it makes the step. At that moment, every other
 * thread is also about to make a step, and the search chooses which thread runs.
 *
 *   state      may run                                         becomes ready
 *   UNBORN     never                                           by lab_thread_start()
 *   READY      whenever the search likes                       -
 *   SPINNING   "gives up": once, and then as time passes       by a store to what it has read; by
 *                                                              any store, if not all is kept
 *   BLOCKED    at its deadline, if it has one                  by a wake, an exit, or a change of
 *                                                              the object for which it waits
 *   DONE       never                                           -
 *
 * When its process is killed, a thread becomes ready only to end (lab_bury()).
 *
 * A thread spins if it says so (relax, yield), or if it loads the same value again and again. Turns
 * of a spin that see no change are not explored, because they have no effect. A thread that gives
 * up its spin gets a number of turns that are not steps, in which time passes. So a bounded spin
 * ends, and an endless spin stops until something changes.
 */
#include "choice.h"
#include "io.h"
#include "object.h"
#include "steer.h"
#include "traffic.h"

enum { FREE_TURNS = 256, LAST_TURNS = 4096, REPEATS = 6, IDLE_ROUNDS = 6, STREAK = 200, STARVED = 400, ASLEEP = 1000 };
enum { TRIES = 100, TRIES_AT_ONCE = 8 };
enum { PAUSE = 23, TURN = 20000, GIVE_UP = 1000000 }; /* ns of virtual time */
#define CENTURY (INT64_C(100) * 365 * 24 * 3600 * 1000000000)

static void set_state(struct lab_thread *thread, enum lab_state state)
{
	lab_set bit = lab_bit(thread->id);
	if (state == LAB_READY && thread->state != LAB_READY) {
		thread->since = lab.steps;
		if (lab_config.traffic && thread != lab.self)
			lab_traffic_wake(thread);
	}
	thread->state = state;
	lab.ready = state == LAB_READY ? lab.ready | bit : lab.ready & ~bit;
	lab.spinning = state == LAB_SPINNING ? lab.spinning | bit : lab.spinning & ~bit;
	lab.dozing = state == LAB_BLOCKED && thread->dozes ? lab.dozing | bit : lab.dozing & ~bit;
	lab.timed = state == LAB_BLOCKED && thread->expires ? lab.timed | bit : lab.timed & ~bit;
}

void lab_ready(struct lab_thread *thread)
{
	lab_order_follow(thread, lab.self);
	set_state(thread, LAB_READY);
}

/* --- the choice of a thread --- */

static unsigned soonest(lab_set set)
{
	unsigned best = lab_lowest(set);
	LAB_EACH_OF (t, set)
		if (t->deadline < lab.threads[best].deadline)
			best = t->id;
	return best;
}

static unsigned longest_waiting(lab_set set)
{
	unsigned best = lab_lowest(set);
	LAB_EACH_OF (t, set)
		if (t->since < lab.threads[best].since)
			best = t->id;
	return best;
}

/*
 * Called when no thread may run, unless threads that have given up their spins get more turns.
 * These threads get another chance after some time has passed, but not forever. After some rounds
 * they take turns; otherwise a thread that spins forever might get all turns, and a bounded spin
 * none.
 */
static lab_set idle(void)
{
	if (!lab.spinning || ++lab.idle_rounds > IDLE_ROUNDS * lab.n_threads)
		lab_stuck();
	lab.now += 1000 * (int64_t)GIVE_UP << (lab.idle_rounds < 16 ? lab.idle_rounds : 16);
	return lab.idle_rounds <= lab.n_threads ? lab.spinning : lab_bit(longest_waiting(lab.spinning));
}

static void give_up(struct lab_thread *t)
{
	/* The thread gets more turns when no other thread can run. */
	t->giving_up = lab.idle_rounds > 0 ? LAST_TURNS : FREE_TURNS;
	t->gave_up = t->next.pc;
	lab.now += GIVE_UP;
	set_state(t, LAB_READY);
}

static void time_out(struct lab_thread *t)
{
	if (lab.now < t->deadline)
		lab.now = t->deadline;
	lab_io_pass();
	if (lab.now > CENTURY)
		lab_fail(LAB_UNMODELLED, "more than a century in one execution, which is a limit of the laboratory");
	t->result = -ETIMEDOUT;
	t->futex = 0;
	t->many = NULL;
	t->object = NULL;
	set_state(t, LAB_READY);
}

/*
 * The usual choice is the running thread. However, it does not run forever while other threads
 * could run, because a loop without a relax would then never end.
 */
static unsigned usual_ready(void)
{
	const struct lab_thread *self = lab.self;
	lab_set others = lab.ready & ~lab_bit(self->id);
	if (self->state == LAB_READY && (lab.streak < STREAK || !others))
		return self->id;
	lab_set later = others & ~((lab_bit(self->id) << 1) - 1);
	if (self->state == LAB_READY)
		return lab_lowest(later ? later : others);
	return longest_waiting(lab.ready);
}

/*
 * Whether some thread was ready for very long without running. What counts as long is halved each
 * time, down to a sixteenth. Otherwise a polling thread could use up the steps of an execution
 * before another thread has made its few steps.
 */
static bool is_starved(void)
{
	enum { HALVED = 4 };
	const unsigned is_long = STARVED >> (lab.starved < HALVED ? lab.starved : HALVED);
	if (!lab.ready || lab.steps <= is_long || lab.steps - lab.threads[longest_waiting(lab.ready)].since <= is_long)
		return false;
	lab.starved++;
	return true;
}

/*
 * Returns the threads that have tried in vain for a long time, for example to get a lock that
 * another thread takes again and again. Such a thread then runs some steps after a change, when its
 * next try may succeed.
 */
static lab_set try_in_vain(void)
{
	return LAB_THOSE(t, lab.ready, t->tries > TRIES && t->moves != lab.moves);
}

/*
 * Returns the threads that sleep for a time, and have slept for more than ASLEEP steps. The other
 * threads may never come to rest, so the sleep then ends.
 */
static lab_set long_asleep(void)
{
	return LAB_THOSE(t, lab.dozing, lab.steps - t->blocked_at > ASLEEP);
}

/*
 * Returns the usual choice among the threads that may run: a ready thread; if there is none, the
 * spinning thread that has waited longest; otherwise the thread with the next deadline.
 */
static unsigned usual_of(lab_set set)
{
	if (!(set & (set - 1)))
		return lab_lowest(set);
	if (lab.ready)
		return usual_ready();
	lab_set untimed = set & ~lab.timed;
	return untimed ? longest_waiting(untimed) : soonest(set);
}

/* Whether the thread has called exit(), and other threads may still go on. */
static bool ends_program(const struct lab_thread *t)
{
	return t->dozes && t->next.order == LAB_SYNC_EXIT;
}

/*
 * If the program ends early, this shows nothing that a later end would not also show. So the search
 * without bounds ends the program when no other thread can go on.
 */
static lab_set without_exits(lab_set set)
{
	const lab_set others = set & ~LAB_THOSE(t, set & lab.dozing, ends_program(t));
	return others ? others : set;
}

static struct lab_thread *next_thread(void)
{
	if (lab.steered)
		return lab_steer_next();
	if (lab_config.traffic) {
		struct lab_thread *first = lab_traffic_next();
		if (first->state == LAB_BLOCKED)
			time_out(first);
		return first;
	}
	lab_set set = lab.ready | LAB_THOSE(t, lab.spinning, !t->hard);
	const lab_set waits = lab.timed & ~lab.dozing;
	if (waits && (set == 0 || lab_may_fault(LAB_FAULT_TIMEOUT)))
		set |= waits;
	set |= lab.dozing;
	if (set == 0)
		set = idle();
	if (lab.ordered && lab.dozing)
		set = without_exits(set);
	const lab_set all = set, in_vain = try_in_vain();
	if (lab.dozing && long_asleep())
		set = lab_bit(soonest(long_asleep()));
	else if (is_starved())
		/* Otherwise the spinning threads could run forever. */
		set = lab_bit(longest_waiting(lab.ready));
	else if (in_vain)
		set = lab_bit(longest_waiting(in_vain));
	if (set != all)
		lab_met(LAB_MET_FAIRNESS);
	struct lab_thread *next = &lab.threads[lab_choose_thread(set, usual_of(set))];
	if (next != lab.self) /* otherwise a switch before this thread's first step still counts */
		lab.switched = lab.self->state == LAB_READY;
	lab.streak = next == lab.self ? lab.streak + 1 : 0;
	next->since = lab.steps;
	next->by_time = next->state == LAB_BLOCKED && !(lab.ordered && ends_program(next));
	if (next->state == LAB_SPINNING)
		give_up(next);
	else if (next->state == LAB_BLOCKED)
		time_out(next);
	return next;
}

static void switch_to(struct lab_thread *next)
{
	struct lab_thread *self = lab.self;
	if (next == self)
		return;
	self->error = errno;
	self->frame = lab.frame;
	lab_tls_save(self->id);
	if (__builtin_expect(next->process != self->process, 0))
		lab_globals_enter(next->process);
	lab.self = next;
	fl__switch_to_plain(&self->flow, &next->flow);
	lab_tls_load(self->id);
	errno = self->error;
}

/* Begins a step of the running thread: its clock ticks. */
static void tick(void)
{
	struct lab_thread *self = lab.self;
	uint32_t now = ++self->view.at[self->id].hb;
	self->view.at[self->id].seen = self->view.at[self->id].order = now;
	if (++lab.steps > lab_config.max_steps && lab_config.safety) {
		lab_met(LAB_MET_STEPS);
		lab_prune();
	}
	if (lab.steps > lab_config.max_steps)
		lab_fail(LAB_STEP_LIMIT, "more than %u steps: a loop without an end, or a long execution (--steps N)",
		         lab_config.max_steps);
	lab.plain = 0;
	if (++self->tries % TRIES_AT_ONCE == 0)
		self->moves = lab.moves;
	if (lab.ordered)
		lab_order_step();
	if (__builtin_expect(lab.guided, 0))
		lab_steer_guide_step();
	lab_hash((uint64_t)self->id << 8 | self->next.kind);
}

static void thread_announce(struct lab_op op)
{
	lab.self->next = op;
	lab.self->place = lab_own_place(op.pc);
}

void lab_point(struct lab_op op)
{
	struct lab_thread *self = lab.self;
	thread_announce(op);
	self->ops++;
	if (op.kind != LAB_LOAD) {
		lab_turns_end(self);
		self->repeats = 0;
	}
	self->effects += op.kind != LAB_LOAD && op.kind != LAB_RMW && op.kind != LAB_RELAX && op.kind != LAB_FENCE;
	if (lab.steered)
		lab_steer_announce(&op);
	if (lab.n_threads > 1)
		switch_to(next_thread());
	if (__builtin_expect(lab.killable, 0))
		lab_kill_point(op, LAB_AT_STEP);
	tick();
}

void lab_block(void)
{
	struct lab_thread *self = lab.self;
	self->ops++;
	self->blocked_at = lab.steps;
	lab_turns_end(self);
	self->effects++;
	set_state(self, LAB_BLOCKED);
	if (__builtin_expect(lab.killable, 0))
		lab_kill_point(self->next, LAB_ASLEEP);
	switch_to(next_thread());
	if (__builtin_expect(lab.killable, 0))
		lab_kill_point(self->next, LAB_WOKEN);
	tick();
}

void lab_thread_park(bool spins)
{
	lab.self->futex = 0;
	lab.self->expires = false;
	set_state(lab.self, spins ? LAB_SPINNING : LAB_BLOCKED);
	switch_to(next_thread());
	__builtin_trap();
}

/*
 * Notes whether the step of a waiting thread is possible. If a waiter is passed over again and
 * again, for example for a lock, it has waited all that time.
 */
void lab_thread_can(struct lab_thread *t, bool can)
{
	if (can == (t->state == LAB_READY))
		return;
	if (!can)
		t->passed = lab.steps - t->since;
	set_state(t, can ? LAB_READY : LAB_BLOCKED);
	if (can)
		t->since -= t->passed;
	t->enabler = t != lab.self ? lab.steps : 0;
}

void lab_thread_await(struct lab_op op, const struct lab_object *object,
                      bool (*can)(const struct lab_object *object, const struct lab_thread *thread))
{
	struct lab_thread *self = lab.self;
	thread_announce(op);
	self->ops++;
	lab_turns_end(self);
	self->effects++;
	self->repeats = 0;
	self->futex = 0;
	self->many = NULL;
	self->blocked_at = lab.steps;
	self->object = object;
	self->can = can;
	if (lab.steered)
		lab_steer_announce(&op);
	lab_thread_can(self, can(object, self));
	if (lab.n_threads > 1 || self->state != LAB_READY)
		switch_to(next_thread());
	self->object = NULL;
	self->expires = false;
	tick();
}

void lab_block_forever(void)
{
	struct lab_thread *self = lab.self;
	lab.awaits = true;
	self->many = NULL;
	self->object = NULL;
	self->next = (struct lab_op){.kind = LAB_EXIT, .pc = self->next.pc};
	lab_thread_park(false);
}

/* --- spins --- */

/*
 * Loops over the index of each look or site that is kept. The thread has had `n` of these; only
 * LAB_LOOKS are kept.
 */
/* NOLINTNEXTLINE(bugprone-macro-parentheses): a declared name takes no parentheses */
#define EACH_LOOK(i, n) for (unsigned i = 0; i < (n) && i < LAB_LOOKS; i++)

static struct lab_look *look_at(struct lab_thread *t, uintptr_t address)
{
	EACH_LOOK (i, t->n_looks)
		if (t->looks[i].address == address)
			return &t->looks[i];
	return NULL;
}

/*
 * Whether a store there, of any size, may change what the thread has read. It may if it is to the
 * same word.
 */
static bool has_looked_near(const struct lab_thread *t, uintptr_t address)
{
	EACH_LOOK (i, t->n_looks)
		if (t->looks[i].address >> 3 == address >> 3)
			return true;
	return t->n_looks > LAB_LOOKS || t->n_looks == 0;
}

void lab_looked(uintptr_t address, uint32_t step)
{
	struct lab_thread *self = lab.self;
	struct lab_look *look = look_at(self, address);
	if (look)
		look->step = step;
	else if (self->n_looks >= LAB_LOOKS)
		self->n_looks = LAB_LOOKS + 1;
	else
		self->looks[self->n_looks++] = (struct lab_look){address, step};
}

void lab_changed(uintptr_t address)
{
	struct lab_look *own = look_at(lab.self, address);
	if (own)
		own->step = lab.steps; /* for the thread, its own store is not a change */
	lab_wake_spinners(address);
}

void lab_wake_spinners(uintptr_t address)
{
	if (lab.steered) /* along a graph, a waiting loop has already ended */
		return;
	lab.idle_rounds = 0;
	LAB_EACH_THREAD (t) {
		if (t == lab.self || (t->state != LAB_SPINNING && !t->gave_up))
			continue;
		if (has_looked_near(t, address)) {
			t->gave_up = 0;
			t->hard = false;
			if (t->state == LAB_SPINNING)
				lab_ready(t);
		}
	}
}

/*
 * The running thread has changed a value. Its next spin at the same site counts as a new spin.
 * However, this happens only a few times, because a loop that merely counts its turns also changes
 * a value each time.
 */
void lab_moved_on(void)
{
	enum { MOST = 4 };
	struct lab_thread *self = lab.self;
	self->changes++;
	lab_moved();
	if (self->gave_up && self->progress < MOST) {
		self->gave_up = 0;
		self->progress++;
	}
}

static bool has_site(const uintptr_t *sites, unsigned n, uintptr_t pc)
{
	EACH_LOOK (i, n)
		if (sites[i] == pc)
			return true;
	return n > LAB_LOOKS;
}

static void add_site(uintptr_t *sites, unsigned *n, uintptr_t pc)
{
	if (has_site(sites, *n, pc))
		return;
	if (*n < LAB_LOOKS)
		sites[*n] = pc;
	++*n;
}

static bool has_changed(const struct lab_thread *t)
{
	EACH_LOOK (i, t->n_looks)
		if (lab_newest_step(t->looks[i].address) != t->looks[i].step)
			return true;
	return false;
}

void lab_turns_end(struct lab_thread *thread)
{
	if (thread->uninterrupted)
		lab_met(LAB_MET_SPIN);
	thread->uninterrupted = false;
	thread->giving_up = 0;
}

/*
 * `again` tells that the thread has used up the turns of an earlier spin. Then it is still the same
 * spin, although the place may be another one in the loop.
 */
static void spin(uintptr_t pc, bool again)
{
	struct lab_thread *self = lab.self;
	thread_announce((struct lab_op){LAB_RELAX, 1, 0, self->n_looks ? self->looks[0].address : 0, pc});
	self->ops++;
	self->repeats = 0;
	self->offered = false;
	self->hard = self->gave_up && (again || self->gave_up == pc);
	if (lab.proving || lab.ordered) {
		const uint64_t state = lab_state();
		/*
		 * Nothing has happened since the thread gave up. The execution in which it did not
		 * give up is the same, and that execution is kept.
		 */
		if (lab.ordered && self->hard && state == self->spun_at && lab.steps == self->spun_step &&
		    (lab.ready & ~lab_bit(self->id)))
			lab_prune();
		if ((self->hard || self->uninterrupted) && state != self->spun_at)
			lab_met(LAB_MET_SPIN);
		self->spun_at = state;
		self->uninterrupted = false;
	}
	if (!self->gave_up)
		self->n_spun = 0;
	EACH_LOOK (i, self->n_turn)
		add_site(self->spun, &self->n_spun, self->turn[i]);
	if (self->n_turn > LAB_LOOKS)
		self->n_spun = LAB_LOOKS + 1;
	self->n_turn = 0;
	set_state(self, LAB_SPINNING);
	switch_to(next_thread());
	self->n_looks = 0;
	tick();
	self->spun_step = lab.steps;
}

void lab_relax(uintptr_t pc)
{
	struct lab_thread *self = lab.self;
	if (lab_config.traffic) {
		lab.now += PAUSE;
		lab_point((struct lab_op){.kind = LAB_RELAX, .pc = pc});
		return;
	}
	lab.now += TURN;
	if (lab.steered && ++lab.steps <= lab_config.max_steps)
		return; /* the loads of the loop tell whether it waits */
	if (lab.steered)
		lab_steer_refuse("a loop without an end");
	const bool again = self->giving_up > 0;
	if (again && --self->giving_up > 0)
		return;
	if (has_changed(self)) { /* the loop has seen no change yet, but there is one */
		EACH_LOOK (i, self->n_looks) {
			lab_location_tired(self->looks[i].address, self->looks[i].step);
			lab_order_after(lab_newest_step(self->looks[i].address));
		}
		lab_point((struct lab_op){LAB_RELAX, 1, 0, 0, pc});
		self->n_looks = 0;
		self->n_turn = 0;
		return;
	}
	spin(pc, again);
}

bool lab_spins(uintptr_t address, uintptr_t pc)
{
	struct lab_thread *self = lab.self;
	uint32_t newest = lab_newest_step(address);
	add_site(self->turn, &self->n_turn, pc);
	if (self->giving_up > 0 && !has_site(self->spun, self->n_spun, pc))
		lab_turns_end(self); /* this load comes after the loop, so it is a step again */
	if (self->giving_up > 0) {
		self->uninterrupted = true;
		if (--self->giving_up > 0)
			return true;
		spin(pc, true);
		return self->uninterrupted = self->giving_up > 0;
	}
	const struct lab_look *look = look_at(self, address);
	if (address != self->last_load || newest != self->last_step || !look || look->step != newest) {
		self->last_load = address;
		self->last_step = newest;
		self->repeats = 0;
		return false;
	}
	if (++self->repeats < REPEATS)
		return false;
	spin(pc, false);
	return self->uninterrupted = self->giving_up > 0;
}

/* --- start and end of threads --- */

static void finish(struct lab_thread *self)
{
	LAB_EACH_THREAD (t) {
		if (t->state == LAB_BLOCKED && t->next.kind == LAB_JOIN && t->joins == self->id)
			lab_ready(t);
	}
	self->ops++;
	self->next = (struct lab_op){.kind = LAB_EXIT};
	set_state(self, LAB_DONE);
}

void lab_thread_leave(void)
{
	struct lab_thread *self = lab.self;
	lab_turns_end(self);
	if (lab.steered)
		lab_steer_return(UINTPTR_MAX);
	if (self->id != 0)
		lab_exit_walk();
	finish(self);
	if (self->id == 0 && !lab.program) {
		lab_activate(false);
		fl__switch_to_plain(&self->flow, &lab.home);
	}
	switch_to(next_thread());
	__builtin_trap();
}

/* A killed thread begins anew only in order to end. */
static void entry(void *arg)
{
	struct lab_thread *self = arg;
	errno = 0;
	lab_tls_load(self->id);
	if (!self->ends) {
		tick();
		(void)self->start(self->arg);
	}
	lab_thread_leave();
}

/* Replaces the state of the flow by one that begins at entry(). */
static void prepare(struct lab_thread *t)
{
	size_t size;
	void *stack = lab_stack_of(t->id, &size);
	fl__switch_init(&t->flow);
	fl__switch_prepare(&t->flow, stack, size, entry, t);
}

/*
 * Clears what an earlier execution has left on the stack of a new thread, as far down as the frames
 * of the program reached, and those of functions without instrumentation that it called. Some bytes
 * of a frame may never be written. Such bytes must not keep a lost block (program_keep_stack()), or
 * make turns of a loop look different (steer_is_same()).
 */
static void clear_stack(struct lab_thread *t)
{
	enum { BELOW = 4096 };
	size_t size;
	const uintptr_t low = (uintptr_t)lab_stack_of(t->id, &size), top = low + size;
	const uintptr_t from = t->deepest > low + BELOW ? t->deepest - BELOW : low;
	if (t->deepest)
		memset((void *)from, 0, top - from);
	t->deepest = top;
}

void lab_bury(struct lab_thread *t)
{
	t->ends = true;
	t->futex = t->gave_up = 0;
	t->many = NULL;
	t->object = NULL;
	t->expires = t->dozes = t->hard = false;
	t->giving_up = t->n_looks = t->depth = 0;
	t->next = (struct lab_op){.kind = LAB_START};
	lab.ending |= lab_bit(t->id);
	prepare(t);
	lab_ready(t);
}

void lab_rest(void)
{
	static struct fl__switch nowhere; /* gets the state of the flow, which never continues */
	fl__switch_to_plain(&nowhere, &lab.self->flow);
	__builtin_trap();
}

unsigned lab_line_up(struct lab_thread *line[LAB_THREADS], lab_sleeps *sleeps, uintptr_t on)
{
	unsigned n = 0;
	LAB_EACH_THREAD (t) {
		if (!sleeps(t, on))
			continue;
		unsigned at = n++;
		for (; at > 0 && line[at - 1]->blocked_at > t->blocked_at; at--)
			line[at] = line[at - 1];
		line[at] = t;
	}
	return n;
}

struct lab_thread *lab_thread_new(const char *name, void *(*start)(void *), void *arg)
{
	if (lab.n_threads == LAB_THREADS)
		lab_fail(LAB_UNMODELLED, "more than %d threads in one execution, which is a limit of the laboratory",
		         LAB_THREADS);
	unsigned id = lab.n_threads++;
	struct lab_thread *t = &lab.threads[id];
	memset((char *)t + sizeof t->flow, 0, offsetof(struct lab_thread, view) - sizeof t->flow);
	lab_view_clear(&t->view);
	lab_view_clear(&t->acquired);
	lab_view_clear(&t->released);
	/* The view of each thread needs a place for the new thread. */
	LAB_EACH_THREAD (each)
		lab_view_widen(&each->view, lab.n_threads);
	t->id = id;
	t->random = id + 1;
	t->start = start;
	t->arg = arg;
	t->process = id == 0 ? 0 : lab.self->process;
	lab_robust_reset(id);
	lab_tls_begin(id);
	t->next.kind = LAB_START;
	(void)strncat(t->name, name, sizeof t->name - 1); /* the name was zeroed */
	clear_stack(t);
	prepare(t);
	return t;
}

struct lab_thread *lab_thread_spawn(void *(*start)(void *), void *arg)
{
	char name[16] = "thread-";
	(void)lab_thread_letters(lab.n_threads, name + strlen(name));
	return lab_thread_new(name, start, arg);
}

void lab_thread_start(struct lab_thread *t, uintptr_t pc)
{
	struct lab_thread *self = lab.self;
	/* what it did since its last step happens before the new thread, too */
	self->view.at[self->id].hb++;
	lab_view_copy(&t->view, &self->view);
	t->next.pc = t->place = pc;
	if (lab.steered)
		lab_steer_start(t);
	lab_ready(t);
}

int lab_join(struct lab_thread *thread, int64_t deadline, uintptr_t pc)
{
	struct lab_thread *self = lab.self;
	thread_announce((struct lab_op){LAB_JOIN, 0, 0, (uintptr_t)thread, pc});
	self->result = 0;
	if (lab.steered && deadline != INT64_MAX)
		lab_steer_refuse("a join with a deadline");
	if (thread->state != LAB_DONE) {
		self->futex = 0;
		self->expires = deadline != INT64_MAX;
		self->deadline = deadline;
		self->joins = thread->id;
		lab_block();
	}
	if (self->result != 0)
		return self->result;
	lab_order_follow(self, thread);
	if (lab.steered)
		lab_steer_join(thread);
	lab_view_join(&self->view, &thread->view);
	/* what it did after its last step happens before the join, too */
	self->view.at[thread->id].hb++;
	return 0;
}

static void *call_body(void *body)
{
	(*(void (**)(void))body)();
	return NULL;
}

void lab_begin(void (*body)(void))
{
	lab.self = lab_thread_new("main", call_body, &body);
	lab_ready(lab.self);
	lab_activate(true);
	fl__switch_to_plain(&lab.home, &lab.self->flow);
	lab_activate(false);
}
