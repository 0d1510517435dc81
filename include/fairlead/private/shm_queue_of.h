/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_SHM_QUEUE_OF_H
#define FAIRLEAD_SHM_QUEUE_OF_H

#include <fairlead/private/typed.h>
#include <fairlead/shm_queue.h>

/* This header is private. fairlead/shm_queue.h documents FL_SHM_QUEUE_OF. */
#define FL_SHM_QUEUE_OF(type, name)                                                                                    \
	FL__VALUE(type)                                                                                                \
	typedef struct name name;                                                                                      \
	FL__TYPED_LIFE(fl_shm_queue, name)                                                                             \
	FL__TYPED_MAKE(fl_shm_queue, name, create, (name * *_q, fl_shm * _region, const fl_shm_queue_config *_config), \
	               fl__shm_queue_of_create(&_made, _region, _config, sizeof(type)))                                \
	FL__TYPED_MAKE(fl_shm_queue, name, attach, (name * *_q, fl_shm * _region, fl_shm_offset _offset),              \
	               fl__shm_queue_of_attach(&_made, _region, _offset, sizeof(type)))                                \
	FL__TYPED_READ(fl_shm_queue, name, fl_shm_offset, offset)                                                      \
	FL__TYPED_DO(fl_shm_queue, name, destroy)                                                                      \
	FL__TYPED_WAITING(fl_shm_queue, type, name, FL__SHM_QUEUE_OF)                                                  \
	FL__TYPED_GET(fl_shm_queue, name, FL_MUST_CHECK int, close)                                                    \
	FL__TYPED_GET(fl_shm_queue, name, FL_MUST_CHECK int, task_done)                                                \
	FL__MADE_FN FL_MUST_CHECK int name##_close_now(name *_q, size_t *_dropped)                                     \
	{                                                                                                              \
		return fl_shm_queue_close_now(FL__CAST_POINTER(fl_shm_queue *, _q), _dropped);                         \
	}

static inline int fl__shm_queue_of_create(fl_shm_queue **_q, fl_shm *_region, const fl_shm_queue_config *_config,
                                          size_t _size)
{
	fl_shm_queue_config _typed = {0, 0, 0, {0}};
	if (_config)
		_typed = *_config;
	_typed.item_size = _size;
	return fl_shm_queue_create(_q, _region, &_typed);
}

static inline int fl__shm_queue_of_attach(fl_shm_queue **_q, fl_shm *_region, fl_shm_offset _offset, size_t _size)
{
	int _rc = fl_shm_queue_attach(_q, _region, _offset);
	if (_rc == 0 && fl_shm_queue_item_size(*_q) != _size) {
		fl_shm_queue_free(*_q);
		_rc = -EBADMSG;
	}
	return _rc;
}

/* No put or get in shared memory is inline. */
#define FL__SHM_QUEUE_OF_put(...) false
#define FL__SHM_QUEUE_OF_get(...) false

#endif
