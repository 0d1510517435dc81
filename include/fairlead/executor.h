/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_EXECUTOR_H
#define FAIRLEAD_EXECUTOR_H

#include <errno.h>
#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/future.h>
#include <fairlead/shm.h>
#include <fairlead/task_type.h>
#include <fairlead/time.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

FL_BEGIN_DECLS

/*
 * Executor: runs tasks. The same task runs on every kind; only the constructor differs.
 *
 *     FL_SCOPED(fl_executor) *pool = NULL;                    // drained and freed when the scope ends
 *     rc = fl_thread_executor_create(&pool, NULL);            // check
 *     rc = count_primes_map(pool, parts, 64, counts, NULL);   // check
 *
 * Life: open; closed (no more in, what is queued still runs); joined (all has ended, its threads are
 * gone); freed. A detach does all of this without waiting. Tasks may submit tasks to their own executor
 * and wait for them, also with a single worker.
 *
 * NULL for an executor is a panic with the name of the function (of a join its plain form), in all
 * functions of the library that take one, apart from fl_executor_free().
 */
typedef struct fl_executor fl_executor;

/*
 * What a submit does when as many tasks wait as may, or, with FL_BACKLOG_NONE, when no worker is free:
 * fl_executor_config.backlog.
 */
typedef enum fl_when_full {
	FL_FULL_WAIT =
	    0, /* waits for room, up to fl_submit_config.room_deadline; in a task of the same executor as FL_FULL_RUN */
	FL_FULL_REFUSE = 1, /* returns -ENOBUFS */
	FL_FULL_RUN =
	    2, /* runs the task at once, on the submitting thread and without the initializer: it has ended on return */
} fl_when_full;

typedef struct fl_executor_config {
	/*
	 * How many tasks may run at a time, apart from those that block in a wait for other tasks or in a
	 * section of their own (fairlead/blocking.h). A task whose wait has ended goes on at once, also
	 * while the one that ran in its place still runs: one worker is no lock. 0: the usable CPUs, see
	 * fl_cpu_count(); ignored where there are no workers.
	 */
	unsigned workers;
	const char *name; /* workers are called name-0, name-1, ...; 23 characters; NULL: "worker" */
	/*
	 * A task without a result, run once on each worker before its first task, with a copy of `*initialize_arg`; NULL: none.
	 * An error breaks the executor: what is pending ends with -ENOTRECOVERABLE, and so do later submits.
	 */
	const fl_task_type *initialize;
	const void *initialize_arg;
	/* Regions that tasks find with fl_task_region(), wherever they run; the caller's, until the executor is freed. */
	fl_shm *const *regions;
	unsigned n_regions; /* up to FL_REGIONS_MAX */
	/*
	 * For threads alone; others ignore it: how many tasks may wait to be run; 0: any number. One that is cancelled waits no
	 * more. What is submitted from a task that is itself run by a submit, 64 of them one in another, is let in all the same; so
	 * are tasks of fl_future_then().
	 *
	 * FL_BACKLOG_NONE: no task waits. A submit is accepted when a worker is free to begin the task at
	 * once, or may be started for it. A worker is free again when its task has run: a submit that
	 * follows a wait for the task finds it free, though it first runs the task's drop hook and
	 * callbacks. Not counted: tasks that block (fairlead/blocking.h), tasks that a submit or a waiting
	 * worker runs itself, and what a worker does for fl_parallel_invoke() and for loops. The tasks that are let in
	 * all the same are counted, and may wait. Where the system starts no more threads, a task waits for
	 * one of the workers that there are.
	 */
	uint32_t backlog; /* up to FL_BACKLOG_MAX; or FL_BACKLOG_NONE */
	fl_when_full when_full;
	/* For threads and processes: a worker that had nothing to do for so many ns ends; 0: never. One thread stays. */
	int64_t idle_timeout;
	/* The rest is for processes alone (fairlead/process_executor.h); others ignore it. */
	int max_tasks;        /* a worker is replaced after so many; 0: never */
	int64_t task_timeout; /* a worker is killed when a task has run for so many ns; 0: never */
	/*
	 * A worker is killed when its task still runs so many ns after the task's deadline, or
	 * after a request to stop. 0: 100 ms after a deadline, never after a request. FL_FOREVER:
	 * never.
	 */
	int64_t kill_after;
} fl_executor_config;
#define FL_REGIONS_MAX 32
#define FL_BACKLOG_MAX 0x3fffffffu
#define FL_BACKLOG_NONE UINT32_MAX

