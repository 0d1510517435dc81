/* SPDX-License-Identifier: BSD-2-Clause */
#include "executor.h"
#include "../base/atomic.h"
#include "../base/panic.h"
#include "../base/sys.h"
#include "registry.h"
#include <errno.h>
#include <fairlead/cpu.h>
#include <stdio.h>
#include <string.h>

/* What all kinds share. */

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

/* A copy of `n` objects of that size; NULL for none. */
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
	int rc = is_usable(config) ? fl__registry_check() : -EINVAL;
	if (rc != 0)
		return rc;
	rc = copy_of(config->regions, config->n_regions, sizeof *config->regions, &e->regions);
	if (rc == 0 && config->initialize)
		rc = copy_of(config->initialize_arg, 1, config->initialize->arg_size, &e->initialize_arg);
	e->cells = rc == 0 ? fl__cells_new(lasting ? e : NULL) : NULL;
	if (!e->cells) {
		fl__free(e->regions);
		fl__free(e->initialize_arg);
		return -ENOMEM;
	}
	e->ops = ops;
	e->workers = workers;
	e->initialize = config->initialize;
	e->n_regions = config->n_regions;
	/* relaxed: changes in a child alone, before it has threads */
	e->fork_count = fl__load_relaxed(&fl__fork_count);
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
	fl_cancel token = FL_CANCEL_INIT;
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

static bool is_forked(uint32_t fork_count)
{
	return fork_count != fl__load_relaxed(&fl__fork_count); /* relaxed: as above */
}

