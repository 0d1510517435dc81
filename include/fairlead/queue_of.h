/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_QUEUE_OF_H
#define FAIRLEAD_QUEUE_OF_H

#include <fairlead/mpmc_ring.h>
#include <fairlead/pair_ring.h>
#include <fairlead/queue.h>

/*
 * FL_QUEUE_OF(struct job, job_queue) makes the type job_queue and, for each fl_queue_... function, a job_queue_... that
 * takes and gives struct job: job_queue_put(q, job), job_queue_get(q, &job). At file scope; C and C++.
 */
#define FL_QUEUE_OF(type, name)                                                                                        \
	typedef struct name name;                                                                                      \
	FL__QUEUE_OF_LIFE(type, name)                                                                                  \
	FL__QUEUE_OF_ONE(type, name)                                                                                   \
	FL__QUEUE_OF_MANY(type, name)                                                                                  \
	FL__QUEUE_OF_STATE(name)

/*
 * Private, from here on. A bounded FIFO queue is a ring (lib/queue/mpmc.c; with one producer and one consumer: pair.c), and a put
 * or get that need not wait is inline. A fl_queue begins with the addresses of both, of which those that it is not are NULL.
 */
FL_BEGIN_DECLS

/* Wakes one who waits for an item (0), for space (1). The queue may be gone. */
FL_API void fl__queue_wake(fl_queue *q, int side);

struct fl__queue_begin {
	struct fl__mpmc *ring;
	struct fl__pair *pair;
};

/* Whether it is put; if not, the call finds out why, or waits. */
static inline bool fl__queue_of_put(fl_queue *q, const void *item, size_t size)
{
	const struct fl__queue_begin *begin = (const struct fl__queue_begin *)(void *)q;
	bool owes_wake = false;
	if (!begin->ring)
		return begin->pair && fl__pair_put(begin->pair, item, fl__slot_shape_of(size));
	if (fl__mpmc_put(begin->ring, item, size, &owes_wake) != 0)
		return false;
	if (__builtin_expect(owes_wake, 0))
		fl__queue_wake(q, 0);
	return true;
}

static inline bool fl__queue_of_get(fl_queue *q, void *item, size_t size)
{
	const struct fl__queue_begin *begin = (const struct fl__queue_begin *)(void *)q;
	bool owes_wake = false;
	if (!begin->ring)
		return begin->pair && fl__pair_get(begin->pair, item, fl__slot_shape_of(size));
	if (fl__mpmc_get(begin->ring, item, size, &owes_wake) != 0)
		return false;
	if (__builtin_expect(owes_wake, 0))
		fl__queue_wake(q, 1);
	return true;
}

FL_END_DECLS

#define FL__QUEUE_FN __attribute__((unused)) static inline

#define FL__QUEUE_OF_LIFE(type, name)                                                                                  \
	FL__QUEUE_FN FL_MUST_CHECK int name##_create(name **q, const fl_queue_config *config)                          \
	{                                                                                                              \
		fl_queue *made = NULL;                                                                                 \
		int rc = fl_queue_create(&made, sizeof(type), config);                                                 \
		if (rc == 0)                                                                                           \
			*q = (name *)made;                                                                             \
		return rc;                                                                                             \
	}                                                                                                              \
	FL__QUEUE_FN fl_queue *name##_untyped(name *q)                                                                 \
	{                                                                                                              \
		return (fl_queue *)q;                                                                                  \
	}                                                                                                              \
	FL__QUEUE_FN void name##_free(name *q)                                                                         \
	{                                                                                                              \
		fl_queue_free((fl_queue *)q);                                                                          \
	}                                                                                                              \
	FL__QUEUE_FN void fl__scoped_##name(name **q)                                                                  \
	{                                                                                                              \
		fl_queue_free((fl_queue *)*q);                                                                         \
	}

#define FL__QUEUE_OF_ONE(type, name)                                                                                   \
	FL__QUEUE_FN FL_MUST_CHECK int name##_put(name *q, type item)                                                  \
	{                                                                                                              \
		return fl__queue_of_put((fl_queue *)q, &item, sizeof(type)) ? 0 : fl_queue_put((fl_queue *)q, &item);  \
	}                                                                                                              \
	FL__QUEUE_FN FL_MUST_CHECK int name##_try_put(name *q, type item)                                              \
	{                                                                                                              \
		return fl__queue_of_put((fl_queue *)q, &item, sizeof(type)) ? 0                                        \
		                                                            : fl_queue_try_put((fl_queue *)q, &item);  \
	}                                                                                                              \
	FL__QUEUE_FN FL_MUST_CHECK int name##_put_until(name *q, type item, int64_t deadline, fl_cancel *cancel)       \
	{                                                                                                              \
		return fl__queue_of_put((fl_queue *)q, &item, sizeof(type))                                            \
		           ? 0                                                                                         \
		           : fl_queue_put_until((fl_queue *)q, &item, deadline, cancel);                               \
	}                                                                                                              \
	FL__QUEUE_FN FL_MUST_CHECK int name##_get(name *q, type *item)                                                 \
	{                                                                                                              \
		return fl__queue_of_get((fl_queue *)q, item, sizeof(type)) ? 0 : fl_queue_get((fl_queue *)q, item);    \
	}                                                                                                              \
	FL__QUEUE_FN FL_MUST_CHECK int name##_try_get(name *q, type *item)                                             \
	{                                                                                                              \
		return fl__queue_of_get((fl_queue *)q, item, sizeof(type)) ? 0                                         \
		                                                           : fl_queue_try_get((fl_queue *)q, item);    \
	}                                                                                                              \
	FL__QUEUE_FN FL_MUST_CHECK int name##_get_until(name *q, type *item, int64_t deadline, fl_cancel *cancel)      \
	{                                                                                                              \
		return fl__queue_of_get((fl_queue *)q, item, sizeof(type))                                             \
		           ? 0                                                                                         \
		           : fl_queue_get_until((fl_queue *)q, item, deadline, cancel);                                \
	}

