/* SPDX-License-Identifier: BSD-2-Clause */
/* The event loop: its tasks and timers. Of libuv the timers: it has no tasks. */
#include "loop.h"

#include <errno.h>
#include <fairlead/fiber.h>
#include <fairlead/group.h>
#include <fairlead/loop.h>
#include <fairlead/queue.h>
#include <fairlead/time.h>
#include <uv.h>

static void check(int rc, const char *what)
{
	if (rc != 0)
		bench_fail("%s: %d", what, rc);
}

static fl_fiber *start(int (*function)(void *arg), void *arg)
{
	fl_fiber *f = NULL;
	check(fl_fiber_start(&f, function, arg, NULL), "fl_fiber_start");
	return f;
}

static void join(fl_fiber *f, int expected)
{
	int result;
	check(fl_fiber_join(f, &result), "fl_fiber_join");
	check(result != expected, "a fiber returned something else");
}

/* Tasks. */

static int count_one(void *arg)
{
	fiber_work *work = arg;
	work->done++;
	return 0;
}

static int spawn_all(void *arg)
{
	bench_thread *t = arg;
	for (uint64_t i = 0; i < t->total; i++)
		join(start(count_one, t->state), 0);
	return 0;
}

static void fairlead_spawn_join(bench_thread *t)
{
	check(fl_loop_run(spawn_all, t), "fl_loop_run");
}

static void run_group(bench_thread *t, uint64_t n)
{
	fl_group g = FL_GROUP_INIT(NULL);
	for (uint64_t i = 0; i < n; i++)
		check(fl_group_start(&g, count_one, t->state), "fl_group_start");
	check(fl_group_join(&g), "fl_group_join");
	fl_group_destroy(&g);
}

static int run_groups(void *arg)
{
	bench_thread *t = arg;
	run_group(t, LOOP_GROUP);
	((fiber_work *)t->state)->done = 0;
	const int64_t begin = bench_now();
	for (uint64_t left = t->total, n; left > 0; left -= n) {
		n = left < LOOP_GROUP ? left : LOOP_GROUP;
		run_group(t, n);
	}
	t->took = bench_now() - begin;
	return 0;
}

static void fairlead_group(bench_thread *t)
{
	check(fl_loop_run(run_groups, t), "fl_loop_run");
}

typedef struct queues {
	bench_thread *t;
	fl_queue *there, *back;
} queues;

static int return_all(void *arg)
{
	queues *q = arg;
	uint64_t item;
	for (uint64_t i = 0; i < q->t->total; i++)
		if (fl_queue_get(q->there, &item) != 0 || fl_queue_put(q->back, &item) != 0)
			bench_fail("a queue failed");
	return 0;
}

static int send_all(void *arg)
{
	queues *q = arg;
	fiber_work *work = q->t->state;
	for (uint64_t i = 0; i < q->t->total; i++) {
		uint64_t item = i;
		if (fl_queue_put(q->there, &item) != 0 || fl_queue_get(q->back, &item) != 0 || item != i)
			bench_fail("a queue lost an item");
		work->done++;
	}
	return 0;
}

static int run_pingpong(void *arg)
{
	fl_fiber *returns = start(return_all, arg), *sends = start(send_all, arg);
	join(sends, 0);
	join(returns, 0);
	return 0;
}

static void fairlead_pingpong(bench_thread *t)
{
	queues q = {t, NULL, NULL};
	const fl_queue_config one = {.capacity = 1};
	check(fl_queue_create(&q.there, sizeof(uint64_t), &one), "fl_queue_create");
	check(fl_queue_create(&q.back, sizeof(uint64_t), &one), "fl_queue_create");
	check(fl_loop_run(run_pingpong, &q), "fl_loop_run");
	fl_queue_free(q.there);
	fl_queue_free(q.back);
}

/* LOOP_TASKS that wait, cancelled one by one, then joined: only that is timed. */

static int wait_long(void *arg)
{
	fiber_work *work = arg;
	work->done++;
	return fl_sleep(FL_S(3600));
}

static int cancel_some(bench_thread *t, uint64_t n)
{
	static fl_fiber *tasks[LOOP_TASKS];
	for (uint64_t i = 0; i < n; i++)
		tasks[i] = start(wait_long, t->state);
	check(fl_sleep(FL_MS(1)), "fl_sleep");
	int64_t begin = bench_now();
	for (uint64_t i = 0; i < n; i++)
		fl_fiber_cancel(tasks[i]);
	for (uint64_t i = 0; i < n; i++)
		join(tasks[i], -ECANCELED);
	t->took += bench_now() - begin;
	return 0;
}

