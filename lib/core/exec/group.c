/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Groups: a count of members, a token above the members' tokens, and the first error. A member is a
 * task of the executor, or a fiber of a loop (loop/loop_fiber.c). group_join.c waits for members.
 *
 *   word        meaning                          changed by
 *   begun_      the group has a token            set under `lock_` by the first submit or start, or
 *                                                by fl_group_token(); cleared there by the join
 *   members_    two counts and a bit:
 *     LEFT      the lower half: the members      + MEMBER by a submit or start, before the member
 *               that have not ended, in units    can end; - MEMBER when a member ends
 *               of MEMBER
 *     ENTERED   the upper half: the submits and  + 1 by a submit or start
 *               starts since the group began
 *     WAITER    the lowest bit: a waiter sleeps  set by a waiter, cleared when the last member
 *               until no member is left          ends: both in a transaction of the parking lot
 *   host_,      the scheduler and the thread of  a start: each start stores the same values
 *   thread_     the fibers, since the group
 *               began
 *   the rest                                     under `lock_`
 *
 * When the first member fails, its error is stored in `error_`, its message in `message_`, and the
 * number of its submit or start in `failed_number_`. If the member is a task, `failed_type_` is the
 * name of its type; if it is a fiber, `failed_type_` is NULL, and `name_` is the fiber's name. All
 * these stay until the group begins again. If no member failed, but some were ended early (`cut_`),
 * the join sets `error_`, and `failed_number_` to SIZE_MAX. `cancelled_` says that
 * fl_group_cancel() was called since the last join. `executor_` is NULL if the group takes only
 * fibers.
 *
 * Invariants
 *   1. The end of a member subtracts from LEFT, with release order, after everything else that the
 *      member does. This is its last access to the group's memory: if a waiter sleeps, the
 *      subtraction is part of a transaction of the parking lot, which afterwards needs only the
 *      address. Therefore a context that reads that no member is left sees what the members wrote,
 *      and owns the memory.
 *   2. While a member is left, begun_ is set, and the token exists.
 *
 * The token of a group is a child of the scope where the group began, and the parent of its
 * members' tokens. Thus a cancel or a deadline reaches the running tasks of nested groups. The
 * token of a task that runs in this process is APART (cancel.c): whoever takes the task sees the
 * cancel.
 *
 * No user code runs under `lock_`.
 */
#include "group.h"
#include "../base/error.h"
#include "../base/panic.h"
#include "../base/sys.h"
#include "../hooks.h"
#include "../wait/cancel.h"
#include "../wait/lock.h"
#include "../wait/lot.h"
#include "executor.h"
#include "map.h"
#include <fairlead/error.h>
#include <string.h>

/* Begins the group unless it has begun. If `parent` is NULL, its token is below the scope. */
static FL__NOINLINE void group_begin(fl_group *g, fl_cancel_token *parent)
{
	fl__lock(&g->lock_);
	if (!g->begun_) {
		g->error_ = 0;
		g->message_[0] = '\0';
		g->cut_ = false;
		g->host_ = g->thread_ = NULL;
		/* release: what the members before the last join wrote; pairs with fl__group_left() */
		fl__store_release(&g->members_, 0);
		fl__cancel_init(&g->token_, parent, g->deadline_);
		fl__store_release(&g->begun_, 1); /* release: the token; pairs with fl__group_enter() */
	}
	const bool cancelled = g->cancelled_;
	fl__unlock(&g->lock_);
	if (cancelled)
		fl_cancel_token_request(&g->token_);
}

size_t fl__group_enter(fl_group *g, fl_cancel_token *parent)
{
	if (!fl__load_acquire(&g->begun_)) /* acquire: the token; pairs with group_begin() */
		group_begin(g, parent);
	/* relaxed: whatever publishes the member also publishes this */
	return fl__add_relaxed(&g->members_, ((uint64_t)1 << FL__GROUP_ENTERED) + FL__GROUP_MEMBER) >>
	       FL__GROUP_ENTERED;
}

/* Ends the last member while WAITER is set: a waiter may sleep. */
static FL__NOINLINE void group_leave_last(fl_group *g)
{
	FL__LOT(lot, &g->members_);
	(void)fl__lot_take(&lot, FL__ALL, 0);
	fl__sub_release(&g->members_, (uint64_t)(FL__GROUP_MEMBER | FL__GROUP_WAITER)); /* release: invariant 1 */
}

void fl__group_leave(fl_group *g)
{
	uint64_t seen = fl__load_relaxed(&g->members_); /* relaxed: the CAS below checks it */
	do {
		if ((uint32_t)seen == (FL__GROUP_MEMBER | FL__GROUP_WAITER)) {
			group_leave_last(g);
			return;
		}
	} while (!fl__cas_weak_release(&g->members_, &seen, seen - FL__GROUP_MEMBER)); /* release: invariant 1 */
}

/* Errors. */

static void group_report(const struct fl__group_failure *failure)
{
	if (!failure->type)
		fl__fiber_report_error(failure->fiber, failure->error);
	else
		fl__log(FL_LOG_WARNING, "a task of a group failed after another: %s: %s", fl_error_name(failure->error),
		        failure->text);
}

