/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The loop executor runs tasks from one FIFO in fibers of one loop, one task in each fiber.
 *
 * The executor's lock guards all state. Only the loop's thread starts fibers. A fiber takes the
 * first task of the queue when it runs. So a task is pending until it runs, and tasks start in
 * order. `starting` counts the fibers that were started for a task and have not taken it yet.
 * `under_way` counts three kinds of fibers: the starting ones, fibers that run a task or the
 * initializer, and the manager while it has a duty. `blocked` counts the fibers under way that wait
 * for something that another task may have to do (fl__ctx_block()). A blocked fiber does not count
 * against the limit, so that the task for which it waits can start.
 *
 * Invariant 1. When the lock is free and the initializer has run, one of these statements holds:
 *   - each queued task has a fiber that is starting;
 *   - as many fibers are under way, and not blocked, as the executor allows;
 *   - there is no memory for another fiber, and some are under way, and not blocked;
 *   - the manager was woken.
 *
 * A fiber that ends or blocks starts others in its place. While every fiber under way is blocked,
 * the manager, also a fiber, serves the queue. From the first submit on, the manager
 *   - starts a fiber for the initializer, or runs it itself if there is no memory for a fiber;
 *   - starts fibers for tasks that other threads submit;
 *   - runs a task itself when there is no memory for a single fiber;
 *   - cancels all tasks when its token is cancelled, by the end of its loop or fl_loop_cancel().
 *
 * A task that the manager runs may wait for another task. Then the manager runs that task itself
 * (loop_executor_will_run()).
 *
 * Lifetime. An executor with a thread of its own is joined when that thread has ended. On the
 * caller's loop the manager may be the last user of the executor. So the manager holds a task block
 * (`held`), which keeps the executor's memory valid (fl__executor_init()).
 */
#include "core/base/sys.h"
#include "core/exec/executor.h"
#include "core/exec/group.h"
#include "core/sync/thread.h"
#include "loop.h"
#include <errno.h>
#include <fairlead/loop_executor.h>
#include <fairlead/thread.h>
#include <stdio.h>

enum loop_executor_phase { PHASE_FRESH, PHASE_INITIALIZING, PHASE_READY };

struct loop_executor {
	fl_executor base;
	fl_loop *loop; /* NULL when the manager has ended */
	bool own_loop;
	/*
	 * Whether the thread of the executor's own loop was started, and whether it has not ended
	 * yet. Without `own_loop` both are false.
	 */
	bool started, alive;
	fl_thread *thread;
	/* the manager's task block, on the caller's loop */
	struct fl__task_block *held;

	enum loop_executor_phase phase;
	size_t starting, under_way, blocked;
	fl_cond work; /* the manager waits on it */
	bool cancelled;
	char name[32];
};

static struct loop_executor *loop_executor_of(fl_executor *e)
{
	/* `base` is the first member */
	return (struct loop_executor *)(void *)e;
}

static bool loop_executor_is_over(const struct loop_executor *c)
{
	return (c->base.closed || c->base.broken) && c->base.queue.length == 0 && c->under_way == 0;
}

/* Starting fibers. The functions are called under the lock, on the loop's thread. */

static int loop_executor_run_next(void *executor);

static int loop_executor_start_fiber(struct loop_executor *c, fl_fiber_function *function, void *arg)
{
	fl_fiber *f;
	int rc = fl__fiber_start(c->loop, &f, function, arg, c->name, FL_SHIELDED);
	if (rc != 0)
		return rc;
	fl_fiber_detach(f);
	c->under_way++;
	return 0;
}

static void loop_executor_start_fibers(struct loop_executor *c)
{
	while (c->phase == PHASE_READY && c->starting < c->base.queue.length &&
	       c->under_way - c->blocked < c->base.workers) {
		if (loop_executor_start_fiber(c, loop_executor_run_next, c) != 0)
			return;
		c->starting++;
	}
}

/* Restores invariant 1. */
static void loop_executor_proceed(struct loop_executor *c)
{
	loop_executor_start_fibers(c);
	if (c->under_way == c->blocked && (c->base.queue.length > 0 || c->base.closed || c->base.broken))
		fl_cond_signal(&c->work);
}

/*
 * Called under the lock. The claim always succeeds: a context that claims a queued task elsewhere
 * takes the task out of the queue under the same lock.
 */
static void loop_executor_take(struct fl__run *run, struct fl__task_block *block)
{
	if (!block)
		return;
	fl__task_list_remove(&run->executor->queue, block);
	fl__run_begin(run, &block->future, fl__future_claim(&block->future));
}

static void loop_executor_take_first(struct fl__run *run)
{
	loop_executor_take(run, run->executor->queue.head);
}

