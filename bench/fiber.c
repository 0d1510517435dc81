/* SPDX-License-Identifier: BSD-2-Clause */
/* The switch between fibers by itself, and with a scheduler: inside the library. */
#include "fiber.h"

#include "loop/fiber/fiber.h"
#include "loop/fiber/switch.h"
#include <fairlead/time.h>

enum { FLOW_STACK = 64 * 1024 };

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

static flows *flows_open(void)
{
	flows *s = bench_alloc(sizeof *s);
	s->stack = bench_alloc(FLOW_STACK);
	fl__switch_make(&s->there, s->stack, FLOW_STACK, flows_enter, s);
	return s;
}

static inline void flows_go(flows *s)
{
	fl__switch_to(&s->here, &s->there);
}

static void flows_close(flows *s)
{
	free(s->stack);
	free(s);
}

FIBER_SWITCH_BENCH(fairlead, flows, flows_open, flows_go, flows_close)

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
	struct fl__sched *s = NULL;
	if (fl__sched_create(&s, NULL) != 0)
		bench_fail("no memory for a scheduler");
	struct fl__fiber *a = start(s, yield_all, t), *b = start(s, yield_all, t);
	if (fl__sched_run(s) != 0)
		bench_fail("the scheduler did not run");
	end(a);
	end(b);
	fl__sched_destroy(s);
}

static const bench_row rows[] = {FIBER_SWITCH_ROW(fairlead), FIBER_WORK_ROW("fiber/yield", "fairlead", fairlead_yield)};
BENCH_ROWS(rows)
