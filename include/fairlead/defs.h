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
 *                     happened, and no callback will run. There is one exception: after
 *                     -EINPROGRESS, what was asked for may have begun, and is not finished. A call
 *                     that puts or sends many items stores how many it has moved, also after an
 *                     error. "Codes" has the list of codes.
 *   Waiting           A function waits only where its comment says so. A lock that is held for a
 *                     few instructions does not count as a wait. "Blocks the calling context"
 *                     means: the function suspends the calling fiber or, outside of fibers, the
 *                     calling thread. If the function can return -ECANCELED, its wait observes the
 *                     context's cancel scope. Two helper threads of the library may be started for
 *                     a wait (docs/in-your-process.md). `watcher` serves a thread that waits under
 *                     a cancel token or for several objects, if it waits for a descriptor, a pipe,
 *                     a process or a signal. `bridge` serves waits for objects in shared memory: by
 *                     a fiber, under a cancel token, or for several objects.
 *   Forms             fl_x_op(x) waits, and fl_x_try_op(x) does not. fl_x_op_until(x, deadline,
 *                     cancel) waits until an absolute deadline (-ETIMEDOUT) or until a cancel token
 *                     is requested (-ECANCELED). The all-zero deadline is FL_FOREVER, in a call and
 *                     in a config (fairlead/time.h). The comment of fl_x_op() describes the
 *                     other forms, too, unless they have comments of their own. A try form returns
 *                     -EAGAIN if it would have to wait, and then it has changed nothing. Where there
 *                     is no try form, fl_x_op_until() with FL_NO_WAIT does the same, and returns
 *                     -ETIMEDOUT. After a timeout or a cancel, no permit, item or wake was consumed.
 *                     A call that can succeed at once does so, even after its deadline or under a
 *                     requested token.
 *   Threads           Every function may be called from any thread. An init and a free require that
 *                     no other context uses the object.
 *   Signals           No function may be called from a signal handler, unless its comment says that
 *                     it is async-signal-safe. These functions are: fl_now(), fl_after(),
 *                     fl_time_add(), fl_time_diff(), fl_time_is_past(), fl_error_name(),
 *                     fl_version(), fl_sem_release_in_handler(), fl_debug_dump() and
 *                     fl_trace_write(). A handler that wakes a thread or a fiber releases a
 *                     semaphore by fl_sem_release_in_handler(). To need no handler at all, wait for
 *                     signals by fl_signals_wait() (fairlead/signals.h).
 *   Fork              A forked child may call exec, end by _exit(), or use the library anew, with
 *                     objects that it makes itself; it must not use an object of its parent, except
 *                     objects in shared memory (fl_shm_...) and what the headers of processes
 *                     allow (docs/in-your-process.md).
 *   Processes         An object is used only in the process that made it. Objects in shared memory
 *                     (fl_shm_...) are the exception.
 *   pthread_cancel()  No function of the library is a cancellation point: a request stays pending
 *                     until the thread calls another function that is one. A function of the
 *                     program that the library calls may reach a cancellation point. The request
 *                     then ends the thread there; docs/in-your-process.md says what becomes of a
 *                     task, a fiber and each callback. A thread must not be cancelled
 *                     asynchronously while it is inside a function of the library. A process that
 *                     is forked from a thread (FL_PROCESS_FORK, fl_process_preload()) inherits the
 *                     pending request.
 *   errno             Locks and waits preserve it.
 *   Names             Every name at file scope begins with fl_ or FL_, except include guards
 *                     (FAIRLEAD_). Parameters and variables of inline functions, and of functions
 *                     that a macro makes, begin with an underscore. A getter is named after its
 *                     result, without get_. The name of a predicate contains is_. A function of
 *                     the program that the library calls is named a handler if it is set for a
 *                     thread or the process, and otherwise a callback.
 *   Getters           A getter takes a const pointer if it changes nothing that a caller could see.
 *   Counts            size_t counts what lies in memory: bytes, items, tasks, elements of an array.
 *                     unsigned counts what the system limits: workers, descriptors, messages of one
 *                     call. uint32_t is a count inside of an object of fixed size: permits,
 *                     parties. A call that puts, gets or sends many items stores how many it has
 *                     moved in `*count`, also after an error. A call that reads or receives returns
 *                     how many bytes or messages it has got, as read() does, since it returns an
 *                     error only if it has got none.
 *   Types             A macro that takes a type, such as FL_TASK or FL_QUEUE_OF, takes a complete
 *                     type that was declared before. The type is spelled without commas and braces:
 *                     `struct job`, not `struct { int a, b; }`. Values are copied byte by byte, so
 *                     in C++ the type must be trivially copyable. Values are also passed to
 *                     functions, so the type must not be an array; put the array into a struct.
 *                     FL_SHM_ARRAY_OF, FL_SHM_AT and FL_BYTES_EACH copy nothing, so they take
 *                     arrays, too.
 *   Configs           The members of a struct fl_x_config are zero, except those that the program
 *                     names. Members `more_` must be zero: a later version of the shared library
 *                     may use them, and finds zero there in programs that were compiled before.
 *   Macros            A program may define macros before or after it includes these headers,
 *                     because the headers spell attributes and built-in functions with underscores.
 *                     Five kinds of names are not free: keywords; names of the C library; names
 *                     that begin with fl_, FL_, FAIRLEAD_ or an underscore; names that end with an
 *                     underscore; and the names of parameters and members in these headers, such as
 *                     `name`, `size`, `state` or `max`. A macro with parameters, such as `max(a,
 *                     b)`, may have a name of the last kind, because in these headers no
 *                     parenthesis follows the name.
 *   Arguments         The order of arguments is: what the function makes, or else the object;
 *                     inputs; where results are stored; the deadline; the cancel token. The
 *                     `config` of a call may be NULL, and so may the handle that fl_x_free() frees.
 *   Copies            An object is used only through the copy of the library that made it.
 *   Unload            A dlclose() of a shared object that contains the library ends the helper
 *                     threads and the fork server of this copy (docs/in-your-process.md). It
 *                     requires that all objects are freed, joined or stopped, that no thread is
 *                     inside the shared object, and that no thread that has called the library is
 *                     just ending.
 *   Destroy           The destroy function of a lock, condition, semaphore, event, latch, barrier
 *                     or timer ends the life of an object that no context uses. The object owns
 *                     nothing, so the function frees nothing and cannot fail. Without debugging it
 *                     checks nothing. While debugging is on (fairlead/debug.h), it panics if a
 *                     context holds the object or waits for it, and names one holder and one waiter
 *                     as far as debugging knows them. For an object in shared memory debugging logs
 *                     a warning instead of the panic, for two reasons: a process that was killed
 *                     may still count as a waiter, and a process that runs wild may have written
 *                     any value.
 *   Handles           A call that frees, joins or detaches a handle ends it, unless the call
 *                     returns an error. A second end of a handle is a bug. While debugging is on
 *                     (fairlead/debug.h), the second call panics, except if thousands of other
 *                     handles have ended since, or if a new object has the address. For a future,
 *                     a thread or a fiber it often panics without debugging, too.
 *   Misuse            A detected bug of the caller panics (fairlead/error.h).
 *
 * Codes
 *
 * Some codes mean the same everywhere. The list of a function gives a further condition of such a
 * code if there is one:
 *   -EAGAIN        not now: a try form returns it where the form that waits would wait; a function
 *                  that starts something returns it if the system has no thread, process or rank
 *                  for it now
 *   -EBUSY         in use: the object, or the part of it that the call needs, is in use, and no
 *                  form of the call waits for the end of that use
 *   -EINPROGRESS   begun: what was asked for has begun, and is not finished; a cancel returns it if
 *                  what was to be cancelled has begun, and is not finished
 *   -ECANCELED     the wait was cancelled
 *   -ETIMEDOUT     the deadline passed
 *   -EPIPE         the object of the call is closed
 *   -EOWNERDEAD    in a forked child: the executor is one of the parent's
 *   -ENOMEM        out of memory
 *   -EMFILE        the process has too many descriptors
 *   -ENFILE        the system has too many descriptors
 *   -ENOSPC        the user's limit of watched descriptors is reached
 *   -ETOOMANYREFS  too many descriptors of this user were sent and not yet received (RLIMIT_NOFILE)
 *   -EFAULT        a bad address
 *   -ENOTSUP       of functions of a loop: the thread runs no loop, or the caller of a function
 *                  that waits is no fiber
 *   -EINVAL        of functions of a loop: the object belongs to another loop, or the caller is no
 *                  fiber
 */

