/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a worker runs while it joins a group: a member of the group, or of another group that began
 * within the worker's current task, because a task may fill two groups and then join the first. It
 * looks at up to LOOK of the newest tasks in its local queue; then at up to LOOK of the newest
 * slots of its injector, and at the injector's `front`. All other tasks stay where they are.
 *
 * A cancel of the executor must reach the member. If the group began within the worker's current
 * task, the cancel reaches it through this task's token. Otherwise the member runs in a frame that
 * the cancel finds (fl__run_taken()).
 *
 * If the worker finds no member, it blocks, and another worker replaces it. If there is a task, but
 * all active workers (if any) depend on others, no worker could be started. The joiner then runs
 * any task, because nobody else would: fl__pool_is_stuck(). Each joiner checks this after it was
 * counted as blocked, so the last one notices.
 */
#include "../base/atomic.h"
#include "../exec/group.h"
#include "thread_pool.h"

enum { HELP_LOOK = 16 };

static bool help_may_run(const fl_executor *e, const fl_group *g, fl_future *f)
{
	if (fl__future_is_claimed(f))
		return true; /* its group may no longer exist; a run does nothing */
	const fl_group *of = fl__group_of(f);
	return of && (of == g || fl__run_is_above(e, &of->token_));
}

static struct fl__task_block *help_take_local(struct fl__thread_worker *w, const fl_group *g)
{
	struct fl__task_block *others[HELP_LOOK], *block = NULL;
	size_t n = 0;
	while (n < HELP_LOOK && (block = fl__local_take_newest(&w->local)) != NULL) {
		if (help_may_run(&w->pool->base, g, &block->future))
			break;
		others[n++] = block;
		block = NULL;
	}
	if (n == 0)
		return block;
	while (n > 0)
		(void)fl__local_put(&w->local, others[--n]);          /* always true: its slot is free */
	if (fl__pool_needs_notify(fl__load_seq_cst(&w->pool->state))) /* seq_cst: "No task is overlooked" */
		fl__pool_notify(w->pool);
	return block;
}

static struct fl__task_block *help_take_injected(struct fl__thread_worker *w, const fl_group *g)
{
	struct fl__injector *q = fl__backlog_injector(&w->pool->backlog, w->number);
	FL__LOCKED(&q->lock);
	const size_t looks = FL__MIN(q->tail - q->head, HELP_LOOK);
	for (size_t i = 1; i <= looks + 1; i++) {
		struct fl__task_block *block = i > looks ? q->front : q->slots[(q->tail - i) & q->mask];
		if (block && help_may_run(&w->pool->base, g, &block->future)) {
			fl__injector_remove(q, block);
			return block;
		}
	}
	return NULL;
}

/* Returns the calling worker, or NULL if the caller is not a worker of `e`. */
static struct fl__thread_worker *help_worker(const fl_executor *e)
{
	struct fl__run *outermost = fl__ctx_current->worker;
	return outermost && outermost->executor == e ? (struct fl__thread_worker *)(void *)outermost : NULL;
}

bool fl__pool_is_stuck(fl_executor *e)
{
	struct fl__thread_pool *p = fl__pool_of(e);
	if (!help_worker(e))
		return false;
	FL__POOL_LOCKED(p);
	fl__pool_settle(p); /* a submit may have enqueued a task, but not notified yet */
	return p->active == p->depending && fl__pool_has_task(p);
}

bool fl__pool_run_newest(fl_executor *e, const fl_group *g, bool any)
{
	struct fl__thread_worker *w = help_worker(e);
	if (!w)
		return false;
	struct fl__task_block *block = help_take_local(w, g);
	if (!block)
		block = help_take_injected(w, g);
	const fl_group *of = block && !fl__future_is_claimed(&block->future) ? fl__group_of(&block->future) : NULL;
	if (of && fl__run_is_above(e, &of->token_)) {
		fl__pool_run_within(w, block);
		return true;
	}
	if (!block && any)
		block = fl__pool_take_any(w);
	if (block)
		fl__run_taken(e, block);
	return block != NULL;
}
