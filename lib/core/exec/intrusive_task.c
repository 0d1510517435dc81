/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tasks in the caller's memory: a word, and a task block that the executor's pool counts as its own
 * (fl__task_block_adopt()).
 *
 *   word       meaning                                set by
 *   0          the caller's: not submitted, or        a join; a refused submit; the caller
 *              joined
 *   BUSY       the task was submitted                 fl_intrusive_task_submit(): CAS
 *   JOINING    the caller's reference to the future   a join, just before it frees the reference
 *              is freed
 *   RELEASED   nothing refers to the future           the context that frees the last reference:
 *                                                     CAS, or a store in the parking lot
 *   WAITERS    a waiter may wait for RELEASED         fl__word_arm(), in the parking lot, while not
 *                                                     RELEASED
 *
 * Invariants
 *   1. From the submit on the future has two references, the producer's and the caller's. Until
 *      JOINING, with which the caller's goes, only the caller's context writes the word.
 *   2. The step to RELEASED is the last use of the memory by any context but the caller's: the
 *      pool has uncounted the block before. While WAITERS is set the step is a transaction of the
 *      parking lot (lot.c, invariant 5).
 *   3. Linearization: submit, that of the executor; join, the load that finds RELEASED, or that
 *      finds the caller's reference the last one (fl__future_is_last_reference()).
 *
 * The type's drop hooks must not run: the future has a copy of a type without them.
 */
#include "../base/atomic.h"
#include "../base/sys.h"
#include "../wait/lot.h"
#include "executor.h"
#include <errno.h>
#include <fairlead/intrusive_task.h>
#include <string.h>

enum { INTRUSIVE_BUSY = 1, INTRUSIVE_JOINING = 2, INTRUSIVE_RELEASED = 4, INTRUSIVE_WAITERS = 8 };

static const struct fl__word intrusive_released = {INTRUSIVE_RELEASED, INTRUSIVE_RELEASED, INTRUSIVE_WAITERS,
                                                   .kind = FL__DEBUG_INTRUSIVE_TASK,
                                                   .offset = offsetof(fl_intrusive_task, word_)};

