/* SPDX-License-Identifier: BSD-2-Clause */
#include "executor.h"
#include "../base/atomic.h"
#include "../base/error.h"
#include "../base/list.h"
#include "../base/sys.h"
#include "../base/unload.h"
#include "../future/bytes.h"
#include "../sync/helper.h"
#include "../sync/thread.h"
#include <errno.h>
#include <stdio.h>

void fl__executor_missing(const char *function)
{
	fl__panic(function, NULL, "the executor is NULL: was it made?");
}

FL__COLD bool fl__executor_may_have(unsigned workers, unsigned most, const char *function)
{
	if (workers > most)
		fl__log(FL_LOG_ERROR, "%s: %u workers (%d as an int) are above the limit of %u", function, workers,
		        (int)workers, most);
	return workers <= most;
}

unsigned fl__executor_worker_count(const fl_executor_config *config)
{
	unsigned workers = config->workers ? config->workers : fl_cpu_count();
	return FL__MIN(workers, FL_WORKERS_MAX);
}

static bool executor_config_is_usable(const fl_executor_config *config)
{
	const fl_task_type *type = config->initialize;
	return config->n_regions <= FL_REGIONS_MAX && (!type || type->arg_align <= _Alignof(max_align_t)) &&
	       (!type || (type->result_size == 0 && !fl__bytes_declares(type->drop_arg) &&
	                  (type->arg_size > 0) == (config->initialize_arg != NULL)));
}

/* Copies `n` objects of `size` bytes; `*copy` stays NULL for none. */
static int executor_copy(const void *from, size_t n, size_t size, void *copy)
{
	void **to = copy;
	if (n * size == 0)
		return 0;
	*to = fl__alloc(n, size);
	if (!*to)
		return -ENOMEM;
	memcpy(*to, from, n * size);
	return 0;
}

FL__COLD int fl__executor_init(fl_executor *e, const struct fl__executor_ops *ops, unsigned workers,
                               const fl_executor_config *config, bool lasting)
{
	if (!executor_config_is_usable(config))
		return -EINVAL;
	int rc = executor_copy(config->regions, config->n_regions, sizeof *config->regions, &e->regions);
	if (rc == 0 && config->initialize)
		rc = executor_copy(config->initialize_arg, 1, config->initialize->arg_size, &e->initialize_arg);
	const uint32_t fork_count = fl__fork_count;
	const struct fl__task_block_owner of = {e, fork_count, ops->withdraw != NULL};
	e->blocks = rc == 0 ? fl__task_blocks_new(&of, lasting ? e : NULL) : NULL;
	if (!e->blocks) {
		fl__free(e->regions);
		fl__free(e->initialize_arg);
		return -ENOMEM;
	}
	e->ops = ops;
	e->workers = workers;
	e->initialize = config->initialize;
	e->n_regions = config->n_regions;
	e->bytes_max = config->bytes_max ? config->bytes_max : FL_TASK_SIZE_MAX;
	e->has_short_way = !of.remote && e->permits.bound == 0;
	e->fork_count = fork_count;
	e->stats.skip = fl__stats_are_linked() ? 0 : FL__STATS_OFF;
	e->stats.frame.next = fl__stats_are_linked() ? 0 : SIZE_MAX;
	e->plain = e->has_short_way && !fl__stats_are_linked() ? fork_count : UINT32_MAX;
	fl__signals_of_thread(&e->signals);
	(void)snprintf(e->name, sizeof e->name, "%s", config->name ? config->name : "worker");
	fl__hook_executor(e, true);
	return 0;
}

void fl__executor_fini(fl_executor *e)
{
	fl__hook_executor(e, false);
	fl__free(e->regions);
	fl__free(e->initialize_arg);
	fl__message_free(e->why_broken);
	for (unsigned i = 0; i < FL__STATS_TYPES; i++)
		fl__free(e->stats.types[i]);
	fl__task_blocks_free(e->blocks);
}

int fl__executor_initialize(fl_executor *e)
{
	if (!e->initialize)
		return 0;
	fl_cancel_token token = FL_CANCEL_TOKEN_INIT;
	fl_task_ctx ctx = {.token = &token, .executor = e};
	const int error = fl__task_call(e->initialize, e->initialize_arg, NULL, &ctx);
	if (error != 0)
		fl__executor_initialize_failed(e, error, ctx.message);
	else
		fl__message_free(ctx.message);
	return error;
}

