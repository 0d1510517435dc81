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
 * A group consists of tasks and fibers that are joined together. The first that fails cancels the
 * others.
 *
 *     FL_SCOPED(fl_group) g = FL_GROUP_INIT(pool);            // joined when the scope ends
 *     for (size_t i = 0; rc == 0 && i < n; i++)               // the typed fl_group_submit()
 *             rc = fetch_group_submit(&g, urls[i], &pages[i]);        // -ECANCELED: a task failed
 *     if (fl_group_join(&g) != 0)                             // FL_ETASK
 *             rc = fl_group_error(&g);                        // the first error
 *
 * fl_group_submit() adds a task as a member, and fl_group_start() (fairlead/fiber.h) a fiber. All
 * fibers of a group belong to one loop, on whose thread they are started. Groups may be nested.
 *
 * Life: a group begins with its first submit or start, even one that fails, or with
 * fl_group_token(). From then on it must not move. One context must join it, after its own last
 * submit or start; members, and other fibers of the joining thread, may add members while the join
 * waits. After the join the group may be used again, unless its deadline has passed. Its executor,
 * its task types, and the cancel scope in which it began must outlive the join; a task type with a
 * drop hook must outlive the executor. All-zero memory is a group without an executor.
 *
 * Failure: a member fails if it ends with an error, but not if it returns -ECANCELED after the
 * group, or the fiber itself, was cancelled. The first failure cancels the other members. Later
 * failures only go to the log handler (tasks) or to fl_fiber_set_error_handler(). A task that ends
 * with -ECANCELED because its executor was cancelled has failed. If a member joins a group of its
 * own, it should return fl_group_error() of that group, because FL_ETASK counts as a failure even
 * after a cancel.
 *
 * Cancelling: a cancel of the scope in which the group began reaches all members.
 */
typedef struct fl_group {
	fl_cancel_token token_;
	fl_executor *executor_;
	fl_time deadline_;
	FL__WORD64 uint64_t members_;
	const void *host_;
	const void *thread_;
	size_t failed_number_;
	const char *failed_type_;
	uint32_t begun_;
	uint32_t lock_;
	int error_;
	bool cancelled_;
	bool cut_;
	char name_[32];
	char message_[FL_MESSAGE_MAX];
} fl_group;

/* clang-format off */
/*
 * A group without members. With `executor` NULL, it takes only fibers. The deadline of
 * FL_GROUP_INIT_UNTIL cancels the members that are left, and then the group accepts no others.
 */
#define FL_GROUP_INIT(executor) FL__GROUP_INIT(executor, 0)
#define FL_GROUP_INIT_UNTIL(executor, deadline) FL__GROUP_INIT(executor, (deadline).ns)
#define FL__GROUP_INIT(executor, ns)                                                                                   \
	{ FL_CANCEL_TOKEN_INIT, (executor), { ns }, 0, NULL, NULL, 0, NULL, 0, 0, 0, 0, 0, { 0 }, { 0 } }
/* clang-format on */

/*
 * Submits a task to the group's executor, as a member of the group. If the task succeeds, or keeps
 * its result (fl_task_keep_result()), the result is in `*result` when a join returns, and is yours.
 * Otherwise `*result` is unchanged. With `result` NULL the result is dropped.
 *
 * In the `config` of fl_group_submit_with():
 *   deadline          is the deadline of this task; a task that it ends fails with -ETIMEDOUT
 *   cancel            must be NULL, because the group's token cancels the task
 *   backlog_deadline  limits the wait for a full backlog, as does the group's token
 *   on_end            is called after `*result` was set, and before a join returns. It must neither
 *                     free the future nor join
 *
 * The calls wait only where fl_executor_submit() would, and panic if the group has no executor.
 * Returns 0, or:
 *   -ECANCELED  the group, or the scope in which it began, was cancelled; a member has failed; or
 *               the group's deadline has passed
 *   -EINVAL     only fl_group_submit_with(): `cancel` is not NULL
 *   -ENOMEM, -ETIMEDOUT, other
 *               an error of fl_executor_submit()
 */
