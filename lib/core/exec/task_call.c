/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Calls a task's function, for one task or for the elements of a chunk. Also the functions that a
 * task calls with its fl_task_ctx.
 */
#include "../future/bytes.h"
#include "../wait/cancel.h"
#include "map.h"
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
FL__NOINLINE static void task_forget_failure(fl_task_ctx *ctx)
{
	fl__message_free(fl__task_take_message(ctx));
	ctx->keeps_result = false;
}

static int task_check_bytes(const fl_bytes *b, fl_task_ctx *ctx)
{
	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): a type with bytes has a result */
	if (!ctx->executor || b->size <= ctx->executor->bytes_max)
		return 0;
	return fl_task_fail(ctx, -E2BIG, "%zu bytes are above bytes_max", b->size);
}

/*
 * Copies the bytes of a result if they are borrowed, because their memory may end with the task.
 * Frees the bytes if the task has failed without fl_task_keep_result(), if there are too many bytes,
 * or if there is no memory for the copy.
 */
static int task_end_bytes(fl_bytes *result, int error, fl_task_ctx *ctx)
{
	int rc = error;
	if (error == 0 || ctx->keeps_result)
		rc = task_check_bytes(result, ctx);
	/*
	 * A result in fl__bytes_running needs no handle here, because the worker process copies it
	 * to its parent.
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
 * Called after a task's function. `forks` is the value of fl__fork_count before the call. If the
 * function has forked, the child must not go on with the parent's tasks.
 */
static inline void run_check_process(uint32_t forks, const char *name)
{
	if (fl__unlikely(fl__is_forked(forks)))
		fl__panic(name, NULL, "a child that it has forked returned from it: leave by _exit() or exec");
}

static inline int task_run(const fl_task_type *type, const void *arg, void *result, fl_task_ctx *ctx)
{
	const uint32_t forks = fl__fork_count;
	const int error = type->run(ctx, arg, result);
	run_check_process(forks, type->name);
	return error;
}

static inline bool task_has_hooks(const fl_task_type *type)
{
	return ((uintptr_t)type->drop_arg | (uintptr_t)type->drop_result) != 0; /* casts: one branch */
}

/* This is a function of its own, since fl__task_call() would save registers for it. */
FL__NOINLINE static int task_run_with_hooks(const fl_task_type *type, const void *arg, void *result, fl_task_ctx *ctx)
{
	int error = fl__bytes_declares(type->drop_arg) ? task_check_bytes(arg, ctx) : 0;
	if (error == 0)
		error = task_run(type, arg, result, ctx);
	return fl__bytes_declares(type->drop_result) ? task_end_bytes(result, error, ctx) : error;
}

int fl__task_call(const fl_task_type *type, const void *arg, void *result, fl_task_ctx *ctx)
{
	struct fl__ctx *self = fl__ctx_get();
	fl_cancel_token *scope = self->front.scope;
	self->front.scope = ctx->token;
	const int error = fl__unlikely(task_has_hooks(type)) ? task_run_with_hooks(type, arg, result, ctx)
	                                                     : task_run(type, arg, result, ctx);
	self->front.scope = scope;
	return error;
}

/* Does what fl__task_call() does, for each element, but sets up and restores the scope only once. */
int fl__elements_run(const fl_task_type *type, fl_task_ctx *ctx, const void *args, void *results, uint32_t count,
                     uint32_t *done, bool *between)
{
	struct fl__ctx *self = fl__ctx_get();
	fl_cancel_token *const scope = self->front.scope, *const token = ctx->token;
	const uint32_t forks = fl__fork_count;
	const bool hooks = task_has_hooks(type);
	/* integers, because the loop adds a step of 0 even to a NULL pointer */
	uintptr_t arg = (uintptr_t)fl__element(args, 0, type->arg_size),
		  result = (uintptr_t)fl__element(results, 0, type->result_size);
	const size_t arg_step = arg ? type->arg_size : 0, result_step = result ? type->result_size : 0;
	int error;
	for (uint32_t i = 0;; arg += arg_step, result += result_step) {
		self->front.scope = token;
		error = fl__unlikely(hooks) ? task_run_with_hooks(type, (const void *)arg, (void *)result, ctx)
		                            : type->run(ctx, (const void *)arg, (void *)result);
		run_check_process(forks, type->name);
		if (error != 0)
			break;
		/* The cast and the `|` make this one branch. */
		if (fl__unlikely(((uintptr_t)ctx->message | ctx->keeps_result) != 0))
			task_forget_failure(ctx);
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
