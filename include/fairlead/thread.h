/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_THREAD_H
#define FAIRLEAD_THREAD_H

#include <errno.h>
#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/time.h>
#include <fairlead/wait_any.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

FL_BEGIN_DECLS

/*
 * Threads: a function that runs beside the caller and returns 0 or an error.
 *
 *     static int download(void *file) { ... return 0; }
 *
 *     fl_thread *t;
 *     rc = fl_thread_start(&t, download, &file, &(fl_thread_config){ .name = "download" });
 *     rc = fl_thread_join_until(t, &result, fl_after(FL_S(10)), NULL);
 *
 * Every started thread must be joined or detached, once: that frees the handle. One context at a
 * time uses a handle.
 */
typedef int fl_thread_function(void *arg);

typedef struct fl_thread fl_thread;

typedef struct fl_thread_config {
	const char *name; /* copied, 31 characters, 15 for debuggers; NULL: "thread-N" */
	/* In bytes, raised to the system's minimum. 0: the default of glibc; elsewhere 1 MiB. */
	size_t stack_size;
	/*
	 * Start with all signals blocked, but SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS.
	 * False: inherit the caller's mask.
	 */
	bool block_signals;
	uintptr_t more_[4];
} fl_thread_config;

/*
 * Starts a thread that runs `function(arg)`. Memory order: it sees what the caller wrote before.
 * Returns 0, -ENOMEM, or:
 *   -EAGAIN  the system has no more threads, or no memory for the stack; or a sandbox refuses
 *            clone3() by EPERM, so that the C library does not try clone()
 *   -EINVAL  the system refuses the stack size
 */
FL_API FL_MUST_CHECK int fl_thread_start(fl_thread **t, fl_thread_function *function, void *arg,
                                         const fl_thread_config *config);

/*
 * Waits until the function has ended, stores its result in `*result` (may be NULL), and frees the
 * handle. Then waits for the destructors of the thread's thread-specific data, whatever the
 * deadline. Blocks the calling context. A function that left by pthread_exit() or pthread_cancel()
 * has the result -ECANCELED. Returns 0, or:
 *   -ECANCELED   cancelled; the thread can be joined again, as after -ETIMEDOUT
 *   -EDEADLK     the caller is the thread itself
 *   -EOWNERDEAD  in a forked child, which has no copy of the running thread
 */
FL_API FL_MUST_CHECK int fl_thread_join_until(fl_thread *t, int *result, fl_time deadline, fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_thread_join(fl_thread *_t, int *_result)
{
	return fl_thread_join_until(_t, _result, FL_FOREVER, NULL);
}

/* As fl_thread_join(). Never waits: returns -EAGAIN while the function runs. */
FL_INLINE FL_MUST_CHECK int fl_thread_try_join(fl_thread *_t, int *_result)
{
	const int _rc = fl_thread_join_until(_t, _result, FL_NO_WAIT, FL_SHIELDED);
	return _rc == -ETIMEDOUT ? -EAGAIN : _rc;
}

/* Frees the handle; the thread runs on. */
FL_API void fl_thread_detach(fl_thread *t);

/* Whether the function of the thread still runs. */
FL_API bool fl_thread_is_alive(const fl_thread *t);

/* The id, which fl_thread_current_id() returns in that thread: never 0, never used twice. */
FL_API uint64_t fl_thread_id(const fl_thread *t);

/* The id of the calling context. Never 0. */
FL_API uint64_t fl_thread_current_id(void);

/*
 * The calling context's name: as started; "main"; "foreign": not started by the library, or its
 * function and the destructors of its locals have ended.
 */
FL_API const char *fl_thread_current_name(void);

typedef struct fl_thread_info {
	uint64_t id;
	const char *name; /* valid during the visit */
	bool alive;       /* its function still runs */
} fl_thread_info;

/*
 * Calls `visit`, if not NULL, for each thread of fl_thread_start() that is alive or joinable,
 * oldest first; returns their number. `visit` must not start, join or detach threads, nor fork.
 */
FL_API size_t fl_thread_enumerate(void (*visit)(const fl_thread_info *info, void *arg), void *arg);

/* Called on a thread after its function returned an error, before the thread can be joined. */
typedef void fl_thread_error_handler(const fl_thread_info *info, int error);

/*
 * Sets the error handler (as Python's excepthook) and returns the previous one. NULL sets the
 * default, which logs the errors of detached threads.
 */
FL_API fl_thread_error_handler *fl_thread_set_error_handler(fl_thread_error_handler *handler);

/*
 * A local: one pointer per context, NULL at first. All-zero is valid, without a destructor.
 *
 *     static fl_local cache = FL_LOCAL_INIT(free);
 *     rc = fl_local_set(&cache, malloc(64));          // check
 *     char *mine = fl_local_get(&cache);
 *
 * When a context ends, the destructors of its values that are not NULL run in the order in which
 * the locals were first set, again while they set values, at most four rounds. A local and its
 * destructor must outlive every context that set it. When the library is unloaded (dlclose), values
 * of threads that go on are not destroyed.
 */
typedef struct fl_local {
	void (*destroy_)(void *value); /* run when the context ends, for a value that is not NULL */
	uint32_t id_;
} fl_local;

/* clang-format off */
#define FL_LOCAL_INIT(destroy) { (destroy), 0 }
/* clang-format on */

/* The value of the calling context. */
FL_API void *fl_local_get(const fl_local *local);

/*
 * Sets the value of the calling context; the previous value is not destroyed. Returns 0, -ENOMEM,
 * or:
 *   -ENOSPC  1,024 different locals are in use
 */
FL_API FL_MUST_CHECK int fl_local_set(fl_local *local, void *value);

/* For FL_WAIT_ANY(): ready when the function of the thread has ended. */
#define FL_ON_THREAD(t) FL__ON(fl__on_thread, (t))
FL_API extern const fl_on_type fl__on_thread;

/*
 * Returns how many CPUs the calling thread may use, at least 1. This is the least of three numbers:
 * the CPUs in its affinity mask; the quota of its control groups (version 1 or 2), rounded up; and
 * the number in the environment variable FL_CPUS, by which whoever starts the program limits it from
 * outside. An executor that is created without a number of workers has so many.
 *
 * Does not wait, but reads files in each call. The first call reads FL_CPUS, so no other thread may
 * change the environment meanwhile; later changes have no effect. A text that is not a number of 1
 * or more is ignored with a warning. A program that has more rights than its user ignores FL_CPUS.
 */
FL_API unsigned fl_cpu_count(void);

FL_END_DECLS

#endif
