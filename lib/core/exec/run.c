/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runs one task on the calling context, with its frame and its scope, and lets a waiting worker
 * help.
 *
 * A worker of a thread executor that waits for a pending task of that executor runs the task at
 * once, as a call, and one that joins a group runs pending members (group_join.c). It runs no other
 * task: arbitrary tasks during a wait deadlock under mutexes and grow stacks without bound (rayon
 * #592, taskflow #522). A fiber of a loop executor that waits lets another fiber run
 * (loop/loop_executor.c). It runs the task for which it waits only if no other fiber can.
 */
#include "../base/atomic.h"
#include "../base/list.h"
#include "../future/bytes.h"
#include "map.h"
#include <fairlead/blocking.h>
#include <stdarg.h>

bool fl_task_is_cancelled(const fl_task_ctx *ctx)
{
	return fl_cancel_token_is_requested(ctx->token);
}

fl_cancel_token *fl_task_token(fl_task_ctx *ctx)
{
	return ctx->token;
}

struct fl_shm *fl_task_region(const fl_task_ctx *ctx, unsigned i)
{
	const fl_executor *e = ctx->executor;
	return e && i < e->n_regions ? e->regions[i] : NULL;
}

int fl_task_fail(fl_task_ctx *ctx, int code, const char *message, ...)
{
	va_list args;
	fl__message_free(ctx->message);
	va_start(args, message);
	ctx->message = fl__message_vformat(message, args);
	va_end(args);
	return code ? code : -EINVAL;
}

void fl_task_keep_result(fl_task_ctx *ctx)
{
	ctx->keeps_result = true;
}

char *fl__task_take_message(fl_task_ctx *ctx)
{
	char *message = ctx->message;
	ctx->message = NULL;
	return message;
}

/*
 * Discards the message and the kept result of a task that succeeded. It is not inlined, since
 * fl__elements_run() would save registers for it.
 */
FL__NOINLINE static void run_forget_failure(fl_task_ctx *ctx)
{
	fl__message_free(fl__task_take_message(ctx));
	ctx->keeps_result = false;
}

static int run_check_bytes(const fl_bytes *b, fl_task_ctx *ctx)
{
	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): a type with bytes has a result */
	if (!ctx->executor || b->size <= ctx->executor->bytes_max)
		return 0;
	return fl_task_fail(ctx, -E2BIG, "%zu bytes are above bytes_max", b->size);
}

/*
 * Copies borrowed bytes, which may end with the task. Frees the bytes in three cases: the task has
 * failed without fl_task_keep_result(); the bytes are too many; or there is no memory for the copy.
 */
static int run_end_bytes(fl_bytes *result, int error, fl_task_ctx *ctx)
{
	int rc = error;
	if (error == 0 || ctx->keeps_result)
		rc = run_check_bytes(result, ctx);
	/*
	 * A result in fl__bytes_running is not held here: the worker process copies it to its
	 * parent.
	 */
	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): a type with bytes has a result */
	if (rc == 0 && !result->owner_ && result != fl__bytes_running)
		rc = fl__bytes_hold(result, result);
	if (rc != 0) {
		ctx->keeps_result = false;
		fl_bytes_free(result);
	}
	return error != 0 ? error : rc;
}

/*
 * Called after a task's function, with the value of fl__fork_count before it. A child that the
 * function has forked must not go on with the parent's tasks.
 */
static inline void run_check_process(uint32_t forks, const char *name)
{
	if (fl__unlikely(fl__is_forked(forks)))
		fl__panic(name, NULL, "a child that it has forked returned from it: leave by _exit() or exec");
}

static inline int run_type(const fl_task_type *type, const void *arg, void *result, fl_task_ctx *ctx)
{
	const uint32_t forks = fl__fork_count;
	const int error = type->run(ctx, arg, result);
	run_check_process(forks, type->name);
	return error;
}

static inline bool run_has_hooks(const fl_task_type *type)
{
	return ((uintptr_t)type->drop_arg | (uintptr_t)type->drop_result) != 0; /* casts: one branch */
}

/* This is a function of its own, since fl__task_call() would save registers for it. */
FL__NOINLINE static int run_type_with_hooks(const fl_task_type *type, const void *arg, void *result, fl_task_ctx *ctx)
{
	int error = fl__bytes_declares(type->drop_arg) ? run_check_bytes(arg, ctx) : 0;
	if (error == 0)
		error = run_type(type, arg, result, ctx);
	return fl__bytes_declares(type->drop_result) ? run_end_bytes(result, error, ctx) : error;
}

int fl__task_call(const fl_task_type *type, const void *arg, void *result, fl_task_ctx *ctx)
{
	struct fl__ctx *self = fl__ctx_get();
	fl_cancel_token *scope = self->front.scope;
	self->front.scope = ctx->token;
	const int error = fl__unlikely(run_has_hooks(type)) ? run_type_with_hooks(type, arg, result, ctx)
	                                                    : run_type(type, arg, result, ctx);
	self->front.scope = scope;
	return error;
}

