/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Says why an execution is stuck: when no thread can run, finds what the threads wait for, and the
 * verdict.
 */
#include "object.h"

struct line {
	uintptr_t futex, stack, size, key;
};

/*
 * Notes the key of the wait if the wait is that of the thread that `arg` describes. Several threads
 * may sleep on one futex; the thread's own wait is the one on its stack.
 */
static void match(const void *key, const void *wait, const uint32_t *futex, const char *name, void *arg)
{
	(void)name;
	struct line *line = arg;
	if ((uintptr_t)futex == line->futex && (uintptr_t)wait - line->stack < line->size)
		line->key = (uintptr_t)key;
}

/* Says what a thread waits for: "main waits for the barrier b, where 1 of 2 have arrived". */
static void stuck_say(const struct lab_thread *t, char *text, size_t size)
{
	const struct lab_object *o = t->object;
	if (t->next.kind == LAB_JOIN) {
		snprintf(text, size, "%s waits for the end of %s", t->name, lab.threads[t->joins].name);
		return;
	}
	if (!o && !t->futex) {
		snprintf(text, size, "%s sleeps", t->name);
		return;
	}
	if (!o) {
		snprintf(text, size, "%s sleeps on the futex %s", t->name, lab_address_name(t->futex));
		return;
	}
	const char *name = lab_object_name(o);
	if (o->kind == LAB_BARRIER)
		snprintf(text, size, "%s waits at %s, where %u of %u have arrived", t->name, name, o->count, o->limit);
	else if (o->owner != LAB_NOBODY)
		snprintf(text, size, "%s waits for %s", t->name, lab_object_held(o));
	else if (o->kind == LAB_RWLOCK)
		snprintf(text, size, "%s waits for %s, which %u reader%s hold%s", t->name, name, o->count,
		         o->count == 1 ? "" : "s", o->count == 1 ? "s" : "");
	else
		snprintf(text, size, "%s waits for %s", t->name, name);
}

/* Describes a wait on several words. Returns true if one of the words has changed. */
static bool describe_many(const struct lab_thread *t)
{
	bool changed = false;
	lab_detail("  %s sleeps on %u futexes (%s)\n", t->name, t->n_many, lab_site_name(t->place));
	for (unsigned i = 0; i < t->n_many; i++) {
		const struct fl__futex *f = &t->many[i];
		uint32_t value = (uint32_t)lab_peek((uintptr_t)f->word, 4);
		lab_detail("    %s, expected 0x%x, is 0x%x\n", lab_address_name((uintptr_t)f->word),
		           (unsigned)f->expected, value);
		changed = changed || value != (uint32_t)f->expected;
	}
	return changed;
}

/*
 * Describes what a thread waits for. The global variables must be those of its process. Returns
 * true if the word on which it sleeps has changed since it went to sleep, which is a lost wakeup.
 */
static bool describe(const struct lab_thread *t)
{
	if (t->state != LAB_BLOCKED)
		return false;
	if (t->many)
		return describe_many(t);
	const char *site = lab_site_name(t->place);
	if (t->object || !t->futex) {
		char text[256];
		stuck_say(t, text, sizeof text);
		lab_detail("  %s (%s)\n", text, site);
		return false;
	}
	size_t size;
	const uintptr_t stack = (uintptr_t)lab_stack_of(t->id, &size);
	struct line line = {t->futex, stack, size, 0};
	const struct lab_door *door = lab_door_of(lab_running->module);
	if (door) {
		/* What the walk reads is not an access of the thread. */
		lab_activate(false);
		door->waiters(match, &line);
		lab_activate(true);
	}
	uintptr_t word = line.key ? line.key : t->futex;
	const char *place = lab_address_name(word);
	uint32_t value = (uint32_t)lab_peek(word & ~(uintptr_t)3, 4);
	bool changed = line.key ? lab_newest_step(word) > t->blocked_at : value != t->expected;
	if (line.key)
		lab_detail("  %s is enqueued at %s with the word 0x%x%s (%s)\n", t->name, place, value,
		           changed ? " and has changed since" : "", site);
	else
		lab_detail("  %s sleeps on the futex %s, expected 0x%x, the word is 0x%x (%s)\n", t->name, place,
		           t->expected, value, site);
	return changed;
}

/*
 * Ends the execution because threads sleep without forming a cycle. Threads that wait for another
 * thread to end are listed last.
 */
static _Noreturn void stuck_asleep(void)
{
	char all[400] = "", one[256];
	const struct lab_thread *asleep = NULL;
	unsigned n = 0;
	for (unsigned pass = 0; pass < 2; pass++) {
		LAB_EACH_THREAD (t) {
			const bool joins = t->next.kind == LAB_JOIN;
			if (t->state != LAB_BLOCKED || joins != (pass == 1))
				continue;
			stuck_say(t, one, sizeof one);
			const size_t used = strlen(all);
			snprintf(all + used, sizeof all - used, "%s%s", used > 0 ? "; " : "", one);
			asleep = pass == 0 ? t : asleep;
			n += pass == 0;
		}
	}
	if (n != 1)
		lab_fail(LAB_DEADLOCK, "no thread can go on: %s", all);
	stuck_say(asleep, one, sizeof one);
	lab_fail(LAB_DEADLOCK, "%s for ever (%s)", one, lab_site_name(asleep->place));
}

static _Noreturn void stuck_lost(const struct lab_thread *t)
{
	char one[256];
	stuck_say(t, one, sizeof one);
	if (t->many || !t->futex)
		snprintf(one, sizeof one, "%s sleeps", t->name);
	lab_fail(LAB_LOST_WAKEUP, "%s for ever though what it waits for has changed (%s)", one,
	         lab_site_name(t->place));
}

void lab_stuck(void)
{
	if (lab.awaits)
		lab_prune();
	if (lab_config.safety) {
		lab_objects_cycle();
		lab_prune();
	}
	const struct lab_thread *lost = NULL;
	struct lab_thread *self = lab.self;
	LAB_EACH_THREAD (t) {
		lab.self = t;
		lab_globals_enter(t->process);
		if (describe(t) && !lost)
			lost = t;
	}
	lab.self = self;
	lab_globals_enter(self->process);
	for (unsigned i = 1; i < lab.n_threads; i++)
		if (lab_in(lab.killed, i))
			/* In such a test, an actor has the number of its process. */
			lab_detail("  %s was killed\n", lab.threads[i].name);
	lab_objects_stuck();
	if (lab.spinning) {
		const struct lab_thread *t = &lab.threads[lab_lowest(lab.spinning)];
		lab_fail(LAB_LIVELOCK, "%s spins on %s (%s), and no thread is left to change it", t->name,
		         lab_address_name(t->next.address), lab_site_name(t->place));
	}
	if (lost)
		stuck_lost(lost);
	stuck_asleep();
}
