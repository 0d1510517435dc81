/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_EXECUTOR_H
#define FAIRLEAD_EXECUTOR_H

#include <fairlead/bytes.h>
#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/error.h>
#include <fairlead/future.h>
#include <fairlead/task_type.h>
#include <fairlead/time.h>

FL_BEGIN_DECLS

struct fl_shm; /* fairlead/shm.h */

/*
 * An executor runs tasks. The same tasks run on every kind of executor; only the constructor
 * differs.
 *
 *     FL_SCOPED(fl_executor) *pool = NULL;                   // joined and freed at the scope's end
 *     rc = fl_thread_executor_create(&pool, NULL);           // check
 *     rc = count_primes_map(pool, parts, 64, counts, NULL);  // check
 *
 * An executor is open at first: it accepts tasks. When it is closed, it refuses further tasks and
 * still runs the queued ones. When it is joined, all its tasks have ended and its threads are gone.
 * Then it is freed.
 *
 * A task may submit tasks to its own executor and wait for them, even if the executor has a single
 * worker.
 *
 * Every function that takes an executor panics if it is NULL, except fl_executor_free(). In a
 * forked child, each call with an executor of the parent that can return an error returns
 * -EOWNERDEAD, and fl_executor_free() does nothing.
 */
typedef struct fl_executor fl_executor;

/* What a submit does when the executor's backlog is full (fl_executor_config.backlog). */
typedef enum fl_when_full {
	/*
	 * The submit waits, until fl_submit_config.backlog_deadline at most. In a task of the same
	 * executor this wait might never end, since the worker that has to take a pending task may
	 * be the one that waits. So a submit in a task of the same executor runs the new task
	 * itself, as FL_FULL_RUN does. If `backlog_deadline` has passed already, the submit returns
	 * -ETIMEDOUT, and does not run the task.
	 */
	FL_FULL_WAIT = 0,
	/* The submit returns -ENOBUFS. */
	FL_FULL_REFUSE = 1,
	/* The submitting thread runs the task itself, without the initializer of the workers. */
	FL_FULL_RUN = 2,
} fl_when_full;

