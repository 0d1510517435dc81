/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_EXEC_EXECUTOR_H
#define FL_EXEC_EXECUTOR_H

#include "../wait/context.h"
#include "cells.h"
#include <fairlead/cond.h>
#include <fairlead/executor.h>
#include <fairlead/mutex.h>
#include <fairlead/sem.h>

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
 * foreign: that is what keeps its cells' pointer to it valid.
 *
 * A kind with a backlog of its own (`take`) cannot remove what a foreign context has claimed. The cell stays there, with the
 * producer's reference, until it is taken; then it is counted as foreign, unless it has ended. Two bits of cell->parting say who
 * comes first:
 *
 *   FL__TAKEN  it was taken out, and is counted   fl__cell_abandon(), by whoever has taken it
 *   FL__LEFT   its claimer is done with it        the home's ended(), by the claimer; who finds TAKEN then uncounts it
 *
 * A task in the user's memory (embedded.h) is not left there: whoever claims it digs it out at once (`dig`), unless a worker has just
 * taken it, and counts it as foreign. So it is released when its claimer is done with it, however busy the workers are.
 *
 *   FL__DUG    its claimer has taken it out himself; by him
 *
 * Its workers are joined only when the backlog is empty, so a claimer may use the executor until he has set FL__LEFT.
 *
 * `lock` guards all of it. It is never held while a task, a callback, a drop hook or a hook of the config runs. Order of
 * locks: executor, future, token tree, lot; executor, list of threads.
 */
enum {
	FL__IN_QUEUE = 1, /* cell->queued of what is in one */
	FL__APART = 255,  /* of what was taken out of a kind's own backlog, together with others */
};

struct fl__queue {
	struct fl__cell *head, *tail;
	size_t length;
};

/*
 * The places of a bounded backlog: as many as tasks may wait. A submit takes one before it makes the cell, and notes it there
 * (cell->place); whoever claims the task gives it back: a worker, or with died() a context that helps or cancels. A task that is
 * dead in the backlog holds none. From the moment when the executor is closed, or broken, there is always one: so that who waits
 * goes on, and is refused.
 *
 * Without a backlog (FL_BACKLOG_NONE) a place stands for a worker: there are as many places as workers
 * may be alive, those included that stand in for blocked ones. A task holds its place until it has run,
 * or until a context other than a worker has claimed it. A task that goes in beyond the bound, a resize
 * and the end of a blocking section may need a place when none is free: then the place is `owed`.
 *
 *   invariant: permits of `free` - `owed` = workers that may be alive - tasks that hold a place; and
 *   `owed` is 0, or there are no permits
 */
struct fl__places {
	fl_sem free;    /* FL_BACKLOG_NONE: released under `owes` alone */
	uint32_t bound; /* 0: no places, tasks hold none */
	fl_when_full when_full;
	bool given_up; /* under the lock: it is closed */
	uint32_t owes; /* an fl__lock: guards the next */
	uint32_t owed;
};

struct fl__run;

