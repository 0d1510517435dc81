/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of objects, found by a hash of their addresses, and how threads wait for them. */
#include "object.h"
#include "io.h"
#include "steer.h"
#include <pthread.h>
#include <semaphore.h>
#include <stdarg.h>

enum { TABLE = 1 << 12, MOST = TABLE / 2 };

static struct lab_object *table[TABLE]; /* An entry is made once, and reused in later executions. */
static struct lab_object *used[MOST];   /* These are the entries of this execution. */

static unsigned object_slot(uintptr_t address)
{
	return (unsigned)(((address >> 2) * 0x9e3779b97f4a7c15u) >> 52);
}

static struct lab_object *object_entry(uintptr_t address, bool make)
{
	unsigned at = object_slot(address);
	for (; table[at]; at = (at + 1) % TABLE)
		if (table[at]->address == address)
			break;
	struct lab_object *o = table[at];
	if (o && o->generation == lab.generation)
		return o;
	if (!make)
		return NULL;
	static unsigned n_made;
	if (lab.objects == MOST || (!o && n_made == MOST))
		lab_fail(LAB_UNMODELLED, "more than %d locks and other objects, which is a limit of the laboratory",
		         MOST);
	if (!o) {
		o = table[at] = lab_needed(calloc(1, sizeof *o));
		n_made++;
	}
	used[lab.objects++] = o;
	memset(o, 0, offsetof(struct lab_object, by)); /* object_begin() does the rest. */
	o->address = address;
	o->generation = lab.generation;
	return o;
}

struct lab_object *lab_object_find(uintptr_t address)
{
	return object_entry(address, false);
}

struct lab_object *lab_object_number(unsigned i)
{
	return i < lab.objects ? used[i] : NULL;
}

/* --- words --- */

static const char *const kind_names[LAB_OBJECT_KINDS] = {
    "mutex", "condition", "readers-writer lock", "spin lock", "barrier", "semaphore", "once", "channel"};

const char *lab_object_name_at(uintptr_t address, enum lab_object_kind kind)
{
	char *text = lab_name_buffer();
	snprintf(text, LAB_NAME, "the %s %s", kind_names[kind], lab_address_name(address));
	return text;
}

const char *lab_object_name(const struct lab_object *object)
{
	return lab_object_name_at(object->address, (enum lab_object_kind)object->kind);
}

const char *lab_object_held(const struct lab_object *o)
{
	static char text[3 * LAB_NAME];
	snprintf(text, sizeof text, "%s, which %s has held since %s", lab_object_name(o), lab.threads[o->owner].name,
	         lab_site_name(o->taken.pc));
	return text;
}

_Noreturn void lab_refuse(enum lab_verdict verdict, uintptr_t pc, const char *format, ...)
{
	char text[400];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	lab.signature = pc;
	if (verdict == LAB_MISUSE)
		(void)lab_event((struct lab_op){.kind = LAB_MISUSED, .pc = pc});
	lab_fail(verdict, "%s %s (%s)", lab.self->name, text, lab_site_name(lab_own_place(pc)));
}

static const char *const verbs[LAB_SYNCS] = {
    [LAB_SYNC_INIT] = "initialises",
    [LAB_SYNC_DESTROY] = "destroys",
    [LAB_SYNC_LOCK] = "locks",
    [LAB_SYNC_TRYLOCK] = "tries to lock",
    [LAB_SYNC_UNLOCK] = "unlocks",
    [LAB_SYNC_ABANDON] = "ends as the owner of",
    [LAB_SYNC_RDLOCK] = "locks for reading",
    [LAB_SYNC_TRYRDLOCK] = "tries to lock for reading",
    [LAB_SYNC_ENQUEUE] = "locks for writing",
    [LAB_SYNC_WRLOCK] = "locks for writing",
    [LAB_SYNC_TRYWRLOCK] = "tries to lock for writing",
    [LAB_SYNC_WAIT] = "waits for",
    [LAB_SYNC_RELOCK] = "reacquires",
    [LAB_SYNC_SIGNAL] = "signals",
    [LAB_SYNC_BROADCAST] = "broadcasts",
    [LAB_SYNC_DOWN] = "takes a permit of",
    [LAB_SYNC_TRYDOWN] = "tries to take a permit of",
    [LAB_SYNC_UP] = "posts",
    [LAB_SYNC_VALUE] = "reads the value of",
    [LAB_SYNC_ARRIVE] = "arrives at",
    [LAB_SYNC_LEAVE] = "leaves",
    [LAB_SYNC_ONCE] = "calls once",
    [LAB_SYNC_TIME] = "reads the clock",
    [LAB_SYNC_SLEEP] = "sleeps",
    [LAB_SYNC_EXIT] = "ends the program",
    [LAB_SYNC_USE] = "uses",
    [LAB_SYNC_READ] = "reads from",
    [LAB_SYNC_WRITE] = "writes to",
    [LAB_SYNC_CLOSE] = "closes",
    [LAB_SYNC_POLL] = "polls",
};

