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
	const struct fl__cells_of of = {e, fl__load_relaxed(&fl__fork_count), ops->withdraw != NULL};
	e->cells = rc == 0 ? fl__cells_new(&of, lasting ? e : NULL) : NULL;
	if (!e->cells) {
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
	fl__cells_free(e->cells);
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

void fl__queue_add(struct fl__queue *queue, struct fl__cell *cell)
{
	cell->next = NULL;
	cell->prev = queue->tail;
	if (queue->tail)
		queue->tail->next = cell;
	else
		queue->head = cell;
	queue->tail = cell;
	cell->queued = FL__IN_QUEUE;
	queue->length++;
}

void fl__queue_add_first(struct fl__queue *queue, struct fl__cell *cell)
{
	cell->prev = NULL;
	cell->next = queue->head;
	if (queue->head)
		queue->head->prev = cell;
	else
		queue->tail = cell;
	queue->head = cell;
	cell->queued = FL__IN_QUEUE;
	queue->length++;
}

void fl__queue_remove(struct fl__queue *queue, struct fl__cell *cell)
{
	if (cell->prev)
		cell->prev->next = cell->next;
	else
		queue->head = cell->next;
	if (cell->next)
		cell->next->prev = cell->prev;
	else
		queue->tail = cell->prev;
	cell->queued = 0;
	queue->length--;
}

/* The home of a task's future: see struct fl__future_home. */

/*
 * The executor, if its tasks are claimed only by it, or under its lock. NULL: another kind, or, in
 * a forked child, the parent's.
 */
static fl_executor *elsewhere(const struct fl__cell *cell)
{
	const struct fl__cells_of *of = fl__cells_of(cell);
	return of->elsewhere && !fl__is_forked(of->fork_count) ? of->executor : NULL;
}

static bool claim_posted(fl_executor *e, struct fl__cell *cell)
{
	FL_LOCKED(&e->lock);
	if (!cell->queued && !e->ops->withdraw(e, cell))
		return false;
	fl__queue_remove(&e->queue, cell);
	e->foreign++;
	/* true: queued tasks are claimed under the lock */
	return fl__future_claim_cancel(&cell->future);
}

void fl__cell_died(fl_executor *e, struct fl__cell *cell)
{
	e->ops->died(e, cell);
	if (cell->size != FL__CELL_USERS || !e->ops->dig(e, cell))
		return;
	/* relaxed: only this context reads it, in on_ended() */
	fl__store_relaxed(&cell->parting, FL__DUG);
	e->foreign++;
}

static bool on_claim_cancel(fl_future *f)
{
	struct fl__cell *cell = fl__cell_of(f);
	fl_executor *e = elsewhere(cell);
	if (e)
		return claim_posted(e, cell);
	if (!fl__future_claim_cancel(f))
		return false;
	if (fl__is_forked(fl__cells_of(cell)->fork_count))
		return true; /* that executor is never joined here, and may be gone */
	e = fl__cells_of(cell)->executor;
	fl__add_relaxed(&e->unbegun, 1); /* relaxed: only a statistic */
	if (e->ops->take && cell->size != FL__CELL_USERS) {
		e->ops->died(e, cell);
		return true; /* the task stays in the backlog */
	}
	FL_LOCKED(&e->lock);
	if (e->ops->take) {
		fl__cell_died(e, cell);
		return true;
	}
	if (!cell->queued)
		return true; /* the thread that took it out has counted it */
	fl__queue_remove(&e->queue, cell);
	e->foreign++;
	return true;
}

static void on_asked(fl_future *f)
{
	struct fl__cell *cell = fl__cell_of(f);
	fl_executor *e = elsewhere(cell);
	if (!e)
		return;
	FL_LOCKED(&e->lock);
	e->ops->asked(e, cell);
}

static bool on_has_started(const fl_future *f)
{
	const struct fl__cell *cell = fl__cell_of((fl_future *)f);
	fl_executor *e = elsewhere(cell);
	if (!e)
		return false;
	FL_LOCKED(&e->lock);
	return e->ops->has_started(e, cell);
}

static bool on_is_parents(const fl_future *f)
{
	return fl__is_forked(fl__cells_of(fl__cell_of((fl_future *)f))->fork_count);
}

static void on_attend(fl_future *f, int64_t deadline, const fl_cancel_token *cancel)
{
	fl_executor *e = elsewhere(fl__cell_of(f));
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
	struct fl__cell *cell = fl__cell_of(f);
	fl_executor *e = fl__cells_of(cell)->executor;
	if (fl__is_forked(fl__cells_of(cell)->fork_count)) {
		fl_future_free(f);
	} else if (!e->ops->take || (fl__load_relaxed(&cell->parting) & FL__DUG)) {
		/* relaxed, above: this context wrote `parting` */
		fl__executor_foreign_ended(e, 1);
		fl_future_free(f);
	} else {
		/*
		 * release: all use of the executor so far; pairs with fl__cell_part(). After TAKEN
		 * the lock is the next use.
		 */
		if (fl__or_release(&cell->parting, FL__LEFT) & FL__TAKEN)
			fl__executor_foreign_ended(e, 1);
	}
}

static void on_release(fl_future *f)
{
	struct fl__cell *cell = fl__cell_of(f);
	/* the executor lasts as long as its task blocks */
	if (fl__cells_of(cell)->elsewhere)
		fl__cells_of(cell)->executor->ops->release(cell);
	if (__builtin_expect(cell->size == FL__CELL_USERS, 0))
		fl__embedded_release(cell);
	else
		fl__cell_free(cell);
}

const struct fl__future_home fl__cell_home = {
    .claim_cancel = on_claim_cancel,
    .ended = on_ended,
    .asked = on_asked,
    .has_started = on_has_started,
    .is_parents = on_is_parents,
    .attend = on_attend,
    .release = on_release,
};

void fl__cell_part(struct fl__cell *cell)
{
	/* acquire: pairs with on_ended() */
	if (fl__or_acquire(&cell->parting, FL__TAKEN) & FL__LEFT)
		fl__executor_foreign_ended(fl__cells_of(cell)->executor, 1);
	fl_future_free(&cell->future); /* the producer's reference */
}

void fl__cell_abandon(struct fl__cell *cell)
{
	fl_executor *e = fl__cells_of(cell)->executor;
	/* acquire: pairs with on_ended(). LEFT came first, so the task is never counted. */
	if (fl__load_acquire(&cell->parting) & FL__LEFT) {
		fl_future_free(&cell->future);
		return;
	}
	{
		FL_LOCKED(&e->lock);
		e->foreign++;
	}
	fl__cell_part(cell);
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
