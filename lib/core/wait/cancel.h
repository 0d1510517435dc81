/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Internals of cancel tokens: own tokens of contexts, trees, and tokens that are apart. cancel.c
 * has the table of bits and the rules.
 */
#ifndef FL_WAIT_CANCEL_H
#define FL_WAIT_CANCEL_H

#include "../base/atomic.h"
#include "../base/sys.h"
#include "lot.h"

/*
 * A context's own token, `ctx->own`. When it is cancelled, `kick` is called once, on any thread,
 * under the lock of the token's tree. `kick` causes a call of fl__ctx_cancel() on the context's
 * thread, which ends the wait. Therefore a wait under the own token needs no node in the token's
 * queue.
 */
struct fl__own_token {
	fl_cancel_token token;
	void (*kick)(struct fl__own_token *own);
};

/*
 * Makes `c` a child of the token that `parent` means, if there is one (NULL means the caller's
 * scope). `c` must be a root that no other thread has seen.
 */
void fl__cancel_join_tree(fl_cancel_token *c, fl_cancel_token *parent);

/* The inline form of fl_cancel_token_init(). */
static inline void fl__cancel_init(fl_cancel_token *c, fl_cancel_token *parent, fl_time deadline)
{
	*c = (fl_cancel_token)FL_CANCEL_TOKEN_INIT;
	c->deadline_ = deadline;
	if (parent != FL_SHIELDED)
		fl__cancel_join_tree(c, parent);
}

/* Initializes the own token of a context. The caller then sets `ctx->own`. */
void fl__cancel_init_own(struct fl__own_token *own, fl_cancel_token *parent, fl_time deadline);

/* After it returns, no request calls `kick`. The token must have no waiters. */
void fl__cancel_disown(struct fl__own_token *own);

/*
 * Ends the wait of `ctx` under its own token, if there is one. The thread of `ctx` calls this while
 * `ctx` does not run.
 */
void fl__ctx_cancel(struct fl__ctx *ctx);

/* The callbacks that a request has to run. It lives on the request's stack. */
struct fl__cancel_calls {
	const void *queue; /* the key of the wait queue that guards them, or NULL if there are none */
	struct fl_cancel_callback *first;
};

/*
 * fl_cancel_token_request() in two steps, for callers with a lock that keeps the token alive. They
 * call fl__cancel_request_begin() under the lock, and after the unlock fl__cancel_call(), which
 * runs the callbacks and does not touch the token.
 */
void fl__cancel_request_begin(fl_cancel_token *c, struct fl__cancel_calls *calls);
void fl__cancel_call(struct fl__cancel_calls *calls);

/* Moves the callbacks of the cancelled token `c` to `calls`. The caller has locked the tree. */
void fl__cancel_take_callbacks(fl_cancel_token *c, struct fl__lot *lot, struct fl__cancel_calls *calls);

/* Cancels all descendants of `c`, but not `c` itself. */
void fl__cancel_request_children(fl_cancel_token *c);

/* Undoes the request of the root `c`. If `c` has a child, does nothing and returns false. */
bool fl__cancel_take_back(fl_cancel_token *c);

static inline fl_cancel_token *fl__cancel_root_of(fl_cancel_token *c)
{
	return c->root_ ? c->root_ : c;
}

/*
 * Returns the token that the argument `cancel` means for a wait of `ctx` (NULL means the context's
 * scope), or NULL if the wait has no token.
 */
static inline fl_cancel_token *fl__cancel_resolve(const fl_cancel_token *cancel, const struct fl__ctx *ctx)
{
	if (!cancel)
		cancel = ctx->front.scope;
	return cancel == FL_SHIELDED ? NULL : (fl_cancel_token *)cancel;
}

/*
 * Returns -ECANCELED or -ETIMEDOUT if a wait with these arguments would end at once, otherwise 0.
 */
static inline int fl__is_interrupted(fl_time deadline, const fl_cancel_token *cancel)
{
	if (fl_cancel_token_is_requested(cancel))
		return -ECANCELED;
	return fl__is_expired(deadline) ? -ETIMEDOUT : 0;
}

/* The bits of a token's word. The table is at the top of cancel.c. */
enum {
	FL__CANCEL_REQUESTED = 1,
	FL__CANCEL_WAITERS = 2,
	FL__CANCEL_OWN = 4,
	FL__CANCEL_CALLBACKS = 8,
	FL__CANCEL_APART = 16
};

/*
 * Initializes `c`, which no other thread has seen, as a child of `parent` that stays out of the
 * parent's list until it gets a child, a waiter or a callback. `parent` must not be APART itself,
 * and must exist as long as any context may ask whether `c` is cancelled.
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
	/*
	 * acquire, both: pairs with the release in cancel_request_one() or cancel_attach_locked()
	 */
	uint32_t seen = fl__load_acquire(&c->word_);
	if (seen & FL__CANCEL_APART)
		seen |= fl__load_acquire(&c->parent_->word_);
	return (seen & FL__CANCEL_REQUESTED) || fl__is_expired(c->deadline_);
}

/* One step of a walk to the root. A test counts the steps. */
#ifndef FL__CANCEL_UP
#define FL__CANCEL_UP(c) ((c) ? (c)->parent_ : NULL)
#endif

enum fl__cancel_place { FL__CANCEL_ELSEWHERE, FL__CANCEL_BELOW, FL__CANCEL_ABOVE };

/*
 * Returns whether `c`, which may be NULL, is below or above another token. Walks up from both in
 * turn, so that if one of them was made a few steps below the other, the call takes a few steps,
 * however deep both are in the tree.
 */
static inline enum fl__cancel_place fl__cancel_place(const fl_cancel_token *c, const fl_cancel_token *other)
{
	const fl_cancel_token *up = c, *other_up = other;
	if (!c || (c->root_ ? c->root_ : c) != (other->root_ ? other->root_ : other))
		return FL__CANCEL_ELSEWHERE;
	while (up || other_up) {
		up = FL__CANCEL_UP(up);
		if (up == other)
			return FL__CANCEL_BELOW;
		other_up = FL__CANCEL_UP(other_up);
		if (other_up == c)
			return FL__CANCEL_ABOVE;
	}
	return FL__CANCEL_ELSEWHERE;
}

/* Returns whether `c`, which may be NULL, is a descendant of `above`. */
static inline bool fl__cancel_is_under(const fl_cancel_token *c, const fl_cancel_token *above)
{
	return fl__cancel_place(c, above) == FL__CANCEL_BELOW;
}

/*
 * Returns whether the token is in no list and no request has marked its word. If so, there is
 * nothing to do when it is destroyed.
 */
static inline bool fl__cancel_is_alone(const fl_cancel_token *c)
{
	/*
	 * relaxed: no request may run at the same time as a destroy. future_try_publish() notices a
	 * request that runs at the same time, because the request first sets GUARDED in the
	 * future's state, so that the CAS that follows fails.
	 */
	const uint32_t word = fl__load_relaxed(&c->word_);
	return (!c->parent_ && !c->child_ && word == 0) || word == FL__CANCEL_APART;
}

/*
 * Called before `c` gets a waiter or a callback. If `c` is APART, enters it in its parent's list.
 */
void fl__cancel_attach(fl_cancel_token *c);

/*
 * Enqueues `node` at the token. Returns false if the token is cancelled or its deadline has passed.
 */
bool fl__cancel_arm(fl_cancel_token *c, struct fl__node *node);

#endif
