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

FL_BEGIN_DECLS

/*
 * A group consists of tasks of an executor and fibers of a loop that are joined together. The first
 * member that fails cancels the others.
 *
 *     FL_SCOPED(fl_group) g = FL_GROUP_INIT(pool);            // joined when the scope ends
 *     for (size_t i = 0; rc == 0 && i < n; i++)               // typed: fetch_group_submit()
 *             rc = fl_group_submit(&g, &fetch, &urls[i], &pages[i]);  // -ECANCELED: a task failed
 *     if (fl_group_join(&g) != 0)                             // FL_ETASK
 *             rc = fl_group_error(&g);                        // the first error
 *
 * A member of a group is a task or a fiber. fl_group_submit() adds a task, and fl_group_start()
 * (fairlead/fiber.h) adds a fiber. Groups may be nested.
 *
 * Life: a group begins with its first submit or start, also one that fails, or with a call of
 * fl_group_token(). From then on it must be joined, by one context, and must not move. After the
 * join it may be used again, unless its deadline has passed. Call fl_group_join() after your last
 * submit or start. Members of the group may still submit and start further members while the join
 * waits. Other fibers of the joining thread may do so, too. The executor of the group must outlive
 * the join, and so must the cancel scope in which the group began. All-zero memory is a group
 * without an executor, which takes only fibers. Only the thread of a loop may start fibers of that
 * loop, and all fibers of the group, until it is joined, must belong to one loop.
 *
 * Failure: a member fails when it ends with an error, with two exceptions. First, if the group's
 * token is requested, a member that ends with -ECANCELED has not failed, and neither has a task
 * that ends because of a deadline. Second, a fiber that was cancelled itself (fl_fiber_cancel(),
 * fl_loop_cancel()) and returns -ECANCELED has not failed. A task that ends with -ECANCELED because
 * its executor was cancelled has failed. The first failure cancels the other members. A second
 * failure is only reported: a task's failure to the log handler, and a fiber's to the error handler
 * (fl_fiber_set_error_handler()). A member that has joined a group of its own should return that
 * group's error (fl_group_error()) and not FL_ETASK, which would be a failure even if a cancel of
 * the outer group has ended the inner one.
 *
 * Cancelling: the group has a cancel token. This token is a child of the cancel scope in which the
 * group began, and the token of each member is a child of the group's token. So a cancel of that
 * scope reaches all members. If a start outside of the loop's fibers began the group, the loop has
 * the place of that scope: fl_loop_cancel() reaches all members. A pending task that was cancelled
 * ends when the executor comes to it.
 *
 * A join on a worker of the group's thread executor runs tasks of the group that this worker has
 * submitted, the newest first, and those of other groups that have begun within the task that
 * joins. When nothing of that is left, the worker counts as blocked (fairlead/blocking.h). Do not
 * join while you hold a mutex that one of these tasks locks.
 *
 * The type of a task may go when a join has returned. A type with a drop hook must exist until the
 * executor has been freed.
 */
typedef struct fl_group {
	fl_cancel_token token_; /* while begun */
	fl_executor *executor_; /* NULL if the group takes fibers alone */
	fl_time deadline_;
	FL__WORD64 uint64_t members_; /* those that have not ended, those since the begin, and a bit */
	const void *host_;            /* the scheduler of the fibers, and its thread */
	const void *thread_;
	size_t failed_number_;         /* the number of the first member that failed */
	const char *failed_type_;      /* the name of the failed task's type; NULL if a fiber has failed */
	uint32_t begun_;               /* the group has a token, and must be joined */
	uint32_t lock_;                /* guards what follows, and the begin */
	int error_;                    /* the error of the first member that failed, until the next begin */
	bool cancelled_;               /* by fl_group_cancel(), since the last join */
	bool cut_;                     /* a member ended because it was cancelled */
	char name_[32];                /* the name of the first member that failed, if it is a fiber */
	char message_[FL_MESSAGE_MAX]; /* of the error */
} fl_group;

