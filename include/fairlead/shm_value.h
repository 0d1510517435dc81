/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_SHM_VALUE_H
#define FAIRLEAD_SHM_VALUE_H

#include <errno.h>
#include <fairlead/defs.h>
#include <fairlead/shm.h>
#include <fairlead/shm_mutex.h>
#include <stddef.h>
#include <stdint.h>

FL_BEGIN_DECLS

/*
 * Value in shared memory: one value of any type, which changes as a whole. A process that is killed
 * while it changes the value has changed all of it, or nothing.
 *
 *     FL_SHM_VALUE_OF(struct totals, shared_totals)  // at file scope; C and C++
 *
 *     shared_totals *t = FL_SHM_AT(region, shared_totals, offset);  // all-zero is valid
 *     struct totals now = shared_totals_get(t);
 *     rc = shared_totals_set(t, now);  // check
 *     rc = shared_totals_update(t, add_one, arg);  // int add_one(struct totals *, void *); check
 *
 * A get copies again if the value has changed during the copy. An update calls the function with a
 * copy, without a lock, and stores the result. If the value has changed during the call, the update
 * calls the function again, with the new value. If the function does not return 0, the update
 * leaves the value alone and returns the function's result.
 *
 * The type must have no pointers. Memory order: a get sees what was written before its value's set.
 */
typedef struct fl_shm_value {
	uint64_t lock_[5];
	uint32_t changes_;
	uint32_t unused_;
} fl_shm_value;
FL__ASSERT_SIZE(fl_shm_value, 48);

/*
 * Copies the value to `*value`. `v` is followed by two copies of `size` bytes, each rounded up to
 * 8; FL_SHM_VALUE_OF lays them out, for all functions here. Returns the count of changes, for
 * fl_shm_value_set_if(). Works in a region that is read-only.
 */
FL_API uint32_t fl_shm_value_get(const fl_shm_value *v, void *value, size_t size);

/*
 * Sets the value. Waits for other sets of the value. Returns 0, or:
 *   -ETIMEDOUT  another set has lasted ten seconds: its process is stopped (SIGSTOP), or the memory
 *               is damaged
 *   -EBADMSG    the memory is damaged
 */
FL_API FL_MUST_CHECK int fl_shm_value_set(fl_shm_value *v, const void *value, size_t size);

/*
 * As fl_shm_value_set(): 0, -ETIMEDOUT, -EBADMSG. Returns -ESTALE, and leaves the value, if the
 * value has changed since a get that returned `changes`.
 */
FL_API FL_MUST_CHECK int fl_shm_value_set_if(fl_shm_value *v, uint32_t changes, const void *value, size_t size);

#define FL_SHM_VALUE_OF(type, name)                                                                                    \
	FL__VALUE(type)                                                                                                \
	typedef struct name {                                                                                          \
		fl_shm_value value_;                                                                                   \
		uint64_t copies_[2][(sizeof(type) + 7) / 8];                                                           \
	} name;                                                                                                        \
	FL__MADE_FN type name##_get(const name *_v)                                                                    \
	{                                                                                                              \
		type _value;                                                                                           \
		(void)fl_shm_value_get(&_v->value_, &_value, sizeof _value);                                           \
		return _value;                                                                                         \
	}                                                                                                              \
	FL__MADE_FN FL_MUST_CHECK int name##_set(name *_v, type _value)                                                \
	{                                                                                                              \
		return fl_shm_value_set(&_v->value_, &_value, sizeof _value);                                          \
	}                                                                                                              \
	FL__MADE_FN FL_MUST_CHECK int name##_update(name *_v, int (*_change)(type * _value, void *_arg), void *_arg)   \
	{                                                                                                              \
		int _rc;                                                                                               \
		do {                                                                                                   \
			type _value;                                                                                   \
			uint32_t _changes = fl_shm_value_get(&_v->value_, &_value, sizeof _value);                     \
			_rc = _change(&_value, _arg);                                                                  \
			if (_rc != 0)                                                                                  \
				return _rc;                                                                            \
			_rc = fl_shm_value_set_if(&_v->value_, _changes, &_value, sizeof _value);                      \
		} while (_rc == -ESTALE);                                                                              \
		return _rc;                                                                                            \
	}

