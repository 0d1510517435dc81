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
 * An executor runs tasks. Every kind of executor runs the same tasks.
 *
 *     FL_SCOPED(fl_executor) *pool = NULL;                   // joined and freed at the scope's end
 *     rc = fl_thread_executor_create(&pool, NULL);           // check
 *     rc = count_primes_map(pool, parts, 64, counts, NULL);  // check
 *
 * A task may submit tasks to its own executor and wait for them, even with one worker.
 */
typedef struct fl_executor fl_executor;

/* What a submit does when the `backlog` is full. */
typedef enum fl_when_full {
	/*
	 * The submit waits, at most until `backlog_deadline` (-ETIMEDOUT). However, in a task of
	 * the same executor it runs the new task itself, unless the deadline has passed.
	 */
	FL_FULL_WAIT = 0,
	/* The submit returns -ENOBUFS. */
	FL_FULL_REFUSE = 1,
	/* The submitting thread runs the task itself, without the initializer. */
	FL_FULL_RUN = 2,
} fl_when_full;

typedef struct fl_executor_config {
	/*
	 * The most tasks that workers run at a time, at most FL_WORKERS_MAX. 0 means
	 * fl_cpu_count(). A loop executor has other numbers (fairlead/loop_executor.h). A task does
	 * not count while it is in a blocking section (fairlead/blocking.h), or if a submit or a
	 * wait runs it.
	 */
	unsigned workers;
	/*
	 * The most threads of a thread executor: 0 for `workers`, or from `workers` to
	 * FL_WORKERS_MAX. Other executors refuse it (-EINVAL). Tasks that wait for each other, as
	 * the stages of a pipeline do, need as many threads as there are such tasks. If there may
	 * be more threads than `workers`, another task can run once a task has waited for 5 ms in
	 * any function of this library.
	 */
	unsigned workers_max;
	/*
	 * The stack of each worker thread in bytes, as in fl_thread_config; 0 means the default.
	 * Only a thread executor takes another value (-EINVAL).
	 */
	size_t stack_size;
	/*
	 * Workers are named name-0, name-1 and so on. NULL means "worker"; 23 characters are kept.
	 */
	const char *name;
	/*
	 * The initializer: a task that each worker runs before its first task, with a copy of
	 * `*initialize_arg`; NULL means none. It must have no result, and no argument that contains
	 * an fl_bytes or is aligned above max_align_t. If it takes none, `initialize_arg` is NULL.
	 *
	 * If the initializer fails before the executor is cancelled, the executor is broken:
	 * pending tasks and later submits fail with -ENOTRECOVERABLE. The thread that frees the
	 * executor calls the initializer's hook `drop_arg`.
	 */
	const fl_task_type *initialize;
	const void *initialize_arg;
	/*
	 * Regions of shared memory, for fl_task_region(), which must exist until the executor is
	 * freed.
	 */
	struct fl_shm *const *regions;
	unsigned n_regions; /* up to FL_REGIONS_MAX */
	/*
	 * The most pending tasks of a thread executor, up to FL_BACKLOG_MAX; 0 means any number. A
	 * cancelled task does not count. Chained tasks (fl_future_then()) ignore the bound. So does
	 * a submit that would run its task itself, if 64 such tasks are nested already.
	 */
	size_t backlog;
	fl_when_full when_full;
	/*
	 * A worker ends when it has been idle for this many nanoseconds; 0 means never. A thread
	 * executor keeps one.
	 */
	fl_duration idle_timeout;
	/* A worker process is replaced after this many tasks; 0 means never. */
	int max_tasks;
	/*
	 * The most resident memory of a worker process in bytes; 0 means any amount. Only executors
	 * of processes take another value (-EINVAL): see "Memory of a worker" in
	 * fairlead/process_executor.h.
	 */
	size_t memory_max;
	/*
	 * A worker process is killed when its task has run for this many nanoseconds; 0 means
	 * never. The task fails with -EOWNERDEAD. An initializer has no limit.
	 */
	fl_duration task_timeout;
	/*
	 * A worker process is killed if its task still runs this many nanoseconds after its
	 * deadline, or its task or initializer still runs that long after a cancel. 0 means 100 ms
	 * after a deadline, and never after a cancel; FL_DURATION_MAX means never. The task fails
	 * with -ETIMEDOUT after its deadline, otherwise with -EOWNERDEAD.
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

/* The bits of fl_executor_capabilities(). */
enum {
	FL_CAP_BY_REFERENCE = 1 << 0, /* a pointer in an argument means the same to the task */
	FL_CAP_CONCURRENT = 1 << 1,   /* submit returns before the task has run */
	FL_CAP_NESTED = 1 << 2,       /* a task may submit to its own executor and wait */
};

/*
 * Creates an executor that runs each task at once, on the submitting thread. This call runs the
 * initializer. Returns 0, -ENOMEM, -EINVAL if the config is invalid (see its members), or the error
 * of the initializer.
 */
FL_API FL_MUST_CHECK int fl_sequential_executor_create(fl_executor **e, const fl_executor_config *config);

/*
 * Creates an executor that runs tasks on threads. Returns 0, -ENOMEM, or -EINVAL if the config is
 * invalid (see its members).
 *
 * With one worker, tasks usually begin in the order of submission, but a task for which a worker
 * waits may begin earlier. As long as workers end tasks, no task waits forever.
 */
FL_API FL_MUST_CHECK int fl_thread_executor_create(fl_executor **e, const fl_executor_config *config);
#define FL_WORKERS_MAX 4096u

/*
 * The conditions of fl_executor_submit_with(): a deadline, a cancel token, a callback.
 *
 *     fl_submit_config within = { .deadline = fl_after(FL_S(5)) };
 *     rc = count_primes_submit_with(pool, range, &f, &within);        // check
 *
 * A task is cancelled when its deadline or that of its group passes, or when its token or its group
 * is cancelled. If it has not started, it ends without running. If it runs, fl_task_is_cancelled()
 * becomes true, and its waits return -ECANCELED, but the task itself decides when to return. Only a
 * worker process is killed if its task does not return (`grace_period`).
 *
 * If the task never starts, or returns -ECANCELED, its error is -ETIMEDOUT after a deadline, and
 * otherwise -ECANCELED. A task that returns anything else, even success, ends with what it
 * returned.
 */
typedef struct fl_submit_config {
	fl_time deadline; /* of the task; FL_FOREVER means none */
	/* The task is cancelled with this token, which must outlive it. NULL means none. */
	fl_cancel_token *cancel;
	/*
	 * When to give up waiting for a full backlog (-ETIMEDOUT). The wait observes `cancel` or,
	 * if that is NULL, the caller's scope.
	 */
	fl_time backlog_deadline;
	/* Called as on_end(future, on_end_arg), as by fl_future_on_end(). NULL means none. */
	fl_future_callback *on_end;
	void *on_end_arg;
	uintptr_t more_[2];
} fl_submit_config;

/*
 * Submits a task of `type` to `e`, with a copy of `*arg`, and stores its future in `*f`, unless `f`
 * is NULL. `arg` may be NULL if the argument has no size. fl_executor_submit_with() adds the
 * conditions of `config`.
 *
 *     rc = count_primes_submit(pool, range, &f);      // FL_TASK(count_primes, struct range, ...)
 *     if (rc == 0)
 *             rc = count_primes_get(f, &n);           // waits for the task
 *
 * Neither function waits for the task, but with FL_FULL_WAIT they block the calling context while
 * the backlog is full. Returns 0, -ENOMEM, -EOWNERDEAD, or:
 *   -EPIPE            `e` is closed, or was closed during the wait
 *   -EOWNERDEAD       all ranks of an executor over MPI have died
 *   -ENOTRECOVERABLE  `e` is broken: see fl_executor_is_broken()
 *   -EAGAIN           there is no worker, and none can be started
 *   -ENOBUFS          the backlog is full, and `when_full` is FL_FULL_REFUSE
 *   -ETIMEDOUT        the backlog was full until `backlog_deadline`
 *   -ECANCELED        the wait for a full backlog was cancelled
 *   -E2BIG            argument plus result have more than FL_TASK_SIZE_MAX bytes, or one of them is
 *                     aligned above FL_TASK_ALIGN_MAX
 *   other             see fairlead/process_executor.h and fairlead/mpi_executor.h
 *
 * On an error the argument is still yours. The call itself runs the task on a sequential executor,
 * where fl_when_full says so, and in a worker process or a rank that submits to
 * fl_executor_current(). Memory order: the task sees all that the caller wrote before the call.
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
	/* How many neighbouring arguments a worker takes at a time; 0 lets the library choose. */
	size_t chunk;
	fl_time deadline;        /* of the whole map; FL_FOREVER means none */
	fl_cancel_token *cancel; /* NULL means the caller's scope; FL_SHIELDED means none */
	fl_map_error *error;     /* where FL_ETASK stores the failure; may be NULL */
	uintptr_t more_[4];
} fl_map_config;

