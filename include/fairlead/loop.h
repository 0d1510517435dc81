/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_LOOP_H
#define FAIRLEAD_LOOP_H

#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/error.h>
#include <fairlead/fd_events.h>
#include <fairlead/fiber.h>
#include <fairlead/time.h>
#include <stdio.h>

FL_BEGIN_DECLS

/*
 * An event loop runs fibers (fairlead/fiber.h) on one thread, and waits for all of them at once.
 *
 *     static int hello(void *arg) // the first fiber
 *     {
 *             (void)arg;
 *             return puts("hello") < 0 ? -EIO : 0;
 *     }
 *
 *     int main(void)
 *     {
 *             return fl_loop_run(hello, NULL) != 0;
 *     }
 *
 * Any number of loops may exist. A thread runs one loop at a time, and a loop always runs on the
 * thread that ran it first. Only that thread may call the functions that take a loop, unless their
 * comment says otherwise. A NULL loop is a panic, except in fl_loop_free().
 *
 * The callbacks of a loop, for posts, timers and watches, run on the loop's thread, outside of
 * fibers. The callbacks may start fibers. A callback that waits delays all other callbacks. It
 * delays no fiber, and no cancel of a fiber.
 *
 * Some functions work on the loop of the calling thread, and some of these require that the caller
 * is a fiber. Without such a loop or fiber they return -ENOTSUP, and the log has a line that names
 * the function. There is one exception: if only the lookup of a host name needed the fiber, the
 * line names the lookup.
 */
typedef struct fl_loop fl_loop;

typedef struct fl_loop_config {
	/*
	 * The bytes of a fiber's stack, including 16 KiB of guard. 0 means 128 KiB. A size below
	 * 32 KiB is raised to 32 KiB. Then the size is rounded up to an odd number of pages.
	 */
	size_t stack_size;
	uintptr_t more_[4];
} fl_loop_config;

/*
 * Creates a loop, runs `function(arg)` as its first fiber, frees the loop, and returns the result
 * of `function`.
 *
 * The call blocks the calling thread. When `function` has returned, the call cancels the fibers
 * that are left, and waits for their ends, and for the functions of fl_blocking_call(). It panics
 * if a fiber of the loop was neither joined, freed nor detached, or if a cancel token that was made
 * in a fiber was not destroyed.
 *
 * Returns the result of `function`; or, if `function` was not called:
 *   -EALREADY         the thread runs a loop already: the caller is a fiber or a callback of it
 *   -ENOMEM           there is no memory
 *   -EMFILE, -ENFILE  the process, or the system, has too many descriptors
 *   -ENOSPC           the user's limit of watched descriptors is reached
 *   -ENOTSUP          the thread has a shadow stack
 *   -ENOSYS           a sandbox forbids eventfd() or epoll_create1()
 */
FL_API FL_MUST_CHECK int fl_loop_run(fl_fiber_function *function, void *arg);

/*
 * Creates a loop, which fl_loop_run_on() and fl_loop_run_once() run. Any thread may call it.
 *
 * The call never waits. `config` may be NULL.
 *
 * Returns:
 *   0                 the loop was created
 *   -ENOMEM           there is no memory
 *   -EMFILE, -ENFILE  the process, or the system, has too many descriptors
 *   -ENOSPC           the user's limit of watched descriptors is reached
 *   -ENOTSUP          the thread has a shadow stack
 *   -ENOSYS           a sandbox forbids eventfd() or epoll_create1()
 */
FL_API FL_MUST_CHECK int fl_loop_create(fl_loop **l, const fl_loop_config *config);

/*
 * Runs `function(arg)` as a fiber of the loop `l`, and returns its result. Afterwards the loop can
 * run again.
 *
 * The call blocks the calling thread. When `function` has returned, the call cancels the fibers
 * that are left, and waits for their ends, and for the functions of fl_blocking_call(). It panics
 * if a fiber of the loop was neither joined, freed nor detached, or if a cancel token that was made
 * in a fiber was not destroyed.
 *
 * Returns the result of `function`; or, if `function` was not called:
 *   -EALREADY  the thread runs a loop already: the caller is a fiber or a callback of it
 *   -EPERM     another thread has run the loop, and only that thread may
 *   -ENOMEM    there is no memory
 */
