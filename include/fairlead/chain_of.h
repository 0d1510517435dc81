/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_CHAIN_OF_H
#define FAIRLEAD_CHAIN_OF_H

/* What FL_MPMC_UNBOUNDED_OF and FL_MPSC_OF have in common: `name` for `type`, made of the functions of `untyped`. */
#define FL__CHAIN_OF(type, name, untyped)                                                                              \
	typedef struct name name;                                                                                      \
	FL__CHAIN_FN FL_MUST_CHECK int name##_create(name **_q, const untyped##_config *_config)                       \
	{                                                                                                              \
		untyped *_made = NULL;                                                                                 \
		int _rc = untyped##_create(&_made, sizeof(type), _config);                                             \
		if (_rc == 0)                                                                                          \
			*_q = (name *)_made;                                                                           \
		return _rc;                                                                                            \
	}                                                                                                              \
	FL__CHAIN_FN untyped *name##_untyped(name *_q)                                                                 \
	{                                                                                                              \
		return (untyped *)_q;                                                                                  \
	}                                                                                                              \
	FL__CHAIN_FN void name##_free(name *_q)                                                                        \
	{                                                                                                              \
		untyped##_free((untyped *)_q);                                                                         \
	}                                                                                                              \
	FL__CHAIN_FN void fl__scoped_##name(name **_q)                                                                 \
	{                                                                                                              \
		untyped##_free((untyped *)*_q);                                                                        \
	}                                                                                                              \
	FL__CHAIN_FN FL_MUST_CHECK int name##_try_put(name *_q, type _item)                                            \
	{                                                                                                              \
		return untyped##_try_put((untyped *)_q, &_item);                                                       \
	}                                                                                                              \
	FL__CHAIN_FN FL_MUST_CHECK size_t name##_try_put_many(name *_q, type const *_items, size_t _n)                 \
	{                                                                                                              \
		return untyped##_try_put_many((untyped *)_q, _items, _n);                                              \
	}                                                                                                              \
	FL__CHAIN_FN FL_MUST_CHECK int name##_try_get(name *_q, type *_item)                                           \
	{                                                                                                              \
		return untyped##_try_get((untyped *)_q, _item);                                                        \
	}                                                                                                              \
	FL__CHAIN_FN FL_MUST_CHECK size_t name##_try_get_many(name *_q, type *_items, size_t _n)                       \
	{                                                                                                              \
		return untyped##_try_get_many((untyped *)_q, _items, _n);                                              \
	}                                                                                                              \
	FL__CHAIN_FN void name##_close(name *_q)                                                                       \
	{                                                                                                              \
		untyped##_close((untyped *)_q);                                                                        \
	}                                                                                                              \
	FL__CHAIN_FN bool name##_is_closed(name *_q)                                                                   \
	{                                                                                                              \
		return untyped##_is_closed((untyped *)_q);                                                             \
	}                                                                                                              \
	FL__CHAIN_FN size_t name##_length(name *_q)                                                                    \
	{                                                                                                              \
		return untyped##_length((untyped *)_q);                                                                \
	}

#define FL__CHAIN_FN __attribute__((unused)) static inline

#endif
