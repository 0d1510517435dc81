/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A group has a count of members, and a token above the members' tokens. A member is a task of the
 * executor (group_tasks.c) or a fiber of a loop (loop/loop_fiber.c). group_join.c waits for the
 * members. No user code runs under `lock_`.
 *
 *   group    begun_  members  token                    next
 *   unused   no      none     none                     begun: by a submit, a start, or
 *                                                      fl_group_token()
 *   begun    yes     any      under the scope of the   unused: by a join when no member is left, or
 *                             context that began it;   by a refused submit or start if the group
 *                             under the root of the    was not used_
 *                             loop, if a callback of
 *                             the loop began it by
 *                             fl_group_start()
 *
 * A submit or start counts the member. The end of the member notes an error, and then uncounts the
 * member: a task after its callback, and a fiber after its end was published.
 *
 * Counting. Submits write entered_, and ends write balance_, so that neither waits for the other's
 * cache line. Both words count in units of two; their lowest bit is CLOSED.
 *
 *   group    entered_ / 2            balance_ / 2                members left
 *   open     the members that have   minus the ended members     the sum of both
 *            entered since the last
 *            join
 *   closed   as in an open group     the members left            balance_ / 2
 *
 * A context that may sleep until the members have ended, such as a join, closes the group. Under
 * `lock_` it sets CLOSED in entered_, and then adds to balance_ what entered_ had, and CLOSED. A
 * submit or start that was refused closes the group, too. A submit that sees CLOSED adds its member
 * to balance_, too, but not before balance_ has CLOSED. So no reader of both words counts a member
 * twice. A join that has joined the group opens it again.
 *
 * Fibers. A fiber is never in the stack of tasks that a join takes. The loop's thread alone writes
 * `fibers_`. A join compares sched_ and thread_ with the caller's, and never uses what they point
 * to: the last fiber, and its loop, may end on another thread.
 *
 *   word      bit           meaning                    set by                  cleared by
 *   running_  MEMBERS_LEFT  closed, a member is left   fl__group_close(),      the last member
 *                                                      group_count_in()
 *   idle_     NO_OFFER      a taking join found no     fl__group_take_offer()  a push to listed_,
 *                           task                                               the last member
 *   both      WAITER        a waiter sleeps until the  fl__word_wait(),        together with that
 *                           bit above is cleared       fl__word_arm()          bit (group_clear())
 *
 * Invariants
 *   1. The bits of both words change under `lock_`, except WAITER, which the parking lot changes.
 *      Two kinds of reads take no lock: a push reads NO_OFFER (invariant 1 of group_tasks.c), and
 *      fl__word_wait() and fl__word_arm() read the bit that they wait for.
 *   2. Each end of a member subtracts from balance_ after the member's work, with release order.
 *      That is its last access to the group, unless it may be the last end of a closed group. Such
 *      an end locks `lock_` before it subtracts, and its unlock is its last access. In a closed
 *      group the number of the members left changes from 0 and to 0 only under `lock_`, and while
 *      it is above 0, MEMBERS_LEFT is set. So a thread that reads, with acquire order, that no
 *      member is left, and then locks and unlocks `lock_`, is alone with the group, and reads what
 *      all members wrote.
 *   3. A submit needs no lock if it reads that members have entered an open group, or are left in
 *      a closed one: the group is begun.
 */
#include "group.h"
#include "../base/panic.h"
#include "../base/sys.h"
#include "../hooks.h"
#include "../wait/cancel.h"
#include "../wait/lock.h"
#include "../wait/lot.h"
#include "executor.h"
#include <string.h>

enum { GROUP_LAST = FL__GROUP_MEMBER | FL__GROUP_CLOSED };

/* group_clear() dequeues waiters under the lock, group_unlock() unparks them without it. */

struct group_wakes {
	struct fl__lot lot;
	bool any;
};

