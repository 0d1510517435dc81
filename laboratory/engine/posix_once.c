/* SPDX-License-Identifier: BSD-2-Clause */
/* pthread_once_t, once_flag, and the keys of thread-specific values. */
#include "posix.h"
#include <limits.h>

bool lab_once_begin(const void *once, const char *what, uintptr_t pc)
{
	const bool fresh = once && *(const int *)once == 0;
	struct lab_object *o = lab_object_use(once, LAB_ONCE, fresh, what, pc);
	if (o->owner == (int)lab.self->id)
		lab_misuse(pc, "%s %s from the function that it calls, so it waits for itself", what,
		           lab_object_name(o));
	const struct lab_op op = lab_sync_op(LAB_SYNC_ONCE, o->address, pc);
	(void)lab_object_wait(op, o, lab_mutex_can, INT64_MAX);
	lab_sync_event(op, 0);
	lab_object_acquire(&o->view);
	if (o->round > 0)
		return false;
	lab_object_take(o, pc);
	return true;
}

void lab_once_end(const void *once, bool done)
{
	struct lab_object *o = lab_object_find((uintptr_t)once);
	if (!o)
		return;
	o->owner = LAB_NOBODY;
	o->round = done;
	/* what it did since its last step happens before, too */
	lab.self->view.at[lab.self->id].hb++;
	lab_object_release(&o->view);
	lab_object_changed(o);
}

struct once_call {
	const void *once;
	bool done;
};

static void once_call_over(struct once_call *call)
{
	lab_once_end(call->once, call->done);
}

/* A C++ exception from the function resets the once. */
void lab_once(const void *once, void (*function)(void), uintptr_t pc)
{
	lab_reads(once, sizeof(int), pc);
	if (!lab_once_begin(once, "calls once by", pc))
		return;
	__attribute__((cleanup(once_call_over))) struct once_call call = {once, false};
	(void)lab_call_back(function, 0, 0, 0);
	call.done = true;
}

EXPORTED int pthread_once(pthread_once_t *once, void (*call)(void))
{
	const struct lab_made made = {(uintptr_t)once, LAB_ONCE, .round = 1};
	FORWARD_INIT(pthread_once, (once, call), made);
	lab_once(once, call, PC);
	return 0;
}

/*
 * --- keys ---
 *
 * Keys that an execution makes have numbers from FIRST on. A key that a constructor of the program
 * has made got its number from the C library, and exists in each execution.
 */

enum { KEYS = 1024, FIRST = 0x10000, ROUNDS = PTHREAD_DESTRUCTOR_ITERATIONS };

static struct {
	/* the place of the call in a constructor that made the key; 0: none did */
	uintptr_t early;
	uint32_t made, deleted; /* in which execution the key was made, and deleted; 0: in none */
	void (*destroy)(void *);
} keys[KEYS];

static struct values {
	uint32_t generation;
	void *of[KEYS];
	uint32_t used[KEYS]; /* the clock of the thread's last use */
	/* the destructors of its C++ variables, in the reverse of the order in which they run */
	struct destructor {
		void (*call)(void *);
		void *object;
	} * destructors;
	size_t n_destructors, room;
} values[LAB_THREADS];
static unsigned n_early; /* index of the first key that an execution makes */
static unsigned n_keys;
static uint32_t keys_generation;

static unsigned once_keys_made(void)
{
	if (keys_generation != lab.generation)
		n_keys = n_early;
	keys_generation = lab.generation;
	return n_keys;
}

/* Whether a constructor of the running program made the key. */
static bool once_key_is_early(unsigned index)
{
	return index < n_early && lab_is_module_code(keys[index].early);
}

static bool once_key_is_live(unsigned index)
{
	return index < once_keys_made() && keys[index].deleted != lab.generation &&
	       (keys[index].made == lab.generation || once_key_is_early(index));
}

void lab_key_made(unsigned key, void (*destroy)(void *), uintptr_t pc)
{
	/* or a handler of fork() made the key, which belongs to the tool */
	if (!(lab_is_constructor(pc) || lab_is_module_code(pc)) || key >= KEYS)
		return;
	keys[key].early = pc;
	keys[key].destroy = destroy;
	n_early = key >= n_early ? key + 1 : n_early;
}

/* In a new execution, main has the values that constructors have set. */
static struct values *once_values(unsigned thread)
{
	static __typeof__(pthread_getspecific) *real;
	struct values *v = &values[thread];
	if (v->generation == lab.generation)
		return v;
	real = real ? real : REAL(pthread_getspecific);
	for (unsigned i = 0; i < once_keys_made(); i++) {
		v->of[i] = thread == 0 && once_key_is_early(i) ? real(i) : NULL;
		v->used[i] = 0;
	}
	v->n_destructors = 0;
	v->generation = lab.generation;
	return v;
}

int lab_key_create(unsigned *key, void (*destroy)(void *), uintptr_t pc)
{
	lab_writes(key, sizeof *key, pc);
	lab_shared_step(LAB_SHARED_KEYS, pc);
	const unsigned index = once_keys_made();
	if (index == KEYS)
		return EAGAIN;
	keys[index].made = lab.generation;
	keys[index].deleted = 0;
	keys[index].destroy = destroy;
	n_keys++;
	for (unsigned i = 0; i < lab.n_threads; i++)
		if (values[i].generation == lab.generation) {
			values[i].of[index] = NULL;
			values[i].used[index] = 0;
		}
	*key = FIRST + index;
	return 0;
}

