/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Serial executors. A serial executor has a FIFO queue of tasks, and uses another executor, the
 * *target*, to run them. The *drain* is a task of the target that takes the first task of the queue
 * and runs it, again and again. There is at most one drain at a time. The lock of the serial
 * executor guards its state:
 *
 *   word        meaning                     set                       cleared
 *   queue       the pending tasks           a submit adds its task    the drain takes the first; a
 *                                                                     context that claims a task
 *                                                                     removes it
 *   scheduled   a drain is submitted, or    a submit that finds it    the drain that finds the
 *               runs, or is about to be     clear                     queue empty; a submit whose
 *               submitted                                             drain was refused; the end
 *                                                                     of a drain that did not run
 *   busy        the drain runs the          the drain                 the drain: when it takes no
 *               initializer or a task, or                             further task
 *               frees its reference to
 *               that task
 *   initialized the initializer has begun   the first drain           never
 *
 * Invariants
 *   1. While a task is in the queue, `scheduled` is set. A submit that finds it set need not wake
 *      anybody, because the drain looks at the queue and clears the bit in one critical section.
 *   2. While `scheduled` is set, there is one drain. After SERIAL_TURN tasks, a drain submits the
 *      next drain, and takes no task after that. Tasks are taken to run only by the drain, and by
 *      contexts in which the drain's task waits (run.c, serial_run_newest()). Therefore no two
 *      tasks run at once.
 *   3. A drain has a reference to the executor's task blocks from before its submit until its end.
 *      Therefore it may look at the queue after the executor was freed, and a join need not wait
 *      for it. The executor has a reference to the task blocks of the target, which may be freed
 *      first.
 *   4. The target is never called under the lock, because a submit may run the drain as a call.
 *
 * Linearization points. A submit takes effect when it adds its task. If the drain is refused, the
 * submit takes its task out again, unless a cancel has claimed the task, which then counts as
 * accepted. The tasks that others have added by then end with the error of the refusal. A task
 * starts when the drain claims it, in the critical section in which it takes the task out.
 *
 * A drain ends after SERIAL_TURN tasks so that the worker can run other tasks of the target. If the
 * next drain is refused, because the target is closed or there is no memory, the old drain goes on,
 * because the tasks were accepted. If the target is closed, the serial executor is closed as well,
 * so that tasks which submit further tasks come to an end.
 */
#include "../base/sys.h"
#include "executor.h"
#include "group.h"
#include <fairlead/cancel.h>
#include <fairlead/serial_executor.h>

enum { SERIAL_TURN = 16 };

struct serial {
	fl_executor base;
	fl_executor *target;
	bool scheduled, busy, initialized;
};

static struct serial *serial_of(fl_executor *e)
{
	return (struct serial *)(void *)e; /* `base` is the first member */
}

static int serial_drain(fl_task_ctx *ctx, const void *arg, void *result);
static const fl_task_type serial_drain_type = FL__TASK_OF_POINTER("fl__serial", serial_drain);

static void serial_on_cancel(void *serial)
{
	(void)fl_executor_cancel(&((struct serial *)serial)->base);
}

/* If the drain did not run, the target was cancelled or broke: pending tasks end like the drain. */
static void serial_on_drain_end(fl_future *drain, void *serial)
{
	struct serial *s = serial;
	const int error = fl_future_error(drain);
	if (error != 0) {
		FL__HELD(&s->base.lock);
		s->scheduled = false;
	}
	if (fl__future_is_cancelled(drain))
		serial_on_cancel(s);
	else if (error != 0)
		fl__executor_end_queued(&s->base, error, fl_future_message(drain));
	fl__task_blocks_unref(s->base.blocks); /* the last access */
}

