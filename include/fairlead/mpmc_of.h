/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_MPMC_OF_H
#define FAIRLEAD_MPMC_OF_H

#include <fairlead/mpmc.h>
#include <fairlead/mpmc_ring.h>

/*
 * FL_MPMC_OF(struct job, jobs) makes the type jobs and, for each fl_mpmc_... function, a jobs_... that takes and gives struct
 * job: jobs_try_put(q, job), jobs_try_get(q, &job). At file scope; C and C++.
 */
#define FL_MPMC_OF(type, name)                                                                                         \
	typedef struct name name;                                                                                      \
	FL__MPMC_OF_LIFE(type, name)                                                                                   \
	FL__MPMC_OF_ITEMS(type, name)                                                                                  \
	FL__MPMC_OF_STATE(name)

/* Private, from here on. */

static inline int fl__mpmc_of_put(fl_mpmc *q, const void *item, size_t size)
{
	bool nobody_sleeps;
	return fl__mpmc_put((struct fl__mpmc *)(void *)q, item, size, &nobody_sleeps);
}

static inline int fl__mpmc_of_get(fl_mpmc *q, void *item, size_t size)
{
	bool nobody_sleeps;
	return fl__mpmc_get((struct fl__mpmc *)(void *)q, item, size, &nobody_sleeps);
}

#define FL__MPMC_FN __attribute__((unused)) static inline

#define FL__MPMC_OF_LIFE(type, name)                                                                                   \
	FL__MPMC_FN FL_MUST_CHECK int name##_create(name **q, size_t capacity)                                         \
	{                                                                                                              \
		fl_mpmc *made = NULL;                                                                                  \
		int rc = fl_mpmc_create(&made, sizeof(type), capacity);                                                \
		if (rc == 0)                                                                                           \
			*q = (name *)made;                                                                             \
		return rc;                                                                                             \
	}                                                                                                              \
	FL__MPMC_FN fl_mpmc *name##_untyped(name *q)                                                                   \
	{                                                                                                              \
		return (fl_mpmc *)q;                                                                                   \
	}                                                                                                              \
	FL__MPMC_FN void name##_free(name *q)                                                                          \
	{                                                                                                              \
		fl_mpmc_free((fl_mpmc *)q);                                                                            \
	}                                                                                                              \
	FL__MPMC_FN void fl__scoped_##name(name **q)                                                                   \
	{                                                                                                              \
		fl_mpmc_free((fl_mpmc *)*q);                                                                           \
	}

#define FL__MPMC_OF_ITEMS(type, name)                                                                                  \
	FL__MPMC_FN FL_MUST_CHECK int name##_try_put(name *q, type item)                                               \
	{                                                                                                              \
		return fl__mpmc_of_put((fl_mpmc *)q, &item, sizeof(type));                                             \
	}                                                                                                              \
	FL__MPMC_FN FL_MUST_CHECK int name##_try_get(name *q, type *item)                                              \
	{                                                                                                              \
		return fl__mpmc_of_get((fl_mpmc *)q, item, sizeof(type));                                              \
	}                                                                                                              \
	FL__MPMC_FN FL_MUST_CHECK size_t name##_try_put_many(name *q, const type *items, size_t n)                     \
	{                                                                                                              \
		return fl_mpmc_try_put_many((fl_mpmc *)q, items, n);                                                   \
	}                                                                                                              \
	FL__MPMC_FN FL_MUST_CHECK size_t name##_try_get_many(name *q, type *items, size_t n)                           \
	{                                                                                                              \
		return fl_mpmc_try_get_many((fl_mpmc *)q, items, n);                                                   \
	}

#define FL__MPMC_OF_STATE(name)                                                                                        \
	FL__MPMC_FN void name##_close(name *q)                                                                         \
	{                                                                                                              \
		fl_mpmc_close((fl_mpmc *)q);                                                                           \
	}                                                                                                              \
	FL__MPMC_FN bool name##_is_closed(name *q)                                                                     \
	{                                                                                                              \
		return fl_mpmc_is_closed((fl_mpmc *)q);                                                                \
	}                                                                                                              \
	FL__MPMC_FN size_t name##_length(name *q)                                                                      \
	{                                                                                                              \
		return fl_mpmc_length((fl_mpmc *)q);                                                                   \
	}                                                                                                              \
	FL__MPMC_FN size_t name##_capacity(const name *q)                                                              \
	{                                                                                                              \
		return fl_mpmc_capacity((const fl_mpmc *)q);                                                           \
	}

#endif
