/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The end of an executor: broken, closed, cancelled, joined, freed, detached.
 *
 * Queued tasks are taken out under the lock. They are ended without it, since that runs callbacks
 * and drop hooks.
 */
#include "../base/atomic.h"
#include "../base/panic.h"
#include "../base/sys.h"
#include "executor.h"
#include <errno.h>
#include <fairlead/thread.h>
#include <stdio.h>

/* Ending queued tasks. */

/* Under the lock: takes the oldest task in the queue, claimed or not. */
static struct fl__task_block *take_oldest(fl_executor *e)
{
	if (e->ops->take)
		return e->ops->take(e);
	struct fl__task_block *block = e->queue.head;
	if (block)
		fl__queue_remove(&e->queue, block);
	return block;
}

/*
 * The tasks found in one section. `ours`: claimed by this context. `theirs`: in a kind's own
 * backlog, and claimed by other contexts. `running`: run by the workers of such a kind.
 */
struct taken {
	struct fl__queue ours, theirs, running;
};

/* Under the lock: empties the queue. */
static void take_queued(fl_executor *e, bool to_cancel, struct taken *taken)
{
	struct fl__task_block *block;
	*taken = (struct taken){0};
	while ((block = take_oldest(e)) != NULL) {
		e->foreign++; /* ours, or on behalf of the context that claimed it */
		bool ours = to_cancel ? fl__future_claim_cancel(&block->future)
		                      : fl__future_claim(&block->future) != FL__CLAIM_LOST;
		if (ours)
			fl__queue_add(&taken->ours, block);
		else if (e->ops->take)
			fl__queue_add(&taken->theirs, block);
		/* FL__APART: a later cancel does not find it in the backlog */
		block->queued = e->ops->take ? FL__APART : 0;
	}
}

static void end_one(struct fl__task_block *block, int error, const char *text)
{
	char *message = NULL;
	if (text) {
		message = fl__message_new();
		if (!fl__message_lost(message))
			(void)snprintf(message, FL_MESSAGE_MAX, "%s", text);
	}
	fl__future_finish(&block->future, error, message);
	fl_future_free(&block->future); /* the producer's reference */
}

/* Without the lock. */
static void end_taken(fl_executor *e, const struct taken *taken, int error, const char *text)
{
	for (struct fl__task_block *next, *block = taken->theirs.head; block; block = next) {
		next = block->next;
		fl__task_block_part(block);
	}
	for (struct fl__task_block *next, *block = taken->running.head; block; block = next) {
		next = block->next;
		fl__future_ask(&block->future);
		fl_future_free(&block->future);
	}
	/*
	 * Last, since these run callbacks: a callback may wait until no context refers to a task in
	 * the other lists.
	 */
	for (struct fl__task_block *next, *block = taken->ours.head; block; block = next) {
		next = block->next;
		end_one(block, error, text);
	}
	fl__add_relaxed(&e->unbegun, taken->ours.length); /* relaxed: a statistic */
	if (taken->ours.length > 0)
		fl__executor_foreign_ended(e, taken->ours.length);
}

void fl__executor_break(fl_executor *e, const char *text)
{
	struct taken taken;
	{
		FL_LOCKED(&e->lock);
		e->broken = true;
		e->ops->wake_all(e);
		if (e->ops->recall)
			e->ops->recall(e, false);
		take_queued(e, false, &taken);
	}
	end_taken(e, &taken, -ENOTRECOVERABLE, text);
}

/* Closing and waiting. */

/* Under the lock. */
static void close_locked(fl_executor *e)
{
	if (e->closed)
		return;
	e->closed = true;
	e->ops->wake_all(e);
}

void fl_executor_close(fl_executor *e)
{
	fl__executor_check(e, "fl_executor_close");
	if (fl__executor_is_forked(e))
		return;
	FL_LOCKED(&e->lock);
	close_locked(e);
}

/* A reference to a task that runs in a frame and is not yet asked to stop; NULL: there is none. */
static fl_future *next_unasked(fl_executor *e)
{
	FL_LOCKED(&e->lock);
	for (struct fl__run *run = e->running; run; run = run->next)
		if (!run->asked) {
			run->asked = true;
			/*
			 * the context that runs the task has a reference until after fl__run_end()
			 */
			return fl_future_ref(run->future);
		}
	return NULL;
}

/* One by one, without the lock: callbacks of a task's token may use the executor. */
static void ask_frames(fl_executor *e)
{
	for (fl_future *f; (f = next_unasked(e)) != NULL;) {
		fl__future_ask(f);
		fl_future_free(f);
	}
}

/* What a cancel does to tasks that run. */
enum effect { LEAVES_RUNNING, ASKS_RUNNING, KILLS_RUNNING };

