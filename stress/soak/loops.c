/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An event loop full of fibers that act. Now and then a fiber is cancelled, by a fiber of its own
 * loop or by another thread. Then the fiber ends and is joined, and another fiber takes its place.
 */
#include "soak.h"

struct place {
	fl_mutex lock; /* guards `fiber` against cancellers */
	fl_fiber *fiber;
	struct actor actor;
};

static struct place *places; /* those of all loops */
static uint64_t ended;

static bool is_over(void)
{
	return fl__load_relaxed(&soak.stop); /* relaxed: all ends are joined */
}

static void cancel_one(uint64_t *state)
{
	struct place *p = &places[draw(state) % ((uint64_t)soak.loops * soak.fibers)];
	FL_LOCKED(&p->lock);
	if (p->fiber)
		fl_fiber_cancel(p->fiber);
}

static int act_on(void *place)
{
	struct place *p = place;
	enum { BATCH = 32, ONE_IN = 16 };
	int rc = 0;
	while (rc == 0 && !is_over()) {
		for (int i = 0; i < BATCH && rc == 0; i++)
			rc = act(&p->actor);
		progress(BATCH);
		if (draw(&p->actor.draw) % ONE_IN == 0)
			cancel_one(&p->actor.draw);
		fl_fiber_yield();
	}
	return 0;
}

/* Keeps one place filled until the end. */
static int fill(void *place)
{
	struct place *p = place;
	actor_begin(&p->actor);
	do {
		fl_fiber *f;
		if (fl_fiber_start(&f, act_on, p, NULL) != 0)
			fail("no memory for a fiber");
		fl_mutex_lock(&p->lock);
		p->fiber = f;
		fl_mutex_unlock(&p->lock);
		while (fl_fiber_is_alive(f)) {
			fl_on on = FL_ON_FIBER(f);
			int rc = fl_wait_any_until(&on, 1, FL_FOREVER, FL_SHIELDED);
			if (rc != 0)
				fail("a wait for a fiber answered %s", fl_error_name(rc));
		}
		fl_mutex_lock(&p->lock);
		p->fiber = NULL;
		fl_mutex_unlock(&p->lock);
		fl__add_relaxed(&ended, 1); /* relaxed: a count */
		if (fl_fiber_join(f, NULL) != 0)
			fail("a fiber that has ended could not be joined");
	} while (!is_over());
	actor_end(&p->actor);
	return 0;
}

static int run(void *first)
{
	fl_fiber **fillers = calloc(soak.fibers, sizeof(fl_fiber *));
	if (!fillers)
		fail("no memory");
	for (unsigned i = 0; i < soak.fibers; i++)
		if (fl_fiber_start(&fillers[i], fill, (struct place *)first + i,
		                   &(fl_fiber_config){.name = "filler"}) != 0)
			fail("no memory for a fiber");
	for (unsigned i = 0; i < soak.fibers; i++)
		if (fl_fiber_join(fillers[i], NULL) != 0)
			fail("a fiber could not be joined");
	free(fillers);
	return 0;
}

void loops_open(void)
{
	places = calloc((size_t)soak.loops * soak.fibers, sizeof *places);
	if (!places)
		fail("no memory");
}

void loops_close(void)
{
	free(places);
}

int run_loop(void *number)
{
	return fl_loop_run(run, places + (size_t)(uintptr_t)number * soak.fibers);
}

uint64_t fibers_ended(void)
{
	return fl__load_relaxed(&ended); /* relaxed: a count */
}