FL_API FL_MUST_CHECK int fl_loop_run_on(fl_loop *l, fl_fiber_function *function, void *arg);

/*
 * Frees a loop that does not run. `l` may be NULL.
 *
 * First it makes the pending calls of fl_loop_post(), cancels the fibers, runs the loop until they
 * have ended, and makes the calls that these fibers have posted. While it runs the loop, callbacks
 * of watches and timers may still be called. After its return no callback is called. If the loop
 * has never run, and there is no memory to run it, the pending calls are dropped.
 *
 * The call blocks the calling thread until the fibers have ended. It panics if it is called on a
 * thread other than the one that ran the loop, or in a fiber or a callback of any loop. It also
 * panics where fl_loop_run_on() does, and if fibers are left and there is no memory to run them.
 */
FL_API void fl_loop_free(fl_loop *l);

/*
 * Returns the loop that the calling thread runs, or NULL if it runs none. Any thread may call it.
 */
FL_API fl_loop *fl_loop_current(void);

/*
 * Cancels every fiber that the loop has now, except the fibers of a group that began outside of the
 * loop or under FL_SHIELDED: fl_group_cancel() cancels the fibers of such a group. It does not wait
 * for the fibers. Any thread may call it while the loop exists.
 */
FL_API void fl_loop_cancel(fl_loop *l);

typedef void fl_loop_callback(void *arg);

/*
 * Makes the loop call `function(arg)` on its thread later, and never inside of this call.
 *
 * Calls are made in the order of their posts. The call never waits. Any thread may post while the
 * loop exists.
 *
 * Returns:
 *   0        the call will be made
 *   -ENOMEM  there is no memory
 *
 * Memory order: release. The call of `function` acquires.
 */
FL_API FL_MUST_CHECK int fl_loop_post(fl_loop *l, fl_loop_callback *function, void *arg);

/*
 * A timer calls `function(arg)` once, at its deadline or soon after it.
 *
 *     fl_loop_timer t = {0};
 *     fl_loop_timer_start(l, &t, fl_after(FL_MS(100)), report, NULL);
 *
 * Timers with the same deadline call in the order in which they were started. An all-zero timer is
 * not started. The callback may start the timer again, or free its memory. While a timer is
 * started, it must not move in memory, and its memory must not be freed before the loop is freed.
 */
typedef struct fl_loop_timer {
	int64_t heap_[5];
	fl_loop_callback *function_;
	void *arg_;
} fl_loop_timer;

/*
 * Starts the timer, or gives a started timer another deadline and callback. The deadline FL_FOREVER
 * stops the timer. The call never waits.
 */
FL_API void fl_loop_timer_start(fl_loop *l, fl_loop_timer *t, fl_time deadline, fl_loop_callback *function, void *arg);

/*
 * Stops the timer: it does not call its function unless it is started again. It never waits.
 * Returns:
 *   0          the timer was started
 *   -EALREADY  it was not: it has called its function, was cancelled, or was never started
 */
FL_API int fl_loop_timer_cancel(fl_loop *l, fl_loop_timer *t);

/*
 * A watch calls `function(w, fd, events, arg)` as long as its descriptor is ready
 * (level-triggered).
 *
 *     fl_loop_watch w = {0};
 *     int rc = fl_loop_watch_start(l, &w, fd, FL_FD_IN, on_input, NULL);
 *
 * fairlead/fd_events.h describes the events. An all-zero watch is not started. The callback may
 * change, stop and free the watch. A started watch must not move in memory, and must be stopped
 * before its descriptor is closed.
 */
typedef struct fl_loop_watch fl_loop_watch;
typedef void fl_loop_watch_callback(fl_loop_watch *w, int fd, unsigned events, void *arg);
struct fl_loop_watch {
	void (*fire_)(void *w, uint32_t events);
	fl_loop *loop_; /* NULL if it is not started */
	fl_loop_watch_callback *function_;
	void *arg_;
	int fd_;
	unsigned events_, pending_;
	fl_loop_watch *next_, *prev_;
};