void fl__executor_initialize_failed(fl_executor *e, int error, char *message)
{
	char number[64], text[FL_MESSAGE_MAX];
	(void)snprintf(text, sizeof text, "the executor is broken: its initializer failed: %s: %s",
	               fl_error_name(error), message && *message ? message : fl__error_describe(error, number));
	fl__message_free(message);
	fl__executor_break(e, text);
}

int fl__executor_refuses(const fl_executor *e)
{
	if (e->broken != 0)
		return e->broken;
	return e->closed ? -EPIPE : 0;
}

bool fl__executor_is_idle(const fl_executor *e)
{
	return e->queue.length == 0 && !e->running && e->foreign == 0 && !(e->ops->is_busy && e->ops->is_busy(e));
}

static int executor_join_once(fl_executor *e, fl_thread **last, fl_time deadline, fl_cancel_token *cancel)
{
	e->joining = true;
	fl_mutex_unlock(&e->lock);
	/* NULL: no thread was ever started, or it was joined before */
	const int rc = *last ? fl__thread_join_until(last, NULL, deadline, cancel) : 0;
	fl__mutex_hold(&e->lock);
	e->joining = false;
	fl_cond_broadcast(&e->gone);
	return rc;
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
	return executor_join_once(e, last, deadline, cancel);
}

void fl__task_list_add(struct fl__task_list *queue, struct fl__task_block *block)
{
	FL__QUEUE_ADD(queue->head, queue->tail, block);
	block->queued = FL__QUEUED;
	queue->length++;
}

void fl__task_list_add_first(struct fl__task_list *queue, struct fl__task_block *block)
{
	FL__QUEUE_ADD_FIRST(queue->head, queue->tail, block);
	block->queued = FL__QUEUED;
	queue->length++;
}

void fl__task_list_remove(struct fl__task_list *queue, struct fl__task_block *block)
{
	FL__QUEUE_REMOVE(queue->head, queue->tail, block);
	block->queued = 0;
	queue->length--;
}

/* See struct fl__future_ops. */

/*
 * The executor of a task in another process, which is claimed only under the executor's lock. NULL:
 * the task runs in this process, or is the parent's.
 */
static fl_executor *executor_if_remote(const struct fl__task_block *block)
{
	const struct fl__task_block_owner *of = fl__task_block_owner(block);
	return of->remote && !fl__is_forked(of->fork_count) ? of->executor : NULL;
}

void fl__task_block_claimed(fl_executor *e, struct fl__task_block *block)
{
	e->foreign++;
	if (e->ops->claimed) {
		e->ops->claimed(e, block);
		(void)fl_future_ref(&block->future);
	} else {
		fl__task_list_remove(&e->queue, block);
	}
}

static bool executor_claim_cancel(fl_executor *e, struct fl__task_block *block)
{
	FL__HELD(&e->lock);
	if (e->ops->withdraw && !block->queued && !e->ops->withdraw(e, block))
		return false;
	if (!fl__future_claim_cancel(&block->future))
		return false;
	e->not_run++;
	fl__task_block_claimed(e, block);
	return true;
}

static bool executor_on_claim_cancel(fl_future *f)
{
	struct fl__task_block *block = fl__task_block_of(f);
	if (fl__is_forked(fl__task_block_owner(block)->fork_count))
		return fl__future_claim_cancel(f); /* the parent's executor is never joined here */
	/* a claim lasts: no lock, and no hold on the executor */
	if (fl__future_is_claimed(f))
		return false;
	fl_executor *e = fl__task_blocks_hold(block->pool);
	if (!e)
		return false; /* all its tasks have ended */
	const bool claimed = executor_claim_cancel(e, block);
	fl__task_blocks_unhold(block->pool);
	return claimed;
}

static void executor_on_requested(fl_future *f)
{
	struct fl__task_block *block = fl__task_block_of(f);
	fl_executor *e = executor_if_remote(block);
	if (!e)
		return;
	FL__HELD(&e->lock);
	e->ops->asked(e, block);
}

