/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The loop executor: one FIFO of tasks, and fibers of one loop, each of which runs one task.
 *
 * The executor's lock guards all state. Only the loop's thread starts fibers. A fiber takes the
 * first task of the queue when the fiber gets to run. So a task is pending until it runs, and tasks
 * start in order. `starting` counts the fibers that have not looked at the queue yet. `under_way`
 * counts these fibers, and those that run a task.
 *
 *   invariant: when the lock is free and the initializer has run, one of these holds:
 *     - each queued task has a fiber that is starting;
 *     - as many fibers are under way as the executor allows;
 *     - there is no memory for another fiber, and some are under way;
 *     - the manager was woken.
 *
 * A fiber that ends starts others in its place, so the queue is served as long as a fiber is under
 * way. When none is, the manager serves the queue. The manager is a fiber (`keeper` in the names
 * below). It exists from the first submit on, and waits on `work`. The manager
 *
 *   - runs the initializer;
 *   - starts fibers for tasks that other threads submit;
 *   - runs a task itself when there is no memory for a single fiber;
 *   - passes a request of its token, which means that its loop ends, on to all tasks.
 *
 * `waking`: the manager was signalled and does not hold the lock yet. Until then no thread signals
 * the manager again. So a burst of submits makes one wake.
 *
 * A fiber that waits for a queued task of its executor does not run that task on its own stack, as
 * workers of other kinds do. Instead it starts a fiber for the task, beyond the limit (further()).
 * That is enough for progress, for the reason in exec/run.c.
 *
 * Lifetime. An executor with a thread of its own is joined when that thread has ended. On a loop of
 * the caller's, the manager may be the last user of the executor, whenever that loop runs again. So
 * the manager holds a task block (`held`), and thereby the executor's memory (fl__executor_init()).
 */
#include "../base/sys.h"
#include "../exec/executor.h"
#include "loop.h"
#include <errno.h>
#include <fairlead/loop_executor.h>
#include <fairlead/thread.h>
#include <stdio.h>

enum phase { FRESH, INITIALIZING, READY };

struct crowd {
	fl_executor base;
	fl_loop *loop;       /* NULL: the manager has ended */
	bool own_loop;       /* the executor has a thread of its own for the loop */
	bool started, alive; /* that thread was started; it has not ended */
	bool joining, joined;
	fl_thread thread;
	struct fl__task_block *held; /* the manager's, on a loop of the caller's; NULL: none */

	enum phase phase;
	size_t starting, under_way;
	fl_cond work;
	bool keeper_waits, waking, cancelled;
	char name[32];
};

static struct crowd *crowd_of(fl_executor *e)
{
	return (struct crowd *)(void *)e; /* base is its first member */
}

/* Under the lock. */
static void wake_keeper(struct crowd *c)
{
	if (!c->keeper_waits || c->waking)
		return;
	c->waking = true;
	fl_cond_signal(&c->work);
}

/* Under the lock: whether the manager must end. */
static bool is_over(const struct crowd *c)
{
	return (c->base.closed || c->base.broken) && c->base.queue.length == 0 && c->under_way == 0;
}

/* Starting fibers: under the lock, on the loop's thread. */

static int run_next(void *crowd);

static int start(struct crowd *c, fl_fiber_function *function, void *arg)
{
	fl_fiber *f;
	int rc = fl__fiber_start(c->loop, &f, function, arg, c->name, FL_SHIELDED);
	if (rc != 0)
		return rc;
	fl_fiber_detach(f);
	c->under_way++;
	return 0;
}

static void start_more(struct crowd *c)
{
	while (c->phase == READY && c->starting < c->base.queue.length && c->under_way < c->base.workers) {
		if (start(c, run_next, c) != 0)
			return;
		c->starting++;
	}
}

/* Restores the invariant, and wakes the manager when it must end. */
static void proceed(struct crowd *c)
{
	start_more(c);
	if (c->under_way == 0 && (c->base.queue.length > 0 || c->base.closed || c->base.broken))
		wake_keeper(c);
}

/*
 * Under the lock: moves a task block from the queue to the frame, unless another context has
 * claimed the task.
 */
