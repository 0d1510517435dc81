/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios of a thread executor with `workers_max`: its workers wait for what a pending task does,
 * and another worker runs that task. In the model such a wait may count as long at once.
 */
#include "pools.h"

static fl_executor *waits_of(unsigned workers)
{
	return pool_as((fl_executor_config){.workers = workers, .workers_max = workers + 1});
}

/* Checks, after all tasks have ended, that no worker counts as waiting. */
static void waits_end(fl_executor *e)
{
	OK(fl_executor_join(e));
	FL_STRESS_CHECK(pool_inside(e)->waiting == 0 && pool_inside(e)->blocked == 0);
	fl_executor_free(e);
}

/* The task that ends the wait is submitted before or after the only worker waits. */
struct pool_waits_by_one {
	fl_executor *e;
	fl_event event;
};

FL_STRESS_SETUP(pool_waits_by_one)
{
	s->e = waits_of(1);
	OK(await_event_submit(s->e, &s->event, NULL));
}

FL_STRESS_ACTOR(pool_waits_by_one, user)
{
	OK(set_event_submit(s->e, &s->event, NULL));
}

FL_STRESS(pool_waits_by_one, user)
{
	waits_end(s->e);
	FL_ACCEPTABLE(fl_event_is_set(&s->event), "both ran");
}

/* The wait ends while another worker begins to run tasks in its place. */
struct pool_waits_vs_wake {
	fl_executor *e;
	fl_event event;
	atomic_int ran;
};

FL_TASK_STATIC(waits_run, struct pool_waits_vs_wake *, void)
{
	COUNT(&(*arg)->ran);
	return 0;
}

FL_STRESS_SETUP(pool_waits_vs_wake)
{
	s->e = waits_of(1);
	OK(await_event_submit(s->e, &s->event, NULL));
	OK(waits_run_submit(s->e, s, NULL));
	OK(waits_run_submit(s->e, s, NULL));
}

FL_STRESS_ACTOR(pool_waits_vs_wake, waker)
{
	fl_event_set(&s->event);
}

FL_STRESS(pool_waits_vs_wake, waker)
{
	waits_end(s->e);
	FL_ACCEPTABLE(LOOK(&s->ran) == 2, "all ran");
}

/* The idle time of the spare worker runs out before or after the only other worker waits. */
struct pool_waits_idle {
	fl_executor *e;
	fl_event event;
};

FL_STRESS_SETUP(pool_waits_idle)
{
	s->e = pool_as((fl_executor_config){.workers = 1, .workers_max = 2, .idle_timeout = 1});
	OK(await_event_submit(s->e, &s->event, NULL));
}

FL_STRESS_ACTOR(pool_waits_idle, user)
{
	OK(set_event_submit(s->e, &s->event, NULL));
}

FL_STRESS(pool_waits_idle, user)
{
	waits_end(s->e);
	FL_ACCEPTABLE(fl_event_is_set(&s->event), "both ran");
}

/* The worker wakes, and waits again, while the other worker goes to sleep. */
struct pool_waits_twice {
	fl_executor *e;
	fl_event first, second;
};

FL_TASK_STATIC(waits_wait_twice, struct pool_waits_twice *, void)
{
	OK(fl_event_wait(&(*arg)->first));
	return fl_event_wait(&(*arg)->second);
}

FL_STRESS_SETUP(pool_waits_twice)
{
	s->e = waits_of(1);
	OK(waits_wait_twice_submit(s->e, s, NULL));
	OK(set_event_submit(s->e, &s->first, NULL));
	OK(set_event_submit(s->e, &s->second, NULL));
}

FL_STRESS_ACTOR(pool_waits_twice, user)
{
	OK(fl_executor_join(s->e));
}

FL_STRESS(pool_waits_twice, user)
{
	waits_end(s->e);
	FL_ACCEPTABLE(fl_event_is_set(&s->second), "all ran");
}

/* The limit is lowered while both workers wait. One of them, or another worker, runs the task. */
struct pool_waits_vs_resize {
	fl_executor *e;
	fl_event event, second;
};

FL_STRESS_SETUP(pool_waits_vs_resize)
{
	s->e = waits_of(2);
	OK(await_event_submit(s->e, &s->event, NULL));
	OK(await_event_submit(s->e, &s->second, NULL));
}

FL_STRESS_ACTOR(pool_waits_vs_resize, resizer)
{
	OK(fl_executor_resize(s->e, 1));
	fl_event_set(&s->second);
}

FL_STRESS_ACTOR(pool_waits_vs_resize, user)
{
	OK(set_event_submit(s->e, &s->event, NULL));
}

FL_STRESS(pool_waits_vs_resize, resizer, user)
{
	waits_end(s->e);
	FL_ACCEPTABLE(fl_event_is_set(&s->event), "all ran");
}