typedef struct fl_executor_config {
	/*
	 * The most tasks that workers run at a time. 0 means the number of usable CPUs,
	 * fl_cpu_count(); for a loop executor it means FL_LOOP_EXECUTOR_DEFAULT. Kinds of executors
	 * without workers ignore this number.
	 *
	 * Two kinds of tasks do not count:
	 *
	 * - A task in a blocking section, or in a wait that counts as one (fairlead/blocking.h):
	 *   meanwhile another task runs. When the first task goes on, both run until one of them
	 *   ends.
	 * - A task that a submit or a wait runs itself.
	 *
	 * Tasks that wait for each other need as many workers as there are such tasks, or
	 * `workers_max`. If all workers of a thread executor wait while tasks are pending, the log
	 * says so once, and for what they wait.
	 */
	unsigned workers;
	/*
	 * For a thread executor whose tasks wait for each other, as the stages of a pipeline do:
	 * the most threads that it may have. 0 means `workers`. With more than `workers`, a task
	 * that has waited for 5 ms in any function of this library counts as one in a blocking
	 * section, so that another task can run. One thread more than needed is kept asleep for
	 * that. The creation of any other kind of executor returns -EINVAL if this is not 0.
	 */
	unsigned workers_max;
	/*
	 * The stack of each worker of a thread executor in bytes, as in fl_thread_config; 0 means
	 * the default. The creation of any other kind of executor returns -EINVAL if this is not 0.
	 */
	size_t stack_size;
	/*
	 * Workers are named name-0, name-1 and so on. 23 characters are kept; NULL means "worker".
	 */
	const char *name;
	/*
	 * The initializer: a task without a result, which each worker runs once, before its first
	 * task, with a copy of `*initialize_arg`. NULL means none. If it returns an error, the
	 * executor is broken: pending tasks end with -ENOTRECOVERABLE, and later submits return
	 * -ENOTRECOVERABLE. fl_executor_cancel() and fl_executor_terminate() ask a running
	 * initializer to stop, as they ask a running task, and then its error breaks nothing.
	 *
	 * The thread that frees the executor calls the initializer's hook `drop_arg` once, when all
	 * workers are gone. The hook is called only in the process that created the executor: not
	 * in worker processes, and not in other ranks of an MPI program. If the creation fails, the
	 * argument is still the caller's.
	 */
	const fl_task_type *initialize;
	const void *initialize_arg;
	/*
	 * Regions of shared memory, which tasks find by fl_task_region() in any process; tasks on
	 * other machines find copies (fairlead/mpi_executor.h). The regions must exist until the
	 * executor is freed.
	 */
	struct fl_shm *const *regions;
	unsigned n_regions; /* up to FL_REGIONS_MAX */
	/*
	 * The most tasks that may be pending, up to FL_BACKLOG_MAX; 0 means any number. Only thread
	 * executors have a bound. A cancelled task does not count, and its argument is freed with
	 * the last reference to its future. Two kinds of submit ignore the bound. The first is the
	 * submit of a chained task (fl_future_then()). The second is a submit inside of 64 nested
	 * tasks of this executor: if each submit runs its task itself and that task submits the
	 * next, the calls nest, and the bound is ignored at depth 64, to save the stack.
	 */
	size_t backlog;
	fl_when_full when_full;
	/*
	 * A worker ends when it has been idle for this many nanoseconds; 0 means never. A thread
	 * executor keeps one worker. It may have more than `workers` of them after tasks have
	 * blocked or waited (fairlead/blocking.h). While it has more than `workers` of them, an
	 * idle worker ends after a second at the latest, whatever this time is.
	 */
	fl_duration idle_timeout;
	/* A worker of a process executor is replaced after this many tasks; 0 means never. */
	int max_tasks;
	/*
	 * The most resident memory of a worker of a process executor, in bytes; 0 means any amount.
	 * A worker that has more after a task is replaced before its next task. If it has more than
	 * twice as much while a task runs, the worker is killed, and the task fails with -ENOMEM.
	 * "Memory of a worker" in fairlead/process_executor.h says what counts. The creation of any
	 * other kind of executor returns -EINVAL if this is not 0, except over MPI with `processes`
	 * of fl_mpi_config.
	 */
	size_t memory_max;
	/*
	 * A worker of a process executor is killed when a task has run for this many nanoseconds; 0
	 * means never. The task fails with -EOWNERDEAD and "its task ran for too long". The time
	 * of an initializer has no such limit.
	 */
	fl_duration task_timeout;
	/*
	 * A worker of a process executor is killed when its task still runs this many nanoseconds
	 * after its deadline, or when its task or its initializer does so after a request to stop.
	 * 0 means 100 ms after a deadline, and never after a request. FL_DURATION_MAX means never.
	 */
	fl_duration grace_period;
	/*
	 * The most bytes that an fl_bytes of a task may have; a task with more fails with -E2BIG. 0
	 * means FL_TASK_SIZE_MAX.
	 */
	size_t bytes_max;
	uintptr_t more_[4];
} fl_executor_config;
#define FL_REGIONS_MAX 32
#define FL_BACKLOG_MAX 0x3fffffffu

/* What a kind of executor can do: the bits that fl_executor_capabilities() returns. */
enum {
	FL_CAP_BY_REFERENCE = 1 << 0, /* a pointer in an argument means the same to the task */
	FL_CAP_CONCURRENT = 1 << 1,   /* submit returns before the task has run */
	FL_CAP_NESTED = 1 << 2,       /* a task may submit to its own executor and wait */
};

/*
 * Creates an executor that runs each task at once, on the submitting thread. `config` may be NULL.
 * The call runs the initializer, under the caller's cancel scope. Returns:
 *   0        `*e` is the new executor
 *   -ENOMEM  out of memory
 *   -EINVAL  the config has more than FL_REGIONS_MAX regions; or the initializer has a result, or
 *            its argument contains an fl_bytes or is aligned above max_align_t; or the initializer
 *            takes an argument and `initialize_arg` is NULL, or the reverse
 *   other    the error of the initializer
 */
FL_API FL_MUST_CHECK int fl_sequential_executor_create(fl_executor **e, const fl_executor_config *config);