struct intrusive_room {
	union {
		struct fl__task_block block;
		/* the fields before `suspicions`, then the callback: fl__task_block_callback() */
		unsigned char used[offsetof(struct fl__task_block, suspicions) + _Alignof(struct fl__callback) +
		                   sizeof(struct fl__callback)];
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
	return &intrusive_of(task)->u.block.future;
}

void fl__intrusive_release(struct fl__task_block *block)
{
	uint32_t *word = &((fl_intrusive_task *)(void *)((char *)block - offsetof(fl_intrusive_task, room_)))->word_;
	fl__task_block_free(block);
	uint32_t seen = fl__load_relaxed(word); /* the CAS decides */
	while (!(seen & INTRUSIVE_WAITERS))
		/*
		 * all use of the memory, by all contexts that had a reference; pairs with a join's
		 * waits and loads
		 */
		if (fl__cas_weak_release(word, &seen, seen | INTRUSIVE_RELEASED))
			return;
	struct fl__lot lot;
	fl__lot_open(&lot, word);
	fl__lot_take(&lot, FL__ALL, 0);
	/*
	 * as above. A store suffices: before RELEASED a join sets only WAITERS, in a transaction of
	 * this queue.
	 */
	fl__store_release(word, INTRUSIVE_BUSY | INTRUSIVE_JOINING | INTRUSIVE_RELEASED);
	fl__lot_close(&lot);
}

static const fl_task_type *intrusive_type_without_hooks(struct intrusive_room *m, const fl_task_type *type)
{
	if (!type->drop_arg && !type->drop_result)
		return type;
	m->type = *type;
	m->type.drop_arg = NULL;
	m->type.drop_result = NULL;
	return &m->type;
}

static struct fl__task_block *intrusive_make_block(fl_executor *e, fl_intrusive_task *task, const fl_task_type *type,
                                                   const void *arg, void *result, const fl_submit_config *config)
{
	struct intrusive_room *m = intrusive_of(task);
	struct fl__task_block *block = &m->u.block;
	fl_future *f = &block->future;
	fl__task_block_adopt(e->blocks, block);
	f->count = 1;
	f->arg = type->arg_size > 0 ? (void *)arg : NULL;
	f->result = type->result_size > 0 ? memset(result, 0, type->result_size) : NULL;
	fl__task_block_begin(block, intrusive_type_without_hooks(m, type), 2, config, 0);
	return block;
}

static int fl__intrusive_submit(fl_executor *e, fl_intrusive_task *task, const fl_task_type *type, const void *arg,
                                void *result, const fl_submit_config *config)
{
	enum fl__admission permit = FL__PERMIT_NONE;
	int rc = e->permits.bound > 0 ? fl__permit_acquire(e, config->backlog_deadline, config->cancel, &permit) : 0;
	if (rc != 0)
		return rc;
	struct fl__task_block *block = intrusive_make_block(e, task, type, arg, result, config);
	rc = fl__task_block_submit(e, block, permit);
	if (rc == 0)
		return 0;
	fl__permit_release(e, permit);
	return rc == -ENOMEM ? -EAGAIN : rc; /* no memory to start a worker */
}

static int intrusive_refuses(const fl_executor *e, const fl_task_type *type, const void *arg, const void *result)
{
	const int rc = fl__submit_check(e);
	if (rc != 0)
		return rc;
	if ((type->arg_size > 0 && !arg) || (type->result_size > 0 && !result))
		return -EINVAL;
	return e->ops->capabilities & FL_CAP_BY_REFERENCE ? 0 : -ENOTSUP;
}

int fl_intrusive_task_submit(fl_executor *e, fl_intrusive_task *task, const fl_task_type *type, const void *arg,
                             void *result, const fl_submit_config *config)
{
	static const fl_submit_config defaults;
	fl__executor_check(e, "fl_intrusive_task_submit");
	int rc = intrusive_refuses(e, type, arg, result);
	if (rc != 0)
		return rc;
	uint32_t seen = 0;
	/* a join or the initialization is ordered before this call */
	if (!fl__cas_relaxed(&task->word_, &seen, INTRUSIVE_BUSY))
		return -EBUSY;
	task->fork_count_ = fl__load_relaxed(&fl__fork_count); /* as in fl__is_forked() */
	rc = fl__intrusive_submit(e, task, type, arg, result, config ? config : &defaults);
	if (rc != 0)
		fl__store_relaxed(&task->word_, 0); /* no other context has seen it */
	return rc;
}

fl_future *fl_intrusive_task_future(fl_intrusive_task *task)
{
	/* as in fl_intrusive_task_submit() */
	return fl__load_relaxed(&task->word_) == 0 ? NULL : intrusive_future_of(task);
}

static void intrusive_free_reference(fl_intrusive_task *task)
{
	/* fl_future_free() orders this store before the release of the future */
	fl__store_relaxed(&task->word_, INTRUSIVE_BUSY | INTRUSIVE_JOINING);
	fl_future_free(intrusive_future_of(task));
}

int fl_intrusive_task_join_until(fl_intrusive_task *task, int64_t deadline, fl_cancel_token *cancel)
{
	/* only this context's writes matter */
	const uint32_t seen = fl__load_relaxed(&task->word_);
	if (seen == 0)
		return 0;
	if (fl__is_forked(task->fork_count_))
		return -EOWNERDEAD;
	if (fl__run_is_inside_task(intrusive_future_of(task)) || fl__future_is_calling(intrusive_future_of(task)))
		return -EDEADLK;
	int rc = 0;
	if (!(seen & INTRUSIVE_JOINING)) {
		rc = fl_future_wait_until(intrusive_future_of(task), deadline, cancel);
		if (rc != 0)
			return rc;
		intrusive_free_reference(task);
	}
	rc = fl__word_wait(&task->word_, &intrusive_released, deadline, cancel);
	if (rc == 0)
		fl__store_relaxed(&task->word_, 0); /* only this context uses the task */
	return rc;
}

int fl_intrusive_task_try_join(fl_intrusive_task *task)
{
	/* pairs with fl__intrusive_release() */
	const uint32_t seen = fl__load_acquire(&task->word_);
	if (seen == 0)
		return 0;
	if (fl__is_forked(task->fork_count_))
		return -EOWNERDEAD;
	if (!(seen & INTRUSIVE_JOINING)) {
		if (!fl__future_is_last_reference(intrusive_future_of(task)))
			return -EBUSY;
		intrusive_free_reference(task); /* releases it */
	} else if (!(seen & INTRUSIVE_RELEASED)) {
		return -EBUSY;
	}
	fl__store_relaxed(&task->word_, 0); /* as above */
	return 0;
}
