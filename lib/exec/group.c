/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Task groups of any executor: a count of children, a token above the children's tokens, and offers
 * that a join may take. `lock_` guards all of these. No user code runs under `lock_`: no submit, no
 * callback of a token, no end of a future.
 *
 *   group    bound_  count_  token                    next
 *   unused   no      0       none                     begun: by a submit or fl_group_token()
 *   begun    yes     any     under the scope of the   unused: by a join when count_ is 0, or by a
 *                            thread that began it     refused submit if the group was not used_
 *
 * A child may end before its submit learns the future. So the submit and the end (a callback of the
 * future) both call meet(), and the second call removes the child. The child counts until then: a
 * thread that reads a count of 0 and then has had the lock is alone with the group.
 *
 *   child     since                        list      holds
 *   entered   enter()                      none      a count
 *   offered   meet() by its submit         offers_   also the submit's reference to its future
 *   taken     take_offer() by a join       none      the same; the join has its own reference
 *   gone      the second meet(), refuse()  free_     nothing
 *
 * A join (group_join.c) takes each offer once. On a worker of the executor the join runs pending
 * offers. Elsewhere the join cancels pending offers once the group is cancelled, so that it need
 * not wait for their turn. With no offer left the join sleeps, while other threads run the
 * children. A new offer ends the sleep of a join that takes offers.
 *
 *   word      bit     meaning                         set by                cleared by
 *   running_  LEFT    a child is left                 enter()               the last child
 *   still_    STILL   a taking join found no offer    take_offer()          a new offer, last child
 *   both      WAITED  a waiter sleeps until the bit   fl__word_wait(), arm  the same
 *                     above is cleared
 *
 * The bits change under `lock_`, except WAITED, which the wait table changes. So the bits order
 * nothing: each child releases the lock after its work, and a join acquires the lock before it
 * reads what the children wrote.
 */
#include "group.h"
#include "../base/atomic.h"
#include "../base/panic.h"
#include "../base/sys.h"
#include "../wait/cancel.h"
#include "../wait/lock.h"
#include "../wait/lot.h"
#include "map.h"
#include <errno.h>
#include <fairlead/error.h>
#include <fairlead/group.h>
#include <string.h>

enum { LEFT = 1, STILL = 1, WAITED = 2 };
static const struct fl__word none_left = {LEFT, 0, WAITED};
static const struct fl__word not_still = {STILL, 0, WAITED};

struct fl__group_child {
	fl_group *group;
	fl_future *future;
	void *result; /* the caller's; NULL: none */
	size_t number;
	int64_t deadline;           /* of this task; 0: none */
	fl_future_callback *on_end; /* the caller's; NULL: none */
	void *on_end_arg;
	struct fl__group_child *next, *prev; /* in offers_; next: in free_ */
	bool offered;
	bool met; /* one of submit and end has called meet() */
};

enum { FIRST_BLOCK = 4, LARGEST_BLOCK = 256 };

struct fl__group_block {
	struct fl__group_block *next;
	size_t n;
	struct fl__group_child children[];
};

/* Waking: clear() dequeues waiters under the lock, wake() unparks them after the unlock. */

struct wakes {
	struct fl__lot lot;
	bool any;
};

/* Under the lock. */
static void clear(uint32_t *word, uint32_t bit, struct wakes *wakes)
{
	uint32_t seen = fl__load_relaxed(word); /* relaxed: the lock orders it */
	/* relaxed: the lock orders it */
	if (seen == 0 || (seen == bit && fl__cas_relaxed(word, &seen, 0)))
		return;
	if (wakes->any)
		fl__lot_next(&wakes->lot, word);
	else
		fl__lot_open(&wakes->lot, word);
	wakes->any = true;
	(void)fl__lot_take(&wakes->lot, FL__ALL, 0);
	fl__store_relaxed(word, 0); /* relaxed: the lock orders it */
	fl__lot_shut(&wakes->lot);
}

