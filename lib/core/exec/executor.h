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
 * The part that all kinds of executors share. executor_ops.h lists what each kind implements.
 *
 * An executor knows each of its tasks (task blocks, task_blocks.h) until the task has ended. The
 * table "the life of a task" in docs/design.md has all states. Three words say where a task is:
 *
 *   word      the task
 *   queue     is pending
 *   running   runs in a frame of this list, or of the list `requested`; running_now counts both
 *   foreign   was claimed by a foreign context: neither by a worker that took it from a queue, nor
 *             by a submit that runs its own task; `foreign` also counts chains that are about to
 *             submit (then.c)
 *
 * A kind that runs tasks in other processes lists the tasks that are there itself
 * (process/remote/remote.c).
 *
 * A kind with `take_oldest` (the thread executor) keeps its pending tasks in a backlog of its own.
 * Its list_running() lists the tasks that its workers run. Therefore `running` contains only the
 * frames of contexts that help, of joins that run a task they have taken (fl__run_taken()), and of
 * submits that run their task. A task that a context helps with is both running and foreign, even
 * if that context is a worker.
 *
 * A foreign context claims a task, removes it from `queue` and counts it in `foreign`, all in one
 * critical section of the lock. A join waits until no task is queued, running or foreign, and until
 * is_busy(), if the kind has it, returns false.
 *
 * The struct of an executor lasts as long as its task blocks. A canceller does not know whether the
 * task has ended, so it may take the lock of an executor that was already freed; it then finds the
 * task claimed. Only the struct lasts: all other memory of the kind ends with the executor.
 *
 * A kind with a backlog of its own (`take_oldest`) may leave a claimed task there. Later a thread
 * takes the task out, finds it claimed, and frees the block. Until then the backlog owns only the
 * memory of the block (LEFT), because the claimer has taken over the producer's reference.
 *
 * `lock` guards all this. It is never held while a task, an initializer, a callback or a drop hook
 * runs. The locks are taken in this order: executor, future, token tree, parking lot. The list of
 * threads may also be locked under the executor's lock.
 */
struct fl__task_list {
	struct fl__task_block *head, *tail;
	size_t length;
};

/*
 * A bounded backlog has one permit for each task that may wait. A submit acquires a permit before
 * it makes the task block, and records in block->permit whether the task holds a permit. The
 * context that claims the task releases the permit. Tasks that are taken out of a closed or broken
 * executor keep theirs, because there a permit is always free: waiting submits go on, and are
 * refused.
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
	int32_t skip;                                  /* slow-path submits until the next that stamps */
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
	bool halted;            /* cancelled or broken: no pending task begins any more */
	int broken;             /* 0, or the error that submits return since the executor broke */
	char *why_broken;       /* set by fl__executor_break(), then constant */
	const char *why_killed; /* why this process has killed a worker, the last time; or NULL */
	unsigned waiters;       /* contexts that wait for `gone` */
	size_t idle_moments;    /* how often the executor became idle while there were waiters; wraps */
	struct fl__task_list queue;
	struct fl__run *running;
	struct fl__run *requested; /* frames whose tasks fl_executor_cancel() has asked to stop */
	size_t foreign;
	/* tasks run by fl__run_task(); a kind may count the tasks of its workers itself */
	size_t running_now, ran, failed;
	/* tasks that ended without running */
	size_t not_run;
	const fl_task_type *initialize; /* may be NULL */
	void *initialize_arg;           /* a copy; NULL if it has no size */
	/*
	 * The parent of the initializers' tokens. Cancelling the executor cancels this token in the
	 * critical section in which it takes out the pending tasks. Therefore no task is left for a
	 * worker whose initializer was stopped. The token is a root, and need not be destroyed.
	 */
	fl_cancel_token stop;
	struct fl_shm **regions;
	size_t bytes_max; /* of one argument or result */
	unsigned n_regions;
	bool elements_apart;                /* each chunk is one element: a worker may be replaced after it */
	char name[24];                      /* the config's */
	fl_executor *next_listed, **listed; /* the list of all executors: inspect/executors.c */
	uint64_t number;                    /* in the order of creation, from 1; 0 without that list */
	struct fl__permits permits;
	/*
	 * Submits that run on the submitter's stack are refused below this address, unless it is 0.
	 */
	uintptr_t stack_low;
	/*
	 * In a serial executor, the executor whose workers run the tasks; otherwise NULL. That
	 * executor may have been freed, so the pointer is only compared.
	 */
	const fl_executor *runner;
	bool lasts;       /* as long as the process: fl_executor_detach() only closes it */
	bool detached;    /* the library will free it */
	bool joining;     /* a context joins the last thread: fl__executor_join_thread() */
	sigset_t signals; /* the signals that are blocked in threads that run the user's code */
	struct fl__stats stats;
};

