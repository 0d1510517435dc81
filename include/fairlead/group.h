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
 *     joined = fl_group_join(&g);                             // always: 0, or the first error
 *     if (joined != 0)
 *             rc = joined;
 *
 * A member of a group is a task or a fiber. fl_group_submit() adds a task, and fl_group_start()
 * (fairlead/fiber.h) adds a fiber. Groups may be nested.
 *
 * Life: a group begins with its first submit or start, or with a call of fl_group_token(). From
 * then on it must be joined, exactly once. After the join it may be used again, unless its deadline
 * has passed. The group must not move before the join. Call fl_group_join() after your last submit
 * or start. Members of the group may still submit and start further members while the join waits.
 * Other fibers of the joining thread may do so, too. The executor of the group must outlive the
 * join, and so must the cancel scope in which the group began. All-zero memory is a group without
 * an executor, which takes only fibers. Only the thread of a loop may start fibers of that loop,
 * and all fibers of the group that run at one time must belong to one loop.
 *
 * Failure: a member fails when it ends with an error, with two exceptions. First, if the group's
 * token is requested, a member that ends with -ECANCELED has not failed, and neither has a task
 * that ends because of a deadline. Second, a fiber that was cancelled itself (fl_fiber_cancel(),
 * fl_loop_cancel()) and returns -ECANCELED has not failed. A task that ends with -ECANCELED because
 * its executor was cancelled has failed. The first failure cancels the other members, and the join
 * returns it. A second failure is only reported: a task's failure to the log handler, and a fiber's
 * to the error handler (fl_fiber_set_error_handler()).
 *
 * Cancelling: the group has a cancel token. This token is a child of the cancel scope in which the
 * group began, and the token of each member is a child of the group's token. So a cancel of that
 * scope reaches all members. If a start outside of the loop's fibers began the group, the loop has
 * the place of that scope: fl_loop_cancel() reaches all members.
 *
 * A join on a worker of the group's executor runs the group's tasks that have not started, the
 * newest first, and no other tasks. Do not join while you hold a mutex that a task of the group
 * locks.
 *
 * Memory: until the join, a group keeps the task blocks (fl_thread_executor_create()) of some tasks
 * that have ended, but not their arguments and results that do not fit a block. From time to time a
 * submit makes a sweep, which frees the blocks of the tasks that have ended. A sweep is due as soon
 * as the number of members that were added since the last sweep has reached the number of tasks
 * that have not ended. A submit that comes 32 members after the last check checks whether a sweep
 * is due, unless its task has ended within the call. Results are dropped as early as with
 * fl_submit(). A worker may still read the type of a task when a join has returned, so the type
 * must exist until the executor has been freed.
 */
