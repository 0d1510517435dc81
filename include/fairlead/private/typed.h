/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_TYPED_H
#define FAIRLEAD_TYPED_H

#include <fairlead/defs.h>

/*
 * This header is private. FL__QUEUE_FORMS makes put and get, with `prefix` in their names, and
 * FL__QUEUE_MANY_FORMS makes put_many and get_many, from the functions that have a deadline.
 */
#define FL__QUEUE_FORMS(base, prefix, deadline, cancel)                                                                \
	FL__QUEUE_OP_FORMS(base, prefix, put, const void, deadline, cancel)                                            \
	FL__QUEUE_OP_FORMS(base, prefix, get, void, deadline, cancel)

#define FL__QUEUE_OP_FORMS(base, prefix, op, item, deadline, cancel)                                                   \
	FL_INLINE int base##_##prefix##op(base *_q, item *_item)                                                       \
	{                                                                                                              \
		return base##_##op##_until(_q, _item, deadline, cancel);                                               \
	}

#define FL__QUEUE_MANY_FORMS(base)                                                                                     \
	FL__QUEUE_MANY_FORM(base, put, const void)                                                                     \
	FL__QUEUE_MANY_FORM(base, get, void)

#define FL__QUEUE_MANY_FORM(base, op, item)                                                                            \
	FL_INLINE int base##_##op##_many(base *_q, item *_items, size_t _n, size_t *_count)                            \
	{                                                                                                              \
		return base##_##op##_many_until(_q, _items, _n, _count, FL_FOREVER, NULL);                             \
	}

/*
 * The macros below make the functions of a typed queue `name`. Each function calls that of the
 * untyped queue `base`: fl_queue, fl_shm_queue, fl_mpmc or fl_spsc.
 */

/*
 * Makes a function that makes a queue. `rc` is the call that makes the untyped queue, in `_made`.
 */
#define FL__TYPED_MAKE(base, name, call, parameters, rc)                                                               \
	FL__MADE_FN FL_MUST_CHECK int name##_##call parameters                                                         \
	{                                                                                                              \
		base *_made = NULL;                                                                                    \
		int _rc = rc;                                                                                          \
		if (_rc == 0)                                                                                          \
			*_q = FL__CAST_POINTER(name *, _made);                                                         \
		return _rc;                                                                                            \
	}

/*
 * Each of the next three macros makes a function without arguments. FL__TYPED_GET makes one with a
 * result, FL__TYPED_DO one without a result, and FL__TYPED_READ one with a result for a queue that
 * is const.
 */
#define FL__TYPED_GET(base, name, result, call)                                                                        \
	FL__MADE_FN result name##_##call(name *_q)                                                                     \
	{                                                                                                              \
		return base##_##call(FL__CAST_POINTER(base *, _q));                                                    \
	}
#define FL__TYPED_DO(base, name, call)                                                                                 \
	FL__MADE_FN void name##_##call(name *_q)                                                                       \
	{                                                                                                              \
		base##_##call(FL__CAST_POINTER(base *, _q));                                                           \
	}
#define FL__TYPED_READ(base, name, result, call)                                                                       \
	FL__MADE_FN result name##_##call(const name *_q)                                                               \
	{                                                                                                              \
		return base##_##call(FL__CAST_CONST(const base *, _q));                                                \
	}

#define FL__TYPED_LIFE(base, name)                                                                                     \
	FL__TYPED_DO(base, name, free)                                                                                 \
	FL__MADE_FN base *name##_untyped(name *_q)                                                                     \
	{                                                                                                              \
		return FL__CAST_POINTER(base *, _q);                                                                   \
	}                                                                                                              \
	FL__MADE_FN void fl__scoped_##name(name **_q)                                                                  \
	{                                                                                                              \
		base##_free(FL__CAST_POINTER(base *, *_q));                                                            \
	}

/* Makes a function of many items. `op` is its name in the untyped queue, without `_many`. */
#define FL__TYPED_MANY_OP(base, name, op, item)                                                                        \
	FL__MADE_FN FL_MUST_CHECK int name##_##op##_many(name *_q, item *_items, size_t _n, size_t *_count)            \
	{                                                                                                              \
		return base##_##op##_many(FL__CAST_POINTER(base *, _q), _items, _n, _count);                           \
	}

