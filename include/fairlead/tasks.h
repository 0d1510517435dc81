/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_TASKS_H
#define FAIRLEAD_TASKS_H

#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/fiber.h>
#include <fairlead/time.h>
#include <fairlead/wait_any.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

FL_BEGIN_DECLS

/*
 * Task group: fibers that begin and end together. Whoever leaves the group's scope has waited for them all; the first that
 * fails cancels the others.
 *
 *     FL_SCOPED(fl_tasks) g = FL_TASKS_INIT;                  // joined when the scope ends
 *     for (size_t i = 0; i < n; i++)
 *             rc = fl_tasks_start(&g, download, &urls[i]);    // check
 *     rc = fl_tasks_join(&g);                                 // 0, or the first error
 *     if (rc != 0 && fl_tasks_failed(&g))
 *             fprintf(stderr, "%s: %s\n", fl_tasks_failed(&g), fl_error_text(rc));
 *
 * The group has a cancel token, a child of the scope of whoever starts its first child: a cancel of that one reaches all
 * children. Each child has a token of its own under it. A child that returns -ECANCELED after it was cancelled has not failed.
 * One that fails after another has, tells the error handler (fl_fiber_set_error_handler).
 *
 * A group that has children, or had, is joined, once; then it can be used again. All-zero is one without children. It
 * must not move until it is joined. Its functions are for the thread of its loop, unless they say otherwise; children
 * may start children in their own group. The scope in which it began outlives its join.
 */
typedef struct fl_tasks {
	fl_cancel_token token_; /* while bound */
	struct fl_loop *loop_;
	size_t count_;     /* of children that have not ended */
	uint32_t running_; /* children, and who waits for them */
	uint32_t lock_;    /* of bound_ and cancelled_, which cancel looks at */
	int error_;        /* of the first that failed, until the next start after a join */
	bool bound_;       /* it has a token, and is to be joined */
	bool cancelled_;   /* by fl_tasks_cancel(), since the last join */
	bool cut_;         /* a child ended because it was cancelled */
	bool joining_;
	char failed_[32]; /* the name of that child */
} fl_tasks;

/* clang-format off */
#define FL_TASKS_INIT { FL_CANCEL_TOKEN_INIT, 0, 0, 0, 0, 0, 0, 0, 0, 0, { 0 } }
/* clang-format on */

/*
 * Starts a child: `function(arg)` begins in a later turn, after those that were started before. Never waits.
 * Returns 0; -ECANCELED: the group was cancelled, or a child has failed; -ENOMEM; -ENOTSUP when the thread runs no loop. On an
 * error `arg` is still the caller's. Panics when the group has children on another loop.
 */
FL_INLINE FL_MUST_CHECK int fl_tasks_start(fl_tasks *g, fl_fiber_function *function, void *arg);

/* As fl_tasks_start; `config` may be NULL. */
FL_API FL_MUST_CHECK int fl_tasks_start_with(fl_tasks *g, fl_fiber_function *function, void *arg,
                                             const fl_fiber_config *config);

/*
 * Waits until every child has ended. When the caller is cancelled meanwhile, so are they, and it still waits. Blocks the
 * calling fiber; one at a time.
 * Returns 0, also after fl_tasks_cancel() or without children; the error of the first child that failed, and then
 * fl_tasks_failed() is its name; -ECANCELED: the caller's scope was requested before all had done their work; -EDEADLK, and
 * nothing happened: from a child of the group, and outside of the loop's fibers while children are left.
 */
FL_API FL_MUST_CHECK int fl_tasks_join(fl_tasks *g);

/* As fl_tasks_join; never waits: -EBUSY while children are left. */
FL_API FL_MUST_CHECK int fl_tasks_try_join(fl_tasks *g);

/*
 * As fl_tasks_join; but -ETIMEDOUT, or -ECANCELED with fl_tasks_count() above 0, leaves the children running: it can be joined
 * again.
 */
FL_API FL_MUST_CHECK int fl_tasks_join_until(fl_tasks *g, int64_t deadline, fl_cancel_token *cancel);

/*
 * Asks all children to end; none can be started until the group was joined, which then answers 0 unless one fails. Any thread
 * may call it, until a join has returned. Never waits.
 */
FL_API void fl_tasks_cancel(fl_tasks *g);

/* How many children have not ended. Never waits. */
FL_API size_t fl_tasks_count(const fl_tasks *g);

/*
 * The name of the first child that failed; NULL: none has. Also after the join, until the next start; valid as long.
 * Never waits.
 */
FL_API const char *fl_tasks_failed(const fl_tasks *g);

