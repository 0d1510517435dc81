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
 * Parallel loops: the workers of an executor process the parts of a range of numbers at the same
 * time.
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
 * The range is split only when a worker is idle. A worker checks that after some microseconds of
 * work. So neither even nor uneven work needs a chosen size.
 */
typedef struct fl_parallel_config {
	size_t grain;            /* the most numbers for a call of the body; 0: measured */
	int64_t deadline;        /* 0: none */
	fl_cancel_token *cancel; /* NULL: the caller's scope; FL_SHIELDED: none */
	int *error;              /* stores the error of the call that failed, for FL_ETASK; may be NULL */
} fl_parallel_config;

/*
 * Calls body(state, from, to) for parts that together are the numbers from `begin` to `end` - 1,
 * each once, in any order, several at a time if the executor has several workers. Blocks until all
 * calls have returned. In a task of `e` the loop runs on that task's worker and on idle workers,
 * and needs no free worker. The calls have a scope that is requested when a call fails, at the
 * deadline, and with `cancel`. `config` may be NULL. Returns:
 *
 *   0            also for an empty range
 *   FL_ETASK     a call returned another value than 0; no further calls were begun
 *   -ETIMEDOUT, -ECANCELED
 *                some calls were not begun
 *   -ENOTSUP     the executor's tasks do not see the caller's memory (no FL_CAP_BY_REFERENCE)
 *   -EOWNERDEAD  a call has ended its thread, by pthread_exit() or pthread_cancel(), while no part
 *                of the loop was offered to another worker; otherwise that panics
 *
 * or an error of fl_submit(). Memory order: the calls see what the caller wrote before; the caller
 * then sees what the calls wrote.
 */
FL_API FL_MUST_CHECK int fl_parallel_for(fl_executor *e, size_t begin, size_t end,
                                         int (*body)(void *state, size_t from, size_t to), void *state,
                                         const fl_parallel_config *config);

/* How the values of parts are computed and combined. */
typedef struct fl_reduction {
	size_t size;          /* of the value, up to FL_REDUCTION_MAX; aligned as max_align_t */
	const void *identity; /* the value of an empty part: combined with another it changes nothing */
	/*
	 * Adds the numbers from `from` to `to` - 1 to `*value`, which has the numbers directly
	 * before. Returns 0, or an error.
	 */
	int (*body)(void *state, size_t from, size_t to, void *value);
	/*
	 * Makes `*left` the value of both parts; `*right` is that of the part that follows. Must be
	 * associative; need not commute.
	 */
	void (*combine)(void *state, void *left, const void *right);
} fl_reduction;
#define FL_REDUCTION_MAX 256

/*
 * As fl_parallel_for(); on success stores the value of the whole range in `*value`, else nothing.
 * The range may be split differently in each run; parts are combined in the order of the numbers.
 * Also returns -E2BIG: the value is larger than FL_REDUCTION_MAX; nothing was called.
 */
FL_API FL_MUST_CHECK int fl_parallel_reduce(fl_executor *e, size_t begin, size_t end, const fl_reduction *reduction,
                                            void *state, void *value, const fl_parallel_config *config);

FL_END_DECLS

#endif