void fl__group_note_error(fl_group *g, bool cut, const struct fl__group_failure *failure)
{
	fl__lock(&g->lock_);
	const bool first = !cut && g->error_ == 0;
	/* a single fiber that was cancelled does not mean that the group was cut short */
	g->cut_ = g->cut_ || (cut && fl_cancel_token_is_requested(&g->token_));
	if (first) {
		g->error_ = failure->error;
		g->failed_number_ = failure->number;
		g->failed_type_ = failure->type;
		if (!failure->type)
			strncpy(g->name_, failure->fiber, sizeof g->name_ - 1);
		strncpy(g->message_, failure->text, sizeof g->message_ - 1);
	}
	fl__unlock(&g->lock_);
	if (first)
		fl_cancel_token_request(&g->token_);
	else if (!cut)
		group_report(failure);
}

/* Tasks. */

/* This struct is in a task's block, behind the callback. */
struct group_task {
	fl_group *group;
	void *result; /* the caller's, or NULL */
	size_t number;
	fl_future_callback *on_end; /* the caller's, or NULL */
	void *on_end_arg;
};

_Static_assert(sizeof(struct fl__callback) + sizeof(struct group_task) <= FL__TASK_BLOCK_EXTRA_MOST,
               "it fits a block with an allocation");

/* Copies the result to the user's memory, if any. Returns whether the user now owns the result. */
static bool group_copy_result(const struct group_task *task, const fl_future *f)
{
	const void *result = fl_future_result(f);
	if (!task->result || !result)
		return false;
	memcpy(task->result, result, f->type->result_size);
	return true;
}

static void group_note(fl_group *g, const struct group_task *task, const fl_future *f, int error)
{
	const char *message = fl_future_message(f);
	const bool cut = (error == -ECANCELED || fl__future_has_expired(f)) && fl_cancel_token_is_requested(&g->token_);
	const char *text = *message ? message : fl_error_text(error);
	const char *type = f->type->name ? f->type->name : "task";
	fl__group_note_error(g, cut, &(struct fl__group_failure){error, task->number, type, NULL, text});
}

static void group_task_ended(fl_future *f, void *arg)
{
	const struct group_task *task = arg;
	fl_group *g = task->group;
	const int error = fl_future_error(f);
	const bool copied = group_copy_result(task, f);
	if (error != 0)
		group_note(g, task, f, error);
	if (task->on_end)
		task->on_end(f, task->on_end_arg);
	if (copied || !f->type->drop_result)
		fl__chunk_detach_type(f); /* no hook may run, and the type may be gone after the join */
	fl__group_leave(g);
}

fl_group *fl__group_of(fl_future *f)
{
	/* relaxed: REGISTERED never changes, and neither do `call` and the struct behind the callback */
	if (!(fl__load_relaxed(&f->state) & FL__FUTURE_REGISTERED))
		return NULL;
	const struct fl__callback *callback = fl__task_block_callback(fl__task_block_of(f));
	const struct group_task *task = (const struct group_task *)(const void *)(callback + 1);
	return callback->call == group_task_ended ? task->group : NULL;
}

static int group_submit(const char *function, fl_group *g, const fl_task_type *type, const void *arg, void *result,
                        const fl_submit_config *wanted)
{
	fl__executor_check(g->executor_, function);
	fl_submit_config config = *FL__OR_DEFAULTS(wanted);
	if (config.cancel)
		return -EINVAL; /* the parent of a task's token must be the group's token */
	struct group_task task = {g, result, fl__group_enter(g, NULL), config.on_end, config.on_end_arg};
	config.cancel = &g->token_;
	config.on_end = group_task_ended;
	config.on_end_arg = &task;
	int rc = -ECANCELED;
	if (!fl_cancel_token_is_requested(&g->token_))
		rc = fl__submit(g->executor_, type, arg, 1, NULL, &config, sizeof task);
	if (rc != 0)
		fl__group_leave(g);
	return rc;
}

int fl_group_submit(fl_group *g, const fl_task_type *type, const void *arg, void *result)
{
	return group_submit("fl_group_submit", g, type, arg, result, NULL);
}

int fl_group_submit_with(fl_group *g, const fl_task_type *type, const void *arg, void *result,
                         const fl_submit_config *config)
{
	return group_submit("fl_group_submit_with", g, type, arg, result, config);
}

/* The interface. */

void fl_group_cancel(fl_group *g)
{
	struct fl__cancel_calls calls = {NULL, NULL};
	{
		FL__LOCKED(&g->lock_);
		g->cancelled_ = true;
		if (g->begun_)
			fl__cancel_request_begin(&g->token_, &calls);
	}
	fl__cancel_call(&calls);
}

fl_cancel_token *fl_group_token(fl_group *g)
{
	group_begin(g, NULL);
	return &g->token_;
}

size_t fl_group_count(const fl_group *g)
{
	return fl__group_left(g);
}

int fl_group_error(const fl_group *g)
{
	FL__LOCKED(FL__MUTABLE(&g->lock_));
	return g->error_;
}

const char *fl_group_message(const fl_group *g)
{
	FL__LOCKED(FL__MUTABLE(&g->lock_));
	return g->message_[0] ? g->message_ : NULL;
}

const char *fl_group_failed_name(const fl_group *g)
{
	FL__LOCKED(FL__MUTABLE(&g->lock_));
	if (g->error_ == 0 || g->failed_number_ == SIZE_MAX)
		return NULL;
	return g->failed_type_ ? g->failed_type_ : g->name_;
}

size_t fl_group_failed_index(const fl_group *g)
{
	FL__LOCKED(FL__MUTABLE(&g->lock_));
	return g->error_ != 0 ? g->failed_number_ : SIZE_MAX;
}
