/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_TIMER_H
#define FAIRLEAD_TIMER_H

#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/time.h>
#include <stddef.h>
#include <stdint.h>

FL_BEGIN_DECLS

/*
 * Timer: calls a function later, once or again and again. As Python's threading.Timer, but one thread serves all, and no memory
 * is allocated for a timer. Those of an event loop are in fairlead/loop.h.
 *
 *     static void remind(void *whom) { ... }
 *
 *     FL_SCOPED(fl_timer) t = FL_TIMER_INIT;                              // cancelled and joined when the scope ends
 *     rc = fl_timer_start(&t, fl_after(FL_S(5)), remind, whom);           // once; check
 *     rc = fl_timer_cancel(&t);                                           // or not at all
 *     rc = fl_timer_start_every(&t, fl_after(0), FL_S(60), remind, whom); // now, and each minute
 *
 * Functions are called one after the other, by their deadlines, with equal ones in the order of the starts; a deadline that has
 * passed counts as now. They run on a thread of the library's, named "timers": it starts with the first timer, takes no signals,
 * sleeps until there is something to call, and ends when it has found no timer for ten seconds. So a function that takes long
 * delays the others. It had better submit a task:
 *
 *     static void due(void *arg) { if (fl_submit(pool, &refresh, arg, NULL) != 0) ... }
 *
 * No lock of the library is held meanwhile: a function may lock, wait, and start, cancel and destroy timers, its own too, whose memory
 * it may free unless it is to be called again. It returns: neither longjmp nor pthread_exit. It observes no cancel scope.
 *
 * Memory order: a call sees what was written before the start; who has waited for its end sees what it wrote.
 * Fork: the child has no timers. There each is as one that was not started.
 * Exit: a process does not wait for its timers (fl_timer_join() does); those that are pending then
 * are not called. Those whose code is unloaded (dlclose) have to be stopped before; the thread then
 * ends with the library.
 */
typedef void fl_timer_callback(void *arg);

typedef struct fl_timer {
	int64_t heap_[5];
	int64_t period_; /* 0: once */
	uint64_t missed_;
	fl_timer_callback *function_;
	void *arg_;
	uint32_t fork_, start_;
} fl_timer;

/* clang-format off */
#define FL_TIMER_INIT { { 0, 0, 0, 0, 0 }, 0, 0, 0, 0, 0, 0 }
/* clang-format on */

/* Makes `t` a timer that is not started; so is one that is all-zero. Requires that nobody uses it. Never waits. */
FL_INLINE void fl_timer_init(fl_timer *t);

/* Returns 0 when `t` is neither pending nor running, and its memory may go; else -EBUSY. Never waits. */
FL_INLINE FL_MUST_CHECK int fl_timer_destroy(fl_timer *t);

/*
 * Has `function(arg)` called once, at `deadline` or soon after; FL_FOREVER: never, but it is pending. `t` stays where it is until
 * the call has begun, or it was cancelled. It may be started again as soon as its function is called. Never waits, apart from other
 * calls of this header. Returns 0; -EBUSY: it is pending; -ECANCELED: in its own function, after another context has
 * cancelled it; -EAGAIN: the thread cannot be started, or the process exits; -ENOMEM: there is no memory for the thread.
 */
FL_API FL_MUST_CHECK int fl_timer_start(fl_timer *t, int64_t deadline, fl_timer_callback *function, void *arg);

/*
 * Has it called at `first`, or now when that has passed, then each `period` ns, until it is cancelled: n * `period` after the first call was due, so that delays do not add up. Calls
 * whose time comes while the thread is busy, with this function or another, are skipped but for the last of them:
 * fl_timer_missed() counts. As fl_timer_start(); -EINVAL: a period of 0 or less. `t` stays where it is until it was cancelled.
 */
FL_API FL_MUST_CHECK int fl_timer_start_every(fl_timer *t, int64_t first, int64_t period, fl_timer_callback *function,
                                              void *arg);

/* How many calls of a periodic timer were skipped since its start. Never waits. */
FL_API uint64_t fl_timer_missed(const fl_timer *t);

/*
 * Cancels `t`: no call begins after this has returned, unless `t` is started again. Its function
 * cannot start it again during a call that runs now. Never waits; fl_timer_join() waits for the
 * end of that call. Returns:
 *
 *   0           it was pending, and does not run
 *   -EBUSY      its function runs just now
 *   -EALREADY   neither: it has been called, was cancelled, or was never started
 *
 * In its own function, which may start it again: 0 if it was periodic or started again, else
 * -EALREADY.
 */
FL_API FL_MUST_CHECK int fl_timer_cancel(fl_timer *t);

/*
 * Waits until `t` is neither pending nor running: until it has been called, or was cancelled. It must stay where it is until then.
 * Blocks the calling context. Observes its cancel scope. Returns 0, at once when it was not started; -ECANCELED; -EDEADLK: by a
 * timer's function, which would wait for its own end.
 */
FL_INLINE FL_MUST_CHECK int fl_timer_join(fl_timer *t);

/* As fl_timer_join; never waits: -EBUSY while it is pending or running. */
FL_API FL_MUST_CHECK int fl_timer_try_join(fl_timer *t);

/* As fl_timer_join; also returns -ETIMEDOUT. */
FL_API FL_MUST_CHECK int fl_timer_join_until(fl_timer *t, int64_t deadline, fl_cancel_token *cancel);

static inline void fl__scoped_fl_timer(fl_timer *_t)
{
	FL_IGNORE(fl_timer_cancel(_t));
	FL_IGNORE(fl_timer_join_until(_t, FL_FOREVER, FL_SHIELDED)); /* a scope is not its own function's */
}

/* The inline functions. */

FL_INLINE void fl_timer_init(fl_timer *_t)
{
	const fl_timer _value = FL_TIMER_INIT;
	*_t = _value;
}

FL_INLINE int fl_timer_destroy(fl_timer *_t)
{
	return fl_timer_try_join(_t);
}

FL_INLINE int fl_timer_join(fl_timer *_t)
{
	return fl_timer_join_until(_t, FL_FOREVER, NULL);
}

FL_END_DECLS

#endif
