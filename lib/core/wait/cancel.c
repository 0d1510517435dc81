/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A cancel token is a word with a wait queue in the parking lot. A wait under the token has a node
 * in this queue, and another node in the queue of the object that it waits for. A *request* is a
 * call that cancels the token. It wakes the waiters of the token's queue.
 *
 *   FL__CANCEL_  meaning                  set by                          cleared by
 *   REQUESTED    waits give up            a request of the token or an    fl__cancel_take_back(),
 *                                         ancestor; the entry in a tree,  of a root
 *                                         under a cancelled parent
 *   WAITERS      the queue has a waiter   fl__cancel_arm(), in a          a request, in a
 *                                         transaction                     transaction
 *   OWN          the token is part of an  fl__cancel_init_own()           fl__cancel_disown(), tree
 *                fl__own_token                                            locked
 *   CALLBACKS    the token has callbacks  fl_cancel_token_on_request()    a request; the removal of
 *                                                                         the last callback
 *   APART        the token is not in its  fl__cancel_init_apart()         cancel_attach_locked()
 *                parent's list
 *
 * Rules
 *   1. One lock, in the root, guards the links of a tree. A request walks the tree under this lock,
 *      so that no descendant is destroyed during the walk, and a new child is either visited by the
 *      walk, or finds its parent cancelled. Callbacks run after the unlock.
 *   2. A request writes REQUESTED under the tree's lock, with release. Therefore a load under that
 *      lock may be relaxed. A load without the lock acquires if it tells a caller "cancelled": in
 *      fl__cancel_is_requested(), fl__word_arm() and cancel_callback_register(). The load in
 *      lot_is_cancelled() (lot.c) is relaxed, because it only makes a wake skip the waiter.
 *   3. A thread that needs both locks first locks the tree, and then a bucket.
 *   4. A token's `deadline_` is the earliest of the deadline with which the token was created and
 *      its ancestors' deadlines. It never changes afterwards.
 *
 * A token that is APART costs no lock, but no request of an ancestor walks to it. Therefore whoever
 * asks whether it is cancelled also reads the word of its parent. It has no child, waiter or
 * callback, because before it gets one, it enters its parent's list, and is cancelled if its parent
 * is. Its word changes only under the tree's lock.
 */
#include "cancel.h"
#include "../base/list.h"
#include "../base/panic.h"
#include "../hooks.h"
#include "lock.h"

static const struct fl__word cancel_requested_word = {FL__CANCEL_REQUESTED, FL__CANCEL_REQUESTED, FL__CANCEL_WAITERS};

fl_cancel_token fl__shielded;

static fl_cancel_token *cancel_resolve_here(const fl_cancel_token *cancel)
{
	return fl__cancel_resolve(cancel, fl__ctx_get());
}

/* Enters `c`, if it is APART, in its parent's list. The caller holds the tree's lock. */
static void cancel_attach_locked(fl_cancel_token *c)
{
	/* relaxed: rule 2 */
	const uint32_t word = fl__load_relaxed(&c->word_);
	if (!(word & FL__CANCEL_APART))
		return;
	FL__LIST_ADD_BY(next_, link_, &c->parent_->child_, c);
	/*
	 * relaxed load: rule 2. release: passes on a request of the parent, which the lock has
	 * acquired; pairs with the acquires of rule 2
	 */
	fl__store_release(&c->word_, (word | fl__load_relaxed(&c->parent_->word_)) & FL__CANCEL_REQUESTED);
}

void fl__cancel_attach(fl_cancel_token *c)
{
	/*
	 * relaxed: once cleared, APART is never set again, and a stale APART is checked under the
	 * lock
	 */
	if (!(fl__load_relaxed(&c->word_) & FL__CANCEL_APART))
		return;
	FL__LOCKED(&c->root_->lock_);
	cancel_attach_locked(c);
}

