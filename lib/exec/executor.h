/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_EXEC_EXECUTOR_H
#define FL_EXEC_EXECUTOR_H

#include "../wait/context.h"
#include "cells.h"
#include <fairlead/cond.h>
#include <fairlead/executor.h>
#include <fairlead/mutex.h>

/*
 * The executor interface: what every kind fills in, and what all kinds share.
 *
 * A task's cell is in one of these places, one after the other, and its executor can say which:
 *
 *   queued    in `queue`, pending                      put there by submit
 *   running   in the frame of a context, in `running`  taken by a worker, or by a context that helps
 *   foreign   counted by `foreign`                     claimed by a context other than the kind's own workers: a canceller,
 *                                                      or one that helps, or the executor's own cancel and failure
 *   ended     nowhere
 *
 * Who takes a cell out of `queue` that a foreign context has claimed counts it as foreign, on that context's behalf. So as
 * long as a task has not ended, its executor knows of it, and an executor is joined only when nothing is queued, running or
 * foreign: that is what keeps `cell->executor` valid.
 *
 * `lock` guards all of it. It is never held while a task, a callback, a drop hook or a hook of the config runs. Order of
 * locks: executor, future, token tree, lot; executor, list of threads.
 */
struct fl__executor_ops {
	uint32_t size; /* of this struct */
	uint32_t capabilities;
	const char *kind;
	/* Takes over the producer's reference to the cell's future; on an error it has not. */
	int (*submit)(fl_executor *e, struct fl__cell *cell);
	/* `lock` is held; `closed` or `broken` has become true: whoever waits for tasks must look. */
	void (*wake_all)(fl_executor *e);
	/* Waits until everything has ended, with `lock` held, as fl_cond_wait_until(); `closed` is true. */
	int (*join)(fl_executor *e, int64_t deadline, fl_cancel *cancel);
	/* Frees everything; after a join, or in a forked child, where it takes no lock and waits for nothing. */
	void (*destroy)(fl_executor *e);
};

struct fl__queue {
	struct fl__cell *head, *tail;
	size_t length;
};

struct fl_executor {
	const struct fl__executor_ops *ops;
	struct fl__cells *cells;
	unsigned workers;
	uint32_t fork_count; /* fl__fork_count when it was made */
	fl_mutex lock;
	fl_cond gone; /* something that a join waits for may have come to its end */
	bool closed, broken;
	struct fl__queue queue;
	struct fl__run *running;
	size_t foreign;
};

/* Makes what all kinds share. Returns 0, -ENOMEM, -EEXIST. */
int fl__executor_init(fl_executor *e, const struct fl__executor_ops *ops, unsigned workers);

/* For submit, under the lock: 0, or why no task is taken any more. */
int fl__executor_refuses(const fl_executor *e);

void fl__queue_add(struct fl__queue *queue, struct fl__cell *cell);
void fl__queue_remove(struct fl__queue *queue, struct fl__cell *cell);

/* Under the lock: whether nothing is queued, running or foreign. */
bool fl__executor_is_idle(const fl_executor *e);

/* Makes `e` take no more tasks, and ends those that are queued with -ENOTRECOVERABLE and the message `text`. */
void fl__executor_break(fl_executor *e, const char *text);

/* The home of every future that stands in a cell. */
extern const struct fl__future_home fl__cell_home;

/*
 * Frames (run.c): one on the stack of each context that is in the service of an executor: of a worker for its whole life,
 * of a context that submits to the sequential executor or helps for one task. A context's frames form a chain.
 */
struct fl__run {
	fl_executor *executor;
	fl_future *future; /* the task being run, until its callbacks have returned; NULL: none */
	enum fl__claim claim;
	bool active; /* in the task's function */
	struct fl__run *outer;
	struct fl__run *next, *prev;                     /* in executor->running; guarded by its lock */
	void (*help)(struct fl__ctx *ctx, void *future); /* the context's own, to be put back */
	void *helper;
};

/* Puts a frame for `e` on the calling context's chain; from now on it may run tasks of `e` inline. */
void fl__run_enter(struct fl__run *run, fl_executor *e);
void fl__run_leave(struct fl__run *run);

/* Under the lock: `f`, claimed, is run in this frame; and no longer, but the producer's reference is still there. */
void fl__run_begin(struct fl__run *run, fl_future *f, enum fl__claim claim);
void fl__run_end(struct fl__run *run);

/* Runs the frame's task and ends its future; without the lock. */
void fl__run_task(struct fl__run *run);

/* Whether the calling context is in the service of `e`. */
bool fl__run_serves(const fl_executor *e);

/*
 * Calls a task's function, with `token` as its token and its scope. Returns what it returned; `*message` is the one that it
 * set, to be freed with fl__message_free(), or NULL.
 */
int fl__task_call(const fl_task_type *type, const void *arg, void *result, fl_cancel *token, char **message);

/* For map.c: gives up the message that a task has set so far; NULL: none. */
char *fl__task_take_message(fl_task_ctx *ctx);

#endif
