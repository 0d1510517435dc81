/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "../base/panic.h"
#include "../hooks.h"
#include "../sync/mutex.h"
#include "../wait/context.h"
#include "executor_ops.h"
#include "run.h"
#include "task_blocks.h"
#include <fairlead/executor.h>
#include <fairlead/sem.h>
#include <fairlead/thread.h>
#include <string.h>

/*
 * The executor interface has what each kind of executor implements, and what all kinds share.
 *
 * An executor knows each of its tasks (task blocks, task_blocks.h) until the task has ended. The
 * table "the life of a task" in docs/design.md has all states. Three words say where a task is:
 *
 *   word      the task
 *   queue     is pending
 *   running   runs in a frame of this list, or of the list `requested`; running_now counts both
 *   foreign   was claimed, but neither by a worker's take nor by a submit that runs it; a chain
 *             that is about to submit counts here, too (then.c)
 *
 * A kind that runs tasks in other processes has a list of its own for the tasks that are there
 * (process/remote/remote.c).
 *
 * A kind with `take_oldest` (the thread executor) has its pending tasks in a backlog of its own.
 * list_running() lists the tasks that its workers run; `running` then has only the frames of
 * contexts that help, of joins that run a task they have taken (fl__run_taken()), and of submits
 * that run their task. A task that a context helps with is both running and foreign, also if that
 * context is a worker.
 *
 * A foreign context claims a task, removes it from `queue` and counts it, in one section of the
 * lock. A join waits until no task is queued, running or foreign, and until the kind's is_busy(),
 * if it has one, returns false.
 *
 * The struct of an executor lasts as long as its task blocks. So a canceller, which does not know
 * whether the task has ended, may take the lock of an executor that was freed, and finds the task
 * claimed. What the kind has beside the struct ends with the free.
 *
 * A kind with a backlog of its own (`take_oldest`) may leave a claimed task there, until a thread
 * takes it out, finds it claimed, and frees the block. The backlog then owns nothing but the memory
 * of the block (LEFT): the claimer has taken over the producer's reference.
 *
 * `lock` guards all this, and is never held while a task, an initializer, a callback or a drop hook
 * runs. The locks are taken in this order: executor, future, token tree, parking lot. Under the
 * executor's lock the list of threads may be locked, too.
 */
struct fl__task_list {
	struct fl__task_block *head, *tail;
	size_t length;
};

/*
 * A bounded backlog has one permit for each task that may wait. A submit takes a permit before it
 * makes the task block, and records in block->permit whether the task holds one. The context that
 * claims the task returns the permit, unless it takes the tasks out of a closed executor: once the
 * executor is closed or broken, a permit is always free, and waiting submits go on and are refused.
 */
struct fl__permits {
	fl_sem free;
	uint32_t bound; /* 0 if there is no bound; then tasks hold no permit */
	fl_when_full when_full;
	bool closed;            /* guarded by the executor's lock */
	size_t waits, refusals; /* for statistics */
};

enum { FL__STATS_TYPES = 16 };

/* The data of the statistics (inspect/stats.c). */
struct fl__stats {
	int32_t skip;                                  /* submits of the long way until one stamps */
	FL__WORD64 int64_t calm;                       /* the bucket of stats_is_calm() */
	struct fl__stats_context frame;                /* of all contexts in fl__run_task() */
	struct fl__stats_type *types[FL__STATS_TYPES]; /* NULL if not yet used */
};