/*
 * A function of the library. Only a shared libfairlead exports these functions. A static copy is
 * compiled with -fvisibility=hidden. So if it is linked into another shared object, its functions
 * are hidden there, and that shared object uses its own copy.
 */
#ifdef FL__SHARED
#define FL_API __attribute__((__visibility__("default")))
#else
#define FL_API
#endif
#define FL_MUST_CHECK __attribute__((__warn_unused_result__))

/* A function that its header defines. A program may take its address. */
#define FL_INLINE static inline

/* A function that a macro makes: a program need not call it. */
#define FL__MADE_FN __attribute__((__unused__)) static inline

/*
 * FL_IGNORE(call) makes a call and ignores its result, which the compiler would otherwise warn
 * about.
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

/*
 * The fastest model for thread-local variables. It is not used with musl, whose dlopen() refuses
 * it, nor in the laboratory, which is the model checker of this project.
 */
#if defined __GLIBC__ && !defined FL__LABORATORY
#define FL__INITIAL_EXEC __attribute__((__tls_model__("initial-exec")))
#else
#define FL__INITIAL_EXEC
#endif

#ifdef __cplusplus
#define FL_BEGIN_DECLS extern "C" {
#define FL_END_DECLS }
#define FL__ASSERT(condition, text) static_assert(condition, text)
/*
 * Says whether two types are the same. It is used only for types that are not converted to each
 * other, such as types of pointers to functions: a value of one is assignable to a variable of the
 * other only if they are the same. The compilers' __is_same is newer.
 */