/* Called under the lock. Clears a bit of a word, and dequeues the waiters for it. */
static void group_clear(uint32_t *word, uint32_t bit, struct group_wakes *wakes)
{
	uint32_t seen = fl__load_relaxed(word); /* relaxed: invariant 1 */
	/* relaxed: invariant 1; the CAS fails if a waiter has set its bit */
	if (seen == 0 || (seen == bit && fl__cas_relaxed(word, &seen, 0)))
		return;
	if (wakes->any)
		fl__lot_open_next(&wakes->lot, word);
	else
		fl__lot_open(&wakes->lot, word);
	wakes->any = true;
	(void)fl__lot_take(&wakes->lot, FL__ALL, 0);
	fl__store_relaxed(word, 0); /* relaxed: invariant 1. The bucket is locked, so no waiter comes. */
	fl__lot_unlock(&wakes->lot);
}

/* The group may be gone when waiters are unparked. */
static void group_unlock(fl_group *g, struct group_wakes *wakes)
{
	fl__unlock(&g->lock_);
	if (wakes->any)
		fl__lot_unpark(&wakes->lot);
}

/*
 * Called under the lock. Begins the group, with a token below `parent` or the scope. Returns
 * whether the caller must request the token.
 */
static bool group_begin(fl_group *g, fl_cancel_token *parent)
{
	if (g->begun_)
		return false;
	g->error_ = 0;
	g->message_[0] = 0;
	g->cut_ = false;
	g->used_ = false;
	fl__cancel_init(&g->token_, parent, g->deadline_);
	g->begun_ = true;
	return g->cancelled_;
}

/* Called under the lock. Ends the token of a begun group without members. */
void fl__group_end(fl_group *g)
{
	if (fl_cancel_scope_current() == &g->token_)
		(void)fl_cancel_scope_set(g->token_.parent_);
	fl_cancel_token_destroy(&g->token_);
	g->begun_ = false;
}

/* Called under the lock. From now on the last member clears running_ and idle_. */
void fl__group_close(fl_group *g)
{
	const size_t n = fl__or_relaxed(&g->entered_, FL__GROUP_CLOSED); /* relaxed: the lock orders it */
	/*
	 * release: pairs with the acquire in group_count_in_closed(), for what group_begin() has
	 * stored
	 */
	if (!(n & FL__GROUP_CLOSED) && fl__add_release(&g->balance_, n + FL__GROUP_CLOSED) + n > 0)
		/* relaxed: invariant 1. No waiter changes a word that is 0. */
		fl__store_relaxed(&g->running_, FL__GROUP_MEMBERS_LEFT);
}

/* Counts a member, under the lock. Returns the member's number. */
static FL__NOINLINE size_t group_count_in(fl_group *g)
{
	/*
	 * release, both: pairs with the acquires in group_enter_begun() and
	 * group_count_in_closed(), for what group_begin() has stored
	 */
	const size_t seen = fl__add_release(&g->entered_, FL__GROUP_MEMBER);
	if ((seen & FL__GROUP_CLOSED) && fl__add_release(&g->balance_, FL__GROUP_MEMBER) == FL__GROUP_CLOSED)
		fl__store_relaxed(&g->running_, FL__GROUP_MEMBERS_LEFT); /* relaxed: invariant 1 */
	return seen / FL__GROUP_MEMBER;
}

/* Uncounts a member that has ended. Called under the lock. */
static void group_count_out_locked(fl_group *g, struct group_wakes *wakes)
{
	/* release: what the member wrote; pairs with the acquires in fl__group_left() */
	if (fl__sub_release(&g->balance_, FL__GROUP_MEMBER) != GROUP_LAST)
		return;
	group_clear(&g->idle_, FL__GROUP_NO_OFFER, wakes);
	group_clear(&g->running_, FL__GROUP_MEMBERS_LEFT, wakes);
}

/*
 * Uncounts a member that has ended, without the lock. It is the caller's last access to the group.
 */