#define FL__TYPED_MANY(base, type, name)                                                                               \
	FL__TYPED_MANY_OP(base, name, try_put, type const)                                                             \
	FL__TYPED_MANY_OP(base, name, try_get, type)

/*
 * Makes the tries of one item from `fast`_put() and `fast`_get(), with `...` after their arguments.
 */
#define FL__TYPED_TRY(base, type, name, fast, ...)                                                                     \
	FL__MADE_FN FL_MUST_CHECK int name##_try_put(name *_q, type _item)                                             \
	{                                                                                                              \
		return fast##_put(FL__CAST_POINTER(base *, _q), &_item __VA_ARGS__);                                   \
	}                                                                                                              \
	FL__MADE_FN FL_MUST_CHECK int name##_try_get(name *_q, type *_item)                                            \
	{                                                                                                              \
		return fast##_get(FL__CAST_POINTER(base *, _q), _item __VA_ARGS__);                                    \
	}

/*
 * The rest is for queues that wait. A call for one item first calls `fast`_put() or `fast`_get(),
 * which returns true if it has made the call.
 */
#define FL__TYPED_WAITING(base, type, name, fast)                                                                      \
	FL__TYPED_WAITING_OP(base, type, name, put, fast, type _item, &_item, type const)                              \
	FL__TYPED_WAITING_OP(base, type, name, get, fast, type *_item, _item, type)                                    \
	FL__TYPED_GET(base, name, FL_MUST_CHECK int, join)                                                             \
	FL__TYPED_READ(base, name, size_t, length)                                                                     \
	FL__TYPED_READ(base, name, size_t, capacity)                                                                   \
	FL__MADE_FN FL_MUST_CHECK int name##_join_until(name *_q, fl_time _deadline, fl_cancel_token *_cancel)         \
	{                                                                                                              \
		return base##_join_until(FL__CAST_POINTER(base *, _q), _deadline, _cancel);                            \
	}

/*
 * Makes all forms of `op`. `declaration` is the parameter for one item, and `address` is the
 * address of that item. `item` is the type of the items in an array.
 */
#define FL__TYPED_WAITING_OP(base, type, name, op, fast, declaration, address, item)                                   \
	FL__MADE_FN FL_MUST_CHECK int name##_##op(name *_q, declaration)                                               \
	{                                                                                                              \
		return fast##_##op(FL__CAST_POINTER(base *, _q), address, sizeof(type))                                \
		           ? 0                                                                                         \
		           : base##_##op(FL__CAST_POINTER(base *, _q), address);                                       \
	}                                                                                                              \
	FL__MADE_FN FL_MUST_CHECK int name##_try_##op(name *_q, declaration)                                           \
	{                                                                                                              \
		return fast##_##op(FL__CAST_POINTER(base *, _q), address, sizeof(type))                                \
		           ? 0                                                                                         \
		           : base##_try_##op(FL__CAST_POINTER(base *, _q), address);                                   \
	}                                                                                                              \
	FL__MADE_FN FL_MUST_CHECK int name##_##op##_until(name *_q, declaration, fl_time _deadline,                    \
	                                                  fl_cancel_token *_cancel)                                    \
	{                                                                                                              \
		return fast##_##op(FL__CAST_POINTER(base *, _q), address, sizeof(type))                                \
		           ? 0                                                                                         \
		           : base##_##op##_until(FL__CAST_POINTER(base *, _q), address, _deadline, _cancel);           \
	}                                                                                                              \
	FL__MADE_FN FL_MUST_CHECK int name##_##op##_many_until(name *_q, item *_items, size_t _n, size_t *_count,      \
	                                                       fl_time _deadline, fl_cancel_token *_cancel)            \
	{                                                                                                              \
		return base##_##op##_many_until(FL__CAST_POINTER(base *, _q), _items, _n, _count, _deadline, _cancel); \
	}

#endif
