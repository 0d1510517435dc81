/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Submits. A submit puts a task into a task block, and gives the block to the executor. A bounded
 * backlog has permits (executor.h). If `copied`, a parameter of fl__submit(), is above 0, the block
 * contains a copy of the callback's argument, which is `copied` bytes long.
 *
 * A submit to a full backlog depends on `when_full`:
 *
 *   FL_FULL_REFUSE  returns -ENOBUFS, even in a task of the executor
 *   FL_FULL_RUN     runs its task as a call, whatever its deadline
 *   FL_FULL_WAIT    waits for a permit. In a task of the same executor this wait might never end,
 *                   because the waiting worker may be the one that would have to take a task.
 *                   Therefore a submit in such a task runs the new task as a call or, if the
 *                   deadline of the wait has passed, returns -ETIMEDOUT.
 *
 * At nesting depth NESTING_MAX a submit that would run its task as a call ignores the bound, so
 * that calls do not nest without end.
 *
 * fl_executor_submit() takes its fast path, the *short way*, while two words are equal. It has time
 * for only one comparison. Therefore everything that needs the slow path, the *long way*, changes
 * one of the two words:
 *
 *   word            value that opens the way         values that close it
 *   `short_way` of  `fork_count` of the executor:    FL__SHORT_WAY_CLOSED: set forever when the
 *   the executor    set when it is created in a      executor is created, if its tasks run in
 *                   program without statistics, and  other processes or its backlog is bounded; in
 *                   by the statistics                programs with statistics, also set at first,
 *                                                    and while the next submit must stamp its task
 *   fl__short_way   fl__fork_count: at the start;    FL__SHORT_WAY_OFF: set by the recorder while
 *                   set by the recorder when it is   it is on; in a forked child the new count,
 *                   switched off                     which no executor of the parent has
 */
#include "../future/bytes.h"
#include "executor.h"
#include <fairlead/private/inline.h>

static bool submit_is_too_big(const fl_task_type *type, uint32_t count)
{
	const size_t most = FL_TASK_SIZE_MAX / count;
	return type->arg_size > most || type->result_size > most - type->arg_size ||
	       type->arg_align > FL_TASK_ALIGN_MAX || type->result_align > FL_TASK_ALIGN_MAX;
}

int fl__permits_init(struct fl__permits *permits, const fl_executor_config *config)
{
	permits->bound = (uint32_t)config->backlog;
	permits->when_full = config->when_full;
	if (config->backlog > FL_BACKLOG_MAX || (unsigned)config->when_full > FL_FULL_RUN)
		return -EINVAL;
	return fl_sem_init(&permits->free, permits->bound);
}

void fl__permit_release(fl_executor *e, enum fl__permit permit)
{
	if (permit == FL__PERMIT_PENDING)
		fl_sem_release(&e->permits.free);
}

void fl__permits_close(fl_executor *e)
{
	if (e->permits.closed)
		return;
	e->permits.closed = true;
	fl_sem_release_n(&e->permits.free, FL_BACKLOG_MAX);
}

/*
 * A function with this mark has no frame of its own, since a report of waits names the first caller
 * outside of the library.
 */
#define SUBMIT_INLINE static inline __attribute__((always_inline))

/*
 * Acquires a permit, if the backlog is bounded, or decides to run the task here, and stores which in
 * `*permit`. Returns 0, -ENOBUFS, -ETIMEDOUT or -ECANCELED.
 */
SUBMIT_INLINE int submit_acquire_permit(fl_executor *e, fl_time deadline, fl_cancel_token *cancel,
                                        enum fl__permit *permit)
{
	enum { NESTING_MAX = 64 };
	struct fl__permits *permits = &e->permits;
	*permit = FL__PERMIT_NONE;
	if (!permits->bound)
		return 0;
	*permit = FL__PERMIT_PENDING;
	if (fl_sem_try_acquire(&permits->free) == 0)
		return 0;
	if (permits->when_full == FL_FULL_REFUSE) {
		fl__add_relaxed(&permits->refusals, 1); /* relaxed: for statistics, as `waits` */
		return -ENOBUFS;
	}
	if (permits->when_full == FL_FULL_WAIT && (!fl__run_serves(e) || fl__is_expired(deadline))) {
		FL__AWAITS(FL__DEBUG_BACKLOG, e);
		fl__add_relaxed(&permits->waits, 1);
		return fl_sem_acquire_until(&permits->free, deadline, cancel);
	}
	*permit = fl__run_depth(e) < NESTING_MAX ? FL__PERMIT_INLINE : FL__PERMIT_NONE;
	return 0;
}

const struct fl__patience fl__here;