const char *lab_sync_verb(unsigned what)
{
	return what < LAB_SYNCS ? verbs[what] : "?";
}

struct lab_op lab_sync_op(enum lab_sync what, uintptr_t address, uintptr_t pc)
{
	return (struct lab_op){LAB_SYNC, 8, (uint8_t)what, address, pc};
}

struct lab_event *lab_sync_event(struct lab_op op, int result)
{
	lab_hash((uint64_t)op.order << 32 | (uint32_t)result);
	struct lab_event *event = lab_event(op);
	event->result = result;
	return event;
}

/* --- life --- */

static void object_used(struct lab_object *o, uintptr_t pc)
{
	for (; o->used_by <= lab.self->id; o->used_by++)
		o->uses[o->used_by].pc = 0;
	o->uses[lab.self->id] = (struct lab_use){lab_clock_after(lab.self), 0, lab.steps, pc};
}

void lab_object_left(struct lab_object *o, uintptr_t pc)
{
	if (o->live)
		o->uses[lab.self->id].left = lab_clock_after(lab.self);
	else if (o->ender.pc == 0)
		lab_heap_check(o->address, 1, true, pc); /* The block of the object was freed. */
}

static _Noreturn void object_misuse_ended(const struct lab_object *o, const char *what, uintptr_t pc)
{
	lab_misuse(pc, "%s %s, which %s destroyed at %s", what, lab_object_name(o), lab.threads[o->ender.thread].name,
	           lab_site_name(o->ender.pc));
}

/*
 * Ends the execution if another thread has used the object, and this use does not happen before the
 * object's end. In another order of execution that thread would find that the object has ended.
 */
static void object_check_uses(const struct lab_object *o, const char *what, uintptr_t pc)
{
	for (unsigned i = 0; i < o->used_by; i++)
		if (o->uses[i].pc && !lab_is_known(i, o->uses[i].left ? o->uses[i].left : o->uses[i].clock))
			lab_misuse(pc, "%s %s, but its use by %s at %s is not ordered before", what, lab_object_name(o),
			           lab.threads[i].name, lab_site_name(o->uses[i].pc));
}

/*
 * The size of an object of each kind. It is 0 for a once, because the guard of a C++ variable is
 * also a once, and the compiler's code accesses the guard. For other onces, lab_once() reports the
 * memory.
 */
static const uint8_t kind_sizes[LAB_OBJECT_KINDS] = {
    [LAB_MUTEX] = sizeof(pthread_mutex_t),     [LAB_COND] = sizeof(pthread_cond_t),
    [LAB_RWLOCK] = sizeof(pthread_rwlock_t),   [LAB_SPINLOCK] = sizeof(pthread_spinlock_t),
    [LAB_BARRIER] = sizeof(pthread_barrier_t), [LAB_SEM] = sizeof(sem_t)};

static void object_begin(struct lab_object *o, const struct lab_made *as, bool made)
{
	o->kind = (uint8_t)as->kind;
	o->live = true;
	o->made = made;
	o->lives++;
	o->robust = as->robust;
	o->owner_died = o->lost = false;
	o->type = as->type;
	o->owner = LAB_NOBODY;
	o->count = as->count;
	o->limit = as->limit;
	o->round = as->round;
	o->mutex = 0;
	o->wasted.pc = o->ender.pc = 0;
	o->used_by = 0;
	lab_view_clear(&o->view);
	lab_view_clear(&o->readers);
	/* Each process has its own cells, and a trace shows each use. */
	o->accessed = lab_race_object(o->address, kind_sizes[as->kind], made) || lab.processes || lab.recording;
}

