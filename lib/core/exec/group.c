/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Groups: a count of members, and a token above the members' tokens. A member is a task of the
 * executor or a fiber of a loop. No user code runs under `lock_`.
 *
 *   group    begun_  members  token                    next
 *   unused   no      none     none                     begun: by a submit, a start, or
 *                                                      fl_group_token()
 *   begun    yes     any      under the scope of the   unused: by a join when no member is left, or
 *                             context that began it    by a refused submit or start if the group
 *                                                      was not used_
 *
 * A submit or start counts the member. Its end notes an error, and then uncounts it: after the
 * callback of a task; after the end of a fiber was published.
 *
 * Counting. Submits write entered_, and ends write balance_, so that neither waits for the other's
 * cache line. Both words count in units of two; their lowest bit is CLOSED.
 *
 *   group    entered_ / 2            balance_ / 2                members left
 *   open     the members, from 0 on  minus the ended members     the sum of both
 *   closed   the same                the members left            balance_ / 2
 *
 * A context that may sleep until the end of the members, as a join, closes the group: under `lock_`
 * it sets CLOSED in entered_, and then adds to balance_ what entered_ had, and CLOSED. So does a
 * submit that was refused. A submit that sees CLOSED adds its member to balance_, too, but not
 * before balance_ has CLOSED: so no reader of both words counts a member twice. A join that has
 * joined the group opens it again.
 *
 * Tasks. The token of a task is APART (cancel.c): it is in no list, unless something waits under
 * it. listed_ is a stack of the submitted tasks, linked by group_task.next. Submits push to it. A
 * join takes the whole stack, and then each task from what it has taken, once. On a worker of the
 * executor it runs pending tasks. Elsewhere it cancels them once the group is cancelled. With no
 * task left in the stack the join sleeps, until a push. A submit takes the whole stack, too, once
 * as many members have entered since the last sweep as tasks are left: it frees what has ended,
 * and pushes the rest again (group_sweep_if_due()). A submit looks whether that is so after each
 * FL__GROUP_SWEEP members, and whenever its task is large, that is, has memory of its own; but not
 * if its task has ended within it. A join pushes again what it has not used. The join that joins
 * the group finds only tasks that have ended.
 *
 *   of a task            owner                                              until
 *   claim, end, result   as of any future: future.c; no stack and no join   the end
 *                        has a reference, except a join to the pending
 *                        task that it runs or cancels
 *   drop of the result   whoever frees the last reference, at once          the last reference
 *   memory of the block  the future                                         the last reference
 *                        the stack, or whoever took the task from it        group_sweep(),
 *                        (LISTED)                                           group_take_pending()
 *   group_task           the callback (group_task_ended()), except next     the member is uncounted
 *   group_task.next      as the memory; written by group_push() and         as the memory
 *                        group_sweep(), and the join that took the task
 *   type                 the user: read last by whoever frees the last      the last reference
 *                        reference, never by a sweep
 *
 * Fibers (loop/loop_fiber.c). Their tokens are never offered. The loop's thread alone writes
 * `fibers_`. A join compares sched_ and thread_ with the caller's, and never uses what they point
 * to: the last fiber, and its loop, may end on another thread.
 *
 *   word      bit           meaning                     set by               cleared by
 *   running_  MEMBERS_LEFT  closed, a member is left    group_close(),       the last member
 *                                                       group_count_in()
 *   idle_     NO_OFFER      a taking join found no      group_take_offer()   a push to listed_, the
 *                           task                                             last member
 *   both      WAITER        a waiter sleeps until the   fl__word_wait(),     together with that bit
 *                           bit above is cleared        fl__word_arm()       (group_clear())
 *
 * Giving up. fl_group_join_until() and fl_group_try_join() set gave_up_ when they give up, and so
 * does each join that is refused because of the caller's scope. The call that joins the group
 * clears it. While gave_up_ is set, fl_group_count() returns at least 1, also when no member is
 * left, so that the count says "joined" no earlier than the result of a join does. Waits and checks
 * in this file call fl__group_left(), since they ask for members.
 *
 * Invariants
 *   1. The bits of both words change under `lock_`, except WAITER, which the parking lot changes.
 *      Only NO_OFFER is also read without the lock: invariant 3.
 *   2. Each end of a member subtracts from balance_ after the member's work, with release order,
 *      and does not touch the group afterwards, except under `lock_`, which the last end of a
 *      closed group takes after it. In a closed group the number of the members left leaves 0 and
 *      reaches 0 under `lock_`, and while it is above 0, MEMBERS_LEFT is set. So a thread that
 *      reads, with acquire order, that no member is left, and then locks and unlocks `lock_`, is
 *      alone with the group, and reads what all members wrote.
 *   3. No task is missed: the submit pushes and then reads idle_; the join sets NO_OFFER and then
 *      looks at the stack again. All four are in the one order of seq_cst, so one of the two sees
 *      the other. A sweep hides tasks, and pushes them again. The group still exists when the
 *      submit reads idle_, looked_ and swept_: a join begins after all submits, except those by
 *      members, which are still counted, and those by other fibers of its thread. Such a fiber
 *      gives way only within fl__submit(), where the task runs. If it has ended there, the submit
 *      leaves the group alone.
 *   4. A submit needs no lock if it reads that members have entered an open group, or are left in
 *      a closed one: the group is begun.
 */