/* What a kind of executor can do: fl_executor_capabilities(). */
enum {
	FL_CAP_BY_REFERENCE = 1 << 0, /* a pointer in an argument means the same to the task */
	FL_CAP_CONCURRENT = 1 << 1,   /* submit returns before the task has run */
	FL_CAP_NESTED = 1 << 2,       /* a task may submit to its own executor and wait */
};

/*
 * Runs each task at once, on the thread that submits it. `config` may be NULL. Never waits. Returns
 * 0, -ENOMEM, what `initialize` returned, -EINVAL (more than FL_REGIONS_MAX regions; an initializer
 * with a result, without the argument that it takes, or with one of an alignment above that of
 * max_align_t).
 */
FL_API FL_MUST_CHECK int fl_sequential_executor_create(fl_executor **e, const fl_executor_config *config);

/*
 * Runs tasks on threads, which start when they are needed, take no signals, and take tasks in the order of submission
 * (but while a task in its caller's memory, fairlead/embedded_task.h, is cancelled before it started, one may overtake others).
 * `config` may be NULL. Never waits. Returns 0, -ENOMEM, -EINVAL (more than FL_WORKERS_MAX workers, a
 * backlog above FL_BACKLOG_MAX other than FL_BACKLOG_NONE, a `when_full` that is none, an `idle_timeout`
 * below 0, or as above).
 */
FL_API FL_MUST_CHECK int fl_thread_executor_create(fl_executor **e, const fl_executor_config *config);
#define FL_WORKERS_MAX 4096u

/*
 * Submits a task: copies `*arg` (of the type's argument size; NULL when that is 0), and gives a future in `*f`, unless `f`
 * is NULL. Never waits, except that the sequential executor runs the task, and for room in a backlog that has a bound: then it
 * blocks the calling context, and observes its cancel scope. When it returns 0 the task ends exactly once:
 * done or cancelled. The task sees what was written before. On an error nothing was queued and the argument is still the
 * caller's: its drop hook does not run.
 * Returns 0, -EPIPE (closed, also while it waited), -ENOTRECOVERABLE (broken: an initializer failed), -ENOMEM, -EAGAIN (no worker
 * and none can be started), -ENOBUFS, -ETIMEDOUT, -ECANCELED (no room in the backlog: see fl_when_full), -E2BIG (argument plus result above FL_TASK_SIZE_MAX, or an alignment above FL_TASK_ALIGN_MAX), -EOWNERDEAD (in a
 * forked child).
 */
FL_API FL_MUST_CHECK int fl_submit(fl_executor *e, const fl_task_type *type, const void *arg, fl_future **f);

/*
 * What a passed deadline does to a task. A task also has the deadlines of its token and its group.
 *
 *   all kinds, not started   The task ends as cancelled, at the latest when its turn comes;
 *                            fl_future_cancel() ends it at once.
 *   all kinds, running       fl_task_is_cancelled() is true, and waits that observe the task's scope
 *                            return -ECANCELED. The future ends with what the task returns.
 *   sequential, threads      Nothing else: a task that neither asks nor waits runs on, and a join
 *                            waits for it.
 *   loop                     Nothing else: such a task also holds up all other tasks of the loop.
 *   processes                A task that still runs `kill_after` later is killed with its worker.
 *                            It fails with -ETIMEDOUT and a message that says so, and is not tried
 *                            again (`max_attempts`).
 *
 * A request to stop has the same effect, except that a task which is killed after it fails with
 * -EOWNERDEAD.
 */
typedef struct fl_submit_config {
	int64_t deadline; /* 0: none */
	fl_cancel_token
	    *cancel; /* a request cancels the task, also before it starts; NULL: none. Must outlive the task. */
	int64_t
	    room_deadline; /* a wait for room ends then, with -ETIMEDOUT; 0: never. It observes `cancel`, if that is set */
	fl_future_callback *on_end; /* as fl_future_on_end(), but it cannot fail any more; NULL: none */
	void *on_end_arg;
} fl_submit_config;

/* As fl_submit, with conditions; `config` may be NULL. */
FL_API FL_MUST_CHECK int fl_submit_with(fl_executor *e, const fl_task_type *type, const void *arg, fl_future **f,
                                        const fl_submit_config *config);

