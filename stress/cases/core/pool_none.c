/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The thread executor without a backlog accepts a task while a worker is free for it. When all
 * tasks have ended, in whatever way, all workers are free and no permit is owed.
 */
#include "core/exec/executor.h"
#include "pools.h"
#include <fairlead/blocking.h>

static const fl_executor_config without_backlog = {
    .workers = 1, .backlog = FL_BACKLOG_NONE, .when_full = FL_FULL_REFUSE};

/* Called when all tasks have ended. */
static bool is_even(fl_executor *e)
{
	return fl_sem_value(&e->permits.free) == 1 && e->permits.owed == 0;
}

/* Submits a task, and waits for it if it is accepted. */
static int try_one(fl_executor *e, atomic_int *ran)
{
	FL_SCOPED(fl_future) *f = NULL;
	const int rc = count_one_submit(e, ran, &f);
	FL_STRESS_CHECK(rc == 0 || rc == -ENOBUFS);
	if (rc == 0)
		OK(fl_future_wait(f));
	return rc;
}

/* While the only worker has a task no other is accepted; after a wait for the task one is. */
struct pool_none_refuses {
	fl_executor *e;
	fl_future *held;
	fl_event open;
	atomic_int ran;
	int before, after;
};

FL_STRESS_SETUP(pool_none_refuses)
{
	s->e = pool_as(without_backlog);
	OK(hold_worker_submit(s->e, &s->open, &s->held));
}

FL_STRESS_ACTOR(pool_none_refuses, user)
{
	s->before = count_one_submit(s->e, &s->ran, NULL);
	fl_event_set(&s->open);
	OK(fl_future_wait(s->held));
	s->after = count_one_submit(s->e, &s->ran, NULL);
	fl_future_free(s->held);
}

FL_STRESS(pool_none_refuses, user)
{
	fl_executor_free(s->e);
	FL_ACCEPTABLE(s->before == -ENOBUFS && s->after == 0 && LOOK(&s->ran) == 1, "refused, then accepted");
}

/* While a task blocks another is accepted; after its section there is one worker again. */
struct pool_none_section {
	fl_executor *e;
	fl_future *held;
	fl_event blocks, open;
	atomic_int ran;
	int rc;
};

FL_TASK_STATIC(none_block, struct pool_none_section *, void)
{
	FL_BLOCKING();
	fl_event_set(&(*arg)->blocks);
	return fl_event_wait_until(&(*arg)->open, FL_FOREVER, FL_SHIELDED);
}

FL_STRESS_SETUP(pool_none_section)
{
	s->e = pool_as(without_backlog);
	OK(none_block_submit(s->e, s, &s->held));
}

FL_STRESS_ACTOR(pool_none_section, submitter)
{
	OK(fl_event_wait(&s->blocks));
	s->rc = try_one(s->e, &s->ran);
	fl_event_set(&s->open);
	OK(fl_future_wait(s->held));
	fl_future_free(s->held);
}

FL_STRESS(pool_none_section, submitter)
{
	const bool even = is_even(s->e);
	fl_executor_free(s->e);
	FL_FORBIDDEN(!even, "a worker is not free, or one too many is");
	FL_ACCEPTABLE(s->rc == 0 && LOOK(&s->ran) == 1, "accepted");
}

/* A chained task is accepted beside the worker's task, and a permit is owed. */
struct pool_none_chained {
	fl_executor *e;
	fl_promise *first;
	fl_future *next;
	atomic_int ran;
	int rc;
};

FL_STRESS_SETUP(pool_none_chained)
{
	fl_future *f = NULL;
	s->e = pool_as(without_backlog);
	OK(fl_promise_create(&s->first, sizeof(atomic_int *), NULL, &f));
	OK(fl_future_then(f, s->e, &count_one, &s->next));
	fl_future_free(f);
}

FL_STRESS_ACTOR(pool_none_chained, submitter)
{
	s->rc = try_one(s->e, &s->ran);
}

FL_STRESS_ACTOR(pool_none_chained, setter)
{
	OK(fl_promise_set(s->first, &(atomic_int *){&s->ran}));
	OK(fl_future_wait(s->next));
	OK(fl_future_error(s->next));
}

FL_STRESS(pool_none_chained, submitter, setter)
{
	const bool even = is_even(s->e);
	fl_executor_free(s->e);
	fl_promise_free(s->first);
	fl_future_free(s->next);
	FL_FORBIDDEN(!even, "a worker is not free, or one too many is");
	FL_ACCEPTABLE(s->rc == 0 && LOOK(&s->ran) == 2, "both ran");
	FL_ACCEPTABLE(s->rc == -ENOBUFS && LOOK(&s->ran) == 1, "the chained one ran");
}

/* While a chained task has not ended no other is accepted. */
struct pool_none_chained_holds {
	fl_executor *e;
	fl_promise *first;
	fl_future *next;
	fl_event open;
	atomic_int ran;
	int before, after;
};

FL_STRESS_SETUP(pool_none_chained_holds)
{
	fl_future *f = NULL;
	s->e = pool_as(without_backlog);
	OK(fl_promise_create(&s->first, sizeof(fl_event *), NULL, &f));
	OK(fl_future_then(f, s->e, &hold_worker, &s->next));
	fl_future_free(f);
}

FL_STRESS_ACTOR(pool_none_chained_holds, user)
{
	OK(fl_promise_set(s->first, &(fl_event *){&s->open}));
	s->before = count_one_submit(s->e, &s->ran, NULL);
	fl_event_set(&s->open);
	OK(fl_future_wait(s->next));
	s->after = count_one_submit(s->e, &s->ran, NULL);
}

FL_STRESS(pool_none_chained_holds, user)
{
	fl_executor_free(s->e);
	fl_promise_free(s->first);
	fl_future_free(s->next);
	FL_ACCEPTABLE(s->before == -ENOBUFS && s->after == 0 && LOOK(&s->ran) == 1, "refused, then accepted");
}