static void group_count_out(fl_group *g)
{
	size_t seen = fl__load_relaxed(&g->balance_); /* relaxed: the CAS below checks it */
	while (seen != GROUP_LAST)
		/* release: what the member wrote; pairs with the acquires in fl__group_left() */
		if (fl__cas_weak_release(&g->balance_, &seen, seen - FL__GROUP_MEMBER))
			return;
	struct group_wakes wakes = {0};
	fl__lock(&g->lock_);
	group_count_out_locked(g, &wakes);
	group_unlock(g, &wakes);
}

void fl__group_wake_taking_join(fl_group *g)
{
	struct group_wakes wakes = {0};
	fl__lock(&g->lock_);
	group_clear(&g->idle_, FL__GROUP_NO_OFFER, &wakes);
	group_unlock(g, &wakes);
}

static void group_report(const struct fl__group_failure *failure)
{
	if (!failure->type)
		fl__fiber_report_error(failure->fiber, failure->error);
	else
		fl__log(FL_LOG_WARNING, "a task of a group failed after another: %s: %s", fl_error_name(failure->error),
		        failure->text);
}

void fl__group_note_error(fl_group *g, bool cut, const struct fl__group_failure *failure)
{
	fl__lock(&g->lock_);
	const bool first = !cut && g->error_ == 0;
	g->cut_ = g->cut_ || cut;
	if (first) {
		g->error_ = failure->error;
		g->failed_number_ = failure->number;
		g->failed_type_ = failure->type;
		if (!failure->type)
			strncpy(g->name_, failure->fiber, sizeof g->name_ - 1);
		strncpy(g->message_, failure->text, sizeof g->message_ - 1);
	}
	fl__unlock(&g->lock_);
	if (first)
		fl_cancel_token_request(&g->token_);
	else if (!cut)
		group_report(failure);
}

/* Called without the lock. It is the caller's last access to the group. */
void fl__group_leave(fl_group *g)
{
	/* relaxed, both times: group_count_out() publishes it for fl__group_refuse() */
	if (!fl__load_relaxed(&g->used_))
		fl__store_relaxed(&g->used_, true);
	group_count_out(g);
}

/* Called by the fibers' thread. */
static size_t group_fibers(const fl_group *g)
{
	return fl__load_relaxed(&g->fibers_); /* relaxed: written by this thread alone */
}

static void group_set_fibers(fl_group *g, size_t n)
{
	/* release: what group_fiber_in() stores; pairs with group_may_wait_for_fibers() */
	fl__store_release(&g->fibers_, n);
}

void fl__group_fiber_left(fl_group *g)
{
	group_set_fibers(g, group_fibers(g) - 1);
	fl__group_leave(g);
}

/* Called under the lock. Returns whether all fibers, with the new one, have one scheduler. */
static bool group_fiber_in(fl_group *g, const struct fl__host *s)
{
	const size_t fibers = group_fibers(g);
	/* relaxed, all four: group_set_fibers() orders them */
	if (fibers > 0 && fl__load_relaxed(&g->sched_) != s)
		return false;
	fl__store_relaxed(&g->sched_, s);
	fl__store_relaxed(&g->thread_, fl__ctx_thread());
	fl__store_relaxed(&g->forks_, fl__fork_count);
	group_set_fibers(g, fibers + 1);
	return true;
}

/*
 * Counts a member of a closed group, without the lock. Returns false if no member is left, or if
 * entered_ has CLOSED, but balance_ does not have it yet.
 */
static bool group_count_in_closed(fl_group *g)
{
	size_t left = fl__load_relaxed(&g->balance_); /* relaxed: the CAS below checks it */
	while ((left & FL__GROUP_CLOSED) && left != FL__GROUP_CLOSED)
		/*
		 * acquire: pairs with the releases in fl__group_close() and group_count_in(), for
		 * what group_begin() has stored
		 */
		if (fl__cas_weak_acquire(&g->balance_, &left, left + FL__GROUP_MEMBER))
			return true;
	return false;
}

/*
 * Counts a member, without the lock, if the group has members and, for a fiber, fibers of `s`.
 * Stores the member's number. Else returns false.
 */
