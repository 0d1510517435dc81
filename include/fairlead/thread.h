/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_THREAD_H
#define FAIRLEAD_THREAD_H

#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/time.h>
#include <fairlead/wait_any.h>

FL_BEGIN_DECLS

/*
 * A thread runs a function beside the caller. The function returns 0 or an error.
 *
 *     static int download(void *file) { ... return 0; }
 *
 *     fl_thread *t;
 *     rc = fl_thread_start(&t, download, &file, &(fl_thread_config){ .name = "download" });
 *     rc = fl_thread_join_until(t, &result, fl_after(FL_S(10)), NULL);
 *
 * Every started thread must be joined or detached, exactly once. That frees the handle, so another
 * join or detach panics where the library notices it (fairlead/defs.h, "Handles"). Only one
 * context at a time may use a handle.
 */
typedef int fl_thread_function(void *arg);

typedef struct fl_thread fl_thread;

typedef struct fl_thread_config {
	/*
	 * The name is copied. The library keeps 31 characters of it, and shows 15 to debuggers.
	 * NULL means "thread-N", with a number N.
	 */
	const char *name;
	/*
	 * In bytes; a value below the system's minimum is raised to it. 0 means the default of
	 * glibc and, with other C libraries, 1 MiB.
	 */
	size_t stack_size;
	/*
	 * Whether the thread starts with all signals blocked except SIGSEGV, SIGBUS, SIGFPE,
	 * SIGILL, SIGTRAP and SIGSYS. If false, it inherits the caller's signal mask.
	 */
	bool block_signals;
	uintptr_t more_[4];
} fl_thread_config;

/*
 * Starts a thread that runs `function(arg)`, and stores its handle in `*t`. `config` may be NULL.
 *
 * Memory order: the function sees what the caller wrote before the call. Returns:
 *   0        the thread runs
 *   -ENOMEM  out of memory
 *   -EAGAIN  the system has no more threads, or no memory for the stack; or a sandbox refuses
 *            clone3() with EPERM, so that the C library does not try clone()
 *   -EINVAL  the system refuses the stack size
 */
FL_API FL_MUST_CHECK int fl_thread_start(fl_thread **t, fl_thread_function *function, void *arg,
                                         const fl_thread_config *config);

/*
 * Waits until the thread has ended, and frees the handle. The result of the thread's function is
 * stored in `*result`, unless `result` is NULL. The result of a function that left by
 * pthread_exit() or pthread_cancel() is -ECANCELED. Returns:
 *   0           the thread has ended, and the handle is freed
 *   -EAGAIN     only fl_thread_try_join(): the thread is alive (fl_thread_is_alive())
 *   -ECANCELED  the wait was cancelled; the thread can be joined again
 *   -ETIMEDOUT  the deadline of fl_thread_join_until() passed; the thread can be joined again
 *   -EDEADLK    the caller is the thread itself
 *
 * fl_thread_join() and fl_thread_join_until() block the calling context while the thread is alive;
 * fl_thread_try_join() does not. When the thread is not alive any more, all three still wait for
 * the destructors of its thread-specific data (pthread_key_create()), whatever the deadline.
 */