static void take(struct fl__run *run, struct fl__task_block *block)
{
	fl_executor *e = run->executor;
	fl__queue_remove(&e->queue, block);
	enum fl__claim claim = fl__future_claim(&block->future);
	if (claim == FL__CLAIM_LOST)
		e->foreign++;
	else
		fl__run_begin(run, &block->future, claim);
}

static void take_first(struct fl__run *run)
{
	while (!run->future && run->executor->queue.head)
		take(run, run->executor->queue.head);
}

static void run_taken(struct fl__run *run)
{
	fl_future *f = run->future;
	if (!f)
		return;
	fl__run_task(run);
	{
		FL_LOCKED(&run->executor->lock);
		fl__run_end(run);
	}
	fl_future_free(f); /* the producer's reference */
}

/* Ends what was under way: a task's fiber, or a duty of the manager. */
static void leave(struct crowd *c)
{
	FL_LOCKED(&c->base.lock);
	c->under_way--;
	proceed(c);
	if (c->base.closed && c->under_way == 0)
		fl_cond_broadcast(&c->base.gone);
} /* the unlock is the last access to the executor */

/* Callbacks and drop hooks run without a cancel scope, as in all executors. */
static void enter(struct crowd *c, struct fl__run *run)
{
	(void)fl_cancel_scope_set(NULL);
	fl__run_enter(run, &c->base);
}

/* Runs what the fiber of a task has taken, and ends the fiber. */
static int finish(struct crowd *c, struct fl__run *run)
{
	run_taken(run);
	fl__run_leave(run);
	leave(c);
	return 0;
}

static int run_next(void *crowd)
{
	struct crowd *c = crowd;
	struct fl__run run;
	enter(c, &run);
	{
		FL_LOCKED(&c->base.lock);
		c->starting--;
		take_first(&run);
	}
	return finish(c, &run);
}

/* Runs the task of a block if it is still queued. The fiber has a reference to the block. */
static int run_this(void *arg)
{
	struct fl__task_block *block = arg;
	struct crowd *c = crowd_of(fl__task_block_owner(block)->executor);
	struct fl__run run;
	enter(c, &run);
	{
		FL_LOCKED(&c->base.lock);
		if (block->queued)
			take(&run, block);
	}
	fl_future_free(&block->future);
	return finish(c, &run);
}

/* The manager. */

enum duty { END, INITIALIZE, RUN, CANCEL };

/* Waits until there is a duty for the manager. The lock is held. */
static enum duty next_duty(struct crowd *c, fl_cancel_token *token)
{
	for (;;) {
		if (!c->cancelled && fl_cancel_token_is_requested(token))
			return CANCEL;
		start_more(c);
		if (c->base.queue.length > 0 && c->phase == FRESH)
			return INITIALIZE;
		if (c->base.queue.length > 0 && c->under_way == 0)
			return RUN;
		if (is_over(c))
			return END;
		c->keeper_waits = true;
		int rc = fl_cond_wait_until(&c->work, &c->base.lock, FL_FOREVER, c->cancelled ? FL_SHIELDED : token);
		(void)rc; /* the check above finds -ECANCELED */
		c->keeper_waits = c->waking = false;
	}
}

static void initialize(struct crowd *c)
{
	char *message = NULL;
	int error = fl__executor_initialize(&c->base, &message);
	if (error != 0)
		fl__executor_initialize_failed(&c->base, error, message);
	else
		fl__message_free(message);
}

/* A duty counts as under way. */
static enum duty begin_duty(struct crowd *c, struct fl__run *run, fl_cancel_token *token)
{
	FL_LOCKED(&c->base.lock);
	enum duty duty = next_duty(c, token);
	if (duty == END)
		return END;
	c->under_way++;
	if (duty == INITIALIZE)
		c->phase = INITIALIZING;
	else if (duty == RUN)
		take_first(run);
	else
		c->cancelled = true;
	return duty;
}

static void end_duty(struct crowd *c, enum duty duty)
{
	if (duty == INITIALIZE) {
		FL_LOCKED(&c->base.lock);
		c->phase = READY;
	}
	leave(c);
}