static void loop_executor_run_taken(struct fl__run *run)
{
	fl_future *f = run->future;
	if (!f)
		return;
	fl__run_task(run);
	fl_future_free(f); /* the producer's reference */
}

static void loop_executor_leave(struct loop_executor *c)
{
	FL__HELD(&c->base.lock);
	c->under_way--;
	loop_executor_proceed(c);
	if (c->under_way == 0)
		fl__executor_tell_if_idle(&c->base);
} /* the unlock is the last access to the executor */

/*
 * Called by a fiber that is about to wait for a pending task. If no fiber can start, because memory
 * is missing or the caller is the initializer, the calling fiber runs the task itself, since there
 * may be no other fiber that could.
 */
static bool loop_executor_will_run(fl_executor *e)
{
	struct loop_executor *c = loop_executor_of(e);
	FL__HELD(&e->lock);
	if (c->starting > 0 || e->queue.length == 0)
		return true;
	if (c->phase != PHASE_READY || loop_executor_start_fiber(c, loop_executor_run_next, c) != 0)
		return false;
	c->starting++;
	return true;
}

static bool loop_executor_run_newest(fl_executor *e, const struct fl_group *g, bool any)
{
	(void)any; /* an executor of this kind is never stuck */
	struct fl__run run;
	if (loop_executor_will_run(e))
		return false;
	fl__run_enter(&run, e);
	{
		FL__HELD(&e->lock);
		struct fl__task_block *block = e->queue.tail;
		while (block && fl__group_of(&block->future) != g)
			block = block->prev;
		loop_executor_take(&run, block);
	}
	const bool taken = run.future != NULL;
	loop_executor_run_taken(&run);
	fl__run_leave(&run);
	return taken;
}

static bool loop_executor_block(struct fl__ctx *ctx, const void *future, bool begins)
{
	struct loop_executor *c = loop_executor_of(ctx->worker->executor);
	fl_future *f = (fl_future *)(uintptr_t)future;
	if (f && f->ops == &fl__task_future_ops) {
		const fl_executor *of = fl__task_block_owner(fl__task_block_of(f))->executor;
		if (of != &c->base && of->runner != &c->base)
			return false; /* another executor's task, which does not need these tasks */
	}
	FL__HELD(&c->base.lock);
	c->blocked += begins ? 1 : SIZE_MAX; /* wraps: -1 */
	loop_executor_proceed(c);
	return true;
}

static const struct fl__worker_ops loop_executor_worker_ops = {.block = loop_executor_block};

/*
 * Makes the fiber a context of this executor until it ends. Drop hooks and callbacks have no cancel
 * scope.
 */
static void loop_executor_enter(struct loop_executor *c, struct fl__run *run)
{
	struct fl__ctx *ctx = fl__ctx_get();
	(void)fl_cancel_scope_set(NULL);
	fl__run_enter(run, &c->base);
	ctx->worker = run;
	ctx->worker_ops = &loop_executor_worker_ops;
}

static void loop_executor_exit(struct fl__run *run)
{
	struct fl__ctx *ctx = fl__ctx_get();
	ctx->worker_ops = NULL;
	ctx->worker = NULL;
	fl__run_leave(run);
}

static int loop_executor_finish(struct loop_executor *c, struct fl__run *run)
{
	loop_executor_run_taken(run);
	loop_executor_exit(run);
	loop_executor_leave(c);
	return 0;
}

static int loop_executor_run_next(void *executor)
{
	struct loop_executor *c = executor;
	struct fl__run run;
	loop_executor_enter(c, &run);
	{
		FL__HELD(&c->base.lock);
		c->starting--;
		loop_executor_take_first(&run);
	}
	return loop_executor_finish(c, &run);
}

/* The initializer. */

static void loop_executor_initialize(struct loop_executor *c)
{
	(void)fl__executor_initialize(&c->base, &c->base.stop); /* an error breaks the executor */
	FL__HELD(&c->base.lock);
	c->phase = PHASE_READY;
}

static int loop_executor_run_initializer(void *executor)
{
	struct loop_executor *c = executor;
	struct fl__run run;
	loop_executor_enter(c, &run);
	loop_executor_initialize(c);
	loop_executor_exit(&run);
	loop_executor_leave(c);
	return 0;
}

/* The manager. */

enum loop_executor_duty { DUTY_END, DUTY_INITIALIZE, DUTY_RUN, DUTY_CANCEL };

