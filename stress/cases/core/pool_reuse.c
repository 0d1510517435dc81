/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The thread executor's calls: a worker that has ended its task, and has not looked for the next
 * yet, is used in place of a new one; and no task is left to a worker that does not look.
 */
#include "pools.h"
#include <fairlead/group.h>

/* One of `most` workers is there, with membarrier() and without. */
static struct fl__thread_pool *pool_with_one(unsigned most)
{
	struct fl__thread_pool *p = pool_of_actors(most, 1);
	p->crowded = fl_stress_choose(2) ? FL__POOL_FENCED : 0;
	return p;
}

/*
 * A task that is submitted after a wait for the one before needs no other worker. The only worker
 * is woken by it, if it sleeps by then.
 */
struct pool_reuse {
	struct fl__thread_pool *p;
};

FL_STRESS_SETUP(pool_reuse)
{
	s->p = pool_with_one(1 + fl_stress_choose(2));
}

SERVES(pool_reuse, worker, 0)

FL_STRESS_ACTOR(pool_reuse, user)
{
	for (int i = 0; i < 2; i++) {
		FL_SCOPED(fl_future) *f = NULL;
		OK(do_nothing_submit(&s->p->base, &f));
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
	s->p = pool_with_one(2);
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
	OK(fl_group_submit(&g, &do_nothing, NULL, NULL));
	OK(fl_group_join(&g));
	fl_group_destroy(&g);
	OK(do_nothing_submit(&s->p->base, NULL));
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
	s->p = pool_with_one(2);
}

SERVES(pool_reuse_two, worker, 0)

FL_STRESS_ACTOR(pool_reuse_two, user)
{
	FL_SCOPED(fl_future) *f = NULL;
	OK(do_nothing_submit(&s->p->base, &f));
	OK(fl_future_wait(f));
	OK(await_event_submit(&s->p->base, &s->newer, NULL));
	OK(set_event_submit(&s->p->base, &s->newer, NULL));
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
	s->p = pool_with_one(2);
	OK(do_nothing_submit(&s->p->base, NULL));
}

SERVES(pool_reuse_from_two, worker, 0)

FL_STRESS_ACTOR(pool_reuse_from_two, one)
{
	OK(await_event_submit(&s->p->base, &s->newer, NULL));
	OK(fl_event_wait(&s->newer)); /* a close would wake all workers */
	fl_executor_close(&s->p->base);
}

FL_STRESS_ACTOR(pool_reuse_from_two, two)
{
	OK(set_event_submit(&s->p->base, &s->newer, NULL));
}

FL_STRESS(pool_reuse_from_two, worker, one, two)
{
	fl_executor_free(&s->p->base);
	FL_ACCEPTABLE(1, "each had a worker");
}

/*
 * The worker runs the user's code of a task, which waits for the next task: another worker runs
 * that. The code is the drop hook of the argument, before the end; that of the result, which no
 * caller takes, or a callback, after the end.
 */
struct pool_reuse_hook {
	struct fl__thread_pool *p;
	fl_future *f;
	fl_event next;
	bool called;
};

static void await_next(fl_future *f, void *arg)
{
	struct pool_reuse_hook *s = arg;
	s->called = true;
	OK(fl_event_wait_until(&s->next, FL_FOREVER, FL_SHIELDED));
}

static void drop_after_next(void *arg)
{
	await_next(NULL, *(struct pool_reuse_hook **)arg);
}

FL_TASK_STATIC(reuse_hooked, struct pool_reuse_hook *, void, .drop_arg = drop_after_next)
{
	return 0;
}

FL_TASK_STATIC(reuse_result, struct pool_reuse_hook *, struct pool_reuse_hook *, .drop_result = drop_after_next)
{
	*result = *arg;
	return 0;
}

FL_STRESS_SETUP(pool_reuse_hook)
{
	const fl_submit_config config = {.on_end = await_next, .on_end_arg = s};
	s->p = pool_with_one(2);
	switch (fl_stress_choose(3)) {
	case 0:
		OK(reuse_hooked_submit(&s->p->base, s, NULL));
		break;
	case 1:
		OK(reuse_result_submit(&s->p->base, s, NULL));
		break;
	default:
		OK(do_nothing_submit_with(&s->p->base, &s->f, &config));
	}
}

SERVES(pool_reuse_hook, worker, 0)

FL_STRESS_ACTOR(pool_reuse_hook, user)
{
	if (s->f)
		OK(fl_future_wait(s->f));
	OK(set_event_submit(&s->p->base, &s->next, NULL));
	OK(fl_event_wait(&s->next));
	fl_executor_close(&s->p->base);
	fl_future_free(s->f);
}

FL_STRESS(pool_reuse_hook, worker, user)
{
	fl_executor_free(&s->p->base);
	FL_ACCEPTABLE(s->called, "the next task had a worker");
}
