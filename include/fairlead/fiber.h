/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_FIBER_H
#define FAIRLEAD_FIBER_H

#include <errno.h>
#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/time.h>
#include <fairlead/wait_any.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

FL_BEGIN_DECLS

/*
 * Fibers: the tasks of an event loop. Straight-line code with a stack of its own, which takes turns
 * with the others on the loop's thread, and gives way wherever it waits: for a lock, a queue, a
 * future, a stream, a time. Nothing else interrupts it.
 *
 *     static int download(void *url) { ... return 0; }
 *
 *     FL_SCOPED(fl_fiber) *f = NULL;                          // cancelled and joined when the scope ends
 *     rc = fl_fiber_start(&f, download, url, NULL);           // check
 *     rc = fl_fiber_join(f, &result);                         // check
 *     f = NULL;
 *
 * Everything in the library that blocks "the calling context" suspends a fiber, not its thread.
 * errno, the cancel scope and locals (fl_local) belong to the fiber. What belongs to the thread is
 * shared with all others on it: the signal mask, pthread mutexes (one that is held across a wait
 * may hang them all), thread-local variables. A system call that blocks, and a long computation,
 * hold up the whole loop: see fl_to_thread().
 *
 * Each fiber has a cancel token, its first scope. fl_fiber_cancel() requests it, and every wait of
 * the fiber then answers -ECANCELED, until it returns.
 *
 * Every fiber that is started is joined, freed or detached, once; or it belongs to a group, which
 * starts it (fairlead/group.h). Functions that take a fiber are for the thread of its loop, unless
 * they say otherwise. Limits: a stack of 116 KiB, of which a page or two are touched at first; an
 * overflow is a panic with the fiber's name.
 */
typedef struct fl_fiber fl_fiber;

typedef int fl_fiber_function(void *arg); /* 0, or an error */

typedef struct fl_fiber_config {
	const char *name; /* copied, 31 characters; NULL: "fiber" */
} fl_fiber_config;

/*
 * Starts a fiber on the loop that the calling thread runs: `function(arg)` begins in a later turn,
 * after those that were started before. `config` may be NULL. Its token is a child of the loop's:
 * not of the caller's scope. Never waits. Returns 0, -ENOMEM, -ENOTSUP when the thread runs no
 * loop.
 */
FL_API FL_MUST_CHECK int fl_fiber_start(fl_fiber **f, fl_fiber_function *function, void *arg,
                                        const fl_fiber_config *config);

/*
 * Waits until the fiber has ended, stores what it returned in `*result` (may be NULL), and frees
 * it. Blocks the calling fiber. Observes its cancel scope: a join that is cancelled leaves the
 * fiber running. One joiner at a time: the second panics. Returns 0; -ECANCELED (it can be joined
 * again); -EDEADLK from the fiber itself, and from outside of the loop's fibers while it runs.
 */
FL_INLINE FL_MUST_CHECK int fl_fiber_join(fl_fiber *f, int *result);

/* As fl_fiber_join; never waits: -EBUSY while it runs. */
FL_INLINE FL_MUST_CHECK int fl_fiber_try_join(fl_fiber *f, int *result);

/* As fl_fiber_join; also returns -ETIMEDOUT (it can be joined again). */
FL_API FL_MUST_CHECK int fl_fiber_join_until(fl_fiber *f, int *result, int64_t deadline, fl_cancel_token *cancel);

/* Asks it to end: requests its token. Any thread may call it while the fiber was not joined. Never waits. */
FL_API void fl_fiber_cancel(fl_fiber *f);

/*
 * Lets it run on alone: it is freed at its end, and an error of its goes to the error handler.
 * Panics while somebody joins it. Never waits.
 */
FL_API void fl_fiber_detach(fl_fiber *f);

/*
 * Cancels it, and waits for its end, whatever the caller's own scope; what it returned is lost.
 * NULL does nothing. Panics in the fiber itself, and outside of the loop's fibers while it runs:
 * that would never end.
 */
FL_API void fl_fiber_free(fl_fiber *f);

/* Whether it runs, or will. Never waits. */
FL_API bool fl_fiber_is_alive(const fl_fiber *f);

/* Valid as long as the fiber. Never waits. */
FL_API const char *fl_fiber_name(const fl_fiber *f);

/* The calling fiber; NULL outside of fibers, and in those that serve a loop. Never waits. */
FL_API fl_fiber *fl_fiber_current(void);

/* Lets the other runnable fibers run first. Outside of fibers it does nothing. Unlike fl_sleep(0) it observes no cancel. */
FL_API void fl_fiber_yield(void);

/*
 * Called when a fiber has ended with an error that no join tells: the fiber was detached, or
 * another member of its group had failed before. Then the loop's thread calls the handler. An error
 * that no join of the group has told is told by fl_group_destroy(), on its thread. -ECANCELED
 * counts as an error when the fiber was not cancelled.
 */
typedef void fl_fiber_error_handler(const char *name, int error);

/*
 * Replaces the error handler; NULL brings back the default, which logs. Returns the handler that
 * was replaced. Any thread may call it. Never waits.
 */
FL_API fl_fiber_error_handler *fl_fiber_set_error_handler(fl_fiber_error_handler *handler);

/* For fl_wait_any, by fibers of the same loop: ready when it has ended. */
#define FL_ON_FIBER(f) FL__ON(fl__on_fiber, (f))
FL_API extern const fl_on_type fl__on_fiber;

static inline void fl__scoped_fl_fiber(fl_fiber **_f)
{
	fl_fiber_free(*_f);
}

/*
 * Runs `function(arg)` in a fiber that the caller's cancel does not reach, waits for its end, and
 * stores what it returned in `*result` (may be NULL). When the caller is cancelled it does not wait
 * any more; the function goes on, as a detached fiber does: so `arg` must not be on the caller's
 * stack. The end of the loop cancels the function. Blocks the calling fiber. Observes its cancel
 * scope. Returns 0, or:
 *
 *   -ECANCELED   the function goes on
 *   -ENOMEM      the function was not called
 *   -ENOTSUP     outside of a loop's fibers: the function was not called
 */
FL_INLINE FL_MUST_CHECK int fl_shield(fl_fiber_function *function, void *arg, int *result);

/* As fl_shield; also returns -ETIMEDOUT: the function goes on. */
FL_API FL_MUST_CHECK int fl_shield_until(fl_fiber_function *function, void *arg, int *result, int64_t deadline,
                                         fl_cancel_token *cancel);

/* The inline functions. */

FL_INLINE int fl_shield(fl_fiber_function *_function, void *_arg, int *_result)
{
	return fl_shield_until(_function, _arg, _result, FL_FOREVER, NULL);
}

FL_INLINE int fl_fiber_join(fl_fiber *_f, int *_result)
{
	return fl_fiber_join_until(_f, _result, FL_FOREVER, NULL);
}

FL_INLINE int fl_fiber_try_join(fl_fiber *_f, int *_result)
{
	return fl_fiber_is_alive(_f) ? -EBUSY : fl_fiber_join_until(_f, _result, 0, FL_SHIELDED);
}

FL_END_DECLS

#endif