int fl__submit_waiting(fl_executor *e, const fl_task_type *type, const void *arg, uint32_t count, fl_future **f,
                       const fl_submit_config *config, size_t copied, const struct fl__patience *patience)
{
	if (fl__executor_is_forked(e))
		return -EOWNERDEAD;
	if (submit_is_too_big(type, count))
		return -E2BIG;
	enum fl__permit permit = patience ? FL__PERMIT_INLINE : FL__PERMIT_NONE;
	int rc = 0;
	(void)fl__ctx_get(); /* a kind's submit may use fl__ctx_current */
	if (patience && patience != &fl__here)
		rc = submit_acquire_permit(e, patience->deadline, patience->cancel, &permit);
	if (rc != 0)
		return rc;
	const size_t most = e->ops->result_most ? e->ops->result_most : SIZE_MAX;
	const size_t extra = config->on_end ? sizeof(struct fl__callback) + copied : 0;
	fl_bytes held = {0}; /* the task's handle, if the argument has memory */
	if (type->drop_arg == FL_BYTES_DROP)
		rc = fl__bytes_hold(&held, arg);
	struct fl__task_block *block = rc == 0 ? fl__task_block_new(e->blocks, type, count, most, extra) : NULL;
	if (block) {
		if (type->arg_size > 0)
			fl__copy(block->future.arg, arg, count * type->arg_size);
		if (held.owner_)
			*(fl_bytes *)block->future.arg = held;
		fl__task_block_begin(block, e->ops->future_ops, type, f ? 2 : 1, config, copied);
		fl__hook_submit(&e->stats.skip, e, &block->future);
		rc = fl__task_block_submit(e, block, permit);
	} else if (rc == 0) {
		rc = -ENOMEM;
	}
	if (rc != 0) {
		fl_bytes_free(&held);
		fl__permit_release(e, permit);
	} else if (f) {
		*f = &block->future;
	}
	return rc;
}

int fl__submit(fl_executor *e, const fl_task_type *type, const void *arg, uint32_t count, fl_future **f,
               const fl_submit_config *config, size_t copied)
{
	config = FL__OR_DEFAULTS(config);
	const struct fl__patience patience = {config->backlog_deadline, config->cancel};
	return fl__submit_waiting(e, type, arg, count, f, config, copied, &patience);
}

int fl__submit_kept(fl_executor *e, const fl_task_type *type, const void *arg, fl_future **f,
                    const fl_submit_config *config)
{
	if (fl__executor_is_forked(e))
		return -EOWNERDEAD;
	int rc;
	{
		FL__HELD(&e->lock);
		rc = fl__executor_refuses(e);
		e->foreign += rc == 0;
	}
	if (rc != 0)
		return rc;
	rc = fl__submit_waiting(e, type, arg, 1, f, config, 0, NULL);
	fl__executor_foreign_ended(e, 1);
	return rc;
}

int fl_executor_submit_with(fl_executor *e, const fl_task_type *type, const void *arg, fl_future **f,
                            const fl_submit_config *config)
{
	fl__executor_check(e, "fl_executor_submit_with");
	return fl__submit(e, type, arg, 1, f, config, 0);
}

/* memcpy() for a small type. It is inline because the caller would save registers for a call. */
static inline void submit_copy_small(char *to, const char *from, size_t n)
{
	enum { INT = 4, WORD = 8 };
	if (n >= WORD) {
		memcpy(to, from, WORD);
		memcpy(to + n - WORD, from + n - WORD, WORD);
		if (n > 2 * WORD) {
			memcpy(to + WORD, from + WORD, WORD);
			memcpy(to + n - 2 * WORD, from + n - 2 * WORD, WORD);
		}
	} else if (n >= INT) {
		memcpy(to, from, INT);
		memcpy(to + n - INT, from + n - INT, INT);
	} else {
		while (n-- > 0)
			to[n] = from[n];
	}
}

/* The most common submit is inline here. The rest is left to fl_executor_submit_with(). */
int fl_executor_submit(fl_executor *e, const fl_task_type *type, const void *arg, fl_future **f)
{
	fl__executor_check(e, "fl_executor_submit");
	const struct fl__ctx *ctx = fl__ctx_current;
	const size_t arg_size = type->arg_size;
	struct fl__task_block *block = NULL;
	if (fl__likely(ctx && fl__hook_word(&e->short_way) == fl__hook_word(&fl__short_way)))
		block = fl__task_block_new_small(e->blocks, type, ctx);
	if (fl__unlikely(!block)) {
		if (fl__hook_word(&e->short_way) == fl__fork_count)
			(void)fl__stats_skip(&e->stats.skip, FL__STATS_REFILL - 1);
		return fl_executor_submit_with(e, type, arg, f, NULL);
	}
	submit_copy_small((char *)block + FL__TASK_BLOCK_HEAD, arg, arg_size);
	fl__future_init(&block->future, &fl__task_future_ops, type, f ? 2 : 1, NULL, FL_FOREVER);
	const int rc = fl__task_block_submit(e, block, FL__PERMIT_NONE);
	if (rc == 0 && f)
		*f = &block->future;
	return rc;
}