#include "group.h"
#include "../base/atomic.h"
#include "../base/panic.h"
#include "../base/sys.h"
#include "../future/failure.h"
#include "../hooks.h"
#include "../wait/cancel.h"
#include "../wait/lock.h"
#include "../wait/lot.h"
#include "executor.h"
#include "map.h"
#include <errno.h>
#include <fairlead/error.h>
#include <stdio.h>
#include <string.h>

/* After so many members a submit checks whether a sweep is due. Fewer in the model. */
#ifndef FL__GROUP_SWEEP
#define FL__GROUP_SWEEP 32
#endif

enum {
	GROUP_MEMBERS_LEFT = 1,
	GROUP_NO_OFFER = 1,
	GROUP_WAITER = 2,
	GROUP_CLOSED = FL__GROUP_CLOSED,
	GROUP_MEMBER = 2, /* in entered_ and balance_ */
	GROUP_LAST = GROUP_MEMBER | GROUP_CLOSED
};
static const struct fl__word group_none_left = {GROUP_MEMBERS_LEFT, 0, GROUP_WAITER, .kind = FL__DEBUG_GROUP,
                                                .offset = offsetof(fl_group, running_)};
static const struct fl__word group_has_offer = {GROUP_NO_OFFER, 0, GROUP_WAITER, .kind = FL__DEBUG_GROUP,
                                                .offset = offsetof(fl_group, idle_)};

/* Lies in a task's block, behind the callback. */
struct group_task {
	fl_group *group;
	void *result; /* the caller's; NULL: none */
	size_t number;
	fl_future_callback *on_end; /* the caller's; NULL: none */
	void *on_end_arg;
	fl_future *next; /* in the stack of the group's tasks, or in a list from there */
};

static struct group_task *group_task_of(fl_future *f)
{
	return (struct group_task *)(void *)(fl__task_block_callback(fl__task_block_of(f)) + 1);
}

/* group_clear() dequeues waiters under the lock, group_unlock() unparks them without it. */

struct group_wakes {
	struct fl__lot lot;
	bool any;
};

/* Under the lock. */
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
	fl__store_relaxed(word, 0); /* relaxed: invariant 1. No waiter comes: the queue is locked */
	fl__lot_unlock(&wakes->lot);
}

/* The group may be gone when waiters are unparked. */
static void group_unlock(fl_group *g, struct group_wakes *wakes)
{
	fl__unlock(&g->lock_);
	if (wakes->any)
		fl__lot_unpark(&wakes->lot);
}

/* Under the lock. The token is below `parent` or the scope. True: the caller must request it. */
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