struct fl_executor {
	const struct fl__executor_ops *ops;
	struct fl__task_blocks *blocks;
	unsigned workers;
	uint32_t fork_count; /* at the creation */
	uint32_t short_way;  /* submit.c */
	fl_mutex lock;
	fl_cond gone; /* signalled when a join or a wait for idleness may end */
	bool closed;
	bool halted;            /* no pending task begins any more: after a cancel or a break */
	int broken;             /* the error of submits since the break, or 0 */
	char *why_broken;       /* set by fl__executor_break(), then constant */
	const char *why_killed; /* of the last worker that this process has killed, or NULL */
	unsigned waiters;       /* contexts that wait for `gone` */
	size_t idle_moments;    /* how often the executor became idle while there were waiters; wraps */
	struct fl__task_list queue;
	struct fl__run *running;
	struct fl__run *requested; /* frames whose tasks a cancel of the executor has requested to stop */
	size_t foreign;
	/* tasks of fl__run_task(); a kind may count those of its workers itself */
	size_t running_now, ran, failed;
	/* tasks that ended without running */
	size_t not_run;
	const fl_task_type *initialize; /* may be NULL */
	void *initialize_arg;           /* a copy; NULL if it has no size */
	/*
	 * The parent of the initializers' tokens. A cancel requests it in the section of the lock
	 * in which it has taken out the pending tasks. So no task is left for a worker whose
	 * initializer was stopped. It is a root, and needs no destroy.
	 */
	fl_cancel_token stop;
	struct fl_shm **regions;
	size_t bytes_max; /* of one argument or result */
	unsigned n_regions;
	bool elements_apart;                /* a chunk has one element, since a worker may be replaced after each */
	char name[24];                      /* of the config */
	fl_executor *next_listed, **listed; /* the list of all executors: inspect/executors.c */
	uint64_t number;                    /* in the order of creation, from 1; 0 if that list is not linked */
	struct fl__permits permits;
	/*
	 * Submits that run on the submitter's stack are refused below this address, unless it is 0.
	 */
	uintptr_t stack_low;
	/*
	 * Of a serial executor: the executor whose workers run the tasks. Otherwise NULL. It may
	 * have been freed, so the address is only compared.
	 */
	const fl_executor *runner;
	bool lasts;       /* as long as the process: a detach only closes it */
	bool detached;    /* the library will free it */
	bool joining;     /* a context joins the last thread: fl__executor_join_thread() */
	sigset_t signals; /* what threads that run the user's code block */
	struct fl__stats stats;
};

/*
 * Initializes what all kinds share, after fl__permits_init() if the kind has permits. `e` is
 * zeroed, and `config` is not NULL. Afterwards fl__executor_fini() frees `e`, as soon as its last
 * task block is freed. Returns 0, -ENOMEM or -EINVAL; after an error the caller frees `e`.
 */
int fl__executor_init(fl_executor *e, const struct fl__executor_ops *ops, unsigned workers,
                      const fl_executor_config *config);
void fl__executor_fini(fl_executor *e);

/*
 * Returns whether an executor may have so many workers. If not, logs that in the name of
 * `function`.
 */
bool fl__executor_may_have(unsigned workers, unsigned most, const char *function);

unsigned fl__executor_worker_count(const fl_executor_config *config);

/*
 * Runs the initializer here, under a child of the token `parent`. That is `stop`, which a cancel of
 * the executor requests; or, while no other context has `e`, NULL, which stands for the caller's
 * scope. Returns 0, or the initializer's error, which has made `e` broken. An initializer that a
 * cancel of `e` has stopped, or that had not begun by then, breaks nothing: then the result is 0.
 */
int fl__executor_initialize(fl_executor *e, fl_cancel_token *parent);

/* Makes `e` broken. Takes over `message`. */
void fl__executor_initialize_failed(fl_executor *e, int error, char *message);

/*
 * Does what fl_executor_submit_with() does, with an array of `count` arguments for one task.
 *
 * Groups pass a `copied` above 0. Then on_end gets a pointer to a copy, in the task's block, of so
 * many bytes at on_end_arg. The token of a task of this process is APART (cancel.c), so the caller
 * must keep the token config->cancel until on_end was called.
 */
int fl__submit(fl_executor *e, const fl_task_type *type, const void *arg, uint32_t count, fl_future **f,
               const fl_submit_config *config, size_t copied);

/*
 * Submits a task, and ignores the backlog's bound, for a caller that keeps only the task blocks of
 * `e`: after the end of `e` it returns the error of a refusal. A join of `e` waits for the call.
 */
int fl__submit_kept(fl_executor *e, const fl_task_type *type, const void *arg, fl_future **f,
                    const fl_submit_config *config);

struct fl__patience {
	fl_time deadline;
	fl_cancel_token *cancel;
};

