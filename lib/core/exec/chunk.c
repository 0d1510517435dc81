/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Chunks: tasks that run a type's function for several arguments.
 *
 * An executor whose tasks run in other processes (no FL_CAP_BY_REFERENCE) loops over the elements
 * itself. Other executors call a task's function once, so there the task gets a type of this file,
 * whose function chunk_run() runs the elements. chunk_run() finds its task block by the task's
 * token, which is part of the future.
 *
 * The elements belong to the caller, and a hook handles only one element. Therefore a type with
 * hooks is submitted as a copy without hooks, in memory that does not last as long as the futures.
 * After a future has ended, only contexts with a reference read its type: the recorder, and the
 * release of the last reference. The reference count orders these reads. This allows
 * fl__chunk_detach_type() to give an ended future a lasting type before the copy is freed.
 */
#include "map.h"

enum {
	CHUNK_WINDOW = 1024,              /* chunks per worker: fl__chunk_window() */
	CHUNK_WINDOW_LEAST = 2,           /* chunks per worker: one runs, one is next */
	CHUNK_WINDOW_BYTES = 1 << 20,     /* bytes per worker, unless two chunks need more */
	CHUNK_WINDOW_MOST = 1 << 14,      /* chunks of all workers; with more workers, one for each */
	CHUNK_PREFERRED_BYTES = 16 << 10, /* so that 16 tasks fit a submission ring */
	CHUNK_BYTES_MOST = 64 << 10,      /* for structs with an fl_bytes, if there is no `result_most` */
	CHUNK_PREFERRED_HANDLES = 16,     /* elements with an fl_bytes, whose sizes are not known */
};

/* The type of every chunk that has ended. */
static const fl_task_type chunk_detached_type = {.size = sizeof(fl_task_type), .name = "fl__chunk"};

static int chunk_run(fl_task_ctx *ctx, const void *arg, void *result)
{
	struct fl__task_block *block = fl__task_block_of(fl__future_of_token(ctx->token));
	const fl_task_type *type = fl__chunk_type_of(block->future.type);
	bool between = false;
	int error = fl__elements_run(type, ctx, arg, result, block->future.count, &block->done, &between);
	block->asked = between                                            ? FL__STOP_BETWEEN
	               : error == -ECANCELED && fl_task_is_cancelled(ctx) ? FL__STOP_REQUESTED
	                                                                  : FL__STOP_NOT_REQUESTED;
	return error;
}

const fl_task_type *fl__chunk_type(struct fl__chunk_type *storage, const fl_executor *e, const fl_task_type *type,
                                   size_t chunk)
{
	const bool ours = chunk > 1 && (e->ops->capabilities & FL_CAP_BY_REFERENCE);
	if (!ours && !type->drop_arg && !type->drop_result)
		return type;
	storage->of = type;
	storage->type = *type;
	if (ours) {
		storage->type.drop_arg = storage->type.drop_result = NULL; /* they are for single elements */
		storage->type.run = chunk_run;
		storage->type.size = sizeof *storage;
	} else {
		fl__bytes_lend(&storage->type);
	}
	return &storage->type;
}

void fl__chunk_detach_type(fl_future *f)
{
	f->type = &chunk_detached_type;
}

struct fl__chunk_end fl__chunk_end(fl_future *f, const fl_task_type *type)
{
	const struct fl__task_block *block = fl__task_block_of(f);
	const int error = fl_future_error(f);
	if (error == 0)
		return (struct fl__chunk_end){.done = block->future.count};
	/*
	 * No element counts as done in two cases. First, nobody knows which elements succeeded, as
	 * after the death of a rank; then block->done is the count of all elements, although there
	 * is an error. Second, there was no memory for the results.
	 */
	const bool lost = block->done >= block->future.count || (type->result_size > 0 && !f->result);
	const bool killed = error == -ETIMEDOUT && block->asked == FL__STOP_EXPIRED;
	const bool cancelled = fl_future_state(f) == FL_CANCELLED;
	return (struct fl__chunk_end){
	    .error = error,
	    .done = lost ? 0 : block->done,
	    .stopped = killed || cancelled || fl__future_has_expired(f) || (error == -ECANCELED && block->asked),
	    .begun = !cancelled && block->asked != FL__STOP_BETWEEN,
	    .kept = !lost && fl__future_keeps_result(f),
	};
}

size_t fl__chunk_most(const fl_task_type *type)
{
	if (type->arg_size > FL_TASK_SIZE_MAX || type->result_size > FL_TASK_SIZE_MAX)
		return 1; /* the submit will refuse the task */
	const size_t most = FL_TASK_SIZE_MAX / FL__MAX(type->arg_size + type->result_size, 1);
	return FL__MAX(most, 1);
}
_Static_assert(FL_TASK_SIZE_MAX <= UINT32_MAX, "a chunk can be counted");

size_t fl__chunk_limit(const fl_executor *e, const fl_task_type *type, size_t wanted)
{
	const size_t bytes = e->ops->result_most > 0  ? e->ops->result_most
	                     : fl__bytes_are_in(type) ? CHUNK_BYTES_MOST
	                                              : SIZE_MAX;
	size_t each = type->result_size;
	if (fl__bytes_declares(type->drop_arg)) /* the array must fit a worker process's ring */
		each = FL__MAX(each, type->arg_size);
	const size_t kept = e->elements_apart ? 1 : each > 0 ? FL__MAX(bytes / each, 1) : SIZE_MAX;
	return FL__MIN(wanted, FL__MIN(kept, fl__chunk_most(type)));
}

size_t fl__chunk_preferred(const fl_task_type *type)
{
	const size_t larger = FL__MAX(type->arg_size, type->result_size);
	if (fl__bytes_are_in(type))
		return CHUNK_PREFERRED_HANDLES;
	return FL__MAX(CHUNK_PREFERRED_BYTES / FL__MAX(larger, 1), 1);
}

/*
 * A worker process's submission ring has 16 chunks. The window has many more, so that a backlog can
 * refill the ring whenever results are fetched. Then no worker waits for the caller.
 */
size_t fl__chunk_window(const fl_executor *e, const fl_task_type *type, size_t chunk)
{
	const size_t bytes = chunk * FL__MAX(type->arg_size + type->result_size, 1);
	const size_t fitting = FL__MAX(CHUNK_WINDOW_BYTES / FL__MAX(bytes, 1), CHUNK_WINDOW_LEAST);
	const size_t workers = fl_executor_workers(e);
	const size_t wanted = workers * FL__MIN(fitting, CHUNK_WINDOW);
	return FL__MIN(wanted, FL__MAX(workers, CHUNK_WINDOW_MOST));
}
