/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_EXECUTOR_H
#define FAIRLEAD_EXECUTOR_H

#include <errno.h>
#include <fairlead/bytes.h>
#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/error.h>
#include <fairlead/future.h>
#include <fairlead/task_type.h>
#include <fairlead/time.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

FL_BEGIN_DECLS

struct fl_shm; /* fairlead/shm.h */

/*
 * Executor: runs tasks. The same task runs on every kind; only the constructor differs.
 *
 *     FL_SCOPED(fl_executor) *pool = NULL;                    // joined and freed at the scope's end
 *     rc = fl_thread_executor_create(&pool, NULL);            // check
 *     rc = count_primes_map(pool, parts, 64, counts, NULL);   // check
 *
 * An executor is open; then closed (it refuses tasks, and runs the queued ones); then joined (all
 * tasks have ended, its threads are gone); then freed. Tasks may submit to their own executor and
 * wait, also with a single worker.
 *
 * A NULL executor is a panic, except in fl_executor_free().
 */
typedef struct fl_executor fl_executor;

/* What a submit does when fl_executor_config.backlog allows no further task. */
typedef enum fl_when_full {
	/*
	 * Waits, up to fl_submit_config.backlog_deadline. In a task of the same executor: as
	 * FL_FULL_RUN, unless that deadline has passed.
	 */
	FL_FULL_WAIT = 0,
	FL_FULL_REFUSE = 1, /* returns -ENOBUFS */
	/* Runs the task on the submitting thread, without the initializer. */
	FL_FULL_RUN = 2,
} fl_when_full;

typedef struct fl_executor_config {
	/*
	 * The most tasks that run at a time. A task that blocks (fairlead/blocking.h) does not
	 * count: another task runs meanwhile, and then both run. So one worker is no mutual
	 * exclusion. 0: the usable CPUs, see fl_cpu_count(). Ignored by kinds without workers.
	 */
	unsigned workers;
	const char *name; /* workers are named name-0, name-1, ...; 23 characters; NULL: "worker" */
	/*
	 * A task without a result, which each worker runs once, before its first task, with a copy
	 * of `*initialize_arg`. NULL: none. An error breaks the executor: pending tasks end with
	 * -ENOTRECOVERABLE, and later submits return that.
	 *
	 * The thread that frees the executor calls its hook `drop_arg` once, when all workers are
	 * gone: not in worker processes, other ranks or a forked child. If the creation fails, the
	 * argument is still the caller's.
	 */
	const fl_task_type *initialize;
	const void *initialize_arg;
	/*
	 * Regions that tasks find by fl_task_region(), in any process; on other machines copies
	 * (fairlead/mpi_executor.h). They must exist until the executor is freed.
	 */
	struct fl_shm *const *regions;
	unsigned n_regions; /* up to FL_REGIONS_MAX */
	/*
	 * Threads only: the most tasks that may be pending; 0: any number. A cancelled task does
	 * not count. Two kinds of submit ignore the bound: that of a chained task
	 * (fl_future_then()), and a submit at nesting depth 64 (a task that a submit runs itself
	 * submits the next).
	 */
	size_t backlog; /* up to FL_BACKLOG_MAX */
	fl_when_full when_full;
	/* A worker ends after so many idle ns; 0: never. A thread executor keeps one worker. */
	fl_duration idle_timeout;
	/* Up to `grace_period`: for processes only (fairlead/process_executor.h). */
	int max_tasks; /* a worker is replaced after so many tasks; 0: never */
	/*
	 * A worker is killed when a task has run for so many ns; 0: never. The task fails with
	 * -EOWNERDEAD: "its task ran for too long".
	 */
	fl_duration task_timeout;
	/*
	 * A worker is killed when its task still runs so many ns after its deadline, or a request
	 * to stop. 0: 100 ms after a deadline, never after a request. FL_DURATION_MAX:
	 * never.
	 */
	fl_duration grace_period;
	/* A task with more in an fl_bytes fails: -E2BIG. 0: FL_TASK_SIZE_MAX. */
	size_t bytes_max;
	uintptr_t more_[4];
} fl_executor_config;
#define FL_REGIONS_MAX 32
#define FL_BACKLOG_MAX 0x3fffffffu

