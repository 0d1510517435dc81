/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The end of an executor: close, cancel, break, join, free, detach. Queued tasks are taken out
 * under the lock, and ended without it.
 *
 * fl_executor_detach() does not wait. Instead, a thread of the library joins and frees the
 * executor, whatever its kind (docs/decisions/one-executor-config.md). However, the executor for
 * nested submits in a worker process or rank (`lasts`) is only closed.
 */
#include "../base/atomic.h"
#include "../base/list.h"
#include "../base/unload.h"
#include "../hooks.h"
#include "../sync/helper.h"
#include "../sync/thread.h"
#include "executor.h"

/* Called under the lock. Takes out the oldest task, which may already be claimed. */
static struct fl__task_block *executor_take_oldest(fl_executor *e)
{
	if (e->ops->take_oldest)
		return e->ops->take_oldest(e);
	struct fl__task_block *block = e->queue.head;
	if (block)
		fl__task_list_remove(&e->queue, block);
	return block;
}

/*
 * The tasks found in one critical section. This context has claimed the tasks in `ours`. The others
 * are for kinds with a backlog of their own: other contexts have claimed the tasks in `theirs`,
 * which were in the backlog, and workers run the tasks in `running`.
 */
struct executor_taken {
	struct fl__task_list ours, theirs, running;
};

FL__COLD static void executor_take_queued(fl_executor *e, bool to_cancel, struct executor_taken *taken)
{
	struct fl__task_block *block;
	*taken = (struct executor_taken){0};
	while ((block = executor_take_oldest(e)) != NULL) {
		bool ours = to_cancel ? fl__future_claim_cancel(&block->future)
		                      : fl__future_claim(&block->future) != FL__CLAIM_LOST;
		fl__task_list_add(ours ? &taken->ours : &taken->theirs, block);
		block->queued = 0; /* no worker runs it, so list_running() does not find it */
		if (ours)
			block->asked = FL__STOP_BETWEEN; /* the task never runs: fl__chunk_end() */
	}
	e->foreign += taken->ours.length;
	e->not_run += taken->ours.length;
}

/* Ends the tasks that were taken out. Called without the lock. */
FL__COLD static void executor_end_taken(fl_executor *e, const struct executor_taken *taken, int error, const char *text)
{
	FL__EACH_SAFE (struct fl__task_block, block, taken->theirs.head)
		fl__task_block_free(block);
	FL__EACH_SAFE (struct fl__task_block, block, taken->running.head) {
		fl__future_request_stop(&block->future);
		fl_future_free(&block->future);
	}
	/*
	 * Callbacks come last, because a callback may wait for another task of the list, or for a
	 * running task that ends only after it was asked to stop.
	 */
	struct fl__task_block *rest = NULL, **last = &rest;
	FL__EACH_SAFE (struct fl__task_block, block, taken->ours.head) {
		fl_future *const f = &block->future;
		struct fl__callback *callbacks;
		fl__future_set_end(f, error, text ? fl__message_format("%s", text) : NULL);
		if (fl__future_publish_end(f, &callbacks))
			continue;
		f->callbacks = callbacks; /* nobody else uses this field after the end */
		block->next = NULL;
		*last = block;
		last = &block->next;
	}
	FL__EACH_SAFE (struct fl__task_block, block, rest)
		fl__future_end_rest(&block->future, block->future.callbacks);
	if (taken->ours.length > 0)
		fl__executor_foreign_ended(e, taken->ours.length);
}

void fl__executor_break(fl_executor *e, const char *text)
{
	struct executor_taken taken;
	char *why = fl__message_format("%s", text);
	int error;
	{
		FL__HELD(&e->lock);
		if (e->broken == 0)
			e->broken = -ENOTRECOVERABLE;
		error = e->broken;
		if (!e->why_broken) {
			e->why_broken = why;
			why = NULL;
		}
		e->ops->on_closed(e);
		if (e->ops->recall)
			e->ops->recall(e, false);
		e->halted = true;
		executor_take_queued(e, false, &taken);
	}
	fl__message_free(why);
	executor_end_taken(e, &taken, error, text);
}

void fl__executor_end_queued(fl_executor *e, int error, const char *text)
{
	struct executor_taken taken;
	{
		FL__HELD(&e->lock);
		executor_take_queued(e, false, &taken);
	}
	executor_end_taken(e, &taken, error, text);
}

static void executor_close_locked(fl_executor *e)
{
	if (e->closed)
		return;
	e->closed = true;
	e->ops->on_closed(e);
}

void fl_executor_close(fl_executor *e)
{
	fl__executor_must_enter(e, "fl_executor_close");
	FL__HELD(&e->lock);
	executor_close_locked(e);
}

/*
 * Returns a reference to a task that runs in a frame and was not yet asked to stop, or NULL if
 * there is none. The next call does not return that task.
 */
static fl_future *executor_next_unrequested(fl_executor *e)
{
	FL__HELD(&e->lock);
	struct fl__run *run = e->running;
	if (!run)
		return NULL;
	FL__LIST_REMOVE(run);
	FL__LIST_ADD(&e->requested, run);
	/* the context that runs the task keeps a reference beyond fl__run_task() */
	return fl_future_ref(run->future);
}