/* Under the lock: ends the token of a begun group without members. */
static void group_end(fl_group *g)
{
	if (fl_cancel_scope_current() == &g->token_)
		(void)fl_cancel_scope_set(g->token_.parent_);
	fl_cancel_token_destroy(&g->token_);
	g->begun_ = false;
}

/* Under the lock: from now on the last member clears the words. */
static void group_close(fl_group *g)
{
	const size_t n = fl__or_relaxed(&g->entered_, GROUP_CLOSED); /* the lock orders it */
	/* release: the begin; pairs with group_count_in_closed() */
	if (!(n & GROUP_CLOSED) && fl__add_release(&g->balance_, n + GROUP_CLOSED) + n > 0)
		/* relaxed: invariant 1. No waiter changes a word that is 0. */
		fl__store_relaxed(&g->running_, GROUP_MEMBERS_LEFT);
}

/* Under the lock. Returns the member's number. */
static FL__NOINLINE size_t group_count_in(fl_group *g)
{
	/* release, both: the begin; pairs with group_enter_begun() and group_count_in_closed() */
	const size_t seen = fl__add_release(&g->entered_, GROUP_MEMBER);
	if ((seen & GROUP_CLOSED) && fl__add_release(&g->balance_, GROUP_MEMBER) == GROUP_CLOSED)
		fl__store_relaxed(&g->running_, GROUP_MEMBERS_LEFT); /* relaxed: invariant 1 */
	return seen / GROUP_MEMBER;
}

/* Under the lock. */
static void group_count_out_locked(fl_group *g, struct group_wakes *wakes)
{
	/* release: what the member wrote; pairs with fl__group_left() */
	if (fl__sub_release(&g->balance_, GROUP_MEMBER) != GROUP_LAST)
		return;
	group_clear(&g->idle_, GROUP_NO_OFFER, wakes);
	group_clear(&g->running_, GROUP_MEMBERS_LEFT, wakes);
}

/* Without the lock. The caller's last access to the group. */
static void group_count_out(fl_group *g)
{
	size_t seen = fl__load_relaxed(&g->balance_); /* relaxed: the CAS below checks it */
	while (seen != GROUP_LAST)
		/* release: what the member wrote; pairs with fl__group_left() */
		if (fl__cas_weak_release(&g->balance_, &seen, seen - GROUP_MEMBER))
			return;
	struct group_wakes wakes = {0};
	fl__lock(&g->lock_);
	group_count_out_locked(g, &wakes);
	group_unlock(g, &wakes);
}