/*
 * Creates an executor that runs tasks on threads. `config` may be NULL.
 *
 * With one worker from the creation on, tasks begin in the order of submission. With several
 * workers there is no such order: a worker takes up to 16 tasks at once and begins them one after
 * the other, and an idle worker takes over tasks that another worker has not begun. No task waits
 * forever while workers end tasks.
 *
 * Some tasks begin early. A worker that waits for a pending task of its executor runs that task at
 * once, and a worker that joins a group runs pending tasks that it has submitted to the group, the
 * newest first. A submit to a full backlog may run its task itself (fl_when_full).
 *
 * Memory: a task takes a block of 192 or 448 bytes, and one more allocation if its argument and
 * result do not fit there. The allocation is freed with the last reference to the task's future.
 * The block of a task that was cancelled, or that a waiter ran, may stay in a worker's queue until
 * a worker comes to it: at most 1,024 such blocks for each worker. Free blocks are used again; they
 * are freed when the executor and all futures of its tasks have been freed. The queues for tasks
 * from outside have 8 bytes for each, double when they are full, and do not shrink.
 *
 * The threads block the signals that the caller blocks, but never SIGSEGV, SIGBUS, SIGFPE, SIGILL,
 * SIGTRAP and SIGSYS. A task that ends its thread by pthread_exit() or pthread_cancel() panics
 * (docs/in-your-process.md). Returns:
 *   0        `*e` is the new executor
 *   -ENOMEM  out of memory
 *   -EINVAL  the config has more than FL_WORKERS_MAX workers, a `workers_max` above that or below
 *            the number of workers, more than FL_REGIONS_MAX regions, a `backlog` above
 *            FL_BACKLOG_MAX, an unknown `when_full`, or a negative `idle_timeout`;
 *            or the initializer has a result, or its argument contains an fl_bytes or is aligned
 *            above max_align_t; or the initializer takes an argument and `initialize_arg` is NULL,
 *            or the reverse
 */
FL_API FL_MUST_CHECK int fl_thread_executor_create(fl_executor **e, const fl_executor_config *config);
#define FL_WORKERS_MAX 4096u

/*
 * The conditions of fl_executor_submit_with(): a deadline, a cancel token, a callback.
 *
 *     fl_submit_config within = { .deadline = fl_after(FL_S(5)) };
 *     rc = count_primes_submit_with(pool, range, &f, &within);        // check
 *
 * A task is told to stop when its deadline passes, when its token is requested, and when the
 * deadline of its group passes or the group is cancelled. What happens depends on whether the task
 * has started:
 *
 * - A task that has not started ends as cancelled, at the latest when it would be started.
 * - For a running task fl_task_is_cancelled() becomes true, and its waits return -ECANCELED. The
 *   task itself decides when to return.
 *
 * After a deadline, the error of a task that had not started is -ETIMEDOUT, and so is that of a
 * running task that returns -ECANCELED. The message of the future says that the deadline passed,
 * unless the task has set a message by fl_task_fail(). After a request to stop, the error is
 * -ECANCELED in both cases. A running task that returns anything else than -ECANCELED, even
 * success, ends with what it returned.
 *
 * A task that neither asks fl_task_is_cancelled() nor waits runs on. What that means depends on the
 * executor:
 *   sequential  A join waits for the task.
 *   threads     A join waits for the task.
 *   loop        The task also delays all other tasks of the loop.
 *   processes   A task that still runs `grace_period` later is killed with its worker. It fails
 *               with -ETIMEDOUT after a deadline and with -EOWNERDEAD after a request, and a
 *               message that says why. After a deadline it is not tried again (`max_attempts`).
 *   MPI         A join waits for the task. With `processes` of fl_mpi_config the task is killed as
 *               on processes.
 */
typedef struct fl_submit_config {
	fl_time deadline; /* of the task; FL_FOREVER means none */
	/*
	 * A request of this token cancels the task. NULL means none. The token must outlive the
	 * task.
	 */
	fl_cancel_token *cancel;
	/*
	 * The deadline of the wait for a full backlog, after which the submit returns -ETIMEDOUT.
	 * This wait observes the token `cancel` or, if that is NULL, the caller's scope.
	 */
	fl_time backlog_deadline;
	/*
	 * A callback, called as on_end(future, on_end_arg) when the task ends. NULL means none. The
	 * rules of fl_future_on_end() hold for it, but it needs no memory of its own.
	 */
	fl_future_callback *on_end;
	void *on_end_arg;
	uintptr_t more_[2];
} fl_submit_config;

