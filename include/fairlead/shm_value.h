/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_SHM_VALUE_H
#define FAIRLEAD_SHM_VALUE_H

#include <errno.h>
#include <fairlead/defs.h>
#include <stddef.h>
#include <stdint.h>

FL_BEGIN_DECLS

/*
 * Value: one value of any type in shared memory, which changes as a whole. Whoever is killed while it changes it has
 * changed it, or has not: nobody ever sees half of each.
 *
 *     FL_SHM_VALUE_OF(struct totals, shared_totals)           // at file scope; C and C++
 *
 *     shared_totals *t = FL_SHM_AT(region, shared_totals, offset);    // or a field of your struct; all-zero is valid
 *     struct totals now = shared_totals_get(t);
 *     rc = shared_totals_set(t, now);                                 // check
 *     rc = shared_totals_update(t, add_one, arg);                     // int add_one(struct totals *, void *); check
 *
 * There are two copies and a count of the changes, whose lowest bit says which of the two is the value. A get waits for
 * nobody: it copies, and copies again when somebody has changed the value meanwhile. An update calls the function with
 * a copy, under no lock, and stores it unless somebody was faster: then it calls the function again, with what is there
 * by then. So the function may take its time and may be killed; it must do nothing that cannot be done twice. It
 * returns 0, or anything else to leave the value alone; then the update returns that.
 *
 * The type is copied byte by byte: no pointers in it. Processes: may be killed at any time; those that share one are in
 * one PID namespace. Fork: a child shares what its parent shares. Memory order: a get sees what was written before the
 * set of its value.
 */
typedef struct fl_shm_value {
	uint64_t lock_[5];
	uint32_t changes_;
	uint32_t unused_;
} fl_shm_value;
FL__ASSERT_SIZE(fl_shm_value, 48);

/*
 * Copies the value to `*value`. `v` is followed by two copies of `size` bytes, each rounded up to 8: FL_SHM_VALUE_OF
 * sees to that, in all functions here. Returns the count of changes, for fl_shm_value_set_if. Never waits, but copies
 * again after each change that comes meanwhile. May be used in a region that is read-only here.
 */
FL_API uint32_t fl_shm_value_get(const fl_shm_value *v, void *value, size_t size);

/*
 * Sets the value. Waits for others that set it at the same time, which takes them a copy each. Returns 0; -ETIMEDOUT:
 * one of them has not been done for ten seconds: it is stopped (SIGSTOP), or the memory is damaged; -EBADMSG: the
 * memory is damaged. On an error the value is as before.
 */
FL_API FL_MUST_CHECK int fl_shm_value_set(fl_shm_value *v, const void *value, size_t size);

/* The same, unless the value has changed since a get returned `changes`: then -EAGAIN. Else 0, -ETIMEDOUT, -EBADMSG. */
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

/* C++ does not copy every type byte by byte. */
#ifdef __cplusplus
#define FL__SHM_VALUE_TYPE(type) static_assert(__is_trivially_copyable(type), #type " cannot be copied byte by byte");
#else
#define FL__SHM_VALUE_TYPE(type)
#endif

FL_END_DECLS

#endif