typedef struct fl_map_error {
	size_t index; /* of the first argument, in their order, whose task failed */
	int error;
	char message[FL_MESSAGE_MAX];
} fl_map_error;

typedef struct fl_map_config {
	/*
	 * Arguments a task; 0: chosen from n and the workers. On processes fewer, if their results
	 * exceed 64 KiB.
	 */
	size_t chunk;
	int64_t deadline;        /* 0: none */
	fl_cancel_token *cancel; /* as everywhere */
	fl_map_error *error;     /* filled in when the result is FL_ETASK; may be NULL */
} fl_map_config;

/*
 * Runs the task for each of the `n` elements of the array `args` and stores its result at the same place of `results`
 * (NULL when the result size is 0). Blocks until every task that was started has ended; helps when called from a worker.
 * `config` may be NULL. Arguments and results stay the caller's, no drop hook runs: a result whose task was not run is
 * untouched, one whose task failed is what it left there (it began zeroed).
 * On processes a worker that dies in a chunk fails the one element that it ran, whose result is
 * zeroed. The elements of the chunk that had ended have their results; those after it count as not
 * started.
 * Returns 0; FL_ETASK: a task failed, those not yet started were not run; -ETIMEDOUT, -ECANCELED: those not yet started
 * were not run, results of the others are there, unless they were killed (processes); or as
 * fl_submit. n = 0 is 0.
 */
FL_API FL_MUST_CHECK int fl_map(fl_executor *e, const fl_task_type *type, const void *args, size_t n, void *results,
                                const fl_map_config *config);

/* Closes `e`: submits are refused from now on, also from tasks; what is queued still runs. Again: nothing. Never waits. */
FL_API void fl_executor_close(fl_executor *e);

/*
 * Closes `e` and cancels what has not started; what runs is asked to stop (fl_task_is_cancelled). Callbacks and drop hooks run
 * on the calling thread. Returns how many were cancelled. Never waits, but for the few instructions in which a worker takes a task.
 */
FL_API size_t fl_executor_cancel(fl_executor *e);

/*
 * As fl_executor_cancel(), but running tasks are not asked to stop: they go on to their ends, as
 * with Python's shutdown(cancel_futures=True). A map or a parallel loop of which a part runs may go
 * on to its end, too. For a group such a cancelled task has failed, with -ECANCELED: so the group
 * cancels its other tasks, also the running ones. Returns how many were cancelled. Never waits, but
 * for the few instructions in which a worker takes a task.
 */
FL_API size_t fl_executor_cancel_pending(fl_executor *e);

/*
 * As fl_executor_cancel(), and kills the workers that can be killed, with what runs on them: processes. Such a task ends as
 * failed, with -ECANCELED; one that a worker had taken, but not begun, may still end as cancelled, beside those of the result.
 * On threads what runs is asked to stop, no more. Never waits: a join still does.
 */
FL_API size_t fl_executor_terminate(fl_executor *e);

/*
 * Changes how many workers there may be. More are started when they are needed; too many end when
 * they have ended their tasks; what they have not started goes to others. On threads no task begins
 * after this has returned while so many run; a task that a worker had taken before counts as running,
 * and one that blocks (fairlead/blocking.h) does not.
 * On processes a worker that is to end may still run the task that it had started, beside those of
 * the others. Waits for nothing but workers that are in the middle of taking a task.
 * Returns 0; -EINVAL: 0 or above FL_WORKERS_MAX; -EPIPE: closed; -ENOTSUP: another kind than threads
 * and processes; -EOWNERDEAD in a forked child.
 */
FL_API FL_MUST_CHECK int fl_executor_resize(fl_executor *e, unsigned workers);

/*
 * Closes `e` and waits until all its tasks have ended and its workers are gone. Blocks the calling context. Observes its
 * cancel scope. Returns 0, again too; -ECANCELED (closed all the same); -EDEADLK from a task of `e`, on one of its
 * workers, or in a callback of one of its tasks; -EOWNERDEAD in a forked child (nothing happened).
 */
FL_INLINE FL_MUST_CHECK int fl_executor_join(fl_executor *e);

/* As fl_executor_join; never waits: -EBUSY while tasks are left (it closes `e` all the same). */
FL_INLINE FL_MUST_CHECK int fl_executor_try_join(fl_executor *e);

/* As fl_executor_join; also returns -ETIMEDOUT (closed all the same). */
FL_API FL_MUST_CHECK int fl_executor_join_until(fl_executor *e, int64_t deadline, fl_cancel_token *cancel);