static int cancel_all(void *arg)
{
	bench_thread *t = arg;
	for (uint64_t left = t->total, n; left > 0; left -= n) {
		n = left < LOOP_TASKS ? left : LOOP_TASKS;
		cancel_some(t, n);
	}
	return 0;
}

static void fairlead_cancel(bench_thread *t)
{
	check(fl_loop_run(cancel_all, t), "fl_loop_run");
}

/* Timers: one of those that are started is stopped, and started again for another time. */

typedef struct timers {
	fiber_work work;
	fl_loop *loop;
	int64_t base;
	fl_loop_timer timers[LOOP_TIMERS];
} timers;

static void too_early(void *arg)
{
	bench_fail("a timer fired early %p", arg);
}

static void again(timers *s, uint64_t i)
{
	fl_loop_timer *t = &s->timers[i % LOOP_TIMERS];
	fl_loop_timer_cancel(s->loop, t);
	fl_loop_timer_start(s->loop, t, s->base + FL_S(3600) + FL_MS((int64_t)loop_timer_ms(i)), too_early, s);
	s->work.done++;
}

static void *timers_setup(int threads, uint64_t total)
{
	(void)threads;
	(void)total;
	timers *s = bench_alloc(sizeof *s);
	s->base = fl_now();
	check(fl_loop_create(&s->loop, NULL), "fl_loop_create");
	for (uint64_t i = 0; i < LOOP_TIMERS; i++)
		again(s, i);
	s->work.done = 0;
	return s;
}

static int restart_all(void *arg)
{
	bench_thread *t = arg;
	for (uint64_t i = 0; i < t->total; i++)
		again(t->state, LOOP_TIMERS + i);
	return 0;
}

static void fairlead_timer(bench_thread *t)
{
	timers *s = t->state;
	check(fl_loop_run_on(s->loop, restart_all, t), "fl_loop_run_on");
}

static void timers_teardown(void *state, uint64_t total)
{
	timers *s = state;
	fl_loop_free(s->loop);
	fiber_work_teardown(&s->work, total); /* the first field: all of it */
}

typedef struct uv_timers {
	fiber_work work;
	uv_loop_t loop;
	uv_timer_t timers[LOOP_TIMERS];
} uv_timers;

static void uv_too_early(uv_timer_t *timer)
{
	bench_fail("a timer fired early %p", (void *)timer);
}

static void uv_again(uv_timers *s, uint64_t i)
{
	uv_timer_t *t = &s->timers[i % LOOP_TIMERS];
	check(uv_timer_stop(t), "uv_timer_stop");
	check(uv_timer_start(t, uv_too_early, 3600 * 1000 + loop_timer_ms(i), 0), "uv_timer_start");
	s->work.done++;
}

static void *uv_timers_setup(int threads, uint64_t total)
{
	(void)threads;
	(void)total;
	uv_timers *s = bench_alloc(sizeof *s);
	check(uv_loop_init(&s->loop), "uv_loop_init");
	for (uint64_t i = 0; i < LOOP_TIMERS; i++) {
		check(uv_timer_init(&s->loop, &s->timers[i]), "uv_timer_init");
		uv_again(s, i);
	}
	s->work.done = 0;
	return s;
}

static void uv_timer(bench_thread *t)
{
	for (uint64_t i = 0; i < t->total; i++)
		uv_again(t->state, LOOP_TIMERS + i);
}

static void uv_timers_teardown(void *state, uint64_t total)
{
	uv_timers *s = state;
	for (uint64_t i = 0; i < LOOP_TIMERS; i++)
		uv_close((uv_handle_t *)&s->timers[i], NULL);
	check(uv_run(&s->loop, UV_RUN_DEFAULT), "uv_run");
	check(uv_loop_close(&s->loop), "uv_loop_close");
	fiber_work_teardown(&s->work, total);
}

static const bench_row rows[] = {
    LOOP_WORK_ROW("spawn_join", "fairlead", fairlead_spawn_join),
    LOOP_WORK_ROW("pingpong", "fairlead", fairlead_pingpong),
    {"loop/group_20000", "fairlead", fiber_work_setup, fairlead_group, fiber_work_teardown, 10 * LOOP_GROUP},
    {"loop/cancel", "fairlead", fiber_work_setup, fairlead_cancel, fiber_work_teardown, 5 * LOOP_TASKS},
    {"loop/timer", "fairlead", timers_setup, fairlead_timer, timers_teardown, 0},
    {"loop/timer", "libuv", uv_timers_setup, uv_timer, uv_timers_teardown, 0},
};
BENCH_ROWS(rows)
