/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_FIBER_FIBER_H
#define FL_FIBER_FIBER_H

#include "../wait/lot.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Fibers: flows of control, each with a stack, which take turns on the thread of their scheduler
 * and never leave it. A fiber is an execution context: a wait in the library suspends the fiber,
 * not the thread, and any thread may wake the fiber. errno, the floating-point control word and the
 * locals (fl_local) belong to the fiber. The signal mask and pthread mutexes belong to the thread:
 * a fiber that waits while it holds a pthread mutex may hang the other fibers.
 *
 *     struct fl__sched *s;
 *     struct fl__fiber *f;
 *     rc = fl__sched_create(&s, NULL);
 *     rc = fl__fiber_create(s, &f, echo, arg, "echo");
 *     rc = fl__sched_run(s);                          // until every fiber has ended
 *     rc = fl__fiber_join(f, &result, FL_FOREVER, NULL);
 *     fl__sched_destroy(s);
 *
 * Only the thread that runs the scheduler calls these functions, except fl__fiber_resume(). A stack
 * overflow is a panic with the fiber's name (overflow.c).
 */
struct fl__sched;
struct fl__fiber;

/* How a scheduler waits when no fiber is runnable. */
struct fl__sched_ops {
	/*
	 * Sleeps until a wake(): 0. -ETIMEDOUT: the deadline passed without one; the scheduler may
	 * call sleep again. -EINTR: no wake, but the scheduler checks its queues. Acquires what
	 * wake() released.
	 */
	int (*sleep)(struct fl__sched *s, int64_t deadline);
	/*
	 * Called once for each sleep that a thread interrupts, by any thread, before or during the
	 * sleep. The scheduler may be gone as soon as the wake is published.
	 */
	void (*wake)(struct fl__sched *s);
	/* As in struct fl__ctx_ops, for the fibers. NULL: there is none. */
	int (*wait_fd)(struct fl__sched *s, int fd, short events, int64_t deadline, fl_cancel_token *cancel);
};

struct fl__sched_config {
	size_t stack_size; /* of each fiber, including 16 KiB of guard; 0: FL__STACK_SIZE */
	size_t extra;      /* bytes beside each fiber, zeroed: fl__fiber_extra() */
	/*
	 * Each fiber calls it last: ends what higher layers keep for a context (fl__locals_end).
	 * NULL: nothing.
	 */
	void (*ending)(struct fl__ctx *ctx);
	/*
	 * Called after the end of a fiber is published, still on its stack. Must not wait. NULL:
	 * nothing.
	 */
	void (*ended)(void *extra);
	const struct fl__sched_ops *ops; /* NULL: the thread parks as in any other wait */
	void *user;                      /* for `ops`: fl__sched_user() */
};

/* 0; -ENOMEM; -ENOTSUP: the thread has a shadow stack. `config` NULL: all defaults. */
int fl__sched_create(struct fl__sched **s, const struct fl__sched_config *config);

/* Panics unless every fiber was joined or has ended detached. */
void fl__sched_destroy(struct fl__sched *s);

/*
 * Runs fibers until all have ended, and sleeps while none is runnable: 0. -ENOMEM. -EBUSY: this
 * thread is running a scheduler, or another thread has run `s`. -EOWNERDEAD: this is a forked child
 * of the process that created `s`.
 */
int fl__sched_run(struct fl__sched *s);

/*
 * The same in pieces, for loops with more to do. Between enter and leave the thread runs the
 * scheduler. Enter returns what run returns.
 */
int fl__sched_enter(struct fl__sched *s);
void fl__sched_leave(struct fl__sched *s);

/*
 * One turn: processes wakes and deadlines, then lets each runnable fiber run once. Returns whether
 * a fiber is runnable now.
 */
bool fl__sched_turn(struct fl__sched *s);

/*
 * The same, but if few fibers are runnable, they run several times, up to `most` runs in all,
 * before the thread's own flow goes on.
 */
bool fl__sched_run_batch(struct fl__sched *s, size_t most);

/*
 * Sleeps until a wake, a fiber's deadline, or `deadline`. Returns false, without sleeping, if there
 * is something to do.
 */
bool fl__sched_sleep(struct fl__sched *s, int64_t deadline);

/*
 * The same in two pieces, for a caller that sleeps by its own means. Arm: false if there is
 * something to do. Between arm and disarm a wake calls ops->wake(), once. The caller disarms before
 * the next turn. If a wake is on its way, disarm waits for it in ops->sleep(), unless it is already
 * `woken`.
 */
bool fl__sched_arm(struct fl__sched *s);
void fl__sched_disarm(struct fl__sched *s, bool woken);

