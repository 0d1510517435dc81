/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Measures Fairlead's fibers: the bare switch, which is internal to the library, and a yield in a
 * loop.
 */
#include "fiber.h"

#include "loop/fiber/switch.h"
#include <fairlead/loop.h>

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
	fl__switch_init(&s->there);
	fl__switch_prepare(&s->there, s->stack, FLOW_STACK, flows_enter, s);
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

/* --- with the loop --- */
static int yield_all(void *arg)
{
	bench_thread *t = arg;
	fiber_work *work = t->state;
	while (work->done < t->total) {
		work->done++;
		fl_fiber_yield();
	}
	return 0;
}

static int yield_to_another(void *arg)
{
	fl_fiber *other;
	if (fl_fiber_start(&other, yield_all, arg, NULL) != 0)
		bench_fail("no memory for a fiber");
	(void)yield_all(arg);
	return fl_fiber_join(other, NULL);
}

static void fairlead_yield(bench_thread *t)
{
	if (fl_loop_run(yield_to_another, t) != 0)
		bench_fail("the loop did not run");
}

static const bench_row rows[] = {FIBER_SWITCH_ROW(fairlead), FIBER_WORK_ROW("fiber/yield", "fairlead", fairlead_yield)};
BENCH_ROWS(rows)