static void group_wake_taking_join(fl_group *g)
{
	struct group_wakes wakes = {0};
	fl__lock(&g->lock_);
	group_clear(&g->idle_, GROUP_NO_OFFER, &wakes);
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

static void group_copy_result(const struct group_task *task, fl_future *f)
{
	const void *result = fl_future_result(f);
	if (!task->result || !result)
		return;
	memcpy(task->result, result, f->type->result_size);
	if (f->type->drop_result)
		fl__chunk_detach_type(f); /* the caller owns the result now */
}

static void group_note(fl_group *g, const struct group_task *task, const fl_future *f, int error)
{
	const char *message = fl_future_message(f);
	const bool cut = (error == -ECANCELED || fl__future_has_expired(f)) && fl_cancel_token_is_requested(&g->token_);
	const char *text = *message ? message : fl_error_text(error);
	const char *type = f->type->name ? f->type->name : "task";
	fl__group_note_error(g, cut, &(struct fl__group_failure){error, task->number, type, NULL, text});
}

/* Without the lock. The caller's last access to the group. */
static void group_leave(fl_group *g)
{
	/* relaxed, both times: group_count_out() publishes it for group_refuse() */
	if (!fl__load_relaxed(&g->used_))
		fl__store_relaxed(&g->used_, true);
	group_count_out(g);
}

static void group_task_ended(fl_future *f, void *arg)
{
	const struct group_task *task = arg;
	fl_group *g = task->group;
	const int error = fl_future_error(f);
	group_copy_result(task, f);
	if (error != 0)
		group_note(g, task, f, error);
	if (task->on_end)
		task->on_end(f, task->on_end_arg);
	fl__run_ends(f);
	group_leave(g);
}

/* Called by the fibers' thread. */
static size_t group_fibers(const fl_group *g)
{
	return fl__load_relaxed(&g->fibers_); /* written by this thread alone */
}

static void group_set_fibers(fl_group *g, size_t n)
{
	fl__store_release(&g->fibers_, n); /* what group_fiber_in() stores; pairs with a join */
}

void fl__group_fiber_left(fl_group *g)
{
	group_set_fibers(g, group_fibers(g) - 1);
	group_leave(g);
}

/* Under the lock. Whether all fibers, with the new one, have one scheduler. */
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

/* Without the lock. False: no member is left, or the group is only being closed. */
static bool group_count_in_closed(fl_group *g)
{
	size_t left = fl__load_relaxed(&g->balance_); /* relaxed: the CAS below checks it */
	while ((left & GROUP_CLOSED) && left != GROUP_CLOSED)
		/* acquire: the begin; pairs with group_close() and group_count_in() */
		if (fl__cas_weak_acquire(&g->balance_, &left, left + GROUP_MEMBER))
			return true;
	return false;
}

/*
 * Without the lock, for a group with members; for a fiber, with fibers of `s`. Else false. Stores
 * the member's number.
 */
static bool group_enter_begun(fl_group *g, const struct fl__host *s, size_t *number)
{
	const size_t fibers = s ? group_fibers(g) : 0;
	/* only this thread stores `s` there; another value is not `s` */
	if (s && (fibers == 0 || fl__load_relaxed(&g->sched_) != s))
		return false;
	size_t seen = fl__load_relaxed(&g->entered_); /* relaxed: the CAS below checks it */
	/* acquire: the begin; pairs with group_count_in() */
	while (seen != 0 && !(seen & GROUP_CLOSED) && !fl__cas_weak_acquire(&g->entered_, &seen, seen + GROUP_MEMBER))
		;
	if (seen & GROUP_CLOSED)
		/* relaxed: a number; the group was entered by balance_ */
		seen = group_count_in_closed(g) ? fl__add_relaxed(&g->entered_, GROUP_MEMBER) : 0;
	if (seen == 0)
		return false;
	*number = seen / GROUP_MEMBER;
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

static int group_refuse(fl_group *g, int rc)
{
	struct group_wakes wakes = {0};
	fl__lock(&g->lock_);
	group_close(g); /* so that only one of several refused members ends the group */
	group_count_out_locked(g, &wakes);
	/* relaxed: a member that set used_ was counted out before fl__group_left() read 0 */
	if (fl__group_left(g) == 0 && !fl__load_relaxed(&g->used_) && !g->joining_)
		group_end(g);
	group_unlock(g, &wakes);
	return rc;
}

int fl__group_uncount_fiber(fl_group *g, int rc)
{
	group_set_fibers(g, group_fibers(g) - 1);
	return group_refuse(g, rc);
}

/* Pushes tasks, linked from `first` to `last`, to the stack. */
static void group_push(fl_group *g, fl_future *first, fl_future *last)
{
	fl_future **next = &group_task_of(last)->next;
	*next = fl__load_relaxed(&g->listed_); /* relaxed: the CAS below checks it */
	/* seq_cst: invariant 3; as a release, pairs with group_take_all() */
	while (!fl__cas_weak_seq_cst(&g->listed_, next, first))
		;
	if (fl__load_seq_cst(&g->idle_) & GROUP_NO_OFFER) /* invariant 3 */
		group_wake_taking_join(g);
}

/* The whole stack, which is empty then. */
static fl_future *group_take_all(fl_group *g)
{
	/* invariant 3; then links and futures: pairs with group_push() */
	return fl__load_seq_cst(&g->listed_) ? fl__swap_acquire(&g->listed_, NULL) : NULL;
}

/* Frees the tasks of a list that have ended, and pushes the others. */
static void group_sweep(fl_group *g, fl_future *list)
{
	fl_future *first = NULL, **end = &first, *last = NULL;
	for (fl_future *f = list, *next; f; f = next) {
		next = group_task_of(f)->next;
		if (fl__future_has_ended(f)) {
			fl__task_block_free(fl__task_block_of(f));
		} else {
			*end = last = f;
			end = &group_task_of(f)->next;
		}
	}
	if (last)
		group_push(g, first, last);
}

/*
 * How many members entered between the one whose number is in that field and this one; negative if
 * this one is older. Numbers wrap where the words that count members do.
 */
static ptrdiff_t group_members_since(const size_t *field, size_t number)
{
	/* relaxed: with another submit's number a sweep only comes earlier or later */
	return (ptrdiff_t)((number - fl__load_relaxed(field)) * GROUP_MEMBER) / GROUP_MEMBER;
}

/*
 * By the submit of the member with that number. A sweep is due when at least as many members have
 * entered since the last sweep as tasks are left: so it pushes no more tasks again than members
 * have entered since. Fibers are in no stack.
 */
static FL__SLOW_PATH void group_sweep_if_due(fl_group *g, size_t number)
{
	fl__store_relaxed(&g->looked_, number); /* relaxed: see group_members_since() */
	/* relaxed: with an old number of fibers the sweep comes earlier or later */
	const size_t tasks = fl__group_left(g) - fl__load_relaxed(&g->fibers_);
	if (group_members_since(&g->swept_, number) < (ptrdiff_t)tasks)
		return;
	fl__store_relaxed(&g->swept_, number); /* relaxed: see group_members_since() */
	group_sweep(g, group_take_all(g));
}

static int group_submit(const char *function, fl_group *g, const fl_task_type *type, const void *arg, void *result,
                        const fl_submit_config *wanted)
{
	fl__executor_check(g->executor_, function);
	fl_submit_config config = *FL__OR_DEFAULTS(wanted);
	const size_t number = fl__group_enter(g, NULL, NULL);
	if (config.cancel)
		return group_refuse(g, -EINVAL); /* the parent token of a task is the group's */
	if (fl_cancel_token_is_requested(&g->token_))
		return group_refuse(g, -ECANCELED);
	struct group_task task = {g, result, number, config.on_end, config.on_end_arg, NULL};
	config.cancel = &g->token_;
	config.on_end = group_task_ended;
	config.on_end_arg = &task;
	fl_future *f;
	const int rc = fl__submit(g->executor_, type, arg, 1, &f, &config, sizeof task);
	if (rc != 0)
		return group_refuse(g, rc);
	/*
	 * The task may have run within the call, and a join by another fiber of this thread may
	 * have returned. Then this call frees the stack's half of the memory. Relaxed: that free
	 * acquires.
	 */
	if (fl__load_relaxed(&f->state) & FL__FUTURE_ENDED) {
		fl__task_block_free(fl__task_block_of(f));
		return 0;
	}
	const bool large = fl__task_block_of(f)->size == FL__TASK_BLOCK_OWN;
	group_push(g, f, f); /* from here on another submit may free the memory */
	const ptrdiff_t since = group_members_since(&g->looked_, number);
	if (since >= FL__GROUP_SWEEP || (large && since > 0))
		group_sweep_if_due(g, number);
	return 0;
}

int fl_group_submit(fl_group *g, const fl_task_type *type, const void *arg, void *result)
{
	return group_submit("fl_group_submit", g, type, arg, result, NULL);
}

int fl_group_submit_with(fl_group *g, const fl_task_type *type, const void *arg, void *result,
                         const fl_submit_config *config)
{
	return group_submit("fl_group_submit_with", g, type, arg, result, config);
}

/* By the join: a reference to the first pending task in the stack or, behind that, in `*taken`. */
static fl_future *group_take_pending(fl_group *g, fl_future **taken)
{
	fl_future *newest = group_take_all(g), **end = &newest, *f;
	while (*end)
		end = &group_task_of(*end)->next;
	*end = *taken;
	*taken = newest;
	while ((f = *taken) != NULL) {
		*taken = group_task_of(f)->next;
		const bool pending = fl__future_try_ref(f, 0);
		fl__task_block_free(fl__task_block_of(f));
		if (pending)
			break;
	}
	return f;
}

static void group_mark_no_offer(fl_group *g)
{
	FL__LOCKED(&g->lock_);
	/* the lock orders it */
	if (fl__group_left(g) > 0 && !(fl__load_relaxed(&g->idle_) & GROUP_NO_OFFER))
		/* invariant 3. No waiter changes a word that is 0. */
		fl__store_seq_cst(&g->idle_, GROUP_NO_OFFER);
}

/*
 * As group_take_pending(): roughly the newest task that no join took. NULL: none; the next submit
 * wakes a join that sleeps.
 */
static fl_future *group_take_offer(fl_group *g, fl_future **taken)
{
	fl_future *f = group_take_pending(g, taken);
	if (!f) {
		group_mark_no_offer(g);
		f = group_take_pending(g, taken);
	}
	return f;
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
	return g->error_ != 0 ? g->failed_number_ : 0;
}

fl_cancel_token *fl_group_token(fl_group *g)
{
	fl__lock(&g->lock_);
	const bool cancelled = group_begin(g, NULL);
	fl__store_relaxed(&g->used_, true); /* the lock orders it */
	fl__unlock(&g->lock_);
	if (cancelled)
		fl_cancel_token_request(&g->token_);
	return &g->token_;
}

static bool group_on_ready(void *g)
{
	return fl__group_left(g) == 0;
}

static bool group_on_arm(void *group, struct fl__node *node)
{
	fl_group *g = group;
	fl__lock(&g->lock_);
	group_close(g);
	fl__unlock(&g->lock_);
	return fl__word_arm(&g->running_, &group_none_left, node);
}

const fl_on_type fl__on_group = {group_on_ready, group_on_arm, fl__node_disarm, NULL, true};

/*
 * Cancels an offered task, or runs it. The context serves the executor, or the group's token is
 * requested. Takes over `f`. The join does not wait for a task that another context runs, since
 * that task may wait for the next offer. A loop runs the task on a new fiber; the join waits for
 * it.
 */
static void group_handle_offer(fl_group *g, fl_future *f, fl_time deadline, fl_cancel_token *cancel)
{
	if (fl_cancel_token_is_requested(&g->token_))
		FL_IGNORE(fl_future_cancel(f)); /* the task ends in any case */
	else if (fl_future_get_state(f) == FL_PENDING) {
		struct fl__ctx *ctx = fl__ctx_get();
		ctx->help(ctx, f); /* not NULL: the context serves the executor */
		if (fl_future_get_state(f) == FL_PENDING)
			/* the caller checks for a timeout or cancel itself */
			FL_IGNORE(fl_future_wait_until(f, deadline, cancel));
	}
	fl_future_free(f);
}

/*
 * Sleeps until no member is left, or, if `takes`, there is an offer: 0, -ETIMEDOUT, -ECANCELED. If
 * `cancel` is above the group's token, a request of the group's token ends the sleep, too: once, and
 * sets `*stopped`.
 */
static int group_sleep(fl_group *g, bool takes, fl_time deadline, fl_cancel_token *cancel, bool *stopped)
{
	const bool is_above = cancel == FL_SHIELDED || fl__cancel_is_under(&g->token_, cancel);
	fl_cancel_token *by = is_above && !*stopped ? &g->token_ : cancel;
	const int rc = takes ? fl__word_wait(&g->idle_, &group_has_offer, deadline, by)
	                     : fl__word_wait(&g->running_, &group_none_left, deadline, by);
	if (by == cancel || rc != -ECANCELED || fl_cancel_token_is_requested(cancel))
		return rc;
	*stopped = true;
	return 0;
}

static int group_sleep_blocking(fl_group *g, bool takes, fl_time deadline, fl_cancel_token *cancel, bool *stopped)
{
	FL__BLOCKS(deadline);
	return group_sleep(g, takes, deadline, cancel, stopped);
}

/* 0, -ETIMEDOUT, -ECANCELED. `cancel`: not NULL. */
static int group_wait_for_all(fl_group *g, fl_time deadline, fl_cancel_token *cancel)
{
	const bool helps = fl__run_serves(g->executor_);
	bool stopped = !g->executor_; /* then the group has no task to run or to cancel */
	fl_future *taken = NULL;
	int rc = 0;
	while (rc == 0 && fl__group_left(g) > 0) {
		const bool takes = helps || (stopped && g->executor_);
		fl_future *f = NULL;
		if (takes) {
			rc = fl__is_interrupted(deadline, cancel);
			if (rc != 0)
				break;
			f = group_take_offer(g, &taken);
		}
		if (f)
			group_handle_offer(g, f, deadline, cancel);
		else if (helps) /* other workers of the executor run the rest */
			rc = group_sleep(g, takes, deadline, cancel, &stopped);
		else
			rc = group_sleep_blocking(g, takes, deadline, cancel, &stopped);
	}
	group_sweep(g, taken);
	return rc;
}

static fl_cancel_token *group_outer_scope(const fl_group *g)
{
	fl_cancel_token *scope = fl_cancel_scope_current();
	if (scope == &g->token_)
		scope = g->token_.parent_;
	return scope ? scope : FL_SHIELDED;
}

static void group_join_begin(const char *function, fl_group *g)
{
	fl__lock(&g->lock_);
	const bool already = g->joining_;
	g->joining_ = true;
	group_close(g);
	fl__unlock(&g->lock_);
	if (already)
		fl__panic(function, g, "another context joins it");
}

/* `rc`: what ended the wait early. */
static int group_join_finish(fl_group *g, int rc, const fl_cancel_token *cancel)
{
	group_sweep(g, group_take_all(g)); /* all have ended */
	FL__LOCKED(&g->lock_);
	const bool begun = g->begun_;
	const bool from_above = begun && !g->cancelled_ && fl_cancel_token_is_requested(&g->token_);
	if (begun)
		group_end(g);
	g->cancelled_ = false;
	g->joining_ = false;
	fl__store_relaxed(&g->gave_up_, false); /* relaxed: see fl_group_count() */
	/* relaxed, both times: the caller is alone with the group */
	fl__store_relaxed(&g->looked_, 0);
	fl__store_relaxed(&g->swept_, 0);
	/*
	 * The caller, alone with the group, opens it. Release, both: what members wrote, and of the
	 * second also the first: an observer that knows of the end of all members, and reads this
	 * 0, must not read the old entered_. Both pair with fl__group_left().
	 */
	fl__store_release(&g->entered_, 0);
	fl__store_release(&g->balance_, 0);
	if (!begun)
		return 0;
	if (g->error_ != 0)
		return g->error_;
	if (rc == 0 && g->cut_ && fl_cancel_token_is_requested(cancel))
		return -ECANCELED;
	if (rc == 0 && g->cut_ && from_above)
		return fl__is_expired(g->deadline_) ? -ETIMEDOUT : -ECANCELED;
	return rc;
}

/*
 * `rc`: the error of a group that was joined by a join that may give up. Returns FL_ETASK in place
 * of an error by which that join says that it has not joined.
 */
static int group_tell_apart(fl_group *g, int rc)
{
	if (rc != -ETIMEDOUT && rc != -ECANCELED && rc != -EAGAIN && rc != -EDEADLK && rc != -EOWNERDEAD &&
	    rc != FL_ETASK)
		return rc;
	FL__LOCKED(&g->lock_);
	if (g->error_ == 0) /* no member has failed: the group was cut */
		(void)snprintf(g->message_, sizeof g->message_, "%s", fl_error_text(rc));
	return fl__failure_store(FL__NO_INDEX, rc, g->message_);
}

/*
 * Whether the calling context is a member, or runs what a member waits for. A shield hides neither
 * the caller's own token nor its task.
 */
static bool group_is_member(const fl_group *g)
{
	return fl__cancel_is_under(fl__ctx_get()->own, &g->token_) || fl__run_is_under_token(&g->token_);
}

/*
 * 0, or why the caller must not wait for the remaining fibers. Fibers of another thread run
 * meanwhile, those of the calling thread if the caller is a fiber of their loop. A callback of the
 * loop, on its internal fiber without a token, must not wait.
 */
static int group_may_wait_for_fibers(const fl_group *g)
{
	if (fl__load_acquire(&g->fibers_) == 0) /* pairs with group_set_fibers() */
		return 0;
	/* the acquire orders all three */
	if (fl__is_forked(fl__load_relaxed(&g->forks_)))
		return -EOWNERDEAD;
	const struct fl__ctx *ctx = fl__ctx_get();
	const bool is_fiber = ctx->own && ctx->host == fl__load_relaxed(&g->sched_);
	return fl__load_relaxed(&g->thread_) == fl__ctx_thread() && !is_fiber ? -EDEADLK : 0;
}

static int group_may_wait_for_tasks(const fl_group *g)
{
	fl_executor *e = g->executor_;
	if (!e)
		return 0;
	if (fl__executor_is_forked(e))
		return -EOWNERDEAD;
	return e->ops->would_hang && !fl__run_serves(e) && e->ops->would_hang(e) ? -EDEADLK : 0;
}

/*
 * 0, or why the call must not join the group. Where only the scope forbids it, members may end at
 * once.
 */
static int group_may_join(fl_group *g)
{
	if (fl__group_left(g) == 0)
		return 0;
	if (group_is_member(g))
		return -EDEADLK;
	int rc = group_may_wait_for_tasks(g);
	if (rc == 0)
		rc = group_may_wait_for_fibers(g);
	if (rc != 0 || !fl__cancel_is_under(fl_cancel_scope_current(), &g->token_))
		return rc;
	fl__store_relaxed(&g->gave_up_, true); /* relaxed: see fl_group_count() */
	return -EDEADLK;
}

static int group_join(const char *function, fl_group *g)
{
	group_join_begin(function, g);
	fl_cancel_token *around = group_outer_scope(g);
	int rc = group_wait_for_all(g, FL_FOREVER, around);
	if (rc != 0) {
		/* the group's token may not be requested */
		fl_cancel_token_request(&g->token_);
		(void)group_wait_for_all(g, FL_FOREVER, FL_SHIELDED);
	}
	return group_join_finish(g, rc, around);
}

int fl_group_join(fl_group *g)
{
	int rc = group_may_join(g);
	if (rc != 0)
		return rc;
	rc = group_join("fl_group_join", g);
	return rc == FL_ETASK ? group_tell_apart(g, rc) : rc;
}

int fl_group_join_until(fl_group *g, fl_time deadline, fl_cancel_token *cancel)
{
	int rc = group_may_join(g);
	if (rc != 0)
		return rc;
	group_join_begin("fl_group_join_until", g);
	if (!cancel)
		cancel = group_outer_scope(g);
	rc = group_wait_for_all(g, deadline, cancel);
	if (rc == 0)
		return group_tell_apart(g, group_join_finish(g, 0, cancel));
	FL__LOCKED(&g->lock_);
	g->joining_ = false;
	fl__store_relaxed(&g->gave_up_, true); /* relaxed: see fl_group_count() */
	return rc;
}

int fl_group_try_join(fl_group *g)
{
	if (fl__group_left(g) == 0)
		return fl_group_join_until(g, FL_NO_WAIT, NULL);
	fl__store_relaxed(&g->gave_up_, true); /* relaxed: see fl_group_count() */
	return -EAGAIN;
}

void fl_group_destroy(fl_group *g)
{
	const int rc = group_may_join(g);
	if (rc == -EDEADLK)
		fl__panic("fl_group_destroy", g,
		          "called by a member of it, or where the remaining members could not run");
	if (rc != 0 || !g->begun_ || group_join("fl_group_destroy", g) == 0 || g->error_ == 0)
		return;
	if (!g->failed_type_)
		fl__fiber_report_error(g->name_, g->error_);
	else
		fl__log(FL_LOG_ERROR, "a task of a group failed, and no join has returned the error: %s: %s",
		        fl_error_name(g->error_), g->message_);
}
