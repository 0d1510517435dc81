/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_DEFS_H
#define FAIRLEAD_DEFS_H

#include <errno.h>
#include <limits.h> /* __GLIBC__ */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef _MSC_VER
#error "Fairlead needs gcc or clang with POSIX threads. On Windows that is mingw-w64 with winpthreads."
#endif

/*
 * The conventions of all headers, and the macros that all of them need.
 *
 *     int rc = fl_queue_put_until(q, &item, fl_after(FL_S(1)), NULL);
 *     if (rc != 0)                                    // 0, or a negative errno
 *             return fl_perror(rc, "put");            // "put: ETIMEDOUT: ..."
 *
 * These conventions hold unless the comment of a function says otherwise:
 *   Result            A function returns 0, or a negative errno. After an error nothing has
 *                     happened, and no callback will run. The exceptions are -EINPROGRESS ("Codes"
 *                     below), and calls that move many items, which may have moved some.
 *   Waiting           A function waits only where its comment says so, except for locks that are
 *                     held for a few instructions. "Blocks the calling context" means: the calling
 *                     fiber or, outside of fibers, the calling thread. If it can return -ECANCELED,
 *                     it observes the context's cancel scope (fairlead/cancel.h).
 *   Forms             fl_x_op(x) waits. fl_x_try_op(x) never waits: if it would have to, it changes
 *                     nothing and returns -EAGAIN. fl_x_op_until(x, deadline, cancel) gives up at
 *                     an absolute deadline (-ETIMEDOUT) or when a token is cancelled (-ECANCELED),
 *                     and then it has consumed no permit, item or wake. The all-zero deadline is
 *                     FL_FOREVER, in a call and in a config (fairlead/time.h). As the token, NULL
 *                     means the context's cancel scope, and FL_SHIELDED means none. Where there is
 *                     no try form, pass FL_NO_WAIT as the deadline, and expect -ETIMEDOUT. A call
 *                     that can succeed at once does so, even after its deadline or under a
 *                     cancelled token. One comment describes all forms.
 *   Threads           Any thread may call any function. An init and a free require that no other
 *                     context uses the object.
 *   Signals           A signal handler may call only these functions, which are async-signal-safe:
 *                     fl_now(), fl_after(), fl_time_add(), fl_time_diff(), fl_time_is_past(),
 *                     fl_error_name(), fl_version(), fl_sem_release_in_handler(), fl_debug_dump()
 *                     and fl_trace_write(). fl_sem_release_in_handler() wakes a thread or a fiber.
 *                     With fl_signals_wait() (fairlead/signals.h) you need no handler.
 *   Fork              An object is used only in the process that made it, except for objects in
 *                     shared memory (fl_shm_...) and what the headers of processes allow. A forked
 *                     child may call exec, end by _exit(), or use objects that it makes
 *                     (docs/in-your-process.md).
 *   pthread_cancel()  No function of the library is a cancellation point, and none may be cancelled
 *                     asynchronously. For tasks and callbacks that reach one see
 *                     docs/in-your-process.md.
 *   errno             Locks and waits preserve it.
 *   Names             Names at file scope begin with fl_ or FL_. A function of yours that the
 *                     library calls is a handler if it is set for a thread or the process, and
 *                     otherwise a callback.
 *   Counts            A call that moves many items stores how many it has moved in `*count`, also
 *                     after an error. A call that reads or receives returns how many bytes or
 *                     messages it has got, and an error only if it has got none.
 *   Types             A macro that takes a type, such as FL_TASK or FL_QUEUE_OF, takes a complete
 *                     type, spelled without commas and braces: `struct job`, not `struct { int a,
 *                     b; }`. The type must be trivially copyable in C++, and must not be an array
 *                     (put it into a struct), except for FL_SHM_ARRAY_OF, FL_SHM_AT and
 *                     FL_BYTES_EACH.
 *   Configs           Set the members of a struct fl_x_config that you need, and leave the others
 *                     zero, also `more_`, which is for later versions.
 *   Macros            Do not define a macro whose name is a keyword or a name of the C library,
 *                     begins with fl_, FL_, FAIRLEAD_ or an underscore, or ends with an underscore.
 *                     Nor may a macro without parameters have the name of a parameter or a member
 *                     in these headers, such as `size`.
 *   Arguments         The order is: what the function makes, or otherwise the object; inputs; where
 *                     results are stored; the deadline; the cancel token. `config`, and the handle
 *                     that fl_x_free() frees, may be NULL.
 *   Copies            Use an object only through the copy of the library that made it.
 *   Unload            Before a dlclose() of a shared object that contains the library, free, join
 *                     or stop all objects, and see docs/in-your-process.md.
 *   Destroy           A destroy function ends the life of a lock, condition, semaphore, event,
 *                     latch, barrier or timer, which no context may hold or wait for. It frees
 *                     nothing and cannot fail. While debugging is on (fairlead/debug.h), it panics
 *                     if a context holds the object or waits for it; in shared memory it only logs
 *                     a warning.
 *   Handles           A call that frees, joins or detaches a handle ends it, unless the call
 *                     returns an error. Ending a handle twice is a bug, which usually panics while
 *                     debugging is on (fairlead/debug.h).
 *   Cleanup           What FL_SCOPED, FL_LOCKED, FL_BLOCKING and similar macros declare ends with
 *                     its block, also at a return, break or goto, but not at a longjmp().
 *                     pthread_exit() and pthread_cancel() end it only with glibc, in C++ and in C
 *                     with -fexceptions.
 *   Misuse            A bug of the caller, such as NULL for an executor, panics if the library
 *                     detects it (fairlead/error.h).
 *
 * Codes
 *
 * Some codes mean the same everywhere. A code that stands before the list of a function means only
 * this, and the list gives further conditions:
 *   -EAGAIN        not now: a try form would have to wait, or the system has no thread, process or
 *                  rank for what the call starts
 *   -EBUSY         the object, or the part of it that the call needs, is in use, and the call does
 *                  not wait for it
 *   -EINPROGRESS   what was asked for, or what was to be cancelled, has begun, and is not finished
 *   -ECANCELED     the wait was cancelled
 *   -ETIMEDOUT     the deadline passed
 *   -EPIPE         the object of the call is closed
 *   -EOWNERDEAD    in a forked child: the executor is one of the parent's
 *   -ENOMEM        out of memory
 *   -EBADMSG       the memory of an object in shared memory is damaged
 *   -EMFILE        the process has too many descriptors
 *   -ENFILE        the system has too many descriptors
 *   -ENOSPC        the user's limit of watched descriptors is reached
 *   -ETOOMANYREFS  too many descriptors of this user were sent and not yet received (RLIMIT_NOFILE)
 *   -EFAULT        a bad address
 *   -ENOTSUP       the thread runs no loop; or the function waits on the loop that the thread runs,
 *                  and the caller is not a fiber
 *   -EINVAL        a stream, listener or socket belongs to another loop; or the function waits for
 *                  it, and the caller is not a fiber
 */

