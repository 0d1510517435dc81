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
 * Group: tasks of an executor and fibers of a loop, joined together. The first that fails cancels
 * the others.
 *
 *     FL_SCOPED(fl_group) g = FL_GROUP_INIT(pool);            // joined when the scope ends
 *     for (size_t i = 0; rc == 0 && i < n; i++)               // typed: fetch_group_submit()
 *             rc = fl_group_submit(&g, &fetch, &urls[i], &pages[i]);  // -ECANCELED: a task failed
 *     joined = fl_group_join(&g);                             // always: 0, or the first error
 *     if (joined != 0)
 *             rc = joined;
 *
 * fl_group_start() (fairlead/fiber.h) starts fibers of the group.
 *
 * A member is a task or a fiber of the group. The group has a cancel token, a child of the scope in
 * which its first member begins; each member's token is a child of the group's. So a cancel of that
 * scope reaches all members. Groups nest. A member that returns -ECANCELED after it was cancelled
 * has not failed. A second failure is reported: a task's to the log handler, a fiber's to the error
 * handler (fl_fiber_set_error_handler()).
 *
 * A join on a worker of the executor runs the group's tasks that have not started, newest first,
 * and no other tasks. Do not join with a mutex locked that a task locks.
 *
 * After its first submit or start a group must be joined, exactly once. After the join the group
 * may be used again, unless its deadline has passed. It must not move before the join. Members may
 * submit, too. The thread of a loop starts its fibers; the group's fibers that run at one time
 * belong to one loop. A join comes after all submits and starts except those of members and of the
 * joining thread's other fibers. The executor, and the scope in which the group began, must outlive
 * the join. All-zero is a group without an executor.
 *
 * Until the join, a group keeps the memory of some tasks that have ended. A submit frees what has
 * ended when, since a submit last did so, as many members have entered as tasks are left. Each
 * submit of a task with a large argument or result looks whether that is so, and at least each 32nd
 * of the others, unless its task has ended within it. Results are dropped without that delay, as
 * by fl_submit(). A worker may still read the type of a task when a join has returned: the type
 * must exist until the executor was freed.
 */
typedef struct fl_group {
	fl_cancel_token token_; /* while begun */
	fl_executor *executor_; /* NULL: the group takes fibers alone */
	fl_time deadline_;
	size_t failed_number_; /* of the first member that failed */
	size_t fibers_;        /* that have not ended; written by their loop's thread */
	const void *sched_;    /* of these fibers, as the next two */
	const void *thread_;
	uint32_t forks_;
	uint32_t lock_;    /* guards all fields except the token and the atomics */
	uint32_t running_; /* whether members are left, and whether a waiter sleeps */
	uint32_t idle_;    /* whether a join found no task to run, and whether it sleeps */
	int error_;        /* of the first member that failed, until the next begin */
	bool begun_;       /* it has a token, and must be joined */
	bool used_;        /* since it has begun: a member was accepted, or the token returned */
	bool cancelled_;   /* by fl_group_cancel(), since the last join */
	bool cut_;         /* a member ended because it was cancelled */
	bool joining_;
	bool gave_up_;            /* a join has given up, and none has joined the group since */
	const char *failed_type_; /* of the first that failed: the name of its type; NULL: a fiber */
	char name_[32];           /* of the first that failed, if a fiber */
	/* Written by submits: */
	size_t entered_;               /* members since the last join */
	size_t looked_;                /* the member whose submit last looked at the next field */
	size_t swept_;                 /* the member whose submit last swept it */
	fl_future *listed_;            /* a stack of tasks, linked in their blocks */
	char message_[FL_MESSAGE_MAX]; /* of the first that failed, or of what has cut the group */
	/* Members that have ended, or are left; far from what only submits use. */
	size_t balance_;
} fl_group;

/* clang-format off */
/*
 * A group without members. `executor` NULL: only fibers. With UNTIL, the deadline cancels the
 * members, and the group accepts none after it.
 */
#define FL_GROUP_INIT(executor) FL__GROUP_INIT(executor, 0)
#define FL_GROUP_INIT_UNTIL(executor, deadline) FL__GROUP_INIT(executor, (deadline).ns)
#define FL__GROUP_INIT(executor, ns)                                                                                   \
	{ FL_CANCEL_TOKEN_INIT, (executor), { ns },                                                                    \
	  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, { 0 }, 0, 0, 0, 0, { 0 }, 0 }
/* clang-format on */

/*
 * Submits a task to the group's executor, as fl_submit(). If the task succeeds, or keeps its result
 * (fl_task_keep_result()), `*result` has the result before a join returns; it is the caller's,
 * without a drop hook. Otherwise `*result` is untouched. NULL: the result is dropped, or has no
 * size. Waits as fl_submit(). Panics if the group has no executor. Returns 0, an error of
 * fl_submit(), -ENOMEM, or:
 *   -ECANCELED  the group was cancelled, a member has failed, or the deadline has passed
 *
 * On an error the argument is still the caller's.
 */
FL_API FL_MUST_CHECK int fl_group_submit(fl_group *g, const fl_task_type *type, const void *arg, void *result);

/*
 * As fl_group_submit(), with conditions. Its members:
 *   deadline        of this task, beside the group's. A task that this deadline ends has failed
 *                   with -ETIMEDOUT: the group cancels its other tasks.
 *   cancel          NULL: the group's token cancels the task.
 *   backlog_deadline   As in fl_submit_config; the group's token ends the wait, too.
 *   on_end          Called with the task's future, after `*result` was set; a join returns after
 *                   the callback, and sees what it wrote. The callback must neither free the future
 *                   nor join.
 *
 * Returns as fl_group_submit(), or:
 *   -ETIMEDOUT   there was no room until `backlog_deadline`
 *   -EINVAL      `cancel` is not NULL
 */