void fl__cancel_join_tree(fl_cancel_token *c, fl_cancel_token *parent)
{
	parent = cancel_resolve_here(parent);
	if (!parent)
		return;
	c->deadline_ = fl__earlier(c->deadline_, parent->deadline_);
	c->parent_ = parent;
	c->root_ = fl__cancel_root_of(parent);
	FL__LOCKED(&c->root_->lock_);
	cancel_attach_locked(parent);
	/* relaxed: rule 2 */
	c->word_ |= fl__load_relaxed(&parent->word_) & FL__CANCEL_REQUESTED;
	FL__LIST_ADD_BY(next_, link_, &parent->child_, c);
}

void fl_cancel_token_init(fl_cancel_token *c, fl_cancel_token *parent, fl_time deadline)
{
	fl__cancel_init(c, parent, deadline);
}

void fl__cancel_init_own(struct fl__own_token *own, fl_cancel_token *parent, fl_time deadline)
{
	fl__cancel_init(&own->token, FL_SHIELDED, deadline);
	own->token.word_ = FL__CANCEL_OWN;
	fl__cancel_join_tree(&own->token, parent);
}

void fl__cancel_disown(struct fl__own_token *own)
{
	FL__LOCKED(&fl__cancel_root_of(&own->token)->lock_);
	/* relaxed: rule 2; requests also read OWN under the lock */
	fl__and_relaxed(&own->token.word_, ~(uint32_t)FL__CANCEL_OWN);
}

void fl_cancel_token_destroy(fl_cancel_token *c)
{
	/*
	 * A token that is in no list can only be cancelled by a direct call, and no call may run at
	 * the same time as the destroy.
	 */
	if (fl__cancel_is_alone(c))
		return;
	fl_cancel_token *root = fl__cancel_root_of(c);
	fl__lock(&root->lock_);
	bool has_child = c->child_ != NULL;
	/* relaxed: a request of an ancestor writes the word under this lock (rule 2) */
	bool has_callback = fl__load_relaxed(&c->word_) & FL__CANCEL_CALLBACKS;
	if (!has_child && !has_callback && c->parent_) {
		cancel_attach_locked(c);
		FL__LIST_REMOVE_BY(next_, link_, c);
		c->parent_ = NULL;
	}
	fl__unlock(&root->lock_);
	if (has_child)
		fl__panic("fl_cancel_token_destroy", c, FL__IN_USE("a child of it"));
	if (has_callback)
		fl__panic("fl_cancel_token_destroy", c, "has a callback");
	c->root_ = c->next_ = NULL;
}

/* Cancels `c`, but not its descendants. The caller holds the tree's lock. */
static void cancel_request_one(fl_cancel_token *c, struct fl__lot *lot, struct fl__cancel_calls *calls)
{
	/* relaxed: a stale value only makes the CAS below fail, which loads a new one */
	uint32_t seen = fl__load_relaxed(&c->word_);
	/*
	 * While the word has no waiters bit, no transaction is needed (invariant 6 of lot.c).
	 * release: pairs with the acquires of rule 2
	 */
	while (!(seen & FL__CANCEL_WAITERS) &&
	       !fl__cas_weak_release(&c->word_, &seen, (seen & ~(uint32_t)FL__CANCEL_CALLBACKS) | FL__CANCEL_REQUESTED))
		;
	if (seen & FL__CANCEL_WAITERS) {
		fl__lot_open_next(lot, c);
		fl__lot_take(lot, FL__ALL, 0);
		/*
		 * This is a CAS in a loop, because registering or removing a callback may change
		 * CALLBACKS outside of this transaction. release: rule 2
		 */
		while (!fl__cas_weak_release(&c->word_, &seen,
		                             (seen & ~(uint32_t)(FL__CANCEL_WAITERS | FL__CANCEL_CALLBACKS)) |
		                                 FL__CANCEL_REQUESTED))
			;
		fl__lot_unlock(lot);
	}
	if (seen & FL__CANCEL_CALLBACKS)
		fl__cancel_take_callbacks(c, lot, calls);
	if (seen & FL__CANCEL_OWN)
		((struct fl__own_token *)(void *)c)->kick((struct fl__own_token *)(void *)c);
}

/*
 * Returns the token after `c` in the preorder of the tree under `top`, or NULL at the end. If
 * `below` is false, skips the descendants of `c`.
 */
