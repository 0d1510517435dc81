/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fibers: the switch by itself, and with a scheduler. Fibers have no public header yet, so this
 * looks inside the library.
 */
#include "fiber.h"

#include "core/sync/local.h"
#include "loop/fiber/fiber.h"
#include "loop/fiber/switch.h"
#include <fairlead/queue.h>
#include <fairlead/time.h>
#include <ucontext.h>

enum { FLOW_STACK = 64 * 1024 };

/*
 * Flows of the library: the whole switch, and the one that leaves the floating-point control words
 * alone.
 */
typedef struct flows {
	fiber_count count;
	struct fl__switch here, there;
	void *stack;
} flows;

static void flows_enter(void *arg)
{
	flows *s = arg;
	for (;;) {
		s->count.trips++;
		fl__switch_to(&s->there, &s->here);
	}
}

static void flows_enter_plain(void *arg)
{
	flows *s = arg;
	for (;;) {
		s->count.trips++;
		fl__switch_to_plain(&s->there, &s->here);
	}
}

static flows *flows_make(void (*enter)(void *arg))
{
	flows *s = bench_alloc(sizeof *s);
	s->stack = bench_alloc(FLOW_STACK);
	fl__switch_make(&s->there, s->stack, FLOW_STACK, enter, s);
	return s;
}

static flows *flows_open(void)
{
	return flows_make(flows_enter);
}

static flows *flows_open_plain(void)
{
	return flows_make(flows_enter_plain);
}

static inline void flows_go(flows *s)
{
	fl__switch_to(&s->here, &s->there);
}

static inline void flows_go_plain(flows *s)
{
	fl__switch_to_plain(&s->here, &s->there);
}

static void flows_close(flows *s)
{
	free(s->stack);
	free(s);
}

FIBER_SWITCH_BENCH(fairlead, flows, flows_open, flows_go, flows_close)
FIBER_SWITCH_BENCH(plain, flows, flows_open_plain, flows_go_plain, flows_close)

/* swapcontext(), which keeps the signal mask too, and makes a system call for it. */
typedef struct contexts {
	fiber_count count;
	ucontext_t here, there;
	void *stack;
} contexts;

static contexts *contexts_of_thread;

static void contexts_enter(void)
{
	contexts *s = contexts_of_thread;
	for (;;) {
		s->count.trips++;
		swapcontext(&s->there, &s->here);
	}
}

static contexts *contexts_open(void)
{
	contexts *s = bench_alloc(sizeof *s);
	s->stack = bench_alloc(FLOW_STACK);
	if (getcontext(&s->there) != 0)
		bench_fail("getcontext failed");
	s->there.uc_stack.ss_sp = s->stack;
	s->there.uc_stack.ss_size = FLOW_STACK;
	makecontext(&s->there, contexts_enter, 0);
	contexts_of_thread = s;
	return s;
}

static inline void contexts_go(contexts *s)
{
	swapcontext(&s->here, &s->there);
}

static void contexts_close(contexts *s)
{
	free(s->stack);
	free(s);
}

FIBER_SWITCH_BENCH(ucontext, contexts, contexts_open, contexts_go, contexts_close)

/* With the scheduler. */
static struct fl__fiber *start(struct fl__sched *s, int (*function)(void *arg), void *arg)
{
	struct fl__fiber *f = NULL;
	if (fl__fiber_create(s, &f, function, arg, NULL) != 0)
		bench_fail("no memory for a fiber");
	return f;
}

static void end(struct fl__fiber *f)
{
	if (fl__fiber_join(f, NULL, FL_FOREVER, FL_SHIELDED) != 0)
		bench_fail("a fiber could not be joined");
}

/* Runs first(arg), and second(arg) unless it is NULL, to their ends. */
static void run_two(fiber_work *work, int (*first)(void *), int (*second)(void *), void *arg)
{
	struct fl__sched *s = NULL;
	if (fl__sched_create(&s, &(struct fl__sched_config){.ending = fl__locals_end}) != 0)
		bench_fail("no memory for a scheduler");
	work->scheduler = s;
	struct fl__fiber *a = start(s, first, arg), *b = second ? start(s, second, arg) : NULL;
	if (fl__sched_run(s) != 0)
		bench_fail("the scheduler did not run");
	end(a);
	if (b)
		end(b);
	fl__sched_destroy(s);
}

static int yield_all(void *arg)
{
	bench_thread *t = arg;
	fiber_work *work = t->state;
	while (work->done < t->total) {
		work->done++;
		fl__fiber_yield();
	}
	return 0;
}

static void fairlead_yield(bench_thread *t)
{
	run_two(t->state, yield_all, yield_all, t);
}

static int count_one(void *arg)
{
	fiber_work *work = arg;
	work->done++;
	return 0;
}

static int spawn_all(void *arg)
{
	bench_thread *t = arg;
	fiber_work *work = t->state;
	for (uint64_t i = 0; i < t->total; i++)
		end(start(work->scheduler, count_one, work));
	return 0;
}

static void fairlead_spawn_join(bench_thread *t)
{
	run_two(t->state, spawn_all, NULL, t);
}

typedef struct channels {
	bench_thread *t;
	fl_queue *there, *back;
} channels;

static int send_all(void *arg)
{
	channels *c = arg;
	fiber_work *work = c->t->state;
	for (uint64_t i = 0; i < c->t->total; i++) {
		uint64_t item = i;
		if (fl_queue_put(c->there, &item) != 0 || fl_queue_get(c->back, &item) != 0 || item != i)
			bench_fail("a queue lost an item");
		work->done++;
	}
	return 0;
}

static int return_all(void *arg)
{
	channels *c = arg;
	for (uint64_t i = 0; i < c->t->total; i++) {
		uint64_t item;
		if (fl_queue_get(c->there, &item) != 0 || fl_queue_put(c->back, &item) != 0)
			bench_fail("a queue failed");
	}
	return 0;
}

static void fairlead_channel(bench_thread *t)
{
	channels c = {t, NULL, NULL};
	const fl_queue_config two = {.capacity = 2};
	if (fl_queue_create(&c.there, sizeof(uint64_t), &two) != 0 ||
	    fl_queue_create(&c.back, sizeof(uint64_t), &two) != 0)
		bench_fail("no memory for a queue");
	run_two(t->state, send_all, return_all, &c);
	fl_queue_free(c.there);
	fl_queue_free(c.back);
}

static const bench_row rows[] = {
    FIBER_SWITCH_ROW(fairlead, "fairlead"),
    FIBER_SWITCH_ROW(plain, "plain"),
    FIBER_SWITCH_ROW(ucontext, "ucontext"),
    FIBER_WORK_ROW("yield", "fairlead", fairlead_yield),
    FIBER_WORK_ROW("spawn_join", "fairlead", fairlead_spawn_join),
    FIBER_WORK_ROW("channel", "fairlead", fairlead_channel),
};
BENCH_ROWS(rows)