/*
 * Starts the watch `w` of the descriptor `fd`.
 *
 * `events` is FL_FD_IN, FL_FD_OUT or both. With 0 the callback is called for FL_FD_ERR alone. The
 * call never waits. It requires that `w` is not started.
 *
 * Returns:
 *   0        the watch is started
 *   -EBADF   `fd` is not open
 *   -EEXIST  the loop watches this descriptor already. dup() makes another descriptor
 *   -EPERM   `fd` cannot be watched, since it is always ready: it is a regular file, a
 *            directory, or a device such as /dev/null
 *   -EINVAL  `events` has a bit other than FL_FD_IN and FL_FD_OUT, or `fd` is the descriptor
 *            that fl_loop_fd() returns for this loop
 *   -ELOOP   `fd` is an epoll descriptor that watches this loop's descriptor, itself or through
 *            others; or epoll descriptors watch each other more deeply than the kernel allows
 *   -ENOMEM  there is no memory
 *   -ENOSPC  the user's limit of watched descriptors is reached
 */
FL_API FL_MUST_CHECK int fl_loop_watch_start(fl_loop *l, fl_loop_watch *w, int fd, unsigned events,
                                             fl_loop_watch_callback *function, void *arg);

/*
 * Changes the events of `w`. An event that the call removes is not reported any more. An event that
 * it adds is reported from the next iteration of the loop on. The call never waits.
 *
 * Returns:
 *   0        the events were changed
 *   -EINVAL  `events` has a bit other than FL_FD_IN and FL_FD_OUT, or `w` is not started
 *   -ENOMEM  there is no memory
 */
FL_API FL_MUST_CHECK int fl_loop_watch_change(fl_loop_watch *w, unsigned events);

/*
 * Stops `w`: its callback is not called again. The call never waits. Returns:
 *   0          the watch was started
 *   -EALREADY  it was not
 */
FL_API int fl_loop_watch_cancel(fl_loop_watch *w);

/*
 * Returns a descriptor by which another event loop can embed this one.
 *
 *     fl_time deadline;
 *     int rc = fl_loop_run_once(l, &deadline);
 *     // then wait until the descriptor is readable, or until `deadline`, and call it again
 *
 * The descriptor is an epoll, which the loop owns. The other event loop calls fl_loop_run_once(),
 * waits until the descriptor is readable or the deadline that the call has stored has passed, and
 * repeats. It also calls fl_loop_run_once() after it has started a timer of this loop.
 */
FL_API int fl_loop_fd(const fl_loop *l);

/*
 * Runs one iteration of the loop: polls for events, and runs each runnable fiber once.
 *
 * The call stores in `*deadline` the latest time for the next call. FL_NO_WAIT means at once.
 * FL_FOREVER means when the descriptor of fl_loop_fd() is readable.
 *
 * The call never waits for events.
 *
 * Returns:
 *   0          the iteration was run
 *   -EALREADY  the thread runs a loop already: the caller is a fiber or a callback of it
 *   -EPERM     another thread has run the loop, and only that thread may
 *   -ENOMEM    in the first iteration: there is no memory for the stack of a signal handler
 *
 * Between two calls no fiber of the loop runs. Suppose that the caller waits between two calls in a
 * function of this library, and a fiber got a lock meanwhile. The fiber could not run, and all
 * waiters behind it would be held up. So while the caller sleeps in its wait, the wait queues pass
 * over the loop's fibers: where a fiber and another context wait for the same lock, permit, item or
 * signal, the other context goes first. The caller may therefore wait for another thread, even if
 * that thread is queued behind a fiber. Two cases remain for the caller to avoid:
 *
 * - What a fiber holds, or was given before the caller fell asleep, stays with the fiber: an
 *   fl_rwlock, a permit, the wake for an item, a signal. If the caller waits for such an object, or
 *   for something that a fiber is to do, the wait may never end. An fl_mutex may be handed to a
 *   fiber while no other context waits for it. The next context that waits for the mutex then gets
 *   it in place of the fiber, but fl_mutex_try_lock() does not get it.
 * - While the caller waits in another way, such as by read() or pthread_join(), other threads may
 *   wait behind a fiber until the next iteration.
 */
FL_API FL_MUST_CHECK int fl_loop_run_once(fl_loop *l, fl_time *deadline);

FL__SCOPED(fl_loop, fl_loop_free)

