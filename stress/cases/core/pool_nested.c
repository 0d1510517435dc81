/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tasks that wait for another task of a thread executor with one worker: another worker stands in.
 */
#include "../cases.h"
#include <fairlead/future.h>
#include <fairlead/task.h>

static fl_executor *one_worker(void)
{
	fl_executor *e = NULL;
	OK(fl_thread_executor_create(&e, &(fl_executor_config){.workers = 1}));
	return e;
}

/* Two executors: the tasks of each wait for tasks of the second. */
struct pools_wait_for_each_other {
	fl_executor *e, *other;
	atomic_int ran;
};

FL_TASK_STATIC(last_task, struct pools_wait_for_each_other *, void)
{
	COUNT(&(*arg)->ran);
	return 0;
}

FL_TASK_STATIC(wait_back, struct pools_wait_for_each_other *, void)
{
	FL_SCOPED(fl_future) *f = NULL;
	OK(last_task_submit((*arg)->e, *arg, &f));
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
	s->e = one_worker();
	s->other = one_worker();
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

/* One task waits for what the other does, in any order; and a third runs in any case. */
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

FL_TASK_STATIC(third_task, atomic_int *, void)
{
	COUNT(*arg);
	return 0;
}

FL_STRESS_SETUP(pool_waits_for_promise)
{
	s->e = one_worker();
	OK(fl_promise_create(&s->promise, 0, NULL, &s->answer));
}

FL_STRESS_ACTOR(pool_waits_for_promise, one)
{
	OK(await_promise_submit(s->e, s->answer, NULL));
}

FL_STRESS_ACTOR(pool_waits_for_promise, two)
{
	OK(keep_promise_submit(s->e, s->promise, NULL));
	OK(third_task_submit(s->e, &s->ran, NULL));
}

FL_STRESS(pool_waits_for_promise, one, two)
{
	fl_executor_free(s->e);
	fl_promise_free(s->promise);
	fl_future_free(s->answer);
	FL_ACCEPTABLE(LOOK(&s->ran) == 1, "all ran");
}