/*
 * A function of the library. A shared libfairlead exports it; a shared object with a static copy
 * hides it.
 */
#ifdef FL__SHARED
#define FL_API __attribute__((__visibility__("default")))
#else
#define FL_API
#endif
#define FL_MUST_CHECK __attribute__((__warn_unused_result__))

/* A function that its header defines. You may take its address. */
#define FL_INLINE static inline

/* A function that a macro makes, which a program need not call. */
#define FL__MADE_FN __attribute__((__unused__)) static inline

/*
 * FL_IGNORE(call) ignores the result of a call without a warning of the compiler.
 *
 *     FL_IGNORE(fl_future_cancel(f));
 */
#define FL_IGNORE(call) ((void)!(call))

#if defined __MINGW32__ && !defined __clang__
#define FL__PRINTF __gnu_printf__ /* gcc's __printf__ would be Microsoft's printf() there */
#else
#define FL__PRINTF __printf__
#endif
#define FL_PRINTF(text, first) __attribute__((__format__(FL__PRINTF, text, first)))

/* The fastest thread-local variables, which musl's dlopen() and the laboratory refuse. */
#if defined __GLIBC__ && !defined FL__LABORATORY
#define FL__INITIAL_EXEC __attribute__((__tls_model__("initial-exec")))
#else
#define FL__INITIAL_EXEC
#endif

