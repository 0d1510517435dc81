/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_LINS_H
#define STRESS_LINS_H

#include "cases.h"
#include <fairlead/stress_lin.h>

/*
 * A scenario in mode lin: a queue s->q against its specification. Its items are ints, or int64_t if
 * it has no calls for several items; the int is then the lower half, which a little-endian machine
 * has first. `calls` is the prefix of the names of its functions. Further arguments are fields of
 * the operation, or of FL_LIN. Operations with several items have .keys = LIN_MOST.
 *
 *   LIN_MADE_BY(lin_mpmc, fl_mpmc, fl_mpmc_create(&s->q, sizeof(int), 2))
 *   LIN_PUT(lin_mpmc, fl_mpmc, .weight = 3)
 *   LIN_GET(lin_mpmc, fl_mpmc, .weight = 3)
 *   LIN_IS(lin_mpmc, fl_mpmc, &fl_lin_fifo, .limit = 2)
 */
#define LIN_MADE_BY(scenario, calls, creation)                                                                         \
	struct scenario {                                                                                              \
		calls *q;                                                                                              \
	};                                                                                                             \
	FL_STRESS_SETUP(scenario)                                                                                      \
	{                                                                                                              \
		OK(creation);                                                                                          \
	}
#define LIN_IS(scenario, calls, ...)                                                                                   \
	FL_LIN(scenario, __VA_ARGS__)                                                                                  \
	{                                                                                                              \
		calls##_free(s->q);                                                                                    \
	}
#define LIN_PUT(scenario, calls, ...)                                                                                  \
	FL_LIN_OP(scenario, put, FL_LIN_PUT, __VA_ARGS__)                                                              \
	{                                                                                                              \
		return calls##_try_put(s->q, &(int64_t){arg});                                                         \
	}

#define LIN_GET(scenario, calls, ...)                                                                                  \
	FL_LIN_OP(scenario, get, FL_LIN_GET, __VA_ARGS__)                                                              \
	{                                                                                                              \
		int64_t item = 0;                                                                                      \
		int rc = calls##_try_get(s->q, &item);                                                                 \
		return rc ? rc : item;                                                                                 \
	}

#define LIN_CLOSE(scenario, calls)                                                                                     \
	FL_LIN_OP(scenario, close, FL_LIN_CLOSE, .most = 1)                                                            \
	{                                                                                                              \
		calls##_close(s->q);                                                                                   \
		return 0;                                                                                              \
	}

#define LIN_LENGTH(scenario, calls)                                                                                    \
	FL_LIN_OP(scenario, length, FL_LIN_LENGTH)                                                                     \
	{                                                                                                              \
		return (int64_t)calls##_length(s->q);                                                                  \
	}

enum { LIN_MOST = 3 };

#define LIN_PUT_MANY(scenario, calls, ...)                                                                             \
	FL_LIN_OP(scenario, put_many, FL_LIN_PUT_MANY, __VA_ARGS__)                                                    \
	{                                                                                                              \
		int items[LIN_MOST];                                                                                   \
		return (int64_t)MOVED(calls##_try_put_many, s->q, items, lin_items_of(arg, items));                    \
	}

#define LIN_GET_MANY(scenario, calls, ...)                                                                             \
	FL_LIN_OP(scenario, get_many, FL_LIN_GET_MANY, __VA_ARGS__)                                                    \
	{                                                                                                              \
		int items[LIN_MOST];                                                                                   \
		const size_t n = (size_t)FL_LIN_KEY(arg) + 1;                                                          \
		return lin_result_of(MOVED(calls##_try_get_many, s->q, items, n), items);                              \
	}

/* All operations of an fl_queue. Its items have keys below `n`, or none. */
#define LIN_ALL(scenario, n)                                                                                           \
	LIN_PUT(scenario, fl_queue, .weight = 3, .keys = (n))                                                          \
	LIN_GET(scenario, fl_queue, .weight = 3)                                                                       \
	LIN_CLOSE(scenario, fl_queue)                                                                                  \
	LIN_LENGTH(scenario, fl_queue)                                                                                 \
	LIN_PUT_MANY(scenario, fl_queue, .keys = LIN_MOST)                                                             \
	LIN_GET_MANY(scenario, fl_queue, .keys = LIN_MOST)

/* Makes the items of a put of several. Returns their number. */
static inline size_t lin_items_of(int64_t arg, int *items)
{
	for (unsigned i = 0; i < LIN_MOST; i++)
		items[i] = (int)fl_lin_item(arg, i);
	return (size_t)FL_LIN_KEY(arg) + 1;
}

/* Makes the result of a get of several. */
static inline int64_t lin_result_of(size_t n, const int *items)
{
	int64_t got[LIN_MOST];
	for (size_t i = 0; i < n; i++)
		got[i] = items[i];
	return fl_lin_items((unsigned)n, got);
}

#endif
