/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_SHM_QUEUE_OF_H
#define FAIRLEAD_SHM_QUEUE_OF_H

#include <errno.h>
#include <fairlead/shm_queue.h>

/*
 * FL_SHM_QUEUE_OF(struct job, job_pipe) makes the type job_pipe and, for each fl_shm_queue_... function for items, a
 * job_pipe_... that takes and gives struct job: job_pipe_put(q, job), job_pipe_get(q, &job). job_pipe_create sets the item
 * size; job_pipe_open answers -EBADMSG when it is another. At file scope; C and C++.
 */
#define FL_SHM_QUEUE_OF(type, name)                                                                                    \
	typedef struct name name;                                                                                      \
	FL__SHM_QUEUE_OF_LIFE(type, name)                                                                              \
	FL__SHM_QUEUE_OF_ONE(type, name)                                                                               \
	FL__SHM_QUEUE_OF_MANY(type, name)                                                                              \
	FL__SHM_QUEUE_OF_STATE(name)

#define FL__SHM_QUEUE_FN __attribute__((unused)) static inline

#define FL__SHM_QUEUE_OF_LIFE(type, name)                                                                              \
	FL__SHM_QUEUE_FN FL_MUST_CHECK int name##_create(name **q, fl_shm *region, const fl_shm_queue_config *config)  \
	{                                                                                                              \
		fl_shm_queue *made = NULL;                                                                             \
		fl_shm_queue_config typed = {sizeof(type), config ? config->capacity : 0,                              \
		                             config ? config->frame_bytes : 0};                                        \
		int rc = fl_shm_queue_create(&made, region, &typed);                                                   \
		if (rc == 0)                                                                                           \
			*q = (name *)made;                                                                             \
		return rc;                                                                                             \
	}                                                                                                              \
	FL__SHM_QUEUE_FN FL_MUST_CHECK int name##_open(name **q, fl_shm *region, fl_shm_offset offset)                 \
	{                                                                                                              \
		fl_shm_queue *made = NULL;                                                                             \
		int rc = fl_shm_queue_open(&made, region, offset);                                                     \
		if (rc == 0 && fl_shm_queue_item_size(made) != sizeof(type)) {                                         \
			fl_shm_queue_free(made);                                                                       \
			rc = -EBADMSG;                                                                                 \
		}                                                                                                      \
		if (rc == 0)                                                                                           \
			*q = (name *)made;                                                                             \
		return rc;                                                                                             \
	}                                                                                                              \
	FL__SHM_QUEUE_FN fl_shm_offset name##_offset(name *q)                                                          \
	{                                                                                                              \
		return fl_shm_queue_offset((fl_shm_queue *)q);                                                         \
	}                                                                                                              \
	FL__SHM_QUEUE_FN fl_shm_queue *name##_untyped(name *q)                                                         \
	{                                                                                                              \
		return (fl_shm_queue *)q;                                                                              \
	}                                                                                                              \
	FL__SHM_QUEUE_FN void name##_free(name *q)                                                                     \
	{                                                                                                              \
		fl_shm_queue_free((fl_shm_queue *)q);                                                                  \
	}                                                                                                              \
	FL__SHM_QUEUE_FN void name##_destroy(name *q)                                                                  \
	{                                                                                                              \
		fl_shm_queue_destroy((fl_shm_queue *)q);                                                               \
	}                                                                                                              \
	FL__SHM_QUEUE_FN void fl__scoped_##name(name **q)                                                              \
	{                                                                                                              \
		fl_shm_queue_free((fl_shm_queue *)*q);                                                                 \
	}

#define FL__SHM_QUEUE_OF_ONE(type, name)                                                                               \
	FL__SHM_QUEUE_FN FL_MUST_CHECK int name##_put(name *q, type item)                                              \
	{                                                                                                              \
		return fl_shm_queue_put((fl_shm_queue *)q, &item);                                                     \
	}                                                                                                              \
	FL__SHM_QUEUE_FN FL_MUST_CHECK int name##_try_put(name *q, type item)                                          \
	{                                                                                                              \
		return fl_shm_queue_try_put((fl_shm_queue *)q, &item);                                                 \
	}                                                                                                              \
	FL__SHM_QUEUE_FN FL_MUST_CHECK int name##_put_until(name *q, type item, int64_t deadline, fl_cancel *cancel)   \
	{                                                                                                              \
		return fl_shm_queue_put_until((fl_shm_queue *)q, &item, deadline, cancel);                             \
	}                                                                                                              \
	FL__SHM_QUEUE_FN FL_MUST_CHECK int name##_get(name *q, type *item)                                             \
	{                                                                                                              \
		return fl_shm_queue_get((fl_shm_queue *)q, item);                                                      \
	}                                                                                                              \
	FL__SHM_QUEUE_FN FL_MUST_CHECK int name##_try_get(name *q, type *item)                                         \
	{                                                                                                              \
		return fl_shm_queue_try_get((fl_shm_queue *)q, item);                                                  \
	}                                                                                                              \
	FL__SHM_QUEUE_FN FL_MUST_CHECK int name##_get_until(name *q, type *item, int64_t deadline, fl_cancel *cancel)  \
	{                                                                                                              \
		return fl_shm_queue_get_until((fl_shm_queue *)q, item, deadline, cancel);                              \
	}

