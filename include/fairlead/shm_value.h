/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_SHM_VALUE_H
#define FAIRLEAD_SHM_VALUE_H

#include <fairlead/defs.h>
#include <fairlead/shm.h>
#include <fairlead/shm_mutex.h>

FL_BEGIN_DECLS

/*
 * A value of any type in shared memory, which changes as a whole.
 *
 *     FL_SHM_VALUE_OF(struct totals, shared_totals) // at file scope, in C and C++
 *
 *     shared_totals *t = FL_SHM_AT(region, shared_totals, offset); // all-zero memory is valid
 *     struct totals now = shared_totals_get(t);
 *     int rc = shared_totals_set(t, now);
 *     rc = shared_totals_update(t, add_one, arg); // int add_one(struct totals *t, void *arg)
 *
 * If a process is killed while it changes the value, all of it has changed, or nothing. The type
 * must have no pointers.
 *
 * An update calls the function, without a lock held, with a copy of the value, and stores the copy.
 * If the value has changed by then, the update begins again. If the function does not return 0, the
 * update stores nothing and returns that result.
 *
 * Memory order: a set happens before the return of a get that gets its value.
 */
typedef struct fl_shm_value {
	uint64_t lock_[5];
	uint32_t changes_;
	uint32_t unused_;
} fl_shm_value;
FL__ASSERT_SIZE(fl_shm_value, 48);

/*
 * Copies the value to `*value`, without a lock, and returns the count of changes, for
 * fl_shm_value_set_if(). It works in a read-only region. `v` must be laid out as by
 * FL_SHM_VALUE_OF: two copies of `size` bytes follow it, each rounded up to a multiple of 8.
 */
FL_API uint32_t fl_shm_value_get(const fl_shm_value *v, void *value, size_t size);

/*
 * Sets the value. Waits for other sets of the value, for ten seconds at most. fl_shm_value_set_if()
 * sets it only if it has not changed since the get that returned `changes`. Returns 0, -EBADMSG,
 * or:
 *   -ESTALE     only fl_shm_value_set_if(): the value has changed
 *   -ETIMEDOUT  another set has lasted ten seconds: its process is stopped (SIGSTOP), or the memory
 *               is damaged
 */
FL_API FL_MUST_CHECK int fl_shm_value_set(fl_shm_value *v, const void *value, size_t size);
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
 * An array in a region (fairlead/shm.h): a fixed number of items, with a mutex.
 *
 *     FL_SHM_ARRAY_OF(struct account, accounts) // at file scope, in C and C++
 *
 *     accounts a;                                 // a handle, private to this process
 *     int rc = accounts_create(&a, region, 1000); // one process; the items are zeroed
 *     rc = accounts_attach(&a, region, offset);   // the other processes
 *
 *     FL_SHM_LOCKED(locked, accounts_mutex(&a));
 *     if (locked == 0) // -EOWNERDEAD: see fairlead/shm_mutex.h
 *             accounts_at(&a, i)->balance += amount;
 *
 * The functions do not lock the mutex. Several threads may call them at the same time, except
 * create, attach and destroy. The length is fixed, whatever another process writes to the region.
 */
typedef struct fl_shm_array {
	fl_shm *region_;
	void *head_;
	size_t length_;
} fl_shm_array;

/*
 * Makes an array of `n` zeroed items of `item_size` bytes in `region`, and the handle `a`. Waits
 * for the region's allocator, for ten seconds at most (-ETIMEDOUT). Returns 0, -ETIMEDOUT,
 * -EBADMSG, or:
 *   -EINVAL  `n` or `item_size` is 0
 *   -ENOMEM  the region has no free block that is large enough
 *   -EROFS   the region is read-only
 */
FL_API FL_MUST_CHECK int fl_shm_array_create(fl_shm_array *a, fl_shm *region, size_t item_size, size_t n);

/*
 * Makes `a` a handle of the array at `offset` in `region`. Returns 0, or -EBADMSG if there is no
 * array at `offset`, or its items have another size.
 */
FL_API FL_MUST_CHECK int fl_shm_array_attach(fl_shm_array *a, fl_shm *region, fl_shm_offset offset, size_t item_size);

/*
 * Frees the array. No context of any process may use it any more. Call the function once, with one
 * of the handles.
 */
FL_API void fl_shm_array_destroy(fl_shm_array *a);

/* Returns the offset of the array in its region, for fl_shm_array_attach(). */
FL_API fl_shm_offset fl_shm_array_offset(const fl_shm_array *a);

/* Returns the number of items. */
FL_API size_t fl_shm_array_length(const fl_shm_array *a);

/*
 * Returns the address of the item `i`, without ordering memory accesses. `item_size` must be the
 * array's. Panics if `i` is too large.
 */
FL_API void *fl_shm_array_at(const fl_shm_array *a, size_t i, size_t item_size);

/* Returns the mutex of the array. */
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
	FL__MADE_FN FL_MUST_CHECK int name##_attach(name *_a, fl_shm *_region, fl_shm_offset _offset)                  \
	{                                                                                                              \
		return fl_shm_array_attach(&_a->array_, _region, _offset, sizeof(type));                               \
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
		return FL__CAST_POINTER(__typeof__(type) *, fl_shm_array_at(&_a->array_, _i, sizeof(type)));           \
	}

#define FL__SHM_ARRAY_GET(name, result, call)                                                                          \
	FL__MADE_FN result name##_##call(const name *_a)                                                               \
	{                                                                                                              \
		return fl_shm_array_##call(&_a->array_);                                                               \
	}

FL_END_DECLS

#endif
