/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A scenario of a lock of the library (core/sync/mutex.h) that a fiber and a thread use. Another
 * fiber blocks the thread of the loop until the thread has used the lock again and again.
 */
#include "core/sync/turn.h"
#include "loops.h"

struct loop_held {
	struct loop_world world;
	fl_mutex m;
	fl_cond told;
	fl_event used;
	int count;
	bool tells;
};

static int use_held(void *arg)
{
	struct loop_held *s = arg;
	FL__HELD(&s->m);
	while (!s->tells)
		OK(fl__cond_wait(&s->told, &s->m, FL_FOREVER, FL_SHIELDED, true));
	s->count++;
	return 0;
}

static int block_the_loop(void *arg)
{
	struct loop_held *s = arg;
	fl_fiber *f;
	OK(fl_fiber_start(&f, use_held, s, NULL));
	fl_fiber_yield();
	while (!fl_event_is_set(&s->used))
		fl_stress_relax();
	OK(fl_latch_wait(&s->world.others));
	return fl_fiber_join(f, NULL);
}

LOOP_ALONE(loop_held, 1, loop_run, block_the_loop)

FL_STRESS_ACTOR(loop_held, user)
{
	/* With so many calls, an unlock checks whether the turn of a woken waiter is over. */
	for (int i = 0; i <= FL__CALLS_PER_CHECK + 1; i++) {
		FL__HELD(&s->m);
		s->tells = true;
		s->count++;
		fl_cond_signal(&s->told);
		if (i < 2)
			let_a_turn_pass();
	}
	fl_event_set(&s->used);
	loop_leave(&s->world);
}

FL_STRESS(loop_held, loop, user)
{
	loop_end(&s->world);
	FL_ACCEPTABLE(s->count == FL__CALLS_PER_CHECK + 3 && !fl__mutex_is_busy(&s->m), "all had it");
}