struct fl__executor_ops {
	uint32_t size; /* of this struct */
	uint32_t capabilities;
	const char *kind;
	size_t result_most; /* larger results stand in memory that the kind finds for them; 0: none do */
	/* Takes over the producer's reference to the cell's future; on an error it has not. */
	int (*submit)(fl_executor *e, struct fl__cell *cell);
	/* `lock` is held; `closed` or `broken` has become true: whoever waits for tasks must look. */
	void (*wake_all)(fl_executor *e);
	/* Waits until everything has ended, with `lock` held, as fl_cond_wait_until(); `closed` is true. */
	int (*join)(fl_executor *e, int64_t deadline, fl_cancel *cancel);
	/* Frees everything; after a join, or in a forked child, where it takes no lock and waits for nothing. */
	void (*destroy)(fl_executor *e);
	/*
	 * A context in the service of `e` is about to wait for the cell, to which it has a reference. True: another will run it,
	 * whoever else waits; false, or NULL: the one that waits runs it, if it is still queued.
	 */
	bool (*further)(fl_executor *e, struct fl__cell *cell);
	/* Whether the calling context, which runs no task of `e`, would wait for its end for ever. NULL: it never would. */
	bool (*would_hang)(fl_executor *e);
	/*
	 * For kinds with a backlog of their own in place of `queue`; NULL in all others. Under the lock, when it is closed: takes the
	 * oldest task out of it, NULL: none is left; adds to `running` what its workers run, each once and with a reference, and
	 * nothing that is `queued`, for that is in such a list.
	 */
	struct fl__cell *(*take)(fl_executor *e);
	void (*list_running)(fl_executor *e, struct fl__queue *running);
	/* A context other than a worker has claimed a task that is in the backlog; it has not ended yet. */
	void (*died)(fl_executor *e, const struct fl__cell *cell);
	/* Under the lock: takes a task that has died out of the backlog. False: another has taken it. */
	bool (*dig)(fl_executor *e, struct fl__cell *cell);
	/*
	 * The rest is for kinds that run tasks elsewhere; NULL in all others. A task of theirs stays unclaimed until it has
	 * ended. Where it is (queued, or with whom) is guarded by the lock, which lasts as long as any cell of theirs.
	 */
	void (*recall)(
	    fl_executor *e,
	    bool ask); /* under the lock: what has not started goes back to `queue`; the rest is asked to stop */
	void (*release)(struct fl__cell *cell); /* frees what the kind has added to it; without the lock */
	bool (*withdraw)(fl_executor *e,
	                 struct fl__cell *cell); /* under the lock, to the queue: false when it has started */
	bool (*has_started)(fl_executor *e, const struct fl__cell *cell); /* under the lock */
	void (*asked)(fl_executor *e, struct fl__cell *cell);             /* under the lock */
	void (*attend)(fl_executor *e, fl_future *f, int64_t deadline, const fl_cancel *cancel);
	void (*terminate)(fl_executor *e);               /* under the lock, when it is closed */
	int (*resize)(fl_executor *e, unsigned workers); /* under the lock; NULL: its number cannot be changed */
	/*
	 * Without the lock: the calling worker begins to block, or has ended that. `run` is its
	 * first frame (ctx->worker). NULL: nothing to do.
	 */
	void (*block)(struct fl__run *run, bool begins);
	/* Under the lock: adds what it knows to what all kinds count, but for `workers`. NULL: it keeps no statistics. */
	void (*count)(fl_executor *e, fl_executor_stats *stats);
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
	size_t ran;     /* tasks run in frames, that is not by workers of a kind that counts for itself */
	size_t unbegun; /* tasks that were claimed to end without being run; atomic, about */
	const fl_task_type *initialize; /* NULL: none */
	void *initialize_arg;           /* a copy; NULL when of no size */
	fl_shm **regions;
	unsigned n_regions;
	struct fl__places places;
	uintptr_t stack_low; /* submits run on the submitter's stack, and are refused below that; 0: no limit */
	bool lasts;          /* as long as the process: a detach closes it, no more */
};

/*
 * Makes what all kinds share, in zeroed memory; fl__executor_fini() undoes it. `config`: not NULL. Returns 0, -ENOMEM, -EEXIST,
 * -EINVAL. `lasting`: the memory of `e` is freed with the last of its cells, in place of by destroy().
 */
int fl__executor_init(fl_executor *e, const struct fl__executor_ops *ops, unsigned workers,
                      const fl_executor_config *config, bool lasting);
void fl__executor_fini(fl_executor *e);

/* The workers that `config` asks for: its number, or the usable CPUs. */
unsigned fl__executor_workers_of(const fl_executor_config *config);

/*
 * Runs the initializer on the calling context: 0, or its error, and then `*message`, to be freed with fl__message_free(), is the
 * one that it set, or NULL.
 */
int fl__executor_initialize(fl_executor *e, char **message);

/* Makes `e` broken because its initializer failed; takes over `message`. */
void fl__executor_initialize_failed(fl_executor *e, int error, char *message);

/* fl_submit_with() of `count` arguments that follow each other, as one task. */
int fl__submit(fl_executor *e, const fl_task_type *type, const void *arg, uint32_t count, fl_future **f,
               const fl_submit_config *config);