static bool executor_on_has_started(const fl_future *f)
{
	const struct fl__task_block *block = fl__task_block_of((fl_future *)f);
	fl_executor *e = executor_if_remote(block);
	if (!e)
		return false;
	FL__HELD(&e->lock);
	return e->ops->has_started(e, block);
}

static bool executor_on_is_of_parent(const fl_future *f)
{
	return fl__is_forked(fl__task_block_owner(fl__task_block_of((fl_future *)f))->fork_count);
}

static void executor_on_advance(fl_future *f, const fl_event *or_event, fl_time deadline, const fl_cancel_token *cancel)
{
	fl_executor *e = executor_if_remote(fl__task_block_of(f));
	if (e)
		e->ops->attend(e, f, or_event, deadline, cancel);
}

/* Uncounts `n` tasks, whose claimers do not use `e` afterwards. */
static void executor_foreign_ended(fl_executor *e, size_t n)
{
	FL__HELD(&e->lock);
	e->foreign -= n;
	if (e->foreign == 0)
		fl_cond_broadcast(&e->gone);
}

static void executor_on_ended(fl_future *f)
{
	struct fl__task_block *block = fl__task_block_of(f);
	if (!fl__is_forked(fl__task_block_owner(block)->fork_count))
		executor_foreign_ended(fl__task_block_owner(block)->executor, 1);
}

static void executor_on_release(fl_future *f)
{
	struct fl__task_block *block = fl__task_block_of(f);
	/* the executor lasts as long as its task blocks */
	if (fl__task_block_owner(block)->remote)
		fl__task_block_owner(block)->executor->ops->release(block);
	fl__task_block_free(block);
}

const struct fl__future_ops fl__task_block_future_ops = {
    .claim_cancel = executor_on_claim_cancel,
    .ended = executor_on_ended,
    .requested = executor_on_requested,
    .has_started = executor_on_has_started,
    .is_of_parent = executor_on_is_of_parent,
    .advance = executor_on_advance,
    .release = executor_on_release,
};

uint32_t fl_executor_capabilities(const fl_executor *e)
{
	fl__executor_check(e, "fl_executor_capabilities");
	return e->ops->capabilities;
}

const char *fl_executor_kind(const fl_executor *e)
{
	fl__executor_check(e, "fl_executor_kind");
	return e->ops->kind;
}

bool fl_executor_is_broken(const fl_executor *e)
{
	fl__executor_check(e, "fl_executor_is_broken");
	if (fl__executor_is_forked(e))
		return e->broken != 0; /* the parent's lock may never be free */
	/* the lock: once this has returned true, no submit is accepted */
	FL__HELD((fl_mutex *)&e->lock);
	return e->broken != 0;
}

unsigned fl_executor_workers(const fl_executor *e)
{
	fl__executor_check(e, "fl_executor_workers");
	return fl__load_relaxed(&e->workers); /* a single number */
}

/* The end of an executor. Queued tasks are taken out under the lock, and ended without it. */

/* Under the lock. The task may be claimed. */
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
 * The tasks that one section of the lock found. `ours`: claimed by this context. `theirs`: claimed
 * by others, in a kind's own backlog. `running`: by the workers of such a kind.
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
		/* a kind that lists what its workers run must not list the block again */
		block->queued = e->ops->list_running ? FL__QUEUED : 0;
	}
	e->foreign += taken->ours.length;
	e->not_run += taken->ours.length;
}

/* Without the lock. */
FL__COLD static void executor_end_taken(fl_executor *e, const struct executor_taken *taken, int error, const char *text)
{
	FL__EACH_SAFE (struct fl__task_block, block, taken->theirs.head)
		fl_future_free(&block->future); /* the producer's reference */
	FL__EACH_SAFE (struct fl__task_block, block, taken->running.head) {
		fl__future_request_stop(&block->future);
		fl_future_free(&block->future);
	}
	/* Last: a callback may wait for a running task, which may end only after the request above. */
	FL__EACH_SAFE (struct fl__task_block, block, taken->ours.head) {
		fl__future_finish(&block->future, error, text ? fl__message_format("%s", text) : NULL);
		fl_future_free(&block->future); /* the producer's reference */
	}
	if (taken->ours.length > 0)
		executor_foreign_ended(e, taken->ours.length);
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
		e->ops->wake_all(e);
		if (e->ops->recall)
			e->ops->recall(e, false);
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
	e->ops->wake_all(e);
}

