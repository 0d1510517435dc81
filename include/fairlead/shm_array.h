/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_SHM_ARRAY_H
#define FAIRLEAD_SHM_ARRAY_H

#include <fairlead/defs.h>
#include <fairlead/shm.h>
#include <fairlead/shm_mutex.h>
#include <stddef.h>
#include <stdint.h>

FL_BEGIN_DECLS

/*
 * Array: a fixed number of items in a region (fairlead/shm.h), with a mutex for changes that concern several.
 *
 *     FL_SHM_ARRAY_OF(struct account, accounts)                       // at file scope; C and C++
 *
 *     accounts a;                                             // a handle, of this process alone
 *     rc = accounts_create(&a, region, 1000);                 // check; zeroed
 *     rc = accounts_open(&a, region, offset);                 // the others: the accounts_offset(&a) of the first
 *
 *     FL_SHM_LOCKED(rc, accounts_mutex(&a));                  // 0; -EOWNERDEAD: repair, fl_shm_mutex_recover()
 *     accounts_at(&a, from)->balance -= amount;
 *     accounts_at(&a, to)->balance += amount;
 *
 * The functions take no lock. Whoever is killed with the mutex leaves what it had done so far, and the next to lock it
 * is told: fairlead/shm_mutex.h. For one value that changes as a whole take fairlead/shm_value.h, also as the type of
 * the items.
 *
 * How long the array is, is kept in the handle: nothing that others write into the region makes it longer. No function
 * waits, unless it says so. All but create, open and destroy may be called by several threads. A child of fork() may
 * use the handle.
 */
typedef struct fl_shm_array {
	fl_shm *region_;
	void *head_;
	size_t length_;
} fl_shm_array;

/*
 * Makes an array of `n` zeroed items of `item_size` bytes. Waits as fl_shm_alloc(). Returns 0; -EINVAL: one of the two
 * is 0; -ENOMEM: no free piece of the region is that large; -EROFS: it is read-only here; -EBADMSG: it is damaged;
 * -ETIMEDOUT: it was not to be had for ten seconds.
 */
FL_API FL_MUST_CHECK int fl_shm_array_create(fl_shm_array *a, fl_shm *region, size_t item_size, size_t n);

/* Makes a handle of the array at `offset`. Returns 0, or -EBADMSG: there is none, or its items have another size. */
FL_API FL_MUST_CHECK int fl_shm_array_open(fl_shm_array *a, fl_shm *region, fl_shm_offset offset, size_t item_size);

/* Gives the memory back to the region. Requires that nobody uses the array. Given back before: as with fl_shm_dealloc(). */
FL_API void fl_shm_array_destroy(fl_shm_array *a);

/* Where it lies in its region. */
FL_API fl_shm_offset fl_shm_array_offset(const fl_shm_array *a);

/* The number of items. */
FL_API size_t fl_shm_array_length(const fl_shm_array *a);

/* The item `i`, of the size that the array was made with. Panics when there are not so many. No memory order. */
FL_API void *fl_shm_array_at(const fl_shm_array *a, size_t i, size_t item_size);

/* The array's mutex. */
FL_API fl_shm_mutex *fl_shm_array_mutex(const fl_shm_array *a);

#define FL_SHM_ARRAY_OF(type, name)                                                                                    \
	typedef struct name {                                                                                          \
		fl_shm_array array_;                                                                                   \
	} name;                                                                                                        \
	FL__SHM_ARRAY_OF_LIFE(type, name)                                                                              \
	FL__SHM_ARRAY_OF_USE(type, name)

#define FL__SHM_ARRAY_FN __attribute__((unused)) static inline

#define FL__SHM_ARRAY_OF_LIFE(type, name)                                                                              \
	FL__SHM_ARRAY_FN FL_MUST_CHECK int name##_create(name *_a, fl_shm *_region, size_t _n)                         \
	{                                                                                                              \
		FL__ASSERT_ALIGN(type, 64);                                                                            \
		return fl_shm_array_create(&_a->array_, _region, sizeof(type), _n);                                    \
	}                                                                                                              \
	FL__SHM_ARRAY_FN FL_MUST_CHECK int name##_open(name *_a, fl_shm *_region, fl_shm_offset _offset)               \
	{                                                                                                              \
		return fl_shm_array_open(&_a->array_, _region, _offset, sizeof(type));                                 \
	}                                                                                                              \
	FL__SHM_ARRAY_FN void name##_destroy(name *_a)                                                                 \
	{                                                                                                              \
		fl_shm_array_destroy(&_a->array_);                                                                     \
	}

#define FL__SHM_ARRAY_OF_USE(type, name)                                                                               \
	FL__SHM_ARRAY_FN fl_shm_offset name##_offset(const name *_a)                                                   \
	{                                                                                                              \
		return fl_shm_array_offset(&_a->array_);                                                               \
	}                                                                                                              \
	FL__SHM_ARRAY_FN size_t name##_length(const name *_a)                                                          \
	{                                                                                                              \
		return fl_shm_array_length(&_a->array_);                                                               \
	}                                                                                                              \
	FL__SHM_ARRAY_FN type *name##_at(const name *_a, size_t _i)                                                    \
	{                                                                                                              \
		return (type *)fl_shm_array_at(&_a->array_, _i, sizeof(type));                                         \
	}                                                                                                              \
	FL__SHM_ARRAY_FN fl_shm_mutex *name##_mutex(const name *_a)                                                    \
	{                                                                                                              \
		return fl_shm_array_mutex(&_a->array_);                                                                \
	}

#ifdef __cplusplus
#define FL__ASSERT_ALIGN(type, most) static_assert(alignof(type) <= (most), #type " needs more alignment")
#else
#define FL__ASSERT_ALIGN(type, most)                                                                                   \
	__extension__ _Static_assert(__alignof__(type) <= (most), #type " needs more alignment")
#endif

FL_END_DECLS

#endif
