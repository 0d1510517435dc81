/* SPDX-License-Identifier: BSD-2-Clause */
/* The joins of a group. group.c has the tables and describes a join. */
#include "../base/atomic.h"
#include "../base/panic.h"
#include "../base/sys.h"
#include "../fiber/fiber.h"
#include "../wait/lock.h"
#include "executor.h"
#include "group.h"
#include <errno.h>
#include <fairlead/error.h>

static int interrupted(int64_t deadline, const fl_cancel_token *cancel)
{
	if (fl_cancel_token_is_requested(cancel))
		return -ECANCELED;
	return fl__is_past(deadline) ? -ETIMEDOUT : 0;
}

/*
 * Runs the task here if it is pending. Does not wait for a task that another context has claimed,
 * since that task may wait for the next offer. A loop runs the task on a new fiber; the join waits
 * for the fiber, so that the fibers never outnumber the joins.
 */
static void run_or_wait(fl_future *f, int64_t deadline, fl_cancel_token *cancel)
{
	struct fl__ctx *ctx = fl__ctx_get();
	ctx->help(ctx, f); /* not NULL: the context serves the executor */
	if (fl_future_get_state(f) == FL_PENDING) {
		int rc = fl_future_wait_until(f, deadline, cancel);
		(void)rc; /* the caller checks for a timeout or cancel itself */
	}
}

/* Takes over the reference. `helps`: the context serves the executor. */
static void take_up(fl_group *g, fl_future *f, bool helps, int64_t deadline, fl_cancel_token *cancel)
{
	if (fl_cancel_token_is_requested(&g->token_)) {
		int rc = fl_future_cancel(f);
		(void)rc; /* whatever the result, the task ends */
	} else if (helps && fl_future_get_state(f) == FL_PENDING) {
		run_or_wait(f, deadline, cancel);
	}
	fl_future_free(f);
}

/* Whether a request of `cancel` reaches the group's token. */
static bool is_above(const fl_group *g, const fl_cancel_token *cancel)
{
	const fl_cancel_token *token = &g->token_;
	while (token && token != cancel)
		token = token->parent_;
	return token || cancel == FL_SHIELDED;
}

/*
 * Sleeps. If `cancel` is above the group's token, a request of that token also ends the sleep,
 * once, and sets `*stopped`.
 */
static int sleep_until(fl_group *g, bool takes, int64_t deadline, fl_cancel_token *cancel, bool *stopped)
{
	if (*stopped || !is_above(g, cancel))
		return fl__group_sleep(g, takes, deadline, cancel);
	const int rc = fl__group_sleep(g, takes, deadline, &g->token_);
	*stopped = rc == -ECANCELED && !fl_cancel_token_is_requested(cancel);
	return *stopped ? 0 : rc;
}

/* The same for a group of another executor. */
static int sleep_elsewhere(fl_group *g, bool takes, int64_t deadline, fl_cancel_token *cancel, bool *stopped)
{
	struct fl__ctx *ctx = fl__ctx_get();
	const bool blocks = fl__ctx_block(ctx, NULL, deadline);
	const int rc = sleep_until(g, takes, deadline, cancel, stopped);
	fl__ctx_unblock(ctx, blocks);
	return rc;
}

/* Without an executor the group has no task for the join to run or to cancel. */
static int wait_for_fibers(fl_group *g, int64_t deadline, fl_cancel_token *cancel)
{
	struct fl__ctx *ctx = fl__ctx_get();
	int rc = 0;
	while (rc == 0 && fl_group_count(g) > 0) {
		const bool blocks = fl__ctx_block(ctx, NULL, deadline);
		rc = fl__group_sleep(g, false, deadline, cancel);
		fl__ctx_unblock(ctx, blocks);
	}
	return rc;
}

/* Waits until no member is left: 0, -ETIMEDOUT, -ECANCELED. `cancel`: not NULL. */
static int wait_for_all(fl_group *g, int64_t deadline, fl_cancel_token *cancel)
{
	if (!g->executor_)
		return wait_for_fibers(g, deadline, cancel);
	const bool helps = fl__run_serves(g->executor_);
	bool stopped = false;
	int rc = 0;
	while (rc == 0 && fl_group_count(g) > 0) {
		const bool takes = helps || stopped;
		fl_future *f = NULL;
		if (takes) {
			rc = interrupted(deadline, cancel);
			f = rc == 0 ? fl__group_take(g) : NULL;
		}
		if (f)
			take_up(g, f, helps, deadline, cancel);
		else if (rc == 0 && helps) /* the executor's other workers run the rest */
			rc = sleep_until(g, takes, deadline, cancel, &stopped);
		else if (rc == 0)
			rc = sleep_elsewhere(g, takes, deadline, cancel, &stopped);
	}
	return rc;
}

/* The joining thread's scope outside of the group's own. */
static fl_cancel_token *scope_around(const fl_group *g)
{
	fl_cancel_token *scope = fl_cancel_scope_current();
	if (scope == &g->token_)
		scope = g->token_.parent_;
	return scope ? scope : FL_SHIELDED;
}