/* Submits a drain. The caller has set `scheduled`, or is the drain whose turn is over. */
static int serial_schedule(struct serial *s)
{
	const fl_submit_config config = {.on_end = serial_on_drain_end, .on_end_arg = s};
	fl__task_blocks_ref(s->base.blocks);
	const int rc = fl__submit_kept(s->target, &serial_drain_type, &s, NULL, &config);
	if (rc != 0)
		fl__task_blocks_unref(s->base.blocks);
	return rc;
}

/*
 * Called under the lock. The claim is not lost, because another context that claims the task would
 * have removed it from the queue.
 */

static void serial_take_out(struct fl__run *run, struct fl__task_block *block)
{
	fl__task_list_remove(&run->executor->queue, block);
	fl__run_begin(run, &block->future, fl__future_claim(&block->future));
}

/* What the drain does next: runs the task it has taken, looks again, or submits the next drain. */
enum serial_next { SERIAL_RUN, SERIAL_LOOK, SERIAL_OVER, SERIAL_END };

/*
 * Empties the frame of the task that the drain has run, if there is one, and takes the first
 * pending task, unless the turn is over. A join may return once `busy` is clear, so the reference
 * to the ended task is freed before that.
 */
static enum serial_next serial_step(struct serial *s, struct fl__run *run, int error, bool is_over)
{
	fl_future *const ended = run->future;
	enum serial_next next;
	{
		FL__HELD(&s->base.lock);
		struct fl__task_block *block = s->base.queue.head;
		if (ended)
			fl__run_end(run, error);
		next = block && !is_over ? SERIAL_RUN : ended ? SERIAL_LOOK : block ? SERIAL_OVER : SERIAL_END;
		if (next == SERIAL_RUN)
			serial_take_out(run, block);
		s->busy = next == SERIAL_RUN || next == SERIAL_LOOK;
		s->scheduled = next != SERIAL_END;
		if (!s->scheduled)
			fl__executor_tell_if_idle(&s->base);
	}
	fl_future_free(ended); /* the producer's reference */
	return next;
}

/* If no task is pending, the executor may be gone, so the initializer does not begin. */
static bool serial_begin_initializer(struct serial *s)
{
	FL__HELD(&s->base.lock);
	if (s->initialized || s->base.queue.length == 0)
		return false;
	s->initialized = s->busy = true;
	return true;
}

/* Returns whether the next drain has been submitted. */
static bool serial_hand_over(struct serial *s)
{
	if (!(s->target->ops->capabilities & FL_CAP_CONCURRENT))
		return false; /* the next drain would run within this one */
	const int rc = serial_schedule(s);
	if (rc != 0 && rc != -ENOMEM && rc != -EAGAIN)
		fl_executor_close(&s->base);
	return rc == 0;
}

static int serial_drain(fl_task_ctx *ctx, const void *arg, void *result)
{
	struct serial *s = *(struct serial *const *)arg;
	fl_cancel_callback on_cancel;
	struct fl__run run;
	enum serial_next next;
	unsigned n = 0;
	int error = 0;
	(void)result;
	FL_CANCEL_SCOPE(NULL); /* callbacks and drop hooks have none */
	(void)fl_cancel_token_on_request(ctx->token, &on_cancel, serial_on_cancel, s);
	fl__run_enter(&run, &s->base);
	run.outer->active = false; /* the drain is not a task of the user: fl_executor_current() */
	if (serial_begin_initializer(s))
		(void)fl__executor_initialize(&s->base, &s->base.stop); /* an error breaks the executor */
	while ((next = serial_step(s, &run, error, n == SERIAL_TURN)) != SERIAL_END) {
		if (next == SERIAL_RUN) {
			error = fl__run_to_end(&run);
			n++;
		} else if (next == SERIAL_OVER) {
			if (serial_hand_over(s))
				break;
			n = 0;
		}
	}
	fl__run_leave(&run);
	(void)fl_cancel_callback_remove(&on_cancel); /* called or not */
	return 0;
}

