/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_TASK_TYPE_H
#define FAIRLEAD_TASK_TYPE_H

#include <fairlead/cancel.h>
#include <fairlead/defs.h>

FL_BEGIN_DECLS

struct fl_shm; /* fairlead/shm.h */

/*
 * A task type is what FL_TASK defines (fairlead/task.h) and fl_executor_submit() takes: the
 * function of a task, and the sizes of its argument and result.
 *
 *     FL_TASK(read_config, struct source, struct settings)    // defines the type read_config
 *     {
 *             if (fl_task_is_cancelled(ctx))
 *                     return -ECANCELED;
 *             return load(arg, result) ? 0 : fl_task_fail(ctx, -EIO, "cannot read %s", arg->path);
 *     }
 *
 *     rc = fl_executor_submit(pool, &read_config, &source, &f);
 *
 * docs/in-your-process.md says what happens if a task ends in another way than by a return.
 */
typedef struct fl_task_ctx fl_task_ctx;

typedef struct fl_task_type {
	uint32_t size;    /* sizeof(fl_task_type) */
	uint32_t version; /* the version of the layout of argument and result */
	const char *name; /* by which other processes find the type: fl_task_register() */
	/* The function of the task. It returns 0, or a negative errno: the error of the future. */
	int (*run)(fl_task_ctx *ctx, const void *arg, void *result);
	size_t arg_size, arg_align;       /* both 0 if the argument is void */
	size_t result_size, result_align; /* both 0 if the result is void */
	/*
	 * Called once for each task that an executor has accepted, run or not, before its future
	 * ends, but not by fl_executor_map(), fl_process_start() and fl_future_then(); NULL means
	 * none.
	 */
	void (*drop_arg)(void *arg);
	/*
	 * Called with a valid result when the future is freed; NULL means none. Not called for a
	 * result that fl_executor_map(), fl_imap_next() or a group has stored for the caller, nor
	 * in fl_process_start().
	 */
	void (*drop_result)(void *result);
	/*
	 * How often the task, or its chunk of a map, may be started if the process that runs it
	 * dies; 0 means once. It is not started again after it was killed at its deadline.
	 */
	unsigned max_attempts;
} fl_task_type;

/*
 * The most bytes of argument and result of a submitted task together, or of each for
 * fl_process_start(), and the largest alignment.
 */
#define FL_TASK_SIZE_MAX ((size_t)1 << 30)
#define FL_TASK_ALIGN_MAX 64

/* Returns whether the task should stop, because it was cancelled or its deadline has passed. */
FL_API bool fl_task_is_cancelled(const fl_task_ctx *ctx);

/*
 * Returns the task's cancel token, which is also its cancel scope. It is valid until the function
 * of the task returns.
 */
FL_API fl_cancel_token *fl_task_token(fl_task_ctx *ctx);

/*
 * Returns the region `regions[i]` of the executor's config, as mapped in this process, or NULL if
 * there is none. It is valid until the function of the task returns, and must not be freed.
 */
FL_API struct fl_shm *fl_task_region(const fl_task_ctx *ctx, unsigned i);

/*
 * Sets the message of the task's failure, in the form of printf(), and returns `code`, or -EINVAL
 * for 0.
 *
 * The message is cut at FL_MESSAGE_MAX - 1 bytes. The last call counts.
 */
FL_API int fl_task_fail(fl_task_ctx *ctx, int code, const char *message, ...) FL_PRINTF(3, 4);

/*
 * Keeps the result of a task that will fail. It has no effect if the task returns 0.
 *
 * fl_future_get() and fl_imap_next() copy the kept result, and still report the failure. A map
 * needs the call only for results above 64 KiB in processes. A chained task (fl_future_then()) does
 * not get the result.
 */
FL_API void fl_task_keep_result(fl_task_ctx *ctx);

/* The entry of a type in the registry of task types, which FL_TASK defines. */
typedef struct fl_task_entry {
	const fl_task_type *type;
	struct fl_task_entry *next_;
} fl_task_entry;

/*
 * Registers a task type, as FL_TASK does in a constructor, so that other processes find it by its
 * name. The entry and its type must stay valid until fl_task_unregister().
 *
 * While different types have one name, a submit of a task of that name to a process or MPI executor
 * fails with -EEXIST. So does fl_process_start(), unless its method is FL_PROCESS_FORK.
 *
 * Panics if a hook is FL_BYTES_DROP, but its argument or result is smaller than an fl_bytes.
 */
FL_API void fl_task_register(fl_task_entry *entry);

/* Removes a task type from the registry. No task of the type may be pending or running. */
FL_API void fl_task_unregister(fl_task_entry *entry);

FL_END_DECLS

#endif
