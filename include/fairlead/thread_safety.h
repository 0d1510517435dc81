/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_THREAD_SAFETY_H
#define FAIRLEAD_THREAD_SAFETY_H

/*
 * Attributes by which clang checks, at compile time, that data are used only under their lock.
 *
 *     static fl_mutex lock = FL_MUTEX_INIT;
 *     static long balance FL_GUARDED_BY(lock);
 *
 *     static void add(long amount) FL_REQUIRES(lock);
 *
 * The locks of these headers carry the attributes already. `clang -Wthread-safety` reports a use of
 * `balance` or a call of add() without `lock`, a return that leaves `lock` locked, and other errors
 * (docs/guide/checked-locks.md).
 *
 * The attributes change no code, and are empty before clang 19 and with other compilers. To switch
 * them off, define FL_THREAD_SAFETY as 0 for the whole program.
 *
 * An argument is a lock, not its address: `lock`, or `*lock` if `lock` is a pointer. The attributes
 * of a function may name its parameters, as in FL_REQUIRES(a->lock), and take several locks.
 */
#ifndef FL_THREAD_SAFETY
#if defined __clang__ && __clang_major__ >= 19
#define FL_THREAD_SAFETY 1
#else
#define FL_THREAD_SAFETY 0
#endif
#endif

#if FL_THREAD_SAFETY
#define FL__THREAD_SAFETY(attribute) __attribute__((attribute))
#else
#define FL__THREAD_SAFETY(attribute)
#endif

/*
 * In C, clang before 23 cannot find the lock of a guarded member, so the lock's address stands for
 * that lock in any struct of the type. So clang reports less, but nothing wrong.
 */
#if FL_THREAD_SAFETY && !defined __cplusplus && __clang_major__ < 23
#define FL__LOCK_OF_DATA(lock) &lock
#else
#define FL__LOCK_OF_DATA(lock) lock
#endif

/*
 * Stand after the declarator of a variable or a member. `lock` guards the variable or, with
 * FL_PT_GUARDED_BY, what the pointer points to. Reads need the lock in any mode, writes for
 * writing. In C, declare a lock in the same struct before the member.
 *
 *     struct account {
 *             fl_mutex lock;
 *             long balance FL_GUARDED_BY(lock);
 *             char *owner FL_PT_GUARDED_BY(lock);
 *     };
 */
#define FL_GUARDED_BY(lock) FL__THREAD_SAFETY(__guarded_by__(FL__LOCK_OF_DATA(lock)))
#define FL_PT_GUARDED_BY(lock) FL__THREAD_SAFETY(__pt_guarded_by__(FL__LOCK_OF_DATA(lock)))

/*
 * Stand after the declaration of a function. Its caller must hold the locks, for writing or
 * (FL_REQUIRES_SHARED) in any mode. With FL_EXCLUDES it must not hold them, because the function
 * locks them.
 */
#define FL_REQUIRES(...) FL__THREAD_SAFETY(__requires_capability__(__VA_ARGS__))
#define FL_REQUIRES_SHARED(...) FL__THREAD_SAFETY(__requires_shared_capability__(__VA_ARGS__))
#define FL_EXCLUDES(...) FL__THREAD_SAFETY(__locks_excluded__(__VA_ARGS__))

/*
 * Stand after the declaration of a function that returns with the locks held, or unlocks them. The
 * first argument of FL_TRY_ACQUIRE(0, lock) is the result that means "locked": 0, false or true.
 * Compare the result of such a function only with 0.
 */
#define FL_ACQUIRE(...) FL__THREAD_SAFETY(__acquire_capability__(__VA_ARGS__))
#define FL_ACQUIRE_SHARED(...) FL__THREAD_SAFETY(__acquire_shared_capability__(__VA_ARGS__))
#define FL_TRY_ACQUIRE(...) FL__THREAD_SAFETY(__try_acquire_capability__(__VA_ARGS__))
#define FL_TRY_ACQUIRE_SHARED(...) FL__THREAD_SAFETY(__try_acquire_shared_capability__(__VA_ARGS__))
#define FL_RELEASE(...) FL__THREAD_SAFETY(__release_capability__(__VA_ARGS__))
#define FL_RELEASE_SHARED(...) FL__THREAD_SAFETY(__release_shared_capability__(__VA_ARGS__))

/*
 * Stand after the declaration of a function that panics unless the caller holds the lock, for
 * writing or for reading.
 */
#define FL_ASSERT_HELD(lock) FL__THREAD_SAFETY(__assert_capability__(lock))
#define FL_ASSERT_HELD_SHARED(lock) FL__THREAD_SAFETY(__assert_shared_capability__(lock))

/* `struct FL_CAPABILITY("mutex") my_lock { ... };` makes a struct of your own a lock. */
#define FL_CAPABILITY(name) FL__THREAD_SAFETY(__capability__(name))

/*
 * Stands before a function that clang is not to check, for example because it fills in a new
 * object. The attributes of the function still hold for its callers.
 */
#define FL_NO_THREAD_SAFETY_ANALYSIS FL__THREAD_SAFETY(__no_thread_safety_analysis__)

#endif