/*
 * Runs the task for each of the `n` elements of the array `args`, and stores each result at the
 * same index of `results`, which may be NULL if the result has no size. It blocks the calling
 * context until every task that was started has ended.
 *
 *     rc = count_primes_map(pool, ranges, 64, counts, NULL);  // waits for all 64 tasks
 *     if (rc != 0)
 *             return fl_perror(rc, "map");    // FL_ETASK: also prints which task failed, and why
 *
 * Returns:
 *   0           all tasks have succeeded, or `n` is 0
 *   FL_ETASK    a task failed; `config->error` describes the failure with the lowest index. Once
 *               the map had noticed it, it started no element with a higher index
 *   -ETIMEDOUT  the deadline passed, and some tasks were not run, or returned -ECANCELED
 *   -ECANCELED  the same after a cancel of the map, or of the executor by fl_executor_cancel(),
 *               fl_executor_cancel_pending() or fl_executor_terminate()
 *   other       an error of fl_executor_submit(): some elements, or all, were not run
 *
 * After an error, the results of the tasks that succeeded are stored. A result is zeroed before its
 * task begins, and unchanged if its task does not run. A failed task leaves what it wrote, but a
 * process executor may zero that, unless the task calls fl_task_keep_result(). If a worker process
 * dies, the element that it ran fails, and the later elements of its chunk count as not started. No
 * drop hook runs.
 */
