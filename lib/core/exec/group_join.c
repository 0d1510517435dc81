/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Joins of groups. group.c has the table of a group's words.
 *
 * If a worker of the group's executor joins the group, the join first runs members
 * (thread_pool/help.c). Then it sleeps, and the worker counts as blocked, so that the executor may
 * use another worker for the other members.
 */
#include "../base/atomic.h"
#include "../base/error.h"
#include "../base/panic.h"
#include "../base/sys.h"
#include "../future/failure.h"
#include "../wait/cancel.h"
#include "../wait/lock.h"
#include "../wait/lot.h"
#include "executor.h"
#include "group.h"
#include <fairlead/error.h>
#include <string.h>

static bool group_has_no_member(const void *g)
{
	return fl__group_left(g) == 0;
}

static bool group_on_ready(void *g)
{
	return group_has_no_member(g);
}

static bool group_on_arm(void *group, struct fl__node *node)
{
	fl_group *g = group;
	FL__LOT(lot, &g->members_);
	/* acquire, both: pairs with the releases in fl__group_leave() */
	uint64_t seen = fl__load_acquire(&g->members_);
	do {
		if ((uint32_t)seen / FL__GROUP_MEMBER == 0)
			return false;
	} while (!(seen & FL__GROUP_WAITER) && !fl__cas_weak_acquire(&g->members_, &seen, seen | FL__GROUP_WAITER));
	fl__lot_add(&lot, node);
	return true;
}

const fl_on_type fl__on_group = {group_on_ready, group_on_arm, fl__node_disarm, NULL, true};

static bool group_run_newest(fl_group *g, bool any)
{
	fl_executor *e = g->executor_;
	return e && e->ops->run_newest && fl__run_serves(e) && e->ops->run_newest(e, g, any);
}

static bool group_is_stuck(fl_group *g)
{
	fl_executor *e = g->executor_;
	return e && e->ops->is_stuck && fl__run_serves(e) && e->ops->is_stuck(e);
}

/* Also returns if `*stuck` has become true, because only the caller can run the members. */
static int group_sleep(fl_group *g, fl_time deadline, fl_cancel_token *cancel, bool *stuck)
{
	FL__WAIT(wait, node, FL__DEBUG_GROUP, g);
	if (fl__wait_spin(&wait, group_has_no_member, g, deadline, cancel))
		return 0;
	FL__BLOCKS(deadline);
	*stuck = group_is_stuck(g);
	if (*stuck || !group_on_arm(g, &node))
		return 0;
	const int rc = fl__wait_sleep(&wait, deadline, cancel);
	if (rc != 0)
		fl__lot_leave(&node);
	return rc;
}

/* Returns 0, -ETIMEDOUT or -ECANCELED. `cancel` is not NULL. */
static int group_wait(fl_group *g, fl_time deadline, fl_cancel_token *cancel)
{
	bool stuck = false;
	while (fl__group_left(g) > 0) {
		int rc = fl__is_interrupted(deadline, cancel);
		if (rc == 0 && !group_run_newest(g, stuck))
			rc = group_sleep(g, deadline, cancel, &stuck);
		if (rc != 0)
			return rc;
	}
	return 0;
}

static fl_cancel_token *group_outer_scope(const fl_group *g)
{
	fl_cancel_token *scope = fl_cancel_scope_current();
	if (scope == &g->token_)
		scope = g->token_.parent_;
	return scope ? scope : FL_SHIELDED;
}

/* Ends the group, which has no member left. Returns its error, or 0. */
static int group_end(fl_group *g)
{
	FL__LOCKED(&g->lock_);
	const bool begun = g->begun_, cancelled = g->cancelled_;
	g->cancelled_ = false;
	if (!begun)
		return 0;
	if (g->error_ == 0 && g->cut_ && !cancelled) {
		g->error_ = fl__is_expired(g->deadline_) ? -ETIMEDOUT : -ECANCELED;
		g->failed_number_ = SIZE_MAX;
		strncpy(g->message_, fl_error_text(g->error_), sizeof g->message_ - 1);
	}
	if (fl_cancel_scope_current() == &g->token_)
		(void)fl_cancel_scope_set(g->token_.parent_);
	fl_cancel_token_destroy(&g->token_);
	fl__store_relaxed(&g->begun_, 0); /* relaxed: no other context uses the group now */
	return g->error_;
}

