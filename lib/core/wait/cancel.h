/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_WAIT_CANCEL_H
#define FL_WAIT_CANCEL_H

#include "../base/atomic.h"
#include "../base/sys.h"
#include "lot.h"

/*
 * A context's own token, `ctx->own`. A request calls `kick` once, on any thread, under the lock of
 * the token's tree. `kick` causes a call of fl__ctx_cancel() on the context's thread, which ends the
 * wait. So a wait under the own token enters no queue.
 */
struct fl__own_token {
	fl_cancel_token token;
	void (*kick)(struct fl__own_token *own);
};

/*
 * Makes the root `c`, which no other thread has seen, a child of `parent`, as
 * fl_cancel_token_init().
 */
void fl__cancel_join_tree(fl_cancel_token *c, fl_cancel_token *parent);

/* As fl_cancel_token_init(). */
static inline void fl__cancel_init(fl_cancel_token *c, fl_cancel_token *parent, fl_time deadline)
{
	*c = (fl_cancel_token)FL_CANCEL_TOKEN_INIT;
	c->deadline_ = deadline;
	if (parent != FL_SHIELDED)
		fl__cancel_join_tree(c, parent);
}

/* The caller then sets `ctx->own`. */
void fl__cancel_init_own(struct fl__own_token *own, fl_cancel_token *parent, fl_time deadline);

/* From now on no request calls `kick`. The token has no waiters. */
void fl__cancel_disown(struct fl__own_token *own);

/* Called by the thread of `ctx` while `ctx` does not run: ends a wait under its own token. */
void fl__ctx_cancel(struct fl__ctx *ctx);

/* Callbacks that a request has to run. Lives on its stack. */
struct fl__cancel_calls {
	const void *queue; /* the key of the wait queue that guards them; NULL: none */
	struct fl_cancel_callback *first;
};

/*
 * fl_cancel_token_request() in two steps, for callers with a lock that keeps the token alive. After
 * the unlock, call runs the callbacks, without touching the token.
 */
void fl__cancel_request_begin(fl_cancel_token *c, struct fl__cancel_calls *calls);
void fl__cancel_call(struct fl__cancel_calls *calls);

/* With the tree locked: moves the callbacks of the requested `c` to `calls`. */
void fl__cancel_take_callbacks(fl_cancel_token *c, struct fl__lot *lot, struct fl__cancel_calls *calls);

/* `c` itself is not requested. */
void fl__cancel_request_children(fl_cancel_token *c);

/* Takes back the request of a root. False: the root has a child; nothing has happened. */
bool fl__cancel_take_back(fl_cancel_token *c);

static inline fl_cancel_token *fl__cancel_root_of(fl_cancel_token *c)
{
	return c->root_ ? c->root_ : c;
}

/* The token that `cancel` means for `ctx`; NULL means the context's scope. NULL: no token. */
static inline fl_cancel_token *fl__cancel_resolve(const fl_cancel_token *cancel, const struct fl__ctx *ctx)
{
	if (!cancel)
		cancel = ctx->front.scope;
	return cancel == FL_SHIELDED ? NULL : (fl_cancel_token *)cancel;
}

/* Whether a wait would end at once: -ECANCELED, -ETIMEDOUT; else 0. */
static inline int fl__is_interrupted(fl_time deadline, const fl_cancel_token *cancel)
{
	if (fl_cancel_token_is_requested(cancel))
		return -ECANCELED;
	return fl__is_expired(deadline) ? -ETIMEDOUT : 0;
}

/* See cancel.c. */
enum {
	FL__CANCEL_REQUESTED = 1,
	FL__CANCEL_WAITERS = 2,
	FL__CANCEL_OWN = 4,
	FL__CANCEL_CALLBACKS = 8,
	FL__CANCEL_APART = 16
};

/*
 * Makes `c`, which no other thread has seen, a child of `parent` that stays out of the tree's list
 * until something waits under it. `parent` is not APART itself, and exists while anything asks for
 * `c`.
 */
static inline void fl__cancel_init_apart(fl_cancel_token *c, fl_cancel_token *parent, fl_time deadline)
{
	*c = (fl_cancel_token){.word_ = FL__CANCEL_APART,
	                       .deadline_ = fl__earlier(deadline, parent->deadline_),
	                       .root_ = fl__cancel_root_of(parent),
	                       .parent_ = parent};
}

static inline bool fl__cancel_is_requested(const fl_cancel_token *c)
{
	/* both pair with cancel_request_one() */
	uint32_t seen = fl__load_acquire(&c->word_);
	if (seen & FL__CANCEL_APART)
		seen |= fl__load_acquire(&c->parent_->word_);
	return (seen & FL__CANCEL_REQUESTED) || fl__is_expired(c->deadline_);
}

/* Whether `c`, which may be NULL, is a descendant of `above`. */
static inline bool fl__cancel_is_under(const fl_cancel_token *c, const fl_cancel_token *above)
{
	while (c && c->parent_ != above)
		c = c->parent_;
	return c;
}

/* Whether the token is in no list and was never requested: its destruction has nothing to do. */
static inline bool fl__cancel_is_alone(const fl_cancel_token *c)
{
	const uint32_t word = fl__load_relaxed(&c->word_); /* as in fl_cancel_token_destroy() */
	return (!c->parent_ && !c->child_ && word == 0) || word == FL__CANCEL_APART;
}

/* Before something waits under `c`: if `c` is APART, it enters its parent's list. */
void fl__cancel_attach(fl_cancel_token *c);

/* False: the token is requested, or its deadline is past. */
bool fl__cancel_arm(fl_cancel_token *c, struct fl__node *node);

#endif