FL_API FL_MUST_CHECK int fl_executor_map(fl_executor *e, const fl_task_type *type, const void *args, size_t n,
                                         void *results, const fl_map_config *config);

/*
 * Closes `e`, without waiting. It then refuses submits, even from its own tasks, but still runs
 * queued tasks.
 */
FL_API void fl_executor_close(fl_executor *e);

/*
 * Closes `e`, cancels the tasks that have not started, and tells running tasks and initializers to
 * stop. It does not wait for them.
 *
 *     size_t n = fl_executor_cancel(pool);            // no task starts any more
 *     rc = fl_executor_join(pool);                    // waits for the running tasks
 *     printf("%zu tasks were not run\n", n);
 *
 * Returns how many tasks it has cancelled. Tasks that workers were just about to begin are
 * cancelled, too, but not counted. Callbacks and drop hooks of the counted tasks run on the calling
 * thread.
 */
FL_API size_t fl_executor_cancel(fl_executor *e);

/*
 * Does what fl_executor_cancel() does, but leaves running tasks alone. A map or a parallel loop
 * that has begun may go on to its end.
 */
FL_API size_t fl_executor_cancel_pending(fl_executor *e);

/*
 * Does what fl_executor_cancel() does, and kills the worker processes. Their tasks fail with
 * -ECANCELED or, after their deadline, with -ETIMEDOUT.
 */
FL_API size_t fl_executor_terminate(fl_executor *e);

/*
 * Changes `workers` of the config, without waiting: surplus workers end after their present task.
 * Returns 0, -EOWNERDEAD, or:
 *   -EPIPE    `e` is closed
 *   -EINVAL   `workers` is 0 or above FL_WORKERS_MAX
 *   -ENOTSUP  `e` is neither a thread executor nor a process executor
 */
FL_API FL_MUST_CHECK int fl_executor_resize(fl_executor *e, unsigned workers);

