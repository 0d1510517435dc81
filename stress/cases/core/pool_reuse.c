/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The thread executor's calls: a worker that has ended its task, and has not looked for the next
 * yet, is used in place of a new one; and no task is left to a worker that does not look.
 */
#include "pools.h"
#include <fairlead/group.h>

/* One of two workers is there, with membarrier() and without. */
static struct fl__thread_pool *pool_with_one(void)
{
	struct fl__thread_pool *p = pool_of_actors(2, 1);
	p->crowded = fl_stress_choose(2) ? FL__POOL_FENCED : 0;
	return p;
}

FL_TASK_STATIC(reuse_nothing, void, void)
{
	return 0;
}

FL_TASK_STATIC(reuse_await, fl_event *, void)
{
	return fl_event_wait_until(*arg, FL_FOREVER, FL_SHIELDED);
}

FL_TASK_STATIC(reuse_set, fl_event *, void)
{
	fl_event_set(*arg);
	return 0;
}

/* A task that is submitted after a wait for the one before needs no other worker. */
struct pool_reuse {
	struct fl__thread_pool *p;
};

FL_STRESS_SETUP(pool_reuse)
{
	s->p = pool_with_one();
}

SERVES(pool_reuse, worker, 0)

FL_STRESS_ACTOR(pool_reuse, user)
{
	for (int i = 0; i < 2; i++) {
		FL_SCOPED(fl_future) *f = NULL;
		OK(reuse_nothing_submit(&s->p->base, &f));
		OK(fl_future_wait(f));
	}
	fl_executor_close(&s->p->base);
}

FL_STRESS(pool_reuse, worker, user)
{
	const size_t starts = s->p->starts;
	fl_executor_free(&s->p->base);
	FL_ACCEPTABLE(starts == 0, "one worker ran both");
}

/* The same of a group's member, which ends in a callback. */
struct pool_reuse_group {
	struct fl__thread_pool *p;
};

FL_STRESS_SETUP(pool_reuse_group)
{
	s->p = pool_with_one();
}

static const struct fl__worker_ops reuse_worker_ops = {.block = fl__run_block};

FL_STRESS_ACTOR(pool_reuse_group, worker)
{
	struct fl__ctx *ctx = fl__ctx_get();
	ctx->worker = &worker_at(s->p, 0)->run;
	ctx->worker_ops = &reuse_worker_ops;
	serve(s->p, 0);
	ctx->worker_ops = NULL;
	ctx->worker = NULL;
}

FL_STRESS_ACTOR(pool_reuse_group, user)
{
	fl_group g = FL_GROUP_INIT(&s->p->base);
	OK(fl_group_submit(&g, &reuse_nothing, NULL, NULL));
	OK(fl_group_join(&g));
	fl_group_destroy(&g);
	OK(reuse_nothing_submit(&s->p->base, NULL));
	fl_executor_close(&s->p->base);
}

FL_STRESS(pool_reuse_group, worker, user)
{
	const size_t starts = s->p->starts;
	fl_executor_free(&s->p->base);
	FL_ACCEPTABLE(starts == 0, "one worker ran both");
}

/* The same with two tasks, of which the older one waits for the newer one: both get a worker. */
struct pool_reuse_two {
	struct fl__thread_pool *p;
	fl_event newer;
};

FL_STRESS_SETUP(pool_reuse_two)
{
	s->p = pool_with_one();
}

SERVES(pool_reuse_two, worker, 0)

FL_STRESS_ACTOR(pool_reuse_two, user)
{
	FL_SCOPED(fl_future) *f = NULL;
	OK(reuse_nothing_submit(&s->p->base, &f));
	OK(fl_future_wait(f));
	OK(reuse_await_submit(&s->p->base, &s->newer, NULL));
	OK(reuse_set_submit(&s->p->base, &s->newer, NULL));
	OK(fl_event_wait(&s->newer));
	fl_executor_close(&s->p->base);
}

FL_STRESS(pool_reuse_two, worker, user)
{
	fl_executor_free(&s->p->base);
	FL_ACCEPTABLE(1, "each had a worker");
}

/* The same where two threads submit the two tasks, while the worker ends the one before. */
struct pool_reuse_from_two {
	struct fl__thread_pool *p;
	fl_event newer;
};