void fl_executor_close(fl_executor *e)
{
	fl__executor_check(e, "fl_executor_close");
	if (fl__executor_is_forked(e))
		return;
	FL__HELD(&e->lock);
	executor_close_locked(e);
}

/* A reference to a task that runs in a frame and is not yet requested to stop; NULL: none. */
static fl_future *executor_next_unrequested(fl_executor *e)
{
	FL__HELD(&e->lock);
	FL__EACH (struct fl__run, run, e->running)
		if (!run->requested) {
			run->requested = true;
			/* the context that runs the task keeps a reference beyond fl__run_task() */
			return fl_future_ref(run->future);
		}
	return NULL;
}

/* Requests one at a time, without the lock: callbacks of a token may use the executor. */
static void executor_request_frames(fl_executor *e)
{
	for (fl_future *f; (f = executor_next_unrequested(e)) != NULL;) {
		fl__future_request_stop(f);
		fl_future_free(f);
	}
}

/* The effect of a cancel on running tasks. */
enum executor_effect { EXECUTOR_LEAVES_RUNNING, EXECUTOR_REQUESTS_RUNNING, EXECUTOR_KILLS_RUNNING };

static size_t executor_cancel_tasks(fl_executor *e, enum executor_effect effect)
{
	if (fl__executor_is_forked(e))
		return 0;
	struct executor_taken taken;
	{
		FL__HELD(&e->lock);
		executor_close_locked(e);
		if (e->ops->recall)
			e->ops->recall(e, effect != EXECUTOR_LEAVES_RUNNING);
		if (effect == EXECUTOR_KILLS_RUNNING && e->ops->terminate)
			e->ops->terminate(e);
		executor_take_queued(e, true, &taken);
		if (effect != EXECUTOR_LEAVES_RUNNING && e->ops->list_running)
			e->ops->list_running(e, &taken.running);
	}
	if (effect != EXECUTOR_LEAVES_RUNNING)
		executor_request_frames(e);
	executor_end_taken(e, &taken, 0, NULL);
	return taken.ours.length;
}

size_t fl_executor_cancel(fl_executor *e)
{
	fl__executor_check(e, "fl_executor_cancel");
	return executor_cancel_tasks(e, EXECUTOR_REQUESTS_RUNNING);
}

size_t fl_executor_cancel_pending(fl_executor *e)
{
	fl__executor_check(e, "fl_executor_cancel_pending");
	return executor_cancel_tasks(e, EXECUTOR_LEAVES_RUNNING);
}

size_t fl_executor_terminate(fl_executor *e)
{
	fl__executor_check(e, "fl_executor_terminate");
	return executor_cancel_tasks(e, EXECUTOR_KILLS_RUNNING);
}

int fl_executor_resize(fl_executor *e, unsigned workers)
{
	fl__executor_check(e, "fl_executor_resize");
	if (fl__executor_is_forked(e))
		return -EOWNERDEAD;
	if (!e->ops->resize)
		return -ENOTSUP;
	if (workers == 0 || !fl__executor_may_have(workers, FL_WORKERS_MAX, "fl_executor_resize"))
		return -EINVAL;
	FL__HELD(&e->lock);
	return e->closed ? -EPIPE : e->ops->resize(e, workers);
}

enum executor_end { EXECUTOR_IDLE, EXECUTOR_JOINED };

static int executor_wait(fl_executor *e, enum executor_end end, fl_time deadline, fl_cancel_token *cancel)
{
	FL__BLOCKS(deadline);
	FL__AWAITS(FL__DEBUG_EXECUTOR, e);
	FL__HELD(&e->lock);
	if (end == EXECUTOR_JOINED)
		executor_close_locked(e);
	e->waiters++;
	int rc = 0;
	const bool joins = end == EXECUTOR_JOINED && e->ops->join;
	if (joins)
		rc = e->ops->join(e, deadline, cancel);
	while (!joins && rc == 0 && !fl__executor_is_idle(e))
		rc = fl__cond_wait(&e->gone, &e->lock, deadline, cancel, true);
	e->waiters--;
	return !joins && fl__executor_is_idle(e) ? 0 : rc;
}

