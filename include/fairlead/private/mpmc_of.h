/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_MPMC_OF_H
#define FAIRLEAD_MPMC_OF_H

#include <fairlead/mpmc.h>
#include <fairlead/private/mpmc_ring.h>

/* Private: FL_MPMC_OF, documented in fairlead/mpmc.h. */
#define FL_MPMC_OF(type, name)                                                                                         \
	typedef struct name name;                                                                                      \
	FL__MPMC_OF_LIFE(type, name)                                                                                   \
	FL__MPMC_OF_ITEMS(type, name)                                                                                  \
	FL__MPMC_OF_STATE(name)

/* Private, from here on. */

static inline int fl__mpmc_of_put(fl_mpmc *_q, const void *_item, size_t _size)
{
	bool _ignored;
	return fl__mpmc_put((struct fl__mpmc *)(void *)_q, _item, _size, &_ignored);
}

static inline int fl__mpmc_of_get(fl_mpmc *_q, void *_item, size_t _size)
{
	bool _ignored;
	return fl__mpmc_get((struct fl__mpmc *)(void *)_q, _item, _size, &_ignored);
}

#define FL__MPMC_FN __attribute__((unused)) static inline

#define FL__MPMC_OF_LIFE(type, name)                                                                                   \
	FL__MPMC_FN FL_MUST_CHECK int name##_create(name **_q, size_t _capacity)                                       \
	{                                                                                                              \
		fl_mpmc *_made = NULL;                                                                                 \
		int _rc = fl_mpmc_create(&_made, sizeof(type), _capacity);                                             \
		if (_rc == 0)                                                                                          \
			*_q = (name *)_made;                                                                           \
		return _rc;                                                                                            \
	}                                                                                                              \
	FL__MPMC_FN fl_mpmc *name##_untyped(name *_q)                                                                  \
	{                                                                                                              \
		return (fl_mpmc *)_q;                                                                                  \
	}                                                                                                              \
	FL__MPMC_FN void name##_free(name *_q)                                                                         \
	{                                                                                                              \
		fl_mpmc_free((fl_mpmc *)_q);                                                                           \
	}                                                                                                              \
	FL__MPMC_FN void fl__scoped_##name(name **_q)                                                                  \
	{                                                                                                              \
		fl_mpmc_free((fl_mpmc *)*_q);                                                                          \
	}

#define FL__MPMC_OF_ITEMS(type, name)                                                                                  \
	FL__MPMC_FN FL_MUST_CHECK int name##_try_put(name *_q, type _item)                                             \
	{                                                                                                              \
		return fl__mpmc_of_put((fl_mpmc *)_q, &_item, sizeof(type));                                           \
	}                                                                                                              \
	FL__MPMC_FN FL_MUST_CHECK int name##_try_get(name *_q, type *_item)                                            \
	{                                                                                                              \
		return fl__mpmc_of_get((fl_mpmc *)_q, _item, sizeof(type));                                            \
	}                                                                                                              \
	FL__MPMC_FN FL_MUST_CHECK size_t name##_try_put_many(name *_q, const type *_items, size_t _n)                  \
	{                                                                                                              \
		return fl_mpmc_try_put_many((fl_mpmc *)_q, _items, _n);                                                \
	}                                                                                                              \
	FL__MPMC_FN FL_MUST_CHECK size_t name##_try_get_many(name *_q, type *_items, size_t _n)                        \
	{                                                                                                              \
		return fl_mpmc_try_get_many((fl_mpmc *)_q, _items, _n);                                                \
	}

#define FL__MPMC_OF_STATE(name)                                                                                        \
	FL__MPMC_FN void name##_close(name *_q)                                                                        \
	{                                                                                                              \
		fl_mpmc_close((fl_mpmc *)_q);                                                                          \
	}                                                                                                              \
	FL__MPMC_FN bool name##_is_closed(name *_q)                                                                    \
	{                                                                                                              \
		return fl_mpmc_is_closed((fl_mpmc *)_q);                                                               \
	}                                                                                                              \
	FL__MPMC_FN size_t name##_length(name *_q)                                                                     \
	{                                                                                                              \
		return fl_mpmc_length((fl_mpmc *)_q);                                                                  \
	}                                                                                                              \
	FL__MPMC_FN size_t name##_capacity(const name *_q)                                                             \
	{                                                                                                              \
		return fl_mpmc_capacity((const fl_mpmc *)_q);                                                          \
	}

#endif
