/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Task groups: a count of fibers, and a cancel token above theirs. A group belongs to one thread,
 * but any thread may call fl_tasks_cancel(). `lock_` guards the fields that fl_tasks_cancel() uses:
 * it must not request a token that does not exist yet, or is gone.
 *
 *   group       bound_   count_   token                                  next state
 *   unused      no       0        none                                   begun: first start,
 *                                                                        fl_tasks_token()
 *   begun       yes      any      child of the scope of the context      unused: a join, when
 *                                 that began the group                   count_ is 0
 *
 * fl_tasks_cancel(), the first failure, or a token above requests the group's token. A child that
 * returns -ECANCELED from then on has not failed. A child counts until its end was published: the
 * destructors of its locals have run, its token is gone.
 *
 * fl_tasks.running_: written by the loop's thread alone; joiners wait for it in the wait table.
 *
 *   bit           meaning              set by                       cleared by
 *   RUNNING (1)   a child is left      fl__tasks_start()            fl__tasks_left()
 *   WAITED (2)    a joiner waits       fl__word_wait(), on_arm()    fl__tasks_left()
 */
#include "tasks.h"
#include "../base/atomic.h"
#include "../base/panic.h"
#include "../wait/lock.h"
#include <errno.h>
#include <string.h>

enum { RUNNING = 1, WAITED = 2 };
static const struct fl__word is_done = {RUNNING, 0, WAITED};

/* The token of a group. */

static void begin(fl_tasks *g, fl_cancel_token *parent)
{
	g->loop_ = NULL;
	g->error_ = 0;
	g->cut_ = false;
	fl__lock(&g->lock_);
	fl_cancel_token_init(&g->token_, parent, FL_FOREVER);
	g->bound_ = true;
	bool cancelled = g->cancelled_;
	fl__unlock(&g->lock_);
	if (cancelled)
		fl_cancel_token_request(&g->token_);
}

/*
 * After this no cancel finds the token, and a cancel that had found it is over. Returns whether
 * there was a cancel.
 */
static bool end(fl_tasks *g, bool joined)
{
	bool bound = g->bound_;
	fl__lock(&g->lock_);
	bool cancelled = g->cancelled_;
	g->bound_ = false;
	g->cancelled_ = cancelled && !joined;
	fl__unlock(&g->lock_);
	if (!bound)
		return cancelled;
	if (fl_cancel_scope_current() == &g->token_)
		(void)fl_cancel_scope_set(g->token_.parent_);
	fl_cancel_token_destroy(&g->token_);
	return cancelled;
}

/*
 * The parent for a new group's token; NULL: the caller's scope. Outside of fibers that scope is the
 * thread's, which is not under the loop's root token: the parent is then the root.
 */
static fl_cancel_token *callers_scope(fl_loop *l)
{
	return l && !fl_fiber_current() ? &l->root : NULL;
}

/*
 * The token for a joiner's wait; NULL: the joiner's scope. If that scope is the group's token: the
 * token above.
 */
static fl_cancel_token *scope_around(fl_tasks *g)
{
	if (!g->bound_ || fl_cancel_scope_current() != &g->token_)
		return NULL;
	return g->token_.parent_ ? g->token_.parent_ : FL_SHIELDED;
}

/* Children. */

enum fl__tasks_news fl__tasks_note(fl_tasks *g, const struct fl_fiber *f, int rc)
{
	if (!fl__fiber_is_failure(f, rc)) {
		g->cut_ = true;
		return FL__CUT_SHORT;
	}
	if (g->error_ != 0)
		return FL__LATER_FAILURE;
	g->error_ = rc;
	strncpy(g->failed_, fl_fiber_name(f), sizeof g->failed_ - 1);
	return FL__FIRST_FAILURE;
}

static int on_ended(struct fl_fiber *f, int rc)
{
	if (rc == 0)
		return 0;
	enum fl__tasks_news news = fl__tasks_note(f->group, f, rc);
	if (news == FL__FIRST_FAILURE)
		fl_cancel_token_request(&f->group->token_);
	else if (news == FL__LATER_FAILURE)
		fl__fiber_report(fl_fiber_name(f), rc);
	return rc;
}

int fl__tasks_start(fl_tasks *g, fl_cancel_token *parent, const fl_call *call, int (*ended)(struct fl_fiber *f, int rc))
{
	struct fl_fiber *f;
	fl_loop *l = fl_loop_current();
	bool first = !g->bound_;
	if (!l)
		return fl__loop_needed("fl_tasks_start", FL__A_LOOP);
	if (g->count_ > 0 && g->loop_ != l)
		fl__panic("fl_tasks_start", g, "it has children on another loop");
	if (first)
		begin(g, parent);
	int rc = -ECANCELED;
	if (!fl_cancel_token_is_requested(&g->token_))
		rc = fl__fiber_start(l, &f, call->function, call->arg, call->name, &g->token_);
	if (rc != 0) {
		if (first)
			(void)end(g, false);
		return rc;
	}
	f->group = g;
	f->ended = ended;
	fl_fiber_detach(f);
	g->loop_ = l;
	g->count_++;
	/* relaxed: this thread's own; the joiners are fibers of this thread */
	fl__store_relaxed(&g->running_, fl__load_relaxed(&g->running_) | RUNNING);
	return 0;
}