#define FL__QUEUE_OF_MANY(type, name)                                                                                  \
	FL__QUEUE_FN FL_MUST_CHECK size_t name##_put_many(name *q, type const *items, size_t n)                        \
	{                                                                                                              \
		return fl_queue_put_many((fl_queue *)q, items, n);                                                     \
	}                                                                                                              \
	FL__QUEUE_FN FL_MUST_CHECK size_t name##_try_put_many(name *q, type const *items, size_t n)                    \
	{                                                                                                              \
		return fl_queue_try_put_many((fl_queue *)q, items, n);                                                 \
	}                                                                                                              \
	FL__QUEUE_FN FL_MUST_CHECK int name##_put_many_until(name *q, type const *items, size_t n, size_t *count,      \
	                                                     int64_t deadline, fl_cancel *cancel)                      \
	{                                                                                                              \
		return fl_queue_put_many_until((fl_queue *)q, items, n, count, deadline, cancel);                      \
	}                                                                                                              \
	FL__QUEUE_FN FL_MUST_CHECK size_t name##_get_many(name *q, type *items, size_t n)                              \
	{                                                                                                              \
		return fl_queue_get_many((fl_queue *)q, items, n);                                                     \
	}                                                                                                              \
	FL__QUEUE_FN FL_MUST_CHECK size_t name##_try_get_many(name *q, type *items, size_t n)                          \
	{                                                                                                              \
		return fl_queue_try_get_many((fl_queue *)q, items, n);                                                 \
	}                                                                                                              \
	FL__QUEUE_FN FL_MUST_CHECK int name##_get_many_until(name *q, type *items, size_t n, size_t *count,            \
	                                                     int64_t deadline, fl_cancel *cancel)                      \
	{                                                                                                              \
		return fl_queue_get_many_until((fl_queue *)q, items, n, count, deadline, cancel);                      \
	}

#define FL__QUEUE_OF_STATE(name)                                                                                       \
	FL__QUEUE_FN void name##_close(name *q)                                                                        \
	{                                                                                                              \
		fl_queue_close((fl_queue *)q);                                                                         \
	}                                                                                                              \
	FL__QUEUE_FN size_t name##_close_now(name *q)                                                                  \
	{                                                                                                              \
		return fl_queue_close_now((fl_queue *)q);                                                              \
	}                                                                                                              \
	FL__QUEUE_FN void name##_task_done(name *q)                                                                    \
	{                                                                                                              \
		fl_queue_task_done((fl_queue *)q);                                                                     \
	}                                                                                                              \
	FL__QUEUE_FN FL_MUST_CHECK int name##_join(name *q)                                                            \
	{                                                                                                              \
		return fl_queue_join((fl_queue *)q);                                                                   \
	}                                                                                                              \
	FL__QUEUE_FN FL_MUST_CHECK int name##_try_join(name *q)                                                        \
	{                                                                                                              \
		return fl_queue_try_join((fl_queue *)q);                                                               \
	}                                                                                                              \
	FL__QUEUE_FN FL_MUST_CHECK int name##_join_until(name *q, int64_t deadline, fl_cancel *cancel)                 \
	{                                                                                                              \
		return fl_queue_join_until((fl_queue *)q, deadline, cancel);                                           \
	}                                                                                                              \
	FL__QUEUE_FN size_t name##_length(name *q)                                                                     \
	{                                                                                                              \
		return fl_queue_length((fl_queue *)q);                                                                 \
	}                                                                                                              \
	FL__QUEUE_FN size_t name##_capacity(name *q)                                                                   \
	{                                                                                                              \
		return fl_queue_capacity((fl_queue *)q);                                                               \
	}                                                                                                              \
	FL__QUEUE_FN bool name##_is_closed(name *q)                                                                    \
	{                                                                                                              \
		return fl_queue_is_closed((fl_queue *)q);                                                              \
	}

#endif