/* Without the lock; the group may be gone. */
static void wake(struct wakes *wakes)
{
	if (wakes->any)
		fl__lot_unpark(&wakes->lot);
}

/* The state of a group that is begun. */

/* Under the lock. Returns whether the caller must request the token. */
static bool begin(fl_group *g)
{
	if (g->bound_)
		return false;
	g->error_ = 0;
	g->cut_ = false;
	g->used_ = false;
	fl_cancel_token_init(&g->token_, NULL, g->deadline_);
	g->bound_ = true;
	return g->cancelled_;
}

struct fl__group_block *fl__group_end(fl_group *g)
{
	struct fl__group_block *blocks = g->blocks_;
	if (fl_cancel_scope_current() == &g->token_)
		(void)fl_cancel_scope_set(g->token_.parent_);
	fl_cancel_token_destroy(&g->token_);
	g->bound_ = false;
	g->blocks_ = NULL;
	g->free_ = NULL;
	return blocks;
}

void fl__group_free(struct fl__group_block *block)
{
	while (block) {
		struct fl__group_block *next = block->next;
		fl__free(block);
		block = next;
	}
}

/* Children. */

/* Under the lock. NULL: there is none. */
static struct fl__group_child *pop_free(fl_group *g)
{
	struct fl__group_child *child = g->free_;
	if (child)
		g->free_ = child->next;
	return child;
}

/* Under the lock. */
static void push_free(fl_group *g, struct fl__group_child *child)
{
	child->next = g->free_;
	g->free_ = child;
}

/* Under the lock. */
static struct fl__group_child *add_block(fl_group *g, struct fl__group_block *block)
{
	block->next = g->blocks_;
	g->blocks_ = block;
	for (size_t i = 1; i < block->n; i++)
		push_free(g, &block->children[i]);
	return &block->children[0];
}

/* The caller has counted the new child in. NULL: no memory. */
static struct fl__group_child *new_child(fl_group *g)
{
	fl__lock(&g->lock_);
	struct fl__group_child *child = pop_free(g);
	const size_t before = g->blocks_ ? g->blocks_->n : FIRST_BLOCK / 2;
	fl__unlock(&g->lock_);
	if (child)
		return child;
	const size_t n = before < LARGEST_BLOCK ? 2 * before : before;
	struct fl__group_block *block = fl__alloc(1, sizeof *block + n * sizeof *child);
	if (!block)
		return NULL;
	block->n = n;
	fl__lock(&g->lock_);
	child = add_block(g, block);
	fl__unlock(&g->lock_);
	return child;
}

/* Under the lock. */
static void offer(fl_group *g, struct fl__group_child *child, struct wakes *wakes)
{
	child->offered = true;
	child->prev = NULL;
	child->next = g->offers_;
	if (child->next)
		child->next->prev = child;
	g->offers_ = child;
	clear(&g->still_, STILL, wakes);
}

/* Under the lock. */
static void take_out(fl_group *g, struct fl__group_child *child)
{
	if (child->prev)
		child->prev->next = child->next;
	else
		g->offers_ = child->next;
	if (child->next)
		child->next->prev = child->prev;
	child->offered = false;
}

/* Under the lock. */
static void count_in(fl_group *g)
{
	/* relaxed: the lock orders it; fl_group_count() reads it without */
	fl__store_relaxed(&g->count_, g->count_ + 1);
	if (g->count_ == 1)
		/* relaxed: the lock orders it. No waiter changes a word that is 0. */
		fl__store_relaxed(&g->running_, LEFT);
}

/* Under the lock. */
static void count_out(fl_group *g, struct wakes *wakes)
{
	fl__store_relaxed(&g->count_, g->count_ - 1); /* relaxed: as above */
	if (g->count_ > 0)
		return;
	clear(&g->still_, STILL, wakes);
	clear(&g->running_, LEFT, wakes);
}