FL_API FL_MUST_CHECK int fl_thread_join_until(fl_thread *t, int *result, fl_time deadline, fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_thread_join(fl_thread *_t, int *_result)
{
	return fl_thread_join_until(_t, _result, FL_FOREVER, NULL);
}
FL_INLINE FL_MUST_CHECK int fl_thread_try_join(fl_thread *_t, int *_result)
{
	const int _rc = fl_thread_join_until(_t, _result, FL_NO_WAIT, FL_SHIELDED);
	return _rc == -ETIMEDOUT ? -EAGAIN : _rc;
}

/* Frees the handle, and lets the thread run on. */
FL_API void fl_thread_detach(fl_thread *t);

/*
 * Returns whether the thread is alive. It is alive until its function, the error handler for its
 * error, and the destructors of its locals (fl_local) have ended.
 */
FL_API bool fl_thread_is_alive(const fl_thread *t);

/*
 * Returns the id of the thread. It is never 0 and is never used twice. In the function of that
 * thread, outside of fibers, fl_thread_current_id() returns the same id.
 */
FL_API uint64_t fl_thread_id(const fl_thread *t);

/* Returns the id of the calling context (thread or fiber). It is never 0. */
FL_API uint64_t fl_thread_current_id(void);

/*
 * Returns the name of the calling context. For a thread or fiber that the library started, it is
 * the name given at the start. For the main thread it is "main", and in a worker process of a
 * process executor the worker's name. For a thread that the library did not start it is "foreign".
 * Late in the end of a thread of the library, when its function and the destructors of its locals
 * have ended, the name is "foreign", too.
 */
FL_API const char *fl_thread_current_name(void);

typedef struct fl_thread_info {
	uint64_t id;
	const char *name; /* valid during the visit */
	bool alive;       /* the result of fl_thread_is_alive() */
} fl_thread_info;

/*
 * Visits the threads that are alive or can be joined, and returns their number. They are the
 * threads of fl_thread_start() and the threads of executors; in a worker process of a process
 * executor also the thread "listener". The other threads that the library starts for itself, such
 * as "timers", are not visited (docs/in-your-process.md). The function calls `visit`, unless that
 * is NULL, for each visited thread, the oldest first. `visit` must not start, join or detach
 * threads.
 */
FL_API size_t fl_thread_enumerate(void (*visit)(const fl_thread_info *info, void *arg), void *arg);

/*
 * The type of an error handler. It is called on a thread whose function has returned an error, or
 * has left by pthread_exit() or pthread_cancel(): then `error` is -ECANCELED. It is called before
 * the thread can be joined.
 */
typedef void fl_thread_error_handler(const fl_thread_info *info, int error);

/*
 * Sets the error handler of all threads, like Python's threading.excepthook, and returns the
 * handler before. NULL sets the default handler, which logs the errors of detached threads.
 */
FL_API fl_thread_error_handler *fl_thread_set_error_handler(fl_thread_error_handler *handler);

/*
 * A local is a pointer that has a value of its own in each context, NULL at first.
 *
 *     static fl_local cache = FL_LOCAL_INIT(free);
 *     rc = fl_local_set(&cache, malloc(64));          // check
 *     char *mine = fl_local_get(&cache);
 *
 * All-zero memory is a local without a destructor.
 *
 * When a context ends, the destructors of its values that are not NULL run, in the order in which
 * any context of the process first set the locals. If they set values again, there is another
 * round, up to four rounds in all. A local and its destructor must exist for as long as any context
 * that has set it. When the library is unloaded by dlclose(), the values of threads that run on are
 * not destroyed.
 */
typedef struct fl_local {
	void (*destroy_)(void *value); /* run when the context ends, for a value that is not NULL */
	uint32_t id_;
} fl_local;

/* clang-format off */
#define FL_LOCAL_INIT(destroy) { (destroy), 0 }
/* clang-format on */

/* Returns the calling context's value of `local`. */
FL_API void *fl_local_get(const fl_local *local);

/*
 * Sets the calling context's value of `local`. The previous value is not destroyed. Returns:
 *   0        the value is set
 *   -ENOMEM  out of memory
 *   -ENOSPC  1,024 different locals have been set in this process. It makes no difference whether
 *            they are still in use
 */
FL_API FL_MUST_CHECK int fl_local_set(fl_local *local, void *value);

/*
 * FL_ON_THREAD(t) is an object for FL_WAIT_ANY(). It is ready when the thread is not alive any more
 * (fl_thread_is_alive()).
 */
#define FL_ON_THREAD(t) FL__ON(fl__on_thread, (t))
FL_API extern const fl_on_type fl__on_thread;

/*
 * Returns how many CPUs the calling thread may use, at least 1. The result is the least of three
 * numbers: the CPUs in its affinity mask; the quota of its control groups (version 1 or 2), rounded
 * up; and the number in the environment variable FL_CPUS, by which an operator limits the program
 * from outside. A thread executor or a process executor that is created without a number of workers
 * has this many workers, up to FL_WORKERS_MAX.
 *
 * The call does not wait, but it reads files each time. The first call reads FL_CPUS, so no other
 * thread may change the environment during that call; later changes have no effect. A text that is
 * not a number of 1 or more is ignored, with a warning. A program that runs with more rights than
 * its user (set-user-ID, say) ignores FL_CPUS.
 */
FL_API unsigned fl_cpu_count(void);

/*
 * Switches polling on or off in this process. At first it is on: a thread that must wait polls for
 * some 50 us before it sleeps, because a partner on another CPU often answers within that time, and
 * a sleep and a wake take longer. But a poll costs CPU time, which is dear under the CPU quota of a
 * container, and on a battery. With `polls` false, waits sleep at once. Later calls, and the next
 * waits of all threads, use the new setting.
 *
 * The environment variable FL_POLL=none switches polling off before main(), unless the program runs
 * with more rights than its user (set-user-ID, say). Worker processes read it, too. To switch
 * polling off in them by this call, make the call in main() before fl_process_main()
 * (fairlead/process.h). Any other text in FL_POLL is ignored, with a warning.
 *
 * While polling is off, a call may still spin for as long as another thread needs for a few
 * instructions inside of a call on the same object.
 */
FL_API void fl_poll_enable(bool polls);

FL_END_DECLS

#endif
