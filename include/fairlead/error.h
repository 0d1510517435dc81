/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_ERROR_H
#define FAIRLEAD_ERROR_H

#include <fairlead/defs.h>
#include <stddef.h>

FL_BEGIN_DECLS

/*
 * Errors are negative errno values, and FL_ETASK: the call succeeded, but the task failed.
 * fl_future_error() and fl_future_message() return its error; fl_group_message() describes that of
 * a group. So a timeout of the call (-ETIMEDOUT) differs from a task that failed with -ETIMEDOUT
 * (FL_ETASK).
 *
 * When a call returns FL_ETASK, its thread remembers the failure, until the next such call: the
 * error, the message and, of a map or an iteration, the index of the argument. A call that passes
 * on what a function of the program returned, as fl_thread_join(), fl_fiber_join() and
 * fl_loop_run() do, is no such call.
 */
#define FL_ETASK (-5001)

/* The static name of a result: "EPIPE", "FL_ETASK", "0"; else "E?". Async-signal-safe. */
FL_API const char *fl_error_name(int rc);

/* Describes a result, in English: what this library means by it. The string is static. */
FL_API const char *fl_error_text(int rc);

/*
 * Prints a result and a newline to standard error: "what: EPIPE: Closed or broken". For FL_ETASK
 * prints the failure that the thread remembers: "what: FL_ETASK: the task of argument 17 failed:
 * EDOM: -3 is no length"; if another fiber has replaced it, "what: FL_ETASK: the task failed".
 * Returns EXIT_FAILURE, for `return fl_perror(rc, "executor");` in main(). May block on standard
 * error.
 */
FL_API int fl_perror(int rc, const char *what);

/* A panic calls a handler, then ends the process, after a caller's bug that would corrupt data. */
typedef struct fl_panic_info {
	const char *function; /* "fl_mutex_unlock" */
	const void *object;   /* the function's object, or NULL */
	const char *reason;   /* "not locked" */
} fl_panic_info;

/* When the handler returns, the process aborts. May leave by longjmp(): the object is as before. */
typedef void fl_panic_handler(const fl_panic_info *info);

/*
 * Sets the handler of later panics. NULL: the default, which prints "fairlead:
 * fl_mutex_unlock(0x...): not locked" to standard error. Returns the handler before.
 */
FL_API fl_panic_handler *fl_panic_set_handler(fl_panic_handler *handler);

/*
 * The allocator and the log handler of the process. Set the allocator before any other call: memory
 * is freed by the allocator that is set at the time of the free. All threads call its functions, at
 * the same time, and a free in a forked child calls them, too. The functions must not use the object
 * that allocates. They may take locks of the library, also while FL_DEBUG looks for deadlocks. A
 * wait in them blocks the thread, also in a fiber. So a lock that fibers also take elsewhere is an
 * fl_mutex, and a fiber that holds it does not wait.
 *
 *     static const fl_allocator mine = { my_alloc, my_free, &arena };
 *     fl_set_allocator(&mine);
 */
typedef struct fl_allocator {
	void *(*alloc)(size_t size, void *user); /* aligned as by malloc(); NULL: out of memory */
	void (*free)(void *memory, void *user);  /* never called with NULL */
	void *user;
} fl_allocator;

/*
 * Replaces malloc() and free(); NULL restores them. `allocator` must stay valid. No other thread
 * may call the library at the same time.
 */
FL_API void fl_set_allocator(const fl_allocator *allocator);

typedef enum fl_log_level { FL_LOG_ERROR, FL_LOG_WARNING, FL_LOG_INFO } fl_log_level;

/*
 * `message` is one line without a newline, valid during the call. Any thread may call the handler,
 * also in the middle of an unlock. It must not wait, nor call fl_shm_* functions. It may take an
 * fl_mutex that is held in the handler alone: a report of FL_DEBUG comes from the call that takes a
 * lock, while the caller holds others. While the handler waits for that mutex, its thread is
 * blocked, also in a fiber. A message about a call that the handler makes goes to standard error.
 * pthread_cancel() does not act in the handler.
 */
typedef void fl_log_handler(fl_log_level level, const char *message);

/*
 * Replaces the log handler; NULL restores the default, which prints errors and warnings to standard
 * error. Returns the replaced handler.
 */
FL_API fl_log_handler *fl_log_set_handler(fl_log_handler *handler);

/*
 * Receives the errors of fibers that no join returns. The loop's thread calls the handler if the
 * fiber was detached, or another member of its group has failed before; else fl_group_destroy().
 * -ECANCELED is an error unless the fiber was cancelled.
 */
typedef void fl_fiber_error_handler(const char *name, int error);

/* Replaces the process's error handler, and returns it. NULL: the default, which logs. */
FL_API fl_fiber_error_handler *fl_fiber_set_error_handler(fl_fiber_error_handler *handler);

FL_END_DECLS

#endif
