/* SPDX-License-Identifier: BSD-2-Clause */
/* What all kinds of executors share: creation, initializer, lists of tasks, numbers of workers. */
#include "executor.h"
#include "../base/atomic.h"
#include "../base/error.h"
#include "../base/list.h"
#include "../base/sys.h"
#include "../future/bytes.h"
#include "../sync/thread.h"
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

static bool executor_config_is_usable(const fl_executor_config *config, const struct fl__executor_ops *ops)
{
	const fl_task_type *type = config->initialize;
	return config->n_regions <= FL_REGIONS_MAX &&
	       (ops->block || (config->workers_max == 0 && config->stack_size == 0)) &&
	       (ops->withdraw || config->memory_max == 0) && /* only tasks in other processes are withdrawn */
	       (!type ||
	        (type->arg_align <= _Alignof(max_align_t) && type->result_size == 0 &&
	         !fl__bytes_declares(type->drop_arg) && (type->arg_size > 0) == (config->initialize_arg != NULL)));
}

/* Copies `n` objects of `size` bytes. If there are none, `*copy` stays NULL. */
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
                               const fl_executor_config *config)
{
	if (!executor_config_is_usable(config, ops))
		return -EINVAL;
	int rc = executor_copy(config->regions, config->n_regions, sizeof *config->regions, &e->regions);
	if (rc == 0 && config->initialize)
		rc = executor_copy(config->initialize_arg, 1, config->initialize->arg_size, &e->initialize_arg);
	const struct fl__task_block_owner of = {e, ops->withdraw != NULL};
	e->blocks = rc == 0 ? fl__task_blocks_new(&of) : NULL;
	if (!e->blocks) {
		fl__free(e->regions);
		fl__free(e->initialize_arg);
		return -ENOMEM;
	}
	e->ops = ops;
	e->workers = workers;
	e->initialize = config->initialize;
	e->n_regions = config->n_regions;
	e->elements_apart = config->memory_max > 0;
	e->bytes_max = config->bytes_max ? config->bytes_max : FL_TASK_SIZE_MAX;
	e->fork_count = fl__fork_count;
	e->stats.skip = fl__stats_are_linked() ? 0 : FL__STATS_OFF;
	e->stats.frame.next = fl__stats_are_linked() ? 0 : SIZE_MAX;
	fl__executor_set_short_way(e, !fl__stats_are_linked());
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

int fl__executor_initialize(fl_executor *e, fl_cancel_token *parent)
{
	if (!e->initialize || fl__cancel_is_requested(&e->stop))
		return 0;
	fl_cancel_token token;
	fl__cancel_init(&token, parent, FL_FOREVER);
	fl_task_ctx ctx = {.token = &token, .executor = e};
	int error = fl__task_call(e->initialize, e->initialize_arg, NULL, &ctx);
	fl_cancel_token_destroy(&token);
	if (error != 0 && fl__cancel_is_requested(&e->stop))
		error = 0;
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
	return e->queue.length == 0 && e->running_now == 0 && e->foreign == 0 &&
	       !(e->ops->is_busy && e->ops->is_busy(e));
}

void fl__executor_tell_if_idle(fl_executor *e)
{
	if (e->waiters == 0 || !fl__executor_is_idle(e))
		return;
	e->idle_moments++;
	fl_cond_broadcast(&e->gone);
}

void fl__task_list_add(struct fl__task_list *queue, struct fl__task_block *block)
{
	FL__QUEUE_ADD(queue->head, queue->tail, block);
	block->queued = 1;
	queue->length++;
}

void fl__task_list_add_first(struct fl__task_list *queue, struct fl__task_block *block)
{
	FL__QUEUE_ADD_FIRST(queue->head, queue->tail, block);
	block->queued = 1;
	queue->length++;
}

void fl__task_list_remove(struct fl__task_list *queue, struct fl__task_block *block)
{
	FL__QUEUE_REMOVE(queue->head, queue->tail, block);
	block->queued = 0;
	queue->length--;
}

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
	fl__executor_must_enter(e, "fl_executor_is_broken");
	/* under the lock, so that no submit is accepted once this has returned true */
	FL__HELD((fl_mutex *)&e->lock);
	return e->broken != 0;
}

unsigned fl_executor_workers(const fl_executor *e)
{
	fl__executor_check(e, "fl_executor_workers");
	return fl__load_relaxed(&e->workers); /* relaxed: a single number */
}

/* Numbers of workers. */

enum { NUMBERS_IN_WORD = 64 };

void fl__numbers_add(struct fl__numbers *numbers, unsigned number)
{
	if (number < FL_WORKERS_MAX)
		numbers->words[number / NUMBERS_IN_WORD] |= UINT64_C(1) << number % NUMBERS_IN_WORD;
}

void fl__numbers_remove(struct fl__numbers *numbers, unsigned number)
{
	if (number < FL_WORKERS_MAX)
		numbers->words[number / NUMBERS_IN_WORD] &= ~(UINT64_C(1) << number % NUMBERS_IN_WORD);
}

unsigned fl__numbers_add_lowest(struct fl__numbers *numbers)
{
	unsigned number = 0;
	while (number < FL_WORKERS_MAX && (numbers->words[number / NUMBERS_IN_WORD] >> number % NUMBERS_IN_WORD & 1))
		number++;
	fl__numbers_add(numbers, number);
	return number;
}
