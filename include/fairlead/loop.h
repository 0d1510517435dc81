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
 * A thread runs one loop at a time, and a loop always runs on the thread that ran it first. Only
 * that thread may call the functions that take a loop, unless their comment says otherwise. After
 * -ENOTSUP the log says what is missing: a running loop, or a fiber as the caller.
 *
 * The callbacks of a loop, for posts, timers and watches, run on its thread, outside of fibers, and
 * may start fibers. They should not wait, which delays everything else.
 */
typedef struct fl_loop fl_loop;

typedef struct fl_loop_config {
	/* The bytes of a fiber's stack, including 16 KiB of guard, at least 32 KiB. 0: 128 KiB. */
	size_t stack_size;
	uintptr_t more_[4];
} fl_loop_config;

/*
 * Creates a loop, runs `function(arg)` as its first fiber, and frees the loop. Blocks the calling
 * thread.
 *
 * When `function` has returned, the call cancels the fibers that are left, and waits for them and
 * for the functions of fl_blocking_call(). Panics if a fiber was neither joined, freed nor
 * detached, or if a cancel token that was made in a fiber was not destroyed. Returns the result of
 * `function`; or, if `function` was not called:
 *   -EALREADY  the caller is a fiber or a callback of a loop
 *   -ENOMEM, -EMFILE, -ENFILE, -ENOSPC, -ENOTSUP, -ENOSYS
 *              an error of fl_loop_create()
 */
FL_API FL_MUST_CHECK int fl_loop_run(fl_fiber_function *function, void *arg);

/*
 * Creates a loop for fl_loop_run_on() and fl_loop_run_once(). Any thread may call it. Returns 0,
 * -ENOMEM, -EMFILE, -ENFILE, -ENOSPC, or:
 *   -ENOTSUP  the thread has a shadow stack
 *   -ENOSYS   a sandbox forbids eventfd() or epoll_create1()
 */
FL_API FL_MUST_CHECK int fl_loop_create(fl_loop **l, const fl_loop_config *config);

/*
 * Does the same as fl_loop_run() on the loop `l`, which it does not free, so that the loop can run
 * again. On another thread than that of the loop it returns -EPERM.
 */
FL_API FL_MUST_CHECK int fl_loop_run_on(fl_loop *l, fl_fiber_function *function, void *arg);

/*
 * Cancels the fibers of a loop that does not run, runs it until they have ended, and frees it.
 * Posted calls are made first. Watches and timers may still call their callbacks. Blocks the
 * calling thread.
 *
 * Panics where fl_loop_run() does, on another thread than the one that ran the loop, in a fiber or
 * a callback of any loop, and without memory to run the fibers that are left.
 */
FL_API void fl_loop_free(fl_loop *l);

/* Returns the loop that the calling thread runs, or NULL. Any thread may call it. */
FL_API fl_loop *fl_loop_current(void);

/*
 * Cancels every present fiber of the loop, without waiting, except those of a group that began
 * outside of the loop or under FL_SHIELDED. Any thread may call it.
 */
FL_API void fl_loop_cancel(fl_loop *l);

typedef void fl_loop_callback(void *arg);

/*
 * Makes the loop call `function(arg)` on its thread, in the order of the posts. On the loop's own
 * thread, the post returns before the function is called. The function sees what the caller wrote
 * before. Any thread may post. Returns 0 or -ENOMEM.
 */
FL_API FL_MUST_CHECK int fl_loop_post(fl_loop *l, fl_loop_callback *function, void *arg);

/*
 * A timer calls `function(arg)` once, at its deadline or soon after.
 *
 *     fl_loop_timer t = {0};
 *     fl_loop_timer_start(l, &t, fl_after(FL_MS(100)), report, NULL);
 *
 * Timers with equal deadlines call in the order of their starts. An all-zero timer is not started.
 * A started timer must not move or be freed while its loop exists. Its callback may start it again,
 * or free it.
 */
typedef struct fl_loop_timer {
	int64_t heap_[5];
	fl_loop_callback *function_;
	void *arg_;
} fl_loop_timer;

/* Starts the timer, or gives a started timer another deadline and callback. */
FL_API void fl_loop_timer_start(fl_loop *l, fl_loop_timer *t, fl_time deadline, fl_loop_callback *function, void *arg);

/* Stops the timer. Returns 0, or -EALREADY if it was not started, or has called its function. */
FL_API int fl_loop_timer_cancel(fl_loop *l, fl_loop_timer *t);

/*
 * A watch calls `function(w, fd, events, arg)` as long as its descriptor is ready
 * (level-triggered).
 *
 *     fl_loop_watch w = {0};
 *     int rc = fl_loop_watch_start(l, &w, fd, FL_FD_IN, on_input, NULL);
 *
 * fairlead/fd_events.h describes the events. An all-zero watch is not started. A started watch must
 * not move, and must be stopped before its descriptor is closed. Its callback may change, stop and
 * free it.
 */
typedef struct fl_loop_watch fl_loop_watch;
typedef void fl_loop_watch_callback(fl_loop_watch *w, int fd, unsigned events, void *arg);
struct fl_loop_watch {
	void (*fire_)(void *w, uint32_t events);
	fl_loop *loop_;
	fl_loop_watch_callback *function_;
	void *arg_;
	int fd_;
	unsigned events_, pending_;
	fl_loop_watch *next_, *prev_;
};

