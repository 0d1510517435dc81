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
 * Array in a region (fairlead/shm.h): a fixed number of items, with a mutex for changes of several
 * items.
 *
 *     FL_SHM_ARRAY_OF(struct account, accounts)               // at file scope; C and C++
 *
 *     accounts a;                                             // a handle, private to this process
 *     rc = accounts_create(&a, region, 1000);                 // check; zeroed
 *     rc = accounts_open(&a, region, offset);                 // check; in other processes
 *
 *     FL_SHM_LOCKED(rc, accounts_mutex(&a));                  // check; on -EOWNERDEAD, repair
 *     accounts_at(&a, from)->balance -= amount;
 *     accounts_at(&a, to)->balance += amount;
 *
 * The functions take no lock. A process that is killed while it owns the mutex leaves a partial
 * change, and the next owner gets -EOWNERDEAD: fairlead/shm_mutex.h. For one value that changes as
 * a whole use fairlead/shm_value.h, also as the type of the items.
 *
 * The handle has its own copy of the length: no write to the region can make the array longer. Only
 * fl_shm_array_create() waits. Several threads may call all functions but create, open and destroy.
 * A child of fork() may use the handle.
 */
typedef struct fl_shm_array {
	fl_shm *region_;
	void *head_;
	size_t length_;
} fl_shm_array;

/*
 * Makes an array of `n` zeroed items of `item_size` bytes. Waits as fl_shm_alloc(). Returns
 *   0
 *   -EINVAL     `n` or `item_size` is 0
 *   -ENOMEM     the region has no free block that is large enough
 *   -EROFS      the region is read-only in this process
 *   -EBADMSG    the region is damaged
 *   -ETIMEDOUT  the region's allocator was not available for ten seconds
 */
FL_API FL_MUST_CHECK int fl_shm_array_create(fl_shm_array *a, fl_shm *region, size_t item_size, size_t n);

/*
 * Makes a handle of the array at `offset`. Returns 0, or -EBADMSG: there is no array, or its items
 * have another size.
 */
FL_API FL_MUST_CHECK int fl_shm_array_open(fl_shm_array *a, fl_shm *region, fl_shm_offset offset, size_t item_size);

/*
 * Frees the memory of the array. Requires that no context uses the array. A second destroy is
 * logged, as by fl_shm_dealloc().
 */
FL_API void fl_shm_array_destroy(fl_shm_array *a);

/* Returns the offset of the array in its region. */
FL_API fl_shm_offset fl_shm_array_offset(const fl_shm_array *a);

/* Returns the number of items. */
FL_API size_t fl_shm_array_length(const fl_shm_array *a);

/*
 * Returns the item `i`. `item_size` is the size that the array was made with. Panics if `i` is not
 * less than the length. No memory order.
 */
FL_API void *fl_shm_array_at(const fl_shm_array *a, size_t i, size_t item_size);

/* Returns the array's mutex. */
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