/* Whether a callback of a task of `e` runs on the calling context. A join waits for its return. */
static bool executor_is_calling_back(const fl_executor *e)
{
	FL__EACH_ENDING (ending)
		if (ending->future->ops == &fl__task_block_future_ops &&
		    fl__task_block_owner(fl__task_block_of(ending->future))->executor == e)
			return true;
	return false;
}

/* Whether the context would wait for itself, until `deadline`. */
static bool executor_would_hang(fl_executor *e, fl_time deadline)
{
	if (fl__run_serves(e))
		return true;
	if (fl__executor_is_forked(e))
		return false;
	return executor_is_calling_back(e) ||
	       (e->ops->would_hang && !fl__is_expired(deadline) && e->ops->would_hang(e));
}

static int executor_check_and_wait(fl_executor *e, enum executor_end end, fl_time deadline, fl_cancel_token *cancel)
{
	if (fl__executor_is_forked(e))
		return -EOWNERDEAD;
	if (executor_would_hang(e, deadline))
		return -EDEADLK;
	return executor_wait(e, end, deadline, cancel);
}

int fl_executor_join_until(fl_executor *e, fl_time deadline, fl_cancel_token *cancel)
{
	fl__executor_check(e, "fl_executor_join");
	return executor_check_and_wait(e, EXECUTOR_JOINED, deadline, cancel);
}

int fl_executor_wait_idle_until(fl_executor *e, fl_time deadline, fl_cancel_token *cancel)
{
	fl__executor_check(e, "fl_executor_wait_idle");
	return executor_check_and_wait(e, EXECUTOR_IDLE, deadline, cancel);
}

static void executor_drop_initialize_arg(fl_executor *e)
{
	if (!e->initialize || !e->initialize->drop_arg)
		return;
	FL_CANCEL_SCOPE(NULL); /* as for the hooks of a task */
	e->initialize->drop_arg(e->initialize_arg);
}

void fl_executor_free(fl_executor *e)
{
	if (!e)
		return;
	if (executor_would_hang(e, FL_FOREVER))
		fl__panic("fl_executor_free", e,
		          "called from one of its own tasks or their callbacks, or where nothing else could run");
	if (!fl__executor_is_forked(e)) {
		/* 0: nothing ends the wait early */
		(void)executor_wait(e, EXECUTOR_JOINED, FL_FOREVER, FL_SHIELDED);
		fl__task_blocks_shut(e->blocks);
		executor_drop_initialize_arg(e);
	}
	fl__hook_executor(e, false); /* the rest of its end is not seen */
	e->ops->destroy(e);
}

uint32_t fl__executors_detached;

static void executor_free_when_ended(void)
{
	fl_executor_free(fl__helper_arg());
	fl__sub_release(&fl__executors_detached, 1); /* what the tasks wrote, for tests */
}

/* An exit waits for no task. A dlclose() waits for all: their threads are about to end. */
static unsigned executor_detached_in_use(void)
{
	/* a count; the end of this copy joins the threads */
	return fl__is_unloaded() ? 0 : fl__load_relaxed(&fl__executors_detached);
}

/* Under the lock, for which the thread waits: it frees `e` after the caller's last use. */
static int executor_start_freeing_thread(fl_executor *e)
{
	static struct fl__helper helper = {.name = "executor-end",
	                                   .function = executor_free_when_ended,
	                                   .calls_user = true, /* drop hooks */
	                                   .end = executor_detached_in_use};
	fl__add_relaxed(&fl__executors_detached, 1); /* as above */
	const int rc = fl__helper_start_with(&helper, e);
	if (rc != 0)
		fl__sub_relaxed(&fl__executors_detached, 1); /* as above */
	return rc == 0 || rc == -ENOMEM ? rc : -EAGAIN;
}

int fl_executor_detach(fl_executor *e)
{
	fl__executor_check(e, "fl_executor_detach");
	if (fl__executor_is_forked(e))
		return -EOWNERDEAD;
	FL__HELD(&e->lock);
	const int rc = e->lasts ? 0 : executor_start_freeing_thread(e);
	if (rc == 0)
		executor_close_locked(e);
	return rc;
}
