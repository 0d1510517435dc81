/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Measures event loops: Fairlead's, and libuv's in the rows of timers, turns and round trips (libuv
 * has no tasks). loop.py measures Python's.
 */
#include "loop.h"
#include "remote.h"

#include <errno.h>
#include <fairlead/event.h>
#include <fairlead/fiber.h>
#include <fairlead/group.h>
#include <fairlead/loop.h>
#include <fairlead/queue.h>
#include <fairlead/sem.h>
#include <fairlead/time.h>
#include <uv.h>

static fl_fiber *start(int (*function)(void *arg), void *arg)
{
	fl_fiber *f = NULL;
	BENCH_OK(fl_fiber_start(&f, function, arg, NULL));
	return f;
}

static void join(fl_fiber *f, int expected)
{
	int result;
	BENCH_OK(fl_fiber_join(f, &result));
	if (result != expected)
		bench_fail("a fiber returned something else");
}

/* --- tasks --- */

static int count_one(void *arg)
{
	fiber_work *work = arg;
	work->done++;
	return 0;
}

static int spawn_all(void *arg)
{
	bench_thread *t = arg;
	BENCH_EACH (i, t)
		join(start(count_one, t->state), 0);
	return 0;
}

static void fairlead_spawn_join(bench_thread *t)
{
	BENCH_OK(fl_loop_run(spawn_all, t));
}

static void run_group(bench_thread *t, uint64_t n)
{
	fl_group g = FL_GROUP_INIT(NULL);
	for (uint64_t i = 0; i < n; i++)
		BENCH_OK(fl_group_start(&g, count_one, t->state));
	BENCH_OK(fl_group_join(&g));
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
	BENCH_OK(fl_loop_run(run_groups, t));
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
	BENCH_OK(fl_queue_create(&q.there, sizeof(uint64_t), &one));
	BENCH_OK(fl_queue_create(&q.back, sizeof(uint64_t), &one));
	BENCH_OK(fl_loop_run(run_pingpong, &q));
	fl_queue_free(q.there);
	fl_queue_free(q.back);
}

/*
 * Starts LOOP_TASKS tasks that wait, cancels them one by one, and joins them. Only the cancels and
 * joins are timed.
 */

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
	BENCH_OK(fl_sleep(FL_MS(1)));
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
	BENCH_OK(fl_loop_run(cancel_all, t));
}

/*
 * --- timers ---
 *
 * One operation stops one of the started timers, and starts it again for another time.
 */

typedef struct timers {
	fiber_work work;
	fl_loop *loop;
	fl_time base;
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
	fl_loop_timer_start(s->loop, t, fl_time_add(s->base, FL_S(3600) + FL_MS((int64_t)loop_timer_ms(i))), too_early,
	                    s);
	s->work.done++;
}

static void *timers_setup(const bench_setting *with)
{
	timers *s = bench_alloc(sizeof *s);
	s->base = fl_now();
	BENCH_OK(fl_loop_create(&s->loop, NULL));
	for (uint64_t i = 0; i < LOOP_TIMERS; i++)
		again(s, i);
	s->work.done = 0;
	return s;
}

static int restart_all(void *arg)
{
	bench_thread *t = arg;
	BENCH_EACH (i, t)
		again(t->state, LOOP_TIMERS + i);
	return 0;
}

static void fairlead_timer(bench_thread *t)
{
	timers *s = t->state;
	BENCH_OK(fl_loop_run_on(s->loop, restart_all, t));
}

static void timers_teardown(void *state, uint64_t total)
{
	timers *s = state;
	fl_loop_free(s->loop);
	/* the work is the first field, so this frees the whole state */
	fiber_work_teardown(&s->work, total);
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
	BENCH_OK(uv_timer_stop(t));
	BENCH_OK(uv_timer_start(t, uv_too_early, 3600 * 1000 + loop_timer_ms(i), 0));
	s->work.done++;
}

static void *uv_timers_setup(const bench_setting *with)
{
	uv_timers *s = bench_alloc(sizeof *s);
	BENCH_OK(uv_loop_init(&s->loop));
	for (uint64_t i = 0; i < LOOP_TIMERS; i++) {
		BENCH_OK(uv_timer_init(&s->loop, &s->timers[i]));
		uv_again(s, i);
	}
	s->work.done = 0;
	return s;
}

static void uv_timer(bench_thread *t)
{
	BENCH_EACH (i, t)
		uv_again(t->state, LOOP_TIMERS + i);
}

static void uv_timers_teardown(void *state, uint64_t total)
{
	uv_timers *s = state;
	for (uint64_t i = 0; i < LOOP_TIMERS; i++)
		uv_close((uv_handle_t *)&s->timers[i], NULL);
	BENCH_OK(uv_run(&s->loop, UV_RUN_DEFAULT));
	BENCH_OK(uv_loop_close(&s->loop));
	fiber_work_teardown(&s->work, total);
}

/*
 * --- a loop and another thread ---
 *
 * These rows measure turns of a loop that has nothing to do, and round trips to a loop that another
 * thread runs.
 */

/* --- turns --- */

static void *fairlead_turns_setup(const bench_setting *with)
{
	fl_loop *l = NULL;
	BENCH_OK(fl_loop_create(&l, NULL));
	return l;
}

static void fairlead_turns(bench_thread *t)
{
	BENCH_EACH (i, t) {
		fl_time deadline;
		BENCH_OK(fl_loop_run_once(t->state, &deadline));
		if (deadline.ns != FL_FOREVER.ns)
			bench_fail("a loop without work asks for another turn");
	}
}

