/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_SHM_VALUE_H
#define FAIRLEAD_SHM_VALUE_H

#include <errno.h>
#include <fairlead/defs.h>
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
 * A value has two copies and a count of changes. The lowest bit of the count selects the current
 * copy. A get takes no lock: it copies again if the value has changed during the copy. An update
 * calls the function with a copy, without a lock, and stores the result. If another context has
 * changed the value during the call, the update calls the function again, with the new value. So
 * the function may take long and may be killed, but must tolerate further calls. If the
 * function does not return 0, the update leaves the value alone and returns the function's result.
 *
 * The type is copied byte by byte, and must have no pointers. Processes that share a value are in
 * one PID namespace, and may be killed at any time. Fork: a child shares what its parent shares.
 * Memory order: a get sees what was written before the set of its value.
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
 * fl_shm_value_set_if(). Never waits, but copies again after each change during the copy. Works in
 * a region that is read-only.
 */
FL_API uint32_t fl_shm_value_get(const fl_shm_value *v, void *value, size_t size);

/*
 * Sets the value. Waits for other sets of the value, each of which takes as long as a copy. On an
 * error the value stays as it was. Returns
 *   0
 *   -ETIMEDOUT  another set has lasted ten seconds: its process is stopped (SIGSTOP), or the memory
 *               is damaged
 *   -EBADMSG    the memory is damaged
 */
FL_API FL_MUST_CHECK int fl_shm_value_set(fl_shm_value *v, const void *value, size_t size);

/*
 * As fl_shm_value_set(): 0, -ETIMEDOUT, -EBADMSG. Returns -EAGAIN, and leaves the value, if the
 * value has changed since a get that returned `changes`.
 */
FL_API FL_MUST_CHECK int fl_shm_value_set_if(fl_shm_value *v, uint32_t changes, const void *value, size_t size);

#define FL_SHM_VALUE_OF(type, name)                                                                                    \
	FL__SHM_VALUE_TYPE(type)                                                                                       \
	typedef struct name {                                                                                          \
		fl_shm_value value_;                                                                                   \
		uint64_t copies_[2][(sizeof(type) + 7) / 8];                                                           \
	} name;                                                                                                        \
	__attribute__((unused)) static inline type name##_get(const name *_v)                                          \
	{                                                                                                              \
		type _value;                                                                                           \
		(void)fl_shm_value_get(&_v->value_, &_value, sizeof _value);                                           \
		return _value;                                                                                         \
	}                                                                                                              \
	__attribute__((unused)) FL_MUST_CHECK static inline int name##_set(name *_v, type _value)                      \
	{                                                                                                              \
		return fl_shm_value_set(&_v->value_, &_value, sizeof _value);                                          \
	}                                                                                                              \
	__attribute__((unused))                                                                                        \
	FL_MUST_CHECK static inline int name##_update(name *_v, int (*_change)(type * _value, void *_arg), void *_arg) \
	{                                                                                                              \
		int _rc;                                                                                               \
		do {                                                                                                   \
			type _value;                                                                                   \
			uint32_t _changes = fl_shm_value_get(&_v->value_, &_value, sizeof _value);                     \
			_rc = _change(&_value, _arg);                                                                  \
			if (_rc != 0)                                                                                  \
				return _rc;                                                                            \
			_rc = fl_shm_value_set_if(&_v->value_, _changes, &_value, sizeof _value);                      \
		} while (_rc == -EAGAIN);                                                                              \
		return _rc;                                                                                            \
	}

/* C++ cannot copy every type byte by byte. */
#ifdef __cplusplus
#define FL__SHM_VALUE_TYPE(type) static_assert(__is_trivially_copyable(type), #type " cannot be copied byte by byte");
#else
#define FL__SHM_VALUE_TYPE(type)
#endif

FL_END_DECLS

#endif