/*
 * Starts `w`, which must not be started already, as a watch of the descriptor `fd`. `events` is
 * FL_FD_IN, FL_FD_OUT, both, or 0 for FL_FD_ERR only. Returns 0, -ENOMEM, -ENOSPC, or:
 *   -EBADF   `fd` is not open
 *   -EEXIST  the loop watches this descriptor already: use dup()
 *   -EPERM   `fd` is always ready, such as a regular file
 *   -EINVAL  `events` has another bit, or `fd` is the loop's own descriptor (fl_loop_fd())
 *   -ELOOP   `fd` is an epoll descriptor that watches this loop, or is nested too deeply
 */
FL_API FL_MUST_CHECK int fl_loop_watch_start(fl_loop *l, fl_loop_watch *w, int fd, unsigned events,
                                             fl_loop_watch_callback *function, void *arg);

/*
 * Changes the events of `w`. Returns 0 or -ENOMEM; or -EINVAL if `events` has a bit other than
 * FL_FD_IN and FL_FD_OUT, or `w` is not started.
 */
FL_API FL_MUST_CHECK int fl_loop_watch_change(fl_loop_watch *w, unsigned events);

/* Stops `w`. Returns 0, or -EALREADY if `w` was not started. */
FL_API int fl_loop_watch_cancel(fl_loop_watch *w);

/*
 * Returns a descriptor, which the loop owns, by which another event loop can embed this one.
 *
 *     fl_time deadline;
 *     int rc = fl_loop_run_once(l, &deadline);
 *     // then wait until the descriptor is readable, or until `deadline`, and call it again
 *
 * The other event loop repeats this, and also calls fl_loop_run_once() after it has started a
 * timer.
 */
FL_API int fl_loop_fd(const fl_loop *l);

/*
 * Runs one iteration of the loop: polls for events without waiting, and runs each runnable fiber
 * once. Stores in `*deadline` the time for the next call, which is due earlier if the descriptor of
 * fl_loop_fd() becomes readable. Returns 0, or:
 *   -EALREADY  the caller is a fiber or a callback of a loop
 *   -EPERM     another thread has run the loop
 *   -ENOMEM    out of memory, in the first iteration
 *
 * Between two calls the fibers cannot run. So the caller must not wait for what only a fiber can
 * do, or for a lock, permit or item that a fiber holds or was given. It may wait for other threads
 * by functions of this library, which hand locks, permits and items to waiters that can run.
 */
FL_API FL_MUST_CHECK int fl_loop_run_once(fl_loop *l, fl_time *deadline);

FL__SCOPED(fl_loop, fl_loop_free)

/*
 * Runs `function(arg)` on another thread, waits for its end, and stores its result in `*result`,
 * which may be NULL. Blocks the calling fiber, while other fibers run.
 *
 *     static int compress(void *arg); // computes for a second
 *
 *     int result;
 *     int rc = fl_blocking_call(compress, &image, &result); // other fibers run meanwhile
 *
 * Use it for blocking calls and long computations, which would hold up the loop. The function may
 * use the caller's stack, because the call waits until it has ended, even after a cancel. Returns
 * 0, -ENOTSUP, -ENOMEM, or:
 *   -ECANCELED, -ETIMEDOUT  the wait was cancelled, or the deadline passed. Either the function
 *                           was not called, and `*result` is unchanged; or the function returned
 *                           -ECANCELED, which `*result` then has
 *   -EAGAIN                 the loop has no thread for the function, and none can be started
 *
 * A cancel or the deadline also cancels the function's scope, so that its waits return -ECANCELED,
 * and fl_cancel_token_is_requested(NULL) is true in it.
 *
 * A loop has few threads for these calls: at most 32, and at most 4 more than usable CPUs. Further
 * calls wait, so submit calls that may hang for long to an executor of their own.
 */
FL_API FL_MUST_CHECK int fl_blocking_call_until(fl_fiber_function *function, void *arg, int *result, fl_time deadline,
                                                fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_blocking_call(fl_fiber_function *_function, void *_arg, int *_result)
{
	return fl_blocking_call_until(_function, _arg, _result, FL_FOREVER, NULL);
}

/*
 * fl_loop_debug() makes the library log a warning about fibers that hold up the loop, by a long
 * computation or a wait outside of the library.
 *
 *     int rc = fl_loop_debug(l, &(fl_loop_debug_config){.slow = FL_MS(100)});
 *
 * The warning comes when the fiber lets the next one run. For one that never does, see
 * docs/debugging.md.
 */
typedef struct fl_loop_debug_config {
	/*
	 * A fiber that keeps the thread for longer than this is reported, and so are callbacks that
	 * run one after another and together take longer. 0: no reports.
	 */
	fl_duration slow;
	uintptr_t more_[4];
} fl_loop_debug_config;

/*
 * Switches the reports of slow fibers on; if `config` is NULL or all-zero, or after an error, they
 * are off. Returns 0 or -ENOMEM, or -EINVAL if `slow` is negative.
 */
FL_API FL_MUST_CHECK int fl_loop_debug(fl_loop *l, const fl_loop_debug_config *config);

/*
 * Prints the fibers of the loop to `out`, each below the fiber that started it, with its state and
 * 16 innermost frames. Call it in a fiber or a callback of the loop. Blocks the calling thread.
 */
FL_API void fl_loop_dump(fl_loop *l, FILE *out);

FL_END_DECLS

#endif