/* Returns the first use at that step or later, or NULL. Only one thread runs at each step. */
static const struct lab_use *object_use_from(const struct lab_object *o, uint32_t step)
{
	const struct lab_use *first = NULL;
	for (const struct lab_use *u = o->uses; u < o->uses + o->used_by; u++)
		if (u->pc && u->step >= step && (!first || u->step < first->step))
			first = u;
	return first;
}

void lab_objects_accessed(uintptr_t address, size_t size)
{
	struct lab_object *o;
	const struct lab_use *u;
	for (unsigned i = 0; (o = lab_object_number(i)); i++) {
		const size_t own = kind_sizes[o->kind];
		if (!o->live || o->accessed || (o->address - address >= size && address - o->address >= own))
			continue;
		o->accessed = true;
		for (uint32_t step = 0; (u = object_use_from(o, step)); step = u->step + 1)
			lab_race_used(
			    o->address, own,
			    (struct lab_record){.clock = u->clock, .thread = (uint8_t)(u - o->uses), .pc = u->pc});
	}
}

static struct lab_made *early;
static unsigned n_early;

static struct lab_made *object_early(uintptr_t address, enum lab_object_kind kind)
{
	for (struct lab_made *e = early; e < early + n_early; e++)
		if (e->address == address && e->kind == kind)
			return e;
	return NULL;
}

void lab_object_early(struct lab_made made)
{
	struct lab_made *known = object_early(made.address, made.kind);
	if (!known) {
		early = lab_needed(realloc(early, (n_early + 1) * sizeof *early));
		known = &early[n_early++];
	}
	*known = made;
}

struct lab_object *lab_object_use(const void *at, enum lab_object_kind kind, bool fresh, const char *what, uintptr_t pc)
{
	const uintptr_t address = (uintptr_t)at;
	if (!address)
		lab_misuse(pc, "%s a %s at NULL", what, kind_names[kind]);
	lab_heap_check(address, kind_sizes[kind], false, pc);
	struct lab_object *o = object_entry(address, false);
	if (o && o->ender.pc && !o->live && o->kind == (uint8_t)kind)
		object_misuse_ended(o, what, pc);
	if (o && o->live) {
		if (o->kind != (uint8_t)kind)
			lab_misuse(pc, "%s %s as a %s", what, lab_object_name(o), kind_names[kind]);
		if (o->made && !lab_is_known(o->maker.thread, o->maker_clock))
			lab_misuse(pc, "%s %s, but its initialisation by %s at %s is not ordered before", what,
			           lab_object_name(o), lab.threads[o->maker.thread].name, lab_site_name(o->maker.pc));
	} else {
		const struct lab_made *before = fresh ? NULL : object_early(address, kind);
		if (!fresh && !before)
			lab_misuse(pc, "%s %s, which is not initialised", what, lab_object_name_at(address, kind));
		o = object_entry(address, true);
		object_begin(o, before ?: &(struct lab_made){.kind = kind}, false);
	}
	if (o->accessed)
		lab_race_use(address, kind_sizes[kind], pc);
	object_used(o, pc);
	return o;
}

static bool object_is_busy(const struct lab_object *o)
{
	return o->live &&
	       (o->owner != LAB_NOBODY || lab_object_waiters(o) > 0 || (o->kind == LAB_RWLOCK && o->count > 0));
}

void lab_object_init(struct lab_made made, uintptr_t pc)
{
	const uintptr_t address = made.address;
	const enum lab_object_kind kind = made.kind;
	if (!address)
		lab_misuse(pc, "initialises a %s at NULL", kind_names[kind]);
	struct lab_object *o = object_entry(address, true);
	if (object_is_busy(o))
		lab_misuse(pc, "initialises %s anew, which is in use", lab_object_name_at(address, kind));
	if (o->live && o->made && !lab_is_stack(address))
		lab_misuse(pc, "initialises %s anew, which %s initialised at %s", lab_object_name_at(address, kind),
		           lab.threads[o->maker.thread].name, lab_site_name(o->maker.pc));
	if (o->live)
		object_check_uses(o, "initialises", pc);
	lab_writes((void *)address, kind_sizes[kind], pc);
	lab_event(lab_sync_op(LAB_SYNC_INIT, address, pc))->hidden =
	    true; /* Only a report of a misuse shows the event. */
	object_begin(o, &made, true);
	o->maker = lab_here(pc);
	o->maker_clock = lab_clock_after(lab.self);
	object_used(o, pc);
}

