/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "core/wait/lot.h"
#include <fairlead/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Fibers take turns on their scheduler's thread, each on its own stack. errno, the floating-point
 * control word and fl_local belong to the fiber, the signal mask and pthread mutexes to the thread.
 * Unless a comment says otherwise, only that thread calls a function.
 */
struct fl__sched;
struct fl__fiber;

/*
 * An entry of an inbox. The scheduler's thread calls `function`, which must not wait; the entry
 * stays valid until then. NULL: the entry makes its fiber runnable.
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
	 *   -EINTR      no wake, but the scheduler checks its queues
	 */
	int (*sleep)(struct fl__sched *s, int64_t deadline);
	/*
	 * Any thread calls it once for each sleep that it ends, before or during the sleep. The
	 * scheduler may be gone once `sleep` has returned.
	 */
	void (*wake)(struct fl__sched *s);
	/* As in struct fl__ctx_ops, for the fibers. */
	int (*wait_fds)(struct fl__sched *s, const struct pollfd *fds, unsigned n, fl_time deadline,
	                fl_cancel_token *cancel);
};

struct fl__sched_config {
	size_t stack_size; /* of each fiber, with its guard; 0: FL__STACK_SIZE */
	size_t fiber_size; /* of a struct that begins with a struct fl__fiber */
	/* Called on the fiber's stack after its end is published. Must not wait. */
	void (*ended)(struct fl__fiber *f);
	const struct fl__sched_ops *ops;
	void *user;
};

/* Returns 0; -ENOMEM; -ENOTSUP: the thread has a shadow stack. */
int fl__sched_create(struct fl__sched **s, const struct fl__sched_config *config);

/* Every fiber has been freed. */
void fl__sched_destroy(struct fl__sched *s);

/*
 * Between enter and leave the thread runs the scheduler. Returns
 *   0
 *   -ENOMEM
 *   -EALREADY    this thread runs a scheduler
 *   -EPERM       another thread has run `s`
 *   -EOWNERDEAD  in a forked child of the process that created `s`
 */
int fl__sched_enter(struct fl__sched *s);
void fl__sched_leave(struct fl__sched *s);

/*
 * Takes the inbox, checks deadlines, then runs as many fibers as are runnable, or `runs` if that
 * is more. True: a fiber is runnable now.
 */
bool fl__sched_turn(struct fl__sched *s, size_t runs);

/* Sleeps until a wake or a deadline. False: a fiber is runnable, or a wake is pending. */
bool fl__sched_sleep(struct fl__sched *s, int64_t deadline);

/*
 * For a caller that sleeps by its own means. Arm returns false where fl__sched_sleep() does.
 * Between arm and disarm a wake calls ops->wake(), once. Unless the caller was `woken`, disarm
 * waits for a wake on its way.
 */
bool fl__sched_arm(struct fl__sched *s);
void fl__sched_disarm(struct fl__sched *s, bool woken);

/* Any thread. */
void fl__sched_post(struct fl__sched *s, struct fl__post *post);

void fl__sched_take_inbox(struct fl__sched *s);

/* FL__NEVER: none */
int64_t fl__sched_next_deadline(const struct fl__sched *s);

bool fl__sched_is_forked(const struct fl__sched *s);

/* A later turn calls function(arg). `name` is cut at 31 bytes; NULL: "fiber". 0 or -ENOMEM. */
int fl__fiber_create(struct fl__sched *s, struct fl__fiber **f, int (*function)(void *arg), void *arg,
                     const char *name);

/*
 * Waits for the fiber's end. Unless it has ended, the caller is another fiber of its scheduler. One
 * waiter at a time. Returns 0; -ETIMEDOUT, -ECANCELED: the fiber runs on.
 */
int fl__fiber_wait(struct fl__fiber *f, fl_time deadline, fl_cancel_token *cancel);

/* It has ended, or never begun. */
void fl__fiber_free(struct fl__fiber *f);

void fl__fiber_yield(void);

/* Suspends the calling fiber until a resume, which may come first. */
void fl__fiber_suspend(void);

/* Ends the current or the next suspend of `f`, once. `f` runs next, in the current turn. */
void fl__fiber_resume(struct fl__fiber *f);

/* Calls function(arg), which must not wait or switch, on the stack of `f`. False: not begun. */
bool fl__fiber_visit(struct fl__fiber *f, void (*function)(void *arg), void *arg);
const char *fl__fiber_state(const struct fl__fiber *f); /* "runs", "waits", ... */

/* Any thread may call it. NULL: the caller is no fiber. */
struct fl__fiber *fl__fiber_self(void);

/* Arm: as in fl_on_type. */
bool fl__fiber_has_ended(const struct fl__fiber *f);
bool fl__fiber_arm(struct fl__fiber *f, struct fl__node *node);
