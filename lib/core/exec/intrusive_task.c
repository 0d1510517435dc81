/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tasks in the caller's memory: a word, an event, and a task block that the executor's pool counts
 * as its own (fl__task_block_adopt()). Only the caller's context uses the word:
 *
 *   word      meaning                               set by
 *   0         not submitted, or joined              a join; a refused submit; the caller
 *   BUSY      the task was submitted                fl_intrusive_task_submit()
 *   JOINING   the caller's reference is freed       a join, just before it frees the reference
 *
 * Invariants
 *   1. From the submit on the future has two references, the producer's and the caller's.
 *   2. The set of `released_`, when the last reference is freed, is the last use of the memory by
 *      any context but the caller's: the pool has uncounted the block before.
 *   3. Linearization: submit, that of the executor; join, the load that finds the event set, or
 *      that finds the caller's reference the last one (fl__future_is_last_reference()).
 *
 * The type's drop hooks must not run: the future has a copy of a type without them.
 */
#include "../base/atomic.h"
#include "../base/list.h"
#include "../base/sys.h"
#include "../future/bytes.h"
#include "executor.h"
#include <errno.h>
#include <fairlead/intrusive_task.h>
#include <string.h>

enum { INTRUSIVE_BUSY = 1, INTRUSIVE_JOINING = 2 };

struct intrusive_room {
	union {
		fl_future future;
		/* as much of a block as is used, then the callback: fl__task_block_callback() */
		unsigned char used[FL__TASK_BLOCK_HEAD + sizeof(struct fl__callback)];
	} u;
	fl_task_type type;
};

_Static_assert(sizeof(struct intrusive_room) <= sizeof(((fl_intrusive_task *)NULL)->room_), "the struct fits");
_Static_assert(offsetof(fl_intrusive_task, room_) % _Alignof(struct intrusive_room) == 0, "and is aligned there");

static struct intrusive_room *intrusive_of(fl_intrusive_task *task)
{
	return (struct intrusive_room *)(void *)&task->room_;
}

static fl_future *intrusive_future_of(fl_intrusive_task *task)
{
	return &intrusive_of(task)->u.future;
}

void fl__intrusive_release(struct fl__task_block *block)
{
	fl_intrusive_task *task = FL__CONTAINER_OF(block, fl_intrusive_task, room_);
	fl__task_block_free(block);
	fl_event_set(&task->released_);
}

static const fl_task_type *intrusive_type_without_hooks(struct intrusive_room *m, const fl_task_type *type)
{
	if (!type->drop_arg && !type->drop_result)
		return type;
	m->type = *type;
	fl__bytes_lend(&m->type);
	return &m->type;
}

static struct fl__task_block *intrusive_make_block(fl_executor *e, fl_intrusive_task *task, const fl_task_type *type,
                                                   const void *arg, void *result, const fl_submit_config *config)
{
	struct intrusive_room *m = intrusive_of(task);
	struct fl__task_block *block = (void *)&m->u;
	fl_future *f = &block->future;
	fl__task_block_adopt(e->blocks, block);
	f->count = 1;
	f->arg = type->arg_size > 0 ? (void *)arg : NULL;
	f->result = type->result_size > 0 ? memset(result, 0, type->result_size) : NULL;
	fl__task_block_begin(block, intrusive_type_without_hooks(m, type), 2, config, 0);
	fl__stats_begin_submit(e, &block->future);
	return block;
}

static int intrusive_refuses(const fl_executor *e, const fl_task_type *type, const void *arg, const void *result)
{
	if (fl__executor_is_forked(e))
		return -EOWNERDEAD;
	if ((type->arg_size > 0 && !arg) || (type->result_size > 0 && !result))
		return -EINVAL;
	return e->ops->capabilities & FL_CAP_BY_REFERENCE ? 0 : -ENOTSUP;
}

int fl_intrusive_task_submit(fl_executor *e, fl_intrusive_task *task, const fl_task_type *type, const void *arg,
                             void *result, const fl_submit_config *config)
{
	enum fl__admission permit;
	fl__executor_check(e, "fl_intrusive_task_submit");
	config = FL__OR_DEFAULTS(config);
	int rc = intrusive_refuses(e, type, arg, result);
	if (rc != 0)
		return rc;
	uint32_t seen = 0;
	/* a join or the initialization is ordered before this call */
	if (!fl__cas_relaxed(&task->word_, &seen, INTRUSIVE_BUSY))
		return -EBUSY;
	task->fork_count_ = fl__fork_count;
	fl_event_init(&task->released_);
	rc = fl__permit_acquire(e, config->backlog_deadline, config->cancel, &permit);
	if (rc == 0) {
		rc = fl__task_block_submit(e, intrusive_make_block(e, task, type, arg, result, config), permit);
		if (rc != 0)
			fl__permit_release(e, permit);
	}
	if (rc != 0)
		fl__store_relaxed(&task->word_, 0); /* no other context has seen it */
	return rc == -ENOMEM ? -EAGAIN : rc;        /* no memory to start a worker */
}

fl_future *fl_intrusive_task_future(fl_intrusive_task *task)
{
	/* as in fl_intrusive_task_submit() */
	return fl__load_relaxed(&task->word_) == 0 ? NULL : intrusive_future_of(task);
}

static void intrusive_free_reference(fl_intrusive_task *task)
{
	fl__store_relaxed(&task->word_, INTRUSIVE_JOINING); /* as in fl_intrusive_task_submit() */
	fl_future_free(intrusive_future_of(task));
}

int fl_intrusive_task_join_until(fl_intrusive_task *task, int64_t deadline, fl_cancel_token *cancel)
{
	/* as in fl_intrusive_task_submit() */
	const uint32_t seen = fl__load_relaxed(&task->word_);
	if (seen == 0)
		return 0;
	if (fl__is_forked(task->fork_count_))
		return -EOWNERDEAD;
	if (fl__run_is_inside_task(intrusive_future_of(task)) || fl__future_is_calling(intrusive_future_of(task)))
		return -EDEADLK;
	int rc = 0;
	if (seen == INTRUSIVE_BUSY) {
		rc = fl_future_wait_until(intrusive_future_of(task), deadline, cancel);
		if (rc != 0)
			return rc;
		intrusive_free_reference(task);
	}
	FL__AWAITS(FL__DEBUG_INTRUSIVE_TASK, task);
	rc = fl_event_wait_until(&task->released_, deadline, cancel);
	if (rc == 0)
		fl__store_relaxed(&task->word_, 0); /* as above */
	return rc;
}

int fl_intrusive_task_try_join(fl_intrusive_task *task)
{
	/* as in fl_intrusive_task_submit() */
	const uint32_t seen = fl__load_relaxed(&task->word_);
	if (seen == 0)
		return 0;
	if (fl__is_forked(task->fork_count_))
		return -EOWNERDEAD;
	if (seen == INTRUSIVE_BUSY) {
		if (!fl__future_is_last_reference(intrusive_future_of(task)))
			return -EBUSY;
		intrusive_free_reference(task); /* releases it */
	} else if (!fl_event_is_set(&task->released_)) {
		return -EBUSY;
	}
	fl__store_relaxed(&task->word_, 0); /* as above */
	return 0;
}
