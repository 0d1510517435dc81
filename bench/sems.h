/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef BENCH_SEMS_H
#define BENCH_SEMS_H

#include "turns.h"

/*
 * The workloads of semaphores, for C and C++. In `uncontended`, one thread releases and acquires.
 * In `pingpong`, two threads hand a turn to and fro by two semaphores. In `2permits`, threads
 * contend for two permits.
 */

/*
 * `taken` counts the operations that the threads have begun, until it reaches the total. `inside`
 * counts the threads that hold a permit, and must not exceed the number of permits.
 */
typedef struct sem_data {
	BENCH_ALIGNED uint64_t taken;
	BENCH_ALIGNED unsigned inside;
} sem_data;

enum { SEM_PERMITS = 2 };

static inline void sem_enter(sem_data *data)
{
	if (__atomic_add_fetch(&data->inside, 1, __ATOMIC_RELAXED) > SEM_PERMITS)
		bench_fail("a semaphore let in more than it has permits");
}

static inline void sem_leave(sem_data *data)
{
	__atomic_sub_fetch(&data->inside, 1, __ATOMIC_RELAXED);
}

#define SEM_BENCH(impl, type, init, release, acquire)                                                                  \
	typedef struct impl##_state {                                                                                  \
		sem_data data;                                                                                         \
		BENCH_ALIGNED type sem;                                                                                \
	} impl##_state;                                                                                                \
	static void *impl##_setup(const bench_setting *with)                                                           \
	{                                                                                                              \
		impl##_state *s = (impl##_state *)bench_alloc(sizeof *s);                                              \
		bench_rounds(); /* measures once, which takes its time */                                              \
		init(&s->sem);                                                                                         \
		return s;                                                                                              \
	}                                                                                                              \
	static void impl##_uncontended(bench_thread *t)                                                                \
	{                                                                                                              \
		impl##_state *s = (impl##_state *)t->state;                                                            \
		BENCH_EACH (i, t) {                                                                                    \
			release(&s->sem);                                                                              \
			acquire(&s->sem);                                                                              \
		}                                                                                                      \
	}                                                                                                              \
	TURN_BENCH(impl, type, init, release, acquire)                                                                 \
	static void *impl##_permits_setup(const bench_setting *with)                                                   \
	{                                                                                                              \
		impl##_state *s = (impl##_state *)impl##_setup(with);                                                  \
		for (int i = 0; i < SEM_PERMITS; i++)                                                                  \
			release(&s->sem);                                                                              \
		return s;                                                                                              \
	}                                                                                                              \
	static void impl##_permits_run(bench_thread *t)                                                                \
	{                                                                                                              \
		impl##_state *s = (impl##_state *)t->state;                                                            \
		const unsigned rounds = bench_rounds();                                                                \
		uint64_t done = 0, work = 0;                                                                           \
		while (__atomic_fetch_add(&s->data.taken, 1, __ATOMIC_RELAXED) < t->total) {                           \
			acquire(&s->sem);                                                                              \
			sem_enter(&s->data);                                                                           \
			work = bench_work(work, rounds);                                                               \
			sem_leave(&s->data);                                                                           \
			release(&s->sem);                                                                              \
			done++;                                                                                        \
		}                                                                                                      \
		volatile uint64_t sink = work;                                                                         \
		(void)sink;                                                                                            \
		t->done = done;                                                                                        \
	}                                                                                                              \
	static void impl##_permits_teardown(void *state, uint64_t total)                                               \
	{                                                                                                              \
		impl##_state *s = (impl##_state *)state;                                                               \
		if (s->data.taken < total || s->data.inside != 0)                                                      \
			bench_fail("a semaphore let %llu of %llu pass", (unsigned long long)s->data.taken,             \
			           (unsigned long long)total);                                                         \
		for (int i = 0; i < SEM_PERMITS; i++) /* the acquire blocks if a permit was lost */                    \
			acquire(&s->sem);                                                                              \
		free(s);                                                                                               \
	}

#define SEM_ROWS(impl, label)                                                                                          \
	{"locks/sem_uncontended", label, impl##_setup, impl##_uncontended, bench_free},                                \
	    TURN_ROWS("locks/sem_pingpong", label, impl),                                                              \
	{                                                                                                              \
		"locks/sem_2permits", label, impl##_permits_setup, impl##_permits_run, impl##_permits_teardown         \
	}

#endif