/* What a kind of executor can do: fl_executor_capabilities(). */
enum {
	FL_CAP_BY_REFERENCE = 1 << 0, /* a pointer in an argument means the same to the task */
	FL_CAP_CONCURRENT = 1 << 1,   /* submit returns before the task has run */
	FL_CAP_NESTED = 1 << 2,       /* a task may submit to its own executor and wait */
};

/*
 * Creates an executor that runs each task at once, on the submitting thread. Returns 0, -ENOMEM,
 * or:
 *   -EINVAL  more than FL_REGIONS_MAX regions; or an initializer with a result, without the
 *            argument that it takes, or with an argument aligned above max_align_t
 * or the error of the initializer.
 */
FL_API FL_MUST_CHECK int fl_sequential_executor_create(fl_executor **e, const fl_executor_config *config);

/*
 * Creates an executor that runs tasks on threads. They block the signals that the caller blocks,
 * but never SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP and SIGSYS. A task that ends its thread by
 * pthread_exit() or pthread_cancel() fails with -EOWNERDEAD, and another worker takes its place
 * (docs/ends.md).
 *
 * Order. With one worker, tasks begin in the order of submission. With several workers, each takes up
 * to 16 tasks at once, and begins them in that order; what it has not begun, an idle worker takes. So
 * a task of one submitter may begin before up to 16 earlier ones of that submitter for each worker.
 * No task waits for ever while workers end tasks. After fl_executor_resize() between one and several
 * workers, tasks that wait already may begin in another order.
 *
 * Returns 0, -ENOMEM, or:
 *   -EINVAL  as fl_sequential_executor_create(); or more than FL_WORKERS_MAX workers, a backlog
 *            above FL_BACKLOG_MAX, an unknown `when_full`, an `idle_timeout` below 0
 */
FL_API FL_MUST_CHECK int fl_thread_executor_create(fl_executor **e, const fl_executor_config *config);
#define FL_WORKERS_MAX 4096u

/*
 * Submits a task. Copies `*arg` (NULL if its size is 0). Stores a future in `*f`, unless `f` is
 * NULL. An accepted task ends exactly once: done or cancelled. Waits only if the submit runs the
 * task itself (on the sequential executor, with FL_FULL_RUN, or with FL_FULL_WAIT in a task of
 * `e`), or if a full backlog with FL_FULL_WAIT blocks the calling context. Returns 0, -ENOMEM, or:
 *   -EPIPE            closed, before or during the wait
 *   -EOWNERDEAD       in a forked child, where no task of the parent's executor runs
 *   -ENOTRECOVERABLE  broken: see fl_executor_is_broken()
 *   -EAGAIN           there is no worker, and none can be started
 *   -ENOBUFS, -ETIMEDOUT, -ECANCELED
 *                     the backlog is full: see fl_when_full
 *   -E2BIG            argument plus result are above FL_TASK_SIZE_MAX, or aligned above
 *                     FL_TASK_ALIGN_MAX
 *
 * On an error the argument is still the caller's. Memory order: the task sees all writes before the
 * call.
 */
FL_API FL_MUST_CHECK int fl_submit(fl_executor *e, const fl_task_type *type, const void *arg, fl_future **f);

/*
 * What a passed deadline does to a task; those of its token and its group do the same.
 *
 *   not started   The task ends as cancelled, at the latest when its turn comes.
 *   running       fl_task_is_cancelled() is true, and waits return -ECANCELED.
 *
 * The error of a task that has not started, or returns -ECANCELED after its deadline, is
 * -ETIMEDOUT, with a message that says so unless the task has set one (fl_task_fail()). Any other
 * return of the task stands, also success. A request to stop does the same, with -ECANCELED.
 *
 * A task that neither checks nor waits runs on:
 *   sequential, threads   A join waits for the task.
 *   loop                  The task also delays all other tasks of the loop.
 *   processes             A task that still runs `grace_period` later is killed with its worker. It
 *                         fails with -ETIMEDOUT, or after a request with -EOWNERDEAD, and a message
 *                         that says why. After a deadline it is not tried again (`max_attempts`).
 */