/* Called with the lock. */
static enum loop_executor_duty loop_executor_next_duty(struct loop_executor *c, fl_cancel_token *token)
{
	for (;;) {
		if (!c->cancelled && fl_cancel_token_is_requested(token))
			return DUTY_CANCEL;
		loop_executor_start_fibers(c);
		if (c->base.queue.length > 0 && c->phase == PHASE_FRESH) {
			c->phase = PHASE_INITIALIZING;
			if (loop_executor_start_fiber(c, loop_executor_run_initializer, c) != 0)
				return DUTY_INITIALIZE;
		}
		if (c->base.queue.length > 0 && c->phase == PHASE_READY && c->under_way == c->blocked)
			return DUTY_RUN;
		if (loop_executor_is_over(c))
			return DUTY_END;
		FL__AWAITS(FL__DEBUG_TASK, &c->base);
		/* the check above finds out that the token was cancelled */
		(void)!fl__cond_wait(&c->work, &c->base.lock, FL_FOREVER, c->cancelled ? FL_SHIELDED : token, true);
	}
}

static enum loop_executor_duty loop_executor_begin_duty(struct loop_executor *c, struct fl__run *run,
                                                        fl_cancel_token *token)
{
	FL__HELD(&c->base.lock);
	enum loop_executor_duty duty = loop_executor_next_duty(c, token);
	if (duty == DUTY_END)
		return DUTY_END;
	c->under_way++;
	if (duty == DUTY_INITIALIZE)
		; /* the phase has changed */
	else if (duty == DUTY_RUN)
		loop_executor_take_first(run);
	else
		c->cancelled = true;
	return duty;
}

static int loop_executor_manage(void *executor)
{
	struct loop_executor *c = executor;
	/* the token of the manager's own fiber */
	fl_cancel_token *token = fl_cancel_scope_current();
	struct fl__run run;
	enum loop_executor_duty duty;
	loop_executor_enter(c, &run);
	while ((duty = loop_executor_begin_duty(c, &run, token)) != DUTY_END) {
		if (duty == DUTY_INITIALIZE)
			loop_executor_initialize(c);
		else if (duty == DUTY_CANCEL)
			(void)fl_executor_cancel(&c->base);
		else
			loop_executor_run_taken(&run);
		loop_executor_leave(c);
	}
	loop_executor_exit(&run);
	return 0;
}

static int loop_executor_manage_on_loop(void *executor)
{
	struct loop_executor *c = executor;
	struct fl__task_block *held = c->held;
	(void)loop_executor_manage(c);
	{
		FL__HELD(&c->base.lock);
		c->loop = NULL;
		c->held = NULL;
	}
	/* also frees the executor if fl_executor_free() was called before */
	fl__task_block_free(held);
	return 0;
}

/*
 * Fails the queued tasks, and waits for the next task. Returns false if the executor is closed and
 * has no task.
 */
static bool loop_executor_await_next(struct loop_executor *c)
{
	struct fl__run run;
	/* so that fl_executor_join() in a callback is refused */
	fl__run_enter(&run, &c->base);
	fl__executor_end_queued(&c->base, -ENOMEM, "no memory to run the loop of the executor");
	fl__run_leave(&run);
	FL__HELD(&c->base.lock);
	FL__AWAITS(FL__DEBUG_TASK, &c->base);
	while (c->base.queue.length == 0 && !c->base.closed)
		/* the result is always 0 */
		(void)!fl_cond_wait_until(&c->work, &c->base.lock, FL_FOREVER, FL_SHIELDED);
	return c->base.queue.length > 0;
}

static int loop_executor_thread(void *executor)
{
	struct loop_executor *c = executor;
	fl_loop *l = c->loop; /* `loop` was written before the thread was started */
	while (fl_loop_run_on(l, loop_executor_manage, c) != 0 && loop_executor_await_next(c))
		;
	{
		FL__HELD(&c->base.lock);
		c->loop = NULL;
	}
	fl_loop_free(l);
	FL__HELD(&c->base.lock);
	c->alive = false;
	fl_cond_broadcast(&c->base.gone);
	return 0;
}

/* The interface. */

/* Called under the lock. */
static int loop_executor_ensure_thread(struct loop_executor *c)
{
	if (!c->own_loop || c->started)
		return 0;
	const fl_thread_config config = {.name = c->name};
	int rc = fl__thread_start(&c->thread, loop_executor_thread, c, &config, &c->base.signals);
	if (rc != 0)
		return rc == -ENOMEM ? rc : -EAGAIN;
	c->started = c->alive = true;
	return 0;
}

static int loop_executor_submit(fl_executor *e, struct fl__task_block *block)
{
	struct loop_executor *c = loop_executor_of(e);
	FL__HELD(&e->lock);
	int rc = fl__executor_refuses(e);
	if (rc == 0)
		rc = loop_executor_ensure_thread(c);
	if (rc != 0)
		return rc;
	fl__task_list_add(&e->queue, block);
	if (c->phase == PHASE_READY && c->loop == fl_loop_current())
		loop_executor_proceed(c);
	else if (c->under_way - c->blocked < e->workers)
		fl_cond_signal(&c->work);
	return 0;
}

