/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "../base/sys.h"
#include "../future/bytes.h"
#include "executor.h"

/*
 * A chunk (chunk.c) is one task for several consecutive arguments. It ends at the first element
 * that fails. The executor runs none of the hooks of the caller's type.
 *
 *     sent = fl__chunk_type(&storage, e, type, chunk);       // chunk <= fl__chunk_most(type)
 *     rc = fl__submit(e, sent, args, count, &f, config, 0);  // count <= chunk
 *     ... f ends ...
 *     end = fl__chunk_end(f, type);
 *     fl__chunk_detach_type(f);
 *     fl_future_free(f);
 */
struct fl__chunk_type {
	fl_task_type type;
	const fl_task_type *of;
};

/*
 * Returns `type` itself if possible, and otherwise a type made in `storage`. The storage must stay
 * until every future of that type has ended and was passed to fl__chunk_detach_type().
 */
const fl_task_type *fl__chunk_type(struct fl__chunk_type *storage, const fl_executor *e, const fl_task_type *type,
                                   size_t chunk);

/*
 * Returns the caller's type if `type` was made for a chunk that runs as one task in this process,
 * which its size tells. Otherwise returns `type`.
 */
static inline const fl_task_type *fl__chunk_type_of(const fl_task_type *type)
{
	return type->size == sizeof(struct fl__chunk_type) ? ((const struct fl__chunk_type *)(const void *)type)->of
	                                                   : type;
}

/*
 * Replaces the type of an ended future by a static one. The caller has a reference, or is the
 * future's callback.
 */
void fl__chunk_detach_type(fl_future *f);

struct fl__chunk_end {
	int error;     /* 0: all succeeded */
	uint32_t done; /* how many elements, from the first on, succeeded and have results */
	/*
	 * The chunk was cancelled, or stopped on request or by a deadline. If this is false and
	 * `error` is not 0, element `done` failed.
	 */
	bool stopped;
	bool begun; /* element `done` has begun, as far as the executor knows */
	bool kept;  /* element `done` failed and kept its result */
};

/*
 * Runs `count` elements, at least one. `*done` counts the elements that succeed. Returns 0, or the
 * error of the element that failed. If the task is asked to stop, the function returns -ECANCELED
 * before it begins the next element, and sets `*between`. The caller initializes `*done` with 0,
 * and `*between` with false.
 */
int fl__elements_run(const fl_task_type *type, fl_task_ctx *ctx, const void *args, void *results, uint32_t count,
                     uint32_t *done, bool *between);

/* Returns how an ended chunk has ended. `type` is the caller's type. */
struct fl__chunk_end fl__chunk_end(fl_future *f, const fl_task_type *type);

/* Returns how many elements, from the first on, have a valid result. */
static inline size_t fl__chunk_kept(struct fl__chunk_end end)
{
	return (size_t)end.done + end.kept;
}

/* Returns why work under the token `cancel`, or under the scope if that is NULL, stopped early. */
static inline int fl__why_stopped(fl_time deadline, const fl_cancel_token *cancel)
{
	return !fl_cancel_token_is_requested(cancel) && fl__is_expired(deadline) ? -ETIMEDOUT : -ECANCELED;
}

/* Returns the number of chunks that `n` elements make. */
static inline size_t fl__chunks(size_t n, size_t chunk)
{
	return n / chunk + (n % chunk != 0);
}

/*
 * Returns the size of the chunks of a map or loop whose caller has chosen none, such that `n`
 * elements make at most `most` chunks. Large chunks end at whole cache lines, so that neighbours
 * share no line, and vectors are aligned.
 */
static inline size_t fl__chunk_size(size_t n, size_t most)
{
	const size_t chunk = fl__chunks(n, most);
	return chunk < 8 * FL__LINE ? chunk : (chunk + FL__LINE - 1) / FL__LINE * FL__LINE;
}

/* Returns the default number of chunks: several for each worker, to balance the load. */
static inline size_t fl__chunks_for(const fl_executor *e)
{
	enum { CHUNKS_PER_WORKER = 8 };
	return (size_t)fl_executor_workers(e) * CHUNKS_PER_WORKER;
}

/* Returns how many elements one task can have at most. The result is at least 1. */
size_t fl__chunk_most(const fl_task_type *type);

/*
 * Returns the largest number of elements, from 1 to `wanted`, within three limits: what one task
 * can have; results of `result_most` bytes, if the kind has that limit (such results survive the
 * death of their worker); and a limit for elements with an fl_bytes.
 */
size_t fl__chunk_limit(const fl_executor *e, const fl_task_type *type, size_t wanted);

/* Returns how many elements of this size a chunk should have at most. The result is at least 1. */
size_t fl__chunk_preferred(const fl_task_type *type);

/* Returns how many chunks should be under way to keep all workers busy with little memory. */
size_t fl__chunk_window(const fl_executor *e, const fl_task_type *type, size_t chunk);

/* Returns the i-th element of the array `first`, or NULL if `size` is 0 or `first` is NULL. */
static inline void *fl__element(const void *first, size_t i, size_t size)
{
	return first && size > 0 ? (char *)first + i * size : NULL;
}