#ifdef __cplusplus
#define FL_BEGIN_DECLS extern "C" {
#define FL_END_DECLS }
#define FL__ASSERT(condition, text) static_assert(condition, text)
/* Whether two types are the same, for types that are not converted to each other. */
#define FL__SAME(a, b) __is_assignable(__typeof__(a) &, b)
#define FL__COPYABLE(type) __is_trivially_copyable(type)
/* Casts in macros. In a template g++ does not warn of a useless cast. */
extern "C++" {
template <typename T, typename F>
constexpr T fl__cast(F _value)
{
	return static_cast<T>(_value);
}
template <typename T>
inline T fl__cast_pointer(void *_p)
{
	return static_cast<T>(_p);
}
template <typename T>
inline T fl__cast_const(const void *_p)
{
	return static_cast<T>(_p);
}
template <typename T>
inline T fl__cast_address(uintptr_t _n)
{
	return reinterpret_cast<T>(_n);
}
}
#define FL__CAST(type, n) fl__cast<type>(n)
#define FL__CAST_POINTER(type, p) fl__cast_pointer<type>(p)
#define FL__CAST_CONST(type, p) fl__cast_const<type>(p)
#define FL__CAST_ADDRESS(type, n) fl__cast_address<type>(n)
#else
#define FL_BEGIN_DECLS
#define FL_END_DECLS
#define FL__ASSERT(condition, text) __extension__ _Static_assert(condition, text)
#define FL__SAME(a, b) __builtin_types_compatible_p(a, b)
#define FL__COPYABLE(type) 1
#define FL__CAST(type, n) ((type)(n))
#define FL__CAST_POINTER(type, p) ((type)(void *)(p))
#define FL__CAST_CONST(type, p) ((type)(const void *)(p))
#define FL__CAST_ADDRESS(type, n) ((type)(uintptr_t)(n))
#endif
/* Declares an atomic member of 64 bits, which 32-bit x86 would align only to 4 bytes. */
#ifdef __i386__
#define FL__WORD64 __attribute__((__aligned__(8)))
#else
#define FL__WORD64
#endif

#define FL__ASSERT_SIZE(type, size) FL__ASSERT(sizeof(type) == (size), #type " has another size")

/*
 * If a macro cannot take a type, FL__NAMED() or, for values, FL__VALUE() makes the compiler's
 * errors begin with a sentence.
 */
#define FL__NAMED(type)                                                                                                \
	FL__ASSERT(sizeof(#type) > 1, "a type is missing here");                                                       \
	FL__ASSERT(__builtin_constant_p(0) ? !__builtin_strchr(#type, '{') : 0,                                        \
	           #type ": define the type before, and write its name here");
#define FL__VALUE(type)                                                                                                \
	FL__NAMED(type)                                                                                                \
	FL__ASSERT(sizeof(type) + 1 && FL__SAME(void (*)(__typeof__(type) _a, __typeof__(_a) *),                       \
	                                        void (*)(__typeof__(type), __typeof__(type) *)),                       \
	           #type " cannot be passed by value: put the array into a struct");                                   \
	FL__ASSERT(FL__COPYABLE(type), #type " cannot be copied byte by byte");

#define FL__JOIN_(a, b) a##b
#define FL__JOIN(a, b) FL__JOIN_(a, b)

/* A unique name that begins with `prefix`. With -Wpedantic, clang 22 warns of C2y's __COUNTER__. */
#ifdef __clang__
#if __has_warning("-Wc2y-extensions")
#define FL__UNIQUE(prefix)                                                                                             \
	_Pragma("clang diagnostic push") _Pragma("clang diagnostic ignored \"-Wc2y-extensions\"")                      \
	    FL__JOIN(prefix, __COUNTER__) _Pragma("clang diagnostic pop")
#endif
#endif
#ifndef FL__UNIQUE
#define FL__UNIQUE(prefix) FL__JOIN(prefix, __COUNTER__)
#endif

/*
 * FL_SCOPED(type) declares a variable that is freed or ended when its block is left.
 *
 *     FL_SCOPED(fl_executor) *pool = NULL;
 *
 * `type` has a free function in these headers, or is a typed queue, fl_cancel_token,
 * fl_cancel_callback, fl_group, fl_timeout or fl_timer. The variable must have an initializer,
 * which may be NULL for a handle, and must not be an array. "Cleanup" above says what ends the
 * block.
 */
#define FL_SCOPED(type) __attribute__((__cleanup__(fl__scoped_##type), __unused__)) type

/* Declares how FL_SCOPED() frees a handle. */
#define FL__SCOPED(type, free)                                                                                         \
	static inline void fl__scoped_##type(type **_handle)                                                           \
	{                                                                                                              \
		free(*_handle);                                                                                        \
	}

#endif
