/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_LOOP_H
#define FAIRLEAD_LOOP_H

#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/error.h>
#include <fairlead/fd_events.h>
#include <fairlead/fiber.h>
#include <fairlead/time.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

FL_BEGIN_DECLS

/*
 * Event loop: runs fibers (fairlead/fiber.h) on one thread, and waits for all of them at once.
 *
 *     static int hello(void *arg) { return puts("hello") < 0 ? -EIO : 0; }      // a fiber
 *     int main(void) { return fl_loop_run(hello, NULL) ? 1 : 0; }
 *
 * Callbacks run on the loop's thread, outside of the user's fibers, and may start fibers. A
 * callback that waits holds up all other callbacks, but no fiber, and no cancel of a fiber.
 *
 * -ENOTSUP is logged, with the function's name. A NULL loop is a panic, except in fl_loop_free().
 *
 * Any number of loops may exist. A thread runs one at a time, and a loop always runs on the thread
 * that first ran it. Only that thread may call functions that take a loop, unless they say
 * otherwise. In a forked child the parent's loop does not work: a function that can fail returns
 * -EOWNERDEAD, and free releases the child's memory and descriptors. The child of a fiber that has
 * called fork() panics where it would wait for a lock, an event or a future.
 */
typedef struct fl_loop fl_loop;

typedef struct fl_loop_config {
	/* In bytes, with 16 KiB of guard; 0: 128 KiB. Rounded up to an odd number of pages. */
	size_t stack_size;
	uintptr_t more_[4];
} fl_loop_config;

/*
 * Creates a loop, runs `function(arg)` as its first fiber, and frees the loop. At its end cancels
 * the fibers that are left, and waits for them and for the functions of fl_to_thread(). Blocks the
 * calling thread. Returns the result of `function`; or, without calling `function`:
 *   -EALREADY        the thread runs a loop already: the caller is a fiber or a callback of it
 *   -ENOMEM
 *   -EMFILE, -ENFILE
 *   -ENOTSUP         the thread has a shadow stack
 *   -ENOSYS          a sandbox forbids eventfd() or epoll_create1()
 */
FL_API FL_MUST_CHECK int fl_loop_run(fl_fiber_function *function, void *arg);

/* Creates a loop. Returns 0, or as fl_loop_run(): -ENOMEM, -EMFILE, -ENFILE, -ENOTSUP, -ENOSYS. */
FL_API FL_MUST_CHECK int fl_loop_create(fl_loop **l, const fl_loop_config *config);

/*
 * As fl_loop_run(), on the caller's loop, which can run again. Also returns:
 *   -EPERM       another thread has run the loop, and only that thread may
 *   -EOWNERDEAD  the loop is that of the parent process of a fork
 */
FL_API FL_MUST_CHECK int fl_loop_run_on(fl_loop *l, fl_fiber_function *function, void *arg);

/*
 * Frees a loop that does not run. Makes the pending calls of fl_loop_post(), cancels the fibers,
 * runs until they have ended, and makes the calls that these fibers have posted. Watches and timers
 * are not called. Panics on another thread than that which ran the loop, and in a fiber or a
 * callback of any loop.
 */
FL_API void fl_loop_free(fl_loop *l);

/* The loop that the calling thread runs; NULL: none. Any thread may call it. */
FL_API fl_loop *fl_loop_current(void);

/* Cancels every fiber that the loop has now. Any thread may call it while the loop exists. */
FL_API void fl_loop_cancel(fl_loop *l);

typedef void fl_loop_callback(void *arg);

/*
 * Makes the loop call `function(arg)` later, never inside of this call, in FIFO order. Any thread
 * may post while the loop exists. Memory order: release; the callback acquires. Returns 0, -ENOMEM,
 * or:
 *   -EOWNERDEAD  the loop is that of the parent process of a fork
 */
FL_API FL_MUST_CHECK int fl_loop_post(fl_loop *l, fl_loop_callback *function, void *arg);