FL_API FL_MUST_CHECK int fl_group_submit(fl_group *g, const fl_task_type *type, const void *arg, void *result);
FL_API FL_MUST_CHECK int fl_group_submit_with(fl_group *g, const fl_task_type *type, const void *arg, void *result,
                                              const fl_submit_config *config);

/*
 * Waits until every member has ended, and ends the group. Blocks the calling context, except
 * fl_group_try_join().
 *
 * If the caller is cancelled, fl_group_join() cancels the members, and still waits for them. If
 * fl_group_join_until() gives up, the members run on, and the group must be joined again.
 *
 *     while ((rc = fl_group_join_until(&g, fl_after(FL_MS(50)), NULL)) == -ETIMEDOUT)
 *             show_progress(fl_group_count(&g));
 *
 * While a worker of the group's thread executor waits in a join, it may run pending tasks, usually
 * members that it has submitted itself. A deadline does not interrupt them, and you must not hold a
 * mutex that such a task locks. Returns:
 *   0                       joined: no member has failed; also after fl_group_cancel(), or without
 *                           members
 *   FL_ETASK                joined: a member has failed, or a cancel or a deadline has ended
 *                           members early: see fl_group_error()
 *   -EAGAIN                 only fl_group_try_join(), not joined: members are left
 *   -ETIMEDOUT, -ECANCELED  only fl_group_join_until(): not joined
 *   -EDEADLK                not joined: the wait would never end, because the caller runs within a
 *                           member; because its cancel scope descends from the group's token; or
 *                           because members need this thread for their loop or executor
 *   -EOWNERDEAD             not joined: in a forked child, the executor is the parent's
 *
 * Memory order: after a join, the caller sees what the members wrote.
 */
FL_API FL_MUST_CHECK int fl_group_join(fl_group *g);
FL_API FL_MUST_CHECK int fl_group_join_until(fl_group *g, fl_time deadline, fl_cancel_token *cancel);
FL_API FL_MUST_CHECK int fl_group_try_join(fl_group *g);

/*
 * Cancels all members. Until the join, none can be added. The join then returns 0, unless a member
 * fails.
 */
FL_API void fl_group_cancel(fl_group *g);

/* Returns how many members have not ended. If it is 0, the caller sees what they wrote. */
FL_API size_t fl_group_count(const fl_group *g);

/*
 * These say why a join has returned FL_ETASK or, before a join, which member has failed. The
 * results are valid until the group begins again.
 *
 * fl_group_error() returns the error of the first member that failed, or 0. If members were only
 * ended early, it is -ETIMEDOUT after the group's deadline, and otherwise -ECANCELED.
 * fl_group_message() returns that member's message, or the text of the error; NULL without an
 * error.
 *
 * fl_group_failed_name() returns the name of the failed fiber or task type, which must still exist;
 * or NULL. fl_group_failed_index() returns the index of the failed member, or SIZE_MAX. Submits and
 * starts since the last join are counted from 0, including refused ones, unless the error was
 * -EINVAL or -ENOTSUP.
 */
FL_API int fl_group_error(const fl_group *g);
FL_API const char *fl_group_message(const fl_group *g);
FL_API const char *fl_group_failed_name(const fl_group *g);
FL_API size_t fl_group_failed_index(const fl_group *g);

/*
 * Returns the group's cancel token, for waits that must end when a member fails or the group is
 * cancelled. It is valid until the join. The call begins the group, so you must join it. If the
 * token is the calling context's scope, the join makes its parent the scope again.
 */
FL_API fl_cancel_token *fl_group_token(fl_group *g);

/*
 * Joins `g`, at the end of the block of an FL_SCOPED variable. A failure that no join has returned
 * goes where later failures go ("Failure" above). Panics where fl_group_join() returns -EDEADLK.
 */
FL_API void fl_group_destroy(fl_group *g);

/* FL_ON_GROUP(&g) is an object for FL_WAIT_ANY(), ready while no member is left. */
#define FL_ON_GROUP(g) FL__ON(fl__on_group, (g))
FL_API extern const fl_on_type fl__on_group;

static inline void fl__scoped_fl_group(fl_group *_g)
{
	fl_group_destroy(_g);
}

FL_END_DECLS

#endif