/*
 * Submits a task of `type` to `e`, with a copy of `*arg`. fl_executor_submit_with() submits it
 * under the conditions of `config`, which may be NULL. `arg` may be NULL if the argument has no
 * size. Both functions store a future in `*f`, unless `f` is NULL. An accepted task ends exactly
 * once: it is done or cancelled.
 *
 * The call returns without waiting for the task, with three exceptions. On a sequential executor it
 * runs the task itself. In a task of an executor over processes or MPI, a submit to
 * fl_executor_current() runs the new task itself, too. A submit that finds the backlog full runs
 * the new task itself with FL_FULL_RUN, or with FL_FULL_WAIT in a task of `e`. Elsewhere with
 * FL_FULL_WAIT the call blocks the calling context while the backlog is full. Returns:
 *   0                 the task is accepted
 *   -ENOMEM           out of memory
 *   -EPIPE            `e` is closed, or was closed during the wait
 *   -EOWNERDEAD       all ranks of an executor over MPI have died
 *   -ENOTRECOVERABLE  `e` is broken: see fl_executor_is_broken()
 *   -EAGAIN           there is no worker, and none can be started
 *   -ENOBUFS          the backlog is full, and `when_full` is FL_FULL_REFUSE
 *   -ETIMEDOUT        the backlog was full until the `backlog_deadline` of
 *                     fl_executor_submit_with()
 *   -ECANCELED        the wait for a full backlog was cancelled
 *   -E2BIG            argument plus result have more than FL_TASK_SIZE_MAX bytes, or one of them is
 *                     aligned above FL_TASK_ALIGN_MAX
 *   other             a further code that the header of this kind of executor lists:
 *                     fairlead/process_executor.h, fairlead/mpi_executor.h
 *
 * On an error the argument is still the caller's. Memory order: the task sees all that the caller
 * wrote before the call.
 */
FL_API FL_MUST_CHECK int fl_executor_submit(fl_executor *e, const fl_task_type *type, const void *arg, fl_future **f);
FL_API FL_MUST_CHECK int fl_executor_submit_with(fl_executor *e, const fl_task_type *type, const void *arg,
                                                 fl_future **f, const fl_submit_config *config);

typedef struct fl_map_error {
	size_t index; /* the lowest index of a task that failed */
	int error;
	char message[FL_MESSAGE_MAX];
} fl_map_error;

typedef struct fl_map_config {
	/*
	 * How many neighbouring arguments a worker takes at a time; 0 lets the library choose. A
	 * process executor takes fewer if the results of a chunk would exceed 64 KiB. With
	 * `memory_max` in the executor's config a worker takes one at a time.
	 */
	size_t chunk;
	fl_time deadline;        /* of the whole map; FL_FOREVER means none */
	fl_cancel_token *cancel; /* NULL means the caller's scope; FL_SHIELDED means none */
	fl_map_error *error;     /* where FL_ETASK stores the failure; may be NULL */
	uintptr_t more_[4];
} fl_map_config;

/*
 * Runs the task for each of the `n` elements of the array `args`. It stores each result at the same
 * index of `results`. `results` may be NULL if the result has no size. The call blocks the calling
 * context until every task that was started has ended. If the caller is a worker of `e`, it runs
 * tasks of the map itself while it waits. `config` may be NULL.
 *
 * The arguments and results stay the caller's, so no drop hook runs. The result of an element whose
 * task did not run is unchanged. The result of an element whose task ran is zeroed before the task
 * begins. If the task then returns an error, the result has what the task wrote to it. There is one
 * exception on a process executor: the result of a failed task is zeroed if it has more than 64
 * KiB, unless the task has kept it (fl_task_keep_result()). If a worker process dies in a chunk,
 * only the element that it ran fails, with a zeroed result; the elements after it count as not
 * started. Returns:
 *   0           all tasks have succeeded, or `n` is 0
 *   FL_ETASK    a task failed. After the map had learned of the failure, it started no element with
 *               a higher index. `config->error` describes the failure with the lowest index
 *   -ETIMEDOUT  the deadline passed, and some tasks were not run, or returned -ECANCELED; all tasks
 *               that ran have ended, with their results
 *   -ECANCELED  the map was cancelled, or its executor was (fl_executor_cancel(),
 *               fl_executor_cancel_pending(), fl_executor_terminate()), and some tasks were not
 *               run, or returned -ECANCELED; all tasks that ran have ended, with their results
 *   other       an error of fl_executor_submit(): some elements, or all, were not run; the results
 *               of those that ran are stored
 */
FL_API FL_MUST_CHECK int fl_executor_map(fl_executor *e, const fl_task_type *type, const void *args, size_t n,
                                         void *results, const fl_map_config *config);

