/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_THREAD_H
#define FAIRLEAD_THREAD_H

#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/time.h>
#include <fairlead/wait_any.h>

FL_BEGIN_DECLS

/*
 * A thread runs a function while the caller goes on. The function returns 0 or an error.
 *
 *     static int download(void *file) { ... return 0; }
 *
 *     fl_thread *t;
 *     rc = fl_thread_start(&t, download, &file, &(fl_thread_config){ .name = "download" });
 *     rc = fl_thread_join_until(t, &result, fl_after(FL_S(10)), NULL);
 *
 * Join or detach each thread exactly once, which frees the handle. Only one context at a time may
 * use a handle.
 */
typedef int fl_thread_function(void *arg);

typedef struct fl_thread fl_thread;

typedef struct fl_thread_config {
	/* Copied, up to 31 characters. NULL means "thread-N". */
	const char *name;
	/*
	 * In bytes, raised to the system's minimum. 0 means glibc's default or, with other C
	 * libraries, 1 MiB.
	 */
	size_t stack_size;
	/*
	 * Block all signals in the thread except those of faults, such as SIGSEGV. If false, it
	 * inherits the caller's signal mask.
	 */
	bool block_signals;
	uintptr_t more_[4];
} fl_thread_config;

/*
 * Starts a thread that runs `function(arg)`, and stores its handle in `*t`. Returns 0, -ENOMEM, or:
 *   -EAGAIN  the system has no more threads, or no memory for the stack; or a sandbox forbids
 *            clone3()
 *   -EINVAL  the system refuses the stack size
 *
 * Memory order: the call happens before the function.
 */
FL_API FL_MUST_CHECK int fl_thread_start(fl_thread **t, fl_thread_function *function, void *arg,
                                         const fl_thread_config *config);

/*
 * Waits until the thread has ended, and frees the handle. Stores the result of the function in
 * `*result`, unless `result` is NULL. If the function left by pthread_exit() or pthread_cancel(),
 * its result is -ECANCELED. Blocks the calling context, except fl_thread_try_join().
 *
 *     int result, rc = fl_thread_join(t, &result);
 *     if (rc == 0)
 *             rc = result;
 *
 * Returns 0, -ETIMEDOUT, -ECANCELED, or:
 *   -EAGAIN   only fl_thread_try_join(): the thread is alive
 *   -EDEADLK  the caller is the thread itself
 *
 * Whatever the deadline, all three also wait for the thread's destructors of pthread_key_create().
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
 * Returns whether the thread is alive: whether its function, the error handler or the destructors
 * of its locals (fl_local) still run.
 */
FL_API bool fl_thread_is_alive(const fl_thread *t);

/* Returns the id of the thread, which is never 0, and never used twice. */
FL_API uint64_t fl_thread_id(const fl_thread *t);

/* Returns the id of the calling context (thread or fiber), which is never 0. */
FL_API uint64_t fl_thread_current_id(void);

/*
 * Returns the name with which the calling context was started, "main" for the main thread, or
 * "foreign" for another thread that the library did not start.
 */
FL_API const char *fl_thread_current_name(void);

typedef struct fl_thread_info {
	uint64_t id;
	const char *name; /* valid during the visit */
	bool alive;       /* the result of fl_thread_is_alive() */
} fl_thread_info;

/*
 * Returns the number of threads of fl_thread_start() and of executors that are alive or can be
 * joined, and calls `visit`, unless that is NULL, for each, the oldest first. `visit` must not
 * start, join or detach threads.
 */
FL_API size_t fl_thread_enumerate(void (*visit)(const fl_thread_info *info, void *arg), void *arg);

/*
 * An error handler is called on a thread whose function has returned an error, or has left by
 * pthread_exit() or pthread_cancel() (-ECANCELED), before the thread can be joined.
 */
typedef void fl_thread_error_handler(const fl_thread_info *info, int error);

/*
 * Sets the error handler of all threads, and returns the previous one. NULL restores the default,
 * which logs the errors of detached threads.
 */
FL_API fl_thread_error_handler *fl_thread_set_error_handler(fl_thread_error_handler *handler);

/*
 * A local is a pointer that has a value of its own in each context, NULL at first. All-zero memory
 * is a local without a destructor.
 *
 *     static fl_local cache = FL_LOCAL_INIT(free);
 *     rc = fl_local_set(&cache, malloc(64));          // check
 *     char *mine = fl_local_get(&cache);
 *
 * When a context ends, the destructors of its values that are not NULL run, in the order in which
 * the process first set the locals, and up to three times more if they set values again. A local
 * and its destructor must outlive all contexts that have set it.
 */
typedef struct fl_local {
	void (*destroy_)(void *value);
	uint32_t id_;
} fl_local;

/* clang-format off */
#define FL_LOCAL_INIT(destroy) { (destroy), 0 }
/* clang-format on */

/* Returns the calling context's value of `local`. */
FL_API void *fl_local_get(const fl_local *local);

/*
 * Sets the calling context's value of `local`, without destroying the previous one. Returns 0,
 * -ENOMEM, or -ENOSPC if the process has set 1,024 different locals, in use or not.
 */
FL_API FL_MUST_CHECK int fl_local_set(fl_local *local, void *value);

/* FL_ON_THREAD(t) is an object for FL_WAIT_ANY(), ready when fl_thread_is_alive() is false. */
#define FL_ON_THREAD(t) FL__ON(fl__on_thread, (t))
FL_API extern const fl_on_type fl__on_thread;

/*
 * Returns how many CPUs the calling thread may use, at least 1: the least of its affinity mask, the
 * quota of its control groups, rounded up, and the environment variable FL_CPUS (docs/security.md).
 * Executors of threads and processes have this many workers by default, up to FL_WORKERS_MAX. Each
 * call reads files. The first one also reads the environment, which no other thread may change
 * meanwhile.
 */
FL_API unsigned fl_cpu_count(void);

/*
 * Switches polling on or off for later waits of all threads of this process. At first it is on: a
 * thread that must wait polls for some 50 us before it sleeps, which is faster but costs CPU time.
 * The environment variable FL_POLL=none switches it off before main(), in worker processes, too.
 * There this call has effect only before fl_process_main() (fairlead/process.h).
 */
FL_API void fl_poll_enable(bool polls);

FL_END_DECLS

#endif
