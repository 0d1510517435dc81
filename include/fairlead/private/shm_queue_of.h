/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_SHM_QUEUE_OF_H
#define FAIRLEAD_SHM_QUEUE_OF_H

#include <errno.h>
#include <fairlead/shm_queue.h>

/* Private: FL_SHM_QUEUE_OF, which fairlead/shm_queue.h describes. */
#define FL_SHM_QUEUE_OF(type, name)                                                                                    \
	typedef struct name name;                                                                                      \
	FL__SHM_QUEUE_OF_LIFE(type, name)                                                                              \
	FL__SHM_QUEUE_OF_ONE(type, name)                                                                               \
	FL__SHM_QUEUE_OF_MANY(type, name)                                                                              \
	FL__SHM_QUEUE_OF_STATE(name)

#define FL__SHM_QUEUE_FN __attribute__((unused)) static inline

#define FL__SHM_QUEUE_OF_LIFE(type, name)                                                                              \
	FL__SHM_QUEUE_FN FL_MUST_CHECK int name##_create(name **_q, fl_shm *_region,                                   \
	                                                 const fl_shm_queue_config *_config)                           \
	{                                                                                                              \
		fl_shm_queue *_made = NULL;                                                                            \
		fl_shm_queue_config typed = {sizeof(type), _config ? _config->capacity : 0,                            \
		                             _config ? _config->frame_bytes : 0};                                      \
		int _rc = fl_shm_queue_create(&_made, _region, &typed);                                                \
		if (_rc == 0)                                                                                          \
			*_q = (name *)_made;                                                                           \
		return _rc;                                                                                            \
	}                                                                                                              \
	FL__SHM_QUEUE_FN FL_MUST_CHECK int name##_open(name **_q, fl_shm *_region, fl_shm_offset _offset)              \
	{                                                                                                              \
		fl_shm_queue *_made = NULL;                                                                            \
		int _rc = fl_shm_queue_open(&_made, _region, _offset);                                                 \
		if (_rc == 0 && fl_shm_queue_item_size(_made) != sizeof(type)) {                                       \
			fl_shm_queue_free(_made);                                                                      \
			_rc = -EBADMSG;                                                                                \
		}                                                                                                      \
		if (_rc == 0)                                                                                          \
			*_q = (name *)_made;                                                                           \
		return _rc;                                                                                            \
	}                                                                                                              \
	FL__SHM_QUEUE_FN fl_shm_offset name##_offset(name *_q)                                                         \
	{                                                                                                              \
		return fl_shm_queue_offset((fl_shm_queue *)_q);                                                        \
	}                                                                                                              \
	FL__SHM_QUEUE_FN fl_shm_queue *name##_untyped(name *_q)                                                        \
	{                                                                                                              \
		return (fl_shm_queue *)_q;                                                                             \
	}                                                                                                              \
	FL__SHM_QUEUE_FN void name##_free(name *_q)                                                                    \
	{                                                                                                              \
		fl_shm_queue_free((fl_shm_queue *)_q);                                                                 \
	}                                                                                                              \
	FL__SHM_QUEUE_FN void name##_destroy(name *_q)                                                                 \
	{                                                                                                              \
		fl_shm_queue_destroy((fl_shm_queue *)_q);                                                              \
	}                                                                                                              \
	FL__SHM_QUEUE_FN void fl__scoped_##name(name **_q)                                                             \
	{                                                                                                              \
		fl_shm_queue_free((fl_shm_queue *)*_q);                                                                \
	}

#define FL__SHM_QUEUE_OF_ONE(type, name)                                                                               \
	FL__SHM_QUEUE_FN FL_MUST_CHECK int name##_put(name *_q, type _item)                                            \
	{                                                                                                              \
		return fl_shm_queue_put((fl_shm_queue *)_q, &_item);                                                   \
	}                                                                                                              \
	FL__SHM_QUEUE_FN FL_MUST_CHECK int name##_try_put(name *_q, type _item)                                        \
	{                                                                                                              \
		return fl_shm_queue_try_put((fl_shm_queue *)_q, &_item);                                               \
	}                                                                                                              \
	FL__SHM_QUEUE_FN FL_MUST_CHECK int name##_put_until(name *_q, type _item, int64_t _deadline,                   \
	                                                    fl_cancel_token *_cancel)                                  \
	{                                                                                                              \
		return fl_shm_queue_put_until((fl_shm_queue *)_q, &_item, _deadline, _cancel);                         \
	}                                                                                                              \
	FL__SHM_QUEUE_FN FL_MUST_CHECK int name##_get(name *_q, type *_item)                                           \
	{                                                                                                              \
		return fl_shm_queue_get((fl_shm_queue *)_q, _item);                                                    \
	}                                                                                                              \
	FL__SHM_QUEUE_FN FL_MUST_CHECK int name##_try_get(name *_q, type *_item)                                       \
	{                                                                                                              \
		return fl_shm_queue_try_get((fl_shm_queue *)_q, _item);                                                \
	}                                                                                                              \
	FL__SHM_QUEUE_FN FL_MUST_CHECK int name##_get_until(name *_q, type *_item, int64_t _deadline,                  \
	                                                    fl_cancel_token *_cancel)                                  \
	{                                                                                                              \
		return fl_shm_queue_get_until((fl_shm_queue *)_q, _item, _deadline, _cancel);                          \
	}

