/* SPDX-License-Identifier: BSD-2-Clause */
#include "executor.h"
#include "../base/atomic.h"
#include "../base/panic.h"
#include "../base/sys.h"
#include "registry.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* What all kinds share. */

int fl__executor_init(fl_executor *e, const struct fl__executor_ops *ops, unsigned workers)
{
	int rc = fl__registry_check();
	if (rc != 0)
		return rc;
	e->cells = fl__cells_new();
	if (!e->cells)
		return -ENOMEM;
	e->ops = ops;
	e->workers = workers;
	/* relaxed: changes in a child alone, before it has threads */
	e->fork_count = fl__load_relaxed(&fl__fork_count);
	return 0;
}

static bool is_forked(uint32_t fork_count)
{
	return fork_count != fl__load_relaxed(&fl__fork_count); /* relaxed: as above */
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
	cell->queued = true;
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
	cell->queued = false;
	queue->length--;
}

/* The home of a task's future: see struct fl__future_home. */

static void on_claimed(fl_future *f)
{
	struct fl__cell *cell = fl__cell_of(f);
	if (is_forked(cell->fork_count))
		return; /* nobody will join that executor, and it may be gone */
	fl_executor *e = cell->executor;
	FL_LOCKED(&e->lock);
	if (!cell->queued)
		return; /* whoever took it out has counted it */
	fl__queue_remove(&e->queue, cell);
	e->foreign++;
}

static void foreign_ended(fl_executor *e, size_t n)
{
	FL_LOCKED(&e->lock);
	e->foreign -= n;
	if (e->foreign == 0)
		fl_cond_broadcast(&e->gone);
}

static void on_ended(fl_future *f)
{
	struct fl__cell *cell = fl__cell_of(f);
	if (!is_forked(cell->fork_count))
		foreign_ended(cell->executor, 1);
}

static void on_release(fl_future *f)
{
	fl__cell_free(fl__cell_of(f));
}

const struct fl__future_home fl__cell_home = {on_claimed, on_ended, on_release};

/* Under the lock: empties the queue. Returns the cells that this context has claimed, and how many. */
static struct fl__cell *take_queued(fl_executor *e, bool to_cancel, size_t *count)
{
	struct fl__queue taken = {NULL, NULL, 0};
	struct fl__cell *cell;
	while ((cell = e->queue.head) != NULL) {
		fl__queue_remove(&e->queue, cell);
		e->foreign++; /* ours, or on behalf of who has claimed it */
		bool ours = to_cancel ? fl__future_claim_cancel(&cell->future)
		                      : fl__future_claim(&cell->future) != FL__CLAIM_LOST;
		if (ours)
			fl__queue_add(&taken, cell);
	}
	*count = taken.length;
	return taken.head;
}

static void end_one(struct fl__cell *cell, int error, const char *text)
{
	char *message = NULL;
	if (text) {
		message = fl__message_new();
		if (!fl__message_lost(message))
			(void)snprintf(message, FL_MESSAGE_MAX, "%s", text);
	}
	fl__future_finish(&cell->future, error, message);
	fl_future_free(&cell->future); /* the producer's reference */
}

static void end_taken(fl_executor *e, struct fl__cell *list, size_t n, int error, const char *text)
{
	while (list) {
		struct fl__cell *next = list->next;
		end_one(list, error, text);
		list = next;
	}
	if (n > 0)
		foreign_ended(e, n);
}

void fl__executor_break(fl_executor *e, const char *text)
{
	struct fl__cell *list;
	size_t n;
	{
		FL_LOCKED(&e->lock);
		e->broken = true;
		e->ops->wake_all(e);
		list = take_queued(e, false, &n);
	}
	end_taken(e, list, n, -ENOTRECOVERABLE, text);
}

/* Submitting. */

