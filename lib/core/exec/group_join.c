/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Joins of groups. group.c has the states of a group.
 *
 * Giving up. fl_group_join_until() and fl_group_try_join() set gave_up_ when they give up, and so
 * does each join that is refused because of the caller's scope. The call that joins the group
 * clears gave_up_. While gave_up_ is set, fl_group_count() returns at least 1, also when no member
 * is left, so that the count says "joined" no earlier than the result of a join does. Waits and
 * checks in this file call fl__group_left(), since they ask for members.
 */
#include "../base/atomic.h"
#include "../base/panic.h"
#include "../base/sys.h"
#include "../future/failure.h"
#include "../wait/cancel.h"
#include "../wait/lock.h"
#include "../wait/lot.h"
#include "executor.h"
#include "group.h"
#include <stdio.h>

static const struct fl__word group_none_left = {FL__GROUP_MEMBERS_LEFT, 0, FL__GROUP_WAITER, .kind = FL__DEBUG_GROUP,
                                                .offset = offsetof(fl_group, running_)};
static const struct fl__word group_has_offer = {FL__GROUP_NO_OFFER, 0, FL__GROUP_WAITER, .kind = FL__DEBUG_GROUP,
                                                .offset = offsetof(fl_group, idle_)};

static bool group_on_ready(void *g)
{
	return fl__group_left(g) == 0;
}

static bool group_on_arm(void *group, struct fl__node *node)
{
	fl_group *g = group;
	fl__lock(&g->lock_);
	fl__group_close(g);
	fl__unlock(&g->lock_);
	return fl__word_arm(&g->running_, &group_none_left, node);
}

const fl_on_type fl__on_group = {group_on_ready, group_on_arm, fl__node_disarm, NULL, true};

/*
 * Takes over the reference `f` to an offered task. If the group's token is requested, cancels the
 * task. Otherwise the calling context serves the group's executor, as the caller has checked, and
 * runs the task if it is still pending. The join does not wait for a task that another context
 * runs, since that task may wait for the next offer. On a loop executor, the task runs on a new
 * fiber, and the join waits for the end of this task.
 */
static void group_handle_offer(fl_group *g, fl_future *f, fl_time deadline, fl_cancel_token *cancel)
{
	if (fl_cancel_token_is_requested(&g->token_))
		FL_IGNORE(fl_future_cancel(f)); /* a task that cannot be cancelled ends by itself */
	else if (fl_future_get_state(f) == FL_PENDING) {
		struct fl__ctx *ctx = fl__ctx_get();
		ctx->help(ctx, f); /* not NULL: the context serves the executor */
		if (fl_future_get_state(f) == FL_PENDING)
			/* the caller checks for a timeout or cancel itself */
			FL_IGNORE(fl_future_wait_until(f, deadline, cancel));
	}
	fl_future_free(f);
}

/*
 * Sleeps until no member is left or, if `takes`, until there is an offer: a task that the join may
 * take. Returns 0, -ETIMEDOUT or -ECANCELED. If `cancel` is above the group's token, or is
 * FL_SHIELDED, a request of the group's token ends one sleep, too, and sets `*stopped`.
 */
static int group_sleep(fl_group *g, bool takes, fl_time deadline, fl_cancel_token *cancel, bool *stopped)
{
	const bool is_above = cancel == FL_SHIELDED || fl__cancel_is_under(&g->token_, cancel);
	fl_cancel_token *by = is_above && !*stopped ? &g->token_ : cancel;
	const int rc = takes ? fl__word_wait(&g->idle_, &group_has_offer, deadline, by)
	                     : fl__word_wait(&g->running_, &group_none_left, deadline, by);
	if (by == cancel || rc != -ECANCELED || fl_cancel_token_is_requested(cancel))
		return rc;
	*stopped = true;
	return 0;
}

static int group_sleep_blocking(fl_group *g, bool takes, fl_time deadline, fl_cancel_token *cancel, bool *stopped)
{
	FL__BLOCKS(deadline);
	return group_sleep(g, takes, deadline, cancel, stopped);
}