int fl_tasks_start_with(fl_tasks *g, fl_fiber_function *function, void *arg, const fl_fiber_config *config)
{
	const fl_call call = {function, arg, config ? config->name : NULL};
	return fl__tasks_start(g, callers_scope(fl_loop_current()), &call, on_ended);
}

void fl__tasks_left(fl_tasks *g)
{
	if (--g->count_ > 0)
		return;
	if (!(fl__load_relaxed(&g->running_) & WAITED)) { /* relaxed: as above */
		fl__store_relaxed(&g->running_, 0);
		return;
	}
	struct fl__lot lot;
	fl__lot_open(&lot, &g->running_);
	(void)fl__lot_take(&lot, FL__ALL, 0);
	fl__store_relaxed(&g->running_, 0); /* relaxed: as above; the waiters acquire the unpark */
	fl__lot_close(&lot);
}

/* Joining. */

int fl__tasks_wait(fl_tasks *g, int64_t deadline, fl_cancel_token *cancel)
{
	int rc = 0;
	g->joining_ = true;
	/* Waits again: a child may have been started after the last one ended. */
	while (rc == 0 && g->count_ > 0)
		rc = fl__word_wait(&g->running_, &is_done, deadline, cancel);
	g->joining_ = false;
	return rc;
}

int fl__tasks_finish(fl_tasks *g, int interrupted, const fl_cancel_token *cancel)
{
	const bool bound = g->bound_, requested = bound && fl_cancel_token_is_requested(&g->token_);
	const bool cancelled = end(g, true);
	if (!bound || g->error_ != 0)
		return bound ? g->error_ : 0;
	/* A request that did not come from fl_tasks_cancel() came from a token above. */
	if (interrupted == 0 && g->cut_ && ((requested && !cancelled) || fl_cancel_token_is_requested(cancel)))
		return -ECANCELED;
	return interrupted;
}

static void check_join(const char *function, const fl_tasks *g)
{
	if (g->joining_)
		fl__panic(function, g, "somebody joins it already");
}

/* -EDEADLK: children are left, and the caller is one, or no fiber of their loop. */
static int may_join(const char *function, const fl_tasks *g)
{
	const struct fl_fiber *self = fl_fiber_current();
	check_join(function, g);
	return g->count_ == 0 || (self && self->loop == g->loop_ && self->group != g) ? 0 : -EDEADLK;
}

static int join(fl_tasks *g)
{
	fl_cancel_token *around = scope_around(g);
	int rc = fl__tasks_wait(g, FL_FOREVER, around);
	if (rc != 0) {
		/* the group's token may be under another scope than the joiner's */
		fl_cancel_token_request(&g->token_);
		(void)fl__tasks_wait(g, FL_FOREVER, FL_SHIELDED);
	}
	return fl__tasks_finish(g, rc, around);
}

int fl_tasks_join(fl_tasks *g)
{
	int rc = may_join("fl_tasks_join", g);
	return rc == 0 ? join(g) : rc;
}

int fl_tasks_try_join(fl_tasks *g)
{
	check_join("fl_tasks_try_join", g);
	return g->count_ == 0 ? fl__tasks_finish(g, 0, scope_around(g)) : -EBUSY;
}

int fl_tasks_join_until(fl_tasks *g, int64_t deadline, fl_cancel_token *cancel)
{
	int rc = may_join("fl_tasks_join_until", g);
	if (!cancel)
		cancel = scope_around(g);
	if (rc == 0)
		rc = fl__tasks_wait(g, deadline, cancel);
	return rc == 0 ? fl__tasks_finish(g, 0, cancel) : rc;
}

void fl_tasks_destroy(fl_tasks *g)
{
	if (may_join("fl_tasks_destroy", g) != 0)
		fl__panic("fl_tasks_destroy", g,
		          "by a child of it, or from outside of its loop while children are left");
	if (!g->bound_)
		return;
	int rc = join(g);
	if (g->error_ != 0)
		fl__fiber_report(g->failed_, rc);
}

void fl_tasks_cancel(fl_tasks *g)
{
	struct fl__cancel_calls calls = {NULL, NULL};
	fl__lock(&g->lock_);
	g->cancelled_ = true;
	if (g->bound_)
		fl__cancel_request_begin(&g->token_, &calls);
	fl__unlock(&g->lock_);
	fl__cancel_call(&calls);
}

size_t fl_tasks_count(const fl_tasks *g)
{
	return g->count_;
}

const char *fl_tasks_failed(const fl_tasks *g)
{
	return g->error_ != 0 ? g->failed_ : NULL;
}

fl_cancel_token *fl_tasks_token(fl_tasks *g)
{
	if (!g->bound_)
		begin(g, callers_scope(fl_loop_current()));
	return &g->token_;
}

static bool on_ready(void *g)
{
	return fl_tasks_count(g) == 0;
}

static bool on_arm(void *group, struct fl__node *node)
{
	fl_tasks *g = group;
	return fl__word_arm(&g->running_, &is_done, node);
}

const fl_on_type fl__on_tasks = {on_ready, on_arm, fl__node_disarm, NULL};