static fl_cancel_token *cancel_walk_next(fl_cancel_token *c, const fl_cancel_token *top, bool below)
{
	if (below && c->child_)
		return c->child_;
	while (c != top && !c->next_)
		c = c->parent_;
	return c == top ? NULL : c->next_;
}

/* Cancels `c` and its descendants. The caller holds the tree's lock. */
static void cancel_request_tree(fl_cancel_token *c, struct fl__lot *lot, struct fl__cancel_calls *calls)
{
	for (fl_cancel_token *t = c, *next; t; t = next) {
		/* relaxed: rule 2. If `t` was already cancelled, so were its descendants. */
		bool is_new = !(fl__load_relaxed(&t->word_) & FL__CANCEL_REQUESTED);
		if (is_new)
			cancel_request_one(t, lot, calls);
		next = cancel_walk_next(t, c, is_new);
	}
}

/* Cancels `c` with its descendants or, with `children`, only the descendants. */
static void cancel_request_begin(fl_cancel_token *c, bool children, struct fl__cancel_calls *calls)
{
	fl_cancel_token *root = fl__cancel_root_of(c);
	struct fl__lot lot = {0};
	*calls = (struct fl__cancel_calls){0};
	fl__lock(&root->lock_);
	if (!children)
		cancel_request_tree(c, &lot, calls);
	for (fl_cancel_token *child = children ? c->child_ : NULL; child; child = child->next_)
		cancel_request_tree(child, &lot, calls);
	fl__unlock(&root->lock_); /* the last access to tokens: a woken waiter may destroy them */
	fl__lot_unpark(&lot);
}

void fl__cancel_request_begin(fl_cancel_token *c, struct fl__cancel_calls *calls)
{
	cancel_request_begin(c, false, calls);
}

void fl_cancel_token_request(fl_cancel_token *c)
{
	struct fl__cancel_calls calls;
	fl__cancel_request_begin(c, &calls);
	fl__cancel_call(&calls);
}

void fl__cancel_request_children(fl_cancel_token *c)
{
	struct fl__cancel_calls calls;
	cancel_request_begin(c, true, &calls);
	fl__cancel_call(&calls);
}

bool fl__cancel_take_back(fl_cancel_token *c)
{
	FL__LOCKED(&c->lock_);
	bool alone = c->child_ == NULL;
	if (alone)
		/* relaxed: taking back a request publishes nothing else */
		fl__and_relaxed(&c->word_, ~(uint32_t)FL__CANCEL_REQUESTED);
	return alone;
}

bool fl_cancel_token_is_requested(const fl_cancel_token *c)
{
	c = cancel_resolve_here(c);
	return c && fl__cancel_is_requested(c);
}

fl_time fl_cancel_token_deadline(const fl_cancel_token *c)
{
	c = cancel_resolve_here(c);
	return c ? c->deadline_ : FL_FOREVER;
}

fl_cancel_token *fl_cancel_scope_current(void)
{
	return fl__ctx_get()->front.scope;
}

fl_cancel_token *fl_cancel_scope_set(fl_cancel_token *c)
{
	struct fl__ctx *ctx = fl__ctx_get();
	fl_cancel_token *before = ctx->front.scope;
	ctx->front.scope = c == FL_SHIELDED ? NULL : c;
	return before;
}

bool fl__cancel_arm(fl_cancel_token *c, struct fl__node *node)
{
	fl__cancel_attach(c);
	return !fl__cancel_is_requested(c) && fl__word_arm(&c->word_, &cancel_requested_word, node);
}

static bool cancel_on_ready(void *object)
{
	return fl__cancel_is_requested(object);
}

static bool cancel_on_arm(void *object, struct fl__node *node)
{
	return fl__cancel_arm(object, node);
}

static fl_time cancel_on_deadline(void *object)
{
	return ((const fl_cancel_token *)object)->deadline_;
}

const fl_on_type fl__on_cancel_token = {cancel_on_ready, cancel_on_arm, fl__node_disarm, cancel_on_deadline};