/* Returns 0, -ETIMEDOUT or -ECANCELED. `cancel` is not NULL. */
static int group_wait_for_all(fl_group *g, fl_time deadline, fl_cancel_token *cancel)
{
	const bool helps = fl__run_serves(g->executor_);
	bool stopped = !g->executor_; /* without an executor there is no task to run or to cancel */
	fl_future *taken = NULL;
	int rc = 0;
	while (rc == 0 && fl__group_left(g) > 0) {
		const bool takes = helps || (stopped && g->executor_);
		fl_future *f = NULL;
		if (takes) {
			rc = fl__is_interrupted(deadline, cancel);
			if (rc != 0)
				break;
			f = fl__group_take_offer(g, &taken);
		}
		if (f)
			group_handle_offer(g, f, deadline, cancel);
		else if (helps) /* other workers of the executor run the rest */
			rc = group_sleep(g, takes, deadline, cancel, &stopped);
		else
			rc = group_sleep_blocking(g, takes, deadline, cancel, &stopped);
	}
	fl__group_sweep(g, taken);
	return rc;
}

static fl_cancel_token *group_outer_scope(const fl_group *g)
{
	fl_cancel_token *scope = fl_cancel_scope_current();
	if (scope == &g->token_)
		scope = g->token_.parent_;
	return scope ? scope : FL_SHIELDED;
}

static void group_join_begin(const char *function, fl_group *g)
{
	fl__lock(&g->lock_);
	const bool already = g->joining_;
	g->joining_ = true;
	fl__group_close(g);
	fl__unlock(&g->lock_);
	if (already)
		fl__panic(function, g, "another context joins it");
}

/* Ends a join whose members have all ended. `rc` is what ended the wait early, or 0. */
static int group_join_finish(fl_group *g, int rc, const fl_cancel_token *cancel)
{
	fl__group_sweep(g, fl__group_take_all(g)); /* all have ended */
	FL__LOCKED(&g->lock_);
	const bool begun = g->begun_;
	const bool from_above = begun && !g->cancelled_ && fl_cancel_token_is_requested(&g->token_);
	if (begun)
		fl__group_end(g);
	g->cancelled_ = false;
	g->joining_ = false;
	fl__store_relaxed(&g->gave_up_, false); /* relaxed: the caller is alone with the group */
	/* relaxed, both times: the caller is alone with the group */
	fl__store_relaxed(&g->looked_, 0);
	fl__store_relaxed(&g->swept_, 0);
	/*
	 * release, both: pairs with the acquires in fl__group_left(), for what the members wrote.
	 * The second also publishes the first: an observer that knows of the end of all members,
	 * and reads the 0 of balance_, must not read the old entered_. The caller, alone with the
	 * group, opens it here.
	 */
	fl__store_release(&g->entered_, 0);
	fl__store_release(&g->balance_, 0);
	if (!begun)
		return 0;
	if (g->error_ != 0)
		return g->error_;
	if (rc == 0 && g->cut_ && fl_cancel_token_is_requested(cancel))
		return -ECANCELED;
	if (rc == 0 && g->cut_ && from_above)
		return fl__is_expired(g->deadline_) ? -ETIMEDOUT : -ECANCELED;
	return rc;
}

/*
 * Returns the result of a join, for a group that is joined with the error `rc`. The result is
 * FL_ETASK, and the failure is stored, if `rc` is FL_ETASK or an error by which a join that may
 * give up says that it has not joined. fl_group_join() never gives up, so it calls this function
 * for FL_ETASK alone.
 */
static int group_tell_apart(fl_group *g, int rc)
{
	if (rc != -ETIMEDOUT && rc != -ECANCELED && rc != -EAGAIN && rc != -EDEADLK && rc != -EOWNERDEAD &&
	    rc != FL_ETASK)
		return rc;
	FL__LOCKED(&g->lock_);
	if (g->error_ == 0) /* no member has failed: the group was cut */
		(void)snprintf(g->message_, sizeof g->message_, "%s", fl_error_text(rc));
	return fl__failure_store(FL__NO_INDEX, rc, g->message_);
}

/*
 * Returns whether the calling context is a member, or runs what a member waits for. A shield hides
 * neither the caller's own token nor its task.
 */
static bool group_is_member(const fl_group *g)
{
	return fl__cancel_is_under(fl__ctx_get()->own, &g->token_) || fl__run_is_under_token(&g->token_);
}