static void begin_join(const char *function, fl_group *g)
{
	fl__lock(&g->lock_);
	const bool already = g->joining_;
	g->joining_ = true;
	fl__unlock(&g->lock_);
	if (already)
		fl__panic(function, g, "somebody joins it already");
}

static void give_up(fl_group *g)
{
	fl__lock(&g->lock_);
	g->joining_ = false;
	fl__unlock(&g->lock_);
}

/* Without members: ends the group and returns its result. `rc`: what ended the wait early. */
static int finish(fl_group *g, int rc, const fl_cancel_token *cancel)
{
	fl__lock(&g->lock_);
	const bool bound = g->bound_;
	const bool from_above = bound && !g->cancelled_ && fl_cancel_token_is_requested(&g->token_);
	if (bound)
		fl__group_end(g);
	g->cancelled_ = false;
	g->joining_ = false;
	g->number_ = 0;
	fl__unlock(&g->lock_);
	if (!bound)
		return 0;
	if (g->error_ != 0)
		return g->error_;
	if (rc == 0 && g->cut_ && fl_cancel_token_is_requested(cancel))
		return -ECANCELED;
	if (rc == 0 && g->cut_ && from_above)
		return fl__is_past((int64_t)(FL_FOREVER - g->from_forever_)) ? -ETIMEDOUT : -ECANCELED;
	return rc;
}

static bool is_under(const fl_cancel_token *token, const fl_cancel_token *top)
{
	while (token && token->parent_ != top)
		token = token->parent_;
	return token;
}

/*
 * Whether the calling context is a member of the group, or runs what a member waits for. A shield
 * hides the caller's scope, but neither its own token nor its task.
 */
static bool is_inside(const fl_group *g)
{
	return is_under(fl_cancel_scope_current(), &g->token_) || is_under(fl__ctx_get()->own, &g->token_) ||
	       fl__run_is_under(&g->token_);
}

/*
 * Returns 0, or why the caller must not wait for the remaining fibers. Fibers of another thread run
 * while the caller waits. Those of the calling thread do so if the caller is a fiber of their loop;
 * a callback of the loop is none, and has no token of its own.
 */
static int may_wait_for_fibers(const fl_group *g)
{
	if (fl__load_acquire(&g->fibers_) == 0) /* pairs with group_set_fibers() */
		return 0;
	/* relaxed, all three: the acquire orders them */
	if (fl__is_forked(fl__load_relaxed(&g->forks_)))
		return -EOWNERDEAD;
	const bool is_fiber = fl__sched_here() == fl__load_relaxed(&g->sched_) && fl__ctx_get()->own;
	return fl__load_relaxed(&g->thread_) == fl__sched_thread() && !is_fiber ? -EDEADLK : 0;
}

/* The same for the remaining tasks. */
static int may_wait_for_tasks(const fl_group *g)
{
	fl_executor *e = g->executor_;
	if (!e)
		return 0;
	if (fl__executor_is_forked(e))
		return -EOWNERDEAD;
	return e->ops->would_hang && !fl__run_serves(e) && e->ops->would_hang(e) ? -EDEADLK : 0;
}

/* The same for all remaining members. */
static int may_join(const fl_group *g)
{
	if (fl_group_count(g) == 0)
		return 0;
	int rc = may_wait_for_tasks(g);
	if (rc == 0)
		rc = may_wait_for_fibers(g);
	return rc == 0 && is_inside(g) ? -EDEADLK : rc;
}

static int join(const char *function, fl_group *g)
{
	begin_join(function, g);
	fl_cancel_token *around = scope_around(g);
	int rc = wait_for_all(g, FL_FOREVER, around);
	if (rc != 0) {
		fl_cancel_token_request(&g->token_); /* the group's scope may not be the caller's */
		(void)wait_for_all(g, FL_FOREVER, FL_SHIELDED);
	}
	return finish(g, rc, around);
}

int fl_group_join(fl_group *g)
{
	const int rc = may_join(g);
	return rc == 0 ? join("fl_group_join", g) : rc;
}

int fl_group_try_join(fl_group *g)
{
	if (fl_group_count(g) > 0)
		return -EBUSY;
	begin_join("fl_group_try_join", g);
	return finish(g, 0, scope_around(g));
}

int fl_group_join_until(fl_group *g, int64_t deadline, fl_cancel_token *cancel)
{
	int rc = may_join(g);
	if (rc != 0)
		return rc;
	begin_join("fl_group_join_until", g);
	if (!cancel)
		cancel = scope_around(g);
	rc = wait_for_all(g, deadline, cancel);
	if (rc == 0)
		return finish(g, 0, cancel);
	give_up(g);
	return rc;
}

void fl_group_destroy(fl_group *g)
{
	const int rc = may_join(g);
	if (rc == -EDEADLK)
		fl__panic("fl_group_destroy", g, "by a member of it, or where those that are left could not run");
	if (rc != 0 || !g->bound_ || join("fl_group_destroy", g) == 0 || g->error_ == 0)
		return;
	if (!g->failed_type_)
		fl__fiber_report(g->name_, g->error_);
	else
		fl__log(FL_LOG_ERROR, "a task of a group failed, and no join has told: %s: %s",
		        fl_error_name(g->error_), g->message_);
}
