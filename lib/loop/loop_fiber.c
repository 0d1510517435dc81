/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fibers as users see them. Fibers of groups (exec/group.c has the tables) are detached, since only
 * the group waits for them. If a callback starts the first member, the group's token is a child of
 * the loop's token. Other groups' tokens may not be below it; so at its end the loop cancels the
 * tokens of their fibers one by one (loop_drain()), and starts no fiber of a group afterwards.
 *
 * Lifetimes. A fiber belongs either to a handle, with which the user joins, frees or detaches it,
 * or to a group. The token of a group is a child of the scope in which the group begins, and the
 * tokens of its fibers are children of the group's token. A cancel travels down this tree, and in
 * no other way. The token of a fiber with a handle is a child of the loop's token, since a handle
 * may be passed on and outlive the scope in which it was made. So a cancelled join leaves the fiber
 * running, as a cancelled join of a thread does. FL_SCOPED(fl_fiber) cancels and joins.
 *
 * Cancel requests. If another thread cancels a fiber, the request becomes an entry in the
 * scheduler's inbox. So a wait under the fiber's own token need not enter a wait queue for that
 * token.
 */
#include "core/base/error.h"
#include "core/base/list.h"
#include "core/base/panic.h"
#include "core/exec/group.h"
#include "core/sync/local.h"
#include "loop.h"
#include <errno.h>

/* Returns true if `rc` is a failure of the fiber, and not its answer to a cancel. */
static bool loop_fiber_has_failed(const struct fl_fiber *f, int rc)
{
	return rc != 0 && !(rc == -ECANCELED && fl_cancel_token_is_requested(&f->token.token));
}

static struct fl_fiber *loop_fiber_of(struct fl__fiber *in)
{
	/* `in` is the first member */
	return (struct fl_fiber *)(void *)in;
}

/* Cancel requests. */

static void loop_fiber_deliver_cancel(struct fl__post *post)
{
	struct fl_fiber *f = FL__CONTAINER_OF(post, struct fl_fiber, cancel_post);
	fl__ctx_cancel(&f->in.ctx);
	f->cancel_done = true;
}

/* Called on any thread. loop_fiber_body() waits for the delivery. */
static void loop_fiber_request_cancel(struct fl__own_token *own)
{
	struct fl_fiber *f = FL__CONTAINER_OF(own, struct fl_fiber, token);
	if (fl_loop_current() == f->loop) {
		fl__ctx_cancel(&f->in.ctx);
		return;
	}
	f->cancel_posted = true;
	f->cancel_post.function = loop_fiber_deliver_cancel;
	fl__sched_post(f->loop->sched, &f->cancel_post);
}

/* Waits for the delivery of a posted request. From then on no request reaches the fiber. */
static void loop_fiber_disown_token(struct fl_fiber *f)
{
	fl__cancel_disown(&f->token);
	while (f->cancel_posted && !f->cancel_done)
		fl__fiber_yield();
}

static void loop_fiber_note_in_group(const struct fl_fiber *f, int rc)
{
	char number[64];
	fl__group_note_error(
	    f->group, !loop_fiber_has_failed(f, rc),
	    &(struct fl__group_failure){rc, f->number, NULL, fl_fiber_name(f), fl__error_describe(rc, number)});
}

static int loop_fiber_body(void *arg)
{
	struct fl_fiber *f = loop_fiber_of(fl__fiber_self());
	struct fl__ctx *ctx = &f->in.ctx;
	int rc = f->function(arg);
	ctx->front.scope = NULL;
	fl__locals_end(ctx); /* comes first, since a destructor may wait */
	loop_fiber_disown_token(f);
	if (f->group && rc != 0)
		loop_fiber_note_in_group(f, rc);
	else if (!f->group && f->in.detached && loop_fiber_has_failed(f, rc))
		fl__fiber_report_error(f->in.name, rc);
	/*
	 * otherwise the joiner destroys the token, since other threads may cancel it until the join
	 */
	if (f->in.detached)
		fl_cancel_token_destroy(&f->token.token);
	FL__LIST_REMOVE(f);
	return rc;
}

void fl__fiber_ended(struct fl__fiber *in)
{
	const struct fl_fiber *f = loop_fiber_of(in);
	if (f->group)
		fl__group_leave(f->group);
}

int fl__fiber_start(fl_loop *l, struct fl_fiber **fiber, fl_fiber_function *function, void *arg, const char *name,
                    fl_cancel_token *parent)
{
	struct fl__fiber *in;
	int rc = fl__fiber_create(l->sched, &in, loop_fiber_body, arg, name);
	if (rc != 0)
		return rc;
	struct fl_fiber *f = loop_fiber_of(in);
	f->loop = l;
	f->parent = fl__ctx_get()->id;
	f->function = function;
	f->token.kick = loop_fiber_request_cancel;
	fl__cancel_init_own(&f->token, parent, FL_FOREVER);
	in->ctx.front.scope = in->ctx.own = &f->token.token;
	FL__LIST_ADD(&l->all, f);
	*fiber = f;
	return 0;
}