/*
 * Returns 0, or the error that says why the caller must not wait for the remaining fibers. Fibers
 * of another thread run during the wait. Fibers of the calling thread run only if the caller is a
 * fiber of their loop. A callback of the loop, which runs on an internal fiber without a token,
 * must not wait.
 */
static int group_may_wait_for_fibers(const fl_group *g)
{
	if (fl__load_acquire(&g->fibers_) == 0) /* acquire: pairs with group_set_fibers() */
		return 0;
	/* the acquire orders all three */
	if (fl__is_forked(fl__load_relaxed(&g->forks_)))
		return -EOWNERDEAD;
	const struct fl__ctx *ctx = fl__ctx_get();
	const bool is_fiber = ctx->own && ctx->host == fl__load_relaxed(&g->sched_);
	return fl__load_relaxed(&g->thread_) == fl__ctx_thread() && !is_fiber ? -EDEADLK : 0;
}

static int group_may_wait_for_tasks(const fl_group *g)
{
	fl_executor *e = g->executor_;
	if (!e)
		return 0;
	if (fl__executor_is_forked(e))
		return -EOWNERDEAD;
	return e->ops->would_hang && !fl__run_serves(e) && e->ops->would_hang(e) ? -EDEADLK : 0;
}

/*
 * Returns 0, or the error that says why the call must not join the group. If only the caller's
 * scope forbids the join, the remaining members do not need the caller, and may all end before the
 * caller reads the count. So this call sets gave_up_, which keeps fl_group_count() above 0.
 */
static int group_may_join(fl_group *g)
{
	if (fl__group_left(g) == 0)
		return 0;
	if (group_is_member(g))
		return -EDEADLK;
	int rc = group_may_wait_for_tasks(g);
	if (rc == 0)
		rc = group_may_wait_for_fibers(g);
	if (rc != 0 || !fl__cancel_is_under(fl_cancel_scope_current(), &g->token_))
		return rc;
	fl__store_relaxed(&g->gave_up_, true); /* relaxed: this context reads it, in fl_group_count() */
	return -EDEADLK;
}

static int group_join(const char *function, fl_group *g)
{
	group_join_begin(function, g);
	fl_cancel_token *around = group_outer_scope(g);
	int rc = group_wait_for_all(g, FL_FOREVER, around);
	if (rc != 0) {
		/* the wait may have ended by a token that is not above the group's */
		fl_cancel_token_request(&g->token_);
		(void)group_wait_for_all(g, FL_FOREVER, FL_SHIELDED);
	}
	return group_join_finish(g, rc, around);
}

int fl_group_join(fl_group *g)
{
	int rc = group_may_join(g);
	if (rc != 0)
		return rc;
	rc = group_join("fl_group_join", g);
	return rc == FL_ETASK ? group_tell_apart(g, rc) : rc;
}

int fl_group_join_until(fl_group *g, fl_time deadline, fl_cancel_token *cancel)
{
	int rc = group_may_join(g);
	if (rc != 0)
		return rc;
	group_join_begin("fl_group_join_until", g);
	if (!cancel)
		cancel = group_outer_scope(g);
	rc = group_wait_for_all(g, deadline, cancel);
	if (rc == 0)
		return group_tell_apart(g, group_join_finish(g, 0, cancel));
	FL__LOCKED(&g->lock_);
	g->joining_ = false;
	fl__store_relaxed(&g->gave_up_, true); /* relaxed: this context reads it, in fl_group_count() */
	return rc;
}

int fl_group_try_join(fl_group *g)
{
	if (fl__group_left(g) == 0)
		return fl_group_join_until(g, FL_NO_WAIT, NULL);
	fl__store_relaxed(&g->gave_up_, true); /* relaxed: this context reads it, in fl_group_count() */
	return -EAGAIN;
}

void fl_group_destroy(fl_group *g)
{
	const int rc = group_may_join(g);
	if (rc == -EDEADLK)
		fl__panic("fl_group_destroy", g,
		          "called by a member of it, or where the remaining members could not run");
	if (rc != 0 || !g->begun_ || group_join("fl_group_destroy", g) == 0 || g->error_ == 0)
		return;
	if (!g->failed_type_)
		fl__fiber_report_error(g->name_, g->error_);
	else
		fl__log(FL_LOG_ERROR, "a task of a group failed, and no join has returned the error: %s: %s",
		        fl_error_name(g->error_), g->message_);
}