/* Does what fl__task_call() does, for each element, but enters and leaves only once. */
int fl__elements_run(const fl_task_type *type, fl_task_ctx *ctx, const void *args, void *results, uint32_t count,
                     uint32_t *done, bool *between)
{
	struct fl__ctx *self = fl__ctx_get();
	fl_cancel_token *const scope = self->front.scope, *const token = ctx->token;
	const uint32_t forks = fl__fork_count;
	const bool hooks = run_has_hooks(type);
	/* These are integers, since the loop adds a step of 0 to a NULL pointer, too. */
	uintptr_t arg = (uintptr_t)fl__element(args, 0, type->arg_size),
		  result = (uintptr_t)fl__element(results, 0, type->result_size);
	const size_t arg_step = arg ? type->arg_size : 0, result_step = result ? type->result_size : 0;
	int error;
	for (uint32_t i = 0;; arg += arg_step, result += result_step) {
		self->front.scope = token;
		error = fl__unlikely(hooks) ? run_type_with_hooks(type, (const void *)arg, (void *)result, ctx)
		                            : type->run(ctx, (const void *)arg, (void *)result);
		run_check_process(forks, type->name);
		if (error != 0)
			break;
		/* The cast and the `|` make this one branch. */
		if (fl__unlikely(((uintptr_t)ctx->message | ctx->keeps_result) != 0))
			run_forget_failure(ctx);
		*done = ++i;
		if (i == count)
			break;
		if (fl__unlikely(fl__cancel_is_requested(token))) {
			*between = true;
			error = -ECANCELED;
			break;
		}
	}
	self->front.scope = scope;
	return error;
}

static void run_help(struct fl__ctx *ctx, void *future);

/*
 * Returns the innermost frame of a context, or NULL if the context serves no executor. In a stolen
 * call the innermost frame is the forker's.
 */
static struct fl__run *run_innermost(const struct fl__ctx *ctx)
{
	return ctx->help == run_help ? ctx->front.inside.helper : NULL;
}

/* Visits the frames of the calling context, the innermost first; it declares `run`. */
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
	run->requested = false;
	run->begun = e->ran + e->running_now++;
	FL__LIST_ADD(&e->running, run);
}

/* Called under the lock. */
static void run_end(struct fl__run *run, int error)
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
	}
	if (fl__unlikely(ctx.keeps_result) && error != 0)
		fl__future_keep_result(f);
	*message = ctx.message;
	return error;
}

void fl__run_task(struct fl__run *run)
{
	char *message;
	fl_executor *e = run->executor;
	const int error = fl__run_measured(run, &e->stats.frame, run->begun, &message);
	fl__future_finish(run->future, error, message);
	FL__HELD(&e->lock);
	run_end(run, error);
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
			 * The token was made while this task ran. The tasks of the frames further
			 * out had begun before, so they are not below it.
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

/*
 * A worker that waits for a task of an executor that it serves does not count as blocked: after
 * run_help() another worker runs the task. If the other worker blocks, it is replaced, unless it
 * also waits for a task of an executor that it serves. So the last worker of a chain of waits runs
 * on, or is replaced.
 */
bool fl__run_block(struct fl__ctx *ctx, const void *future, bool begins)
{
	const fl_future *f = future;
	if (f && f->ops == &fl__task_future_ops &&
	    fl__run_serves(fl__task_block_owner(fl__task_block_of((fl_future *)(uintptr_t)f))->executor))
		return false;
	ctx->worker->executor->ops->block(ctx->worker, begins);
	return true;
}

/* This is the `help` of struct fl__ctx. It runs a pending task of an executor that `ctx` serves. */
static void run_help(struct fl__ctx *ctx, void *future)
{
	fl_future *f = future;
	if (f->ops != &fl__task_future_ops)
		return; /* not a task, or one that runs in another process */
	/* `e` may be gone: until fl__run_serves() has found `e`, the address is only compared */
	fl_executor *e = fl__task_block_owner(fl__task_block_of(f))->executor;
	if (!fl__run_serves(e) || (e->ops->will_run && e->ops->will_run(e)))
		return;
	struct fl__run run;
	const struct fl__awaited awaits = ctx->awaits; /* what the wait awaits, and not the task */
	fl__run_enter(&run, e);
	ctx->awaits = (struct fl__awaited){.kind = FL__DEBUG_NOTHING};
	enum fl__claim claim;
	{
		/* So a cancel of the executor finds the task in the queue or in this frame. */
		FL__HELD(&e->lock);
		claim = fl__future_claim_leaving(f, fl__executor_leaves(e));
		if (claim != FL__CLAIM_LOST) {
			fl__run_begin(&run, f, claim);
			fl__task_block_claimed(e, fl__task_block_of(f));
		}
	}
	if (claim != FL__CLAIM_LOST)
		fl__run_task(&run);
	fl__run_leave(&run);
	ctx->awaits = awaits;
	if (claim != FL__CLAIM_LOST)
		fl__future_end_foreign(f);
}
