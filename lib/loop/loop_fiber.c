/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The fibers of a loop: those of lib/fiber, each with a cancel token and a place in its loop's
 * list. The user's fl_fiber is stored beside the struct fl__fiber, at the top of its stack.
 */
#include "../base/atomic.h"
#include "../base/panic.h"
#include "../exec/group.h"
#include "../sync/local.h"
#include "fiber_completion.h"
#include "loop.h"
#include <errno.h>
#include <fairlead/error.h>
#include <fairlead/handlers.h>

static struct fl__fiber *inner(const fl_fiber *f)
{
	return fl__fiber_of_extra((void *)(uintptr_t)f);
}

static void enlist(fl_loop *l, struct fl_fiber *f)
{
	f->next = l->all;
	if (f->next)
		f->next->prev = f;
	l->all = f;
}

static void delist(fl_loop *l, const struct fl_fiber *f)
{
	*(f->prev ? &f->prev->next : &l->all) = f->next;
	if (f->next)
		f->next->prev = f->prev;
}

bool fl__fiber_is_failure(const struct fl_fiber *f, int rc)
{
	return rc != 0 && !(rc == -ECANCELED && fl_cancel_token_is_requested(&f->token.token));
}

/* Cancel requests. */

static void deliver(struct fl__post *post)
{
	struct fl_fiber *f = (struct fl_fiber *)(void *)((char *)post - offsetof(struct fl_fiber, kick));
	fl__ctx_cancel(fl__fiber_ctx(inner(f)));
	f->kick_done = true;
}

/* Called by a request of the token, on any thread. body() waits until the post was delivered. */
static void kick(struct fl__own_token *own)
{
	struct fl_fiber *f = (struct fl_fiber *)(void *)own;
	if (fl_loop_current() == f->loop) {
		fl__ctx_cancel(fl__fiber_ctx(inner(f)));
		return;
	}
	f->kicked = true;
	f->kick.function = deliver;
	fl__loop_post(f->loop, &f->kick);
}

/*
 * From now on no request reaches the fiber; a posted one was delivered. Other fibers run until
 * then.
 */
static void disown(struct fl_fiber *f)
{
	fl__cancel_disown(&f->token);
	while (f->kicked && !f->kick_done)
		fl__fiber_yield();
}

static int body(void *unused)
{
	struct fl__fiber *in = fl__fiber_self();
	struct fl_fiber *f = fl__fiber_extra(in);
	(void)unused;
	int rc = f->function(f->arg);
	fl__fiber_ctx(in)->front.scope = NULL;
	fl__locals_end(fl__fiber_ctx(in)); /* a destructor may wait; nothing waits after disown() */
	disown(f);
	if (f->group && rc != 0)
		fl__fiber_note_in_group(f, rc);
	else if (!f->group && f->detached && fl__fiber_is_failure(f, rc))
		fl__fiber_report(fl__fiber_name(in), rc);
	/* Else the joiner destroys the token, since other threads may still request it. */
	if (f->detached)
		fl_cancel_token_destroy(&f->token.token);
	delist(f->loop, f);
	return rc;
}

void fl__fiber_ended(void *extra)
{
	struct fl_fiber *f = extra;
	fl__ends_tell(f);
	if (f->detached)
		fl__ends_forget(f); /* a detached fiber is freed before its waiters run */
	if (f->group)
		fl__group_fiber_left(f->group);
}

int fl__fiber_start(fl_loop *l, struct fl_fiber **fiber, fl_fiber_function *function, void *arg, const char *name,
                    fl_cancel_token *parent)
{
	struct fl__fiber *in;
	int rc = fl__fiber_create(l->sched, &in, body, NULL, name);
	if (rc != 0)
		return rc;
	struct fl_fiber *f = fl__fiber_extra(in);
	f->loop = l;
	f->parent = fl__ctx_get()->id;
	f->function = function;
	f->arg = arg;
	f->token.kick = kick;
	fl__cancel_init_own(&f->token, parent, FL_FOREVER);
	struct fl__ctx *ctx = fl__fiber_ctx(in);
	ctx->front.scope = ctx->own = &f->token.token;
	enlist(l, f);
	*fiber = f;
	return 0;
}

