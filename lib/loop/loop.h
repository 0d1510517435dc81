/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "core/base/timer_heap.h"
#include "core/wait/cancel.h"
#include "fiber/scheduler.h"
#include "to_thread.h"
#include <fairlead/executor.h>
#include <fairlead/loop.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

/*
 * An event loop is a scheduler of fibers that sleeps in an epoll, the poller, while no fiber is
 * runnable. An iteration polls for events, which wake fibers, then checks the timers, and then lets
 * each runnable fiber run. The loop's own fiber, callback_fiber, runs the callbacks of calls,
 * timers and watches. Callbacks may wait.
 */

/* Embedded in the object that gets the events. `fire` may free that object. */
struct fl__poller_source {
	void (*fire)(void *source, uint32_t events);
};

enum { FL__LOOP_EVENTS = 256 };

struct fl_loop {
	struct fl__sched *sched;
	struct fl__fiber *callback_fiber;
	struct fl__post *calls, *calls_last; /* posted by fl_loop_post(), in FIFO order */
	fl_loop_watch *fired, *fired_last;   /* watches with pending callbacks: loop_callbacks.c */
	/* true while callback_fiber runs callbacks, or one of them waits */
	bool calling;
	bool held_up;     /* true if the loop has polled while a callback waited */
	int poller, bell; /* an epoll, and an eventfd that wakes the thread */
	struct fl__poller_source on_bell;
	bool rung; /* true if `bell` ended this sleep */
	/*
	 * true between two calls of fl_loop_run_once() while no fiber is runnable: then a wake
	 * rings `bell` for the host
	 */
	bool armed;
	bool ending;
	unsigned batch; /* the number of switches before the next poll */
	/* the time of the last poll with runnable fibers; 0 if the loop has slept since */
	int64_t polled;
	struct fl__timers timers;
	int64_t firing;               /* the time, while timers are fired; otherwise 0 */
	fl_cancel_token root;         /* the parent of the tokens of fibers with a handle */
	struct fl_fiber *all;         /* the fibers that have not ended, newest first */
	struct fl__loop_debug *debug; /* NULL while it is off (loop_debug.h) */
	/* NULL before the first use (to_thread.h) */
	fl_executor *threads[FL__LOOP_WORKS];
	bool lookup_left;                              /* a caller has given up on a begun lookup */
	struct fl__stream_buffer *spare;               /* a buffer that no stream uses, or NULL */
	struct fl__linger *lingering, *lingering_last; /* the sockets that linger (linger.h) */
	unsigned n_lingering;
	int n_events, next_event; /* the events that are being dispatched */
	struct epoll_event events[FL__LOOP_EVENTS];
};

/*
 * Registers `source` for `events` of `fd`, or changes them. Returns 0, or the error of
 * epoll_ctl(). A removed source gets no more events, not even those that the loop is dispatching.
 */
int fl__loop_add(fl_loop *l, int fd, uint32_t events, struct fl__poller_source *source);
int fl__loop_modify(fl_loop *l, int fd, uint32_t events, struct fl__poller_source *source);
void fl__loop_remove(fl_loop *l, int fd, const struct fl__poller_source *source);

/*
 * Suspends the calling fiber until fl__loop_wake(*waiter), or a spurious wakeup. `*waiter` is NULL,
 * except during the wait. Returns 0, -ETIMEDOUT or -ECANCELED.
 */
int fl__loop_await(struct fl__node **waiter, enum fl__debug_kind kind, const void *object, fl_time deadline,
                   fl_cancel_token *cancel);
static inline void fl__loop_wake(struct fl__node *waiter)
{
	if (waiter)
		/* false if the wait is over, but the fiber has not run yet */
		(void)fl__node_wake(waiter);
}

/*
 * Suspends the calling fiber until one of `n` descriptors has one of its events, or a spurious
 * wakeup. The loop must not watch the descriptors. Returns 0, -ETIMEDOUT, -ECANCELED, or an error
 * of epoll_ctl().
 */
int fl__loop_wait_fds(fl_loop *l, const struct pollfd *fds, unsigned n, enum fl__debug_kind kind, const void *object,
                      fl_time deadline, fl_cancel_token *cancel);

int fl__loop_run_callbacks(void *loop);
void fl__loop_free_calls(fl_loop *l);
/*
 * Returns the deadline of the next timer, or of the next socket that lingers. While callbacks run,
 * the timers do not count.
 */
int64_t fl__loop_next_timer(const fl_loop *l);
/*
 * Resumes callback_fiber if a timer is due. Closes the lingering sockets whose deadline has passed.
 */
void fl__loop_check_timers(fl_loop *l);

/*
 * Returns the calling fiber. Returns NULL if the caller is not a fiber of this loop, or is a
 * callback, because callbacks count as code outside of fibers.
 */
static inline struct fl__fiber *fl__loop_self(const fl_loop *l)
{
	const struct fl__sched *s = fl__sched_current;
	return s == l->sched && s->running != l->callback_fiber ? s->running : NULL;
}

/*
 * Frees a loop without calls and without fibers, except a callback_fiber that has ended or never
 * begun.
 */
void fl__loop_discard(fl_loop *l);

/*
 * Returns the loop that the calling thread runs. Returns NULL if there is none, or if the caller
 * `waits` but is not a fiber. In both cases it logs what `function` needs.
 */
fl_loop *fl__loop_needed(bool waits, const char *function);

_Noreturn void fl__loop_missing(const char *function);
static inline void fl__loop_check(const fl_loop *l, const char *function)
{
	if (fl__unlikely(!l))
		fl__loop_missing(function);
}

struct fl_fiber {
	struct fl__fiber in;
	struct fl__own_token token;
	struct fl__post cancel_post; /* the request of another thread to cancel the fiber */
	/* Written under the lock of the token's tree, and read after the token is disowned. */
	bool cancel_posted;
	bool cancel_done; /* true when the loop has taken `cancel_post` */
	fl_loop *loop;
	struct fl_fiber *next, **link; /* the list loop->all */
	uint64_t parent;               /* the id of the context that started the fiber */
	fl_fiber_function *function;
	struct fl_group *group; /* NULL if the fiber is in no group */
	size_t number;
	bool joining; /* true while a context waits in a join of the fiber, to free it */
};

/* Called by the loop's thread. `parent` is the parent of the fiber's token. */
int fl__fiber_start(fl_loop *l, struct fl_fiber **f, fl_fiber_function *function, void *arg, const char *name,
                    fl_cancel_token *parent);

/* Called by the scheduler, after it has published the end of a fiber. */
void fl__fiber_ended(struct fl__fiber *in);
