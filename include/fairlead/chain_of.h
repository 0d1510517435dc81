/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_CHAIN_OF_H
#define FAIRLEAD_CHAIN_OF_H

/* What FL_MPMC_UNBOUNDED_OF and FL_MPSC_OF have in common: `name` for `type`, made of the functions of `untyped`. */
#define FL__CHAIN_OF(type, name, untyped)                                                                              \
	typedef struct name name;                                                                                      \
	FL__CHAIN_FN FL_MUST_CHECK int name##_create(name **q, const untyped##_config *config)                         \
	{                                                                                                              \
		untyped *made = NULL;                                                                                  \
		int rc = untyped##_create(&made, sizeof(type), config);                                                \
		if (rc == 0)                                                                                           \
			*q = (name *)made;                                                                             \
		return rc;                                                                                             \
	}                                                                                                              \
	FL__CHAIN_FN untyped *name##_untyped(name *q)                                                                  \
	{                                                                                                              \
		return (untyped *)q;                                                                                   \
	}                                                                                                              \
	FL__CHAIN_FN void name##_free(name *q)                                                                         \
	{                                                                                                              \
		untyped##_free((untyped *)q);                                                                          \
	}                                                                                                              \
	FL__CHAIN_FN void fl__scoped_##name(name **q)                                                                  \
	{                                                                                                              \
		untyped##_free((untyped *)*q);                                                                         \
	}                                                                                                              \
	FL__CHAIN_FN FL_MUST_CHECK int name##_try_put(name *q, type item)                                              \
	{                                                                                                              \
		return untyped##_try_put((untyped *)q, &item);                                                         \
	}                                                                                                              \
	FL__CHAIN_FN FL_MUST_CHECK size_t name##_try_put_many(name *q, type const *items, size_t n)                    \
	{                                                                                                              \
		return untyped##_try_put_many((untyped *)q, items, n);                                                 \
	}                                                                                                              \
	FL__CHAIN_FN FL_MUST_CHECK int name##_try_get(name *q, type *item)                                             \
	{                                                                                                              \
		return untyped##_try_get((untyped *)q, item);                                                          \
	}                                                                                                              \
	FL__CHAIN_FN FL_MUST_CHECK size_t name##_try_get_many(name *q, type *items, size_t n)                          \
	{                                                                                                              \
		return untyped##_try_get_many((untyped *)q, items, n);                                                 \
	}                                                                                                              \
	FL__CHAIN_FN void name##_close(name *q)                                                                        \
	{                                                                                                              \
		untyped##_close((untyped *)q);                                                                         \
	}                                                                                                              \
	FL__CHAIN_FN bool name##_is_closed(name *q)                                                                    \
	{                                                                                                              \
		return untyped##_is_closed((untyped *)q);                                                              \
	}                                                                                                              \
	FL__CHAIN_FN size_t name##_length(name *q)                                                                     \
	{                                                                                                              \
		return untyped##_length((untyped *)q);                                                                 \
	}

#define FL__CHAIN_FN __attribute__((unused)) static inline

#endif
