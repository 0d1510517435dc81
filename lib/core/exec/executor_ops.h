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
	 * The kind itself allocates the memory of results with more bytes than this. 0: it never
	 * does.
	 */
	size_t result_most;
	/* Takes over the producer's reference to the future, unless it returns an error. */
	int (*submit)(fl_executor *e, struct fl__task_block *block);
	/*
	 * Called under the lock, when `closed` or `broken` was set. Closes the kind's own backlog,
	 * and wakes those threads waiting for tasks or permits that must know.
	 */
	void (*on_closed)(fl_executor *e);
	/*
	 * Called under the lock, when closed. Waits, as fl_cond_wait_until() does, until the kind's
	 * threads and processes have ended. NULL if the kind has neither once no task is left.
	 */
	int (*join)(fl_executor *e, fl_time deadline, fl_cancel_token *cancel);
	/*
	 * Called under the lock. Returns whether there are tasks that are neither in `queue`, nor
	 * running, nor foreign. When the last such task may have gone, the kind calls
	 * fl__executor_tell_if_idle(). NULL if there are never such tasks.
	 */
	bool (*is_busy)(const fl_executor *e);
	/*
	 * Ends the executor after a join. Its last call is fl__executor_fini(), which keeps the
	 * struct for the task blocks.
	 */
	void (*destroy)(fl_executor *e);
	/*
	 * Called by a context that serves `e`, when it joins a group. Runs a pending task on which
	 * the join may depend; thread_pool/help.c says which tasks a worker may run. A fiber of a
	 * loop executor runs any pending member, but only if will_run() returns false. If `any` is
	 * true, because is_stuck() has returned true, the call runs any task. Returns whether a
	 * task was run. NULL for a kind whose contexts run no task while they wait for a task.
	 */
	bool (*run_newest)(fl_executor *e, const struct fl_group *g, bool any);
	/*
	 * Called by a context that serves `e` and counts as blocked. Returns whether no worker will
	 * run the pending tasks, since none could be started. NULL for a kind that needs no thread.
	 */
	bool (*is_stuck)(fl_executor *e);
	/*
	 * Called by a context that serves `e` and is about to wait for a pending task. Returns
	 * whether another context will run the pending tasks while the caller waits. NULL if the
	 * caller is to run the task itself.
	 */
	bool (*will_run)(fl_executor *e);
	/*
	 * Returns whether a join by the caller, which runs no task of `e`, would hang. NULL: it
	 * never would.
	 */
	bool (*would_hang)(fl_executor *e);
	/*
	 * The next two are for kinds with a backlog of their own in place of `queue`; otherwise
	 * NULL. They are called under the lock, when the backlog is closed. `take_oldest` removes a
	 * task and returns it, or returns NULL. It takes the tasks of each queue in their order.
	 * `list_running` adds each task that a worker runs to `running`, with a reference. It skips
	 * tasks whose `queued` is set, because they are in such a list already.
	 */
	struct fl__task_block *(*take_oldest)(fl_executor *e);
	void (*list_running)(fl_executor *e, struct fl__task_list *running);
	/*
	 * Called under the lock, after a foreign context has claimed a task in the kind's backlog.
	 * If the kind can remove the block at once, it does so, and calls fl__task_block_free().
	 */
	void (*claimed)(fl_executor *e, struct fl__task_block *block);
	/*
	 * The next three are for kinds that run tasks in other processes; otherwise NULL. Such a
	 * task stays unclaimed until it has ended. The lock guards where the task is: in the queue,
	 * or with which worker process. The lock lasts as long as the executor's task blocks.
	 */
	/*
	 * Called under the lock. Puts unstarted tasks back into `queue`. If `request` is true, asks
	 * the other tasks to stop.
	 */
	void (*recall)(fl_executor *e, bool request);
	/*
	 * Called under the lock. Puts the task back into `queue`. Returns false if it has started.
	 */
	bool (*withdraw)(fl_executor *e, struct fl__task_block *block);
	void (*terminate)(fl_executor *e);               /* under the lock, when closed */
	int (*resize)(fl_executor *e, unsigned workers); /* under the lock; may be NULL */
	/*
	 * Called by a worker whose first frame is `run`. Returns the worker's number. NULL for a
	 * kind where one thread of this process runs all tasks, or each submitter its own task.
	 */
	unsigned (*number)(const struct fl__run *run);
	/*
	 * Called without the lock by a worker whose first frame is `run` (ctx->worker), when it
	 * begins or ends a blocking section. NULL if the kind does not replace blocked workers.
	 */
	void (*block)(struct fl__run *run, bool begins);
	/*
	 * Called in the same way, before and after a wait for a task or fork of this executor that
	 * another context runs. NULL for a kind that need not know.
	 */
	void (*depend)(struct fl__run *run, bool begins);
	/*
	 * Adds the kind's numbers. The debug dump calls this without the lock, even in a signal
	 * handler; its numbers are then of different moments. May be NULL.
	 */
	void (*count)(const fl_executor *e, fl_stats_executor *stats);
	/*
	 * Writes what the `stats->waiting` workers wait for, for example " (1 for mutex)". Like
	 * `count`, it is also called without the lock. NULL if that is not known.
	 */
	void (*describe_waits)(const fl_executor *e, char *text, size_t size);
};
