/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A loop and another thread: turns of a loop with nothing to do, and round trips to a loop that
 * another thread runs.
 */
#include "shim.h"

#include <fairlead/event.h>
#include <fairlead/fiber.h>
#include <fairlead/loop.h>
#include <fairlead/sem.h>
#include <stdlib.h>
#include <uv.h>

static void check(int rc, const char *what)
{
	if (rc != 0)
		bench_fail("%s: %d", what, rc);
}

/* Turns. */

static void *fairlead_turns_setup(int threads, uint64_t total)
{
	fl_loop *l = NULL;
	(void)threads;
	(void)total;
	check(fl_loop_create(&l, NULL), "fl_loop_create");
	return l;
}

static void fairlead_turns(bench_thread *t)
{
	for (uint64_t i = 0; i < t->total; i++) {
		int64_t deadline;
		check(fl_loop_run_once(t->state, &deadline), "fl_loop_run_once");
		if (deadline != FL_FOREVER)
			bench_fail("a loop without work asks for another turn");
	}
}

static void fairlead_turns_teardown(void *state, uint64_t total)
{
	(void)total;
	fl_loop_free(state);
}

typedef struct uv_idle_loop {
	uv_loop_t loop;
	uv_async_t async; /* that the loop waits for: or it would not look */
} uv_idle_loop;

static void *uv_turns_setup(int threads, uint64_t total)
{
	uv_idle_loop *s = bench_alloc(sizeof *s);
	(void)threads;
	(void)total;
	check(uv_loop_init(&s->loop), "uv_loop_init");
	check(uv_async_init(&s->loop, &s->async, NULL), "uv_async_init");
	return s;
}

static void uv_turns(bench_thread *t)
{
	uv_idle_loop *s = t->state;
	for (uint64_t i = 0; i < t->total; i++)
		if (uv_run(&s->loop, UV_RUN_NOWAIT) != 1)
			bench_fail("uv_run");
}

static void uv_turns_teardown(void *state, uint64_t total)
{
	uv_idle_loop *s = state;
	(void)total;
	uv_close((uv_handle_t *)&s->async, NULL);
	check(uv_run(&s->loop, UV_RUN_DEFAULT), "uv_run");
	check(uv_loop_close(&s->loop), "uv_loop_close");
	free(s);
}

/* Round trips: the first thread asks, the second runs the loop. */

typedef struct trips {
	fl_loop *loop;
	uint64_t done;
	fl_event over;
	BENCH_ALIGNED fl_sem ready;
	BENCH_ALIGNED fl_sem there;
	BENCH_ALIGNED fl_sem back;
} trips;

static void *trips_setup(int threads, uint64_t total)
{
	(void)threads;
	(void)total;
	return bench_alloc(sizeof(trips));
}

static void trips_teardown(void *state, uint64_t total)
{
	trips *s = state;
	if (s->done != total)
		bench_fail("%llu round trips of %llu", (unsigned long long)s->done, (unsigned long long)total);
	free(s);
}

static void acquire(fl_sem *sem)
{
	check(fl_sem_acquire(sem), "fl_sem_acquire");
}

static int be_called(void *arg)
{
	trips *s = arg;
	s->loop = fl_loop_current();
	fl_sem_release(&s->ready);
	check(fl_event_wait(&s->over), "fl_event_wait");
	return 0;
}

static void answer_call(void *arg)
{
	trips *s = arg;
	s->done++;
	fl_sem_release(&s->back);
}

static void fairlead_calls(bench_thread *t)
{
	trips *s = t->state;
	if (t->index == 1) {
		check(fl_loop_run(be_called, s), "fl_loop_run");
		return;
	}
	acquire(&s->ready);
	for (uint64_t i = 0; i < t->total; i++) {
		check(fl_loop_post(s->loop, answer_call, s), "fl_loop_post");
		acquire(&s->back);
		bench_lap(t);
	}
	fl_event_set(&s->over);
}

typedef struct answers {
	trips *s;
	uint64_t total;
} answers;

static int answer_all(void *arg)
{
	const answers *a = arg;
	fl_sem_release(&a->s->ready);
	for (; a->s->done < a->total; a->s->done++) {
		acquire(&a->s->there);
		fl_sem_release(&a->s->back);
	}
	return 0;
}

static void fairlead_sems(bench_thread *t)
{
	trips *s = t->state;
	if (t->index == 1) {
		check(fl_loop_run(answer_all, &(answers){s, t->total}), "fl_loop_run");
		return;
	}
	acquire(&s->ready);
	for (uint64_t i = 0; i < t->total; i++) {
		fl_sem_release(&s->there);
		acquire(&s->back);
		bench_lap(t);
	}
}

typedef struct uv_trips {
	uv_async_t async;
	uv_loop_t loop;
	uint64_t done, total;
	uv_sem_t ready, back;
} uv_trips;

static void *uv_trips_setup(int threads, uint64_t total)
{
	uv_trips *s = bench_alloc(sizeof *s);
	(void)threads;
	(void)total;
	check(uv_sem_init(&s->ready, 0), "uv_sem_init");
	check(uv_sem_init(&s->back, 0), "uv_sem_init");
	return s;
}

static void uv_answer(uv_async_t *async)
{
	uv_trips *s = async->data;
	if (++s->done == s->total)
		uv_close((uv_handle_t *)async, NULL);
	uv_sem_post(&s->back);
}

static void uv_trips_run(bench_thread *t)
{
	uv_trips *s = t->state;
	if (t->index == 1) {
		s->total = t->total;
		check(uv_loop_init(&s->loop), "uv_loop_init");
		check(uv_async_init(&s->loop, &s->async, uv_answer), "uv_async_init");
		s->async.data = s;
		uv_sem_post(&s->ready);
		check(uv_run(&s->loop, UV_RUN_DEFAULT), "uv_run");
		check(uv_loop_close(&s->loop), "uv_loop_close");
		return;
	}
	uv_sem_wait(&s->ready);
	for (uint64_t i = 0; i < t->total; i++) {
		check(uv_async_send(&s->async), "uv_async_send");
		uv_sem_wait(&s->back);
		bench_lap(t);
	}
}

static void uv_trips_teardown(void *state, uint64_t total)
{
	uv_trips *s = state;
	if (s->done != total)
		bench_fail("%llu round trips of %llu", (unsigned long long)s->done, (unsigned long long)total);
	uv_sem_destroy(&s->ready);
	uv_sem_destroy(&s->back);
	free(s);
}

static const bench_row rows[] = {
    {"loop/turn", "fairlead", fairlead_turns_setup, fairlead_turns, fairlead_turns_teardown, 0},
    {"loop/turn", "libuv", uv_turns_setup, uv_turns, uv_turns_teardown, 0},
    {"loop/call_roundtrip", "fairlead", trips_setup, fairlead_calls, trips_teardown, 0},
    {"loop/call_roundtrip", "libuv", uv_trips_setup, uv_trips_run, uv_trips_teardown, 0},
    {"loop/sem_roundtrip", "fairlead", trips_setup, fairlead_sems, trips_teardown, 0},
    {"loop/sem_roundtrip", "libuv", uv_trips_setup, uv_trips_run, uv_trips_teardown, 0},
};
BENCH_ROWS(rows)
