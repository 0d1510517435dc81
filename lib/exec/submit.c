/* SPDX-License-Identifier: BSD-2-Clause */
/* Submits a task whose block the executor allocates. embedded_task.c: a block in the caller's memory. */
#include "executor.h"
#include <errno.h>
#include <fairlead/private/inline.h>

static bool is_too_big(const fl_task_type *type, uint32_t count)
{
	const size_t most = FL_TASK_SIZE_MAX / count;
	return type->arg_size > most || type->result_size > most - type->arg_size ||
	       type->arg_align > FL_TASK_ALIGN_MAX || type->result_align > FL_TASK_ALIGN_MAX;
}

static struct fl__task_block *make_cell(fl_executor *e, const fl_task_type *type, const void *arg, uint32_t count,
                                        uint32_t refs, const fl_submit_config *config, size_t copied)
{
	const size_t most = e->ops->result_most ? e->ops->result_most : SIZE_MAX;
	struct fl__task_block *block =
	    fl__task_block_new(e->blocks, type, count, most, config->on_end ? sizeof(struct fl__callback) + copied : 0);
	if (!block)
		return NULL;
	if (type->arg_size > 0)
		fl__copy(block->future.arg, arg, count * type->arg_size);
	fl__task_block_begin(block, type, refs, config, copied);
	return block;
}

int fl__may_submit(const fl_executor *e)
{
	if (fl__executor_is_forked(e))
		return -EOWNERDEAD;
	return (uintptr_t)__builtin_frame_address(0) < e->stack_low ? -EOVERFLOW : 0;
}

static int may_submit(const fl_executor *e, const fl_task_type *type, uint32_t count)
{
	const int rc = fl__may_submit(e);
	return rc == 0 && is_too_big(type, count) ? -E2BIG : rc;
}

static inline int submit(fl_executor *e, const fl_task_type *type, const void *arg, uint32_t count, fl_future **f,
                         const fl_submit_config *config, size_t copied, enum fl__admission place)
{
	struct fl__task_block *block = make_cell(e, type, arg, count, f ? 2 : 1, config, copied);
	if (!block)
		return -ENOMEM;
	const int rc = fl__task_block_submit(e, block, place);
	if (rc == 0 && f)
		*f = &block->future;
	return rc;
}

static __attribute__((noinline)) int fl__submit_bounded(fl_executor *e, const fl_task_type *type, const void *arg,
                                                        uint32_t count, fl_future **f, const fl_submit_config *config,
                                                        size_t copied, int64_t deadline, fl_cancel_token *cancel)
{
	enum fl__admission place;
	int rc = fl__place_take(e, deadline, cancel, &place);
	if (rc != 0)
		return rc;
	rc = submit(e, type, arg, count, f, config, copied, place);
	if (rc != 0)
		fl__place_give(e, place);
	return rc;
}

static const fl_submit_config defaults;

int fl__submit(fl_executor *e, const fl_task_type *type, const void *arg, uint32_t count, fl_future **f,
               const fl_submit_config *config, size_t copied)
{
	if (!config)
		config = &defaults;
	const int rc = may_submit(e, type, count);
	if (rc != 0)
		return rc;
	if (__builtin_expect(e->places.bound > 0, 0))
		return fl__submit_bounded(e, type, arg, count, f, config, copied, config->room_deadline,
		                          config->cancel);
	return submit(e, type, arg, count, f, config, copied, FL__NO_PLACE);
}

int fl__submit_waiting(fl_executor *e, const fl_task_type *type, const void *arg, uint32_t count, fl_future **f,
                       const fl_submit_config *config, int64_t deadline, fl_cancel_token *cancel)
{
	const int rc = may_submit(e, type, count);
	if (rc != 0)
		return rc;
	return e->places.bound > 0 ? fl__submit_bounded(e, type, arg, count, f, config, 0, deadline, cancel)
	                           : submit(e, type, arg, count, f, config, 0, FL__NO_PLACE);
}

int fl__submit_beyond(fl_executor *e, const fl_task_type *type, const void *arg, uint32_t count, fl_future **f,
                      const fl_submit_config *config)
{
	int rc = may_submit(e, type, count);
	if (rc != 0)
		return rc;
	const enum fl__admission place = fl__place_beyond(e);
	rc = submit(e, type, arg, count, f, config, 0, place);
	if (rc != 0)
		fl__place_give(e, place);
	return rc;
}

int fl_submit_with(fl_executor *e, const fl_task_type *type, const void *arg, fl_future **f,
                   const fl_submit_config *config)
{
	fl__executor_check(e, "fl_submit_with");
	return fl__submit(e, type, arg, 1, f, config, 0);
}

int fl_submit(fl_executor *e, const fl_task_type *type, const void *arg, fl_future **f)
{
	fl__executor_check(e, "fl_submit");
	return fl__submit(e, type, arg, 1, f, NULL, 0);
}