typedef struct fl_group {
	fl_cancel_token token_; /* while begun */
	fl_executor *executor_; /* NULL if the group takes fibers alone */
	fl_time deadline_;
	size_t failed_number_; /* the number of the first member that failed */
	size_t fibers_;        /* the fibers that have not ended; written by their loop's thread */
	/* the next three fields: the scheduler, the thread and the fork count of the fibers */
	const void *sched_;
	const void *thread_;
	uint32_t forks_;
	uint32_t lock_; /* guards all fields except the token and the atomics */
	/*
	 * Once the group is closed (see `balance_`), this says whether members are left, and
	 * whether a waiter sleeps.
	 */
	uint32_t running_;
	uint32_t idle_;  /* whether a join found no task to run, and whether it sleeps */
	int error_;      /* the error of the first member that failed, until the next begin */
	bool begun_;     /* the group has a token, and must be joined */
	bool used_;      /* since the begin, an accepted member has ended, or the token was returned */
	bool cancelled_; /* by fl_group_cancel(), since the last join */
	bool cut_;       /* a member ended because it was cancelled */
	bool joining_;
	bool gave_up_;            /* a join gave up or was refused, and none has joined since */
	const char *failed_type_; /* the name of the failed task's type; NULL if a fiber has failed */
	char name_[32];           /* the name of the first member that failed, if it is a fiber */
	/*
	 * Submits write the next four fields. A start writes `entered_`, too, and so does what
	 * closes the group (see `balance_`). A join takes tasks from `listed_`, and at its end
	 * resets all four.
	 */
	size_t entered_;    /* the number of submits and starts since the last join */
	size_t looked_;     /* the member whose submit last checked whether a sweep is due */
	size_t swept_;      /* the member whose submit last freed ended tasks of `listed_` */
	fl_future *listed_; /* a stack of tasks, linked in their blocks */
	/* the message of the first member that failed, or of what ended members early */
	char message_[FL_MESSAGE_MAX];
	/*
	 * A join, a wait, or a refused submit or start closes the group (lib/core/exec/group.c).
	 * Until then, this is minus the number of members that have ended. From then on, it is the
	 * number of members left. Both this field and `entered_` count in steps of two: the lowest
	 * bit says whether the group is closed. This field lies apart from the fields that submits
	 * write.
	 */
	size_t balance_;
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
	{ FL_CANCEL_TOKEN_INIT, (executor), { ns },                                                                    \
	  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, { 0 }, 0, 0, 0, 0, { 0 }, 0 }
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
 * The calls return without waiting for the task, except where fl_submit() would wait or would run
 * the task itself. They panic if the group has no executor. Returns:
 *   0           the task is a member of the group
 *   -ECANCELED  the group was cancelled, a member has failed, or the group's deadline has passed;
 *               or the scope in which the group began was requested
 *   -ETIMEDOUT  only fl_group_submit_with(): the backlog was full until `backlog_deadline`
 *   -EINVAL     only fl_group_submit_with(): `cancel` is not NULL
 *   -ENOMEM     out of memory
 *   other       an error of fl_submit(), with the meaning that it has there
 *
 * On an error the argument is still the caller's.
 */
FL_API FL_MUST_CHECK int fl_group_submit(fl_group *g, const fl_task_type *type, const void *arg, void *result);
FL_API FL_MUST_CHECK int fl_group_submit_with(fl_group *g, const fl_task_type *type, const void *arg, void *result,
                                              const fl_submit_config *config);

/*
 * Waits until every member has ended. It blocks the calling context. If the caller is a worker of
 * the group's executor, it runs tasks of the group during the wait. If the caller is cancelled, the
 * members are cancelled, and the join still waits for them. Returns:
 *   0            no member has failed; also if fl_group_cancel() was called, or there were no
 *                members
 *   -ETIMEDOUT   the group's deadline passed before all members had done their work
 *   -ECANCELED   before all members had done their work, the caller's scope or the scope in which
 *                the group began was requested; or fl_executor_cancel(),
 *                fl_executor_cancel_pending() or fl_executor_terminate() ended a task
 *   -EDEADLK     the caller is a member of the group, or runs within one
 *   -EDEADLK     the caller's scope descends from the group's token: it is, for example, the token
 *                of a timeout that began while the group's token was the scope
 *   -EDEADLK     the remaining members are fibers of a loop on this thread, and the caller is no
 *                fiber of that loop
 *   -EDEADLK     the executor runs its tasks on a loop of this thread, and the caller is no task of
 *                it. (Exception: a fiber of the loop may join if the executor was made by
 *                fl_loop_executor_create_on().)
 *   -EOWNERDEAD  in a forked child: members are left, and the executor or the fibers are those of
 *                the parent; nothing happened
 *   other        the error of the first member that failed; fl_group_message() describes it
 *
 * The group is not joined after -EDEADLK and -EOWNERDEAD, unless a member returned that error. To
 * tell the two cases apart, call fl_group_count(): it is above 0 if the group is not joined. If the
 * caller's scope was the reason for -EDEADLK, it stays above 0 until the group is joined. After any
 * other -EDEADLK it falls to 0 when the remaining members have ended, for example because the
 * caller has run their loop. After any other result the group is joined.
 *
 * Memory order: the caller sees what the members wrote before they ended.
 */
FL_API FL_MUST_CHECK int fl_group_join(fl_group *g);

/*
 * Waits until every member has ended, or gives up at a deadline or a cancel. It gives up when
 * `deadline` has passed or `cancel` is requested. The members then run on, and the group must be
 * joined again. It blocks the calling context. If the join itself runs a task, it does not give up
 * before the task has ended.
 *
 *     while ((rc = fl_group_join_until(&g, fl_after(FL_MS(50)), NULL)) == -ETIMEDOUT)
 *             show_progress(fl_group_count(&g));
 *
 * Some results mean that the group is joined, and others that it is not. Returns:
 *   0            joined: no member has failed; also if fl_group_cancel() was called, or there were
 *                no members
 *   FL_ETASK     joined, but the error could be taken for another result: the group's deadline or a
 *                cancel ended members early; or the first member that failed returned -ETIMEDOUT,
 *                -ECANCELED, -EAGAIN, -EDEADLK, -EOWNERDEAD or FL_ETASK. fl_group_message()
 *                describes the error
 *   -ETIMEDOUT   not joined: the deadline of this call has passed
 *   -ECANCELED   not joined: the token of this call, or the caller's scope, was requested. While
 *                members are left, another call with that token gives up at once, too
 *   -EDEADLK     not joined: fl_group_join() would return -EDEADLK, too
 *   -EOWNERDEAD  not joined: fl_group_join() would return -EOWNERDEAD, too; nothing happened
 *   other        joined: the error of the first member that failed
 */
FL_API FL_MUST_CHECK int fl_group_join_until(fl_group *g, fl_time deadline, fl_cancel_token *cancel);

/*
 * Joins the group if no member is left. It never waits, and runs no task. Returns:
 *   0         joined: no member has failed; also if fl_group_cancel() was called, or there were no
 *             members
 *   -EAGAIN   not joined: members are left
 *   FL_ETASK  joined, but the error could be taken for another result, as with
 *             fl_group_join_until(). fl_group_message() describes the error
 *   other     joined: the error of the first member that failed
 */
FL_API FL_MUST_CHECK int fl_group_try_join(fl_group *g);

/*
 * Cancels all members. No member can be added until the group has been joined. The join returns 0,
 * with two exceptions: a member fails; or the scope of the joining context (or the token of
 * fl_group_join_until()) is requested before all members have done their work. Any thread may call
 * this function until a join has returned.
 */
FL_API void fl_group_cancel(fl_group *g);

/*
 * Returns how many members have not ended. A member that is submitted, starts or ends during the
 * call may be counted or not. After a join that gave up, or that returned -EDEADLK because of the
 * caller's scope, the result stays at least 1 until the group is joined; to learn then that the
 * members have ended, wait for FL_ON_GROUP().
 *
 * Memory order: after the result 0, the caller sees what the members wrote before they ended.
 */
FL_API size_t fl_group_count(const fl_group *g);

/*
 * Returns the message of the first member that failed. If the member has set no message, it returns
 * the text of its error. If no member has failed, it returns NULL, with one exception: after a join
 * that returned FL_ETASK, it returns the text of what ended members early. The result is valid
 * until the group begins again: by a submit, a start or fl_group_token().
 */
FL_API const char *fl_group_message(const fl_group *g);

/*
 * Returns the name of the first member that failed: the name of the fiber, or of the task's type,
 * which must still exist. If no member has failed, it returns NULL. The result is valid until the
 * group begins again: by a submit, a start or fl_group_token().
 */
FL_API const char *fl_group_failed_name(const fl_group *g);

/*
 * Returns the index of the first member that failed, or SIZE_MAX if no member has failed. Members
 * are counted from 0, in the order of their submits and starts since the last join. A submit or start
 * that returned an error is counted, too, except a start on a thread that runs no loop.
 */
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
 * fl_group). It panics if fl_group_join() would return -EDEADLK. It does nothing if fl_group_join()
 * would return -EOWNERDEAD.
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