static void fairlead_turns_teardown(void *state, uint64_t total)
{
	fl_loop_free(state);
}

typedef struct uv_idle_loop {
	uv_loop_t loop;
	uv_async_t async; /* the loop waits for this; otherwise it would not look for events */
} uv_idle_loop;

static void *uv_turns_setup(const bench_setting *with)
{
	uv_idle_loop *s = bench_alloc(sizeof *s);
	BENCH_OK(uv_loop_init(&s->loop));
	BENCH_OK(uv_async_init(&s->loop, &s->async, NULL));
	return s;
}

static void uv_turns(bench_thread *t)
{
	uv_idle_loop *s = t->state;
	BENCH_EACH (i, t)
		if (uv_run(&s->loop, UV_RUN_NOWAIT) != 1)
			bench_fail("uv_run");
}

static void uv_turns_teardown(void *state, uint64_t total)
{
	uv_idle_loop *s = state;
	uv_close((uv_handle_t *)&s->async, NULL);
	BENCH_OK(uv_run(&s->loop, UV_RUN_DEFAULT));
	BENCH_OK(uv_loop_close(&s->loop));
	free(s);
}

/* --- round trips: the first thread asks, and the second one runs the loop --- */

typedef struct trips {
	fl_loop *loop;
	uint64_t done;
	fl_event over;
	BENCH_ALIGNED fl_sem ready;
	BENCH_ALIGNED fl_sem there;
	BENCH_ALIGNED fl_sem back;
} trips;

static void *trips_setup(const bench_setting *with)
{
	return bench_alloc(sizeof(trips));
}

static void trips_teardown(void *state, uint64_t total)
{
	trips *s = state;
	bench_counted("round trips", s->done, total);
	free(s);
}

static void acquire(fl_sem *sem)
{
	BENCH_OK(fl_sem_acquire(sem));
}

static int be_called(void *arg)
{
	trips *s = arg;
	s->loop = fl_loop_current();
	fl_sem_release(&s->ready);
	BENCH_OK(fl_event_wait(&s->over));
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
		BENCH_OK(fl_loop_run(be_called, s));
		return;
	}
	acquire(&s->ready);
	BENCH_EACH (i, t) {
		BENCH_OK(fl_loop_post(s->loop, answer_call, s));
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
		BENCH_OK(fl_loop_run(answer_all, &(answers){s, t->total}));
		return;
	}
	acquire(&s->ready);
	BENCH_EACH (i, t) {
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

static void *uv_trips_setup(const bench_setting *with)
{
	uv_trips *s = bench_alloc(sizeof *s);
	BENCH_OK(uv_sem_init(&s->ready, 0));
	BENCH_OK(uv_sem_init(&s->back, 0));
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
		BENCH_OK(uv_loop_init(&s->loop));
		BENCH_OK(uv_async_init(&s->loop, &s->async, uv_answer));
		s->async.data = s;
		uv_sem_post(&s->ready);
		BENCH_OK(uv_run(&s->loop, UV_RUN_DEFAULT));
		BENCH_OK(uv_loop_close(&s->loop));
		return;
	}
	uv_sem_wait(&s->ready);
	BENCH_EACH (i, t) {
		BENCH_OK(uv_async_send(&s->async));
		uv_sem_wait(&s->back);
		bench_lap(t);
	}
}

static void uv_trips_teardown(void *state, uint64_t total)
{
	uv_trips *s = state;
	bench_counted("round trips", s->done, total);
	uv_sem_destroy(&s->ready);
	uv_sem_destroy(&s->back);
	free(s);
}

#define PYTHON_ROW(case, fixed)                                                                                        \
	BENCH_REMOTE_ROW("loop/" case, "python_asyncio", fixed, BENCH_PYTHON, BENCH_LOOP_PY, case)

static const bench_row rows[] = {
    FIBER_WORK_ROW("loop/spawn_join", "fairlead", fairlead_spawn_join),
    FIBER_WORK_ROW("loop/pingpong", "fairlead", fairlead_pingpong),
    FIBER_WORK_ROW("loop/group_20000", "fairlead", fairlead_group, 10 * LOOP_GROUP),
    FIBER_WORK_ROW("loop/cancel", "fairlead", fairlead_cancel, 5 * LOOP_TASKS),
    PYTHON_ROW("spawn_join", 50000),
    PYTHON_ROW("pingpong", 20000),
    PYTHON_ROW("group_20000", 5 * LOOP_GROUP),
    PYTHON_ROW("cancel", LOOP_TASKS),
    PYTHON_ROW("timer", 100000),
    {"loop/timer", "fairlead", timers_setup, fairlead_timer, timers_teardown},
    {"loop/timer", "libuv", uv_timers_setup, uv_timer, uv_timers_teardown},
    {"loop/turn", "fairlead", fairlead_turns_setup, fairlead_turns, fairlead_turns_teardown},
    {"loop/turn", "libuv", uv_turns_setup, uv_turns, uv_turns_teardown},
    {"loop/call_roundtrip", "fairlead", trips_setup, fairlead_calls, trips_teardown},
    {"loop/call_roundtrip", "libuv", uv_trips_setup, uv_trips_run, uv_trips_teardown},
    {"loop/sem_roundtrip", "fairlead", trips_setup, fairlead_sems, trips_teardown},
    {"loop/sem_roundtrip", "libuv", uv_trips_setup, uv_trips_run, uv_trips_teardown},
};
BENCH_ROWS(rows)
