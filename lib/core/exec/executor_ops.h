/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "../future/future.h"
#include <fairlead/executor.h>
#include <fairlead/time.h>

/* What a kind of executor implements. executor.h has what all kinds share. */

struct fl__task_block;
struct fl__task_list;
struct fl__run;
struct fl_group;

struct fl__executor_ops {
	uint32_t capabilities;
	const char *kind;
	/* The operations of the futures of tasks. NULL stands for &fl__task_future_ops. */
	const struct fl__future_ops *future_ops;
	/*
	 * Results with more bytes than this are in memory that the kind allocates. With 0 there are
	 * no such results.
	 */
	size_t result_most;
	/* Takes over the producer's reference to the future, unless it returns an error. */
	int (*submit)(fl_executor *e, struct fl__task_block *block);
	/*
	 * Called under the lock, when `closed` or `broken` was set. Closes the kind's own backlog,
	 * and wakes threads that wait for tasks or permits, as far as they must know.
	 */
	void (*on_closed)(fl_executor *e);
	/*
	 * Called under the lock, when closed. Waits, as fl_cond_wait_until() does, until the kind's
	 * threads and processes have ended. NULL for a kind of which nothing is left once it has no
	 * task.
	 */
	int (*join)(fl_executor *e, fl_time deadline, fl_cancel_token *cancel);
	/*
	 * Called under the lock. Returns whether there are tasks neither in `queue`, nor running,
	 * nor foreign. When the result may have become false, the kind calls
	 * fl__executor_tell_if_idle(). NULL if there are never such tasks.
	 */
	bool (*is_busy)(const fl_executor *e);
	/*
	 * Ends the executor after a join. Its last call is fl__executor_fini(), which keeps the
	 * struct for the task blocks.
	 */
	void (*destroy)(fl_executor *e);
	/*
	 * Called by a context that serves `e`, in the join of a group. Runs a pending task on which
	 * the join may depend, as thread_pool/help.c says for a worker. A fiber of a loop executor
	 * runs any pending member, but only if will_run() returns false. With `any`, which follows
	 * is_stuck(), it runs any task. Returns whether it has run one. NULL for a kind whose
	 * contexts run no task while they wait for one.
	 */
	bool (*run_newest)(fl_executor *e, const struct fl_group *g, bool any);
	/*
	 * Called by a context that serves `e` and counts as blocked. Returns whether no worker will
	 * run the pending tasks, since none could be started. NULL for a kind that needs no thread.
	 */
	bool (*is_stuck)(fl_executor *e);
	/*
	 * Called by a context that serves `e` and is about to wait for a pending task. Returns
	 * whether another context will run the pending tasks while the caller waits. NULL stands
	 * for a kind of which the caller runs the task itself.
	 */
	bool (*will_run)(fl_executor *e);
	/*
	 * Returns whether a join by the caller, which runs no task of `e`, would hang. NULL stands
	 * for never.
	 */
	bool (*would_hang)(fl_executor *e);
	/*
	 * The next two are for kinds with a backlog of their own in place of `queue`; else NULL.
	 * They are called under the lock, when the backlog is closed. `take_oldest` removes a task,
	 * or returns NULL. It takes the tasks of each queue in their order.
	 * `list_running` adds to `running` each task that a worker runs, once and with a reference,
	 * but not `queued` tasks, which are in such a list already.
	 */
	struct fl__task_block *(*take_oldest)(fl_executor *e);
	void (*list_running)(fl_executor *e, struct fl__task_list *running);
	/*
	 * Called under the lock, after a foreign context has claimed a task of the kind's backlog.
	 * If the kind can remove the block at once, it does, and frees it (fl__task_block_free()).
	 */
	void (*claimed)(fl_executor *e, struct fl__task_block *block);
	/*
	 * The next three are for kinds that run tasks in other processes; else NULL. Such a task
	 * stays unclaimed until it has ended. The lock guards where the task is (queued, or with
	 * which worker process), and lasts as long as the executor's task blocks.
	 */
	/*
	 * Called under the lock. Puts unstarted tasks back into `queue`. With `request` it requests
	 * the others to stop.
	 */
	void (*recall)(fl_executor *e, bool request);
	/*
	 * Called under the lock. Puts the task back into `queue`. Returns false if it has started.
	 */
	bool (*withdraw)(fl_executor *e, struct fl__task_block *block);
	void (*terminate)(fl_executor *e);               /* under the lock, when closed */
	int (*resize)(fl_executor *e, unsigned workers); /* under the lock; may be NULL */
	/*
	 * Called without the lock. `enter` makes the calling thread, which runs no task, a worker
	 * until `leave`, and returns its first frame. It returns NULL if there is no place for one
	 * more. NULL for a kind without places for callers.
	 */
	struct fl__run *(*enter)(fl_executor *e);
	void (*leave)(struct fl__run *run);
	/*
	 * Returns the number of the worker with the first frame `run`, which calls it. NULL for a
	 * kind of which one thread of this process runs all tasks, or each submitter its own.
	 */
	unsigned (*number)(const struct fl__run *run);
	/*
	 * Called without the lock by a worker with the first frame `run` (ctx->worker), which
	 * begins or ends a blocking section. NULL for a kind whose workers are not replaced then.
	 */
	void (*block)(struct fl__run *run, bool begins);
	/*
	 * Called in the same way around a wait for a task or a fork of this executor that another
	 * context runs. NULL for a kind that need not know.
	 */
	void (*depend)(struct fl__run *run, bool begins);
	/*
	 * Adds the kind's numbers. Also called without the lock, for the debug dump, and in a
	 * signal handler: the numbers are of different moments. May be NULL.
	 */
	void (*count)(const fl_executor *e, fl_stats_executor *stats);
	/*
	 * Writes for what the `stats->waiting` workers wait, such as " (1 for mutex)". Called also
	 * without the lock, as `count` is. NULL if that is not known.
	 */
	void (*describe_waits)(const fl_executor *e, char *text, size_t size);
};