/* The same; a wait for room in a bounded backlog ends at `deadline`, or when `cancel` is requested. */
int fl__submit_waiting(fl_executor *e, const fl_task_type *type, const void *arg, uint32_t count, fl_future **f,
                       const fl_submit_config *config, int64_t deadline, fl_cancel *cancel);

/* The same, but whatever the bound of the backlog: for a task whose memory is there already. */
int fl__submit_beyond(fl_executor *e, const fl_task_type *type, const void *arg, uint32_t count, fl_future **f,
                      const fl_submit_config *config);

/* Panics in the name of `function`: its caller passed NULL for an executor. */
_Noreturn void fl__executor_missing(const char *function);
static inline void fl__executor_check(const fl_executor *e, const char *function)
{
	if (__builtin_expect(!e, 0))
		fl__executor_missing(function);
}

/* Whether `e` is the parent's, in a forked child. */
static inline bool fl__executor_is_forked(const fl_executor *e)
{
	return fl__is_forked(e->fork_count);
}

/* For submit, under the lock: 0, or why no task is taken any more. */
int fl__executor_refuses(const fl_executor *e);

/* Whether `e` takes tasks from the calling context: 0, -EOWNERDEAD, -EOVERFLOW. */
int fl__may_submit(const fl_executor *e);

enum { FL__TAKEN = 1, FL__LEFT = 2, FL__DUG = 4 };

enum fl__admission {
	FL__NO_PLACE, /* needed */
	FL__PLACE,    /* it holds one until it begins */
	FL__WORKER,   /* it holds one until it has run */
	FL__HERE,     /* it is to be run by its submit */
};

/* `workers`: so many may be active. Returns 0, -EINVAL. */
int fl__places_init(struct fl__places *places, const fl_executor_config *config, unsigned workers);

/* For a submit to a bounded executor: 0, and what it has; -ENOBUFS, -ETIMEDOUT, -ECANCELED. */
int fl__place_take(fl_executor *e, int64_t deadline, fl_cancel *cancel, enum fl__admission *place);

/* For a task that goes in beyond the bound: what it has. */
enum fl__admission fl__place_beyond(fl_executor *e);

void fl__place_give(fl_executor *e, enum fl__admission place);

/* Under the lock: `now` workers may be alive, in place of `before`. */
void fl__places_resize(fl_executor *e, unsigned before, unsigned now);

/* Under the lock: nobody waits for a place any more. */
void fl__places_give_up(fl_executor *e);

/* The home of every future that stands in a cell. */
extern const struct fl__future_home fl__cell_home;

/* Runs the task at once. Takes over the producer's reference; returns 0, -EPIPE, -ENOTRECOVERABLE, and then it has not. */
int fl__run_here(fl_executor *e, struct fl__cell *cell);

/* Begins the future of a cell that has its memory, with `refs` references, and registers the callback. */
static inline void fl__cell_begin(struct fl__cell *cell, const fl_task_type *type, uint32_t refs,
                                  const fl_submit_config *config)
{
	const int64_t deadline = config->deadline != 0 ? config->deadline : FL_FOREVER;
	fl__future_init(&cell->future, &fl__cell_home, type, refs, config->cancel, deadline);
	if (config->on_end)
		fl__future_register(&cell->future, fl__cell_callback(cell), config->on_end, config->on_end_arg);
}

/*
 * Hands the cell over: 0, and if the caller has no reference it may be gone; or an error, and it is: nobody has seen it.
 */
static inline int fl__cell_submit(fl_executor *e, struct fl__cell *cell, enum fl__admission place)
{
	if (place != FL__NO_PLACE)
		cell->place = (uint8_t)place;
	const int rc = place == FL__HERE ? fl__run_here(e, cell) : e->ops->submit(e, cell);
	if (rc != 0)
		fl__future_discard(&cell->future);
	return rc;
}

/* The caller has taken a cell out of its kind's own backlog that a foreign context has claimed. */
void fl__cell_abandon(struct fl__cell *cell);

