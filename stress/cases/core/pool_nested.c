/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios of tasks that wait for another task of a thread executor with one worker. Another
 * worker stands in.
 */
#include "pools.h"

/*
 * There are two executors. A task of the first waits for a task of the second, which waits for
 * another task of the first.
 */
struct pools_wait_for_each_other {
	fl_executor *e, *other;
	atomic_int ran;
};

FL_TASK_STATIC(wait_back, struct pools_wait_for_each_other *, void)
{
	FL_SCOPED(fl_future) *f = NULL;
	OK(count_one_submit((*arg)->e, &(*arg)->ran, &f));
	return fl_future_wait(f);
}

FL_TASK_STATIC(wait_there, struct pools_wait_for_each_other *, void)
{
	FL_SCOPED(fl_future) *f = NULL;
	OK(wait_back_submit((*arg)->other, *arg, &f));
	return fl_future_wait(f);
}

FL_STRESS_SETUP(pools_wait_for_each_other)
{
	s->e = pool_of(1);
	s->other = pool_of(1);
}

FL_STRESS_ACTOR(pools_wait_for_each_other, user)
{
	FL_SCOPED(fl_future) *f = NULL;
	OK(wait_there_submit(s->e, s, &f));
	OK(fl_future_wait(f));
	OK(fl_future_error(f));
}

FL_STRESS(pools_wait_for_each_other, user)
{
	fl_executor_free(s->e);
	fl_executor_free(s->other);
	FL_ACCEPTABLE(LOOK(&s->ran) == 1, "it ran");
}

/*
 * One task waits for what the other one does, in whichever order they come. A third task runs in
 * any case.
 */
struct pool_waits_for_promise {
	fl_executor *e;
	fl_promise *promise;
	fl_future *answer;
	atomic_int ran;
};

FL_TASK_STATIC(await_promise, fl_future *, void)
{
	return fl_future_wait(*arg);
}

FL_TASK_STATIC(keep_promise, fl_promise *, void)
{
	return fl_promise_set(*arg, NULL);
}

FL_STRESS_SETUP(pool_waits_for_promise)
{
	s->e = pool_of(1);
	OK(fl_promise_create(&s->promise, 0, NULL, &s->answer));
}

FL_STRESS_ACTOR(pool_waits_for_promise, one)
{
	OK(await_promise_submit(s->e, s->answer, NULL));
}

FL_STRESS_ACTOR(pool_waits_for_promise, two)
{
	OK(keep_promise_submit(s->e, s->promise, NULL));
	OK(count_one_submit(s->e, &s->ran, NULL));
}

FL_STRESS(pool_waits_for_promise, one, two)
{
	fl_executor_free(s->e);
	fl_promise_free(s->promise);
	fl_future_free(s->answer);
	FL_ACCEPTABLE(LOOK(&s->ran) == 1, "all ran");
}
