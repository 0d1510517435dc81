/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runs one task on the calling context, with its frame and its scope, and lets a waiting worker
 * help.
 *
 * If a worker of a thread executor waits for a pending task of that executor, it runs the task at
 * once, as a call. If it joins a group, it runs pending members (group_join.c). It runs other tasks
 * only if no other context could (thread_pool/help.c), because arbitrary tasks during a wait lead
 * to deadlocks under mutexes and to unbounded stacks (rayon #592, taskflow #522). A fiber of a loop
 * executor lets another fiber run while it waits (loop/loop_executor.c). It runs the task that it
 * waits for only if no other fiber can.
 */
#include "../base/atomic.h"
#include "../base/list.h"
#include "../wait/cancel.h"
#include "executor.h"
#include <fairlead/blocking.h>

static void run_help(struct fl__ctx *ctx, void *future);

/*
 * Returns the innermost frame of a context, or NULL if the context serves no executor. In a stolen
 * call the innermost frame is the forker's.
 */
static struct fl__run *run_innermost(const struct fl__ctx *ctx)
{
	return ctx->help == run_help ? ctx->front.inside.helper : NULL;
}

/* Declares `run`, and visits the frames of the calling context, the innermost first. */
/* NOLINTNEXTLINE(bugprone-macro-parentheses): a declared name takes no parentheses */
#define RUN_EACH(run) for (const struct fl__run *run = run_innermost(fl__ctx_get()); run; run = run->outer)

void fl__run_enter(struct fl__run *run, fl_executor *e)
{
	struct fl__ctx *ctx = fl__ctx_get();
	struct fl__run *outer = run_innermost(ctx);
	*run = (struct fl__run){.executor = e, .outer = outer};
	run->other = outer && outer->executor == e ? outer->other : outer;
	ctx->help = run_help;
	ctx->front.inside.helper = run;
}

void fl__run_leave(struct fl__run *run)
{
	struct fl__ctx *ctx = fl__ctx_get();
	ctx->help = run->outer ? run_help : NULL;
	ctx->front.inside.helper = run->outer;
}

void fl__run_begin(struct fl__run *run, fl_future *f, enum fl__claim claim)
{
	fl_executor *e = run->executor;
	run->future = f;
	run->claim = claim;
	run->begun = e->ran + e->running_now++;
	FL__LIST_ADD(&e->running, run);
}

void fl__run_end(struct fl__run *run, int error)
{
	fl_executor *e = run->executor;
	FL__LIST_REMOVE(run);
	run->future = NULL;
	e->running_now--;
	if (run->claim == FL__CLAIM_RUN) {
		e->ran++;
		e->failed += error != 0;
	} else {
		e->not_run++;
	}
	fl__executor_tell_if_idle(e);
}

int fl__run_function(struct fl__run *run, char **message)
{
	fl_future *f = run->future;
	fl_task_ctx ctx = {.token = &f->token, .executor = run->executor};
	int error = -ECANCELED;
	if (run->claim == FL__CLAIM_RUN) {
		run->active = true;
		error = (fl__hooks_on(FL__HOOKS_TRACE) ? fl__hook_call_on : fl__task_call)(f->type, f->arg, f->result,
		                                                                           &ctx);
		run->active = false;
		if (fl__unlikely(fl__ctx_get()->front.inside.helper != run))
			fl__panic(f->type->name, f,
			          "a longjmp() or an exception in the task has skipped a function of the library");
	} else if (run->claim == FL__CLAIM_BREAK) {
		error = run->executor->broken;
		ctx.message = fl__message_format("%s", run->executor->why_broken);
		fl__task_block_of(f)->asked = FL__STOP_BETWEEN; /* the task never runs: fl__chunk_end() */
	}
	if (fl__unlikely(ctx.keeps_result) && error != 0)
		fl__future_keep_result(f);
	*message = ctx.message;
	return error;
}

int fl__run_to_end(struct fl__run *run)
{
	char *message;
	const int error = fl__run_measured(run, &run->executor->stats.frame, run->begun, &message);
	fl__future_finish(run->future, error, message);
	return error;
}

void fl__run_task(struct fl__run *run)
{
	const int error = fl__run_to_end(run);
	FL__HELD(&run->executor->lock);
	fl__run_end(run, error);
}

int fl__run_here(fl_executor *e, struct fl__task_block *block)
{
	fl_future *f = &block->future;
	struct fl__run run;
	if ((uintptr_t)__builtin_frame_address(0) < e->stack_low)
		return -EOVERFLOW;
	fl__run_enter(&run, e);
	run.here = true;
	int rc;
	{
		FL__HELD(&e->lock);
		rc = fl__executor_refuses(e);
		/* The claim is not lost, since no other context has seen `f`. */
		if (rc == 0)
			fl__run_begin(&run, f, fl__future_claim(f));
	}
	if (rc == 0)
		fl__run_task(&run);
	fl__run_leave(&run);
	if (rc == 0)
		fl_future_free(f); /* the producer's reference */
	return rc;
}

unsigned fl__run_depth(const fl_executor *e)
{
	unsigned depth = 0;
	RUN_EACH (run)
		depth += run->executor == e && run->here;
	return depth;
}

bool fl__run_is_under_token(const fl_cancel_token *token)
{
	RUN_EACH (run) {
		if (!run->active || !run->future)
			continue;
		switch (fl__cancel_place(&run->future->token, token)) {
		case FL__CANCEL_BELOW:
			return true;
		case FL__CANCEL_ABOVE:
			/*
			 * The token was made while this task ran. The tasks of outer frames began
			 * earlier, so they are not below the token.
			 */
			return false;
		case FL__CANCEL_ELSEWHERE:
			break;
		}
	}
	return false;
}

bool fl__run_is_above(const fl_executor *e, const fl_cancel_token *token)
{
	const struct fl__run *run = run_innermost(fl__ctx_get());
	if (!run || run->executor != e)
		return false;
	return fl__cancel_is_under(token, run->active ? &run->future->token : &e->stop);
}

bool fl__run_serves(const fl_executor *e)
{
	for (const struct fl__run *run = run_innermost(fl__ctx_get()); run; run = run->other)
		if (run->executor == e)
			return true;
	return false;
}

fl_executor *fl_executor_current(void)
{
	RUN_EACH (run)
		if (run->active)
			return run->executor;
	return NULL;
}

unsigned fl_executor_current_worker(void)
{
	const struct fl__run *run = fl__ctx_get()->worker;
	return run && run->executor->ops->number && run->executor == fl_executor_current()
	           ? run->executor->ops->number(run)
	           : 0;
}

static void run_section(bool begins)
{
	struct fl__run *run = fl__ctx_get()->worker;
	if (run && run->executor->ops->block)
		run->executor->ops->block(run, begins);
}

void fl_blocking_begin(void)
{
	run_section(true);
}

void fl_blocking_end(void)
{
	run_section(false);
}

void fl__run_depend(struct fl__ctx *ctx, bool begins)
{
	struct fl__run *run = ctx->worker;
	if (run && run->executor->ops->depend)
		run->executor->ops->depend(run, begins);
}

/*
 * A worker that waits for a task of its own executor does not count as blocked, because after
 * run_help() another context runs the task. Instead it counts as depending on that context
 * (thread_pool.h). If it counted as blocked, a recursion with futures would start a thread for each
 * level.
 */
bool fl__run_block(struct fl__ctx *ctx, const void *future, bool begins)
{
	const fl_future *f = future;
	/* the executor of `f` may have been freed, so its address is only compared */
	if (f && f->ops == &fl__task_future_ops &&
	    fl__task_block_owner(fl__task_block_of((fl_future *)(uintptr_t)f))->executor == ctx->worker->executor)
		fl__run_depend(ctx, begins);
	else
		ctx->worker->executor->ops->block(ctx->worker, begins);
	return true;
}

/*
 * Called under the lock. Claims a task that will run within another task. When the executor was
 * cancelled or broke, this task may have been missed, because a context had taken it already or had
 * not added it yet. Then the claim is the one that the cancel or the break would have made.
 */
static enum fl__claim run_claim(fl_executor *e, fl_future *f, uint32_t leaves)
{
	if (e->halted && e->broken == 0)
		return fl__future_claim_cancel_leaving(f, leaves) ? FL__CLAIM_CANCEL : FL__CLAIM_LOST;
	const enum fl__claim claim = fl__future_claim_leaving(f, leaves);
	return claim == FL__CLAIM_RUN && e->halted ? FL__CLAIM_BREAK : claim;
}

/* Runs `f` within the task that the caller runs. Returns false if `f` was claimed elsewhere. */
static bool run_within(fl_executor *e, fl_future *f, bool foreign)
{
	struct fl__run run;
	enum fl__claim claim;
	fl__run_enter(&run, e);
	{
		/* under the lock, so that a cancel finds the task in the queue or in this frame */
		FL__HELD(&e->lock);
		claim = run_claim(e, f, foreign ? fl__executor_leaves(e) : 0);
		if (claim != FL__CLAIM_LOST)
			fl__run_begin(&run, f, claim);
		if (claim != FL__CLAIM_LOST && foreign)
			fl__task_block_claimed(e, fl__task_block_of(f));
	}
	if (claim != FL__CLAIM_LOST) {
		if (!foreign)
			fl__permit_release(e, fl__task_block_of(f)->permit);
		fl__run_task(&run);
	}
	fl__run_leave(&run);
	return claim != FL__CLAIM_LOST;
}

void fl__run_taken(fl_executor *e, struct fl__task_block *block)
{
	if (run_within(e, &block->future, false))
		fl_future_free(&block->future); /* the producer's reference */
	else
		fl__task_block_free(block); /* as the backlog's owner of the block */
}

/* The `help` of struct fl__ctx: runs a pending task of an executor that `ctx` serves. */
static void run_help(struct fl__ctx *ctx, void *future)
{
	fl_future *f = future;
	if (f->ops != &fl__task_future_ops)
		return; /* not a task, or one that runs in another process */
	/*
	 * `e` may have been freed. Until fl__run_serves() has found it, the address is only
	 * compared.
	 */
	fl_executor *e = fl__task_block_owner(fl__task_block_of(f))->executor;
	if (!fl__run_serves(e) || (e->ops->will_run && e->ops->will_run(e)))
		return;
	const struct fl__awaited awaits = ctx->awaits; /* what the caller waits for, not what the task does */
	ctx->awaits = (struct fl__awaited){.kind = FL__DEBUG_NOTHING};
	const bool ran = run_within(e, f, true);
	ctx->awaits = awaits;
	if (ran)
		fl__future_end_foreign(f);
}