extern const struct fl__patience fl__here;

/*
 * Does what fl__submit() does, but waits for a permit as `patience` says, not as the config says.
 * With NULL it ignores the backlog's bound. With &fl__here it runs the task.
 */
int fl__submit_waiting(fl_executor *e, const fl_task_type *type, const void *arg, uint32_t count, fl_future **f,
                       const fl_submit_config *config, size_t copied, const struct fl__patience *patience);

/* Opens or closes the short way of fl_executor_submit(), which submit.c explains. */
static inline void fl__executor_set_short_way(fl_executor *e, bool open)
{
	const bool may = open && !e->ops->withdraw && e->permits.bound == 0;
	/* relaxed: a submit that reads an old value costs the statistics a sample */
	fl__store_relaxed(&e->short_way, may ? e->fork_count : FL__SHORT_WAY_CLOSED);
}

static inline bool fl__executor_has_short_way(const fl_executor *e)
{
	return fl__load_relaxed(&e->short_way) == e->fork_count; /* relaxed: as its store */
}

_Noreturn void fl__executor_missing(const char *function);
static inline void fl__executor_check(const fl_executor *e, const char *function)
{
	if (fl__unlikely(!e))
		fl__executor_missing(function);
}

/* Returns whether this is a forked child, and `e` is of its parent. */
static inline bool fl__executor_is_forked(const fl_executor *e)
{
	return fl__is_forked(e->fork_count);
}

/*
 * The first of these two functions begins each call of an executor that can return an error, except
 * that a submit has the same check itself: it panics for NULL, and returns -EOWNERDEAD in a forked
 * child of the process that has created `e`. The second one begins a call that cannot, and panics
 * in both cases.
 */
FL_MUST_CHECK static inline int fl__executor_enter(const fl_executor *e, const char *function)
{
	fl__executor_check(e, function);
	return fl__unlikely(fl__executor_is_forked(e)) ? -EOWNERDEAD : 0;
}

static inline void fl__executor_must_enter(const fl_executor *e, const char *function)
{
	if (fl__executor_enter(e, function) != 0)
		fl__panic(function, e, "an executor of the parent process, in a forked child");
}

/* Called under the lock. Returns 0, or the error with which a submit is refused. */
int fl__executor_refuses(const fl_executor *e);

/* The numbers of an executor's workers. Guarded by its lock. */
struct fl__numbers {
	uint64_t words[FL_WORKERS_MAX / 64];
};

/* Adds the lowest number that is not in the set, and returns it. Returns FL_WORKERS_MAX if all are in it. */
unsigned fl__numbers_add_lowest(struct fl__numbers *numbers);

/* Does nothing for FL_WORKERS_MAX and above. */
void fl__numbers_add(struct fl__numbers *numbers, unsigned number);
void fl__numbers_remove(struct fl__numbers *numbers, unsigned number);

/* The values of block->permit. */
enum fl__permit {
	FL__PERMIT_NONE,    /* needs no permit */
	FL__PERMIT_PENDING, /* holds a permit until it is claimed */
	FL__PERMIT_INLINE,  /* its submit runs it */
};

/* Returns 0 or -EINVAL. */
int fl__permits_init(struct fl__permits *permits, const fl_executor_config *config);

void fl__permit_release(fl_executor *e, enum fl__permit permit);

/* Called under the lock. From now on no submit waits for a permit. */
void fl__permits_close(fl_executor *e);

/*
 * The future of a task that runs in this process. A kind whose tasks run in other processes has a
 * table of its own, with FL__TASK_FUTURE_OPS.
 */
extern const struct fl__future_ops fl__task_future_ops;

bool fl__task_on_claim_cancel(fl_future *f);
void fl__task_on_ended(fl_future *f);
#define FL__TASK_FUTURE_OPS .claim_cancel = fl__task_on_claim_cancel, .ended = fl__task_on_ended

/* Called without the lock. Uncounts `n` foreign tasks, whose claimers do not use `e` afterwards. */
void fl__executor_foreign_ended(fl_executor *e, size_t n);