/* Ends the group, and returns the result of the join. */
static int group_joined(fl_group *g)
{
	const int error = group_end(g);
	return error == 0 ? 0 : fl__failure_store(FL__NO_INDEX, error, g->message_);
}

/*
 * Returns whether the calling context is a member, or runs something that a member waits for. This
 * looks at the caller's own token and task, which a shield does not hide.
 */
static bool group_is_member(const fl_group *g)
{
	return fl__cancel_is_under(fl__ctx_get()->own, &g->token_) || fl__run_is_under_token(&g->token_);
}

/*
 * Returns whether a wait by the caller would stop the loop that runs the group's fibers. That is so
 * if the caller runs on the loop's thread, unless it is a fiber of that loop. A callback of the
 * loop, which runs on an internal fiber without a token, must not wait.
 */
static bool group_needs_this_loop(const fl_group *g)
{
	const struct fl__ctx *ctx = fl__ctx_get();
	/* relaxed, both: if the fibers run on this thread, it has stored both itself */

	const bool is_fiber = ctx->own && ctx->host == fl__load_relaxed(&g->host_);
	return fl__load_relaxed(&g->thread_) == fl__ctx_thread() && !is_fiber;
}

/* Returns 0, -EDEADLK if a join by the caller would never end, or -EOWNERDEAD in a forked child. */
static int group_may_join(const fl_group *g)
{
	fl_executor *e = g->executor_;
	if (fl__group_left(g) == 0)
		return 0;
	if (e && fl__executor_enter(e, "fl_group_join") != 0)
		return -EOWNERDEAD;
	const bool hangs = group_is_member(g) || fl__cancel_is_under(fl_cancel_scope_current(), &g->token_) ||
	                   group_needs_this_loop(g) ||
	                   (e && e->ops->would_hang && !fl__run_serves(e) && e->ops->would_hang(e));
	return hangs ? -EDEADLK : 0;
}

int fl_group_join(fl_group *g)
{
	int rc = group_may_join(g);
	if (rc != 0)
		return rc;
	if (group_wait(g, FL_FOREVER, group_outer_scope(g)) != 0) {
		fl_cancel_token_request(&g->token_); /* the caller's scope is not always above the group's token */
		(void)group_wait(g, FL_FOREVER, FL_SHIELDED);
	}
	return group_joined(g);
}

int fl_group_join_until(fl_group *g, fl_time deadline, fl_cancel_token *cancel)
{
	int rc = group_may_join(g);
	if (rc == 0)
		rc = group_wait(g, deadline, cancel ? cancel : group_outer_scope(g));
	return rc == 0 ? group_joined(g) : rc;
}

int fl_group_try_join(fl_group *g)
{
	return fl__group_left(g) == 0 ? group_joined(g) : -EAGAIN;
}

void fl_group_destroy(fl_group *g)
{
	if (!fl__load_relaxed(&g->begun_)) /* relaxed: the caller's own submit or start has stored it */
		return;
	const int rc = fl_group_join(g);
	if (rc == -EDEADLK)
		fl__panic("fl_group_destroy", g,
		          "called by a member of it, or where the remaining members could not run");
	if (rc != FL_ETASK || g->failed_number_ == SIZE_MAX)
		return;
	if (!g->failed_type_)
		fl__fiber_report_error(g->name_, g->error_);
	else
		fl__log(FL_LOG_ERROR, "a task of a group failed, and no join has returned the error: %s: %s",
		        fl_error_name(g->error_), g->message_);
}
