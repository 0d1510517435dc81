/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_LOOP_H
#define FAIRLEAD_LOOP_H

#include <fairlead/defs.h>
#include <fairlead/fiber.h>
#include <stdint.h>

FL_BEGIN_DECLS

/*
 * Event loop: runs fibers (fairlead/fiber.h) on one thread, and waits for all of them at once.
 *
 *     static int hello(void *arg)
 *     {
 *             int rc = fl_sleep(FL_S(1));
 *             puts("world");
 *             return rc;
 *     }
 *     int main(void) { return fl_loop_run(hello, NULL) ? 1 : 0; }
 *
 * Most programs need no more than that. The rest of this header is for those that bring a loop of their own, and for libraries
 * that want to be called back: timers, descriptors, calls from other threads. Callbacks run on the loop's thread, in no fiber of
 * the user's. They may start fibers. A callback that waits, for a lock say, holds up all other
 * callbacks: calls, timers, watches. It holds up no fiber, nor the cancel of a fiber. While a
 * callback waits and no fiber can run, the loop sleeps, even if watched descriptors are ready. The
 * callbacks of those that are still ready are called afterwards.
 *
 * A function that needs a running loop, or a fiber of one, and is called elsewhere returns
 * -ENOTSUP, and tells the log handler its name. NULL for a loop, which fl_loop_current() returns
 * where none runs, is a panic with the name of the function, apart from fl_loop_free().
 *
 * Any number of loops may exist, one at a time running on a thread, each always on the thread that first ran it. Functions that
 * take a loop are for that thread, unless they say otherwise. In a forked child a loop is not there: what can fail
 * returns -EOWNERDEAD, and free gives back what is the child's.
 */
typedef struct fl_loop fl_loop;

typedef struct fl_loop_config {
	size_t stack_size; /* bytes of each fiber, with 16 KiB of guard; 0: 128 KiB */
} fl_loop_config;

/*
 * Makes a loop, runs `function(arg)` as its first fiber, and returns what that returned. Before that it cancels all fibers that
 * are left, and waits for them, and for what fl_to_thread() has begun. Blocks the calling thread.
 * Also returns, without having called it: -EBUSY in a fiber or a callback of a loop, -ENOMEM, -EMFILE, -ENFILE, -ENOTSUP (the
 * thread has a shadow stack), -ENOSYS (a sandbox forbids eventfd()).
 */
FL_API FL_MUST_CHECK int fl_loop_run(fl_fiber_function *function, void *arg);

/*
 * Makes a loop that does not run. `config` may be NULL. Never waits. Returns 0, -ENOMEM, -EMFILE,
 * -ENFILE, -ENOTSUP, -ENOSYS (as fl_loop_run()).
 */
FL_API FL_MUST_CHECK int fl_loop_create(fl_loop **l, const fl_loop_config *config);

/*
 * As fl_loop_run, on a loop of the caller's, which can run again after that. -EBUSY also on another thread than before. Also
 * returns -EOWNERDEAD.
 */
FL_API FL_MUST_CHECK int fl_loop_run_on(fl_loop *l, fl_fiber_function *function, void *arg);

/*
 * Frees a loop that does not run: makes the calls that are pending, cancels its fibers, runs until they have ended, and makes the
 * calls that they asked for meanwhile; what those ask for is not called any more. Its watches and timers are forgotten. By the
 * thread that ran it. NULL does nothing. Panics in a fiber or a callback of any loop, and on another thread than before.
 */
FL_API void fl_loop_free(fl_loop *l);

/* The loop that the calling thread runs; NULL: none. Any thread may call it. Never waits. */
FL_API fl_loop *fl_loop_current(void);

/* Cancels every fiber that the loop has now. Any thread may call it, while the loop exists. Never waits. */
FL_API void fl_loop_cancel(fl_loop *l);

typedef void fl_loop_callback(void *arg);