/*
 * Runs the task at once. Takes over the producer's reference, unless it returns an error, which is
 * -EPIPE, -ENOTRECOVERABLE or -EOVERFLOW.
 */
int fl__run_here(fl_executor *e, struct fl__task_block *block);

/*
 * Initializes the future of a block with arguments, with `refs` references, and registers the
 * callback. `copied` is that of fl__submit(); the block has the memory for the copy.
 */
static inline void fl__task_block_begin(struct fl__task_block *block, const struct fl__future_ops *ops,
                                        const fl_task_type *type, uint32_t refs, const fl_submit_config *config,
                                        size_t copied)
{
	const bool apart = copied > 0 && !ops; /* another process learns of a request by the tree */
	fl__future_init(&block->future, ops ? ops : &fl__task_future_ops, type, refs, apart ? NULL : config->cancel,
	                config->deadline);
	if (apart)
		fl__cancel_init_apart(&block->future.token, config->cancel, config->deadline);
	if (config->on_end) {
		struct fl__callback *callback = fl__task_block_callback(block);
		void *arg = config->on_end_arg;
		if (copied > 0)
			arg = memcpy(callback + 1, arg, copied);
		fl__future_register(&block->future, callback, config->on_end, arg);
	}
}

/*
 * Gives the task to its executor. Afterwards the block may be gone, unless the caller has a
 * reference. After an error no other context has seen the block, and the call has freed it.
 */
static inline int fl__task_block_submit(fl_executor *e, struct fl__task_block *block, enum fl__permit permit)
{
	if (permit != FL__PERMIT_NONE)
		block->permit = (uint8_t)permit;
	const int rc = permit == FL__PERMIT_INLINE ? fl__run_here(e, block) : e->ops->submit(e, block);
	if (fl__unlikely(rc != 0))
		fl__future_discard(&block->future);
	return rc;
}

/*
 * Returns the bits that a foreign context sets when it claims a task of `e`: LEFT if a worker may
 * have the block in its local queue. The worker takes it out later, and frees it.
 */
static inline uint32_t fl__executor_leaves(const fl_executor *e)
{
	return e->ops->claimed ? FL__FUTURE_LEFT : 0;
}

/*
 * Called under the lock by a foreign context that has just claimed the task, with
 * fl__executor_leaves(). Counts the task as foreign. The caller now has the producer's reference to
 * the future, for fl__future_end_foreign().
 */
void fl__task_block_claimed(fl_executor *e, struct fl__task_block *block);

void fl__task_list_add(struct fl__task_list *queue, struct fl__task_block *block);
void fl__task_list_add_first(struct fl__task_list *queue, struct fl__task_block *block);
void fl__task_list_remove(struct fl__task_list *queue, struct fl__task_block *block);

/* Called under the lock. Returns whether the executor has no task. */
bool fl__executor_is_idle(const fl_executor *e);

/*
 * Called under the lock, when the executor may have become idle. If it is idle, notes that in
 * `idle_moments`, and wakes the waiters. Each waiter is woken once: it returns although a task may
 * have come since.
 */
void fl__executor_tell_if_idle(fl_executor *e);

/*
 * The `join` of kinds with threads. Waits until `has_ended` returns true: no task is left, and the
 * last thread ends or was never started. Then one of the callers joins the last thread, with the
 * lock released.
 */
int fl__executor_join_thread(fl_executor *e, fl_thread **last, bool (*has_ended)(fl_executor *e), fl_time deadline,
                             fl_cancel_token *cancel) FL_REQUIRES(e->lock);

/* The number of detached executors that are not freed yet. It is atomic. */
extern uint32_t fl__executors_detached;

/*
 * Refuses all later tasks, and ends queued tasks with the message `text`. The error of a refusal
 * and of a queued task is the one that the caller has stored in `broken` before, or else
 * -ENOTRECOVERABLE.
 */
void fl__executor_break(fl_executor *e, const char *text);

/*
 * Queued tasks get the message `text`. `e` accepts later tasks. Not for kinds with `take_oldest`,
 * whose backlog must be closed first.
 */
void fl__executor_end_queued(fl_executor *e, int error, const char *text);
