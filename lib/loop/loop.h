/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_LOOP_LOOP_H
#define FL_LOOP_LOOP_H

#include "../fiber/sched.h"
#include "../fiber/timers.h"
#include "../wait/cancel.h"
#include <fairlead/executor.h>
#include <fairlead/loop.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

/*
 * A loop is a scheduler of fibers whose sleep is a wait for events. One turn: events are taken in, which wakes fibers; then it
 * looks at the timers; then each fiber that is runnable runs. A fiber of the loop's own takes posts
 * from other threads, so that a wake from another thread is one thing: an entry in the scheduler's
 * inbox (lib/fiber/sched.c). This fiber waits for posts alone. A second fiber runs all callbacks of
 * the user: calls, timers, watches. A callback may wait.
 */

/* What an event of the poller belongs to; the first field of that. `fire` may free it. */
struct fl__source {
	void (*fire)(void *source, uint32_t events);
};

/* A post from any thread: in the memory of its sender until `function` is called. */
struct fl__post {
	struct fl__post *next;
	void (*function)(struct fl__post *post);
};

enum { FL__LOOP_EVENTS = 256 };

struct fl_loop {
	struct fl__post *posts; /* the latest first; taken by the caller. Not on a line with what the thread writes */
	char apart[64];
	struct fl__sched *sched;
	struct fl__fiber *caller;            /* takes the posts */
	struct fl__fiber *callbacks;         /* runs the callbacks */
	struct fl__post *calls, *calls_last; /* fl_loop_call(): to be made, in order */
	fl_loop_watch *fired, *fired_last;   /* that are to be called back, in order: callbacks.c */
	bool calling;                        /* the callbacks are under way */
	bool held_up;                        /* the loop has polled while a callback waited */
	int poller, bell;
	struct fl__source on_bell;
	bool rung;      /* the bell, in this wait */
	bool armed;     /* others put the thread to sleep: between turns */
	bool ending;    /* the caller is to end */
	unsigned spell; /* switches between fibers that are made before the next look for events */
	int64_t looked; /* when it last looked for events while fibers were runnable; 0: it has slept since */
	struct fl__timers timers;
	int64_t firing;               /* the time, while timers are fired; else 0 */
	fl_cancel root;               /* of all fibers' tokens */
	struct fl_fiber *all;         /* those that have not ended, the newest first */
	struct fl__loop_debug *debug; /* debug.h; NULL: off */
	fl_executor *threads;         /* threads.h; NULL: none yet */
	uint32_t fork_count;
	/* stream_buffer.c: one that no stream has; NULL: none */
	struct fl__stream_buffer *spare;
	int n_events, next_event; /* those that are being dispatched */
	struct epoll_event events[FL__LOOP_EVENTS];
};

/*
 * Has the poller watch `fd` for `source`: 0, or the error of epoll_ctl(). Removed: none of its events, also of those that are
 * being dispatched, will fire.
 */
int fl__loop_add(fl_loop *l, int fd, uint32_t events, struct fl__source *source);
int fl__loop_modify(fl_loop *l, int fd, uint32_t events, struct fl__source *source);
void fl__loop_remove(fl_loop *l, int fd, const struct fl__source *source);

/*
 * Any thread: has l->caller call post->function(post) on the loop's thread. The function must not
 * wait.
 */
void fl__loop_post(fl_loop *l, struct fl__post *post);

/* callbacks.c. Fire: by its source, has `w` called back with `events`, as far as it asks for them by then; unfire: not any more. */
int fl__loop_call_back(void *loop);
/* Frees those of the list that are of fl_loop_call(); they are not called. */
void fl__loop_free_calls(struct fl__post *posts);
void fl__loop_fire(fl_loop_watch *w, unsigned events);
void fl__loop_unfire(fl_loop_watch *w);
void fl__loop_unmuted(fl_loop_watch *w); /* the poller reports `w` again */
/* watch.c. Has the poller not report `w`, or report it again. */
void fl__loop_watch_mute(fl_loop_watch *w, bool mute);
int64_t fl__loop_next_timer(const fl_loop *l);
void fl__loop_look_at_timers(fl_loop *l); /* has those called back that are due */

/* Whether `f` is one of the loop's own two fibers. In callbacks these count as no fibers. */
static inline bool fl__loop_is_own(const fl_loop *l, const struct fl__fiber *f)
{
	return f == l->caller || f == l->callbacks;
}

/* Whether the loop is the parent's, in a forked child. */
static inline bool fl__loop_is_forked(const fl_loop *l)
{
	return l->fork_count != fl__fork_count;
}

/* The calling fiber, if it is one of this loop's, and may wait; else NULL. */
static inline struct fl__fiber *fl__loop_self(const fl_loop *l)
{
	const struct fl__sched *s = fl__sched_current;
	return s == l->sched && !fl__loop_is_own(l, s->running) ? s->running : NULL;
}

/*
 * Frees a loop that has never run, and has no fibers and no calls, whatever the calling thread runs; or, in a forked child, what
 * is left of any.
 */
void fl__loop_discard(fl_loop *l);

/* Logs that `function` was called elsewhere and needs `what`, one of these. Returns -ENOTSUP. */
#define FL__A_LOOP "a thread that runs an event loop"
#define FL__A_FIBER "a fiber of an event loop"
int fl__loop_needed(const char *function, const char *what);

/* Panics in the name of `function`: its caller passed NULL for a loop. */
_Noreturn void fl__loop_missing(const char *function);
static inline void fl__loop_check(const fl_loop *l, const char *function)
{
	if (__builtin_expect(!l, 0))
		fl__loop_missing(function);
}

/* Between enter and leave the thread runs it. */
int fl__loop_enter(fl_loop *l);
void fl__loop_leave(fl_loop *l);

/* Looks for events, and waits for them if no fiber is runnable; then fires the timers that are due, and lets fibers run. */
void fl__loop_step(fl_loop *l);

/* Cancels all fibers and runs until they have ended. */
void fl__loop_drain(fl_loop *l);

/* tasks: what stands beside each fiber of a loop. */
struct fl_fiber {
	struct fl__own_token token;
	struct fl__post kick; /* of a request by another thread */
	bool kicked; /* it was posted: written under the lock of the token's tree, read when the token was disowned */
	bool kick_done; /* the post was taken */
	fl_loop *loop;
	struct fl_fiber *next, *prev; /* in loop->all */
	uint64_t parent;              /* id of the context that started it */
	fl_fiber_function *function;
	void *arg;
	struct fl_tasks *group; /* NULL: none */
	struct fl__end *ends;   /* ends.h: who waits for its end beside others; NULL: nobody */
	bool detached;
	bool joining; /* a fiber waits to free it */
	/* Called as its last act, with what the function returned, which it may replace; NULL: nothing. */
	int (*ended)(struct fl_fiber *f, int rc);
};

/* As fl_fiber_start(), on `l`, by its thread; its token is a child of `parent`. */
int fl__fiber_start(fl_loop *l, struct fl_fiber **f, fl_fiber_function *function, void *arg, const char *name,
                    fl_cancel *parent);

/* Whether an error is of the fiber's own making: not the answer to its cancel. */
bool fl__fiber_is_failure(const struct fl_fiber *f, int rc);

/* For the scheduler: the end of a fiber of the loop was published. */
void fl__fiber_ended(void *extra);

/* Tells the error hook. */
void fl__fiber_report(const char *name, int error);

#endif