/* Asks one task at a time, without the lock, because callbacks of a token may use the executor. */
static void executor_request_frames(fl_executor *e)
{
	for (fl_future *f; (f = executor_next_unrequested(e)) != NULL;) {
		fl__future_request_stop(f);
		fl_future_free(f);
	}
}

/* The effect of a cancel on running tasks. */
enum executor_effect { EXECUTOR_LEAVES_RUNNING, EXECUTOR_REQUESTS_RUNNING, EXECUTOR_KILLS_RUNNING };

static size_t executor_cancel_tasks(const char *function, fl_executor *e, enum executor_effect effect)
{
	fl__executor_must_enter(e, function);
	struct executor_taken taken;
	struct fl__cancel_calls calls = {0};
	{
		FL__HELD(&e->lock);
		executor_close_locked(e);
		if (e->ops->recall)
			e->ops->recall(e, effect != EXECUTOR_LEAVES_RUNNING);
		if (effect == EXECUTOR_KILLS_RUNNING && e->ops->terminate)
			e->ops->terminate(e);
		e->halted = true;
		executor_take_queued(e, true, &taken);
		if (effect != EXECUTOR_LEAVES_RUNNING && e->ops->list_running)
			e->ops->list_running(e, &taken.running);
		if (effect != EXECUTOR_LEAVES_RUNNING)
			fl__cancel_request_begin(&e->stop, &calls);
	}
	fl__cancel_call(&calls);
	if (effect != EXECUTOR_LEAVES_RUNNING)
		executor_request_frames(e);
	executor_end_taken(e, &taken, 0, NULL);
	return taken.ours.length;
}

size_t fl_executor_cancel(fl_executor *e)
{
	return executor_cancel_tasks("fl_executor_cancel", e, EXECUTOR_REQUESTS_RUNNING);
}

size_t fl_executor_cancel_pending(fl_executor *e)
{
	return executor_cancel_tasks("fl_executor_cancel_pending", e, EXECUTOR_LEAVES_RUNNING);
}

size_t fl_executor_terminate(fl_executor *e)
{
	return executor_cancel_tasks("fl_executor_terminate", e, EXECUTOR_KILLS_RUNNING);
}

int fl_executor_resize(fl_executor *e, unsigned workers)
{
	const int rc = fl__executor_enter(e, "fl_executor_resize");
	if (rc != 0)
		return rc;
	if (!e->ops->resize)
		return -ENOTSUP;
	if (workers == 0 || !fl__executor_may_have(workers, FL_WORKERS_MAX, "fl_executor_resize"))
		return -EINVAL;
	FL__HELD(&e->lock);
	return e->closed ? -EPIPE : e->ops->resize(e, workers);
}

int fl__executor_join_thread(fl_executor *e, fl_thread **last, bool (*has_ended)(fl_executor *e), fl_time deadline,
                             fl_cancel_token *cancel)
{
	int rc = 0;
	while (!has_ended(e) || e->joining) {
		if (rc != 0)
			return rc;
		rc = fl__cond_wait(&e->gone, &e->lock, deadline, cancel, true);
	}
	e->joining = true;
	fl_mutex_unlock(&e->lock);
	/* `*last` is NULL if no thread was ever started, or if it was joined before. */
	rc = *last ? fl__thread_join_until(last, NULL, deadline, cancel) : 0;
	fl__mutex_hold(&e->lock);
	e->joining = false;
	fl_cond_broadcast(&e->gone);
	return rc;
}

/* Returns whether the executor is idle, or was idle after `moments` was read from idle_moments. */
static bool executor_was_idle(const fl_executor *e, size_t moments)
{
	return fl__executor_is_idle(e) || e->idle_moments != moments;
}

/*
 * Waits until no task is left. With `closes`, closes the executor first, and also waits until the
 * threads of the kind have ended.
 */
static int executor_wait(fl_executor *e, bool closes, fl_time deadline, fl_cancel_token *cancel)
{
	FL__BLOCKS(deadline);
	FL__AWAITS(FL__DEBUG_EXECUTOR, e);
	FL__HELD(&e->lock);
	if (closes)
		executor_close_locked(e);
	e->waiters++;
	int rc = 0;
	const bool joins = closes && e->ops->join;
	const size_t moments = e->idle_moments;
	if (joins)
		rc = e->ops->join(e, deadline, cancel);
	while (!joins && rc == 0 && !executor_was_idle(e, moments))
		rc = fl__cond_wait(&e->gone, &e->lock, deadline, cancel, true);
	e->waiters--;
	return !joins && executor_was_idle(e, moments) ? 0 : rc;
}

/*
 * Returns whether a callback of a task of `e` runs on the calling context. A join waits until such
 * a callback returns.
 */
static bool executor_is_calling_back(const fl_executor *e)
{
	FL__EACH_ENDING (ending)
		if (ending->future->ops->claim_cancel == fl__task_on_claim_cancel &&
		    fl__task_block_owner(fl__task_block_of(ending->future))->executor == e)
			return true;
	return false;
}