/*
 * A timer calls `function(arg)` once, at `deadline` or soon after; with the same deadline in the
 * order of the starts. An all-zero timer is not started. The callback may start the timer again, or
 * free its memory. A started timer must not move, nor be freed before its loop.
 */
typedef struct fl_loop_timer {
	int64_t heap_[5];
	fl_loop_callback *function_;
	void *arg_;
} fl_loop_timer;

/* Starts the timer, or changes a started timer. FL_FOREVER stops it. */
FL_API void fl_loop_timer_start(fl_loop *l, fl_loop_timer *t, fl_time deadline, fl_loop_callback *function, void *arg);

/* Stops the timer if it is started. */
FL_API void fl_loop_timer_cancel(fl_loop *l, fl_loop_timer *t);

/*
 * A watch calls back as long as its descriptor is ready (level-triggered), with the events
 * (fairlead/fd_events.h). An all-zero watch is not started. The callback may change, stop and free
 * the watch. A started watch must not move, and must be stopped before its descriptor is closed.
 */
typedef struct fl_loop_watch fl_loop_watch;
typedef void fl_loop_watch_callback(fl_loop_watch *w, int fd, unsigned events, void *arg);
struct fl_loop_watch {
	void (*fire_)(void *w, uint32_t events);
	fl_loop *loop_; /* NULL: not started */
	fl_loop_watch_callback *function_;
	void *arg_;
	int fd_;
	unsigned events_, pending_;
	fl_loop_watch *next_;
};

/*
 * Starts `w`, which is not started. `events`: FL_FD_IN, FL_FD_OUT, both, or 0 for FL_FD_ERR
 * alone. Returns 0, -EBADF, -ENOMEM, or:
 *   -EEXIST      the loop watches this descriptor already; dup() makes another descriptor
 *   -EPERM       a regular file, which is always ready
 *   -EINVAL      other events
 *   -ENOSPC      the user's limit of watched descriptors
 *   -EOWNERDEAD  the loop is that of the parent process of a fork
 */
FL_API FL_MUST_CHECK int fl_loop_watch_start(fl_loop *l, fl_loop_watch *w, int fd, unsigned events,
                                             fl_loop_watch_callback *function, void *arg);

/*
 * Changes the events of `w`, from the next iteration on. Returns 0, -ENOMEM, or:
 *   -EINVAL      other events, or `w` is not started
 *   -EOWNERDEAD  the loop is that of the parent process of a fork
 */
FL_API FL_MUST_CHECK int fl_loop_watch_change(fl_loop_watch *w, unsigned events);

/* Stops `w` if it is started: its callback is not called again. */
FL_API void fl_loop_watch_stop(fl_loop_watch *w);

/*
 * A descriptor for embedding in another event loop: an epoll, which the loop keeps. The other event
 * loop calls fl_loop_run_once(), also after it has started a timer, waits until the descriptor is
 * readable or the deadline has passed, and repeats.
 */
FL_API int fl_loop_fd(const fl_loop *l);

/*
 * Runs one iteration: polls for events, and runs each runnable fiber once. Stores in `*deadline`
 * the latest time for the next call: FL_NO_WAIT: at once; FL_FOREVER: when the descriptor is readable.
 *
 * Between two iterations no fiber of the loop runs. While the caller sleeps there in a call of this
 * library, contexts that can run go before the loop's fibers wherever both wait: for a lock, a
 * permit, an item or a signal. So the caller may wait for a thread that waits behind a fiber. The
 * rest is the caller's business:
 * - A fiber keeps what it holds, and what it had received before that sleep: an fl_rwlock, a
 *   permit, the wake for an item, a signal. A wait for it, or for what a fiber is to do, may never
 *   end. An fl_mutex that is handed to a fiber, because no other context waits, goes to the next
 *   context that waits for it; but fl_mutex_try_lock() does not get it.
 * - While the caller waits in another way, as by read() or pthread_join(), other threads may wait
 *   behind a fiber until the next iteration.
 *
 * Returns 0, or:
 *   -EALREADY    the thread runs a loop already: the caller is a fiber or a callback of it
 *   -EPERM       another thread has run the loop, and only that thread may
 *   -EOWNERDEAD  the loop is that of the parent process of a fork
 *   -ENOMEM      in the first iteration: no memory for the stack of a signal handler
 */