/*
 * Initializes what all kinds share. A kind with permits calls fl__permits_init() before. `e` is
 * zeroed, and `config` is not NULL. Returns 0, -ENOMEM or -EINVAL. After an error the caller frees
 * `e`. After success the caller uses fl__executor_fini(), which frees `e` together with its last
 * task block.
 */
int fl__executor_init(fl_executor *e, const struct fl__executor_ops *ops, unsigned workers,
                      const fl_executor_config *config);
void fl__executor_fini(fl_executor *e);

/*
 * Returns whether an executor may have `workers` workers. If not, logs an error in the name of
 * `function`.
 */
bool fl__executor_may_have(unsigned workers, unsigned most, const char *function);

unsigned fl__executor_worker_count(const fl_executor_config *config);

/*
 * Runs the initializer here, under a child of the token `parent`. `parent` is `e->stop`, which
 * fl_executor_cancel() cancels. As long as no other context knows `e`, it may be NULL, which stands
 * for the caller's scope. Returns 0, or the initializer's error, which has made `e` broken. If `e`
 * was cancelled before the initializer began, or while it ran, the result is 0, and `e` is not
 * broken.
 */
int fl__executor_initialize(fl_executor *e, fl_cancel_token *parent);

/* Makes `e` broken. Takes over `message`. */
void fl__executor_initialize_failed(fl_executor *e, int error, char *message);

/*
 * Does what fl_executor_submit_with() does, with an array of `count` arguments for one task.
 *
 * If `copied` is above 0, as for groups, the first `copied` bytes at on_end_arg are copied into the
 * task's block, and on_end gets a pointer to this copy. The token of a task of this process is then
 * APART (cancel.c), so the caller must keep the token config->cancel until on_end was called.
 */
int fl__submit(fl_executor *e, const fl_task_type *type, const void *arg, uint32_t count, fl_future **f,
               const fl_submit_config *config, size_t copied);

/*
 * Submits a task, and ignores the backlog's bound. The caller need only keep the task blocks of
 * `e`: if `e` was freed, the submit is refused with an error. A join of `e` waits for this call.
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
 * If `patience` is NULL, the call ignores the backlog's bound. If it is &fl__here, the call runs
 * the task.
 */
int fl__submit_waiting(fl_executor *e, const fl_task_type *type, const void *arg, uint32_t count, fl_future **f,
                       const fl_submit_config *config, size_t copied, const struct fl__patience *patience);

/* Opens or closes the short way, the fast path of fl_executor_submit() (submit.c). */
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

/* Returns whether this process is a forked child, and `e` was made by its parent. */
static inline bool fl__executor_is_forked(const fl_executor *e)
{
	return fl__is_forked(e->fork_count);
}