/* Returns whether the calling context, if it waited until `deadline`, would wait for itself. */
static bool executor_would_hang(fl_executor *e, fl_time deadline)
{
	if (fl__run_serves(e))
		return true;
	return executor_is_calling_back(e) ||
	       (e->ops->would_hang && !fl__is_expired(deadline) && e->ops->would_hang(e));
}

static int executor_check_and_wait(const char *function, fl_executor *e, bool closes, fl_time deadline,
                                   fl_cancel_token *cancel)
{
	const int rc = fl__executor_enter(e, function);
	if (rc != 0)
		return rc;
	if (executor_would_hang(e, deadline))
		return -EDEADLK;
	return executor_wait(e, closes, deadline, cancel);
}

int fl_executor_join_until(fl_executor *e, fl_time deadline, fl_cancel_token *cancel)
{
	fl__hook_ends(e);
	return executor_check_and_wait("fl_executor_join", e, true, deadline, cancel);
}

int fl_executor_try_join(fl_executor *e)
{
	int rc = fl__executor_enter(e, "fl_executor_try_join");
	if (rc != 0)
		return rc;
	if (executor_would_hang(e, FL_NO_WAIT))
		return -EDEADLK;
	{
		FL__HELD(&e->lock);
		if (!e->closed)
			return -EAGAIN;
	}
	rc = executor_wait(e, true, FL_NO_WAIT, FL_SHIELDED);
	return rc == -ETIMEDOUT ? -EAGAIN : rc;
}

int fl_executor_wait_idle_until(fl_executor *e, fl_time deadline, fl_cancel_token *cancel)
{
	return executor_check_and_wait("fl_executor_wait_idle", e, false, deadline, cancel);
}

static void executor_drop_initialize_arg(fl_executor *e)
{
	if (!e->initialize || !e->initialize->drop_arg)
		return;
	FL_CANCEL_SCOPE(NULL); /* as for the hooks of a task */
	e->initialize->drop_arg(e->initialize_arg);
}

static void executor_check_not_detached(const char *function, const fl_executor *e)
{
	if (fl__load_relaxed(&e->detached)) /* relaxed: only diagnoses a bug */
		fl__panic(function, e, "an executor that was detached before");
}

static void executor_free(fl_executor *e)
{
	if (executor_would_hang(e, FL_FOREVER))
		fl__panic("fl_executor_free", e,
		          "called from one of its own tasks or their callbacks, or where nothing else could run");
	/* the result is 0, because nothing ends the wait early */
	(void)executor_wait(e, true, FL_FOREVER, FL_SHIELDED);
	executor_drop_initialize_arg(e);
	fl__hook_executor(e, false); /* from here on it is not listed */
	fl__hook_freed(e);           /* its futures may keep the memory */
	e->ops->destroy(e);
}

void fl_executor_free(fl_executor *e)
{
	if (!e)
		return;
	fl__hook_ends(e);
	if (fl__executor_is_forked(e))
		return;
	executor_check_not_detached("fl_executor_free", e);
	executor_free(e);
}

uint32_t fl__executors_detached;

static void executor_free_when_ended(void)
{
	executor_free(fl__helper_arg());
	fl__sub_release(&fl__executors_detached, 1); /* release: what the tasks wrote, for tests */
}

/*
 * Returns how many detached executors an exit must treat as in use: all that are not freed yet, so
 * that the exit does not wait for tasks. A dlclose() waits for all tasks, because it unmaps the
 * code that their threads run.
 */
static unsigned executor_detached_in_use(void)
{
	/* relaxed: it is only a count, and the end of this copy joins the threads */
	return fl__is_unloaded() ? 0 : fl__load_relaxed(&fl__executors_detached);
}

/*
 * Called under the lock. The new thread waits for the lock, so it frees `e` only after the caller's
 * last use of `e`.
 */

static int executor_start_freeing_thread(fl_executor *e)
{
	static struct fl__helper helper = {.name = "executor-end",
	                                   .function = executor_free_when_ended,
	                                   .calls_user = true, /* drop hooks */
	                                   .end = executor_detached_in_use};
	fl__add_relaxed(&fl__executors_detached, 1); /* relaxed: a count */
	const int rc = fl__helper_start_with(&helper, e);
	if (rc != 0)
		fl__sub_relaxed(&fl__executors_detached, 1); /* relaxed: a count */
	return rc == 0 || rc == -ENOMEM ? rc : -EAGAIN;
}

int fl_executor_detach(fl_executor *e)
{
	fl__executor_check(e, "fl_executor_detach");
	fl__hook_ends(e);
	int rc = fl__executor_enter(e, "fl_executor_detach");
	if (rc != 0)
		return rc;
	executor_check_not_detached("fl_executor_detach", e);
	FL__HELD(&e->lock);
	fl__store_relaxed(&e->detached, !e->lasts); /* relaxed: only diagnoses a bug */
	rc = e->lasts ? 0 : executor_start_freeing_thread(e);
	if (rc == 0)
		executor_close_locked(e);
	else
		fl__store_relaxed(&e->detached, false); /* relaxed: only diagnoses a bug */
	return rc;
}
