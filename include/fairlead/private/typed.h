/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_TYPED_H
#define FAIRLEAD_TYPED_H

#include <fairlead/defs.h>
#include <stddef.h>

/* Private: put, get, put_many and get_many, with `prefix`, by the functions with a deadline. */
#define FL__QUEUE_FORMS(base, prefix, deadline, cancel)                                                                \
	FL_INLINE int base##_##prefix##put(base *_q, const void *_item)                                                \
	{                                                                                                              \
		return base##_put_until(_q, _item, deadline, cancel);                                                  \
	}                                                                                                              \
	FL_INLINE int base##_##prefix##get(base *_q, void *_item)                                                      \
	{                                                                                                              \
		return base##_get_until(_q, _item, deadline, cancel);                                                  \
	}                                                                                                              \
	FL_INLINE size_t base##_##prefix##put_many(base *_q, const void *_items, size_t _n)                            \
	{                                                                                                              \
		size_t _count;                                                                                         \
		FL_IGNORE(base##_put_many_until(_q, _items, _n, &_count, deadline, cancel)); /* the count tells */     \
		return _count;                                                                                         \
	}                                                                                                              \
	FL_INLINE size_t base##_##prefix##get_many(base *_q, void *_items, size_t _n)                                  \
	{                                                                                                              \
		size_t _count;                                                                                         \
		FL_IGNORE(base##_get_many_until(_q, _items, _n, &_count, deadline, cancel)); /* the count tells */     \
		return _count;                                                                                         \
	}

/*
 * Private: functions of a typed queue `name`, each of which calls that of the untyped queue `base`
 * (fl_queue, fl_shm_queue, fl_mpmc, fl_spsc).
 */
#define FL__TYPED_FN __attribute__((unused)) static inline

/* A function that makes a queue. `rc`: the call that makes the untyped queue, in `_made`. */
#define FL__TYPED_MAKE(base, name, call, parameters, rc)                                                               \
	FL__TYPED_FN FL_MUST_CHECK int name##_##call parameters                                                        \
	{                                                                                                              \
		base *_made = NULL;                                                                                    \
		int _rc = rc;                                                                                          \
		if (_rc == 0)                                                                                          \
			*_q = (name *)_made;                                                                           \
		return _rc;                                                                                            \
	}

/* A function without arguments: with a result, without one, and with one of a queue that is const. */
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
#define FL__TYPED_SIZE(base, name, call)                                                                               \
	FL__TYPED_FN size_t name##_##call(const name *_q)                                                              \
	{                                                                                                              \
		return base##_##call((const base *)_q);                                                                \
	}

#define FL__TYPED_LIFE(base, name)                                                                                     \
	FL__TYPED_DO(base, name, free)                                                                                 \
	FL__TYPED_FN base *name##_untyped(name *_q)                                                                    \
	{                                                                                                              \
		return (base *)_q;                                                                                     \
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

/*
 * The rest is for queues that wait. A call of one item first calls `fast`_put() or `fast`_get(),
 * which returns whether it has made the call.
 */
#define FL__TYPED_WAITING(base, type, name, fast)                                                                      \
	FL__TYPED_MANY(base, type, name)                                                                               \
	FL__TYPED_WAITING_PUT(base, type, name, fast)                                                                  \
	FL__TYPED_WAITING_GET(base, type, name, fast)                                                                  \
	FL__TYPED_WAITING_STATE(base, name)

#define FL__TYPED_WAITING_PUT(base, type, name, fast)                                                                  \
	FL__TYPED_FN FL_MUST_CHECK int name##_put(name *_q, type _item)                                                \
	{                                                                                                              \
		return fast##_put((base *)_q, &_item, sizeof(type)) ? 0 : base##_put((base *)_q, &_item);              \
	}                                                                                                              \
	FL__TYPED_FN FL_MUST_CHECK int name##_try_put(name *_q, type _item)                                            \
	{                                                                                                              \
		return fast##_put((base *)_q, &_item, sizeof(type)) ? 0 : base##_try_put((base *)_q, &_item);          \
	}                                                                                                              \
	FL__TYPED_FN FL_MUST_CHECK int name##_put_until(name *_q, type _item, int64_t _deadline,                       \
	                                                fl_cancel_token *_cancel)                                      \
	{                                                                                                              \
		return fast##_put((base *)_q, &_item, sizeof(type))                                                    \
		           ? 0                                                                                         \
		           : base##_put_until((base *)_q, &_item, _deadline, _cancel);                                 \
	}                                                                                                              \
	FL__TYPED_FN FL_MUST_CHECK size_t name##_put_many(name *_q, type const *_items, size_t _n)                     \
	{                                                                                                              \
		return base##_put_many((base *)_q, _items, _n);                                                        \
	}                                                                                                              \
	FL__TYPED_FN FL_MUST_CHECK int name##_put_many_until(name *_q, type const *_items, size_t _n, size_t *_count,  \
	                                                     int64_t _deadline, fl_cancel_token *_cancel)              \
	{                                                                                                              \
		return base##_put_many_until((base *)_q, _items, _n, _count, _deadline, _cancel);                      \
	}

#define FL__TYPED_WAITING_GET(base, type, name, fast)                                                                  \
	FL__TYPED_FN FL_MUST_CHECK int name##_get(name *_q, type *_item)                                               \
	{                                                                                                              \
		return fast##_get((base *)_q, _item, sizeof(type)) ? 0 : base##_get((base *)_q, _item);                \
	}                                                                                                              \
	FL__TYPED_FN FL_MUST_CHECK int name##_try_get(name *_q, type *_item)                                           \
	{                                                                                                              \
		return fast##_get((base *)_q, _item, sizeof(type)) ? 0 : base##_try_get((base *)_q, _item);            \
	}                                                                                                              \
	FL__TYPED_FN FL_MUST_CHECK int name##_get_until(name *_q, type *_item, int64_t _deadline,                      \
	                                                fl_cancel_token *_cancel)                                      \
	{                                                                                                              \
		return fast##_get((base *)_q, _item, sizeof(type))                                                     \
		           ? 0                                                                                         \
		           : base##_get_until((base *)_q, _item, _deadline, _cancel);                                  \
	}                                                                                                              \
	FL__TYPED_FN FL_MUST_CHECK size_t name##_get_many(name *_q, type *_items, size_t _n)                           \
	{                                                                                                              \
		return base##_get_many((base *)_q, _items, _n);                                                        \
	}                                                                                                              \
	FL__TYPED_FN FL_MUST_CHECK int name##_get_many_until(name *_q, type *_items, size_t _n, size_t *_count,        \
	                                                     int64_t _deadline, fl_cancel_token *_cancel)              \
	{                                                                                                              \
		return base##_get_many_until((base *)_q, _items, _n, _count, _deadline, _cancel);                      \
	}

#define FL__TYPED_WAITING_STATE(base, name)                                                                            \
	FL__TYPED_GET(base, name, FL_MUST_CHECK int, join)                                                             \
	FL__TYPED_GET(base, name, FL_MUST_CHECK int, try_join)                                                         \
	FL__TYPED_GET(base, name, size_t, length)                                                                      \
	FL__TYPED_GET(base, name, size_t, capacity)                                                                    \
	FL__TYPED_GET(base, name, bool, is_closed)                                                                     \
	FL__TYPED_FN FL_MUST_CHECK int name##_join_until(name *_q, int64_t _deadline, fl_cancel_token *_cancel)        \
	{                                                                                                              \
		return base##_join_until((base *)_q, _deadline, _cancel);                                              \
	}

#endif