static void loop_executor_on_closed(fl_executor *e)
{
	fl_cond_signal(&loop_executor_of(e)->work);
}

static bool loop_executor_is_busy(const fl_executor *e)
{
	return ((const struct loop_executor *)(const void *)e)->under_way > 0;
}

/* Called under the lock. */
static bool loop_executor_has_ended(fl_executor *e)
{
	const struct loop_executor *c = loop_executor_of(e);
	return fl__executor_is_idle(e) && !c->alive;
}

/*
 * Returns true if a join would never end because the caller runs on the loop's thread. Returns
 * false before the first run of the loop, because any thread may still run it.
 */
static bool loop_executor_would_hang(fl_executor *e)
{
	struct loop_executor *c = loop_executor_of(e);
	FL__HELD(&e->lock);
	if (!c->loop)
		return false;
	if (c->own_loop)
		return c->loop == fl_loop_current();
	/*
	 * relaxed: `thread` names the calling thread only if the calling thread has run the loop
	 * itself
	 */
	return (e->queue.length > 0 || c->under_way > 0) &&
	       fl__load_relaxed(&c->loop->sched->host.thread) == fl__ctx_thread() && !fl__loop_self(c->loop);
}

static int loop_executor_join(fl_executor *e, fl_time deadline, fl_cancel_token *cancel)
{
	return fl__executor_join_thread(e, &loop_executor_of(e)->thread, loop_executor_has_ended, deadline, cancel);
}

static void loop_executor_destroy(fl_executor *e)
{
	struct loop_executor *c = loop_executor_of(e);
	if (c->own_loop) {
		fl__thread_detach(c->thread);
		if (c->loop)
			fl__loop_discard(c->loop); /* it never ran */
	}
	fl__executor_fini(e);
}

static const struct fl__executor_ops loop_executor_ops = {
    .kind = "loop",
    .capabilities = FL_CAP_BY_REFERENCE | FL_CAP_CONCURRENT | FL_CAP_NESTED,
    .submit = loop_executor_submit,
    .on_closed = loop_executor_on_closed,
    .join = loop_executor_join,
    .is_busy = loop_executor_is_busy,
    .destroy = loop_executor_destroy,
    .run_newest = loop_executor_run_newest,
    .will_run = loop_executor_will_run,
    .would_hang = loop_executor_would_hang,
};

/* Life. */

static int loop_executor_make(struct loop_executor **made, const fl_executor_config *config, const char *function)
{
	config = FL__OR_DEFAULTS(config);
	if (!fl__executor_may_have(config->workers, FL_LOOP_EXECUTOR_MAX, function))
		return -EINVAL;
	struct loop_executor *c = fl__alloc(1, sizeof *c);
	if (!c)
		return -ENOMEM;
	unsigned workers = config->workers ? config->workers : FL_LOOP_EXECUTOR_DEFAULT;
	int rc = fl__executor_init(&c->base, &loop_executor_ops, workers, config);
	if (rc != 0) {
		fl__free(c);
		return rc;
	}
	(void)snprintf(c->name, sizeof c->name, "%s-0", c->base.name);
	*made = c;
	return 0;
}

static int loop_executor_finish_create(fl_executor **e, struct loop_executor *c, int rc)
{
	if (rc != 0)
		fl__executor_fini(&c->base);
	else
		*e = &c->base;
	return rc;
}

int fl_loop_executor_create(fl_executor **e, const fl_executor_config *config)
{
	struct loop_executor *c;
	int rc = loop_executor_make(&c, config, "fl_loop_executor_create");
	if (rc != 0)
		return rc;
	c->own_loop = true;
	return loop_executor_finish_create(e, c, fl_loop_create(&c->loop, NULL));
}

static int loop_executor_start_manager(struct loop_executor *c, fl_loop *l)
{
	static const fl_task_type nothing = {.size = sizeof(fl_task_type), .name = "fl__loop_executor"};
	fl_fiber *f;
	c->loop = l;
	c->held = fl__task_block_new(c->base.blocks, &nothing, 1, 0, 0);
	int rc = c->held ? fl__fiber_start(l, &f, loop_executor_manage_on_loop, c, c->name, &l->root) : -ENOMEM;
	if (rc == 0)
		fl_fiber_detach(f);
	else if (c->held)
		fl__task_block_free(c->held);
	return rc;
}

int fl_loop_executor_create_on(fl_executor **e, fl_loop *l, const fl_executor_config *config)
{
	struct loop_executor *c;
	fl__loop_check(l, "fl_loop_executor_create_on");
	const int rc = loop_executor_make(&c, config, "fl_loop_executor_create_on");
	return rc == 0 ? loop_executor_finish_create(e, c, loop_executor_start_manager(c, l)) : rc;
}
