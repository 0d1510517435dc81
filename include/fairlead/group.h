/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_GROUP_H
#define FAIRLEAD_GROUP_H

#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/executor.h>
#include <fairlead/future.h>
#include <fairlead/task_type.h>
#include <fairlead/time.h>
#include <fairlead/wait_any.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

FL_BEGIN_DECLS

/*
 * Group: tasks of an executor, of any kind, that begin and end together. Whoever leaves the group's scope has waited for them all;
 * the first that fails cancels the others. (For functions that run as fibers of a loop there is fairlead/tasks.h.)
 *
 *     FL_SCOPED(fl_group) g = FL_GROUP_INIT(pool);                    // joined when the scope ends
 *     for (size_t i = 0; i < n; i++)
 *             rc = fl_group_submit(&g, &fetch, &urls[i], &pages[i]);  // check; typed: fetch_group_submit(&g, urls[i], &pages[i])
 *     rc = fl_group_join(&g);                                         // 0, or the first error
 *     if (rc != 0 && fl_group_message(&g))
 *             fprintf(stderr, "%s: %s\n", urls[fl_group_failed_index(&g)].text, fl_group_message(&g));
 *
 * The group has a cancel token, a child of the scope of whoever submits its first task: a cancel of that one reaches all its
 * tasks, running ones through their contexts (fl_task_is_cancelled), and those that have not started end without. So groups
 * nest: a task has a group of its own, which ends with it. A task that returns -ECANCELED after the group was cancelled
 * has not failed. One that fails after another has, is reported to the log handler.
 *
 * Who joins from a worker of the executor runs those of the group's tasks that have not started, newest first, and no others; it
 * sleeps while all that are left run elsewhere, and looks again when one of them submits more. So nested groups need
 * no free worker. Such a task may be called by the join, on its stack and thread: do not join with a mutex locked that one of them locks.
 *
 * Memory: a task in the group takes some 250 bytes more than a task of a plain submit, until it has
 * ended. The group itself allocates nothing.
 *
 * A group that has tasks, or had, is joined, once; then it can be used again, but for a deadline that has passed. It must not
 * move until it is joined. Any thread may submit, its tasks may, too; the joins are for one thread at a time, and come after all
 * submits but those of the group's own tasks. Executor and the scope in which it began outlive its join.
 */
typedef struct fl_group {
	fl_cancel_token token_; /* while bound */
	fl_executor *executor_;
	int64_t deadline_;
	size_t number_;        /* of the next submit */
	size_t failed_number_; /* of the first task that failed */
	uint32_t lock_;        /* of all of this, but the token and the atomics */
	uint32_t running_;     /* whether tasks are left, and whether a thread waits for their ends */
	uint32_t still_;       /* whether a join found no task to run, and whether it sleeps */
	int error_;            /* of the first that failed, until the next begin */
	bool bound_;           /* it has a token, and is to be joined */
	bool used_;            /* since then a task was accepted, or the token was given out */
	bool cancelled_;       /* by fl_group_cancel(), since the last join */
	bool cut_;             /* a task ended because it was cancelled */
	bool joining_;
	char message_[FL_MESSAGE_MAX]; /* of the first that failed */
	size_t count_; /* tasks that have not ended, and submits under way; apart from what only submits use */
} fl_group;

/* clang-format off */
/* Without tasks, for those of `executor`; UNTIL: at the deadline they are cancelled, and none is submitted from then on. */
#define FL_GROUP_INIT(executor) FL_GROUP_INIT_UNTIL(executor, FL_FOREVER)
#define FL_GROUP_INIT_UNTIL(executor, deadline)                                                                        \
	{ FL_CANCEL_TOKEN_INIT, (executor), (deadline), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, { 0 }, 0 }
/* clang-format on */

/*
 * Submits a task to the group's executor, as fl_submit(): copies `*arg`. When the task has succeeded,
 * or has failed and kept its result (fl_task_keep_result()), the result is at `*result`, of the type's
 * size, before a join returns; it is the caller's then, and no drop hook runs for it. Otherwise
 * `*result` is untouched. NULL: the result is dropped, or has no size. Never waits, but as fl_submit().
 * Returns 0; -ECANCELED: the group was cancelled, a task has failed, or the deadline has passed; -ENOMEM; or as fl_submit(). On an
 * error nothing was queued and the argument is still the caller's.
 */
