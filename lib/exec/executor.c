/* SPDX-License-Identifier: BSD-2-Clause */
#include "executor.h"
#include "../base/atomic.h"
#include "../base/panic.h"
#include "../base/sys.h"
#include "embedded_task.h"
#include <errno.h>
#include <fairlead/cpu.h>
#include <stdio.h>
#include <string.h>

/* What all kinds share. */

void fl__executor_missing(const char *function)
{
	fl__panic(function, NULL, "the executor is NULL: was it made?");
}

unsigned fl__executor_workers_of(const fl_executor_config *config)
{
	unsigned workers = config->workers ? config->workers : fl_cpu_count();
	return workers < FL_WORKERS_MAX ? workers : FL_WORKERS_MAX;
}

static bool is_usable(const fl_executor_config *config)
{
	const fl_task_type *type = config->initialize;
	return config->n_regions <= FL_REGIONS_MAX && (!type || type->arg_align <= _Alignof(max_align_t)) &&
	       (!type || (type->result_size == 0 && (type->arg_size > 0) == (config->initialize_arg != NULL)));
}

/* Copies `n` objects of `size` bytes; `*copy` stays NULL for none. */
static int copy_of(const void *from, size_t n, size_t size, void *copy)
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

int fl__executor_init(fl_executor *e, const struct fl__executor_ops *ops, unsigned workers,
                      const fl_executor_config *config, bool lasting)
{
	if (!is_usable(config))
		return -EINVAL;
	int rc = copy_of(config->regions, config->n_regions, sizeof *config->regions, &e->regions);
	if (rc == 0 && config->initialize)
		rc = copy_of(config->initialize_arg, 1, config->initialize->arg_size, &e->initialize_arg);
	/* relaxed: as in fl__is_forked() */
	const struct fl__task_block_owner of = {e, fl__load_relaxed(&fl__fork_count), ops->withdraw != NULL};
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
	e->fork_count = of.fork_count;
	return 0;
}

void fl__executor_fini(fl_executor *e)
{
	fl__free(e->regions);
	fl__free(e->initialize_arg);
	fl__task_blocks_free(e->blocks);
}

int fl__executor_initialize(fl_executor *e, char **message)
{
	if (!e->initialize)
		return 0;
	fl_cancel_token token = FL_CANCEL_TOKEN_INIT;
	fl_task_ctx ctx = {.token = &token, .regions = e->regions, .n_regions = e->n_regions};
	int error = fl__task_call(e->initialize, e->initialize_arg, NULL, &ctx);
	*message = ctx.message;
	return error;
}

void fl__executor_initialize_failed(fl_executor *e, int error, char *message)
{
	char text[FL_MESSAGE_MAX];
	(void)snprintf(text, sizeof text, "the executor is broken: its initializer failed: %s: %s",
	               fl_error_name(error), message && *message ? message : fl_error_text(error));
	fl__message_free(message);
	fl__executor_break(e, text);
}

int fl__executor_refuses(const fl_executor *e)
{
	if (e->broken)
		return -ENOTRECOVERABLE;
	return e->closed ? -EPIPE : 0;
}

bool fl__executor_is_idle(const fl_executor *e)
{
	return e->queue.length == 0 && !e->running && e->foreign == 0;
}

void fl__queue_add(struct fl__queue *queue, struct fl__task_block *block)
{
	block->next = NULL;
	block->prev = queue->tail;
	if (queue->tail)
		queue->tail->next = block;
	else
		queue->head = block;
	queue->tail = block;
	block->queued = FL__IN_QUEUE;
	queue->length++;
}

void fl__queue_add_first(struct fl__queue *queue, struct fl__task_block *block)
{
	block->prev = NULL;
	block->next = queue->head;
	if (queue->head)
		queue->head->prev = block;
	else
		queue->tail = block;
	queue->head = block;
	block->queued = FL__IN_QUEUE;
	queue->length++;
}

void fl__queue_remove(struct fl__queue *queue, struct fl__task_block *block)
{
	if (block->prev)
		block->prev->next = block->next;
	else
		queue->head = block->next;
	if (block->next)
		block->next->prev = block->prev;
	else
		queue->tail = block->prev;
	block->queued = 0;
	queue->length--;
}

/* The home of a task's future: see struct fl__future_home. */

/*
 * The executor, if its tasks are claimed only by it, or under its lock. NULL: another kind, or, in
 * a forked child, the parent's.
 */
static fl_executor *elsewhere(const struct fl__task_block *block)
{
	const struct fl__task_block_owner *of = fl__task_block_owner(block);
	return of->elsewhere && !fl__is_forked(of->fork_count) ? of->executor : NULL;
}

static bool claim_posted(fl_executor *e, struct fl__task_block *block)
{
	FL_LOCKED(&e->lock);
	if (!block->queued && !e->ops->withdraw(e, block))
		return false;
	fl__queue_remove(&e->queue, block);
	e->foreign++;
	/* true: queued tasks are claimed under the lock */
	return fl__future_claim_cancel(&block->future);
}

void fl__task_block_died(fl_executor *e, struct fl__task_block *block)
{
	e->ops->died(e, block);
	if (block->size != FL__TASK_BLOCK_USERS || !e->ops->dig(e, block))
		return;
	/* relaxed: only this context reads it, in on_ended() */
	fl__store_relaxed(&block->parting, FL__DUG);
	e->foreign++;
}

