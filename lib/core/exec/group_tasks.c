/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The tasks of groups. The token of a task that runs in this process is APART (cancel.c): it is in
 * no list, unless it has had a child, a waiter or a callback. listed_ is a stack of the submitted
 * tasks, linked by group_task.next. Submits push to this stack. A join takes the whole stack, and
 * then each task from what it has taken, once. On a worker of the executor the join runs pending
 * tasks. Elsewhere the join takes the tasks only once the group is cancelled, and cancels those
 * that are pending. A join that has taken the tasks, and has none left, sleeps until a push or the
 * end of the last member. Any other join sleeps until the end of the last member. A join pushes
 * again what it has not used. The join that joins the group finds only tasks that have ended.
 *
 * A submit may make a *sweep*: it takes the whole stack, too, frees the tasks that have ended, and
 * pushes the rest again (group_sweep_if_due()). A sweep is due when at least as many members have
 * entered since the last sweep as tasks are left. A submit checks that if FL__GROUP_SWEEP members
 * have entered since the last check. A submit whose task has ended within the call checks nothing.
 *
 *   of a task            owner                                              until
 *   claim, end, result   as of any future: future.c; no stack and no join   the end
 *                        has a reference, except a join to the pending
 *                        task that it runs or cancels
 *   drop of the result   whoever frees the last reference, at once          the last reference
 *   memory of the block  the future                                         the last reference
 *                        the stack, or whoever took the task from it        fl__group_sweep(),
 *                        (LISTED); the submit of a task that ended within   group_take_pending(),
 *                        the call                                           group_submit()
 *   group_task           the callback (group_task_ended()), except next     the member is uncounted
 *   group_task.next      as the memory; written by group_push() and         as the memory
 *                        fl__group_sweep(), and the join that took the task
 *   type                 the user: read last by whoever frees the last      the last reference
 *                        reference, never by a sweep
 *
 * Invariant 1. No task is missed. The submit pushes and then reads idle_; the join sets NO_OFFER
 * and then looks at the stack again. All four accesses are seq_cst, so one of the two sees what the
 * other wrote. A sweep hides tasks, and pushes them again. The group still exists when the submit
 * reads idle_, looked_ and swept_: a join begins after all submits, except those by members, which
 * are still counted, and those by other fibers of its thread. Such a fiber gives way only within
 * fl__submit(), where the task runs. If the task has ended there, the submit leaves the group
 * alone.
 *
 * Why the token of a group stands where it does. It is a child of the scope where the group began,
 * and the parent of its members' tokens. So a request or a deadline comes down through nested
 * groups to what runs. A fiber is only counted: its memory belongs to the loop, so a group of
 * fibers takes no task block, and any thread may join it. docs/decisions/group-members.md has the
 * figures.
 */
#include "../base/atomic.h"
#include "../base/error.h"
#include "../future/failure.h"
#include "../wait/cancel.h"
#include "../wait/lock.h"
#include "executor.h"
#include "group.h"
#include "map.h"
#include <fairlead/error.h>
#include <string.h>

/* After so many members a submit checks whether a sweep is due. The model uses a smaller number. */
#ifndef FL__GROUP_SWEEP
#define FL__GROUP_SWEEP 32
#endif

/* This struct lies in a task's block, behind the callback. */
struct group_task {
	fl_group *group;
	void *result; /* the caller's, or NULL */
	size_t number;
	fl_future_callback *on_end; /* the caller's, or NULL */
	void *on_end_arg;
	fl_future *next; /* in the stack of the group's tasks, or in a list from there */
};

_Static_assert(sizeof(struct fl__callback) + sizeof(struct group_task) <= FL__TASK_BLOCK_EXTRA_MOST,
               "it fits a block with an allocation");

static struct group_task *group_task_of(fl_future *f)
{
	return (struct group_task *)(void *)(fl__task_block_callback(fl__task_block_of(f)) + 1);
}

/* Pushes tasks, linked from `first` to `last`, to the stack. */
static void group_push(fl_group *g, fl_future *first, fl_future *last)
{
	fl_future **next = &group_task_of(last)->next;
	*next = fl__load_relaxed(&g->listed_); /* relaxed: the CAS below checks it */
	/*
	 * seq_cst: invariant 1. As a release of links and futures it pairs with
	 * fl__group_take_all().
	 */
	while (!fl__cas_weak_seq_cst(&g->listed_, next, first))
		;
	if (fl__load_seq_cst(&g->idle_) & FL__GROUP_NO_OFFER) /* seq_cst: invariant 1 */
		fl__group_wake_taking_join(g);
}