/* clang-format off */
/*
 * Initializes a group without members. With `executor` NULL, the group takes only fibers.
 * FL_GROUP_INIT_UNTIL also gives the group a deadline. When it passes, the members are cancelled,
 * and the group accepts no further members.
 */
#define FL_GROUP_INIT(executor) FL__GROUP_INIT(executor, 0)
#define FL_GROUP_INIT_UNTIL(executor, deadline) FL__GROUP_INIT(executor, (deadline).ns)
#define FL__GROUP_INIT(executor, ns)                                                                                   \
	{ FL_CANCEL_TOKEN_INIT, (executor), { ns }, 0, NULL, NULL, 0, NULL, 0, 0, 0, 0, 0, { 0 }, { 0 } }
/* clang-format on */

/*
 * Submits a task to the group's executor, as a member of the group. If the task succeeds, or keeps
 * its result (fl_task_keep_result()), `*result` has the result before a join returns. The result is
 * then the caller's, and no drop hook runs. In all other cases `*result` is unchanged. `result` may
 * be NULL. In that case a result of the task is dropped.
 *
 * fl_group_submit_with() submits the task under the conditions of `config`, whose fields mean:
 *   deadline          The deadline of this task, beside the group's. A task that this deadline ends
 *                     has failed with -ETIMEDOUT, so the group cancels its other members.
 *   cancel            It must be NULL. The group's token cancels the task.
 *   backlog_deadline  The deadline of the wait for a full backlog. The group's token ends this
 *                     wait, too.
 *   on_end            A function that is called with the task's future after `*result` was set. A
 *                     join returns only after the callback has returned, and the joiner sees what
 *                     the callback wrote. The callback must neither free the future nor join.
 *
 * The calls return without waiting for the task, except where fl_executor_submit() would wait or
 * would run the task itself. They panic if the group has no executor. Returns:
 *   0           the task is a member of the group
 *   -ECANCELED  the group was cancelled, a member has failed, or the group's deadline has passed;
 *               or the scope in which the group began was requested
 *   -ETIMEDOUT  only fl_group_submit_with(): the backlog was full until `backlog_deadline`
 *   -EINVAL     only fl_group_submit_with(): `cancel` is not NULL
 *   -ENOMEM     out of memory
 *   other       an error of fl_executor_submit(), with the meaning that it has there
 *
 * On an error the argument is still the caller's.
 */
FL_API FL_MUST_CHECK int fl_group_submit(fl_group *g, const fl_task_type *type, const void *arg, void *result);
FL_API FL_MUST_CHECK int fl_group_submit_with(fl_group *g, const fl_task_type *type, const void *arg, void *result,
                                              const fl_submit_config *config);

/*
 * Waits until every member has ended, and ends the group. It blocks the calling context. If the
 * caller is cancelled, the members are cancelled, and the join still waits for them. Returns:
 *   0         joined: no member has failed; also if fl_group_cancel() was called, or there were no
 *             members
 *   FL_ETASK  joined: a member has failed, or a cancel or a deadline has ended members early;
 *             fl_group_error() says which, and fl_perror() prints it
 *   -EDEADLK  not joined: the wait would never end. The caller is a member of the group, or runs
 *             within one, or its scope descends from the group's token; or members are fibers of a
 *             loop on this thread, or tasks of an executor that runs them on this thread, and the
 *             caller is neither a fiber of that loop nor a task of that executor
 *   -EOWNERDEAD  not joined: the executor is that of the parent, in a forked child
 *
 * Memory order: the caller sees what the members wrote before they ended.
 */
FL_API FL_MUST_CHECK int fl_group_join(fl_group *g);

