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
 * An error is a negative errno value or FL_ETASK. FL_ETASK means that the call succeeded, but the
 * task failed, so that you can tell a call that timed out from a task that failed with -ETIMEDOUT.
 * fl_future_error() or fl_group_error() returns the task's error.
 */
#define FL_ETASK (-5001)

/*
 * Returns the name of a result: "EPIPE" for -EPIPE, "FL_ETASK", "0", or "E?" if unknown.
 * Async-signal-safe.
 */
FL_API const char *fl_error_name(int rc);

/* Returns what a result means in this library, in English. */
FL_API const char *fl_error_text(int rc);

/*
 * Prints `what` and `rc` as a line on standard error, on which it may block. Returns EXIT_FAILURE.
 *
 * The line has one of these forms:
 *
 *     what: EPIPE: Closed or broken
 *     what: FL_ETASK: the task of argument 17 failed: EDOM: -3 is no length
 *     what: FL_ETASK: the task failed
 *
 * The second form shows the failure of the thread's last call that returned FL_ETASK, except
 * fl_thread_join(), fl_fiber_join() and fl_loop_run(). The third is used if there was none, or if
 * another fiber of the thread has had one since.
 */
FL_API int fl_perror(int rc, const char *what);

/* A panic reports a bug of the caller: it calls the panic handler, and then ends the process. */
typedef struct fl_panic_info {
	const char *function; /* "fl_mutex_unlock" */
	const void *object;   /* the function's object, or NULL */
	const char *reason;   /* "not locked" */
} fl_panic_info;

/*
 * The type of a panic handler. When it returns, the process aborts. If it leaves by longjmp()
 * instead, as tests do, the object is as it was before the call, but a lock of the library may stay
 * locked.
 */
typedef void fl_panic_handler(const fl_panic_info *info);

/*
 * Sets the handler of panics, and returns the previous one. NULL restores the default, which prints
 * a line such as "fairlead: fl_mutex_unlock(0x...): not locked" to standard error.
 */
FL_API fl_panic_handler *fl_panic_set_handler(fl_panic_handler *handler);

/*
 * The allocator of the library.
 *
 *     static const fl_allocator mine = { my_alloc, my_free, &arena };
 *     fl_allocator_set(&mine);
 *
 * All threads call the two functions, several at the same time. The functions may take locks of the
 * library, but must not use the object whose call allocates. A wait in them blocks the thread, even
 * in a fiber. So a lock that they share with fibers must be an fl_mutex, and a fiber must not wait
 * for anything else while it holds that mutex.
 */
typedef struct fl_allocator {
	void *(*alloc)(size_t size, void *user); /* aligned as by malloc(); NULL means out of memory */
	void (*free)(void *memory, void *user);  /* never called with NULL */
	void *user;
} fl_allocator;

/*
 * Makes the library use `*allocator`, which must stay valid, or malloc() and free() for NULL. Call
 * it before any other function of the library, because each free uses the allocator that is set at
 * that time.
 */
FL_API void fl_allocator_set(const fl_allocator *allocator);

typedef enum fl_log_level { FL_LOG_ERROR, FL_LOG_WARNING, FL_LOG_INFO } fl_log_level;

/*
 * The type of a log handler. `message` is one line without a newline, valid during the call.
 *
 * Any thread may call the handler, even in the middle of an unlock or, with FL_DEBUG, while it
 * holds locks of yours. So the handler must not wait or call fl_shm_... functions, but may lock an
 * fl_mutex that only the handler locks. A message about a call that the handler itself makes goes
 * to standard error.
 */
typedef void fl_log_handler(fl_log_level level, const char *message);

/*
 * Sets the log handler, and returns the previous one. NULL restores the default, which prints
 * errors and warnings to standard error.
 */
FL_API fl_log_handler *fl_log_set_handler(fl_log_handler *handler);

/*
 * The type of a handler for the errors of fibers that no join returns. The loop's thread calls it
 * when a detached fiber fails, or when a member of a group fails after another one; and
 * fl_group_destroy(), for an error that no join has returned. -ECANCELED counts as an error unless
 * the fiber was cancelled.
 */
typedef void fl_fiber_error_handler(const char *name, int error);

/*
 * Sets the process's handler for the errors of fibers, and returns the previous one. NULL restores
 * the default, which logs the error.
 */
FL_API fl_fiber_error_handler *fl_fiber_set_error_handler(fl_fiber_error_handler *handler);

FL_END_DECLS

#endif