FL_API FL_MUST_CHECK int fl_group_submit_with(fl_group *g, const fl_task_type *type, const void *arg, void *result,
                                              const fl_submit_config *config);

/*
 * Waits until every member has ended. A cancel of the caller cancels the members, and the join
 * still waits. A worker of the executor runs tasks of the group. Blocks the calling context.
 * Returns 0, also after fl_group_cancel() or without members; the error of the first member that
 * failed, whose message fl_group_message() returns; or:
 *   -ETIMEDOUT    the group's deadline passed before all had done their work
 *   -ECANCELED    the caller's scope, or the scope in which the group began, was requested before
 *                 all had done their work; or fl_executor_cancel_pending() cancelled a task
 *   -EDEADLK      the caller is a member of the group, or inside of one; or the caller's scope is
 *                 below the group's token, as a timeout is that was begun in that scope; or the
 *                 remaining members are fibers of a loop on the calling thread, and the caller is
 *                 no fiber of it
 *   -EOWNERDEAD   in a forked child; nothing happened
 *
 * After -EDEADLK and -EOWNERDEAD, unless a member returned that error, the group is not joined. Then
 * fl_group_count() is above 0. It stays above 0 until the group is joined, or until the caller runs
 * the loop of the remaining fibers itself. After any other result the group is joined. Memory order:
 * what the members wrote before they ended is visible to the caller.
 */
FL_API FL_MUST_CHECK int fl_group_join(fl_group *g);

/*
 * As fl_group_join(), but gives up when the deadline has passed or the token is requested. The
 * members run on, and the group must be joined again.
 *
 *     while ((rc = fl_group_join_until(&g, fl_after(FL_MS(50)), NULL)) == -ETIMEDOUT)
 *             show_progress(fl_group_count(&g));
 *
 * A join that runs a task does not give up before the task has ended. Returns:
 *   0            joined: as fl_group_join()
 *   -ETIMEDOUT   not joined: the deadline of this call has passed
 *   -ECANCELED   not joined: the token of this call, or the caller's scope, was requested. While
 *                members are left, another call with that token gives up at once, too
 *   -EDEADLK     not joined: as fl_group_join()
 *   -EOWNERDEAD  not joined: as fl_group_join()
 *   FL_ETASK     joined, and fl_group_message() describes the error, which another result could be
 *                taken for: the deadline of the group or a cancel ended members early; or the first
 *                member that failed returned -ETIMEDOUT, -ECANCELED, -EAGAIN, -EDEADLK, -EOWNERDEAD
 *                or FL_ETASK
 *   other        joined: the error of the first member that failed
 */
FL_API FL_MUST_CHECK int fl_group_join_until(fl_group *g, fl_time deadline, fl_cancel_token *cancel);

/*
 * Joins the group if no member is left; runs no task. Returns:
 *   0            joined: as fl_group_join()
 *   -EAGAIN      not joined: members are left
 *   FL_ETASK     joined: as fl_group_join_until()
 *   other        joined: the error of the first member that failed
 */
FL_API FL_MUST_CHECK int fl_group_try_join(fl_group *g);

/*
 * Cancels all members. No member can be added until the group was joined. That join returns 0
 * unless a member fails. Any thread may call this until a join has returned.
 */
FL_API void fl_group_cancel(fl_group *g);

/*
 * Returns the number of members that have not ended. Members that are submitted, start or end during
 * the call may be counted or not. After a join that gave up, or that returned
 * -EDEADLK because of the caller's scope, the count stays at least 1 until the group is joined;
 * FL_ON_GROUP() waits for the end of the members. Memory order: after 0, what the members wrote
 * before they ended is visible to the caller.
 */
FL_API size_t fl_group_count(const fl_group *g);

/*
 * Returns the first failed member's message, or the text of its error. If no member has failed,
 * returns NULL; but after a join that returned FL_ETASK, the text of what ended members early.
 * Valid until the next submit or start.
 */
FL_API const char *fl_group_message(const fl_group *g);

/*
 * The name of the first member that failed: of the fiber, or of the task's type, which must exist.
 * NULL, and valid, as fl_group_message().
 */
FL_API const char *fl_group_failed_name(const fl_group *g);

/* The index, from 0, of the first failed member, by submits and starts since the last join. */
FL_API size_t fl_group_failed_index(const fl_group *g);

/*
 * The group's token: for waits that must end when a member fails, or the group is cancelled. The
 * group must be joined afterwards. If the token is the calling context's scope, a join restores the
 * scope around the group. Valid until the join.
 */
FL_API fl_cancel_token *fl_group_token(fl_group *g);

/*
 * Joins `g`, at the end of the scope of FL_SCOPED. Reports an error that no join has returned, as a
 * second failure. Panics if fl_group_join() would return -EDEADLK. Does nothing in a forked child.
 */
FL_API void fl_group_destroy(fl_group *g);

/* For FL_WAIT_ANY(): ready while no member is left. Such a wait runs no task. */
#define FL_ON_GROUP(g) FL__ON(fl__on_group, (g))
FL_API extern const fl_on_type fl__on_group;

static inline void fl__scoped_fl_group(fl_group *_g)
{
	fl_group_destroy(_g);
}

FL_END_DECLS

#endif