bool fl__executor_is_forked(const fl_executor *e)
{
	return is_forked(e->fork_count);
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

void fl__queue_add_first(struct fl__queue *queue, struct fl__cell *cell)
{
	cell->prev = NULL;
	cell->next = queue->head;
	if (queue->head)
		queue->head->prev = cell;
	else
		queue->tail = cell;
	queue->head = cell;
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

/* The executor of a task that is never claimed but by it, or under its lock; NULL: this is none, or a parent's. */
static fl_executor *elsewhere(const struct fl__cell *cell)
{
	bool is = cell->elsewhere && !is_forked(cell->fork_count);
	return is ? cell->executor : NULL;
}

static bool claim_posted(fl_executor *e, struct fl__cell *cell)
{
	FL_LOCKED(&e->lock);
	if (!cell->queued && !e->ops->withdraw(e, cell))
		return false;
	fl__queue_remove(&e->queue, cell);
	e->foreign++;
	return fl__future_claim_cancel(&cell->future); /* true: nobody claims what is queued without the lock */
}

static bool on_claim_cancel(fl_future *f)
{
	struct fl__cell *cell = fl__cell_of(f);
	fl_executor *e = elsewhere(cell);
	if (e)
		return claim_posted(e, cell);
	if (!fl__future_claim_cancel(f))
		return false;
	if (is_forked(cell->fork_count))
		return true; /* nobody will join that executor, and it may be gone */
	e = cell->executor;
	FL_LOCKED(&e->lock);
	if (!cell->queued)
		return true; /* whoever took it out has counted it */
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

static void on_attend(fl_future *f, int64_t deadline, const fl_cancel *cancel)
{
	fl_executor *e = elsewhere(fl__cell_of(f));
	if (e)
		e->ops->attend(e, f, deadline, cancel);
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
	struct fl__cell *cell = fl__cell_of(f);
	if (cell->elsewhere)
		cell->executor->ops->release(cell); /* it lasts as long as its cells */
	fl__cell_free(cell);
}

const struct fl__future_home fl__cell_home = {
    .claim_cancel = on_claim_cancel,
    .ended = on_ended,
    .asked = on_asked,
    .has_started = on_has_started,
    .attend = on_attend,
    .release = on_release,
};

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
		cell->queued = false; /* not in the executor's: who cancels it meanwhile comes too late */
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
		if (e->ops->recall)
			e->ops->recall(e, false);
		list = take_queued(e, false, &n);
	}
	end_taken(e, list, n, -ENOTRECOVERABLE, text);
}

/* Submitting. */

static bool is_too_big(const fl_task_type *type, uint32_t count)
{
	const size_t most = FL_TASK_SIZE_MAX / count;
	return type->arg_size > most || type->result_size > most - type->arg_size ||
	       type->arg_align > FL_TASK_ALIGN_MAX || type->result_align > FL_TASK_ALIGN_MAX;
}

static struct fl__cell *make_cell(fl_executor *e, const fl_task_type *type, const void *arg, uint32_t count,
                                  uint32_t refs, const fl_submit_config *config)
{
	const size_t most = e->ops->result_most ? e->ops->result_most : SIZE_MAX;
	struct fl__cell *cell = fl__cell_new(e->cells, type, count, most);
	if (!cell)
		return NULL;
	cell->executor = e;
	cell->fork_count = e->fork_count;
	cell->elsewhere = e->ops->withdraw != NULL;
	int64_t deadline = config->deadline != 0 ? config->deadline : FL_FOREVER;
	fl__future_init(&cell->future, &fl__cell_home, type, refs, config->cancel, deadline);
	if (type->arg_size > 0)
		memcpy(cell->future.arg, arg, count * type->arg_size);
	if (config->on_end && fl__future_register(&cell->future, config->on_end, config->on_end_arg) != 0) {
		fl__future_discard(&cell->future);
		return NULL;
	}
	return cell;
}

static int may_submit(const fl_executor *e, const fl_task_type *type, uint32_t count)
{
	if (is_forked(e->fork_count))
		return -EOWNERDEAD;
	if ((uintptr_t)__builtin_frame_address(0) < e->stack_low)
		return -EOVERFLOW;
	return is_too_big(type, count) ? -E2BIG : 0;
}

int fl__submit(fl_executor *e, const fl_task_type *type, const void *arg, uint32_t count, fl_future **f,
               const fl_submit_config *config)
{
	static const fl_submit_config defaults;
	if (!config)
		config = &defaults;
	int rc = may_submit(e, type, count);
	if (rc != 0)
		return rc;
	struct fl__cell *cell = make_cell(e, type, arg, count, f ? 2 : 1, config);
	if (!cell)
		return -ENOMEM;
	rc = e->ops->submit(e, cell); /* when it is 0 and f is NULL, the cell may be gone */
	if (rc != 0)
		fl__future_discard(&cell->future);
	else if (f)
		*f = &cell->future;
	return rc;
}

int fl_submit_with(fl_executor *e, const fl_task_type *type, const void *arg, fl_future **f,
                   const fl_submit_config *config)
{
	return fl__submit(e, type, arg, 1, f, config);
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

static size_t cancel_all(fl_executor *e, bool terminate)
{
	if (is_forked(e->fork_count))
		return 0;
	struct fl__cell *list;
	size_t n;
	{
		FL_LOCKED(&e->lock);
		close_locked(e);
		if (e->ops->recall)
			e->ops->recall(e, true);
		if (terminate && e->ops->terminate)
			e->ops->terminate(e);
		/* The frames' futures stay while we hold the lock: the producer's reference goes after fl__run_end(). */
		for (struct fl__run *run = e->running; run; run = run->next)
			fl__future_ask(run->future);
		list = take_queued(e, true, &n);
	}
	end_taken(e, list, n, 0, NULL);
	return n;
}

size_t fl_executor_cancel(fl_executor *e)
{
	return cancel_all(e, false);
}

size_t fl_executor_terminate(fl_executor *e)
{
	return cancel_all(e, true);
}

int fl_executor_resize(fl_executor *e, unsigned workers)
{
	if (is_forked(e->fork_count))
		return -EOWNERDEAD;
	if (!e->ops->resize)
		return -ENOTSUP;
	if (workers == 0 || workers > FL_WORKERS_MAX)
		return -EINVAL;
	FL_LOCKED(&e->lock);
	return e->closed ? -EPIPE : e->ops->resize(e, workers);
}

static int join_unchecked(fl_executor *e, int64_t deadline, fl_cancel *cancel)
{
	FL_LOCKED(&e->lock);
	close_locked(e);
	return e->ops->join(e, deadline, cancel);
}

/* Whether a wait of the calling context for the end of `e` would be one for itself. */
static bool would_hang(fl_executor *e, int64_t deadline)
{
	if (fl__run_serves(e))
		return true;
	return e->ops->would_hang && !is_forked(e->fork_count) && !fl__is_past(deadline) && e->ops->would_hang(e);
}

int fl_executor_join_until(fl_executor *e, int64_t deadline, fl_cancel *cancel)
{
	if (is_forked(e->fork_count))
		return -EOWNERDEAD;
	if (would_hang(e, deadline))
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
	if (would_hang(e, FL_FOREVER))
		fl__panic("fl_executor_free", e, "called from one of its own tasks, or where nothing else could run");
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
	return fl__load_relaxed(&e->workers); /* relaxed: a number by itself */
}