/* Called when the drain was refused. Returns `rc`, or 0 if the task counts as accepted. */
FL__COLD static int serial_refused(struct serial *s, struct fl__task_block *block, int rc)
{
	bool ours;
	{
		FL__HELD(&s->base.lock);
		s->scheduled = false;
		ours = block->queued;
		if (ours)
			fl__task_list_remove(&s->base.queue, block);
	}
	fl__executor_end_queued(&s->base, rc, "the target of the serial executor has refused its tasks");
	return ours ? rc : 0;
}

static int serial_submit(fl_executor *e, struct fl__task_block *block)
{
	struct serial *s = serial_of(e);
	{
		FL__HELD(&e->lock);
		const int rc = fl__executor_refuses(e);
		if (rc != 0)
			return rc;
		fl__task_list_add(&e->queue, block);
		if (s->scheduled)
			return 0;
		s->scheduled = true;
		(void)fl_future_ref(&block->future); /* another context may end the task now */
	}
	int rc = serial_schedule(s);
	if (rc != 0)
		rc = serial_refused(s, block, rc);
	fl_future_free(&block->future);
	return rc;
}

static void serial_on_closed(fl_executor *e)
{
	(void)e; /* the drain goes on until the queue is empty */
}

static bool serial_is_busy(const fl_executor *e)
{
	return ((const struct serial *)(const void *)e)->busy;
}

/* Runs the oldest member of the group. */
static bool serial_run_newest(fl_executor *e, const fl_group *g, bool any)
{
	struct fl__run run;
	(void)any; /* this kind is never stuck */
	fl__run_enter(&run, e);
	{
		FL__HELD(&e->lock);
		struct fl__task_block *block = e->queue.head;
		while (block && fl__group_of(&block->future) != g)
			block = block->next;
		if (block)
			serial_take_out(&run, block);
	}
	fl_future *const taken = run.future;
	if (taken)
		fl__run_task(&run);
	fl__run_leave(&run);
	fl_future_free(taken); /* the producer's reference */
	return taken != NULL;
}

static bool serial_would_hang(fl_executor *e)
{
	fl_executor *target = serial_of(e)->target;
	return target->ops->would_hang && !fl__run_serves(target) && target->ops->would_hang(target);
}

static void serial_destroy(fl_executor *e)
{
	fl__task_blocks_unref(serial_of(e)->target->blocks);
	fl__executor_fini(e);
}

#define SERIAL_OPS(concurrent)                                                                                         \
	{                                                                                                              \
		.kind = "serial", .capabilities = FL_CAP_BY_REFERENCE | FL_CAP_NESTED | (concurrent),                  \
		.submit = serial_submit, .on_closed = serial_on_closed, .is_busy = serial_is_busy,                     \
		.destroy = serial_destroy, .run_newest = serial_run_newest, .would_hang = serial_would_hang            \
	}

static const struct fl__executor_ops serial_ops = SERIAL_OPS(FL_CAP_CONCURRENT);
static const struct fl__executor_ops serial_ops_of_calls = SERIAL_OPS(0);

int fl_serial_executor_create(fl_executor **made, fl_executor *target, const fl_executor_config *config)
{
	int rc = fl__executor_enter(target, "fl_serial_executor_create");
	if (rc != 0)
		return rc;
	if (!(target->ops->capabilities & FL_CAP_BY_REFERENCE))
		return -ENOTSUP;
	struct serial *s = fl__alloc(1, sizeof *s);
	if (!s)
		return -ENOMEM;
	rc = fl__executor_init(&s->base,
	                       target->ops->capabilities & FL_CAP_CONCURRENT ? &serial_ops : &serial_ops_of_calls, 1,
	                       FL__OR_DEFAULTS(config));
	if (rc != 0) {
		fl__free(s);
		return rc;
	}
	s->target = target;
	s->base.runner = target->runner ? target->runner : target;
	fl__task_blocks_ref(target->blocks);
	*made = &s->base;
	return 0;
}