void lab_object_destroy(struct lab_object *o, uintptr_t pc)
{
	const struct lab_op op = lab_object_point(LAB_SYNC_DESTROY, o, pc);
	if (o->owner != LAB_NOBODY)
		lab_misuse(pc, "destroys %s", lab_object_held(o));
	if (o->kind == LAB_RWLOCK && o->count > 0)
		lab_misuse(pc, "destroys %s, which %u reader%s hold%s", lab_object_name(o), o->count,
		           o->count > 1 ? "s" : "", o->count > 1 ? "" : "s");
	if (lab_object_waiters(o) > 0)
		lab_misuse(pc, "destroys %s, for which a thread waits", lab_object_name(o));
	for (unsigned i = 0; i < o->used_by; i++)
		o->uses[i].left = 0; /* pthread_barrier_destroy() waits until all threads have left. */
	object_check_uses(o, "destroys", pc);
	o->accessed = true; /* No use can race with what comes after this call. */
	lab_plain(o->address, kind_sizes[o->kind], true, pc);
	(void)lab_event(op);
	o->live = false;
	o->ender = lab_here(pc);
}

static void object_freed(struct lab_object *o, uintptr_t pc)
{
	if (object_is_busy(o) && o->owner != LAB_NOBODY)
		lab_misuse(pc, "frees the memory of %s", lab_object_held(o));
	if (object_is_busy(o))
		lab_misuse(pc, "frees the memory of %s, which is in use", lab_object_name(o));
	object_check_uses(o, "frees the memory of", pc);
	if (o->live)
		o->ender.pc = 0;
	o->live = false;
	o->used_by = 0;
}

void lab_objects_freed(uintptr_t address, size_t size, uintptr_t pc)
{
	struct lab_object *o;
	for (unsigned i = 0; (o = lab_object_number(i)); i++)
		if (o->address - address < size)
			object_freed(o, pc);
}

/* Returns the live robust mutex that the running thread holds and has locked last, or NULL. */
static struct lab_object *object_last_robust(void)
{
	struct lab_object *o, *last = NULL;
	for (unsigned i = 0; (o = lab_object_number(i)); i++)
		if (o->live && o->robust && o->owner == (int)lab.self->id &&
		    (!last || o->taken_clock > last->taken_clock))
			last = o;
	return last;
}

/* The mutex that was locked last comes first, as in Linux. */
static void object_abandon_robust(uintptr_t pc)
{
	for (struct lab_object *o; (o = object_last_robust());) {
		const struct lab_op op = lab_object_point(LAB_SYNC_ABANDON, o, pc);
		o->owner = LAB_NOBODY;
		o->owner_died = true;
		o->count = 0;
		lab_object_release(&o->view);
		lab_object_changed(o);
		lab_sync_event(op, 0);
	}
}

void lab_objects_left(uintptr_t pc)
{
	const unsigned self = lab.self->id;
	const struct lab_object *o;
	object_abandon_robust(pc);
	for (unsigned i = 0; (o = lab_object_number(i)); i++) {
		if (!o->live)
			continue;
		if (o->owner == (int)self && o->kind != LAB_ONCE)
			lab_misuse(pc, "ends while it holds %s, which it has held since %s", lab_object_name(o),
			           lab_site_name(o->taken.pc));
		if (o->reads[self] > 0)
			lab_misuse(pc, "ends while it holds %s for reading", lab_object_name(o));
	}
}

/* --- waiting --- */

void lab_object_release(struct lab_view *view)
{
	lab_view_join(view, &lab.self->view);
}

void lab_object_acquire(const struct lab_view *view)
{
	lab_view_join(&lab.self->view, view);
}

struct lab_changes *lab_object_by(struct lab_object *o)
{
	for (; o->width < lab.n_threads; o->width++)
		o->by[o->width] = (struct lab_changes){0};
	return &o->by[lab.self->id];
}