static bool group_enter_begun(fl_group *g, const struct fl__host *s, size_t *number)
{
	const size_t fibers = s ? group_fibers(g) : 0;
	/* relaxed: only this thread stores `s` there; another value is not `s` */
	if (s && (fibers == 0 || fl__load_relaxed(&g->sched_) != s))
		return false;
	size_t seen = fl__load_relaxed(&g->entered_); /* relaxed: the CAS below checks it */
	/* acquire: pairs with the release in group_count_in(), for what group_begin() has stored */
	while (seen != 0 && !(seen & FL__GROUP_CLOSED) &&
	       !fl__cas_weak_acquire(&g->entered_, &seen, seen + FL__GROUP_MEMBER))
		;
	if (seen & FL__GROUP_CLOSED)
		/* relaxed: a number; the group was entered by balance_ */
		seen = group_count_in_closed(g) ? fl__add_relaxed(&g->entered_, FL__GROUP_MEMBER) : 0;
	if (seen == 0)
		return false;
	*number = seen / FL__GROUP_MEMBER;
	if (s)
		group_set_fibers(g, fibers + 1);
	return true;
}

/* Counts a new task, or a fiber of `s`. Begins the group if needed. Returns the member's number. */
size_t fl__group_enter(fl_group *g, const struct fl__host *s, fl_cancel_token *parent)
{
	size_t number;
	if (group_enter_begun(g, s, &number))
		return number;
	fl__lock(&g->lock_);
	if (s && !group_fiber_in(g, s)) {
		fl__unlock(&g->lock_);
		fl__panic("fl_group_start", g, "it has fibers on another loop");
	}
	const bool cancelled = group_begin(g, parent);
	number = group_count_in(g);
	fl__unlock(&g->lock_);
	if (cancelled)
		fl_cancel_token_request(&g->token_);
	return number;
}

int fl__group_refuse(fl_group *g, int rc)
{
	struct group_wakes wakes = {0};
	fl__lock(&g->lock_);
	fl__group_close(g); /* so that only one of several refused members ends the group */
	group_count_out_locked(g, &wakes);
	/* relaxed: a member that set used_ was counted out before fl__group_left() read 0 */
	if (fl__group_left(g) == 0 && !fl__load_relaxed(&g->used_) && !g->joining_)
		fl__group_end(g);
	group_unlock(g, &wakes);
	return rc;
}

int fl__group_uncount_fiber(fl_group *g, int rc)
{
	group_set_fibers(g, group_fibers(g) - 1);
	return fl__group_refuse(g, rc);
}

void fl_group_cancel(fl_group *g)
{
	struct fl__cancel_calls calls = {NULL, NULL};
	{
		FL__LOCKED(&g->lock_);
		g->cancelled_ = true;
		if (g->begun_)
			fl__cancel_request_begin(&g->token_, &calls);
	}
	fl__cancel_call(&calls);
}

size_t fl_group_count(const fl_group *g)
{
	const size_t left = fl__group_left(g);
	/* relaxed: the context whose join has given up has stored it */
	return left > 0 ? left : fl__load_relaxed(&g->gave_up_);
}

const char *fl_group_message(const fl_group *g)
{
	FL__LOCKED(FL__MUTABLE(&g->lock_));
	return g->message_[0] ? g->message_ : NULL;
}

const char *fl_group_failed_name(const fl_group *g)
{
	FL__LOCKED(FL__MUTABLE(&g->lock_));
	if (g->error_ == 0)
		return NULL;
	return g->failed_type_ ? g->failed_type_ : g->name_;
}

size_t fl_group_failed_index(const fl_group *g)
{
	FL__LOCKED(FL__MUTABLE(&g->lock_));
	return g->error_ != 0 ? g->failed_number_ : SIZE_MAX;
}

fl_cancel_token *fl_group_token(fl_group *g)
{
	fl__lock(&g->lock_);
	const bool cancelled = group_begin(g, NULL);
	fl__store_relaxed(&g->used_, true); /* relaxed: the lock orders it */
	fl__unlock(&g->lock_);
	if (cancelled)
		fl_cancel_token_request(&g->token_);
	return &g->token_;
}