static int keep(void *crowd)
{
	struct crowd *c = crowd;
	fl_cancel_token *token = fl_cancel_scope_current(); /* the manager's own */
	struct fl__run run;
	enum duty duty;
	enter(c, &run);
	while ((duty = begin_duty(c, &run, token)) != END) {
		if (duty == INITIALIZE)
			initialize(c);
		else if (duty == CANCEL)
			(void)fl_executor_cancel(&c->base);
		else
			run_taken(&run);
		end_duty(c, duty);
	}
	fl__run_leave(&run);
	return 0;
}

/* The manager on a loop of the caller's. */
static int keep_here(void *crowd)
{
	struct crowd *c = crowd;
	struct fl__task_block *held = c->held;
	(void)keep(c);
	{
		FL_LOCKED(&c->base.lock);
		c->loop = NULL;
		c->held = NULL;
	}
	fl__task_block_free(held); /* frees the executor, too, if fl_executor_free() came before */
	return 0;
}

/* The function of the executor's own thread. */
static int work(void *crowd)
{
	struct crowd *c = crowd;
	fl_loop *l = c->loop; /* written before the thread was started */
	if (fl_loop_run_on(l, keep, c) != 0)
		fl__executor_break(&c->base, "the executor is broken: no memory to run its loop");
	{
		FL_LOCKED(&c->base.lock);
		c->loop = NULL;
	}
	fl_loop_free(l);
	FL_LOCKED(&c->base.lock);
	c->alive = false;
	fl_cond_broadcast(&c->base.gone);
	return 0;
}

/* The interface. */

/* Under the lock: starts the executor's own thread, which runs the manager, if need be. */
static int ensure_keeper(struct crowd *c)
{
	if (!c->own_loop || c->started)
		return 0;
	const fl_thread_config config = {.name = c->name, .block_signals = true};
	int rc = fl_thread_start(&c->thread, work, c, &config);
	if (rc != 0)
		return rc == -ENOMEM ? rc : -EAGAIN;
	c->started = c->alive = true;
	return 0;
}

static int submit(fl_executor *e, struct fl__task_block *block)
{
	struct crowd *c = crowd_of(e);
	FL_LOCKED(&e->lock);
	int rc = fl__executor_refuses(e);
	if (rc == 0)
		rc = ensure_keeper(c);
	if (rc != 0)
		return rc;
	fl__queue_add(&e->queue, block);
	if (c->phase == READY && c->loop == fl_loop_current())
		proceed(c);
	else if (c->under_way < e->workers)
		wake_keeper(c);
	return 0;
}

/* Called by a fiber of the loop. */
static bool further(fl_executor *e, struct fl__task_block *block)
{
	struct crowd *c = crowd_of(e);
	FL_LOCKED(&e->lock);
	if (!block->queued)
		return true;
	start_more(c);
	if (c->starting >= e->queue.length)
		return true;
	int rc = start(c, run_this, block);
	if (rc == 0)
		(void)fl_future_ref(&block->future);
	return rc == 0;
}

static void wake_all(fl_executor *e)
{
	wake_keeper(crowd_of(e));
}

/* Under the lock. */
static bool has_ended(const struct crowd *c)
{
	return fl__executor_is_idle(&c->base) && (c->own_loop ? !c->alive : c->under_way == 0);
}

/*
 * Under the lock: whether tasks are left that only the loop can end. Foreign tasks do not need it.
 */
static bool needs_loop(const struct crowd *c)
{
	return c->base.queue.length > 0 || c->under_way > 0;
}

/*
 * Whether a join by the caller would never end. With a thread of the executor's own: the caller
 * runs on its loop. Else: the calling thread is the one that runs the loop, and cannot run it while
 * the caller waits. Before the first run of the loop any thread may still run it.
 */
static bool would_hang(fl_executor *e)
{
	struct crowd *c = crowd_of(e);
	FL_LOCKED(&e->lock);
	if (!c->loop)
		return false;
	if (c->own_loop)
		return c->loop == fl_loop_current();
	return needs_loop(c) && fl__sched_is_of_here(c->loop->sched) && !fl__loop_self(c->loop);
}