/* The earliest deadline of a fiber's wait; FL_FOREVER: none. */
int64_t fl__sched_next_deadline(const struct fl__sched *s);

bool fl__sched_is_runnable(const struct fl__sched *s); /* whether any fiber is */
size_t fl__sched_fibers(const struct fl__sched *s);    /* that have not ended */
/* whether this is a forked child, and `s` the parent's */
bool fl__sched_is_forked(const struct fl__sched *s);
/* whether this thread runs `s`, or has run it */
bool fl__sched_is_of_this_thread(const struct fl__sched *s);
void *fl__sched_user(const struct fl__sched *s);
const struct fl__sched_ops *fl__sched_ops(const struct fl__sched *s);

/* The scheduler that the calling thread has entered; NULL: none. */
struct fl__sched *fl__sched_here(void);
/* The context of the calling thread, also in a fiber: to be compared. */
const struct fl__ctx *fl__sched_thread(void);

/* Passes an error of a fiber to the error handler (fl_fiber_set_error_handler). */
void fl__fiber_report(const char *name, int error);

/*
 * Creates a fiber that will call function(arg) in a later turn: 0, -ENOMEM. `name` is copied and
 * cut at 31 bytes; NULL: "fiber".
 */
int fl__fiber_create(struct fl__sched *s, struct fl__fiber **f, int (*function)(void *arg), void *arg,
                     const char *name);

/*
 * Waits for the end of the fiber and frees it: 0, with the function's return value in `result`,
 * unless that is NULL. -ETIMEDOUT, -ECANCELED: the fiber runs on, and can be joined again.
 * -EDEADLK: the fiber has not ended, and the caller is that fiber, or no fiber of its scheduler.
 * One joiner at a time.
 */
int fl__fiber_join(struct fl__fiber *f, int *result, int64_t deadline, fl_cancel_token *cancel);

/*
 * The pieces of a join: the wait, as above; the function's return value; the release of the memory.
 */
int fl__fiber_wait(struct fl__fiber *f, int64_t deadline, fl_cancel_token *cancel);
int fl__fiber_result(const struct fl__fiber *f);
void fl__fiber_free(struct fl__fiber *f);

/* The fiber is freed at its end. */
void fl__fiber_detach(struct fl__fiber *f);

/* Called by a fiber: lets the other runnable fibers run first. */
void fl__fiber_yield(void);

/*
 * Suspends the calling fiber until a resume, which may come first: 0, -ETIMEDOUT. Acquires what the
 * resume released.
 */
int fl__fiber_suspend(int64_t deadline);

/*
 * Ends the present or the next suspend of `f`. Several resumes before a suspend count as one. Any
 * thread may call it while `f` exists.
 */
void fl__fiber_resume(struct fl__fiber *f);

/*
 * The same, called by the scheduler's thread, the only thread that resumes `f`. `f` runs before all
 * fibers that are runnable now, and in the current turn, if there is one.
 */
void fl__fiber_resume_first(struct fl__fiber *f);

/*
 * For reports: calls function(arg) on the stack of `f`, a fiber of the same scheduler, which
 * then goes on where it was. The function neither waits nor switches. False: `f` has not begun, and
 * there was no call.
 */
bool fl__fiber_visit(struct fl__fiber *f, void (*function)(void *arg), void *arg);
const char *fl__fiber_state(const struct fl__fiber *f); /* "runs", "waits", ... */

/*
 * Calls `observe` before each switch, with NULL for the thread's own flow. `observe` does not
 * switch. NULL: calls nothing.
 */
void fl__sched_observe(struct fl__sched *s,
                       void (*observe)(struct fl__sched *s, struct fl__fiber *from, struct fl__fiber *to));

struct fl__fiber *fl__fiber_self(void); /* NULL: the caller is no fiber */
const char *fl__fiber_name(const struct fl__fiber *f);
struct fl__ctx *fl__fiber_ctx(struct fl__fiber *f);
struct fl__sched *fl__fiber_sched(const struct fl__fiber *f);

/*
 * Called by the scheduler's thread. Arm: as in fl_on_type, for its fibers; `node` waits for the
 * end.
 */
bool fl__fiber_has_ended(const struct fl__fiber *f);
bool fl__fiber_arm(struct fl__fiber *f, struct fl__node *node);

/*
 * The memory of config.extra, aligned as pointers are, valid as long as the fiber; and back to the
 * fiber.
 */
void *fl__fiber_extra(struct fl__fiber *f);
struct fl__fiber *fl__fiber_of_extra(void *extra);

#endif