FL_API FL_MUST_CHECK int fl_group_submit(fl_group *g, const fl_task_type *type, const void *arg, void *result);

/*
 * As fl_group_submit(), with conditions; `config` may be NULL. Its members:
 *
 *   deadline        of this task, beside the group's. A task that ends as cancelled because of its
 *                   own deadline, or that returns -ECANCELED after its deadline, has failed with
 *                   -ETIMEDOUT: so the group cancels its other tasks.
 *   cancel          NULL: the group's token cancels the task.
 *   room_deadline   A wait for room ends then; in the past: the submit tries once; 0: never. A
 *                   request of the group's token ends the wait, too.
 *   on_end          Called with the task's future, after `*result` was set, and before the task
 *                   counts as ended. So a join returns after the callback, and sees what the
 *                   callback wrote. The callback must not free the future, nor join the group.
 *
 * Returns as fl_group_submit(), and:
 *
 *   -ETIMEDOUT   there was no room until `room_deadline`
 *   -EINVAL      `cancel` is not NULL
 */
FL_API FL_MUST_CHECK int fl_group_submit_with(fl_group *g, const fl_task_type *type, const void *arg, void *result,
                                              const fl_submit_config *config);

/*
 * Waits until every task has ended. When the caller is cancelled meanwhile, so are they, and it still waits. Helps, when
 * called from a worker of the executor. Blocks the calling context.
 * Returns 0, also after fl_group_cancel() or without tasks; the error of the first task that failed, and then fl_group_message()
 * says why; -ETIMEDOUT: the group's deadline passed before all had done their work; -ECANCELED: the caller's scope, or that in which
 * the group began, was requested before; -EDEADLK, and nothing happened: from a task of the group, or where none of those
 * that are left could run; -EOWNERDEAD, and nothing happened: in a forked child.
 * Memory order: what the tasks wrote before they ended is visible to whoever joined.
 */
FL_API FL_MUST_CHECK int fl_group_join(fl_group *g);

/* As fl_group_join; never waits, and does not help: -EBUSY while tasks are left. */
FL_API FL_MUST_CHECK int fl_group_try_join(fl_group *g);

/*
 * As fl_group_join; but -ETIMEDOUT, or -ECANCELED with fl_group_count() above 0, leaves the tasks running: it can be joined
 * again. A task that it helps with is not cut short.
 */
FL_API FL_MUST_CHECK int fl_group_join_until(fl_group *g, int64_t deadline, fl_cancel_token *cancel);

/*
 * Asks all tasks to end, and those that have not started not to; none can be submitted until the group was joined, which then
 * answers 0 unless one fails. Any thread may call it, until a join has returned. Never waits.
 */
FL_API void fl_group_cancel(fl_group *g);

/* How many tasks have not ended. Never waits. */
FL_API size_t fl_group_count(const fl_group *g);

/*
 * Why the first task that failed did: its message (fl_task_fail), or else the text of its error; NULL: none has failed. Also after
 * the join, until the next submit; valid as long. Never waits.
 */
FL_API const char *fl_group_message(fl_group *g);

/*
 * Which it was: counts the calls of fl_group_submit() and fl_group_submit_with() since the last
 * join, from 0. 0 when none has failed. Never waits.
 */
FL_API size_t fl_group_failed_index(fl_group *g);

/*
 * The group's token: for waits of the owner's that are to end when a task fails, or the group is cancelled. As the scope of
 * the calling context it may be left to a join, which ends it. The group is to be joined then, with or without tasks.
 * Valid until the join. Never waits.
 */
FL_API fl_cancel_token *fl_group_token(fl_group *g);

/*
 * Joins `g`, as fl_group_join(); what leaving the scope does. An error of a task that no join has told goes to the log
 * handler. Panics when fl_group_join() would return -EDEADLK. Does nothing in a forked child.
 */
FL_API void fl_group_destroy(fl_group *g);

/* For fl_wait_any: ready while no task is left. Such a wait does not help. */
#define FL_ON_GROUP(g) FL__ON(fl__on_group, (g))
FL_API extern const fl_on_type fl__on_group;

static inline void fl__scoped_fl_group(fl_group *_g)
{
	fl_group_destroy(_g);
}

FL_END_DECLS

#endif
