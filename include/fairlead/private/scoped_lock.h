/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_SCOPED_LOCK_H
#define FAIRLEAD_SCOPED_LOCK_H

#include <fairlead/defs.h>
#include <fairlead/thread_safety.h>

/*
 * This header is private. It makes the declarations that lock until the end of a block.
 *
 * FL__SCOPED_LOCK() makes the struct of the variable, the function that locks, and the function
 * that unlocks. `acquire` is the attribute of the first function, in which `_lock` is the pointer
 * to the lock. FL__LOCK_SCOPE(name, lock) declares the variable. clang takes what the first
 * function acquires for held until the cleanup function releases the variable.
 */
#define FL__SCOPED_LOCKABLE FL__THREAD_SAFETY(__scoped_lockable__) FL_CAPABILITY("scope")
#define FL__SCOPED_LOCK(name, type, lock, unlock, acquire)                                                             \
	struct FL__SCOPED_LOCKABLE name {                                                                              \
		type *lock_;                                                                                           \
	};                                                                                                             \
	static inline FL_NO_THREAD_SAFETY_ANALYSIS struct name name##_begin(type *_lock) acquire                       \
	{                                                                                                              \
		const struct name _scope = {_lock};                                                                    \
		lock(_lock);                                                                                           \
		return _scope;                                                                                         \
	}                                                                                                              \
	static inline FL_NO_THREAD_SAFETY_ANALYSIS void name##_end(struct name *_scope) FL_RELEASE(*_scope)            \
	{                                                                                                              \
		unlock(_scope->lock_);                                                                                 \
	}
#define FL__LOCK_SCOPE(name, lock)                                                                                     \
	__attribute__((__cleanup__(name##_end), __unused__)) struct name FL__UNIQUE(name##_) = name##_begin(lock)

#endif
