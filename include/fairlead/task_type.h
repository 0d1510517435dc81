/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_TASK_TYPE_H
#define FAIRLEAD_TASK_TYPE_H

#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

FL_BEGIN_DECLS

struct fl_shm; /* fairlead/shm.h */

/*
 * A task type: what FL_TASK (fairlead/task.h) defines and what fl_submit() takes.
 *
 * Its function may call fork(). The child must leave by _exit() or exec: a return panics. The same
 * holds for all functions that an executor calls: initializers, bodies of loops, calls of
 * fl_parallel_invoke(). The child must not wait for other threads of its parent.
 *
 * docs/ends.md has other ends: pthread_exit(), pthread_cancel(), longjmp(), C++ exceptions.
 */
typedef struct fl_task_ctx fl_task_ctx;

typedef struct fl_task_type {
	uint32_t size;    /* of this struct: sizeof(fl_task_type) */
	uint32_t version; /* of the argument's and result's layout */
	const char *name; /* for other processes: fl_task_register() */
	/* Returns 0, or the error of the future: a negative errno. */
	int (*run)(fl_task_ctx *ctx, const void *arg, void *result);
	size_t arg_size, arg_align;       /* 0, 0 for void */
	size_t result_size, result_align; /* 0, 0 for void */
	/* Called once for each accepted task, run or not, before its future ends. NULL: none. */
	void (*drop_arg)(void *arg);
	/* Called with a valid result when the future is freed. NULL: none. */
	void (*drop_result)(void *result);
	/*
	 * How often the task may be started if the process that runs it dies; 0 is 1. A task that
	 * was killed at its deadline is not started again. A map restarts the chunk.
	 */
	unsigned max_attempts;
} fl_task_type;

/* The most bytes of argument plus result, and the largest alignment of either. */
#define FL_TASK_SIZE_MAX ((size_t)1 << 30)
#define FL_TASK_ALIGN_MAX 64

/* Whether the task should stop: it was cancelled, or its deadline has passed. For use in `run`. */
FL_API bool fl_task_is_cancelled(const fl_task_ctx *ctx);

/* The task's token, which is also the scope of its plain waits. Valid during `run`. */
FL_API fl_cancel_token *fl_task_token(fl_task_ctx *ctx);

/*
 * The region `regions[i]` of the executor's config, in the process that runs the task; NULL: there
 * is none. It is the executor's, and must not be freed. Data passed as an offset in it is not
 * copied. Valid during `run`.
 */
FL_API struct fl_shm *fl_task_region(const fl_task_ctx *ctx, unsigned i);

/*
 * Sets the message of the task's failure, printf-like, cut at FL_MESSAGE_MAX - 1 bytes. Returns
 * `code` (-EINVAL if that is 0), so that `return fl_task_fail(ctx, -EIO, "cannot read %s", path);`
 * ends the task. The last message counts.
 */
FL_API int fl_task_fail(fl_task_ctx *ctx, int code, const char *message, ...) FL_PRINTF(3, 4);

/*
 * Makes the result count although the task fails. No effect if it returns 0, or has no result.
 *
 * fl_future_get() and fl_imap_next() copy the result, and still report the failure. fl_map() stores
 * what a failed element left, kept or not; on processes above 64 KiB only what was kept. A task
 * that is chained to this one (fl_future_then()) fails with its error and message, and has no
 * result. A process executor loses a kept result above 64 KiB if its worker cannot send it.
 */
FL_API void fl_task_keep_result(fl_task_ctx *ctx);

/* A type's entry in the registry; FL_TASK defines it, static. */
typedef struct fl_task_entry {
	const fl_task_type *type;
	struct fl_task_entry *next_;
} fl_task_entry;

/*
 * Registers a type, as a constructor of FL_TASK does. Entry and type must stay valid until
 * fl_task_unregister().
 *
 * While different types have one name, fl_task_find() returns none of them, and a submit of such a
 * task to a process or MPI executor, or an fl_process_start() of it, fails with -EEXIST.
 *
 * Panics: FL_BYTES_DROP, and the type is smaller than an fl_bytes.
 */
FL_API void fl_task_register(fl_task_entry *entry);

/* Removes a type from the registry. Requires that no task of it is under way. */
FL_API void fl_task_unregister(fl_task_entry *entry);

/* The type of that name. NULL: no type has the name, or different types have it. */
FL_API const fl_task_type *fl_task_find(const char *name);

/* A name that different registered types have. NULL: there is none. Locks a mutex, briefly. */
FL_API const char *fl_task_conflict(void);

FL_END_DECLS

#endif
