/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios of a starved thread executor: all of its workers sleep in a wait of the library, while
 * tasks are pending. Another worker stands in. In the model a worker may doze at once
 * (FL__DOZE_AFTER).
 */
#include "pools.h"

/*
 * Checks, after all tasks have ended, that no worker dozes, and that no stand-in is left without a
 * recount.
 */
static void starved_end(fl_executor *e)
{
	OK(fl_executor_join(e));
	const struct fl__thread_pool *p = (const struct fl__thread_pool *)(const void *)e;
	FL_STRESS_CHECK(p->dozing == 0);
	FL_STRESS_CHECK(p->stand_ins == 0 || (p->flags & FL__POOL_AWAKE));
	fl_executor_free(e);
}

/* The task that ends the wait is submitted before or after the only worker dozes. */
struct pool_starved_by_one {
	fl_executor *e;
	fl_event event;
};

FL_STRESS_SETUP(pool_starved_by_one)
{
	s->e = pool_of(1);
	OK(await_event_submit(s->e, &s->event, NULL));
}

FL_STRESS_ACTOR(pool_starved_by_one, user)
{
	OK(set_event_submit(s->e, &s->event, NULL));
}

FL_STRESS(pool_starved_by_one, user)
{
	starved_end(s->e);
	FL_ACCEPTABLE(fl_event_is_set(&s->event), "both ran");
}

/*
 * The wait ends as a stand-in starts or runs. The worker and the stand-in do not go on to run tasks
 * at one time.
 */
struct pool_starved_vs_wake {
	fl_executor *e;
	fl_event event;
	atomic_int ran, running, most;
};

FL_TASK_STATIC(starved_run, struct pool_starved_vs_wake *, void)
{
	if (atomic_fetch_add(&(*arg)->running, 1) > 0)
		atomic_store(&(*arg)->most, 2);
	COUNT(&(*arg)->ran);
	atomic_fetch_sub(&(*arg)->running, 1);
	return 0;
}

FL_STRESS_SETUP(pool_starved_vs_wake)
{
	s->e = pool_of(1);
	OK(await_event_submit(s->e, &s->event, NULL));
	OK(starved_run_submit(s->e, s, NULL));
	OK(starved_run_submit(s->e, s, NULL));
}

FL_STRESS_ACTOR(pool_starved_vs_wake, waker)
{
	fl_event_set(&s->event);
}

FL_STRESS(pool_starved_vs_wake, waker)
{
	starved_end(s->e);
	FL_FORBIDDEN(LOOK(&s->most) > 1, "two ran at one time");
	FL_ACCEPTABLE(LOOK(&s->ran) == 2, "all ran");
}

/* The worker wakes, and waits again, while the stand-in steps back. */
struct pool_starved_twice {
	fl_executor *e;
	fl_event first, second;
};

FL_TASK_STATIC(starved_wait_twice, struct pool_starved_twice *, void)
{
	struct fl__thread_pool *p = pool_inside((*arg)->e);
	OK(fl_event_wait(&(*arg)->first));
	fl__store_relaxed(&p->next_stand_in, 0); /* as if the time to it had passed */
	return fl_event_wait(&(*arg)->second);
}

FL_STRESS_SETUP(pool_starved_twice)
{
	s->e = pool_of(1);
	OK(starved_wait_twice_submit(s->e, s, NULL));
	OK(set_event_submit(s->e, &s->first, NULL));
	OK(set_event_submit(s->e, &s->second, NULL));
}

FL_STRESS_ACTOR(pool_starved_twice, user)
{
	OK(fl_executor_join(s->e));
}

FL_STRESS(pool_starved_twice, user)
{
	starved_end(s->e);
	FL_ACCEPTABLE(fl_event_is_set(&s->second), "all ran");
}

/* The limit is lowered while both workers wait. One of them, or another worker, runs the task. */
struct pool_starved_vs_resize {
	fl_executor *e;
	fl_event event, second;
};

FL_STRESS_SETUP(pool_starved_vs_resize)
{
	s->e = pool_of(2);
	OK(await_event_submit(s->e, &s->event, NULL));
	OK(await_event_submit(s->e, &s->second, NULL));
}

FL_STRESS_ACTOR(pool_starved_vs_resize, resizer)
{
	OK(fl_executor_resize(s->e, 1));
	fl_event_set(&s->second);
}

FL_STRESS_ACTOR(pool_starved_vs_resize, user)
{
	OK(set_event_submit(s->e, &s->event, NULL));
}

FL_STRESS(pool_starved_vs_resize, resizer, user)
{
	starved_end(s->e);
	FL_ACCEPTABLE(fl_event_is_set(&s->event), "all ran");
}