void lab_object_taken(struct lab_object *object)
{
	lab_object_by(object)->changed = lab_clock_of(lab.self);
	for (unsigned i = 0; i < lab.n_threads; i++)
		lab_raise(&object->by[i].before, lab_known_most(&lab.self->view.at[i]));
	lab.idle_rounds = 0;
	lab_moved();
	LAB_EACH_THREAD (t) {
		if (t->object == object && (t->state == LAB_BLOCKED || t->state == LAB_READY))
			lab_thread_can(t, t->can(object, t));
	}
}

void lab_object_changed(struct lab_object *object)
{
	lab_object_by(object)->released = lab_clock_of(lab.self);
	lab_object_taken(object);
	lab_wake_spinners(object->address);
}

void lab_object_seen(const struct lab_object *object)
{
	for (unsigned i = 0; i < object->width; i++)
		lab_raise(&lab.self->view.at[i].before, object->by[i].before);
}

void lab_object_take(struct lab_object *o, uintptr_t pc)
{
	o->owner = (int)lab.self->id;
	o->taken = lab_here(pc);
	o->taken_clock = lab_clock_of(lab.self);
	lab_object_acquire(&o->view);
	lab_object_taken(o);
}

void lab_object_queue(struct lab_thread *t, struct lab_op op, struct lab_object *object, lab_can *can)
{
	t->next = op;
	t->object = object;
	t->can = can;
	lab_thread_can(t, can(object, t));
}

unsigned lab_object_waiters(const struct lab_object *object)
{
	unsigned n = 0;
	LAB_EACH_THREAD (t)
		n += t->object == object && t != lab.self && t->state == LAB_BLOCKED;
	return n;
}

static void object_check_live(const struct lab_object *o, const struct lab_op *op)
{
	if (!o->live && o->ender.pc == 0)
		lab_heap_check(o->address, 1, true, op->pc); /* The block of the object was freed. */
	if (!o->live)
		object_misuse_ended(o, lab_sync_verb(op->order), op->pc);
}

/*
 * If a change of the state does not happen before the step, the step might also find the state
 * before that change. The search tries this in another order, unless a path of other edges leads
 * from the change to this step: see memory.c. A try may fail because it finds a lock that has been
 * released since, or no permit; a value that is read may be any old one.
 */
static void object_check_order(const struct lab_object *o, bool value)
{
	if (lab.steered || o->kind == LAB_IO)
		/*
		 * Along a graph, the step is a load. A call on a descriptor acquires the kernel's
		 * lock.
		 */
		return;
	for (unsigned i = 0; i < o->width; i++) {
		const struct lab_known *known = &lab.self->view.at[i];
		const uint32_t change = value ? o->by[i].changed : o->by[i].released;
		if (change > known->seen && known->before > known->seen)
			lab_met(LAB_MET_ORDER);
	}
}

struct lab_op lab_object_point(enum lab_sync what, const struct lab_object *o, uintptr_t pc)
{
	const struct lab_op op = lab_sync_op(what, o->address, pc);
	lab_point(op);
	object_check_live(o, &op);
	lab_object_seen(o);
	return op;
}

unsigned lab_object_try(struct lab_op op, const struct lab_object *o, lab_can *can)
{
	lab_point(op);
	object_check_live(o, &op);
	object_check_order(o, op.order == LAB_SYNC_VALUE);
	lab_object_seen(o);
	lab_looked(o->address, 0); /* When the object is released, a spin ends. */
	return lab.steered ? lab_steer_try(o, op.order) : can(o, lab.self);
}

static bool object_always(const struct lab_object *object, const struct lab_thread *thread)
{
	(void)object;
	(void)thread;
	return true;
}