typedef struct fl_submit_config {
	fl_time deadline;
	/* A request of this token cancels the task. NULL: none. The token must outlive the task. */
	fl_cancel_token *cancel;
	/*
	 * Ends a wait for the backlog, with -ETIMEDOUT. The wait observes `cancel`; if that is NULL, the caller's scope.
	 */
	fl_time backlog_deadline;
	fl_future_callback *on_end; /* as fl_future_on_end(), without memory of its own; NULL: none */
	void *on_end_arg;
	uintptr_t more_[2];
} fl_submit_config;

/* As fl_submit(), with conditions. */
FL_API FL_MUST_CHECK int fl_submit_with(fl_executor *e, const fl_task_type *type, const void *arg, fl_future **f,
                                        const fl_submit_config *config);

typedef struct fl_map_error {
	size_t index; /* the lowest index of a task that failed */
	int error;
	char message[FL_MESSAGE_MAX];
} fl_map_error;

typedef struct fl_map_config {
	/* Arguments a task; 0: chosen. On processes fewer, if their results exceed 64 KiB. */
	size_t chunk;
	fl_time deadline;
	fl_cancel_token *cancel; /* NULL: the caller's scope; FL_SHIELDED: none */
	fl_map_error *error;     /* filled in when the result is FL_ETASK; may be NULL */
	uintptr_t more_[4];
} fl_map_config;

/*
 * Runs the task for each of the `n` elements of `args`, with its result at the same index of
 * `results` (NULL if the result size is 0). Blocks until every started task has ended; a worker of
 * `e` runs tasks during the wait.
 *
 * Arguments and results stay the caller's; no drop hook runs. The result of a task that was not run
 * is untouched. A task that returns an error leaves its result, which began zeroed, as it is; on
 * processes a result above 64 KiB is zeroed then, unless the task kept it (fl_task_keep_result()).
 * If a worker dies in a chunk, only the element that it ran fails, with a zeroed result; the
 * elements after it count as not started. Returns:
 *   0         also if `n` is 0
 *   FL_ETASK  a task failed; tasks that had not started by then were not run
 *   -ETIMEDOUT, -ECANCELED
 *             tasks that had not started were not run; the others have ended, with their results
 * or an error of fl_submit().
 */
FL_API FL_MUST_CHECK int fl_map(fl_executor *e, const fl_task_type *type, const void *args, size_t n, void *results,
                                const fl_map_config *config);

/* Closes `e`: later submits are refused, also those of tasks. Queued tasks still run. */
FL_API void fl_executor_close(fl_executor *e);

/*
 * Closes `e`, cancels the tasks that have not started, and requests the running ones to stop.
 * Callbacks and drop hooks run on the calling thread. Returns how many tasks were cancelled.
 */
FL_API size_t fl_executor_cancel(fl_executor *e);

/*
 * As fl_executor_cancel(), but running tasks are left alone. A map or a parallel loop of which a
 * part runs may go on to its end. For a group such a task has failed, with -ECANCELED.
 */
FL_API size_t fl_executor_cancel_pending(fl_executor *e);

/*
 * As fl_executor_cancel(). A process executor also kills its workers: their tasks fail with
 * -ECANCELED, after a deadline with -ETIMEDOUT. A task that a worker had taken, but not begun, may
 * end as cancelled, uncounted.
 */
FL_API size_t fl_executor_terminate(fl_executor *e);