static bool on_claim_cancel(fl_future *f)
{
	struct fl__task_block *block = fl__task_block_of(f);
	fl_executor *e = elsewhere(block);
	if (e)
		return claim_posted(e, block);
	if (!fl__future_claim_cancel(f))
		return false;
	if (fl__is_forked(fl__task_block_owner(block)->fork_count))
		return true; /* that executor is never joined here, and may be gone */
	e = fl__task_block_owner(block)->executor;
	fl__add_relaxed(&e->unbegun, 1); /* relaxed: only a statistic */
	if (e->ops->take && block->size != FL__TASK_BLOCK_USERS) {
		e->ops->died(e, block);
		return true; /* the task stays in the backlog */
	}
	FL_LOCKED(&e->lock);
	if (e->ops->take) {
		fl__task_block_died(e, block);
		return true;
	}
	if (!block->queued)
		return true; /* the thread that took it out has counted it */
	fl__queue_remove(&e->queue, block);
	e->foreign++;
	return true;
}

static void on_asked(fl_future *f)
{
	struct fl__task_block *block = fl__task_block_of(f);
	fl_executor *e = elsewhere(block);
	if (!e)
		return;
	FL_LOCKED(&e->lock);
	e->ops->asked(e, block);
}

static bool on_has_started(const fl_future *f)
{
	const struct fl__task_block *block = fl__task_block_of((fl_future *)f);
	fl_executor *e = elsewhere(block);
	if (!e)
		return false;
	FL_LOCKED(&e->lock);
	return e->ops->has_started(e, block);
}

static bool on_is_parents(const fl_future *f)
{
	return fl__is_forked(fl__task_block_owner(fl__task_block_of((fl_future *)f))->fork_count);
}

static void on_attend(fl_future *f, int64_t deadline, const fl_cancel_token *cancel)
{
	fl_executor *e = elsewhere(fl__task_block_of(f));
	if (e)
		e->ops->attend(e, f, deadline, cancel);
}

void fl__executor_foreign_ended(fl_executor *e, size_t n)
{
	FL_LOCKED(&e->lock);
	e->foreign -= n;
	if (e->foreign == 0)
		fl_cond_broadcast(&e->gone);
}

static void on_ended(fl_future *f)
{
	struct fl__task_block *block = fl__task_block_of(f);
	fl_executor *e = fl__task_block_owner(block)->executor;
	if (fl__is_forked(fl__task_block_owner(block)->fork_count)) {
		fl_future_free(f);
	} else if (!e->ops->take || (fl__load_relaxed(&block->parting) & FL__DUG)) {
		/* relaxed, above: this context wrote `parting` */
		fl__executor_foreign_ended(e, 1);
		fl_future_free(f);
	} else {
		/*
		 * release: all use of the executor so far; pairs with fl__task_block_part(). After TAKEN
		 * the lock is the next use.
		 */
		if (fl__or_release(&block->parting, FL__LEFT) & FL__TAKEN)
			fl__executor_foreign_ended(e, 1);
	}
}

static void on_release(fl_future *f)
{
	struct fl__task_block *block = fl__task_block_of(f);
	/* the executor lasts as long as its task blocks */
	if (fl__task_block_owner(block)->elsewhere)
		fl__task_block_owner(block)->executor->ops->release(block);
	if (__builtin_expect(block->size == FL__TASK_BLOCK_USERS, 0))
		fl__embedded_release(block);
	else
		fl__task_block_free(block);
}

const struct fl__future_home fl__task_block_home = {
    .claim_cancel = on_claim_cancel,
    .ended = on_ended,
    .asked = on_asked,
    .has_started = on_has_started,
    .is_parents = on_is_parents,
    .attend = on_attend,
    .release = on_release,
};

void fl__task_block_part(struct fl__task_block *block)
{
	/* acquire: pairs with on_ended() */
	if (fl__or_acquire(&block->parting, FL__TAKEN) & FL__LEFT)
		fl__executor_foreign_ended(fl__task_block_owner(block)->executor, 1);
	fl_future_free(&block->future); /* the producer's reference */
}

void fl__task_block_abandon(struct fl__task_block *block)
{
	fl_executor *e = fl__task_block_owner(block)->executor;
	/* acquire: pairs with on_ended(). LEFT came first, so the task is never counted. */
	if (fl__load_acquire(&block->parting) & FL__LEFT) {
		fl_future_free(&block->future);
		return;
	}
	{
		FL_LOCKED(&e->lock);
		e->foreign++;
	}
	fl__task_block_part(block);
}

/* Queries. */

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

int fl_executor_get_stats(fl_executor *e, fl_executor_stats *stats)
{
	fl__executor_check(e, "fl_executor_get_stats");
	if (fl__executor_is_forked(e))
		return -EOWNERDEAD;
	if (!e->ops->count)
		return -ENOTSUP;
	FL_LOCKED(&e->lock);
	/* relaxed: as above */
	*stats = (fl_executor_stats){
	    .workers = e->workers,
	    .ran = e->ran,
	    .unbegun = fl__load_relaxed(&e->unbegun),
	};
	e->ops->count(e, stats);
	return 0;
}

bool fl_executor_is_broken(const fl_executor *e)
{
	fl__executor_check(e, "fl_executor_is_broken");
	if (fl__executor_is_forked(e))
		return e->broken; /* the parent's lock may never be free */
	/* the lock: once this has returned true, no submit is accepted */
	FL_LOCKED((fl_mutex *)&e->lock);
	return e->broken;
}

unsigned fl_executor_workers(const fl_executor *e)
{
	fl__executor_check(e, "fl_executor_workers");
	return fl__load_relaxed(&e->workers); /* relaxed: a single number */
}