/*
 * Called by the submit, with the future, and by the end of `child`, with NULL. The last access of
 * the caller to the group.
 */
static void meet(fl_group *g, struct fl__group_child *child, fl_future *f)
{
	struct wakes wakes = {.any = false};
	fl_future *ours = NULL;
	fl__lock(&g->lock_);
	g->used_ = true;
	if (child->met) {
		ours = f ? f : child->future;
		if (child->offered)
			take_out(g, child);
		push_free(g, child);
		count_out(g, &wakes);
	} else {
		child->met = true;
		child->future = f;
		if (f)
			offer(g, child, &wakes);
	}
	fl__unlock(&g->lock_);
	wake(&wakes);
	fl_future_free(ours);
}

/* How a child ended. */

static void hand_over(const struct fl__group_child *child, fl_future *f)
{
	const void *result = fl_future_result(f);
	if (!child->result || !result)
		return;
	memcpy(child->result, result, f->type->result_size);
	if (f->type->drop_result)
		fl__chunk_let_go(f); /* the caller owns the result now */
}

static void note(fl_group *g, const struct fl__group_child *child, const fl_future *f, int error)
{
	const char *message = fl_future_message(f);
	const bool cut = error == -ECANCELED && fl_cancel_token_is_requested(&g->token_);
	if (error == -ECANCELED && !cut && child->deadline != 0 && fl__is_past(child->deadline)) {
		/* -ECANCELED would mean that the caller's scope was requested */
		error = -ETIMEDOUT;
		if (fl_future_get_state(f) == FL_CANCELLED)
			message = "";
	}
	const char *text = *message ? message : fl_error_text(error);
	fl__lock(&g->lock_);
	const bool first = !cut && g->error_ == 0;
	g->cut_ = g->cut_ || cut;
	if (first) {
		g->error_ = error;
		g->failed_number_ = child->number;
		strncpy(g->message_, text, sizeof g->message_ - 1);
	}
	fl__unlock(&g->lock_);
	if (first)
		fl_cancel_token_request(&g->token_);
	else if (!cut)
		fl__log(FL_LOG_WARNING, "a task of a group failed after another: %s: %s", fl_error_name(error), text);
}

static void on_end(fl_future *f, void *arg)
{
	struct fl__group_child *child = arg;
	fl_group *g = child->group;
	const int error = fl_future_error(f);
	hand_over(child, f);
	if (error != 0)
		note(g, child, f, error);
	if (child->on_end)
		child->on_end(f, child->on_end_arg);
	meet(g, child, NULL);
}

/* Submitting. */

/* Counts a future child in, and returns its number. Begins the group if needed. */
static size_t enter(fl_group *g)
{
	fl__lock(&g->lock_);
	const bool cancelled = begin(g);
	const size_t number = g->number_++;
	count_in(g);
	fl__unlock(&g->lock_);
	if (cancelled)
		fl_cancel_token_request(&g->token_);
	return number;
}

/* Undoes enter(). `child`: NULL, or the block of the refused child. */
static int refuse(fl_group *g, struct fl__group_child *child, int rc)
{
	struct wakes wakes = {.any = false};
	struct fl__group_block *blocks = NULL;
	fl__lock(&g->lock_);
	if (child)
		push_free(g, child);
	count_out(g, &wakes);
	if (g->count_ == 0 && !g->used_ && !g->joining_)
		blocks = fl__group_end(g);
	fl__unlock(&g->lock_);
	wake(&wakes);
	fl__group_free(blocks);
	return rc;
}

