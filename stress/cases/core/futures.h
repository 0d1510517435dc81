/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_FUTURES_H
#define STRESS_FUTURES_H

#include "../cases.h"
#include "core/future/future.h"

/*
 * Futures without an executor, for the scenarios of futures. Their producer claims, runs and ends
 * them as a worker does.
 */

/*
 * The block of a future, with the records of its hooks. They are plain, so that they must be
 * ordered.
 */
struct block {
	fl_future future;
	int result, drops, results_dropped, cancelled;
	atomic_int *freed;
};

static inline struct block *block_of(fl_future *f)
{
	return (struct block *)(void *)f; /* its first member */
}

static inline bool on_claim_cancel(fl_future *f)
{
	bool claimed = fl__future_claim_cancel(f);
	if (claimed)
		block_of(f)->cancelled++;
	return claimed;
}

static inline void on_release(fl_future *f)
{
	COUNT(block_of(f)->freed);
	free(f);
}

static inline void drop_arg(void *arg)
{
	((struct block *)arg)->drops++;
}

static inline void drop_result(void *result)
{
	*(int *)result = 0; /* plain: it comes after every access to it */
}

static const struct fl__future_ops ops = {.claim_cancel = on_claim_cancel, .release = on_release};
static const fl_task_type type = {.size = sizeof type,
                                  .name = "case",
                                  .result_size = sizeof(int),
                                  .result_align = _Alignof(int),
                                  .drop_arg = drop_arg,
                                  .drop_result = drop_result};

static inline fl_future *make_future(atomic_int *freed, uint32_t refs)
{
	struct block *b = make(sizeof *b);
	b->freed = freed;
	b->future.arg = b;
	b->future.result = &b->result;
	fl__future_init(&b->future, &ops, &type, refs, NULL, FL_FOREVER);
	return &b->future;
}

/* Ends the task as a worker does. */
static inline enum fl__claim produce(fl_future *f, int result, int error)
{
	enum fl__claim claim = fl__future_claim(f);
	if (claim == FL__CLAIM_LOST)
		return claim;
	if (claim == FL__CLAIM_RUN)
		*(int *)f->result = result;
	fl__future_finish(f, error, NULL);
	fl_future_free(f);
	return claim;
}

static inline void count_call(fl_future *f, void *arg)
{
	COUNT((atomic_int *)arg);
}

static inline void count_drop(void *result)
{
	++**(int **)result; /* plain: it comes after every access to it */
}

#endif