/*
 * Runs `function(arg)` on a thread of the loop, waits for its end, and stores its result in
 * `*result`, which may be NULL.
 *
 *     static int compress(void *arg); // computes for a second
 *
 *     int result;
 *     int rc = fl_blocking_call(compress, &image, &result); // other fibers run meanwhile
 *
 * Use it for a function that would hold up the loop, such as a blocking call or a long computation.
 * Each loop has threads for these calls: at most 4 more than there are usable CPUs, and at most 32.
 * The threads block the signals that the loop's thread blocked at the first call, and are joined
 * when the loop is freed. When all threads are busy, further calls are pending. When all threads
 * sleep in waits of the library, another thread may be started in place of a sleeping one
 * (fairlead/blocking.h). But a function that hangs in the system, for example in the read of a file
 * whose server does not answer, keeps its thread. If many may hang, submit them to an executor of
 * their own, so that they do not hold up the other calls.
 *
 * The call blocks the calling fiber. When the call returns, the function has ended or was never
 * called, even after a cancel. So the function may use the caller's stack.
 *
 * Returns:
 *   0            the function has ended. This is also the result when the caller was cancelled, or
 *                the deadline passed, during the call, unless the function returned -ECANCELED
 *   -ECANCELED   the caller was cancelled before the function began: it was not called, and
 *                `*result` is unchanged; or the caller was cancelled, and the function returned
 *                -ECANCELED, which is stored
 *   -ETIMEDOUT   the deadline passed before the function began: it was not called, and `*result` is
 *                unchanged; or the deadline passed, and the function returned -ECANCELED, which is
 *                stored
 *   -ENOTSUP     the function was not called: the caller is no fiber of a loop
 *   -EAGAIN      the function was not called: the loop has no thread for it, and none can be
 *                started
 *   -ENOMEM      the function was not called: there is no memory
 *
 * Memory order: the call happens before the function, and the function happens before the return.
 *
 * When the caller is cancelled, `cancel` is requested, or the deadline passes, the function's scope
 * is cancelled, too: the waits of the function return -ECANCELED, and in the function
 * fl_cancel_token_is_requested(NULL) is true. A function that neither waits nor asks delays the
 * return of the call.
 */
FL_API FL_MUST_CHECK int fl_blocking_call_until(fl_fiber_function *function, void *arg, int *result, fl_time deadline,
                                                fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_blocking_call(fl_fiber_function *_function, void *_arg, int *_result)
{
	return fl_blocking_call_until(_function, _arg, _result, FL_FOREVER, NULL);
}

/*
 * fl_loop_debug() makes the library report fibers that hold up the loop, by a long computation or
 * by a wait outside of the library.
 *
 *     int rc = fl_loop_debug(l, &(fl_loop_debug_config){.slow = FL_MS(100)});
 *
 * A report is a warning to the log handler (fairlead/error.h), which must not wait. The report
 * comes when the fiber lets the next fiber run. A fiber that never lets another fiber run is not
 * reported. To find such a fiber, stop the program in gdb, where fairlead.py lists the fibers; or
 * let a thread post a callback to the loop, and report when the callback has not run after a while.
 */
typedef struct fl_loop_debug_config {
	/*
	 * The time in ns. A fiber that has kept the thread for longer is reported. Callbacks that
	 * run in a row are timed together, and are reported in the same way. 0 means no reports.
	 */
	fl_duration slow;
	uintptr_t more_[4];
} fl_loop_debug_config;

/*
 * Switches the reports of slow fibers on, or changes their limit. A `config` that is NULL or
 * all-zero switches them off.
 *
 * The call never waits. While reports are on, each switch between fibers reads the clock. After an
 * error all reports are off.
 *
 * Returns:
 *   0        the reports are on, or off, as asked
 *   -EINVAL  `slow` is negative
 *   -ENOMEM  there is no memory
 */
FL_API FL_MUST_CHECK int fl_loop_debug(fl_loop *l, const fl_loop_debug_config *config);

/*
 * Prints the fibers of the loop to `out`, as a tree.
 *
 * Each fiber stands below the fiber that started it, with its state and its 16 innermost frames.
 * The call blocks the calling thread while it writes to the file. It requires that the caller is a
 * fiber or a callback of the loop.
 */
FL_API void fl_loop_dump(fl_loop *l, FILE *out);

FL_END_DECLS

#endif