static int submit_child(fl_group *g, const fl_task_type *type, const void *arg, void *result,
                        const fl_submit_config *wanted)
{
	const size_t number = enter(g);
	if (wanted->cancel)
		return refuse(g, NULL, -EINVAL); /* a task has one parent token: the group's */
	if (fl_cancel_token_is_requested(&g->token_))
		return refuse(g, NULL, -ECANCELED);
	struct fl__group_child *child = new_child(g);
	if (!child)
		return refuse(g, NULL, -ENOMEM);
	*child = (struct fl__group_child){.group = g,
	                                  .result = result,
	                                  .number = number,
	                                  .deadline = wanted->deadline,
	                                  .on_end = wanted->on_end,
	                                  .on_end_arg = wanted->on_end_arg};
	fl_submit_config config = *wanted;
	config.cancel = &g->token_;
	config.on_end = on_end;
	config.on_end_arg = child;
	fl_future *f = NULL;
	const int rc = fl_submit_with(g->executor_, type, arg, &f, &config);
	if (rc != 0)
		return refuse(g, child, rc);
	meet(g, child, f);
	return 0;
}

static const fl_submit_config no_conditions;

int fl_group_submit(fl_group *g, const fl_task_type *type, const void *arg, void *result)
{
	fl__executor_check(g->executor_, "fl_group_submit");
	return submit_child(g, type, arg, result, &no_conditions);
}

int fl_group_submit_with(fl_group *g, const fl_task_type *type, const void *arg, void *result,
                         const fl_submit_config *config)
{
	fl__executor_check(g->executor_, "fl_group_submit_with");
	return submit_child(g, type, arg, result, config ? config : &no_conditions);
}

/* For joins. */

fl_future *fl__group_take_offer(fl_group *g)
{
	fl_future *f = NULL;
	fl__lock(&g->lock_);
	struct fl__group_child *child = g->offers_;
	if (child) {
		take_out(g, child);
		f = fl_future_ref(child->future);
		/* relaxed: the lock orders it */
	} else if (g->count_ > 0 && !(fl__load_relaxed(&g->still_) & STILL)) {
		/* relaxed: the lock orders it. No waiter changes a word that is 0. */
		fl__store_relaxed(&g->still_, STILL);
	}
	fl__unlock(&g->lock_);
	return f;
}

int fl__group_sleep(fl_group *g, bool takes, int64_t deadline, fl_cancel_token *cancel)
{
	if (takes)
		return fl__word_wait(&g->still_, &not_still, deadline, cancel);
	return fl__word_wait(&g->running_, &none_left, deadline, cancel);
}

void fl_group_cancel(fl_group *g)
{
	struct fl__cancel_calls calls = {NULL, NULL};
	fl__lock(&g->lock_);
	g->cancelled_ = true;
	if (g->bound_)
		fl__cancel_request_begin(&g->token_, &calls);
	fl__unlock(&g->lock_);
	fl__cancel_call(&calls);
}

/* Queries. */

size_t fl_group_count(const fl_group *g)
{
	/* relaxed: a lone number; a caller that reads 0 takes the lock */
	return fl__load_relaxed(&g->count_);
}

const char *fl_group_message(fl_group *g)
{
	fl__lock(&g->lock_);
	const bool failed = g->error_ != 0;
	fl__unlock(&g->lock_);
	return failed ? g->message_ : NULL; /* written once, before */
}

size_t fl_group_failed_index(fl_group *g)
{
	fl__lock(&g->lock_);
	const size_t number = g->error_ != 0 ? g->failed_number_ : 0;
	fl__unlock(&g->lock_);
	return number;
}

fl_cancel_token *fl_group_token(fl_group *g)
{
	fl__lock(&g->lock_);
	const bool cancelled = begin(g);
	g->used_ = true;
	fl__unlock(&g->lock_);
	if (cancelled)
		fl_cancel_token_request(&g->token_);
	return &g->token_;
}

static bool on_ready(void *g)
{
	return fl_group_count(g) == 0;
}

static bool on_arm(void *group, struct fl__node *node)
{
	fl_group *g = group;
	return fl__word_arm(&g->running_, &none_left, node);
}

const fl_on_type fl__on_group = {on_ready, on_arm, fl__node_disarm, NULL, true};