#define FL__SHM_QUEUE_OF_MANY(type, name)                                                                              \
	FL__SHM_QUEUE_FN FL_MUST_CHECK size_t name##_put_many(name *_q, type const *_items, size_t _n)                 \
	{                                                                                                              \
		return fl_shm_queue_put_many((fl_shm_queue *)_q, _items, _n);                                          \
	}                                                                                                              \
	FL__SHM_QUEUE_FN FL_MUST_CHECK size_t name##_try_put_many(name *_q, type const *_items, size_t _n)             \
	{                                                                                                              \
		return fl_shm_queue_try_put_many((fl_shm_queue *)_q, _items, _n);                                      \
	}                                                                                                              \
	FL__SHM_QUEUE_FN FL_MUST_CHECK int name##_put_many_until(                                                      \
	    name *_q, type const *_items, size_t _n, size_t *_count, int64_t _deadline, fl_cancel_token *_cancel)      \
	{                                                                                                              \
		return fl_shm_queue_put_many_until((fl_shm_queue *)_q, _items, _n, _count, _deadline, _cancel);        \
	}                                                                                                              \
	FL__SHM_QUEUE_FN FL_MUST_CHECK size_t name##_get_many(name *_q, type *_items, size_t _n)                       \
	{                                                                                                              \
		return fl_shm_queue_get_many((fl_shm_queue *)_q, _items, _n);                                          \
	}                                                                                                              \
	FL__SHM_QUEUE_FN FL_MUST_CHECK size_t name##_try_get_many(name *_q, type *_items, size_t _n)                   \
	{                                                                                                              \
		return fl_shm_queue_try_get_many((fl_shm_queue *)_q, _items, _n);                                      \
	}                                                                                                              \
	FL__SHM_QUEUE_FN FL_MUST_CHECK int name##_get_many_until(name *_q, type *_items, size_t _n, size_t *_count,    \
	                                                         int64_t _deadline, fl_cancel_token *_cancel)          \
	{                                                                                                              \
		return fl_shm_queue_get_many_until((fl_shm_queue *)_q, _items, _n, _count, _deadline, _cancel);        \
	}

#define FL__SHM_QUEUE_OF_STATE(name)                                                                                   \
	FL__SHM_QUEUE_FN FL_MUST_CHECK int name##_close(name *_q)                                                      \
	{                                                                                                              \
		return fl_shm_queue_close((fl_shm_queue *)_q);                                                         \
	}                                                                                                              \
	FL__SHM_QUEUE_FN FL_MUST_CHECK int name##_close_now(name *_q, size_t *_dropped)                                \
	{                                                                                                              \
		return fl_shm_queue_close_now((fl_shm_queue *)_q, _dropped);                                           \
	}                                                                                                              \
	FL__SHM_QUEUE_FN FL_MUST_CHECK int name##_task_done(name *_q)                                                  \
	{                                                                                                              \
		return fl_shm_queue_task_done((fl_shm_queue *)_q);                                                     \
	}                                                                                                              \
	FL__SHM_QUEUE_FN FL_MUST_CHECK int name##_join(name *_q)                                                       \
	{                                                                                                              \
		return fl_shm_queue_join((fl_shm_queue *)_q);                                                          \
	}                                                                                                              \
	FL__SHM_QUEUE_FN FL_MUST_CHECK int name##_try_join(name *_q)                                                   \
	{                                                                                                              \
		return fl_shm_queue_try_join((fl_shm_queue *)_q);                                                      \
	}                                                                                                              \
	FL__SHM_QUEUE_FN FL_MUST_CHECK int name##_join_until(name *_q, int64_t _deadline, fl_cancel_token *_cancel)    \
	{                                                                                                              \
		return fl_shm_queue_join_until((fl_shm_queue *)_q, _deadline, _cancel);                                \
	}                                                                                                              \
	FL__SHM_QUEUE_FN size_t name##_length(name *_q)                                                                \
	{                                                                                                              \
		return fl_shm_queue_length((fl_shm_queue *)_q);                                                        \
	}                                                                                                              \
	FL__SHM_QUEUE_FN size_t name##_capacity(name *_q)                                                              \
	{                                                                                                              \
		return fl_shm_queue_capacity((fl_shm_queue *)_q);                                                      \
	}                                                                                                              \
	FL__SHM_QUEUE_FN bool name##_is_closed(name *_q)                                                               \
	{                                                                                                              \
		return fl_shm_queue_is_closed((fl_shm_queue *)_q);                                                     \
	}

#endif