FL_API FL_MUST_CHECK int fl_loop_run_once(fl_loop *l, fl_time *deadline);

FL__SCOPED(fl_loop, fl_loop_free)

/*
 * Runs a function that would hold up the loop (a blocking call, a long computation) on a thread.
 *
 * Each loop has threads for these calls: up to 4 more than there are usable CPUs, at most 32. They
 * are joined when the loop is freed, and block the signals that the loop's thread blocked at the
 * first call. When all are busy, further calls are pending; when all wait, another stands in
 * (fairlead/blocking.h).
 *
 * When the call returns, the function has ended or was never called, also after a cancel: it may
 * use the caller's stack. A cancel requests the function's scope: its waits return -ECANCELED, and
 * fl_cancel_token_is_requested(NULL) is true. A function that does neither delays the call.
 */

/*
 * Runs `function(arg)` on a thread of the loop, waits for its end, and stores its result in
 * `*result`, which may be NULL. Blocks the calling fiber. Memory order: the call happens before the
 * function, and the function before the return. Returns -ENOMEM, or:
 *   0            the function has ended; also if the caller was cancelled during the call, unless
 *                the function returned -ECANCELED
 *   -ECANCELED, -ETIMEDOUT
 *                the caller was cancelled, or the deadline has passed: the function was not
 *                called, and `*result` is untouched; or it returned -ECANCELED, which is stored
 *   -ENOTSUP     not called: the caller is no fiber of a loop, or this is a forked child
 *   -EAGAIN      not called: there is no thread, and none can be started
 *   -EOWNERDEAD  the function has ended its thread, by pthread_exit() or pthread_cancel()
 */
FL_API FL_MUST_CHECK int fl_to_thread_until(fl_fiber_function *function, void *arg, int *result, fl_time deadline,
                                            fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_to_thread(fl_fiber_function *_function, void *_arg, int *_result)
{
	return fl_to_thread_until(_function, _arg, _result, FL_FOREVER, NULL);
}

/*
 * Reports which fiber has held up its loop: it has computed for long, or has waited outside of the
 * library. The report comes when the fiber lets the next one run. So a fiber that never does is not
 * reported. To find it, stop the program in gdb (fairlead.py lists the fibers), or let a thread of
 * yours post a callback to the loop, and report when the callback has not run after a while.
 *
 *     rc = fl_loop_debug(l, &(fl_loop_debug_config){.slow = FL_MS(100)});       // check
 *
 * Reports are warnings to the log handler (fairlead/error.h). The log handler must not wait.
 */
typedef struct fl_loop_debug_config {
	/* ns: a fiber, or the callbacks, that kept the thread for longer are reported; 0: none are */
	fl_duration slow;
	uintptr_t more_[4];
} fl_loop_debug_config;

/*
 * Switches reports on, or changes them. `config` NULL or all-zero switches them off. Called by the
 * loop's thread. While reports are on, each switch between fibers reads the clock. After an error
 * all reports are off. Returns 0, or:
 *   -EINVAL      `slow` is negative
 *   -ENOMEM      there is no memory
 *   -EOWNERDEAD  the loop is that of the parent process of a fork
 */
FL_API FL_MUST_CHECK int fl_loop_debug(fl_loop *l, const fl_loop_debug_config *config);

/*
 * Prints the loop's fibers to `out` as a tree: each fiber below the fiber that started it, with its
 * state and its 16 innermost frames. Called in a fiber or a callback of the loop. Waits for the
 * file.
 */
FL_API void fl_loop_dump(fl_loop *l, FILE *out);

FL_END_DECLS

#endif