/*
 * Array in a region (fairlead/shm.h): a fixed number of items, with a mutex.
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
 * The functions take no lock.
 *
 * No write to the region can make the array longer. Several threads may call all functions but
 * create, open and destroy. A child of fork() may use the handle.
 */
typedef struct fl_shm_array {
	fl_shm *region_;
	void *head_;
	size_t length_;
} fl_shm_array;

/*
 * Makes an array of `n` zeroed items of `item_size` bytes. Waits as fl_shm_alloc(). Returns 0, or:
 *   -EINVAL     `n` or `item_size` is 0
 *   -ENOMEM     the region has no free block that is large enough
 *   -EROFS      the region is read-only in this process
 *   -EBADMSG    the region is damaged
 *   -ETIMEDOUT  the region's allocator was not available for ten seconds
 */
FL_API FL_MUST_CHECK int fl_shm_array_create(fl_shm_array *a, fl_shm *region, size_t item_size, size_t n);

/* Makes a handle of the array at `offset`. Returns 0; -EBADMSG: none, or another item size. */
FL_API FL_MUST_CHECK int fl_shm_array_open(fl_shm_array *a, fl_shm *region, fl_shm_offset offset, size_t item_size);

/* Frees the array, which no context uses. A second destroy is logged, as by fl_shm_free_block(). */
FL_API void fl_shm_array_destroy(fl_shm_array *a);

/* The offset of the array in its region. */
FL_API fl_shm_offset fl_shm_array_offset(const fl_shm_array *a);

/* The number of items. */
FL_API size_t fl_shm_array_length(const fl_shm_array *a);

/* The item `i`. `item_size`: that of the array. Panics if `i` is too large. No memory order. */
FL_API void *fl_shm_array_at(const fl_shm_array *a, size_t i, size_t item_size);

/* The array's mutex. */
FL_API fl_shm_mutex *fl_shm_array_mutex(const fl_shm_array *a);

#define FL_SHM_ARRAY_OF(type, name)                                                                                    \
	FL__NAMED(type)                                                                                                \
	typedef struct name {                                                                                          \
		fl_shm_array array_;                                                                                   \
	} name;                                                                                                        \
	FL__MADE_FN FL_MUST_CHECK int name##_create(name *_a, fl_shm *_region, size_t _n)                              \
	{                                                                                                              \
		FL__ASSERT(__alignof__(type) <= 64, #type " needs more alignment");                                    \
		return fl_shm_array_create(&_a->array_, _region, sizeof(type), _n);                                    \
	}                                                                                                              \
	FL__MADE_FN FL_MUST_CHECK int name##_open(name *_a, fl_shm *_region, fl_shm_offset _offset)                    \
	{                                                                                                              \
		return fl_shm_array_open(&_a->array_, _region, _offset, sizeof(type));                                 \
	}                                                                                                              \
	FL__MADE_FN void name##_destroy(name *_a)                                                                      \
	{                                                                                                              \
		fl_shm_array_destroy(&_a->array_);                                                                     \
	}                                                                                                              \
	FL__SHM_ARRAY_GET(name, fl_shm_offset, offset)                                                                 \
	FL__SHM_ARRAY_GET(name, size_t, length)                                                                        \
	FL__SHM_ARRAY_GET(name, fl_shm_mutex *, mutex)                                                                 \
	FL__MADE_FN __typeof__(type) *name##_at(const name *_a, size_t _i)                                             \
	{                                                                                                              \
		return (__typeof__(type) *)fl_shm_array_at(&_a->array_, _i, sizeof(type));                             \
	}

#define FL__SHM_ARRAY_GET(name, result, call)                                                                          \
	FL__MADE_FN result name##_##call(const name *_a)                                                               \
	{                                                                                                              \
		return fl_shm_array_##call(&_a->array_);                                                               \
	}

FL_END_DECLS

#endif