#define FL__SAME(a, b) __is_assignable(__typeof__(a) &, b)
#define FL__COPYABLE(type) __is_trivially_copyable(type)
/*
 * Casts of macros, which stand in the user's file. g++ warns there of a cast to the type that a
 * value has already, except in a template.
 */
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
/*
 * Declares a member of 64 bits that atomic operations access. 32-bit x86 aligns an uint64_t in a
 * struct to 4 bytes only, so it could lie in two cache lines. There a load is not atomic, and a
 * locked instruction stops all CPUs.
 */
#ifdef __i386__
#define FL__WORD64 __attribute__((__aligned__(8)))
#else
#define FL__WORD64
#endif

#define FL__ASSERT_SIZE(type, size) FL__ASSERT(sizeof(type) == (size), #type " has another size")

/*
 * A macro that makes declarations for a type uses FL__NAMED() first, so that a sentence begins the
 * compiler's errors for a type that it cannot take. FL__VALUE() does the same where values of the
 * type are passed. It compares types of functions, in which a parameter of an array type becomes a
 * pointer.
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
 * `type` is the name of a type of these headers that has a free function, of a typed queue, or of
 * one of five structs: fl_cancel_token, fl_cancel_callback, fl_group, fl_timeout and fl_timer. The
 * headers of the five structs say how the end of the block ends the variable. The variable must
 * have an initializer, which for a handle may be NULL. It must not be an array. A longjmp() out of
 * the block does not free it. Neither does a pthread_exit() or a pthread_cancel() in the block,
 * except where the C library unwinds the stack: glibc does so, and frees the variable if the block
 * is C++, or C that was compiled with -fexceptions.
 */
#define FL_SCOPED(type) __attribute__((__cleanup__(fl__scoped_##type), __unused__)) type

/* Declares how FL_SCOPED() frees a handle. */
#define FL__SCOPED(type, free)                                                                                         \
	static inline void fl__scoped_##type(type **_handle)                                                           \
	{                                                                                                              \
		free(*_handle);                                                                                        \
	}

#endif
