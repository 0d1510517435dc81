/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_WAIT_CANCEL_H
#define FL_WAIT_CANCEL_H

#include "../base/atomic.h"
#include "../base/sys.h"
#include "lot.h"
#include <fairlead/time.h>

/*
 * A token that belongs to one context, `ctx->own`: a request calls `kick`, once, under the lock of the token's tree, on whatever
 * thread; that sees to it that fl__ctx_cancel() is called on the context's thread. So a wait of that context under its own token
 * enters no line: it looks at the token, then parks. A request that it did not see is followed by the call.
 */
struct fl__own_token {
	fl_cancel token;
	void (*kick)(struct fl__own_token *own);
};

/* As fl_cancel_init(). To be made a context's own by whoever calls. */
void fl__cancel_init_own(struct fl__own_token *own, fl_cancel *parent, int64_t deadline);

/* No kick begins any more. Its waits are over. */
void fl__cancel_disown(struct fl__own_token *own);

/* By the thread of `ctx`, which does not run: ends its wait under its own token, if it is in one. */
void fl__ctx_cancel(struct fl__ctx *ctx);

/* The callbacks that a request has to run; on its stack. */
struct fl__cancel_calls {
	const void *line; /* that guards them; NULL: there are none */
	struct fl_cancel_callback *first;
};

/*
 * fl_cancel_request() in two steps, for those who hold a lock that keeps the token alive: all but the callbacks; then, without
 * the lock, the callbacks. Between them, and after, the token may be gone.
 */
void fl__cancel_request_begin(fl_cancel *c, struct fl__cancel_calls *calls);
void fl__cancel_call(struct fl__cancel_calls *calls);

/* With the tree locked: hands the callbacks of `c`, which is requested, to the request. */
void fl__cancel_take_callbacks(fl_cancel *c, struct fl__lot *lot, struct fl__cancel_calls *calls);

/* Requests every child of `c`, and their descendants, but not `c`. */
void fl__cancel_request_children(fl_cancel *c);

/* Makes a root that was requested one that was not: true; false, and nothing: it has a child. */
bool fl__cancel_renew(fl_cancel *c);

/* The token that `cancel` means for `ctx`: itself, its scope for NULL; NULL for none. */
static inline fl_cancel *fl__cancel_resolve(const fl_cancel *cancel, const struct fl__ctx *ctx)
{
	if (!cancel)
		cancel = ctx->front.scope;
	return cancel == FL_SHIELDED ? NULL : (fl_cancel *)cancel;
}

/* Of a token that was resolved. The bits: cancel.c. */
enum { FL__CANCEL_REQUESTED = 1, FL__CANCEL_CALLBACKS = 8 };

static inline int64_t fl__cancel_deadline(const fl_cancel *c)
{
	return FL_FOREVER - c->from_forever_;
}

static inline bool fl__cancel_is_requested(const fl_cancel *c)
{
	if (fl__load_acquire(&c->word_) & FL__CANCEL_REQUESTED) /* pairs with request_one() */
		return true;
	return c->from_forever_ != 0 && fl__sys.now() >= fl__cancel_deadline(c);
}

/*
 * For a call that has begun to wait and is about to try again: whether it has to end with -ECANCELED instead, so that it does not
 * take what came after the request. What made it try again may have been seen by a relaxed load: hence the fence.
 */
static inline bool fl__cancel_ends(const fl_cancel *cancel, const struct fl__ctx *ctx)
{
	const fl_cancel *token = fl__cancel_resolve(cancel, ctx);
	if (!token)
		return false;
	fl__fence_acquire();
	return fl__cancel_is_requested(token);
}

/* Whether it is in no tree and was never requested, so that its end is nothing to be done. By whoever may end it. */
static inline bool fl__cancel_is_alone(const fl_cancel *c)
{
	/* relaxed: as in fl_cancel_destroy() */
	return !c->parent_ && !c->child_ && fl__load_relaxed(&c->word_) == 0;
}

/* Adds `node` to those that a request wakes; false when the token is requested, also by its deadline. */
bool fl__cancel_arm(fl_cancel *c, struct fl__node *node);

#endif