static size_t cancel_tasks(fl_executor *e, enum effect effect)
{
	if (fl__executor_is_forked(e))
		return 0;
	struct taken taken;
	{
		FL_LOCKED(&e->lock);
		close_locked(e);
		if (e->ops->recall)
			e->ops->recall(e, effect != LEAVES_RUNNING);
		if (effect == KILLS_RUNNING && e->ops->terminate)
			e->ops->terminate(e);
		take_queued(e, true, &taken);
		if (effect != LEAVES_RUNNING && e->ops->list_running)
			e->ops->list_running(e, &taken.running);
	}
	if (effect != LEAVES_RUNNING)
		ask_frames(e);
	end_taken(e, &taken, 0, NULL);
	return taken.ours.length;
}

size_t fl_executor_cancel(fl_executor *e)
{
	fl__executor_check(e, "fl_executor_cancel");
	return cancel_tasks(e, ASKS_RUNNING);
}

size_t fl_executor_cancel_pending(fl_executor *e)
{
	fl__executor_check(e, "fl_executor_cancel_pending");
	return cancel_tasks(e, LEAVES_RUNNING);
}

size_t fl_executor_terminate(fl_executor *e)
{
	fl__executor_check(e, "fl_executor_terminate");
	return cancel_tasks(e, KILLS_RUNNING);
}

int fl_executor_resize(fl_executor *e, unsigned workers)
{
	fl__executor_check(e, "fl_executor_resize");
	if (fl__executor_is_forked(e))
		return -EOWNERDEAD;
	if (!e->ops->resize)
		return -ENOTSUP;
	if (workers == 0 || workers > FL_WORKERS_MAX)
		return -EINVAL;
	FL_LOCKED(&e->lock);
	return e->closed ? -EPIPE : e->ops->resize(e, workers);
}

static int join_locked(fl_executor *e, int64_t deadline, fl_cancel_token *cancel)
{
	FL_LOCKED(&e->lock);
	close_locked(e);
	return e->ops->join(e, deadline, cancel);
}

static int join_unchecked(fl_executor *e, int64_t deadline, fl_cancel_token *cancel)
{
	struct fl__ctx *ctx = fl__ctx_get();
	const bool blocks = fl__ctx_block(ctx, NULL, deadline);
	const int rc = join_locked(e, deadline, cancel);
	fl__ctx_unblock(ctx, blocks);
	return rc;
}

/*
 * Whether the calling context runs a callback of a task of `e` that it has cancelled. A join waits
 * until the callback has returned.
 */
static bool calls_back(const fl_executor *e)
{
	for (const struct fl__calling *c = fl__ctx_get()->front.inside.calling; c; c = c->outer)
		for (const struct fl__ending *ending = c->innermost; ending; ending = ending->outer)
			if (ending->future->home == &fl__task_block_home &&
			    fl__task_block_owner(fl__task_block_of(ending->future))->executor == e)
				return true;
	return false;
}

/* Whether the calling context would wait for itself if it waited for the end of `e`. */
static bool would_hang(fl_executor *e, int64_t deadline)
{
	if (fl__run_serves(e))
		return true;
	if (fl__executor_is_forked(e))
		return false;
	return calls_back(e) || (e->ops->would_hang && !fl__is_past(deadline) && e->ops->would_hang(e));
}

int fl_executor_join_until(fl_executor *e, int64_t deadline, fl_cancel_token *cancel)
{
	fl__executor_check(e, "fl_executor_join");
	if (fl__executor_is_forked(e))
		return -EOWNERDEAD;
	if (would_hang(e, deadline))
		return -EDEADLK;
	return join_unchecked(e, deadline, cancel);
}

void fl_executor_free(fl_executor *e)
{
	if (!e)
		return;
	if (would_hang(e, FL_FOREVER))
		fl__panic("fl_executor_free", e,
		          "called from one of its own tasks or their callbacks, or where nothing else could run");
	if (!fl__executor_is_forked(e)) {
		/* 0: nothing ends the wait early */
		(void)join_unchecked(e, FL_FOREVER, FL_SHIELDED);
		fl__task_blocks_shut(e->blocks);
	}
	e->ops->destroy(e);
}

/* Detaching. */

static int free_when_over(void *e)
{
	fl_executor_free(e);
	return 0;
}

/* Under the lock. The thread waits for the lock, so it frees `e` after the caller's last use. */
static int start_to_free(fl_executor *e)
{
	fl_thread thread = {NULL};
	const fl_thread_config config = {.name = "executor-end", .block_signals = true};
	int rc = fl_thread_start(&thread, free_when_over, e, &config);
	if (rc != 0)
		return rc == -ENOMEM ? rc : -EAGAIN;
	return fl_thread_detach(&thread);
}

int fl_executor_detach(fl_executor *e)
{
	fl__executor_check(e, "fl_executor_detach");
	if (fl__executor_is_forked(e))
		return -EOWNERDEAD;
	FL_LOCKED(&e->lock);
	const int rc = e->lasts ? 0 : start_to_free(e);
	if (rc == 0)
		close_locked(e);
	return rc;
}