static bool is_too_big(const fl_task_type *type)
{
	return type->arg_size > FL_TASK_SIZE_MAX || type->result_size > FL_TASK_SIZE_MAX - type->arg_size ||
	       type->arg_align > FL_TASK_ALIGN_MAX || type->result_align > FL_TASK_ALIGN_MAX;
}

static struct fl__cell *make_cell(fl_executor *e, const fl_task_type *type, const void *arg, uint32_t refs,
                                  const fl_submit_config *config)
{
	struct fl__cell *cell = fl__cell_new(e->cells, type);
	if (!cell)
		return NULL;
	cell->executor = e;
	cell->fork_count = e->fork_count;
	int64_t deadline = config && config->deadline != 0 ? config->deadline : FL_FOREVER;
	fl__future_init(&cell->future, &fl__cell_home, type, refs, config ? config->cancel : NULL, deadline);
	if (type->arg_size > 0)
		memcpy(cell->future.arg, arg, type->arg_size);
	return cell;
}

int fl_submit_with(fl_executor *e, const fl_task_type *type, const void *arg, fl_future **f,
                   const fl_submit_config *config)
{
	if (is_forked(e->fork_count))
		return -EOWNERDEAD;
	if (is_too_big(type))
		return -E2BIG;
	struct fl__cell *cell = make_cell(e, type, arg, f ? 2 : 1, config);
	if (!cell)
		return -ENOMEM;
	int rc = e->ops->submit(e, cell); /* when it is 0 and f is NULL, the cell may be gone */
	if (rc != 0)
		fl__future_discard(&cell->future);
	else if (f)
		*f = &cell->future;
	return rc;
}

int fl_submit(fl_executor *e, const fl_task_type *type, const void *arg, fl_future **f)
{
	return fl_submit_with(e, type, arg, f, NULL);
}

/* The end of an executor. */

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
	if (is_forked(e->fork_count))
		return;
	FL_LOCKED(&e->lock);
	close_locked(e);
}

size_t fl_executor_cancel(fl_executor *e)
{
	if (is_forked(e->fork_count))
		return 0;
	struct fl__cell *list;
	size_t n;
	{
		FL_LOCKED(&e->lock);
		close_locked(e);
		/* The frames' futures stay while we hold the lock: the producer's reference goes after fl__run_end(). */
		for (struct fl__run *run = e->running; run; run = run->next)
			fl__future_ask(run->future);
		list = take_queued(e, true, &n);
	}
	end_taken(e, list, n, 0, NULL);
	return n;
}

static int join_unchecked(fl_executor *e, int64_t deadline, fl_cancel *cancel)
{
	FL_LOCKED(&e->lock);
	close_locked(e);
	return e->ops->join(e, deadline, cancel);
}

int fl_executor_join_until(fl_executor *e, int64_t deadline, fl_cancel *cancel)
{
	if (is_forked(e->fork_count))
		return -EOWNERDEAD;
	if (fl__run_serves(e))
		return -EDEADLK;
	return join_unchecked(e, deadline, cancel);
}

int fl_executor_join(fl_executor *e)
{
	return fl_executor_join_until(e, FL_FOREVER, NULL);
}

int fl_executor_try_join(fl_executor *e)
{
	int rc = fl_executor_join_until(e, 0, FL_SHIELDED);
	return rc == -ETIMEDOUT ? -EBUSY : rc;
}

void fl_executor_free(fl_executor *e)
{
	if (!e)
		return;
	if (fl__run_serves(e))
		fl__panic("fl_executor_free", e, "called from one of its own tasks");
	if (!is_forked(e->fork_count))
		(void)join_unchecked(e, FL_FOREVER, FL_SHIELDED); /* 0: nothing ends it early */
	e->ops->destroy(e);
}

/* Looking: none of this changes. */

uint32_t fl_executor_capabilities(const fl_executor *e)
{
	return e->ops->capabilities;
}

const char *fl_executor_kind(const fl_executor *e)
{
	return e->ops->kind;
}

unsigned fl_executor_workers(const fl_executor *e)
{
	return e->workers;
}
