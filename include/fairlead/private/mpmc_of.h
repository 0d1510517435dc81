/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_MPMC_OF_H
#define FAIRLEAD_MPMC_OF_H

#include <fairlead/mpmc.h>
#include <fairlead/private/mpmc_ring.h>
#include <fairlead/private/typed.h>

/* This header is private. fairlead/mpmc.h documents FL_MPMC_OF. */
#define FL_MPMC_OF(type, name)                                                                                         \
	FL__VALUE(type)                                                                                                \
	typedef struct name name;                                                                                      \
	FL__TYPED_LIFE(fl_mpmc, name)                                                                                  \
	FL__TYPED_MAKE(fl_mpmc, name, create, (name * *_q, size_t _capacity),                                          \
	               fl_mpmc_create(&_made, sizeof(type), _capacity))                                                \
	FL__TYPED_MANY(fl_mpmc, type, name)                                                                            \
	FL__TYPED_DO(fl_mpmc, name, close)                                                                             \
	FL__TYPED_READ(fl_mpmc, name, bool, is_closed)                                                                 \
	FL__TYPED_READ(fl_mpmc, name, size_t, length)                                                                  \
	FL__TYPED_TRY(fl_mpmc, type, name, fl__mpmc_of, , sizeof(type))

static inline int fl__mpmc_of_put(fl_mpmc *_q, const void *_item, size_t _size)
{
	bool _ignored;
	return fl__mpmc_put(_q, _item, _size, &_ignored);
}

static inline int fl__mpmc_of_get(fl_mpmc *_q, void *_item, size_t _size)
{
	bool _ignored;
	return fl__mpmc_get(_q, _item, _size, &_ignored);
}

#endif