static unsigned once_key_index(unsigned key, const char *what, uintptr_t pc)
{
	const unsigned index = key < n_early ? key : key - FIRST;
	if (!once_key_is_live(index))
		lab_misuse(pc, "%s a key that does not exist", what);
	return index;
}

int lab_key_delete(unsigned key, uintptr_t pc)
{
	lab_shared_step(LAB_SHARED_KEYS, pc);
	const unsigned index = once_key_index(key, "deletes", pc);
	for (unsigned i = 0; i < lab.n_threads; i++)
		if (values[i].generation == lab.generation && !lab_is_known(i, values[i].used[index]))
			lab_misuse(pc, "deletes a key, but its use by %s is not ordered before", lab.threads[i].name);
	keys[index].deleted = lab.generation;
	return 0;
}

/*
 * A use is not a step. lab_key_delete() finds each use that does not happen before it, whichever of
 * the two comes first.
 */
static void **once_value(unsigned key, const char *what, uintptr_t pc)
{
	const unsigned index = once_key_index(key, what, pc);
	struct values *v = once_values(lab.self->id);
	v->used[index] = lab_clock_after(lab.self);
	return &v->of[index];
}

void *lab_key_get(unsigned key, uintptr_t pc)
{
	return *once_value(key, "reads the value of", pc);
}

int lab_key_set(unsigned key, const void *value, uintptr_t pc)
{
	*once_value(key, "sets the value of", pc) = (void *)value;
	lab.self->changes++;
	return 0;
}

void lab_variables_end(void)
{
	struct values *v = once_values(lab.self->id);
	while (v->n_destructors > 0) {
		const struct destructor d = v->destructors[--v->n_destructors];
		(void)lab_call_back((void (*)(void))d.call, (uintptr_t)d.object, 0, 0);
	}
}

/*
 * Returns the key whose destructor runs next in this round, or KEYS if there is none. POSIX leaves
 * the order open, so it is a choice.
 */
static unsigned once_next_destructor(const bool *had, uintptr_t pc)
{
	unsigned line[KEYS], n = 0;
	for (unsigned i = 0; i < once_keys_made(); i++)
		if (!had[i] && once_values(lab.self->id)->of[i] && once_key_is_live(i) && keys[i].destroy)
			line[n++] = i;
	return n == 0 ? KEYS : line[n > 1 ? lab_input(n < UINT8_MAX ? n : UINT8_MAX, pc) : 0];
}

void lab_keys_end(uintptr_t pc)
{
	lab_variables_end();
	bool any = once_keys_made() > 0;
	for (unsigned round = 0; any && round < ROUNDS; round++) {
		bool had[KEYS] = {false};
		any = false;
		for (unsigned i; (i = once_next_destructor(had, pc)) < KEYS;) {
			void **place = &once_values(lab.self->id)->of[i], *value = *place;
			lab_shared_step(LAB_SHARED_KEYS, pc);
			had[i] = true;
			if (!once_key_is_live(i))
				continue;
			*place = NULL;
			any = true;
			(void)lab_call_back((void (*)(void))keys[i].destroy, (uintptr_t)value, 0, 0);
		}
	}
}

void lab_keys_visit(void (*visit)(uintptr_t value, void *arg), void *arg)
{
	for (unsigned t = 0; t < lab.n_threads; t++) {
		if (t > 0 && lab.threads[t].state == LAB_DONE)
			continue; /* nothing can read the values of a thread that has ended */
		for (unsigned i = 0; values[t].generation == lab.generation && i < once_keys_made(); i++)
			if (once_key_is_live(i)) /* nothing can read the values of a deleted key, either */
				visit((uintptr_t)values[t].of[i], arg);
	}
}

/* The C++ runtime calls this when a thread has made its thread-local variable. */
DECLARED(int, __cxa_thread_atexit_impl, void (*call)(void *), void *object, void *module)
{
	FORWARD(__cxa_thread_atexit_impl, (call, object, module));
	struct values *v = once_values(lab.self->id);
	v->destructors = lab_grown(v->destructors, v->n_destructors, &v->room, sizeof *v->destructors);
	v->destructors[v->n_destructors++] = (struct destructor){call, object};
	lab.self->changes++;
	return 0;
}

EXPORTED int pthread_key_create(pthread_key_t *key, void (*destroy)(void *))
{
	if (!OURS()) {
		const int result = REAL(pthread_key_create)(key, destroy);
		if (result == 0)
			lab_key_made(*key, destroy, PC);
		return result;
	}
	return lab_key_create(key, destroy, PC);
}

EXPORTED int pthread_key_delete(pthread_key_t key)
{
	FORWARD(pthread_key_delete, (key));
	return lab_key_delete(key, PC);
}

EXPORTED void *pthread_getspecific(pthread_key_t key)
{
	FORWARD(pthread_getspecific, (key));
	return lab_key_get(key, PC);
}

EXPORTED int pthread_setspecific(pthread_key_t key, const void *value)
{
	FORWARD(pthread_setspecific, (key, value));
	return lab_key_set(key, value, PC);
}
