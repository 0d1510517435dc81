/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_PARALLEL_H
#define FAIRLEAD_PARALLEL_H

#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/executor.h>
#include <stddef.h>
#include <stdint.h>

FL_BEGIN_DECLS

/*
 * Parallel loops: a range of numbers whose parts are done at the same time by the workers of an executor.
 *
 *     static int scale(void *state, size_t from, size_t to)
 *     {
 *             float *x = state;
 *             for (size_t i = from; i < to; i++)
 *                     x[i] *= 2;
 *             return 0;
 *     }
 *     ...
 *     rc = fl_parallel_for(pool, 0, n, scale, x, NULL);      // check
 *
 * The range is cut where a worker has nothing to do, and nowhere else; how much is done between two looks whether one has
 * follows from how long it takes. So neither even nor uneven work needs a size to be chosen.
 */
typedef struct fl_parallel_config {
	size_t grain;            /* numbers a call of the body, at most; 0: found out */
	int64_t deadline;        /* 0: none */
	fl_cancel_token *cancel; /* as everywhere */
	int *error;              /* filled in when the result is FL_ETASK; may be NULL */
} fl_parallel_config;

/*
 * Calls body(state, from, to) for parts that together are the numbers from `begin` to `end` - 1, each once, in any order, several
 * at a time where the executor has several workers. Blocks until all calls have returned. Called by a task of `e` it runs on that
 * task's worker and whoever is free, and needs no free worker. Calls are made under a scope that is requested when one fails, at
 * the deadline, and with `cancel`. `config` may be NULL.
 * Returns 0; FL_ETASK: a call returned another value than 0, and no further ones were begun; -ETIMEDOUT, -ECANCELED: some were
 * not begun; -ENOTSUP: the executor's tasks do not see the caller's memory (no FL_CAP_BY_REFERENCE); or as fl_submit. An empty
 * range is 0.
 * Memory order: the calls see what was written before; the caller then sees what they wrote.
 */
FL_API FL_MUST_CHECK int fl_parallel_for(fl_executor *e, size_t begin, size_t end,
                                         int (*body)(void *state, size_t from, size_t to), void *state,
                                         const fl_parallel_config *config);

/* A value that is put together from those of parts. */
typedef struct fl_reduction {
	size_t size;          /* of the value, up to FL_REDUCTION_MAX; aligned as max_align_t */
	const void *identity; /* the value of an empty part; combined with another it changes nothing */
	/* Adds the numbers from `from` to `to` - 1, which follow those that are in `*value` already. 0, or an error. */
	int (*body)(void *state, size_t from, size_t to, void *value);
	/* Makes `*left` the value of both parts; `*right` is that of the part that follows. Associative; it need not commute. */
	void (*combine)(void *state, void *left, const void *right);
} fl_reduction;
#define FL_REDUCTION_MAX 256

/*
 * As fl_parallel_for; the value of the whole range is stored in `*value` when it returns 0, and else nothing. Where the range is
 * cut differs from run to run, the order in which parts are combined is that of the numbers. Also returns -E2BIG: a larger
 * value; nothing was called.
 */
FL_API FL_MUST_CHECK int fl_parallel_reduce(fl_executor *e, size_t begin, size_t end, const fl_reduction *reduction,
                                            void *state, void *value, const fl_parallel_config *config);

FL_END_DECLS

#endif
