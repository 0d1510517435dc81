/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_TASK_TYPE_H
#define FAIRLEAD_TASK_TYPE_H

#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/shm.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

FL_BEGIN_DECLS

/*
 * A task type: what FL_TASK (fairlead/task.h) defines and what fl_submit() takes. It has a name, so that another process
 * can find it, and sizes, so that argument and result can be carried as bytes.
 *
 * Its function may call fork(). The child must leave by _exit() or exec, and not return from the function, for what called it would
 * go on with the parent's tasks: it panics then. So it is with all that an executor calls: initializers, the bodies of loops, the calls of
 * fl_parallel_invoke(). In between a child must not wait for what its parent's other threads do.
 */
typedef struct fl_task_ctx fl_task_ctx;

typedef struct fl_task_type {
	uint32_t size;                                               /* of this struct: sizeof(fl_task_type) */
	uint32_t version;                                            /* of the argument's and result's layout */
	const char *name;                                            /* for other processes: fl_task_register() */
	int (*run)(fl_task_ctx *ctx, const void *arg, void *result); /* 0, or an error: the future's */
	size_t arg_size, arg_align;                                  /* 0, 0 for void */
	size_t result_size, result_align;                            /* 0, 0 for void */
	void (*drop_arg)(void *arg); /* once for each accepted task when it has ended; may be NULL */
	/* Called with the result of a task that succeeded, or kept it, when its future is freed; may be NULL. */
	void (*drop_result)(void *result);
	/*
	 * How often it may be started, when the process that runs it dies: more than 1 declares that the task may be run
	 * again after it was run in part. 0 is 1: at most once. A task that was killed at its
	 * deadline is not started again. In a map the whole chunk is.
	 */
	unsigned max_attempts;
} fl_task_type;

/* The most bytes of argument plus result, and the largest alignment of either. */
#define FL_TASK_SIZE_MAX ((size_t)1 << 30)
#define FL_TASK_ALIGN_MAX 64

/* Whether the task should stop: it was cancelled, or its deadline has passed. Never waits. For use in `run`. */
FL_API bool fl_task_is_cancelled(const fl_task_ctx *ctx);

/* The task's token, which is also the scope of its plain waits. Valid during `run`. */
FL_API fl_cancel_token *fl_task_token(fl_task_ctx *ctx);

/*
 * The region `regions[i]` of the executor's config, in the process that the task runs in; NULL: there is none. The
 * executor's, not to be freed. What is passed as an offset in it is never copied. Valid during `run`.
 */
FL_API fl_shm *fl_task_region(const fl_task_ctx *ctx, unsigned i);

/*
 * Gives the task's failure a message, printf-like, cut at FL_MESSAGE_MAX - 1 bytes; returns `code`, so that
 * `return fl_task_fail(ctx, -EIO, "cannot read %s", path);` ends the task. The last message counts. `code` 0 becomes -EINVAL.
 */
FL_API int fl_task_fail(fl_task_ctx *ctx, int code, const char *format, ...) FL_PRINTF(3, 4);

/*
 * Says that the result counts although the task fails, like the object that an exception carries. It
 * has no effect when the task returns 0, or has no result.
 *
 *     result->line = line;
 *     fl_task_keep_result(ctx);
 *     return fl_task_fail(ctx, -EBADMSG, "line %d cannot be read", line);
 *
 * The result is handled as that of a task that succeeds: fl_future_get() and fl_imap_next() copy it,
 * and still return that the task failed; fl_future_result() returns it; a group stores it where the
 * submit said; the hook `drop_result` runs for it. fl_map() stores what a failed element left in any
 * case. A task that is chained to this one (fl_future_then()) fails with its error and message, and
 * has no result. A process executor loses a kept result above 64 KiB when its worker has no memory or
 * descriptor to send it: then the task has failed without a result. Never waits.
 */
FL_API void fl_task_keep_result(fl_task_ctx *ctx);

/* A type's place in the registry; FL_TASK makes it, static. */
typedef struct fl_task_entry {
	const fl_task_type *type;
	struct fl_task_entry *next_;
} fl_task_entry;

/*
 * Registers a type by its name; FL_TASK does so in a constructor. Entry and type must stay valid
 * until it is taken out. Never waits for long.
 *
 * A name matters only where a task goes to another process, which finds it by its name. While
 * different types have one name, that name stands for none of them: fl_task_find() finds none, and
 * a submit of such a task to a process executor, and an fl_process_start() of it, fail with
 * -EEXIST. All other executors run each of them, and all executors run all other tasks.
 */
FL_API void fl_task_register(fl_task_entry *entry);

/* Takes a type out of the registry. Requires that no task of it is under way. Never waits for long. */
FL_API void fl_task_unregister(fl_task_entry *entry);

/*
 * The type of that name; NULL when no type has it, or different types do. The first use may
 * allocate; NULL too when that fails. Never waits.
 */
FL_API const fl_task_type *fl_task_find(const char *name);

/*
 * A name that different registered types have; NULL when there is none, or no memory to look for
 * it. Never waits.
 */
FL_API const char *fl_task_conflict(void);

FL_END_DECLS

#endif