/*
 * Has the loop call `function(arg)` in a later turn, in the order of these calls. Any thread may call it, while the loop exists.
 * Memory order: the callback sees what was written before. Never waits. Returns 0, -ENOMEM, -EOWNERDEAD.
 */
FL_API FL_MUST_CHECK int fl_loop_post(fl_loop *l, fl_loop_callback *function, void *arg);

/*
 * A timer: calls `function(arg)` once, at `deadline` or soon after; of several with the same deadline first the one that was
 * started first. All-zero is one that is not started. The callback may start it again, and free its memory. It must not move
 * while it is started.
 */
typedef struct fl_loop_timer {
	int64_t heap_[5];
	fl_loop_callback *function_;
	void *arg_;
} fl_loop_timer;

/* Starts it; one that is started gets the new deadline. FL_FOREVER: never. Never waits. */
FL_API void fl_loop_timer_start(fl_loop *l, fl_loop_timer *t, int64_t deadline, fl_loop_callback *function, void *arg);

/* Stops it, if it is started. Never waits. */
FL_API void fl_loop_timer_cancel(fl_loop *l, fl_loop_timer *t);

/*
 * A watch: calls back for as long as a descriptor is ready (level-triggered), with what it is ready for. All-zero is one that
 * is not started. The callback may change and stop it, and free its memory. It must not move while it is started, and must be
 * stopped before its descriptor is closed.
 */
enum {
	FL_LOOP_IN = 1 << 0,  /* there is something to read, a connection to accept, the end, or an error */
	FL_LOOP_OUT = 1 << 1, /* there is room to write, the connection stands, or there is an error */
	FL_LOOP_ERR =
	    1 << 2, /* an error, or the other side has gone: always reported, with those that were asked for */
};
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
 * Starts `w`, which is not started. `events`: FL_LOOP_IN, FL_LOOP_OUT, both or 0. Never waits. Returns 0; -EEXIST: the loop
 * watches this descriptor already (dup() makes another); -EPERM: it is a file, and always ready; -EBADF; -EINVAL (other events);
 * -ENOMEM; -ENOSPC (the user's limit of watched descriptors); -EOWNERDEAD.
 */
FL_API FL_MUST_CHECK int fl_loop_watch_start(fl_loop *l, fl_loop_watch *w, int fd, unsigned events,
                                             fl_loop_watch_callback *function, void *arg);

/* Other events, from the next turn on. Never waits. Returns 0, -EINVAL (other events, or not started), -ENOMEM, -EOWNERDEAD. */
FL_API FL_MUST_CHECK int fl_loop_watch_change(fl_loop_watch *w, unsigned events);

/* Stops it, if it is started: it will not be called again. Never waits. */
FL_API void fl_loop_watch_stop(fl_loop_watch *w);

/*
 * Embedding in another loop. Whoever runs that waits until the descriptor is readable or the deadline has come, then calls
 * turn, and so on. Turn also gets a new loop to begin. Fibers are started from callbacks: fl_loop_post().
 * Whoever starts a timer between turns calls turn again.
 *
 *     for (;;) {
 *             rc = fl_loop_run_once(l, &deadline);
 *             poll fl_loop_fd(l) for reading, until deadline
 *     }
 */
FL_API int fl_loop_fd(const fl_loop *l);

/*
 * Does what there is to do now, each runnable fiber once, and stores in `*deadline` when to call it again at the latest: 0: at
 * once; FL_FOREVER: when the descriptor is readable. Never waits. Returns
 *
 *   0
 *   -EBUSY       in a fiber or a callback of a loop
 *   -ENOMEM      the loop's first turn or run: no memory for the stack of a signal handler
 *   -EOWNERDEAD  in a forked child
 */
FL_API FL_MUST_CHECK int fl_loop_run_once(fl_loop *l, int64_t *deadline);

static inline void fl__scoped_fl_loop(fl_loop **_l)
{
	fl_loop_free(*_l);
}

FL_END_DECLS

#endif