/*
 * Each public function of executors begins with one of these checks, except that submits do the
 * same check themselves. fl__executor_enter() is for functions that can return an error: it panics
 * if `e` is NULL, and returns -EOWNERDEAD in a forked child of the process that created `e`.
 * fl__executor_must_enter() is for functions that cannot; it panics in both cases.
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
 * The operations of the future of a task that runs in this process. A kind whose tasks run in other
 * processes has a table of its own, which begins with FL__TASK_FUTURE_OPS.
 */
extern const struct fl__future_ops fl__task_future_ops;

bool fl__task_on_claim_cancel(fl_future *f);
void fl__task_on_ended(fl_future *f);
#define FL__TASK_FUTURE_OPS .claim_cancel = fl__task_on_claim_cancel, .ended = fl__task_on_ended

/* Called without the lock. Subtracts `n` foreign tasks. Afterwards the claimers do not use `e`. */
void fl__executor_foreign_ended(fl_executor *e, size_t n);

/*
 * Runs the task at once. Takes over the producer's reference, unless it returns an error, which is
 * -EPIPE, -ENOTRECOVERABLE or -EOVERFLOW.
 */
int fl__run_here(fl_executor *e, struct fl__task_block *block);

/*
 * Called when the arguments are in the block. Initializes its future, with `refs` references, and
 * registers the callback. `copied` is the parameter of fl__submit(); the block has the memory for
 * the copy.
 */
static inline void fl__task_block_begin(struct fl__task_block *block, const struct fl__future_ops *ops,
                                        const fl_task_type *type, uint32_t refs, const fl_submit_config *config,
                                        size_t copied)
{
	const bool apart = copied > 0 && !ops; /* the tree tells another process of a request */
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
 * reference. If an error is returned, no other context has seen the block, and the call has freed
 * it.
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
 * Returns the bits that a foreign context sets when it claims a task of `e`: LEFT if the block may
 * be in a worker's local queue. The worker later takes the block out, and frees it.
 */
static inline uint32_t fl__executor_leaves(const fl_executor *e)
{
	return e->ops->claimed ? FL__FUTURE_LEFT : 0;
}

/*
 * Called under the lock by a foreign context that has just claimed the task, with the bits of
 * fl__executor_leaves(). Counts the task as foreign. The caller now owns the producer's reference
 * to the future, which fl__future_end_foreign() consumes.
 */
void fl__task_block_claimed(fl_executor *e, struct fl__task_block *block);

void fl__task_list_add(struct fl__task_list *queue, struct fl__task_block *block);
void fl__task_list_add_first(struct fl__task_list *queue, struct fl__task_block *block);
void fl__task_list_remove(struct fl__task_list *queue, struct fl__task_block *block);

/* Called under the lock. Returns whether the executor has no task. */
bool fl__executor_is_idle(const fl_executor *e);

/*
 * Called under the lock, when the executor may have become idle. If it is idle, notes that in
 * `idle_moments`, and wakes the waiters. A waiter then returns, even if a new task was submitted
 * before it runs.
 */
void fl__executor_tell_if_idle(fl_executor *e);

/*
 * Implements `join` for kinds with threads. Waits until `has_ended` returns true, which says that
 * no task is left, and that the last thread ends or was never started. Then one of the callers
 * releases the lock and joins the last thread.
 */
int fl__executor_join_thread(fl_executor *e, fl_thread **last, bool (*has_ended)(fl_executor *e), fl_time deadline,
                             fl_cancel_token *cancel) FL_REQUIRES(e->lock);

/* The number of detached executors that are not freed yet. It is atomic. */
extern uint32_t fl__executors_detached;

/*
 * Refuses all later tasks, and ends queued tasks with the message `text`. Both get the error that
 * the caller has stored in `broken` before, or -ENOTRECOVERABLE if that is 0.
 */
void fl__executor_break(fl_executor *e, const char *text);

/*
 * Ends queued tasks with `error` and the message `text`, but `e` accepts later tasks. Not for kinds
 * with `take_oldest`, whose backlog must be closed first.
 */
void fl__executor_end_queued(fl_executor *e, int error, const char *text);