int fl_fiber_start(fl_fiber **f, fl_fiber_function *function, void *arg, const fl_fiber_config *config)
{
	fl_loop *l = fl__loop_needed(false, "fl_fiber_start");
	if (!l)
		return -ENOTSUP;
	return fl__fiber_start(l, f, function, arg, config ? config->name : NULL, &l->root);
}

/* `joining` stays true after the handle has been freed, until another fiber reuses the block. */
static void loop_fiber_check_not_joined(const char *function, const fl_fiber *f)
{
	if (f->joining)
		fl__panic(function, f, "another context joins it, or it was joined, freed or detached before");
}

static bool loop_fiber_would_hang(const fl_fiber *f)
{
	const fl_fiber *self = fl_fiber_current();
	return fl_fiber_is_alive(f) && (!self || self == f || self->loop != f->loop);
}

int fl_fiber_join_until(fl_fiber *f, int *result, fl_time deadline, fl_cancel_token *cancel)
{
	if (loop_fiber_would_hang(f))
		return -EDEADLK;
	loop_fiber_check_not_joined("fl_fiber_join", f);
	f->joining = true;
	int rc = fl__fiber_wait(&f->in, deadline, cancel);
	if (rc != 0) {
		f->joining = false;
		return rc;
	}
	if (result)
		*result = f->in.result;
	fl_cancel_token_destroy(&f->token.token);
	fl__fiber_free(&f->in);
	return 0;
}

void fl_fiber_cancel(fl_fiber *f)
{
	fl_cancel_token_request(&f->token.token);
}

/*
 * Detaches a fiber. If it has ended with an error, reports the error, because no join will do so.
 */
void fl_fiber_detach(fl_fiber *f)
{
	loop_fiber_check_not_joined("fl_fiber_detach", f);
	f->joining = true;
	if (fl_fiber_is_alive(f)) {
		f->in.detached = true;
		return;
	}
	if (loop_fiber_has_failed(f, f->in.result))
		fl__fiber_report_error(f->in.name, f->in.result);
	fl_cancel_token_destroy(&f->token.token);
	fl__fiber_free(&f->in);
}

void fl_fiber_free(fl_fiber *f)
{
	if (!f)
		return;
	if (loop_fiber_would_hang(f))
		fl__panic("fl_fiber_free", f, "called by the fiber itself, or outside of its loop while it runs");
	loop_fiber_check_not_joined("fl_fiber_free", f);
	if (fl_fiber_is_alive(f))
		fl_fiber_cancel(f);
	/* the result is 0: nothing ends the wait early */
	FL_IGNORE(fl_fiber_join_until(f, NULL, FL_FOREVER, FL_SHIELDED));
}

bool fl_fiber_is_alive(const fl_fiber *f)
{
	return !fl__fiber_has_ended(&f->in);
}

const char *fl_fiber_name(const fl_fiber *f)
{
	return f->in.name;
}

fl_fiber *fl_fiber_current(void)
{
	const fl_loop *l = fl_loop_current();
	return l ? loop_fiber_of(fl__loop_self(l)) : NULL;
}

void fl_fiber_yield(void)
{
	if (fl_fiber_current())
		fl__fiber_yield();
}

static bool loop_fiber_on_ready(void *fiber)
{
	return !fl_fiber_is_alive(fiber);
}

static bool loop_fiber_on_arm(void *fiber, struct fl__node *node)
{
	return fl__fiber_arm(&((fl_fiber *)fiber)->in, node);
}

const fl_on_type fl__on_fiber = {loop_fiber_on_ready, loop_fiber_on_arm, fl__node_disarm, NULL};

/* Fibers of groups. */

int fl_group_start_with(fl_group *g, fl_fiber_function *function, void *arg, const fl_fiber_config *config)
{
	struct fl_fiber *f;
	fl_loop *l = fl__loop_needed(false, "fl_group_start");
	if (!l)
		return -ENOTSUP;
	const struct fl__host *host = &l->sched->host;
	/* acquire: pairs with group_begin(), which clears host_ */
	const struct fl__host *before = fl__load_acquire(&g->begun_) ? fl__load_relaxed(&g->host_) : NULL;
	/* relaxed, all three: only the fibers' thread compares these words with its own values */
	if (before && before != host)
		fl__panic("fl_group_start", g, "it has fibers on another loop");
	const size_t number = fl__group_enter(g, fl_fiber_current() ? NULL : &l->root);
	fl__store_relaxed(&g->host_, host);
	fl__store_relaxed(&g->thread_, fl__ctx_thread());
	int rc = -ECANCELED;
	if (!fl_cancel_token_is_requested(&g->token_) && !fl_cancel_token_is_requested(&l->root))
		rc = fl__fiber_start(l, &f, function, arg, config ? config->name : NULL, &g->token_);
	if (rc != 0) {
		fl__group_leave(g);
		return rc;
	}
	f->group = g;
	f->number = number;
	fl_fiber_detach(f);
	return 0;
}
