/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "core/wait/lot.h"
#include <fairlead/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Fibers run one at a time on their scheduler's thread, each on its own stack. errno, the
 * floating-point control word and fl_local belong to the fiber; the signal mask and pthread mutexes
 * belong to the thread. Unless a comment says otherwise, only the scheduler's thread may call a
 * function.
 */
struct fl__sched;
struct fl__fiber;

/*
 * An entry of an inbox. The scheduler's thread calls `function`, which must not wait; the entry
 * stays valid until then. If `function` is NULL, the entry makes its fiber runnable.
 */
struct fl__post {
	struct fl__post *next;
	void (*function)(struct fl__post *post);
};

struct fl__sched_ops {
	/*
	 * Sleeps until a wake(). Acquires what wake() released. Returns
	 *   0
	 *   -ETIMEDOUT  the deadline passed without a wake; the scheduler may call sleep again
	 *   -EINTR      there was no wake, but the scheduler must check its queues
	 */
	int (*sleep)(struct fl__sched *s, int64_t deadline);
	/*
	 * Any thread may call it, before or during the sleep, once for each sleep that it ends.
	 * Once `sleep` has returned, the scheduler may be gone.
	 */
	void (*wake)(struct fl__sched *s);
	/* Waits for descriptors, for the wait_fds() of the fibers' struct fl__ctx_ops. */
	int (*wait_fds)(struct fl__sched *s, const struct pollfd *fds, unsigned n, fl_time deadline,
	                fl_cancel_token *cancel);
};

struct fl__sched_config {
	/* the stack of each fiber, with its guard; 0 stands for FL__STACK_SIZE */
	size_t stack_size;
	size_t fiber_size; /* the size of a struct that begins with a struct fl__fiber */
	/* Called on the fiber's stack after its end is published. Must not wait. */
	void (*ended)(struct fl__fiber *f);
	const struct fl__sched_ops *ops;
	void *user;
};

/* Returns 0; -ENOMEM; or -ENOTSUP if the thread has a shadow stack. */
int fl__sched_create(struct fl__sched **s, const struct fl__sched_config *config);

/* Requires that every fiber has been freed. */
void fl__sched_destroy(struct fl__sched *s);

/*
 * Between enter and leave the thread runs the scheduler. fl__sched_enter() returns
 *   0
 *   -ENOMEM      there is no memory
 *   -EALREADY    this thread runs a scheduler
 *   -EPERM       another thread has run `s`
 */
int fl__sched_enter(struct fl__sched *s);
void fl__sched_leave(struct fl__sched *s);

/*
 * Takes the inbox, checks deadlines, and then runs as many fibers as are runnable, or `runs` if
 * that is more. Returns true if a fiber is runnable now.
 */
bool fl__sched_turn(struct fl__sched *s, size_t runs);

/* Sleeps until a wake or a deadline. Returns false if a fiber is runnable, or a wake is pending. */
bool fl__sched_sleep(struct fl__sched *s, int64_t deadline);

/*
 * For a caller that sleeps by its own means. fl__sched_arm() returns false if a fiber is runnable,
 * or a wake is pending. Between arm and disarm a wake calls ops->wake(), once. If a wake is on its
 * way, fl__sched_disarm() waits for it, unless the caller was `woken`.
 */
bool fl__sched_arm(struct fl__sched *s);
void fl__sched_disarm(struct fl__sched *s, bool woken);

/* Any thread may call it. */
void fl__sched_post(struct fl__sched *s, struct fl__post *post);

void fl__sched_take_inbox(struct fl__sched *s);

/* Returns FL__NEVER if there is no deadline. */
int64_t fl__sched_next_deadline(const struct fl__sched *s);

/*
 * Makes a fiber; fl__sched_turn() calls function(arg) in it later. `name` is cut at 31 bytes, and
 * NULL stands for "fiber". Returns 0 or -ENOMEM.
 */
int fl__fiber_create(struct fl__sched *s, struct fl__fiber **f, int (*function)(void *arg), void *arg,
                     const char *name);

/*
 * Waits for the fiber's end. If the fiber has not ended, the caller must be another fiber of its
 * scheduler, and the only waiter. Returns 0; or -ETIMEDOUT or -ECANCELED, while the fiber runs on.
 */
int fl__fiber_wait(struct fl__fiber *f, fl_time deadline, fl_cancel_token *cancel);

/* Frees a fiber that has ended, or never begun. */
void fl__fiber_free(struct fl__fiber *f);

void fl__fiber_yield(void);

/* Suspends the calling fiber until a resume, which may come first. */
void fl__fiber_suspend(void);

/*
 * Ends the current or the next suspend of `f`, once. If `f` is suspended, it runs next, in the
 * current fl__sched_turn(), or between two turns in the next one.
 */
void fl__fiber_resume(struct fl__fiber *f);

/*
 * Calls function(arg), which must not wait or switch, on the stack of `f`. Returns false if `f`
 * has not begun.
 */
bool fl__fiber_visit(struct fl__fiber *f, void (*function)(void *arg), void *arg);
const char *fl__fiber_state(const struct fl__fiber *f); /* "runs", "waits", ... */

/* Returns the calling fiber, or NULL if the caller is not a fiber. Any thread may call it. */
struct fl__fiber *fl__fiber_self(void);

/* fl__fiber_arm() is the arm() of an fl_on_type. */
bool fl__fiber_has_ended(const struct fl__fiber *f);
bool fl__fiber_arm(struct fl__fiber *f, struct fl__node *node);
