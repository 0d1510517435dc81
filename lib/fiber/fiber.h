/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_FIBER_FIBER_H
#define FL_FIBER_FIBER_H

#include "../wait/lot.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Fibers: flows of control with a stack each, which take turns on the thread of their scheduler and never leave it. A fiber
 * is an execution context: whatever waits in the library suspends the fiber, not the thread, and a wake may come from any
 * thread. errno, the floating-point control word and the locals (fl_local) belong to the fiber. The signal mask and
 * pthread mutexes belong to the thread: a fiber that waits while it holds one of those may hang the others.
 *
 *     struct fl__sched *s;
 *     struct fl__fiber *f;
 *     rc = fl__sched_create(&s, NULL);
 *     rc = fl__fiber_create(s, &f, echo, arg, "echo");
 *     rc = fl__sched_run(s);                          // until every fiber has ended
 *     rc = fl__fiber_join(f, &result, FL_FOREVER, NULL);
 *     fl__sched_destroy(s);
 *
 * All of it, fl__fiber_resume() apart, is for one thread: the one that runs the scheduler. A stack that overflows is a
 * panic with the fiber's name; see overflow.c.
 */
struct fl__sched;
struct fl__fiber;

/* How a scheduler waits when no fiber is runnable. */
struct fl__sched_ops {
	/*
	 * Sleeps until a wake(): 0. At the deadline, without one: -ETIMEDOUT; it may be called again. May also return -EINTR,
	 * and so make the scheduler look at its queues, when there is no wake. Acquires what wake() released.
	 */
	int (*sleep)(struct fl__sched *s, int64_t deadline);
	/*
	 * Once for each sleep that somebody interrupts, from any thread, before or during the sleep. The scheduler may be
	 * gone as soon as this has published the wake.
	 */
	void (*wake)(struct fl__sched *s);
	/* As in struct fl__ctx_ops, for its fibers. NULL: there is none. */
	int (*wait_fd)(struct fl__sched *s, int fd, short events, int64_t deadline, fl_cancel *cancel);
};

struct fl__sched_config {
	size_t stack_size; /* of each fiber, with 16 KiB of guard; 0: FL__STACK_SIZE */
	size_t extra;      /* bytes beside each fiber, zeroed: fl__fiber_extra() */
	/* Called by each fiber as its last act: what floors above keep for a context (fl__locals_end). NULL: nothing. */
	void (*ending)(struct fl__ctx *ctx);
	/* Called when the end of a fiber was published, still on its stack: must not wait. NULL: nothing. */
	void (*ended)(void *extra);
	const struct fl__sched_ops *ops; /* NULL: the thread parks as it does everywhere else */
	void *user;                      /* for `ops`: fl__sched_user() */
};

/* -ENOMEM; -ENOTSUP where the thread has a shadow stack. `config` NULL: all defaults. */
int fl__sched_create(struct fl__sched **s, const struct fl__sched_config *config);

/* Every fiber was joined, or has ended detached; else a panic. */
void fl__sched_destroy(struct fl__sched *s);

/*
 * Runs fibers until all have ended, and sleeps while none is runnable: 0. -EBUSY: this thread is running a scheduler.
 * -EOWNERDEAD: in a forked child, whose fibers stand in lines that are not there.
 */
int fl__sched_run(struct fl__sched *s);

/*
 * The same in pieces, for loops that have more to do. Between enter and leave the thread is the scheduler's; enter answers
 * what run does.
 */
int fl__sched_enter(struct fl__sched *s);
void fl__sched_leave(struct fl__sched *s);

/* Takes in wakes and deadlines, and lets each runnable fiber run once. Whether any is runnable now. */
bool fl__sched_turn(struct fl__sched *s);

/* The same, but few that are runnable run several times, up to `most` in all, before it comes back to the thread's own stack. */
bool fl__sched_spell(struct fl__sched *s, size_t most);

/* Sleeps until a wake, a fiber's deadline, or this one; not at all, and false, when there is something to do. */
bool fl__sched_sleep(struct fl__sched *s, int64_t deadline);

/*
 * The same in two pieces, for who is put to sleep by others. From arm on, which answers false when there is something to do,
 * a wake calls ops->wake(), once; disarm ends that, before the next turn, and waits by ops->sleep() for one that is on its way,
 * unless it is `woken` already.
 */