/*
 * The group's token: for waits of the owner's that are to end when a child fails, or the group is cancelled. As the scope of
 * the calling context it may be left to a join, which ends it. The group is to be joined then, with or without children.
 * Valid until the join. Never waits.
 *
 *     while ((rc = fl_queue_get_until(q, &job, FL_FOREVER, fl_tasks_token(&g))) == 0)
 *             rc = fl_tasks_start(&g, work, job);             // check
 */
FL_API fl_cancel_token *fl_tasks_token(fl_tasks *g);

/*
 * Joins `g`, as fl_tasks_join(); what leaving the scope does. An error of a child that no join has told goes to the
 * error handler. Panics when fl_tasks_join() would return -EDEADLK.
 */
FL_API void fl_tasks_destroy(fl_tasks *g);

/* For fl_wait_any, by fibers of the same loop: ready while no child is left. */
#define FL_ON_TASKS(g) FL__ON(fl__on_tasks, (g))
FL_API extern const fl_on_type fl__on_tasks;

static inline void fl__scoped_fl_tasks(fl_tasks *_g)
{
	fl_tasks_destroy(_g);
}

/* What fl_gather() calls. */
typedef struct fl_call {
	fl_fiber_function *function;
	void *arg;
	const char *name; /* of the fiber, copied, 31 characters; NULL: "fiber" */
} fl_call;

/*
 * Runs the `n` functions of `calls`, each in a fiber, waits until all have ended, and stores what they returned in `results`
 * (may be NULL), in the order of `calls`. The first that fails cancels the others. Their scope is a child of the caller's:
 * when that is requested, they are cancelled, too, and waited for. Blocks the calling fiber. n = 0 is 0.
 * Returns 0; the error of the first that failed, in time; -ECANCELED: the caller's scope was requested before all had done
 * their work; -ENOMEM: those that had begun were cancelled, and have ended; -ENOTSUP outside of a loop's fibers: none
 * was called. The result of a function that was cancelled is what it answered to that, and of one that was not called -ECANCELED.
 */
FL_INLINE FL_MUST_CHECK int fl_gather(const fl_call *calls, size_t n, int *results);

/*
 * As fl_gather; at the deadline, and when `cancel` is requested, which stands for the caller's scope, all are cancelled and waited
 * for: -ETIMEDOUT, -ECANCELED, unless one fails.
 */
FL_API FL_MUST_CHECK int fl_gather_until(const fl_call *calls, size_t n, int *results, int64_t deadline,
                                         fl_cancel_token *cancel);

/* As fl_gather; but one that fails cancels nobody: all run to their ends. */
FL_INLINE FL_MUST_CHECK int fl_gather_all(const fl_call *calls, size_t n, int *results);

/* As fl_gather_until; but one that fails cancels nobody. Also returns -ETIMEDOUT, -ECANCELED as that. */
FL_API FL_MUST_CHECK int fl_gather_all_until(const fl_call *calls, size_t n, int *results, int64_t deadline,
                                             fl_cancel_token *cancel);

/*
 * Runs `function(arg)` in a fiber that the caller's cancel does not reach, waits for its end, and stores what it returned in
 * `*result` (may be NULL). When the caller is cancelled it does not wait any more; the function goes on, as a detached
 * fiber does: so `arg` must not be on the caller's stack. The end of the loop cancels it. Blocks the calling fiber. Observes its
 * cancel scope.
 * Returns 0; -ECANCELED: it goes on; -ENOMEM, and -ENOTSUP outside of a loop's fibers: it was not called.
 */
FL_INLINE FL_MUST_CHECK int fl_shield(fl_fiber_function *function, void *arg, int *result);

/* As fl_shield; also returns -ETIMEDOUT: it goes on. */
FL_API FL_MUST_CHECK int fl_shield_until(fl_fiber_function *function, void *arg, int *result, int64_t deadline,
                                         fl_cancel_token *cancel);

/* The inline functions. */

FL_INLINE int fl_shield(fl_fiber_function *_function, void *_arg, int *_result)
{
	return fl_shield_until(_function, _arg, _result, FL_FOREVER, NULL);
}

FL_INLINE int fl_tasks_start(fl_tasks *_g, fl_fiber_function *_function, void *_arg)
{
	return fl_tasks_start_with(_g, _function, _arg, NULL);
}

FL_INLINE int fl_gather(const fl_call *_calls, size_t _n, int *_results)
{
	return fl_gather_until(_calls, _n, _results, FL_FOREVER, NULL);
}

FL_INLINE int fl_gather_all(const fl_call *_calls, size_t _n, int *_results)
{
	return fl_gather_all_until(_calls, _n, _results, FL_FOREVER, NULL);
}

FL_END_DECLS

#endif
