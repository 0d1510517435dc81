/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The threads of the actors. They live as long as the process. Between batches they sleep on
 * `phase`, which counts the batches. The last thread that finishes a batch wakes the leader, which
 * sleeps on `running`. Each thread, and the leader, yields a few times before it sleeps, so that
 * two CPUs serve many of them.
 */
#include "../engine/door.h"
#include "native.h"
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PATIENCE = 400, START_PATIENCE = 20000, YIELDS = 50 };

struct member {
	struct native_actor_live *live;
	struct native_actor_live *partners; /* the actors of this copy, this one included */
	unsigned index, copy;
	/* how many turns it waits for its partners; shorter if they do not come */
	unsigned patience;
};

static cpu_set_t cpus;
static unsigned n_actors, n_members;
static struct member members[NATIVE_THREADS];
static const struct native_batch *the_batches;
/* The leader releases the batches by it, and the members acquire it. */
static _Atomic uint32_t phase;
/* Each member releases what it did by it, and the leader acquires it. */
static _Atomic uint32_t running;

static void sleep_while(_Atomic uint32_t *word, uint32_t value)
{
	for (unsigned i = 0; i < YIELDS; i++) {
		if (atomic_load_explicit(word, memory_order_acquire) != value)
			return;
		(void)sched_yield();
	}
	while (atomic_load_explicit(word, memory_order_acquire) == value)
		(void)native_futex_wait((const void *)word, value, INT64_MAX);
}

void native_place(int n)
{
	cpu_set_t one;
	int count = CPU_COUNT(&cpus);
	if (n < 0 || count < 2) {
		(void)sched_setaffinity(0, sizeof cpus, &cpus);
		return;
	}
	CPU_ZERO(&one);
	n %= count;
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (CPU_ISSET(cpu, &cpus) && n-- == 0)
			CPU_SET(cpu, &one);
	}
	(void)sched_setaffinity(0, sizeof one, &one);
}

/*
 * Makes actors arrive together, but orders nothing. Before the first sample of a batch an actor
 * waits longer for its partners, because their threads may still have to wake.
 */
static void meet(struct member *me, uint32_t sample, unsigned skew)
{
	unsigned patience = sample == 0 ? START_PATIENCE : me->patience, most = PATIENCE + 4 * skew;
	for (unsigned a = 0; a < n_actors; a++) {
		unsigned turns = 0;
		while (atomic_load_explicit(&me->partners[a].at, memory_order_relaxed) < sample) {
			if (turns++ >= patience) {
				me->patience /= 2;
				return;
			}
		}
	}
	me->patience = me->patience * 2 + 64 < most ? me->patience * 2 + 64 : most;
}

static void walk(struct member *me, const struct native_batch *batch)
{
	void (*call)(void *) = native_test->test->actors[me->index].call;
	for (uint32_t i = 0; i < batch->n; i++) {
		atomic_store_explicit(&me->live->at, i, memory_order_relaxed);
		if (batch->together)
			meet(me, i, batch->skew);
		if (batch->skew > 0)
			native_pause(native_draw() % batch->skew);
		call(batch->states + i * batch->stride);
	}
	atomic_store_explicit(&me->live->at, UINT32_MAX, memory_order_relaxed);
}

static void *member_run(void *arg)
{
	struct member *me = arg;
	native_seed((unsigned)(me - members) + 1);
	native_watch_thread();
	atomic_store(&me->live->tid, (int)syscall(SYS_gettid));
	native_enter(me->live->name);
	for (uint32_t seen = 0;; seen++) {
		sleep_while(&phase, seen);
		const struct native_batch *batch = &the_batches[me->copy];
		native_place(batch->apart ? (int)(me->index + batch->skew) : -1);
		walk(me, batch);
		if (atomic_fetch_sub_explicit(&running, 1, memory_order_acq_rel) == 1)
			(void)native_futex_wake(&running, 1);
	}
	return NULL;
}

static void start_member(struct member *me)
{
	char name[16];
	pthread_t thread;
	if (pthread_create(&thread, NULL, member_run, me) != 0)
		native_give_up(LAB_CHECK, "no more threads");
	snprintf(name, sizeof name, "%.15s", me->live->name);
	(void)pthread_setname_np(thread, name);
}

void native_team_start(void)
{
	const struct fl_stress_function *actors = native_test->test->actors;
	(void)sched_getaffinity(0, sizeof cpus, &cpus);
	while (n_actors < FL_STRESS_ACTORS && actors[n_actors].call)
		n_actors++;
	n_members = n_actors * native_config->copies;
	native_config->live->n_actors = n_members;
	for (unsigned i = 0; i < n_members; i++) {
		struct native_actor_live *live = &native_config->live->actors[i];
		unsigned copy = i / n_actors, index = i % n_actors;
		const char *name = actors[index].name;
		if (native_config->copies > 1)
			snprintf(live->name, sizeof live->name, "%.24s.%u", name, copy + 1);
		else
			snprintf(live->name, sizeof live->name, "%s", name);
		members[i] = (struct member){live, live - index, index, copy, PATIENCE};
		start_member(&members[i]);
	}
}

void native_team_run(const struct native_batch *batches)
{
	the_batches = batches;
	for (unsigned i = 0; i < n_members; i++)
		atomic_store_explicit(&members[i].live->at, 0, memory_order_relaxed);
	atomic_store_explicit(&running, n_members, memory_order_relaxed);
	atomic_fetch_add_explicit(&phase, 1, memory_order_release);
	(void)native_futex_wake(&phase, (int)n_members);
	for (uint32_t left; (left = atomic_load_explicit(&running, memory_order_acquire)) != 0;)
		sleep_while(&running, left);
}

const void *native_team_state(unsigned i, uint32_t at)
{
	const struct native_batch *batch = &the_batches[members[i].copy];
	return batch->states + at * batch->stride;
}