bool fl__sched_arm(struct fl__sched *s);
void fl__sched_disarm(struct fl__sched *s, bool woken);

/* When the next fiber's wait times out: FL_FOREVER: none waits for that. */
int64_t fl__sched_next_deadline(const struct fl__sched *s);

bool fl__sched_is_runnable(const struct fl__sched *s); /* whether any fiber is */
size_t fl__sched_fibers(const struct fl__sched *s);    /* that have not ended */
bool fl__sched_is_forked(const struct fl__sched *s);   /* whether it is the parent's, in a forked child */
bool fl__sched_is_of_here(const struct fl__sched *s);  /* whether this thread runs `s`, or ran it */
void *fl__sched_user(const struct fl__sched *s);
const struct fl__sched_ops *fl__sched_ops(const struct fl__sched *s);

/* The scheduler that the calling thread runs: between enter and leave; NULL: none. */
struct fl__sched *fl__sched_here(void);

/* function(arg) will run in a later turn: 0, -ENOMEM. `name` is copied and cut at 31 bytes; NULL: "fiber". */
int fl__fiber_create(struct fl__sched *s, struct fl__fiber **f, int (*function)(void *arg), void *arg,
                     const char *name);

/*
 * Waits for the end of the fiber and frees it: 0, and what its function returned in `result`, unless that is NULL.
 * -ETIMEDOUT, -ECANCELED: it goes on, and can be joined again. -EDEADLK: the caller's own, or one that runs only after
 * the caller, which is no fiber of this scheduler. One joiner at a time.
 */
int fl__fiber_join(struct fl__fiber *f, int *result, int64_t deadline, fl_cancel *cancel);

/* The pieces of a join: the wait, as above; what its function returned; and what frees it. */
int fl__fiber_wait(struct fl__fiber *f, int64_t deadline, fl_cancel *cancel);
int fl__fiber_result(const struct fl__fiber *f);
void fl__fiber_free(struct fl__fiber *f);

/* It is freed at its end. */
void fl__fiber_detach(struct fl__fiber *f);

/* Lets the other runnable fibers run first. By a fiber. */
void fl__fiber_yield(void);

/* Suspends the calling fiber until a resume, which may come first: 0, -ETIMEDOUT. Acquires what the resume released. */
int fl__fiber_suspend(int64_t deadline);

/* Ends the suspend of `f`, this one or the next; several before it count as one. By any thread, while `f` exists. */
void fl__fiber_resume(struct fl__fiber *f);

/*
 * The same by the scheduler's thread, which alone resumes `f`: `f` runs before all fibers that are
 * runnable now, and still in the current turn, if there is one.
 */
void fl__fiber_resume_first(struct fl__fiber *f);

/*
 * For reports. Visit: calls function(arg) on the stack of `f`, which is of the same scheduler and goes on being where it was; the
 * function neither waits nor switches. False, and no call, when `f` has not begun.
 */
bool fl__fiber_visit(struct fl__fiber *f, void (*function)(void *arg), void *arg);
const char *fl__fiber_state(const struct fl__fiber *f); /* "runs", "waits", ... */

/* Has `observe` called before each switch, from and to NULL for the thread's own flow; NULL: no more. It does not switch. */
void fl__sched_observe(struct fl__sched *s,
                       void (*observe)(struct fl__sched *s, struct fl__fiber *from, struct fl__fiber *to));

struct fl__fiber *fl__fiber_self(void); /* NULL: the caller is no fiber */
const char *fl__fiber_name(const struct fl__fiber *f);
struct fl__ctx *fl__fiber_ctx(struct fl__fiber *f);
struct fl__sched *fl__fiber_sched(const struct fl__fiber *f);

/* By the scheduler's thread. Arm: as of fl_on_type, for its fibers: `node` waits for the end. */
bool fl__fiber_has_ended(const struct fl__fiber *f);
bool fl__fiber_arm(struct fl__fiber *f, struct fl__node *node);

/* The memory that the scheduler's config asks for, aligned as pointers are; and back. Valid for as long as the fiber. */
void *fl__fiber_extra(struct fl__fiber *f);
struct fl__fiber *fl__fiber_of_extra(void *extra);

#endif