/*
 * Closes `e`: it refuses later submits, also those of its own tasks. Queued tasks still run. The
 * call does not wait.
 */
FL_API void fl_executor_close(fl_executor *e);

/*
 * Closes `e`, cancels the tasks that have not started, and requests the running ones to stop, and
 * the initializers that run. Callbacks and drop hooks of the cancelled tasks run on the calling
 * thread. The call does not wait for running tasks. It returns how many tasks it has cancelled.
 * Tasks that workers were just about to begin end as cancelled, too, on those workers, and are not
 * counted.
 */
FL_API size_t fl_executor_cancel(fl_executor *e);

/*
 * Closes `e`, and cancels the tasks that have not started, but leaves running tasks alone. It
 * returns how many tasks were cancelled. Callbacks and drop hooks of the cancelled tasks run on the
 * calling thread. A map or a parallel loop of which a part runs already may go on to its end. A
 * group counts a task that was cancelled by fl_executor_cancel(), fl_executor_cancel_pending() or
 * fl_executor_terminate() as failed with -ECANCELED.
 */
FL_API size_t fl_executor_cancel_pending(fl_executor *e);

/*
 * Cancels all tasks of `e`, and kills its worker processes. It closes `e` and cancels tasks as
 * fl_executor_cancel() does. Worker processes exist only in an executor over processes, and in one
 * over MPI with `processes` of fl_mpi_config. The call returns how many tasks were cancelled. The
 * tasks of killed workers fail with -ECANCELED or, after their deadline, with -ETIMEDOUT. A task
 * that a worker had taken but not begun may end as cancelled without being counted.
 */
FL_API size_t fl_executor_terminate(fl_executor *e);

/*
 * Changes the maximum number of workers. If there are more workers than that, the surplus ones end
 * after their present task, and tasks that they have taken but not started go to other workers. The
 * call does not wait for them.
 *
 * On threads, the new maximum holds from the next task of each worker on; a worker that is
 * about to take one at this moment may still run it. The kinds of tasks that
 * fl_executor_config.workers does not count are not counted here, either. On processes,
 * a surplus worker may still finish its task. Returns:
 *   0         the maximum is changed
 *   -EPIPE    `e` is closed
 *   -EINVAL   `workers` is 0 or above FL_WORKERS_MAX
 *   -ENOTSUP  `e` is neither a thread executor nor a process executor
 */
FL_API FL_MUST_CHECK int fl_executor_resize(fl_executor *e, unsigned workers);

/*
 * Closes `e`, and waits until all its tasks have ended and its workers are gone. Both functions
 * block the calling context, and may be called again. Returns:
 *   0           all tasks have ended, and the workers are gone
 *   -ECANCELED  the wait was cancelled; `e` is closed, and tasks or workers are left
 *   -ETIMEDOUT  the deadline of fl_executor_join_until() passed; `e` is closed, and tasks or
 *               workers are left
 *   -EDEADLK    the call is made in a task of `e`, on one of its workers, or in a callback of one
 *               of its tasks; or `e` is a loop executor, and the call would keep its loop from
 *               running (fairlead/loop_executor.h); nothing happened
 */
