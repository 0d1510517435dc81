/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_EXEC_MAP_H
#define FL_EXEC_MAP_H

#include "../base/sys.h"
#include "executor.h"

/* Arguments a task, where nobody says: some tasks for each worker, so that the load is balanced. */
size_t fl__map_chunk(size_t n, unsigned workers);

/*
 * map_copy.c: the map of an executor without FL_CAP_BY_REFERENCE. `config`: as the caller's, but `cancel` is resolved;
 * NULL: none. n > 0.
 */
int fl__map_by_copy(fl_executor *e, const fl_task_type *type, const void *args, size_t n, void *results,
                    const fl_map_config *config);

/*
 * Chunks (chunk.c): consecutive arguments that are one task, on any executor, by
 *
 *     sent = fl__chunk_type(&room, e, type, chunk);
 *     rc = fl__submit(e, sent, args, count, &f, config);      // count <= chunk <= fl__chunk_most(type)
 *     ... f ends ...
 *     end = fl__chunk_end(f, type);
 *     fl__chunk_let_go(f);
 *     fl_future_free(f);
 *
 * A chunk ends with the first of its elements that fails. None of the type's hooks run.
 */
struct fl__chunk_type {
	fl_task_type type;
	const fl_task_type *of;
};

/*
 * What is to be submitted for `type`: itself where that will do, else what is made in `room`, which must outlive all
 * futures.
 */
const fl_task_type *fl__chunk_type(struct fl__chunk_type *room, const fl_executor *e, const fl_task_type *type,
                                   size_t chunk);

/*
 * Of a future that has ended: from now on it does not refer to that room. The caller has a reference to it, or is its
 * callback.
 */
void fl__chunk_let_go(fl_future *f);

struct fl__chunk_end {
	int error;      /* 0: all have succeeded */
	uint32_t done;  /* so many have, from the first, and have left their results */
	bool stopped;   /* it was cancelled, or asked to stop and did; else the element after those has failed */
	bool late;      /* it was stopped by a kill at its deadline */
	bool kept;      /* the element after those has failed, and has kept its result */
	bool untouched; /* what comes after that element was not begun, for sure */
};

/* What became of a chunk of `type`, the caller's, that has ended. */
struct fl__chunk_end fl__chunk_end(fl_future *f, const fl_task_type *type);

/* How many elements of the chunk, from the first, have a result that counts. */
static inline size_t fl__chunk_kept(struct fl__chunk_end end)
{
	return (size_t)end.done + end.kept;
}

/* The earlier of a deadline and that of the token, which may be NULL. */
static inline int64_t fl__deadline_under(int64_t deadline, const fl_cancel *cancel)
{
	return cancel ? fl__min_deadline(deadline, fl_cancel_deadline(cancel)) : deadline;
}

/* The most elements that one task can have; at least 1. */
size_t fl__chunk_most(const fl_task_type *type);

/*
 * So many of the elements that are wanted in a task: no more than it can have, and than have their
 * results where they outlive a worker that dies (`result_most`); at least 1 of them.
 */
size_t fl__chunk_cut(const fl_executor *e, const fl_task_type *type, size_t wanted);

/* So few elements have their bytes where an executor has them best; at least 1. */
size_t fl__chunk_handy(const fl_task_type *type);

/* How many chunks to have under way, so that no worker waits for one and little memory is used. */
size_t fl__chunk_window(const fl_executor *e, const fl_task_type *type, size_t chunk);

/* The i-th argument or result of those that stand at `first`; NULL when they have no size, or `first` is. */
static inline void *fl__element(const void *first, size_t i, size_t size)
{
	return first && size > 0 ? (char *)first + i * size : NULL;
}

#endif
