/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "../base/panic.h"
#include "../future/future.h"
#include "../hooks.h"
#include "../wait/context.h"
#include <fairlead/executor.h>

/* Frames of contexts that serve executors (run.c), and the call of a task's function (task_call.c). */

struct fl__task_block;

/*
 * Each context that serves an executor has frames (run.c). A worker, or a fiber of a loop executor,
 * has one frame for its whole life. A context that runs a task in its submit, or helps, adds a
 * frame for each task that it runs in this way. A frame is on the stack of its context, except that
 * a worker of a thread executor has its frame in the worker's struct. A context's frames form a
 * chain. A stolen call (fork_join.c) uses the forker's chain.
 */
struct fl__run {
	fl_executor *executor;
	/*
	 * The running task, until its callbacks have returned; or NULL. Between two tasks, the
	 * frame of a thread pool's worker still points to the last task. That task may be gone, so
	 * the pointer is then only compared.
	 */
	fl_future *future;
	enum fl__claim claim;
	/* the task's function runs; in a worker process `future` is NULL meanwhile */
	bool active;
	bool here; /* made by fl__run_here() */
	struct fl__run *outer;
	struct fl__run *other; /* the next frame further out that serves another executor, or NULL */
	/* links in executor->running or, after a cancel, in `requested`; guarded by its lock */
	struct fl__run *next, **link;
	size_t begun; /* how many tasks fl__run_task() had begun before */
};

/* Adds a frame for `e` to the calling context, which may then run tasks of `e` inline. */
void fl__run_enter(struct fl__run *run, fl_executor *e);
void fl__run_leave(struct fl__run *run);

/* Called under the lock by a context that has claimed `f`. Puts `f` into the frame. */
void fl__run_begin(struct fl__run *run, fl_future *f, enum fl__claim claim);
/*
 * Called without the lock. Runs the task, ends its future, and empties the frame. The references to
 * the future stay.
 */
void fl__run_task(struct fl__run *run);

/*
 * The two parts of fl__run_task(). fl__run_to_end() runs the task, ends its future, and returns the
 * task's error. fl__run_end() is called under the lock, and empties the frame.
 */
int fl__run_to_end(struct fl__run *run);
void fl__run_end(struct fl__run *run, int error);

/* Returns how many tasks of `e` the calling context runs in fl__run_here(). */
unsigned fl__run_depth(const fl_executor *e);

/* The first step of fl__run_to_end(). Returns the task's error, and its message in `*message`. */
int fl__run_function(struct fl__run *run, char **message);

/*
 * Does what fl__run_function() does, and measures the task if a measurement is due. `begun` is the
 * number of tasks that the context has begun before. relaxed: `next` is only a number.
 */
static inline int fl__run_measured(struct fl__run *run, struct fl__stats_context *context, size_t begun, char **message)
{
	/* until the future ends, its `error` is a stamp, or 0 (inspect/stats.c) */
	const bool due = run->future->error != 0 || begun >= fl__load_relaxed(&context->next);
	return fl__unlikely(due) && fl__stats_are_linked() && run->claim == FL__CLAIM_RUN
	           ? fl__hook_begin_on(run, context, begun, message)
	           : fl__run_function(run, message);
}

bool fl__run_is_under_token(const fl_cancel_token *token);

/*
 * Runs a task of `e`, which the caller has taken out of a queue, within the task that the caller
 * runs. Takes over the producer's reference.
 */
void fl__run_taken(fl_executor *e, struct fl__task_block *block);

/*
 * Returns whether the caller's innermost task is a task or the initializer of `e`, and has a token
 * above `token`.
 */
bool fl__run_is_above(const fl_executor *e, const fl_cancel_token *token);

/* The `block` of struct fl__worker_ops for workers of kinds that have the operation `block`. */
bool fl__run_block(struct fl__ctx *ctx, const void *future, bool begins);

/* Begins or ends a worker's wait for a task or fork of its own executor; does nothing elsewhere. */
void fl__run_depend(struct fl__ctx *ctx, bool begins);

bool fl__run_serves(const fl_executor *e);

/* The type of a task of the library that gets a pointer as its argument and has no result. */
#define FL__TASK_OF_POINTER(task, function)                                                                            \
	{                                                                                                              \
		.size = sizeof(fl_task_type), .name = (task), .run = (function), .arg_size = sizeof(void *),           \
		.arg_align = _Alignof(void *)                                                                          \
	}

struct fl_task_ctx {
	fl_cancel_token *token;
	/* The executor that has the regions, or NULL if there are none. */
	const fl_executor *executor;
	char *message; /* set by fl_task_fail(), or NULL */
	bool keeps_result;
};

/*
 * Calls a task's function, with `ctx->token` as its scope, and returns its result. The caller frees
 * `ctx->message`.
 */
int fl__task_call(const fl_task_type *type, const void *arg, void *result, fl_task_ctx *ctx);

char *fl__task_take_message(fl_task_ctx *ctx);
