/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios of the wait until an executor is idle. It misses neither a task nor its wake, whichever
 * context ends the last task: a worker, a canceller, or a submit that runs the task itself.
 */
#include "pools.h"

/*
 * The waiter sees what its own task and the earlier one wrote. The worker is starting, or asleep.
 */
struct executor_idle_wait {
	fl_executor *e;
	int before, data;
};

FL_STRESS_SETUP(executor_idle_wait)
{
	s->e = pool_of(1);
	OK(add_one_submit(s->e, &s->before, NULL));
}

FL_STRESS_ACTOR(executor_idle_wait, user)
{
	for (int i = 1; i <= 2; i++) {
		OK(add_one_submit(s->e, &s->data, NULL));
		OK(fl_executor_wait_idle(s->e));
		FL_STRESS_CHECK(s->data == i && s->before == 1);
	}
}

FL_STRESS(executor_idle_wait, user)
{
	fl_executor_free(s->e);
	FL_ACCEPTABLE(1, "waited");
}

/*
 * The idle time of the workers runs out. A worker whose sleep has timed out counts as asleep until
 * it has the lock, so a task may wait for it then.
 */
struct executor_idle_timeout {
	fl_executor *e;
	fl_latch met;
	int data;
};

FL_STRESS_SETUP(executor_idle_timeout)
{
	s->met = (fl_latch)FL_LATCH_INIT(2);
	s->e = pool_as((fl_executor_config){.workers = 2, .idle_timeout = 1});
	for (int i = 0; i < 2; i++)
		OK(meet_submit(s->e, &s->met, NULL));
}

FL_STRESS_ACTOR(executor_idle_timeout, user)
{
	OK(fl_executor_wait_idle(s->e));
	FL_STRESS_CHECK(fl_latch_count(&s->met) == 0);
	OK(add_one_submit(s->e, &s->data, NULL));
	OK(fl_executor_wait_idle(s->e));
	FL_STRESS_CHECK(s->data == 1);
}

FL_STRESS(executor_idle_timeout, user)
{
	fl_executor_free(s->e);
	FL_ACCEPTABLE(1, "waited");
}

/* On the sequential executor, the wait is for the submits of other contexts. */
struct executor_idle_sequential {
	fl_executor *e;
	int done;
};

FL_STRESS_SETUP(executor_idle_sequential)
{
	s->e = sequential();
}

FL_STRESS_ACTOR(executor_idle_sequential, submitter)
{
	OK(add_one_submit(s->e, &s->done, NULL));
}

FL_STRESS_ACTOR(executor_idle_sequential, waiter)
{
	const int rc = fl_executor_wait_idle_until(s->e, fl_stress_choose(2) ? FL_FOREVER : soon(), NULL);
	FL_STRESS_CHECK(rc == 0 || rc == -ETIMEDOUT);
}

FL_STRESS(executor_idle_sequential, submitter, waiter)
{
	fl_executor_free(s->e);
	FL_ACCEPTABLE(s->done == 1, "it ran");
}

/*
 * A waiter waits for its own task while the submit of another context, which came before it in the
 * same queue, has not returned. The worker sleeps.
 */
struct executor_idle_behind {
	fl_executor *e;
	int other, own;
};

FL_STRESS_SETUP(executor_idle_behind)
{
	s->e = pool_of(1);
	OK(do_nothing_submit(s->e, NULL));
	OK(fl_executor_wait_idle(s->e));
}

FL_STRESS_ACTOR(executor_idle_behind, submitter)
{
	OK(add_one_submit(s->e, &s->other, NULL));
}

FL_STRESS_ACTOR(executor_idle_behind, waiter)
{
	OK(add_one_submit(s->e, &s->own, NULL));
	OK(fl_executor_wait_idle(s->e));
	FL_STRESS_CHECK(s->own == 1);
}

FL_STRESS(executor_idle_behind, submitter, waiter)
{
	fl_executor_free(s->e);
	FL_ACCEPTABLE(1, "waited");
}