FL_STRESS_SETUP(pool_reuse_from_two)
{
	s->p = pool_with_one();
	OK(reuse_nothing_submit(&s->p->base, NULL));
}

SERVES(pool_reuse_from_two, worker, 0)

FL_STRESS_ACTOR(pool_reuse_from_two, one)
{
	OK(reuse_await_submit(&s->p->base, &s->newer, NULL));
	OK(fl_event_wait(&s->newer)); /* a close would wake all workers */
	fl_executor_close(&s->p->base);
}

FL_STRESS_ACTOR(pool_reuse_from_two, two)
{
	OK(reuse_set_submit(&s->p->base, &s->newer, NULL));
}

FL_STRESS(pool_reuse_from_two, worker, one, two)
{
	fl_executor_free(&s->p->base);
	FL_ACCEPTABLE(1, "each had a worker");
}

/* The worker runs a callback that waits for the next task: another worker runs that task. */
struct pool_reuse_callback {
	struct fl__thread_pool *p;
	fl_event next;
};

static void await_next(fl_future *f, void *next)
{
	(void)f;
	OK(fl_event_wait_until(next, FL_FOREVER, FL_SHIELDED));
}

FL_STRESS_SETUP(pool_reuse_callback)
{
	s->p = pool_with_one();
}

SERVES(pool_reuse_callback, worker, 0)

FL_STRESS_ACTOR(pool_reuse_callback, user)
{
	FL_SCOPED(fl_future) *f = NULL;
	const fl_submit_config config = {.on_end = await_next, .on_end_arg = &s->next};
	OK(reuse_nothing_submit_with(&s->p->base, &f, &config));
	OK(fl_future_wait(f));
	OK(reuse_set_submit(&s->p->base, &s->next, NULL));
	OK(fl_event_wait(&s->next));
	fl_executor_close(&s->p->base);
}

FL_STRESS(pool_reuse_callback, worker, user)
{
	fl_executor_free(&s->p->base);
	FL_ACCEPTABLE(1, "the next task had a worker");
}

/* The same of the drop hook of the argument, before the end. */
struct pool_reuse_hook {
	struct fl__thread_pool *p;
	fl_event next;
};

static void drop_after_next(void *next)
{
	OK(fl_event_wait_until(*(fl_event **)next, FL_FOREVER, FL_SHIELDED));
}

FL_TASK_STATIC(reuse_hooked, fl_event *, void, .drop_arg = drop_after_next)
{
	(void)arg;
	return 0;
}

FL_STRESS_SETUP(pool_reuse_hook)
{
	s->p = pool_with_one();
	OK(reuse_hooked_submit(&s->p->base, &s->next, NULL));
}

SERVES(pool_reuse_hook, worker, 0)

FL_STRESS_ACTOR(pool_reuse_hook, user)
{
	OK(reuse_set_submit(&s->p->base, &s->next, NULL));
	OK(fl_event_wait(&s->next));
	fl_executor_close(&s->p->base);
}

FL_STRESS(pool_reuse_hook, worker, user)
{
	fl_executor_free(&s->p->base);
	FL_ACCEPTABLE(1, "the next task had a worker");
}

/* The same of the drop hook of the result, which nobody takes, after the end. */
struct pool_reuse_result {
	struct fl__thread_pool *p;
	fl_event next;
};

FL_TASK_STATIC(reuse_result, fl_event *, fl_event *, .drop_result = drop_after_next)
{
	*result = *arg;
	return 0;
}

FL_STRESS_SETUP(pool_reuse_result)
{
	s->p = pool_with_one();
	OK(reuse_result_submit(&s->p->base, &s->next, NULL));
}

SERVES(pool_reuse_result, worker, 0)

FL_STRESS_ACTOR(pool_reuse_result, user)
{
	OK(reuse_set_submit(&s->p->base, &s->next, NULL));
	OK(fl_event_wait(&s->next));
	fl_executor_close(&s->p->base);
}

FL_STRESS(pool_reuse_result, worker, user)
{
	fl_executor_free(&s->p->base);
	FL_ACCEPTABLE(1, "the next task had a worker");
}