/*
 * Changes the maximum number of workers. Surplus workers end after their present task; tasks that
 * they have not started go to other workers. On threads no task begins after the return while
 * `workers` tasks run; a task that a worker had taken counts, a task that blocks
 * (fairlead/blocking.h) does not. On processes a surplus worker may still finish its task. Returns
 * 0, or:
 *   -EPIPE       `e` is closed
 *   -EOWNERDEAD  in a forked child
 *   -EINVAL      `workers` is 0 or above FL_WORKERS_MAX
 *   -ENOTSUP     neither a thread nor a process executor
 */
FL_API FL_MUST_CHECK int fl_executor_resize(fl_executor *e, unsigned workers);

/*
 * Closes `e` and waits until all its tasks have ended and its workers are gone. May be called
 * again. Blocks the calling context. Returns 0, or:
 *   -ECANCELED   `e` is closed, as after -ETIMEDOUT, and tasks or workers are left
 *   -EDEADLK     called from a task of `e`, on one of its workers, or in a callback of one of its
 *                tasks; nothing happened
 *   -EOWNERDEAD  in a forked child; nothing happened
 */
FL_API FL_MUST_CHECK int fl_executor_join_until(fl_executor *e, fl_time deadline, fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_executor_join(fl_executor *_e)
{
	return fl_executor_join_until(_e, FL_FOREVER, NULL);
}

/* As fl_executor_join(): -EINPROGRESS while tasks or workers are left. Then `e` is closed, too. */
FL_INLINE FL_MUST_CHECK int fl_executor_try_join(fl_executor *_e)
{
	const int _rc = fl_executor_join_until(_e, FL_NO_WAIT, FL_SHIELDED);
	return _rc == -ETIMEDOUT ? -EINPROGRESS : _rc;
}

/*
 * Waits until no task of `e` is pending or runs, and all callbacks have returned, also those of
 * tasks that are submitted during the wait. Does not close `e`. For some tasks of an executor:
 * fairlead/group.h. Blocks the calling context. Returns 0, -ECANCELED, or:
 *   -EDEADLK     as fl_executor_join()
 *   -EOWNERDEAD  in a forked child; nothing happened
 *
 * Memory order: the caller sees what the ended tasks wrote.
 */
FL_API FL_MUST_CHECK int fl_executor_wait_idle_until(fl_executor *e, fl_time deadline, fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_executor_wait_idle(fl_executor *_e)
{
	return fl_executor_wait_idle_until(_e, FL_FOREVER, NULL);
}

/*
 * Joins `e`, as fl_executor_join() without a cancel scope, and frees it. Futures stay valid. Panics
 * where fl_executor_join() returns -EDEADLK, and in a forked child if a task of `e` called fork();
 * in another child frees its copy without waiting.
 */
FL_API void fl_executor_free(fl_executor *e);

/*
 * Closes `e` and gives it up. Queued tasks still run; `e` is freed when the last has ended. The
 * caller must not use it again; futures stay valid. Calls of other threads with `e` must have
 * returned before, also the submit of a task of `e` that calls this. Until they end, tasks of `e`
 * may use fl_executor_current(); its submits return -EPIPE. A group or an iteration of `e` must
 * have ended before the call, or end within a task of `e`.
 *
 * A thread of the library, "executor-end", waits for the tasks and frees `e`. The end of the
 * process waits for neither, a dlclose() of the library for both (docs/threads.md). The tasks of
 * fl_loop_executor_create_on() end when that loop has run them or is freed. In a task of a process
 * executor a detach of fl_executor_current() frees nothing.
 *
 * Returns 0, or:
 *   -EAGAIN, -ENOMEM  no thread can be started, also during an unload
 *   -EOWNERDEAD       in a forked child, where fl_executor_free() does not wait
 */
FL_API FL_MUST_CHECK int fl_executor_detach(fl_executor *e);

/* The FL_CAP_... bits of `e`. */
FL_API uint32_t fl_executor_capabilities(const fl_executor *e);

/* The kind of `e`: "sequential", "threads", ... The string is static. */
FL_API const char *fl_executor_kind(const fl_executor *e);

/* The most tasks that run at a time. */
FL_API unsigned fl_executor_workers(const fl_executor *e);

/*
 * Whether `e` is broken: an initializer failed, or workers in other processes can never start.
 * Every later submit returns -ENOTRECOVERABLE. Or all ranks of an executor over MPI have died:
 * -EOWNERDEAD.
 */
FL_API bool fl_executor_is_broken(const fl_executor *e);

/*
 * Counts of an executor; 0 if a kind has no such number. Totals begin at 0 when it is created, and
 * again after SIZE_MAX.
 */
typedef struct fl_executor_stats {
	unsigned workers; /* as fl_executor_workers() */
	unsigned threads; /* existing workers: threads or processes */
	unsigned idle;    /* of them: have no task */
	unsigned blocked; /* of them: in a blocking section (fairlead/blocking.h) */
	unsigned waiting; /* of them: asleep in a wait of a task, for 5 ms or more */
	size_t pending;   /* tasks that were submitted and have not started */
	size_t running;   /* tasks that have started; a task counts that a process is to run next */
	size_t ended;     /* tasks that have ended: also these: */
	size_t failed;    /* with an error: have run, or could not be sent to a process */
	size_t cancelled; /* without a run: cancelled, or no worker could run them */
	size_t workers_started, workers_ended;
	size_t workers_killed;   /* of those that have ended: processes that a signal has ended */
	size_t stolen;           /* calls of fl_parallel_invoke() and loops, run by another worker */
	size_t backlog_waits;    /* submits that have waited for a full backlog */
	size_t backlog_refusals; /* submits that have returned -ENOBUFS */
} fl_executor_stats;

/*
 * Stores the counts of `e`, which are of different moments, and order nothing. Visits each worker.
 * Returns 0; -EOWNERDEAD: in a forked child.
 */
FL_API FL_MUST_CHECK int fl_executor_get_stats(const fl_executor *e, fl_executor_stats *stats);

/*
 * How long something took, in ns. Quantiles and the maximum are of the last one to two minutes;
 * quantiles are up to a quarter too high. While tasks are fewer than 50,000 a second, or come in
 * bursts of at most 64, each is measured; else about one in 64, which stands for those that follow.
 */
typedef struct fl_stats_times {
	uint64_t n, sum; /* since the creation; `n`: measured tasks, and those that they stand for */
	fl_duration p50, p99, max;
} fl_stats_times;

/* The times of one type of tasks. A chunk of a map or an iteration is one task. */
typedef struct fl_stats_type {
	const char *name;      /* valid until the executor is freed */
	fl_stats_times queued; /* from the submit to the start, modulo 36 minutes */
	fl_stats_times ran;
} fl_stats_type;

/*
 * Stores the times of a type of tasks: of `index` 0, 1, and so on, until the result is -ENOENT.
 *
 *     for (size_t i = 0; fl_executor_type_stats(e, i, &type) == 0; i++)
 *             printf("%s: at most %lld ns\n", type.name, (long long)type.ran.max);
 *
 * The first 15 types of which a task was measured have an index each. All further types are counted
 * together, under the name "other types", which has the last index. Returns 0, or:
 *   -ENOENT      no type has this index
 *   -EOWNERDEAD  in a forked child
 */
FL_API FL_MUST_CHECK int fl_executor_type_stats(const fl_executor *e, size_t index, fl_stats_type *stats);

/*
 * Appends the counts of all executors of this process as a text for Prometheus, in ASCII. A label
 * `number` is an executor's place in the order of creation. Returns 0, -ENOMEM, -E2BIG; after an
 * error `*text` is as before.
 */
FL_API FL_MUST_CHECK int fl_stats_text(fl_bytes *text);

/* The executor of the task that the calling context runs; NULL outside of tasks. */
FL_API fl_executor *fl_executor_current(void);

FL__SCOPED(fl_executor, fl_executor_free)

FL_END_DECLS

#endif