/* Takes the whole stack, and leaves it empty. */
fl_future *fl__group_take_all(fl_group *g)
{
	/* seq_cst load: invariant 1. acquire swap: links and futures; pairs with group_push(). */
	return fl__load_seq_cst(&g->listed_) ? fl__swap_acquire(&g->listed_, NULL) : NULL;
}

/* Frees the tasks of a list that have ended, and pushes the others. */
void fl__group_sweep(fl_group *g, fl_future *list)
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
 * Returns how many members entered from the member whose number is in the field up to the member
 * `number`. The result is negative if `number` is the older one. Numbers wrap where the words that
 * count members wrap.
 */
static ptrdiff_t group_members_since(const size_t *field, size_t number)
{
	/* relaxed: with another submit's number a sweep only comes earlier or later */
	return (ptrdiff_t)((number - fl__load_relaxed(field)) * FL__GROUP_MEMBER) / FL__GROUP_MEMBER;
}

/*
 * Called by the submit of the member `number`. A sweep is due when at least as many members have
 * entered since the last sweep as tasks are left. So a sweep pushes no more tasks again than
 * members have entered since the last one. Fibers are in no stack.
 */
static FL__SLOW_PATH void group_sweep_if_due(fl_group *g, size_t number)
{
	fl__store_relaxed(&g->looked_, number); /* relaxed: a stale number makes a sweep come earlier or later */
	/* relaxed: with an old number of fibers the sweep comes earlier or later */
	const size_t tasks = fl__group_left(g) - fl__load_relaxed(&g->fibers_);
	if (group_members_since(&g->swept_, number) < (ptrdiff_t)tasks)
		return;
	fl__store_relaxed(&g->swept_, number); /* relaxed: a stale number makes a sweep come earlier or later */
	fl__group_sweep(g, fl__group_take_all(g));
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
	fl__group_leave(g);
}

static int group_submit(const char *function, fl_group *g, const fl_task_type *type, const void *arg, void *result,
                        const fl_submit_config *wanted)
{
	fl__executor_check(g->executor_, function);
	fl_submit_config config = *FL__OR_DEFAULTS(wanted);
	const size_t number = fl__group_enter(g, NULL, NULL);
	if (config.cancel)
		return fl__group_refuse(g, -EINVAL); /* the parent token of a task is the group's */
	if (fl_cancel_token_is_requested(&g->token_))
		return fl__group_refuse(g, -ECANCELED);
	struct group_task task = {g, result, number, config.on_end, config.on_end_arg, NULL};
	config.cancel = &g->token_;
	config.on_end = group_task_ended;
	config.on_end_arg = &task;
	fl_future *f;
	const int rc = fl__submit(g->executor_, type, arg, 1, &f, &config, sizeof task);
	if (rc != 0)
		return fl__group_refuse(g, rc);
	/*
	 * The task may have run within the call, and a join by another fiber of this thread may
	 * have returned. Then this call frees the stack's half of the memory. The load is relaxed,
	 * since that free acquires.
	 */
	if (fl__load_relaxed(&f->state) & FL__FUTURE_ENDED) {
		fl__task_block_free(fl__task_block_of(f));
		return 0;
	}
	group_push(g, f, f); /* from here on another submit may free the memory */
	if (group_members_since(&g->looked_, number) >= FL__GROUP_SWEEP)
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

/*
 * Called by the join. Returns a reference to the first pending task in the stack or, behind that,
 * in `*taken`; or NULL.
 */
static fl_future *group_take_pending(fl_group *g, fl_future **taken)
{
	fl_future *newest = fl__group_take_all(g), **end = &newest, *f;
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
	/* relaxed: the lock orders it */
	if (fl__group_left(g) > 0 && !(fl__load_relaxed(&g->idle_) & FL__GROUP_NO_OFFER))
		/*
		 * seq_cst: invariant 1. A store suffices, since no waiter changes a word that is 0.
		 */
		fl__store_seq_cst(&g->idle_, FL__GROUP_NO_OFFER);
}

/*
 * Returns a reference to roughly the newest pending task that no join took, as group_take_pending()
 * does. After NULL the next submit wakes a join that sleeps.
 */
fl_future *fl__group_take_offer(fl_group *g, fl_future **taken)
{
	fl_future *f = group_take_pending(g, taken);
	if (!f) {
		group_mark_no_offer(g);
		f = group_take_pending(g, taken);
	}
	return f;
}