#define FL__SHM_QUEUE_OF_MANY(type, name)                                                                              \
	FL__SHM_QUEUE_FN FL_MUST_CHECK size_t name##_put_many(name *q, type const *items, size_t n)                    \
	{                                                                                                              \
		return fl_shm_queue_put_many((fl_shm_queue *)q, items, n);                                             \
	}                                                                                                              \
	FL__SHM_QUEUE_FN FL_MUST_CHECK size_t name##_try_put_many(name *q, type const *items, size_t n)                \
	{                                                                                                              \
		return fl_shm_queue_try_put_many((fl_shm_queue *)q, items, n);                                         \
	}                                                                                                              \
	FL__SHM_QUEUE_FN FL_MUST_CHECK int name##_put_many_until(name *q, type const *items, size_t n, size_t *count,  \
	                                                         int64_t deadline, fl_cancel *cancel)                  \
	{                                                                                                              \
		return fl_shm_queue_put_many_until((fl_shm_queue *)q, items, n, count, deadline, cancel);              \
	}                                                                                                              \
	FL__SHM_QUEUE_FN FL_MUST_CHECK size_t name##_get_many(name *q, type *items, size_t n)                          \
	{                                                                                                              \
		return fl_shm_queue_get_many((fl_shm_queue *)q, items, n);                                             \
	}                                                                                                              \
	FL__SHM_QUEUE_FN FL_MUST_CHECK size_t name##_try_get_many(name *q, type *items, size_t n)                      \
	{                                                                                                              \
		return fl_shm_queue_try_get_many((fl_shm_queue *)q, items, n);                                         \
	}                                                                                                              \
	FL__SHM_QUEUE_FN FL_MUST_CHECK int name##_get_many_until(name *q, type *items, size_t n, size_t *count,        \
	                                                         int64_t deadline, fl_cancel *cancel)                  \
	{                                                                                                              \
		return fl_shm_queue_get_many_until((fl_shm_queue *)q, items, n, count, deadline, cancel);              \
	}

#define FL__SHM_QUEUE_OF_STATE(name)                                                                                   \
	FL__SHM_QUEUE_FN FL_MUST_CHECK int name##_close(name *q)                                                       \
	{                                                                                                              \
		return fl_shm_queue_close((fl_shm_queue *)q);                                                          \
	}                                                                                                              \
	FL__SHM_QUEUE_FN FL_MUST_CHECK int name##_close_now(name *q, size_t *dropped)                                  \
	{                                                                                                              \
		return fl_shm_queue_close_now((fl_shm_queue *)q, dropped);                                             \
	}                                                                                                              \
	FL__SHM_QUEUE_FN FL_MUST_CHECK int name##_task_done(name *q)                                                   \
	{                                                                                                              \
		return fl_shm_queue_task_done((fl_shm_queue *)q);                                                      \
	}                                                                                                              \
	FL__SHM_QUEUE_FN FL_MUST_CHECK int name##_join(name *q)                                                        \
	{                                                                                                              \
		return fl_shm_queue_join((fl_shm_queue *)q);                                                           \
	}                                                                                                              \
	FL__SHM_QUEUE_FN FL_MUST_CHECK int name##_try_join(name *q)                                                    \
	{                                                                                                              \
		return fl_shm_queue_try_join((fl_shm_queue *)q);                                                       \
	}                                                                                                              \
	FL__SHM_QUEUE_FN FL_MUST_CHECK int name##_join_until(name *q, int64_t deadline, fl_cancel *cancel)             \
	{                                                                                                              \
		return fl_shm_queue_join_until((fl_shm_queue *)q, deadline, cancel);                                   \
	}                                                                                                              \
	FL__SHM_QUEUE_FN size_t name##_length(name *q)                                                                 \
	{                                                                                                              \
		return fl_shm_queue_length((fl_shm_queue *)q);                                                         \
	}                                                                                                              \
	FL__SHM_QUEUE_FN size_t name##_capacity(name *q)                                                               \
	{                                                                                                              \
		return fl_shm_queue_capacity((fl_shm_queue *)q);                                                       \
	}                                                                                                              \
	FL__SHM_QUEUE_FN bool name##_is_closed(name *q)                                                                \
	{                                                                                                              \
		return fl_shm_queue_is_closed((fl_shm_queue *)q);                                                      \
	}

#endif