FL_API FL_MUST_CHECK int fl_executor_join_until(fl_executor *e, fl_time deadline, fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_executor_join(fl_executor *_e)
{
	return fl_executor_join_until(_e, FL_FOREVER, NULL);
}

/*
 * Joins `e` if it was closed and nothing is left to wait for. It closes nothing, and never waits.
 * Returns:
 *   0         all tasks have ended, and the workers are gone
 *   -EAGAIN   `e` is open, or tasks or workers are left
 *   -EDEADLK  the call is made in a task of `e`, on one of its workers, or in a callback of one of
 *             its tasks
 */
FL_API FL_MUST_CHECK int fl_executor_try_join(fl_executor *e);

/*
 * Waits for a moment in which no task of `e` is pending or runs, and all callbacks of its tasks
 * have returned. It waits for tasks that are submitted before that moment, too. If a task is
 * submitted after that moment, the call returns all the same. It does not close `e`. Both functions
 * block the calling context. To wait for some of an executor's tasks, use a group
 * (fairlead/group.h). Returns:
 *   0           no task was pending or running
 *   -ECANCELED  the wait was cancelled
 *   -ETIMEDOUT  the deadline of fl_executor_wait_idle_until() passed
 *   -EDEADLK    the call is made in a task of `e`, on one of its workers, or in a callback of one
 *               of its tasks; or `e` is a loop executor, and the call would keep its loop from
 *               running (fairlead/loop_executor.h)
 *
 * Memory order: the caller sees what the ended tasks wrote.
 */
FL_API FL_MUST_CHECK int fl_executor_wait_idle_until(fl_executor *e, fl_time deadline, fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_executor_wait_idle(fl_executor *_e)
{
	return fl_executor_wait_idle_until(_e, FL_FOREVER, NULL);
}

/*
 * Closes and joins `e`, and frees it. It waits for all tasks, and a cancel does not end this wait.
 * Futures stay valid. NULL has no effect.
 *
 * It panics where fl_executor_join() returns -EDEADLK.
 */
FL_API void fl_executor_free(fl_executor *e);

/*
 * Closes `e`, and leaves its end to the library: queued tasks still run, and `e` is freed when the
 * last task has ended. The call does not wait for them. Futures stay valid.
 *
 * The caller must not use `e` again. All calls of other threads with `e` must have returned before
 * this call. If a task of `e` makes this call, the submit of that task must have returned, too.
 * Tasks of `e` that still run may use fl_executor_current() until they end; a submit to it returns
 * -EPIPE. Join each group and free each iteration that uses `e` before this call. But a task of `e`
 * may join its own groups, and free its own iterations, after this call, too.
 *
 * A thread of the library, "executor-end", waits for the tasks and frees `e`. The end of the
 * process waits neither for this thread nor for the tasks. A dlclose() of the library waits for
 * both (docs/in-your-process.md). The tasks of fl_loop_executor_create_on() end when that loop has
 * run them or is freed. In a task of an executor over processes or MPI, a detach of
 * fl_executor_current() frees nothing. Returns:
 *   0        the library will free `e`
 *   -EAGAIN  no thread can be started, or the library is being unloaded
 *   -ENOMEM  out of memory for a thread
 */
FL_API FL_MUST_CHECK int fl_executor_detach(fl_executor *e);

/* Returns what `e` can do, as a combination of FL_CAP_... bits. */
FL_API uint32_t fl_executor_capabilities(const fl_executor *e);

/* Returns the kind of `e`, such as "sequential" or "threads". The string is static. */
FL_API const char *fl_executor_kind(const fl_executor *e);

/*
 * Returns the most tasks that the workers of `e` run at a time. The number comes from `workers` of
 * the config, which says what it does not count, or from fl_executor_resize(). For a sequential
 * executor it is 1, although each submitting thread runs its own task.
 */
FL_API unsigned fl_executor_workers(const fl_executor *e);

/*
 * Returns whether `e` is broken. An executor breaks when an initializer fails, or when its workers
 * in other processes can never start. Every later submit then returns -ENOTRECOVERABLE. An executor
 * over MPI also breaks when all its ranks have died; every later submit then returns -EOWNERDEAD.
 */
FL_API bool fl_executor_is_broken(const fl_executor *e);

/*
 * The counts of an executor. A count that a kind of executor does not have is 0. Totals begin at 0
 * when the executor is created, and begin again at 0 after SIZE_MAX.
 */
typedef struct fl_stats_executor {
	unsigned workers; /* what fl_executor_workers() returns */
	unsigned threads; /* workers that exist: threads or processes */
	/*
	 * Existing workers that have no task. A thread executor counts only the workers that sleep.
	 * It does not count a worker that searches for a task, or that runs a stolen
	 * fl_parallel_invoke() call or loop part for another worker.
	 */
	unsigned idle;
	unsigned blocked; /* existing workers in a blocking section (fairlead/blocking.h) */
	/*
	 * Existing workers, not in a blocking section, that have slept for 5 ms or more in a wait
	 * of their task.
	 */
	unsigned waiting;
	/*
	 * Tasks that were submitted and have not started. Of the tasks that were cancelled, or that
	 * a wait has run, a thread executor also counts those that still lie in the queue of a
	 * worker, up to 1,024 for each worker.
	 */
	size_t pending;
	size_t running;   /* tasks that have started, or that were sent to a process to run next */
	size_t ended;     /* tasks that have ended in any way */
	size_t failed;    /* ended tasks with an error that have run, or could not be sent */
	size_t cancelled; /* ended tasks that have not run: cancelled, or no worker could run them */
	size_t workers_started, workers_ended;
	size_t workers_killed;   /* workers that have ended because a signal ended their process */
	size_t stolen;           /* fl_parallel_invoke() calls and loop parts that others took */
	size_t backlog_waits;    /* submits that have waited for a full backlog */
	size_t backlog_refusals; /* submits that have returned -ENOBUFS */
} fl_stats_executor;

/*
 * Stores the counts of `e` in `*stats`. The counts may be from slightly different moments, and the
 * call orders no memory accesses. Its time grows with the number of workers. Returns:
 *   0  the counts are stored
 */
FL_API FL_MUST_CHECK int fl_executor_stats(const fl_executor *e, fl_stats_executor *stats);

/*
 * How long something took, in nanoseconds.
 *
 * The quantiles and the maximum cover the last one to two minutes, and the quantiles are up to a
 * quarter too high. A quantile below 256 ns is given as 256 ns or, if that is less, as the maximum.
 * Each task is measured while tasks are fewer than 50,000 a second, or come in bursts of at most
 * 64. When there are more tasks, about one in 64 is measured. A measured task is counted with a
 * weight: it also stands for the tasks after it, up to the next measured one.
 */
typedef struct fl_stats_times {
	uint64_t n, sum; /* tasks, and the sum of their times, since the creation */
	fl_duration p50, p99, max;
} fl_stats_times;

/*
 * The times of one type of tasks. A chunk of an iteration counts as one task of its type, and so
 * does a chunk of a map over processes or MPI. On other executors the tasks of a map have the type
 * "fl__map". There are at most as many of them as workers, and each runs many chunks. The tasks
 * that a parallel loop submits have the type "fl__parallel".
 */
typedef struct fl_stats_type {
	const char *name;      /* valid until the executor is freed */
	fl_stats_times queued; /* from the submit to the start, modulo 36 minutes */
	fl_stats_times ran;
} fl_stats_type;

/*
 * Stores in `*stats` the times of one type of tasks. Call it with `index` 0, 1, and so on, until
 * the result is -ENOENT.
 *
 *     for (size_t i = 0; fl_executor_type_stats(e, i, &type) == 0; i++)
 *             printf("%s: at most %lld ns\n", type.name, (long long)type.ran.max);
 *
 * Each of the first 15 types of which a task was measured has an index of its own. All further
 * types are counted together, under the name "other types", which has the last index. Returns:
 *   0        the times are stored
 *   -ENOENT  no type has this index
 */
FL_API FL_MUST_CHECK int fl_executor_type_stats(const fl_executor *e, size_t index, fl_stats_type *stats);

/*
 * Appends the counts of all executors of this process to `*text`. They are in the text format of
 * Prometheus, in ASCII. The label `number` tells executors apart: it is the executor's place in the
 * order of creation. Returns:
 *   0        the counts are appended
 *   -ENOMEM  out of memory; `*text` is unchanged
 *   -E2BIG   the text would be longer than an fl_bytes can be; `*text` is unchanged
 */
FL_API FL_MUST_CHECK int fl_stats_text(fl_bytes *text);

/* Returns the executor of the task that the calling context runs, or NULL outside of tasks. */
FL_API fl_executor *fl_executor_current(void);

/*
 * Returns the number of the worker that runs the calling task, from 0. Workers that run tasks of a
 * thread executor at the same time have different numbers, so a number can be the index of a buffer
 * that only one task uses at a time:
 *
 *     struct buffer buffers[8];                               // .workers = 8
 *     struct buffer *mine = &buffers[fl_executor_current_worker()];
 *
 * The number is always less than FL_WORKERS_MAX. It is less than fl_executor_workers() if the config
 * has no `workers_max`, fl_executor_resize() has not reduced the workers, and no task of the
 * executor has been in a blocking section or a wait that counts as one (fairlead/blocking.h), has
 * waited for a task, or has run on a thread that is not a worker.
 *
 * The number stays the same until the task returns, except across fl_parallel_invoke() and parallel
 * loops: each of their calls has the number of the worker that makes it, and a thread that takes
 * part in its loop counts as a worker. A task that waits may run
 * another task on its worker meanwhile, so do not use the buffer across a wait.
 *
 * The number is 0 outside of tasks, in an initializer and in a future's callback, on all other kinds
 * of executors, and in a task that a thread other than a worker of the executor runs (FL_FULL_RUN).
 */
FL_API unsigned fl_executor_current_worker(void);

FL__SCOPED(fl_executor, fl_executor_free)

FL_END_DECLS

#endif