/* The same of one that is counted as foreign already. */
void fl__cell_part(struct fl__cell *cell);

/* Under the lock: the calling context has claimed a task that is in the backlog. */
void fl__cell_died(fl_executor *e, struct fl__cell *cell);

void fl__queue_add(struct fl__queue *queue, struct fl__cell *cell);
void fl__queue_add_first(struct fl__queue *queue, struct fl__cell *cell);
void fl__queue_remove(struct fl__queue *queue, struct fl__cell *cell);

/* Under the lock: whether nothing is queued, running or foreign. */
bool fl__executor_is_idle(const fl_executor *e);

/* `n` tasks that were counted as foreign have ended. The last use of `e` by their contexts. */
void fl__executor_foreign_ended(fl_executor *e, size_t n);

/* Makes `e` take no more tasks, and ends those that are queued with -ENOTRECOVERABLE and the message `text`. */
void fl__executor_break(fl_executor *e, const char *text);

/*
 * Frames (run.c): one on the stack of each context that is in the service of an executor: of a worker for its whole life,
 * of a context that submits to the sequential executor or helps for one task. A context's frames
 * form a chain. While a context runs a call that it has taken from a forker (fork.c), it has the
 * chain of the forker.
 */
struct fl__run {
	fl_executor *executor;
	fl_future *future; /* the task being run, until its callbacks have returned; NULL: none */
	enum fl__claim claim;
	bool active; /* in the task's function; NULL for `future`: of a parent's task (worker.c) */
	bool here;   /* of fl__run_here() */
	bool asked;  /* its task was, by a cancel of the executor; guarded by the lock */
	struct fl__run *outer;
	struct fl__run *next, *prev;                     /* in executor->running; guarded by its lock */
	void (*help)(struct fl__ctx *ctx, void *future); /* the context's own, to be put back */
	void *helper;
};

/* Puts a frame for `e` on the calling context's chain; from now on it may run tasks of `e` inline. */
void fl__run_enter(struct fl__run *run, fl_executor *e);
void fl__run_leave(struct fl__run *run);

/* Under the lock: `f`, claimed, is run in this frame; and no longer, but the caller still has a reference. */
void fl__run_begin(struct fl__run *run, fl_future *f, enum fl__claim claim);
void fl__run_end(struct fl__run *run);

/* Runs the frame's task and ends its future; without the lock. */
void fl__run_task(struct fl__run *run);

/* How many tasks of `e` the calling context runs by fl__run_here() now. */
unsigned fl__run_depth(const fl_executor *e);

/* The first half of that of fl__run_task(), of `run->future` and `run->claim`: returns the task's error, and in `*message` its message. */
int fl__run_function(struct fl__run *run, char **message);

/* Whether the calling context runs the task of `f`. */
bool fl__run_is_within(const fl_future *f);

/* Whether the calling context runs a task whose token is under `token`. */
bool fl__run_is_under(const fl_cancel *token);

/* fl__ctx.block, for kinds with `block`. */
bool fl__run_block(struct fl__ctx *ctx, const void *future, bool begins);

/* Whether the calling context is in the service of `e`. */
bool fl__run_serves(const fl_executor *e);

/* What a task is given. */
struct fl_task_ctx {
	fl_cancel *token;
	fl_shm *const *regions;
	unsigned n_regions;
	char *message; /* as in fl_future: the one that it has set */
	bool keeps_result;
};

/*
 * Calls a task's function, with `ctx->token` as its scope. Returns what it returned; `ctx->message` is to be freed with
 * fl__message_free().
 */
int fl__task_call(const fl_task_type *type, const void *arg, void *result, fl_task_ctx *ctx);

/* The same in the scope that is set. */
int fl__task_run(const fl_task_type *type, const void *arg, void *result, fl_task_ctx *ctx);

/* For map.c: gives up the message that a task has set so far; NULL: none. */
char *fl__task_take_message(fl_task_ctx *ctx);

/* For chunk.c: forgets what a task that succeeded has said of a failure. */
void fl__task_forget_failure(fl_task_ctx *ctx);

#endif
