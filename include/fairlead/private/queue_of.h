/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_QUEUE_OF_H
#define FAIRLEAD_QUEUE_OF_H

#include <fairlead/private/mpmc_ring.h>
#include <fairlead/private/queue_spsc.h>
#include <fairlead/private/typed.h>
#include <fairlead/queue.h>

/* This header is private. fairlead/queue.h documents FL_QUEUE_OF. */
#define FL_QUEUE_OF(type, name)                                                                                        \
	FL__VALUE(type)                                                                                                \
	typedef struct name name;                                                                                      \
	FL__TYPED_LIFE(fl_queue, name)                                                                                 \
	FL__TYPED_MAKE(fl_queue, name, create, (name * *_q, const fl_queue_config *_config),                           \
	               fl__queue_of_create(&_made, sizeof(type), __alignof__(type), _config))                          \
	FL__TYPED_WAITING(fl_queue, type, name, fl__queue_of)                                                          \
	FL__TYPED_MANY(fl_queue, type, name)                                                                           \
	FL__TYPED_MANY_OP(fl_queue, name, put, type const)                                                             \
	FL__TYPED_MANY_OP(fl_queue, name, get, type)                                                                   \
	FL__TYPED_READ(fl_queue, name, bool, is_closed)                                                                \
	FL__TYPED_DO(fl_queue, name, close)                                                                            \
	FL__TYPED_GET(fl_queue, name, size_t, close_now)                                                               \
	FL__TYPED_DO(fl_queue, name, task_done)                                                                        \
	FL__TYPED_GET(fl_queue, name, FL_MUST_CHECK int, try_task_done)                                                \
	FL__TYPED_READ(fl_queue, name, size_t, unfinished)                                                             \
	FL__MADE_FN void name##_stats(const name *_q, fl_stats_queue *_stats)                                          \
	{                                                                                                              \
		fl_queue_stats(FL__CAST_CONST(const fl_queue *, _q), _stats);                                          \
	}

/*
 * A put or a get of a ring is inline where it does not have to wait. A struct fl_queue begins with
 * struct fl__queue_begin, in which the members that its backend does not have are NULL.
 */
FL_BEGIN_DECLS

/*
 * Wakes a waiter for an item (`side` is 0) or for space (`side` is 1), if there is one. It uses
 * only the address of the queue, which may be freed already.
 */
FL_API void fl__queue_wake(fl_queue *q, int side);

struct fl__queue_begin {
	struct fl_mpmc *mpmc;
	struct fl__queue_spsc *spsc;
	bool (*put_one)(fl_queue *q, const void *item);
	bool (*get_one)(fl_queue *q, void *item);
};

static inline int fl__queue_of_create(fl_queue **_q, size_t _size, size_t _align, const fl_queue_config *_config)
{
	if (_align > 2 * sizeof(void *) && _config && (_config->drop || _config->compare))
		return -EINVAL;
	return fl_queue_create(_q, _size, _config);
}

/* Try to put or to get an item. If they return false, the caller finds out why, or waits. */
static inline bool fl__queue_of_put(fl_queue *_q, const void *_item, size_t _size)
{
	const struct fl__queue_begin *_begin = (const struct fl__queue_begin *)(void *)_q;
	bool _owes_wake = false;
	if (!_begin->mpmc)
		return _begin->spsc ? fl__queue_spsc_put(_begin->spsc, _item, fl__slot_shape_of(_size))
		                    : _begin->put_one && (_begin->put_one)(_q, _item);
	if (fl__mpmc_put(_begin->mpmc, _item, _size, &_owes_wake) != 0)
		return false;
	if (fl__unlikely(_owes_wake))
		fl__queue_wake(_q, 0);
	return true;
}

static inline bool fl__queue_of_get(fl_queue *_q, void *_item, size_t _size)
{
	const struct fl__queue_begin *_begin = (const struct fl__queue_begin *)(void *)_q;
	bool _owes_wake = false;
	if (!_begin->mpmc)
		return _begin->spsc ? fl__queue_spsc_get(_begin->spsc, _item, fl__slot_shape_of(_size))
		                    : _begin->get_one && (_begin->get_one)(_q, _item);
	if (fl__mpmc_get(_begin->mpmc, _item, _size, &_owes_wake) != 0)
		return false;
	if (fl__unlikely(_owes_wake))
		fl__queue_wake(_q, 1);
	return true;
}

FL_END_DECLS

#endif