int lab_object_wait(struct lab_op op, struct lab_object *object, lab_can *can, int64_t deadline)
{
	struct lab_thread *self = lab.self;
	const bool once = deadline <= lab.now;
	if (deadline == LAB_TRY)
		return lab_object_try(op, object, can) ? 0 : -EAGAIN;
	if (lab.steered && deadline != INT64_MAX) {
		if (!once && !(lab_config.fault_mask & LAB_FAULT_TIMEOUT))
			lab_steer_refuse("a wait with a deadline, where timeouts are switched off");
		if (op.order != LAB_SYNC_TRYLOCK)
			op.order++; /* This is the step that tries. */
		return lab_object_try(op, object, can) ? 0 : -ETIMEDOUT;
	}
	self->expires = !once && deadline != INT64_MAX;
	self->deadline = deadline;
	self->result = 0;
	lab_thread_await(op, object, once ? object_always : can);
	object_check_live(object, &op);
	if (deadline != INT64_MAX)
		object_check_order(object, false);
	lab_object_seen(object);
	lab_steer_step(object, op.order);
	if (once && !can(object, self))
		return -ETIMEDOUT;
	return self->result;
}

/* --- when no thread can go on --- */

/* A writer waits for a reader; a reader waits for the writer before it in the queue. */
static const struct lab_thread *object_rwlock_blocker(const struct lab_thread *t)
{
	const struct lab_object *o = t->object;
	LAB_EACH_THREAD (other) {
		if (t->next.order == LAB_SYNC_RDLOCK ? other->object == o && other->next.order == LAB_SYNC_WRLOCK
		                                     : o->reads[other->id] > 0)
			return other;
	}
	return NULL;
}

const struct lab_thread *lab_object_blocker(const struct lab_thread *t)
{
	if (t->state != LAB_BLOCKED)
		return NULL;
	if (!t->object)
		return t->next.kind == LAB_JOIN ? &lab.threads[t->joins] : NULL;
	if (t->object->owner != LAB_NOBODY)
		return &lab.threads[t->object->owner];
	return t->object->kind == LAB_RWLOCK ? object_rwlock_blocker(t) : NULL;
}

static void object_say_link(char *text, size_t size, const struct lab_thread *t, const struct lab_thread *next)
{
	const size_t length = strlen(text);
	const char *between = length > 0 ? "; " : "";
	const bool reads = t->next.order == LAB_SYNC_RDLOCK;
	const bool behind = reads && t->object && t->object->owner == LAB_NOBODY;
	if (!t->object)
		snprintf(text + length, size - length, "%s%s joins %s", between, t->name, next->name);
	else if (t->object->kind == LAB_RWLOCK)
		snprintf(text + length, size - length, "%s%s wants %s to %s, %s %s %s", between, t->name,
		         lab_object_name(t->object), reads ? "read" : "write", behind ? "behind" : "which", next->name,
		         behind                           ? "that waits to write"
		         : t->object->owner != LAB_NOBODY ? "holds for writing"
		                                          : "holds for reading");
	else
		snprintf(text + length, size - length, "%s%s wants %s, which %s holds", between, t->name,
		         lab_object_name(t->object), next->name);
}

/* Describes the cycle that contains `first`; false: there is none. */
static bool object_tell_cycle(const struct lab_thread *first)
{
	char text[400] = "";
	const struct lab_thread *t = first;
	uintptr_t locks = 0;
	for (unsigned n = 0; n < lab.n_threads; n++) {
		const struct lab_thread *next = lab_object_blocker(t);
		if (!next)
			return false;
		locks ^= t->object ? t->object->address : 0;
		object_say_link(text, sizeof text, t, next);
		t = next;
		if (t == first) {
			lab.at = locks;
			lab_fail(LAB_DEADLOCK, "%s", text);
		}
	}
	return false;
}

void lab_objects_cycle(void)
{
	LAB_EACH_THREAD (t)
		(void)object_tell_cycle(t);
}

void lab_objects_stuck(void)
{
	lab_objects_cycle();
	LAB_EACH_THREAD (t) {
		const struct lab_object *o = t->state == LAB_BLOCKED ? t->object : NULL;
		if (o && o->kind == LAB_COND && o->wasted.pc)
			lab_fail(LAB_LOST_WAKEUP,
			         "%s waits for %s for ever: the signal by %s (%s) came before the wait", t->name,
			         lab_object_name(o), lab.threads[o->wasted.thread].name, lab_site_name(o->wasted.pc));
		int number;
		if (o && lab_io_lost(t, &number))
			lab_fail(
			    LAB_LOST_WAKEUP,
			    "%s waits in epoll_wait() for ever (%s): it has been told of the bytes of descriptor %d",
			    t->name, lab_site_name(t->place), number);
	}
}