/*
 * Closes `e`, and waits until all its tasks have ended and its workers are gone. Both functions
 * block the calling context, and may be called again. After -ETIMEDOUT and -ECANCELED `e` is
 * closed.
 *
 *     rc = fl_executor_join_until(pool, fl_after(FL_S(5)), NULL);
 *     if (rc == -ETIMEDOUT)
 *             fl_executor_cancel(pool);               // now join once more
 *
 * Returns 0, -ETIMEDOUT, -ECANCELED, -EOWNERDEAD, or:
 *   -EDEADLK  nothing happened, because the call would wait for itself: it was made in a task of
 *             `e`, on one of its workers, in a callback of one of its tasks, or where it would keep
 *             the loop of a loop executor from running (fairlead/loop_executor.h)
 */
FL_API FL_MUST_CHECK int fl_executor_join_until(fl_executor *e, fl_time deadline, fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_executor_join(fl_executor *_e)
{
	return fl_executor_join_until(_e, FL_FOREVER, NULL);
}

/*
 * Joins `e` if it was closed and nothing is left to wait for. Returns 0, or:
 *   -EAGAIN   `e` is open, or tasks or workers are left
 *   -EDEADLK  as in fl_executor_join(), but not because of the loop of a loop executor
 */
FL_API FL_MUST_CHECK int fl_executor_try_join(fl_executor *e);

/*
 * Waits, without closing `e`, for a moment in which no task of `e` is pending or runs, and all
 * callbacks of its tasks have returned. Tasks that are submitted during the wait prolong it. The
 * caller then sees what the tasks wrote. Both functions block the calling context. To wait for some
 * tasks only, use a group (fairlead/group.h). Returns 0, -ETIMEDOUT, -ECANCELED, -EOWNERDEAD, or
 * -EDEADLK if the call would wait for itself, as in fl_executor_join().
 *
 * Each such moment wakes all callers, so if many threads wait here again and again, each moment
 * costs time in proportion to their number.
 */
FL_API FL_MUST_CHECK int fl_executor_wait_idle_until(fl_executor *e, fl_time deadline, fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_executor_wait_idle(fl_executor *_e)
{
	return fl_executor_wait_idle_until(_e, FL_FOREVER, NULL);
}

/*
 * Closes, joins and frees `e`. It blocks the calling context until all tasks have ended, and a
 * cancel does not end this wait. Futures stay valid. Panics where fl_executor_join() returns
 * -EDEADLK. Usually FL_SCOPED calls it at the end of a block.
 */
FL_API void fl_executor_free(fl_executor *e);

/*
 * Closes `e`, and leaves its end to the library, without waiting. Queued tasks still run, unless
 * the process ends, and `e` is freed after the last one. Futures stay valid.
 *
 * Before this call, other threads must have ended their calls with `e`, and groups and iterations
 * that use `e` must be joined and freed. Afterwards only tasks of `e` may use it: as
 * fl_executor_current(), which refuses submits (-EPIPE), and in groups and iterations of their own.
 * In a worker process, detaching fl_executor_current() frees nothing. Returns 0, -ENOMEM,
 * -EOWNERDEAD, or -EAGAIN if no thread can be started, or the library is being unloaded.
 */
FL_API FL_MUST_CHECK int fl_executor_detach(fl_executor *e);

/* Returns what `e` can do, as a combination of FL_CAP_... bits. */
FL_API uint32_t fl_executor_capabilities(const fl_executor *e);

/* Returns the kind of `e`, such as "sequential" or "threads". The string is static. */
FL_API const char *fl_executor_kind(const fl_executor *e);

/*
 * Returns the most tasks that the workers of `e` run at a time (`workers`, fl_executor_resize()),
 * and 1 for a sequential executor.
 */
FL_API unsigned fl_executor_workers(const fl_executor *e);

/*
 * Returns whether `e` is broken, so that every later submit fails. An executor breaks when an
 * initializer fails or its workers in other processes can never start (-ENOTRECOVERABLE), or when
 * all its MPI ranks have died (-EOWNERDEAD).
 */
FL_API bool fl_executor_is_broken(const fl_executor *e);

/* The counts of an executor since its creation. Counts that its kind does not have are 0. */
typedef struct fl_stats_executor {
	unsigned workers; /* what fl_executor_workers() returns */
	unsigned threads; /* workers that exist: threads or processes */
	/* existing workers that have no task */
	unsigned idle;
	unsigned blocked; /* existing workers in a blocking section (fairlead/blocking.h) */
	/* existing workers whose task has waited for 5 ms or more, not in a blocking section */
	unsigned waiting;
	/*
	 * Tasks that were submitted and have not started. A thread executor may also count
	 * cancelled tasks, and tasks that a wait has run.
	 */
	size_t pending;
	size_t running;   /* tasks that have started, or that a process will run next */
	size_t ended;     /* tasks that have ended in any way */
	size_t failed;    /* ended tasks that ran and failed, or could not be sent */
	size_t cancelled; /* ended tasks that have not run: cancelled, or no worker could run them */
	size_t workers_started, workers_ended;
	size_t workers_killed;   /* workers whose process was ended by a signal */
	size_t stolen;           /* fl_parallel_invoke() calls and loop parts that were stolen */
	size_t backlog_waits;    /* submits that have waited for a full backlog */
	size_t backlog_refusals; /* submits that have returned -ENOBUFS */
} fl_stats_executor;

/* Stores the counts of `e`, taken one after another, in `*stats`. Returns 0 or -EOWNERDEAD. */
FL_API FL_MUST_CHECK int fl_executor_stats(const fl_executor *e, fl_stats_executor *stats);

/*
 * How long something took, in nanoseconds. The quantiles, which are up to a quarter too high, and
 * the maximum cover the last one to two minutes. Above 50,000 tasks a second, only a sample of
 * about one task in 64 is measured.
 */
typedef struct fl_stats_times {
	uint64_t n, sum; /* tasks, and the sum of their times, since the creation */
	fl_duration p50, p99, max;
} fl_stats_times;

/*
 * The times of one type of tasks. A chunk of an iteration or of a map counts as one task. Maps on
 * threads have the type "fl__map", and parallel loops "fl__parallel".
 */
typedef struct fl_stats_type {
	const char *name;      /* valid until the executor is freed */
	fl_stats_times queued; /* from the submit to the start, modulo 36 minutes */
	fl_stats_times ran;
} fl_stats_type;

/*
 * Stores in `*stats` the times of one type of tasks. Types after the first 15 share the last index,
 * as "other types".
 *
 *     for (size_t i = 0; fl_executor_type_stats(e, i, &type) == 0; i++)
 *             printf("%s: at most %lld ns\n", type.name, (long long)type.ran.max);
 *
 * Returns 0, -EOWNERDEAD, or -ENOENT if no type has this index.
 */
FL_API FL_MUST_CHECK int fl_executor_type_stats(const fl_executor *e, size_t index, fl_stats_type *stats);

/*
 * Appends the counts of all executors of this process to `*text`, in the text format of Prometheus.
 * The label `number` counts the executors in the order of creation. Returns 0 or, with `*text`
 * unchanged, -ENOMEM, or -E2BIG if the text is too long for an fl_bytes.
 */
FL_API FL_MUST_CHECK int fl_stats_text(fl_bytes *text);

/* Returns the executor of the task that the calling context runs, or NULL outside of tasks. */
FL_API fl_executor *fl_executor_current(void);

/*
 * Returns the number of the worker that runs the calling task, below FL_WORKERS_MAX. Workers that
 * run tasks of a thread executor at the same time have different numbers, so a number can be the
 * index of a buffer that only one task uses at a time:
 *
 *     struct buffer buffers[8];                               // .workers = 8
 *     struct buffer *mine = &buffers[fl_executor_current_worker()];
 *
 * A task that waits may run another task meanwhile, so do not use the buffer across a wait. In a
 * parallel loop or fl_parallel_invoke(), each call has the number of its worker.
 *
 * The number may be fl_executor_workers() or more after fl_executor_resize(), with `workers_max`,
 * or if tasks block (fairlead/blocking.h) or wait for tasks. It is 0 on other kinds of executors,
 * on threads that are not workers, in an initializer, and in a future's callback.
 */
FL_API unsigned fl_executor_current_worker(void);

FL__SCOPED(fl_executor, fl_executor_free)

FL_END_DECLS

#endif
