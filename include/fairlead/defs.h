/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_DEFS_H
#define FAIRLEAD_DEFS_H

/*
 * What every other header needs: visibility, warn-unused results, scopes.
 *
 * Conventions that hold for every function of the library, unless its own
 * comment says otherwise:
 *
 *   Result         0, or a negative errno. An error means that nothing happened and that no callback will run.
 *   Three forms    fl_x_op(x) waits; fl_x_try_op(x) never waits; fl_x_op_until(x, deadline, cancel) waits until an absolute
 *                  deadline (-ETIMEDOUT) or a cancel token (-ECANCELED). A timeout or a cancel means that the operation
 *                  did not happen: no permit, item or wake was consumed. What can be done at once is done, even when
 *                  the deadline has passed or the token was requested before the call.
 *   Threads        every function may be called from any thread.
 *   Signals        no function may be called from a signal handler.
 *   Fork           after fork() the child has only the forking thread: waiters of other threads are forgotten, locks
 *                  that they held stay held, cancel tokens that they were making, requesting or destroying must not be used,
 *                  nor others of the same tree. Executors answer -EOWNERDEAD; what was to run there
 *                  never ends in the child, and a wait for it answers -EOWNERDEAD, too:
 *                  fairlead/future.h. From what an executor calls the child must not return:
 *                  fairlead/task_type.h.
 *   Processes      objects belong to the process that made them; in memory that processes share, those alone work whose
 *                  names begin with fl_shm_.
 *   pthread_cancel no function that waits is a cancellation point (those that read files or print are); a thread must not
 *                  be cancelled asynchronously inside one.
 *   errno          locks and waits leave it as it is.
 *   Names          what the headers declare at file scope begins with fl_ or FL_. Parameters and
 *                  variables of inline functions, and of the functions that macros make, begin with
 *                  an underscore, which C reserves at file scope: they hide no name of the program,
 *                  so -Wshadow does not warn of them.
 *                  A getter has the name of what it returns, without get_. get_ stands where a type
 *                  has that name: fl_future_get_state(), fl_executor_get_stats(). A predicate begins
 *                  with is_. A function of the program that the library calls is a handler when it is
 *                  set for a process or a thread, else a callback.
 *   Arguments      What a function makes comes first. Otherwise the object comes first, and what the
 *                  function stores comes last, before the deadline and the cancel token.
 *   Copies         an object is used only through the copy of the library that made it.
 *   Unload         dlclose() of a shared object that has a copy of the library ends the threads and
 *                  processes that this copy has started for all its users (docs/threads.md). Requires
 *                  that all objects are freed, joined or stopped, and that no thread is inside the
 *                  shared object, or is just ending after it has called it.
 *   Misuse         a bug of the caller that can be seen panics: see fairlead/panic.h.
 */

/*
 * Exported from a shared library alone. In a static one the interface is hidden, so that two shared objects that each carry
 * a copy of Fairlead do not bind to each other's.
 */
#ifdef FL__SHARED
#define FL_API __attribute__((visibility("default")))
#else
#define FL_API
#endif
#define FL_MUST_CHECK __attribute__((warn_unused_result))

/*
 * A function whose definition is at the end of its header, made of other functions: most plain forms
 * are the _until form with FL_FOREVER. It is in no library; a program may take its address.
 */
#define FL_INLINE static inline

/*
 * FL_IGNORE(fl_mutex_destroy(&m));
 *
 * Makes the call, and ignores its result on purpose: gcc does not accept a cast to void for a result
 * that must be used.
 */
#define FL_IGNORE(call) ((void)!(call))

#define FL_PRINTF(text, first) __attribute__((format(printf, text, first)))

#ifdef __cplusplus
#define FL_BEGIN_DECLS extern "C" {
#define FL_END_DECLS }
#define FL__ASSERT_SIZE(type, size) static_assert(sizeof(type) == (size), #type " has another size")
#else
#define FL_BEGIN_DECLS
#define FL_END_DECLS
#define FL__ASSERT_SIZE(type, size) __extension__ _Static_assert(sizeof(type) == (size), #type " has another size")
#endif

#define FL__JOIN_(a, b) a##b
#define FL__JOIN(a, b) FL__JOIN_(a, b)

/*
 * FL_SCOPED(fl_executor) *pool = NULL;
 *
 * Declares a variable that is freed when its block ends, by whatever way: the end, break, return, goto. Give it a value
 * in its declaration (NULL is fine). longjmp and pthread_exit out of the block do not free it.
 */
#define FL_SCOPED(type) __attribute__((cleanup(fl__scoped_##type), unused)) type

#endif