int fl_fiber_start(fl_fiber **f, fl_fiber_function *function, void *arg, const fl_fiber_config *config)
{
	fl_loop *l = fl_loop_current();
	if (!l)
		return fl__loop_needed("fl_fiber_start", FL__A_LOOP);
	return fl__fiber_start(l, f, function, arg, config ? config->name : NULL, &l->root);
}

static bool is_own(const struct fl__fiber *self)
{
	const fl_loop *l = fl_loop_current();
	return l && fl__loop_is_own(l, self);
}

/* A second joiner would free memory that has another use by then. */
static void check_not_joined(const char *function, const fl_fiber *f)
{
	if (f->joining)
		fl__panic(function, f, "somebody joins it already");
}

int fl_fiber_join_until(fl_fiber *f, int *result, int64_t deadline, fl_cancel_token *cancel)
{
	struct fl__fiber *in = inner(f);
	const fl_fiber *self = fl_fiber_current();
	if (fl_fiber_is_alive(f) && (!self || self == f || self->loop != f->loop))
		return -EDEADLK;
	check_not_joined("fl_fiber_join", f);
	f->joining = true;
	int rc = fl__fiber_wait(in, deadline, cancel);
	f->joining = false;
	if (rc != 0)
		return rc;
	if (result)
		*result = fl__fiber_result(in);
	fl__ends_forget(f);
	fl_cancel_token_destroy(&f->token.token);
	fl__fiber_free(in);
	return 0;
}

int fl_shield_until(fl_fiber_function *function, void *arg, int *result, int64_t deadline, fl_cancel_token *cancel)
{
	const fl_fiber *self = fl_fiber_current();
	if (!self)
		return fl__loop_needed("fl_shield", FL__A_FIBER);
	fl_fiber *f;
	int rc = fl__fiber_start(self->loop, &f, function, arg, NULL, &self->loop->root);
	if (rc != 0)
		return rc;
	rc = fl_fiber_join_until(f, result, deadline, cancel);
	if (rc != 0)
		fl_fiber_detach(f);
	return rc;
}

void fl_fiber_cancel(fl_fiber *f)
{
	if (!fl__loop_is_forked(f->loop))
		fl_cancel_token_request(&f->token.token);
}

/* The error of a fiber that has ended was not reported yet: this function reports it. */
void fl_fiber_detach(fl_fiber *f)
{
	struct fl__fiber *in = inner(f);
	check_not_joined("fl_fiber_detach", f);
	f->detached = true;
	fl__ends_forget(f);
	if (fl__fiber_has_ended(in)) {
		int rc = fl__fiber_result(in);
		if (fl__fiber_is_failure(f, rc))
			fl__fiber_report(fl__fiber_name(in), rc);
		fl_cancel_token_destroy(&f->token.token);
	}
	fl__fiber_detach(in);
}

void fl_fiber_free(fl_fiber *f)
{
	if (!f)
		return;
	if (fl_fiber_is_alive(f))
		fl_fiber_cancel(f);
	if (fl_fiber_join_until(f, NULL, FL_FOREVER, FL_SHIELDED) != 0)
		fl__panic("fl_fiber_free", f, "by itself, or from outside of its loop while it runs");
}

bool fl_fiber_is_alive(const fl_fiber *f)
{
	return !fl__fiber_has_ended(inner(f));
}

const char *fl_fiber_name(const fl_fiber *f)
{
	return fl__fiber_name(inner(f));
}

fl_fiber *fl_fiber_current(void)
{
	fl_loop *l = fl_loop_current();
	struct fl__fiber *self = fl__fiber_self();
	return l && self && !fl__loop_is_own(l, self) ? fl__fiber_extra(self) : NULL;
}

void fl_fiber_yield(void)
{
	const struct fl__fiber *self = fl__fiber_self();
	if (self && !is_own(self))
		fl__fiber_yield();
}

static bool on_ready(void *fiber)
{
	return !fl_fiber_is_alive(fiber);
}

static bool on_arm(void *fiber, struct fl__node *node)
{
	return fl__fiber_arm(inner(fiber), node);
}

const fl_on_type fl__on_fiber = {on_ready, on_arm, fl__node_disarm, NULL};
