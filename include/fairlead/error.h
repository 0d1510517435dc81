/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_ERROR_H
#define FAIRLEAD_ERROR_H

#include <fairlead/defs.h>

FL_BEGIN_DECLS

/*
 * Errors, panics, the log and the allocator of the process.
 *
 *     rc = count_primes_get(f, &n);
 *     if (rc == FL_ETASK)
 *             fprintf(stderr, "the task failed: %s\n", fl_future_message(f));
 *     else if (rc != 0)
 *             return fl_perror(rc, "count_primes_get");       // "count_primes_get: ECANCELED: ..."
 *
 * An error is a negative errno value or FL_ETASK. FL_ETASK means that the call itself succeeded,
 * but the task failed. So a call that timed out (-ETIMEDOUT) differs from a task that failed with
 * -ETIMEDOUT (FL_ETASK). fl_future_error() and fl_future_message() return the error of the task,
 * and fl_group_error() and fl_group_message() that of a group.
 *
 * When a call returns FL_ETASK, its thread remembers the failure until the next call that returns
 * FL_ETASK: the error, the message and, for a map or an iteration, the index of the argument. Some
 * calls pass on what a function of the program returned: fl_thread_join(), fl_fiber_join(),
 * fl_loop_run(). If they pass on FL_ETASK, the thread remembers nothing new.
 */
#define FL_ETASK (-5001)

/*
 * Returns the name of a result: "EPIPE" for -EPIPE, "FL_ETASK", "0". For an unknown result it
 * returns "E?". The string is static. The call is async-signal-safe.
 */
FL_API const char *fl_error_name(int rc);

/* Returns what a result means in this library, in English. The string is static. */
FL_API const char *fl_error_text(int rc);

/*
 * Prints `what`, the result `rc` and a newline to standard error, and returns EXIT_FAILURE. So
 * main() can end with `return fl_perror(rc, "executor");`. The call may block on standard error.
 * The line has one of these forms:
 *
 *     what: EPIPE: Closed or broken
 *     what: FL_ETASK: the task of argument 17 failed: EDOM: -3 is no length
 *     what: FL_ETASK: the task failed
 *
 * The second form shows the failure that the thread remembers. The third form is for an FL_ETASK of
 * which the thread remembers no failure. It is also for a fiber, when another fiber of the same
 * thread has replaced the remembered failure.
 */
FL_API int fl_perror(int rc, const char *what);

/*
 * A panic reports a bug of the caller that would corrupt data. It calls the panic handler, and then
 * ends the process.
 */
typedef struct fl_panic_info {
	const char *function; /* "fl_mutex_unlock" */
	const void *object;   /* the function's object, or NULL */
	const char *reason;   /* "not locked" */
} fl_panic_info;

/*
 * The type of a panic handler. When it returns, the process aborts. It may instead leave by
 * longjmp(): the object is then as it was before the call that panicked. That does not hold for a
 * panic about too many readers or references, about a read unlock too much, or about membarrier():
 * after it a lock of the library may stay locked.
 */
typedef void fl_panic_handler(const fl_panic_info *info);

/*
 * Sets the handler of later panics, and returns the handler before. NULL sets the default handler,
 * which prints a line such as "fairlead: fl_mutex_unlock(0x...): not locked" to standard error.
 */
FL_API fl_panic_handler *fl_panic_set_handler(fl_panic_handler *handler);

/*
 * The allocator of the library.
 *
 *     static const fl_allocator mine = { my_alloc, my_free, &arena };
 *     fl_allocator_set(&mine);
 *
 * Set the allocator before any other call of the library, because memory is freed by the allocator
 * that is set at the time of the free. All threads call the two functions, several at the same
 * time. The functions must not use the object whose call allocates. They may take locks of the
 * library, also while FL_DEBUG looks for deadlocks. A wait in them blocks the thread, even if the
 * caller is a fiber. So a lock that these functions share with fibers must be an fl_mutex, and a
 * fiber must not wait for anything else while it holds that mutex.
 */
typedef struct fl_allocator {
	void *(*alloc)(size_t size, void *user); /* aligned as by malloc(); NULL means out of memory */
	void (*free)(void *memory, void *user);  /* never called with NULL */
	void *user;
} fl_allocator;

/*
 * Replaces malloc() and free() by the functions of `*allocator`. NULL restores malloc() and free().
 * `*allocator` must stay valid. The call requires that no other thread calls the library at the
 * same time.
 */
FL_API void fl_allocator_set(const fl_allocator *allocator);

typedef enum fl_log_level { FL_LOG_ERROR, FL_LOG_WARNING, FL_LOG_INFO } fl_log_level;

/*
 * The type of a log handler. `message` is one line without a newline, and is valid during the call.
 * Any thread may call the handler, even in the middle of an unlock.
 *
 * The handler must not wait, with one exception, and must not call fl_shm_... functions. The
 * exception: it may lock an fl_mutex that only the handler locks. A report of FL_DEBUG comes from
 * the call that takes a lock, while the caller may hold other locks; that is why the handler must
 * not use the program's other locks. While the handler waits for its mutex, its thread is blocked,
 * even if the caller is a fiber.
 *
 * A message about a call that the handler itself makes goes to standard error. pthread_cancel() has
 * no effect while the handler runs.
 */
typedef void fl_log_handler(fl_log_level level, const char *message);

/*
 * Replaces the log handler, and returns the replaced handler. NULL restores the default handler,
 * which prints errors and warnings to standard error.
 */
FL_API fl_log_handler *fl_log_set_handler(fl_log_handler *handler);

/*
 * The type of a handler for the errors of fibers that no join returns. The loop's thread calls the
 * handler when a detached fiber fails, or when a member of a group fails after another member has
 * failed. If a group's error is still unreported when the group ends, fl_group_destroy() calls the
 * handler. -ECANCELED counts as an error unless the fiber was cancelled.
 */
typedef void fl_fiber_error_handler(const char *name, int error);

/*
 * Replaces the process's handler for the errors of fibers, and returns the replaced handler. NULL
 * restores the default handler, which logs the error.
 */
FL_API fl_fiber_error_handler *fl_fiber_set_error_handler(fl_fiber_error_handler *handler);

FL_END_DECLS

#endif