/*
 * Does what fl_group_join() does, but gives up when `deadline` has passed, or `cancel` (NULL: the
 * caller's scope) is requested. The members then run on, and the group must be joined again. If the
 * join itself runs a task, it does not give up before the task has ended.
 *
 *     while ((rc = fl_group_join_until(&g, fl_after(FL_MS(50)), NULL)) == -ETIMEDOUT)
 *             show_progress(fl_group_count(&g));
 *
 * Returns:
 *   0           joined, as fl_group_join()
 *   FL_ETASK    joined, as fl_group_join()
 *   -EDEADLK    not joined, as fl_group_join()
 *   -ETIMEDOUT  not joined: the deadline has passed
 *   -ECANCELED  not joined: the token was requested. While members are left, another call with that
 *               token gives up at once, too
 */
FL_API FL_MUST_CHECK int fl_group_join_until(fl_group *g, fl_time deadline, fl_cancel_token *cancel);

/*
 * Joins the group if no member is left. It never waits, and runs no task. Returns:
 *   0         joined, as fl_group_join()
 *   FL_ETASK  joined, as fl_group_join()
 *   -EAGAIN   not joined: members are left
 */
FL_API FL_MUST_CHECK int fl_group_try_join(fl_group *g);

/*
 * Cancels all members. No member can be added until the group has been joined. The join then
 * returns 0, unless a member fails. Any thread may call this function until a join has returned.
 */
FL_API void fl_group_cancel(fl_group *g);

/*
 * Returns how many members have not ended. A member that is submitted, starts or ends during the
 * call may be counted or not.
 *
 * Memory order: after the result 0, the caller sees what the members wrote before they ended.
 */
FL_API size_t fl_group_count(const fl_group *g);

/*
 * These four say why a join has returned FL_ETASK, and also, before that, which member has failed.
 * Their results are valid until the group begins again: by a submit, a start or fl_group_token().
 *
 * fl_group_error() returns the error of the first member that failed. If none has failed, but
 * members were ended early, it returns -ETIMEDOUT if the group's deadline had passed, and
 * -ECANCELED otherwise. Else it returns 0.
 *
 * fl_group_message() returns the message of that member or, if it has set none, the text of the
 * error. It returns NULL if there is no error.
 *
 * fl_group_failed_name() returns the name of that member: the name of the fiber, or of the task's
 * type, which must still exist. It returns NULL if no member has failed.
 *
 * fl_group_failed_index() returns the index of that member, or SIZE_MAX if no member has failed.
 * Members are counted from 0, in the order of their submits and starts since the last join. A
 * submit or start that returned an error is counted, too, unless the error was -EINVAL or -ENOTSUP.
 */
FL_API int fl_group_error(const fl_group *g);
FL_API const char *fl_group_message(const fl_group *g);
FL_API const char *fl_group_failed_name(const fl_group *g);
FL_API size_t fl_group_failed_index(const fl_group *g);

/*
 * Returns the group's cancel token. Use it for waits that must end when a member fails or the group
 * is cancelled. The call begins the group, so that the group must be joined afterwards. You may
 * make the token the scope of the calling context (fl_cancel_scope_set()). The join then makes the
 * parent of the token the scope again. The token is valid until the join.
 */
FL_API fl_cancel_token *fl_group_token(fl_group *g);

/*
 * Joins `g`, at the end of the scope of an FL_SCOPED variable. If a member has failed and no join
 * has returned the error, it reports the error in the way of a second failure ("Failure" at
 * fl_group). It panics if fl_group_join() would return -EDEADLK.
 */
FL_API void fl_group_destroy(fl_group *g);

/*
 * FL_ON_GROUP(&g) is an object for FL_WAIT_ANY(). It is ready while no member is left. A wait for
 * it runs no task.
 */
#define FL_ON_GROUP(g) FL__ON(fl__on_group, (g))
FL_API extern const fl_on_type fl__on_group;

static inline void fl__scoped_fl_group(fl_group *_g)
{
	fl_group_destroy(_g);
}

FL_END_DECLS

#endif
