/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The operations of a task's future: what cancelling the future, releasing it and ending it in a
 * foreign context do with the task's executor. Kinds that run tasks in other processes have a table
 * of their own, which shares most of these operations (process/remote/remote.c). To cancel a task of
 * such a kind, the operation `withdraw` must first get the task back.
 */
#include "../base/atomic.h"
#include "executor.h"

void fl__task_block_claimed(fl_executor *e, struct fl__task_block *block)
{
	e->foreign++;
	if (e->ops->claimed)
		e->ops->claimed(e, block);
	else
		fl__task_list_remove(&e->queue, block);
}

static bool task_claim_cancel(fl_executor *e, struct fl__task_block *block)
{
	FL__HELD(&e->lock);
	/* all tasks of a freed executor are claimed, so its transport is not asked */
	if (e->ops->withdraw && !block->queued &&
	    (fl__future_is_claimed(&block->future) || !e->ops->withdraw(e, block)))
		return false;
	if (!fl__future_claim_cancel_leaving(&block->future, fl__executor_leaves(e)))
		return false;
	e->not_run++;
	fl__task_block_claimed(e, block);
	return true;
}

bool fl__task_on_claim_cancel(fl_future *f)
{
	struct fl__task_block *block = fl__task_block_of(f);
	/* this needs no lock, because a claim is never undone */
	return !fl__future_is_claimed(f) && task_claim_cancel(fl__task_block_owner(block)->executor, block);
}

void fl__executor_foreign_ended(fl_executor *e, size_t n)
{
	FL__HELD(&e->lock);
	e->foreign -= n;
	if (e->foreign == 0)
		fl__executor_tell_if_idle(e);
}

void fl__task_on_ended(fl_future *f)
{
	struct fl__task_block *block = fl__task_block_of(f);
	fl__executor_foreign_ended(fl__task_block_owner(block)->executor, 1);
}

static void task_on_release(fl_future *f)
{
	fl__task_block_release(fl__task_block_of(f));
}

const struct fl__future_ops fl__task_future_ops = {FL__TASK_FUTURE_OPS, .release = task_on_release};