/* Joins the thread, which leaves work() or has left it. The lock is free during the wait. */
static int join_thread(struct crowd *c, int64_t deadline, fl_cancel_token *cancel)
{
	c->joining = true;
	fl_mutex_unlock(&c->base.lock);
	int rc = fl_thread_join_until(&c->thread, NULL, deadline, cancel);
	fl_mutex_lock(&c->base.lock);
	c->joining = false;
	c->joined = rc == 0;
	fl_cond_broadcast(&c->base.gone);
	return rc;
}

static int fl__loop_executor_join(fl_executor *e, int64_t deadline, fl_cancel_token *cancel)
{
	struct crowd *c = crowd_of(e);
	int rc = 0;
	while (!c->joined) {
		bool ready = has_ended(c) && !c->joining;
		if (rc != 0 && !ready)
			return rc;
		if (!ready)
			rc = fl_cond_wait_until(&e->gone, &e->lock, deadline, cancel);
		else if (!c->started)
			return 0;
		else if ((rc = join_thread(c, deadline, cancel)) != 0)
			return rc;
	}
	return 0;
}

static void destroy(fl_executor *e)
{
	struct crowd *c = crowd_of(e);
	if (c->own_loop) {
		int rc = fl_thread_detach(&c->thread);
		(void)rc; /* -EINVAL: joined or never started. Frees memory in a forked child. */
		if (c->loop)
			fl__loop_discard(c->loop); /* never ran, or this is a forked child */
	} else if (fl__executor_is_forked(e) && c->held) {
		fl__task_block_free(c->held); /* the child has no manager */
	}
	fl__executor_fini(e);
}

static const struct fl__executor_ops ops = {
    .size = sizeof ops,
    .kind = "loop",
    .capabilities = FL_CAP_BY_REFERENCE | FL_CAP_CONCURRENT | FL_CAP_NESTED,
    .submit = submit,
    .wake_all = wake_all,
    .join = fl__loop_executor_join,
    .destroy = destroy,
    .further = further,
    .would_hang = would_hang,
};

/* Life. */

static int make(struct crowd **made, const fl_executor_config *config)
{
	static const fl_executor_config defaults;
	if (!config)
		config = &defaults;
	if (config->workers > FL_LOOP_EXECUTOR_MAX)
		return -EINVAL;
	struct crowd *c = fl__alloc(1, sizeof *c);
	if (!c)
		return -ENOMEM;
	unsigned workers = config->workers ? config->workers : FL_LOOP_EXECUTOR_DEFAULT;
	int rc = fl__executor_init(&c->base, &ops, workers, config, true);
	if (rc != 0) {
		fl__free(c);
		return rc;
	}
	(void)snprintf(c->name, sizeof c->name, "%.23s-0", config->name ? config->name : "worker");
	*made = c;
	return 0;
}

static int give_out(fl_executor **e, struct crowd *c, int rc)
{
	if (rc != 0)
		fl__executor_fini(&c->base);
	else
		*e = &c->base;
	return rc;
}

int fl_loop_executor_create(fl_executor **e, const fl_executor_config *config)
{
	struct crowd *c;
	int rc = make(&c, config);
	if (rc != 0)
		return rc;
	c->own_loop = true;
	return give_out(e, c, fl_loop_create(&c->loop, NULL));
}

/* Starts the manager, with a task block that keeps the executor's memory. */
static int settle(struct crowd *c, fl_loop *l)
{
	static const fl_task_type nothing = {.size = sizeof(fl_task_type), .name = "fl__loop_executor"};
	fl_fiber *f;
	c->loop = l;
	c->held = fl__task_block_new(c->base.blocks, &nothing, 1, 0, 0);
	int rc = c->held ? fl__fiber_start(l, &f, keep_here, c, c->name, &l->root) : -ENOMEM;
	if (rc == 0)
		fl_fiber_detach(f);
	else if (c->held)
		fl__task_block_free(c->held);
	return rc;
}

int fl_loop_executor_create_on(fl_executor **e, fl_loop *l, const fl_executor_config *config)
{
	struct crowd *c;
	fl__loop_check(l, "fl_loop_executor_create_on");
	int rc = fl__loop_is_forked(l) ? -EOWNERDEAD : make(&c, config);
	return rc == 0 ? give_out(e, c, settle(c, l)) : rc;
}
