/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_TYPED_H
#define FAIRLEAD_TYPED_H

#include <fairlead/defs.h>
#include <stddef.h>

/*
 * Private: functions of a typed queue `name`, each of which calls that of the untyped queue `base`
 * (fl_queue, fl_mpmc).
 */
#define FL__TYPED_FN __attribute__((unused)) static inline

#define FL__TYPED_LIFE(base, name)                                                                                     \
	FL__TYPED_FN base *name##_untyped(name *_q)                                                                    \
	{                                                                                                              \
		return (base *)_q;                                                                                     \
	}                                                                                                              \
	FL__TYPED_FN void name##_free(name *_q)                                                                        \
	{                                                                                                              \
		base##_free((base *)_q);                                                                               \
	}                                                                                                              \
	FL__TYPED_FN void fl__scoped_##name(name **_q)                                                                 \
	{                                                                                                              \
		base##_free((base *)*_q);                                                                              \
	}

#define FL__TYPED_MANY(base, type, name)                                                                               \
	FL__TYPED_FN FL_MUST_CHECK size_t name##_try_put_many(name *_q, type const *_items, size_t _n)                 \
	{                                                                                                              \
		return base##_try_put_many((base *)_q, _items, _n);                                                    \
	}                                                                                                              \
	FL__TYPED_FN FL_MUST_CHECK size_t name##_try_get_many(name *_q, type *_items, size_t _n)                       \
	{                                                                                                              \
		return base##_try_get_many((base *)_q, _items, _n);                                                    \
	}

/* A function without arguments, with and without a result. */
#define FL__TYPED_GET(base, name, result, call)                                                                        \
	FL__TYPED_FN result name##_##call(name *_q)                                                                    \
	{                                                                                                              \
		return base##_##call((base *)_q);                                                                      \
	}
#define FL__TYPED_DO(base, name, call)                                                                                 \
	FL__TYPED_FN void name##_##call(name *_q)                                                                      \
	{                                                                                                              \
		base##_##call((base *)_q);                                                                             \
	}

#endif