/*
 * Joins `e` (not cancelled) and frees it; futures stay valid. NULL does nothing. Panics in a task of `e` and on its workers,
 * and in a callback of its tasks.
 * In a forked child that is none of a task's it waits for nothing: what was queued there is forgotten.
 */
FL_API void fl_executor_free(fl_executor *e);

/*
 * Closes `e` and lets go of it without waiting. What is queued still runs. `e` is freed when its last
 * task has ended. The caller must not use it again; futures stay valid. Calls of other threads with
 * `e` must have returned before. A task of `e` may call it, and so may a callback of a task; the
 * submit of that task is such a call, so if another thread made it, the task must first learn that it
 * has returned. Until they end, tasks of `e` may use fl_executor_current(), whose
 * submits return -EPIPE. To cancel what is queued, call fl_executor_cancel() before. A group or an
 * iteration of `e` must have ended before the call, or end within a task of `e`.
 *
 * A thread of the library, "executor-end", waits for the tasks and frees `e`. The end of the process
 * waits neither for that thread nor for the tasks. The tasks of an executor on a loop of the caller's
 * (fl_loop_executor_create_on()) end when that loop has run them or is freed. In a task of a process
 * executor fl_executor_current() is the worker's own executor: a detach closes that until the task
 * ends, and frees nothing.
 *
 * Never waits. Returns:
 *
 *   0
 *   -EAGAIN, -ENOMEM   no thread can be started; nothing happened
 *   -EOWNERDEAD        in a forked child, where fl_executor_free() does not wait; nothing happened
 */
FL_API FL_MUST_CHECK int fl_executor_detach(fl_executor *e);

/* FL_CAP_... bits. Never waits. */
FL_API uint32_t fl_executor_capabilities(const fl_executor *e);

/* "sequential", "threads", ... Static. Never waits. */
FL_API const char *fl_executor_kind(const fl_executor *e);

/* The most tasks that run at once. Never waits. */
FL_API unsigned fl_executor_workers(const fl_executor *e);

/*
 * Whether `e` is broken: an initializer failed, or no worker can be started any more. Once the
 * result is true every submit returns -ENOTRECOVERABLE. Takes the executor's lock. Never waits.
 */
FL_API bool fl_executor_is_broken(const fl_executor *e);

/* What an executor is doing, and has done. Counts begin at 0 when it is made, and again after SIZE_MAX. */
typedef struct fl_executor_stats {
	unsigned workers; /* as fl_executor_workers() */
	unsigned threads; /* that there are: started when needed, ended when idle or too many */
	unsigned idle;    /* of them, those that sleep because there is nothing to do */
	unsigned blocked; /* of them, those in a blocking section (fairlead/blocking.h) */
	size_t waiting;   /* tasks that were submitted and not taken yet */
	size_t started;   /* threads ever */
	size_t ran;       /* tasks that were run, also by a submit, or by who waited for them */
	size_t unbegun;   /* tasks that ended without having begun: cancelled, or because the executor is broken */
	size_t stolen;    /* calls of fl_parallel_invoke() and loops that one worker took from another */
} fl_executor_stats;

/*
 * Stores that of `e`, for people and dashboards: each number is of a moment of its own, and orders nothing. Takes the executor's
 * lock, as a sleeping worker does, and looks at each worker. Never waits. Returns 0; -ENOTSUP: neither the thread executor nor
 * the sequential one, which has no threads and nothing that waits; -EOWNERDEAD in a forked child.
 */
FL_API FL_MUST_CHECK int fl_executor_get_stats(fl_executor *e, fl_executor_stats *stats);

/* The executor whose task the calling context runs; NULL outside of tasks. Never waits. */
FL_API fl_executor *fl_executor_current(void);

static inline void fl__scoped_fl_executor(fl_executor **_e)
{
	fl_executor_free(*_e);
}

/* The inline functions. */

FL_INLINE int fl_executor_join(fl_executor *_e)
{
	return fl_executor_join_until(_e, FL_FOREVER, NULL);
}

FL_INLINE int fl_executor_try_join(fl_executor *_e)
{
	const int _rc = fl_executor_join_until(_e, 0, FL_SHIELDED);
	return _rc == -ETIMEDOUT ? -EBUSY : _rc;
}

FL_END_DECLS

#endif
