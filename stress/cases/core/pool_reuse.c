/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios in which a submit calls a worker in place of a start of another worker: one that has
 * ended its task, and has not looked for the next one yet (lib/core/thread_pool/taking.c). No task
 * is left to a worker that does not look.
 */
#include "pools.h"
#include <fairlead/group.h>

/* Makes an executor with one of two workers, with membarrier() or without it. */
static void with_one(struct served *t)
{
	t->p = pool_of_actors(2, 1);
	t->p->flags = fl_stress_choose(2) ? FL__POOL_FENCED : 0;
}

static void with_one_of_any(struct served *t)
{
	t->p = pool_of_actors(1 + fl_stress_choose(2), 1);
	t->p->flags = fl_stress_choose(2) ? FL__POOL_FENCED : 0;
}

static void end_without_start(struct served *t)
{
	FL_FORBIDDEN(t->p->starts != 0, "another worker was started");
	end_served(t);
}

#define REUSES(test, begin, ...) SCENARIO(test, struct served, begin(&s->t), end_without_start(&s->t), __VA_ARGS__)

static void do_nothing_and_wait(struct served *t)
{
	FL_SCOPED(fl_future) *f = NULL;
	OK(do_nothing_submit(&t->p->base, &f));
	OK(fl_future_wait(f));
}

static void submit_one_after_another(struct served *t)
{
	do_nothing_and_wait(t);
	do_nothing_and_wait(t);
	fl_executor_close(&t->p->base);
}

/*
 * A task that is submitted after a wait for the one before needs no other worker. If the only
 * worker sleeps by then, the task wakes it.
 */
REUSES(pool_reuse, with_one_of_any, serve_first, submit_one_after_another)

static const struct fl__worker_ops reuse_worker_ops = {.block = fl__run_block};

static void serve_as_it_blocks(struct served *t)
{
	struct fl__ctx *ctx = fl__ctx_get();
	ctx->worker = &worker_at(t->p, 0)->run;
	ctx->worker_ops = &reuse_worker_ops;
	serve_first(t);
	ctx->worker_ops = NULL;
	ctx->worker = NULL;
}

static void submit_after_a_group(struct served *t)
{
	fl_group g = FL_GROUP_INIT(&t->p->base);
	OK(fl_group_submit(&g, &do_nothing, NULL, NULL));
	OK(fl_group_join(&g));
	fl_group_destroy(&g);
	OK(do_nothing_submit(&t->p->base, NULL));
	fl_executor_close(&t->p->base);
}

/*
 * The task before is a member of a group, which ends in a callback. The next task needs no other
 * worker, either.
 */
REUSES(pool_reuse_group, with_one, serve_as_it_blocks, submit_after_a_group)

static void submit_older_and_newer(struct served *t)
{
	do_nothing_and_wait(t);
	OK(await_event_submit(&t->p->base, &t->second, NULL));
	OK(set_event_submit(&t->p->base, &t->second, NULL));
	close_after_second(t);
}

/*
 * Two tasks are submitted after a wait for the one before, and the older one waits for the newer
 * one. Both get a worker.
 */
POOL(pool_reuse_two, with_one, serve_first, submit_older_and_newer)

static void with_a_task(struct served *t)
{
	with_one(t);
	OK(do_nothing_submit(&t->p->base, NULL));
}

static void submit_older(struct served *t)
{
	OK(await_event_submit(&t->p->base, &t->second, NULL));
	close_after_second(t);
}

static void submit_newer(struct served *t)
{
	OK(set_event_submit(&t->p->base, &t->second, NULL));
}

/*
 * Two threads submit the older and the newer task, while the worker ends the one before. Both get a
 * worker.
 */
POOL(pool_reuse_from_two, with_a_task, serve_first, submit_older, submit_newer)

/*
 * The worker runs the user's code of a task, and the code waits for the next task. So another
 * worker must run that task. The code is the drop hook of the argument, before the end; or that of
 * the result, which no caller takes, or a callback, after the end.
 */
struct pool_reuse_hook {
	struct served t;
	fl_future *f;
	bool called;
};

static void await_next(fl_future *f, void *arg)
{
	struct pool_reuse_hook *s = arg;
	s->called = true;
	OK(fl_event_wait_until(&s->t.second, FL_FOREVER, FL_SHIELDED));
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
	with_one(&s->t);
	switch (fl_stress_choose(3)) {
	case 0:
		OK(reuse_hooked_submit(&s->t.p->base, s, NULL));
		break;
	case 1:
		OK(reuse_result_submit(&s->t.p->base, s, NULL));
		break;
	default:
		OK(do_nothing_submit_with(&s->t.p->base, &s->f, &config));
	}
}

SCENARIO_ACTOR(pool_reuse_hook, worker, serve_first)

FL_STRESS_ACTOR(pool_reuse_hook, user)
{
	if (s->f)
		OK(fl_future_wait(s->f));
	submit_newer(&s->t);
	close_after_second(&s->t);
	fl_future_free(s->f);
}

FL_STRESS(pool_reuse_hook, worker, user)
{
	fl_executor_free(&s->t.p->base);
	FL_ACCEPTABLE(s->called, "the next task had a worker");
}
